"""Performing a run of a remote site: one backup on its server, brought here, proven, and kept as the profile says.

Each phase is written down when it is done, so that any worker goes on where another stopped or died:

    begin       our record, with the schedule's run
    take        the server's backup: its mark, its number, its end                            (``taking``)
    fetch       the parts, each with its hash, sent to the storages while the next comes      (``arriving``)
    prove       the archive                                                                   (``proving``)
    finish      the rest to the storages, our record complete, retention here and there       (``Finalization``)
    keep there  older backups of ours on the server                                           (``keeping_there``)
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Final
from urllib.parse import urlsplit

from backstay.api.replies import BackupInfo
from backstay.catalogue import Backup, NamedDestination, RemoteRun, RemoteRunState
from backstay.client import Client
from backstay.client.part_file import storage_errors
from backstay.engine import WORK, ArchiveTarget, Plan, Progress, discard_archive, folder_of_archives, withdraw_copies
from backstay.engine.finalization import COMPLETING, Finalization
from backstay.engine.progress import CHAINS
from backstay.engine.repository_target import RepositoryTarget
from backstay.engine.target import Target
from backstay.errors import BackstayError, BackupFailedError, CatalogueAwayError, ConnectionFailedError
from backstay.fleet.arriving import ArrivingPart, as_stored, fetch_all, parts_of, require_space, stored_parts
from backstay.fleet.detection import client_of, host_of, plain_text
from backstay.fleet.failures import why
from backstay.fleet.held_run import CancelledRunError, HeldRun, LeftRunError, LostRunError
from backstay.fleet.into_repository import discard_snapshot, drop_parts, put_into_repository
from backstay.fleet.keeping_there import keep_there
from backstay.fleet.part_sending import PartSending
from backstay.fleet.proving import prove
from backstay.fleet.run_log import LoggedWarnings, RunLog
from backstay.fleet.server_change import changes_of, refuse_changed
from backstay.fleet.taking import take_backup
from backstay.jobs import arrivals, lock
from backstay.jobs.announcing import announce
from backstay.jobs.installation import Installation
from backstay.jobs.remote_runs import CANCELLED, begin_record, plan_of

TIMEOUT_SECONDS: Final = 60.0
_LOCK_SECONDS: Final = 30.0

_log = logging.getLogger(__name__)


def perform(
    installation: Installation,
    remote_run_id: int,
    holder: str,
    *,
    may_go_on: Callable[[], bool] = lambda: True,
    stopping: Event | None = None,
) -> None:
    """Bring a run to its end, from wherever it is; blocks for as long as that takes.

    Args:
        installation: whose.
        remote_run_id: number of the run; one that is not the holder's, or has ended, is left alone.
        holder: who has it; every write names it.
        may_go_on: whether the run is this worker's still, as far as is known without asking the catalogue.
        stopping: set when the worker is to stop: the run is given back where it is.

    Raises:
        CatalogueAwayError: the catalogue cannot be reached; the run stays as it is, to be gone on with.
    """
    run = installation.catalogue.remote_runs.find(remote_run_id)
    if run is None or run.holder != holder or run.ended is not None:
        return
    held = HeldRun(installation, run, may_go_on, stopping or Event())
    with contextlib.ExitStack() as opened, contextlib.suppress(LostRunError):
        performance = Performance(held, run, opened)
        try:
            performance.run()
        except LeftRunError:
            installation.catalogue.remote_runs.release(run.id, holder)
        except CancelledRunError:
            performance.fail("cancelled", CANCELLED)
        except CatalogueAwayError:
            raise
        except BackstayError as error:
            # Silent is a server that could not be reached at all; whatever else failed is no silence.
            if not isinstance(error, ConnectionFailedError) or "record" in held.checkpoint:
                performance.note_answer()
            performance.fail("failed", why(error, held.checkpoint, performance.changes()))
        except LostRunError:
            raise
        except Exception as error:  # noqa: BLE001 - what has arrived must not stay, whatever it was
            _log.exception("Run %d of a remote site", run.id)
            performance.fail("failed", f"It met a fault of the program ({type(error).__name__}): see the worker's log.")


class Performance:
    """One run under way.

    Args:
        held: the run.
        run: as it was claimed.
        opened: closes what is opened for it.
    """

    def __init__(self, held: HeldRun, run: RemoteRun, opened: contextlib.ExitStack) -> None:
        self._held = held
        self._run = run
        self._opened = opened
        self._installation = held.installation
        self._catalogue = held.installation.catalogue
        self._site = self._catalogue.sites.get(run.site_id)
        self._connection = self._catalogue.sites.connection(run.site_id)
        self._backup: Backup | None = None
        self._plan: Plan | None = None
        self._log: RunLog | None = None
        self._client: Client | None = None

    def run(self) -> None:
        """Go through the phases that are not done.

        Raises:
            LostRunError, LeftRunError, CancelledRunError: see ``held_run``.
            BackstayError: the run has failed.
        """
        backup, plan, log = self._begin()
        warnings = LoggedWarnings(self._catalogue, backup.id, log)
        if backup.status == "run":
            parts = self._fetched(backup, plan, warnings)
            plan = self._plan = self._with_archive(plan, parts)
            if not backup.proof.get("ok"):
                backup = self._shown(prove(self._catalogue, backup, plan, parts, warnings))
                log.note(f"The archive is proven ({backup.proof['level']}): {backup.total_size} bytes")
            backup = put_into_repository(self._held, backup, plan, warnings)
        self._finish(backup, plan, warnings)
        self._keep_there(warnings)
        warnings.flush()
        self._succeed(backup, plan)

    def note_answer(self) -> None:
        """Keep that the server answered just now."""
        self._catalogue.sites.update(self._site.id, heard=datetime.now(UTC))

    def changes(self) -> str:
        """What of the server is not as it was, in a sentence for a run that failed."""
        return changes_of(self._site, self._client, self._host())

    def _begin(self) -> tuple[Backup, Plan, RunLog]:
        """Our record, its plan, and its folder, which no other thread or process of this machine has."""
        host = urlsplit(self._site.address).hostname or ""
        backup = begin_record(self._installation, self._run, self._held.holder, self._site.profile_id, host)
        if backup is None:
            raise LostRunError
        if backup.status == "fail":
            raise BackupFailedError(backup.error)
        folder = self._installation.home.job(backup.id)
        if not self._opened.enter_context(lock.tried(folder, _LOCK_SECONDS)):
            raise LeftRunError
        self._held.folder = folder
        self._backup, self._plan = backup, self._plan_of(backup, host)
        path = self._installation.home.log(backup.tag or "", backup.backupid or "")
        self._log = self._opened.enter_context(RunLog(path, self._plan.settings.log_level))
        self._log.note(
            f"Run {self._run.id} of the site {self._site.name} at {plain_text(self._site.address)}, "
            f"attempt {self._run.attempts}"
        )
        self._held.show(Progress("init", "Asking the server"))
        announce(self._installation, backup.id, "started", send_now=False)
        return backup, self._plan, self._log

    def _plan_of(self, backup: Backup, host: str) -> Plan:
        """The plan of the run; one that is complete may have lost it to whoever tidies up behind dead workers."""
        job = self._catalogue.jobs.get(backup.id)
        if job is not None and job.plan:
            return Plan.from_json(job.plan)
        wanted = self._catalogue.remote_runs.request(self._run.id)
        return plan_of(self._installation, self._site.profile_id, wanted, host)

    def _server(self) -> Client:
        """A client of the server, opened when it is first needed."""
        if self._client is None:
            refuse_changed(self._site, self._connection)
            client = client_of(self._site.address, self._connection, TIMEOUT_SECONDS)
            client.wait = self._held.wait
            self._client = self._opened.enter_context(client)
        return self._client

    def _fetched(self, backup: Backup, plan: Plan, warnings: LoggedWarnings) -> list[ArrivingPart]:
        """Have the backup taken there, and its parts brought here."""
        held = self._held
        if "parts" not in held.checkpoint:
            info = take_backup(held, self._server(), self._connection.profile, plan, warnings)
            self._note_server(info)
            parts = parts_of(info, Path(plan.archive))
            held.save(parts=[as_stored(part) for part in parts])
            kind = info.type if info.type in CHAINS else "full"
            self._catalogue.backups.update(backup.id, type=kind)
        parts = stored_parts(held.checkpoint["parts"])
        if backup.proof.get("ok") and self._is_everywhere(backup, plan):
            return parts
        archive = Path(self._with_archive(plan, parts).archive)
        self._catalogue.backups.claim(backup.id, archive.name, str(archive))
        with storage_errors(archive):
            archive.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            arrivals.note(self._installation.home, backup.id, archive)
        if all(part.blake3 and (archive.parent / part.name).is_file() for part in parts):
            return parts
        require_space(parts, archive.parent)
        sending = PartSending(self._catalogue, backup.id, self._destinations(plan))
        try:
            return fetch_all(held, self._server(), held.checkpoint["record"], archive.parent, parts, sending)
        finally:
            sending.end()

    def _note_server(self, info: BackupInfo) -> None:
        """Keep when the server last answered, and where it is."""
        if self._log is not None:
            self._log.note(f"Backup {info.id} is complete on the server: {len(info.filenames)} parts")
            if changed := self.changes():
                self._log.note(changed)
        self._catalogue.sites.update(self._site.id, heard=datetime.now(UTC), host=self._host())

    def _host(self) -> str:
        return host_of(str(self._connection.endpoint.get("url") or self._site.address))

    def _with_archive(self, plan: Plan, parts: Sequence[ArrivingPart]) -> Plan:
        """The plan with the place of the archive on this machine."""
        return replace(plan, archive=str(folder_of_archives(self._installation.home, plan) / parts[-1].name))

    def _destinations(self, plan: Plan) -> list[NamedDestination]:
        # What goes into a repository goes nowhere else.
        names = () if plan.settings.repository else plan.settings.destination_names
        found = [self._catalogue.destinations.find(name) for name in names]
        return [one for one in found if one is not None]

    def _is_everywhere(self, backup: Backup, plan: Plan) -> bool:
        """Whether the storages of the profile have all of it, so that the files here may be gone already."""
        stored = {copy.destination for copy in self._catalogue.copies.of(backup.id) if copy.state == "stored"}
        names = plan.settings.destination_names
        return plan.settings.delete_after and bool(names) and stored.issuperset(names)

    def _finish(self, backup: Backup, plan: Plan, warnings: LoggedWarnings) -> None:
        """Send the rest, complete the record, apply the rules of retention; only these where it is complete."""
        home = self._installation.home
        target: Target = ArchiveTarget(plan, home.job(backup.id) / WORK)
        if self._catalogue.snapshots.of(backup.id) is not None:
            target = RepositoryTarget(self._catalogue, home, backup, plan)
        finalization = Finalization(self._catalogue, home, backup, plan, warnings, target)
        steps = finalization.retain() if backup.status == "complete" else finalization.run(None)
        with contextlib.closing(steps):
            for step in steps:
                if step.step == COMPLETING:
                    self._held.save(completing=True)
                self._held.show(replace(step, fraction=0.9 + 0.1 * step.fraction))
        drop_parts(self._catalogue, backup, self._with_archive(plan, stored_parts(self._held.checkpoint["parts"])))

    def _shown(self, steps: Generator[Progress, None, Backup]) -> Backup:
        with contextlib.closing(steps):
            while True:
                try:
                    self._held.show(next(steps))
                except StopIteration as end:
                    found: Backup = end.value
                    return found

    def _keep_there(self, warnings: LoggedWarnings) -> None:
        keep = self._connection.keep_there
        if keep is None or self._held.checkpoint.get("kept"):
            return
        try:
            deleted = keep_there(self._catalogue, self._server(), self._site.id, self._held.checkpoint, keep, warnings)
        except BackstayError as error:
            warnings.add(f"Older backups could not be deleted on the server: {plain_text(str(error), 500)}")
        else:
            if deleted and self._log is not None:
                self._log.note(f"Deleted on the server: backups {', '.join(map(str, deleted))}")
        self._held.save(kept=True)

    def _succeed(self, backup: Backup, plan: Plan) -> None:
        count = len(self._catalogue.backups.warnings(backup.id))
        told = f", with {count} warnings" if count else ""
        self._end("done", f"Backup {backup.id} is complete{told}.")
        self._catalogue.sites.update(self._site.id, problem="")
        announce(self._installation, backup.id, "succeeded", send_now=False)
        if plan.settings.drill:
            # Imported here because it needs all that restores need, and few backups need it.
            from backstay.jobs.drill import drill_after_backup

            drill_after_backup(self._installation, backup.id, plan.settings)

    def fail(self, state: RemoteRunState, reason: str) -> None:
        """End the run: what has arrived is removed, and the record says why.

        Raises:
            LostRunError: the run is not this worker's.
        """
        self._held.save(failed=reason)
        if self._backup is None or self._plan is None:
            self._end(state, reason)
        elif self._is_complete(self._backup.id):
            self._end("done", f"Backup {self._backup.id} is complete. {reason}")
        else:
            remove = self._abandoned if state == "cancelled" else self._discarded
            left = remove(self._backup, self._plan)
            self._end(state, " ".join([reason, *left]))
            announce(self._installation, self._backup.id, "failed", send_now=False)
        if state == "failed":
            self._catalogue.sites.update(self._site.id, problem=reason)

    def _is_complete(self, backup_id: int) -> bool:
        found = self._catalogue.backups.get(backup_id)
        return found is not None and found.status == "complete"

    def _end(self, state: RemoteRunState, message: str) -> None:
        if self._log is not None:
            (self._log.error if state == "failed" else self._log.note)(message)
        if not self._catalogue.remote_runs.end(self._run.id, self._held.holder, state, message, datetime.now(UTC)):
            raise LostRunError
        if self._backup is not None:
            arrivals.forget(self._installation.home, self._backup.id)

    def _discarded(self, backup: Backup, plan: Plan) -> list[str]:
        """Remove what has arrived here and at storages; a sentence for each thing that is left."""
        parts = self._held.checkpoint.get("parts")
        here = self._with_archive(plan, stored_parts(parts)) if parts else plan
        home = self._installation.home
        left = discard_archive(here, home.job(backup.id))
        left += discard_snapshot(self._catalogue, home, backup, plan, self._held.checkpoint.get("snapshot", ""))
        return left + withdraw_copies(self._catalogue, backup.id, stored_too=True)

    def _abandoned(self, backup: Backup, plan: Plan) -> list[str]:
        """Do the same, and stop the backup on the server where it goes on still."""
        left = self._discarded(backup, plan)
        record = self._held.checkpoint.get("record")
        if record and not self._held.checkpoint.get("taken"):
            try:
                client = self._server()
                client.wait = time.sleep
                client.delete(record)
            except BackstayError as error:
                left.append(f"Backup {record} could not be stopped on the server: {plain_text(str(error), 500)}")
        return left
