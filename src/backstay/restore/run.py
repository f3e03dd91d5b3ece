"""One restore, from its plan to its end: everything is made ready first, then it changes places, and can go back.

The journal is written before each step. Whatever kills the process, another one reads from it how far the restore was,
and finishes it or takes it back; every step may be repeated.
"""

from __future__ import annotations

import base64
import json
import logging
import shutil
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from backstay.catalogue.vault import Vault
from backstay.errors import BackstayError, RestoreError, StoppedError
from backstay.restore.checks import check_places
from backstay.restore.configuration import Rewritten
from backstay.restore.journal import Journal, new_journal
from backstay.restore.layout import Layout
from backstay.restore.places import Places, attributes, choose_places, give_attributes
from backstay.restore.plan import (
    RestorePlan,
    RestoreProgress,
    RestoreReport,
    read_summary,
)
from backstay.restore.preparation import Fetch, InterruptedDownloadError, OpenArchive, Preparation
from backstay.restore.slots import Slots
from backstay.restore.stages import Stages

_log = logging.getLogger(__name__)

OnWarning = Callable[[str], None]


def begin(restores: Path, vault: Vault, plan: RestorePlan) -> RestoreRun:
    """Write a plan down as a new restore; nothing is done yet.

    Args:
        restores: folder that holds the journals.
        vault: encrypts the plan: database URLs and passwords are in it.
        plan: what is to be done.

    Raises:
        RestoreError: the target cannot be written to.
    """
    target = Path(plan.target)
    plan = replace(plan, target=str(target.resolve()))
    if not plan.only and plan.strategy == "whole":
        check_places(plan, restores)
    journal = new_journal(restores)
    try:
        places = choose_places(Path(plan.target), journal.name, merge=plan.strategy == "merge" or bool(plan.only))
        encrypted = base64.b64encode(vault.encrypt(json.dumps(plan.to_json()))).decode()
        # A folder that stays, and gets a hidden one for a while, is to look untouched when it is taken back.
        stays = places.strategy != "whole" and Path(places.target).is_dir()
        root = attributes(Path(places.target)) if stays else None
        shown = {
            "archive": plan.archive,
            "target": plan.target,
            "databases": [replace(address, prefix="").redacted() for address in plan.addresses()],
            "keep_days": plan.keep_days,
            "root": root,
        }
        journal.append("begin", plan=encrypted, places=places.to_json(), **shown)
    except BaseException:
        journal.remove()
        raise
    return RestoreRun(journal, vault)


class RestoreRun:
    """A restore that was begun; use it in a ``with`` statement of its journal.

    Args:
        journal: of the restore.
        vault: that encrypted its plan.

    Attributes:
        fetch: downloads the archive, where it lies on a server; to be set before ``run``.
        opener: opens the archive, where it is no file of this machine and read where it lies; to be set before ``run``.
        layout: of the archive, where it was looked through just now; may be set before ``run``.

    Raises:
        ConfigurationError: the plan was encrypted with another key.
        RestoreError: the journal has no beginning.
    """

    def __init__(self, journal: Journal, vault: Vault) -> None:
        first = journal.last("begin")
        if first is None:
            raise RestoreError(f"The restore {journal.name} was never begun: nothing was done.")
        self.journal = journal
        self.plan = RestorePlan.from_json(json.loads(vault.decrypt(base64.b64decode(first["plan"]))))
        self.places = Places.from_json(first["places"])
        self.fetch: Fetch | None = None
        self.opener: OpenArchive | None = None
        self.layout: Layout | None = None
        self._stages = Stages(journal, self.plan)

    @property
    def is_swapped(self) -> bool:
        """Whether everything is in place."""
        return self.journal.last("swapped") is not None and not self.is_being_undone

    @property
    def is_being_undone(self) -> bool:
        """Whether the restore is being taken back."""
        return self.journal.last("undo") is not None

    def run(self, on_warning: OnWarning) -> Generator[RestoreProgress | RestoreReport, None, None]:
        """Restore, from wherever an earlier process came to.

        A restore that fails takes itself back; one that is interrupted, or whose download broke off, waits for another
        ``run``, or for ``undo``.

        Args:
            on_warning: called with one sentence for everything that could not be given back as it was.

        Yields:
            The progress, and last a ``RestoreReport``.

        Raises:
            BackstayError: the restore failed, and what was there before is there again.
            RestoreError: besides, it could not be taken back, or is being taken back.
        """
        if self.is_being_undone:
            raise RestoreError(f"The restore {self.journal.name} is being taken back: finish that with --undo.")
        if self.journal.last("confirmed"):
            yield self.report()
            self._finish()
            return
        try:
            if not self.is_swapped:
                if not self.journal.last("swap"):
                    yield from self._preparation().run(on_warning)
                yield RestoreProgress("swap", self.plan.target)
                self._swap(on_warning)
        except InterruptedDownloadError as error:
            raise type(error.cause)(
                f"{error.cause} Nothing was replaced: 'backstay restore --resume {self.journal.name}' continues where "
                "it was, --undo ends it."
            ) from error
        except (BackstayError, OSError) as error:
            # One that was told to stop can go on later, but not with half of it in place.
            if not isinstance(error, StoppedError) or self.journal.last("swap"):
                self._take_back_after(error, on_warning)
            raise
        yield self._end()

    def _preparation(self) -> Preparation:
        return Preparation(self.journal, self.plan, self.places, self._stages, self.fetch, self.opener, self.layout)

    def undo(self, on_warning: OnWarning) -> None:
        """Take everything back, wherever it stopped: what was there before is there again.

        Raises:
            RestoreError: the restore is confirmed, and what was there before is gone.
            BackstayError: a database could not be reached; the call may be repeated.
        """
        if self.journal.last("confirmed"):
            raise RestoreError(f"The restore {self.journal.name} is confirmed: there is no way back.")
        if not self.is_being_undone:
            self.journal.append("undo")
        swap = self.journal.last("swap")
        if swap and not self.journal.last("files back"):
            if swap["slots"]:
                Slots.from_json(swap["slots"]).undo()
            self.journal.append("files back")
        for name in self._stages.begun():
            stage = self._stages.of(name)
            if swap:
                stage.undo(on_warning)
            else:
                stage.discard()
        self._clear(self._old_root())

    def confirm(self) -> None:
        """Drop what was replaced, or give it the names under which it is kept. There is no way back.

        Raises:
            RestoreError: the restore is not in place yet.
        """
        if not self.is_swapped:
            raise RestoreError(
                f"The restore {self.journal.name} is not done: finish it with --resume, or take it back with --undo."
            )
        if not self.journal.last("confirmed"):
            self.journal.append("confirmed")
        self._finish()

    # Changing places.

    def _swap(self, on_warning: OnWarning) -> None:
        line = self.journal.last("swap")
        if line is None:
            # What comes in is on the disk by now: that is a part of being ready.
            self.journal.append("swap", **self._file_swap())
            line = self.journal.lines[-1]
        resumed = time.time() - datetime.fromisoformat(line["at"]).timestamp()
        started = time.monotonic()
        for ready in self._stages.ready():
            self._stages.of(ready["dump"]).swap(on_warning)
        if line["slots"]:
            Slots.from_json(line["slots"]).swap()
            give_attributes(self.places.target, line["root"])
        window = time.monotonic() - started
        # A swap that another process began has lasted since then.
        self.journal.append("swapped", window=max(window, resumed) if resumed > 1 else window)

    def _file_swap(self) -> dict[str, Any]:
        """Return what of the files changes places, and what a root that stays is to be like then."""
        if not self.plan.files:
            return {"slots": None, "root": None}
        root = attributes(self.places.staged) if self.places.strategy == "content" else self._old_root()
        return {"slots": self.places.slots().to_json(), "root": root}

    def _old_root(self) -> list[Any] | None:
        first = self.journal.last("begin") or {}
        root: list[Any] | None = first.get("root")
        return root

    def _take_back_after(self, error: BaseException, on_warning: OnWarning) -> None:
        try:
            self.undo(on_warning)
        except (BackstayError, OSError) as problem:
            _log.warning("a restore that failed could not be taken back: %s", problem)
            raise RestoreError(
                f"The restore failed ({error}) and could not be taken back ({problem}): mend that, then run "
                f"'backstay restore --undo {self.journal.name}' or '--resume {self.journal.name}'."
            ) from error

    def _end(self) -> RestoreReport:
        # What was downloaded is needed no more.
        shutil.rmtree(self.journal.folder / "archive", ignore_errors=True)
        report = self.report()
        if not report.kept_until:
            # Nothing was there before: there is nothing to keep, and nothing to go back to.
            self.journal.append("confirmed")
            self._finish()
        return report

    def _finish(self) -> None:
        for line in self._stages.ready():
            self._stages.of(line["dump"]).finish()
        swap = self.journal.last("swap")
        self._clear(swap["root"] if swap else None)

    def _clear(self, root: list[Any] | None) -> None:
        self.places.remove()
        give_attributes(self.places.target, root)
        self.journal.remove()

    # Reporting.

    def report(self) -> RestoreReport:
        """Return what the restore gave back, as far as it is."""
        files = self.journal.last("files ready") or {}
        ready = self._stages.ready()
        prepared = self.journal.last("ready") or {}
        swapped = self.journal.last("swapped") or {}
        replaces = self._replaces()
        return RestoreReport(
            target=Path(self.plan.target),
            files=files.get("files", 0),
            bytes=files.get("bytes", 0),
            databases={line["dump"]: read_summary(line["summary"]) for line in ready},
            not_restored=tuple(prepared.get("not_restored", ())),
            addresses=tuple((old, new) for old, new in prepared.get("addresses", ())),
            configuration=tuple(
                Rewritten(item["path"], tuple(item["names"])) for item in files.get("configuration", ())
            ),
            replaced_in_files=files.get("replaced", {}),
            replaced_in_databases={
                line["dump"]: line["state"]["replaced"] for line in ready if line["state"]["replaced"]
            },
            refused=tuple(self._stages.refused()),
            window=swapped.get("window") if replaces else None,
            name=self.journal.name if replaces else "",
            kept_until=self.kept_until().isoformat(timespec="seconds") if replaces else "",
        )

    def _replaces(self) -> bool:
        """Return whether anything that was there before is kept."""
        if any(self._stages.of(line["dump"]).replaces for line in self._stages.ready()):
            return True
        swap = self.journal.last("swap")
        if not swap or not swap["slots"] or not any(slot[1] for slot in swap["slots"]["slots"]):
            return False
        old = self.places.old
        if self.places.strategy != "whole":
            return True
        # An empty folder that was replaced is nothing to keep.
        with suppress(FileNotFoundError):
            return any((old / Path(self.plan.target).name).iterdir())
        return False

    def kept_until(self) -> datetime:
        """Return the moment until which what was replaced is kept."""
        swapped = self.journal.last("swapped")
        since = datetime.fromisoformat(swapped["at"]) if swapped else datetime.now(UTC)
        return since + timedelta(days=self.plan.keep_days)
