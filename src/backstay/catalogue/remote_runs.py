"""Runs of remote sites: each takes one backup on another server and brings it here.

A run waits until a worker claims it, and is then that worker's, by its holder's word: every write names the holder, so
that a worker that lost its run changes nothing any more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Literal, get_args

from sqlalchemy import Connection, Engine, delete, func, insert, literal, select, update

from backstay.catalogue.records import Backup, fail_backup, insert_backup
from backstay.catalogue.schema import UtcDateTime, groups, jobs, remote_runs, runs, sites
from backstay.catalogue.vault import Vault
from backstay.errors import BackupRunningError, NotFoundError

RemoteRunState = Literal["waiting", "running", "done", "failed", "cancelled"]
REMOTE_RUN_STATES: tuple[RemoteRunState, ...] = get_args(RemoteRunState)
KEPT_REMOTE_RUNS = 100
"""As many runs of each site that have ended are kept, the newest."""
ANY_MACHINE = "*"
"""In place of a machine's name: in the record of a run that has not ended, which any worker may go on with."""


@dataclass(frozen=True, slots=True)
class RemoteRun:
    """One run of a remote site.

    Attributes:
        id: its number.
        site_id: of which site.
        run_id: number of the schedule's run that it is for; None: a person or a client asked for it.
        backup_id: number of the record; None before that is made.
        state: ``waiting`` until a worker claims it, then ``running``, then how it ended.
        priority: higher ones are begun earlier.
        created: moment it was asked for.
        begun: moment it was first claimed.
        ended: moment it ended; a site has one run at most that has not.
        host: where it takes a place among those that run at once.
        holder: a word for the worker that has it; empty: none.
        attempts: how often a worker took it up.
        cancelled: somebody wants it to end.
        checkpoint: where to go on, plain JSON.
        progress: what is being done, plain JSON.
        message: how it ended, in a sentence.
    """

    id: int
    site_id: int
    run_id: int | None
    backup_id: int | None
    state: RemoteRunState
    priority: int
    created: datetime
    begun: datetime | None
    ended: datetime | None
    host: str
    holder: str
    attempts: int
    cancelled: bool
    checkpoint: Mapping[str, Any] = field(default_factory=dict)
    progress: Mapping[str, Any] = field(default_factory=dict)
    message: str = ""


_COLUMNS = [remote_runs.c[item.name] for item in fields(RemoteRun)]


class RemoteRunTable:
    """Reads and writes runs; what was asked for is kept encrypted and goes with the end of the run."""

    def __init__(self, engine: Engine, vault: Vault, machine: str = "") -> None:
        self._engine = engine
        self._writer = engine.execution_options(writes=True)
        self._beside = engine.execution_options(writes=True, beside=True)
        self._vault = vault
        self._machine = machine

    def queue(
        self,
        profile_id: int,
        now: datetime,
        *,
        request: Mapping[str, Any],
        run_id: int | None = None,
        priority: int | None = None,
        record: Mapping[str, Any] | None = None,
        job: bytes | None = None,
    ) -> RemoteRun:
        """Make a run that waits.

        Args:
            profile_id: of the site.
            now: this moment.
            request: what is wanted of the backup, plain JSON; may hold secrets.
            run_id: number of the schedule's run that it is for.
            priority: None: that of the site's group.
            record: columns of a record that is made with it; None: none is made yet.
            job: the record's plan, encrypted.

        Returns:
            The run; where there is one for that run of the schedule already, that one, however far it is.

        Raises:
            NotFoundError: no remote site has this profile.
            BackupRunningError: the site has a run that has not ended, or the schedule's run has its backup already.
        """
        with self._writer.begin() as connection:
            if run_id is not None and (made := _of_schedule_run(connection, run_id)) is not None:
                return made
            site = _site_of(connection, profile_id)
            is_open = remote_runs.c.ended.is_(None)
            mine = remote_runs.c.site_id == site.id
            found = connection.execute(select(remote_runs.c.id, remote_runs.c.created).where(mine, is_open)).first()
            if found is not None:
                raise BackupRunningError(
                    f"A run of the site {site.name} waits or is under way since {found.created:%Y-%m-%d %H:%M:%S} UTC: "
                    "wait for its end, or cancel it."
                )
            _forget_old(connection, site.id)
            backup = _record(connection, record, job, run_id) if record is not None else None
            values = {
                "site_id": site.id,
                "run_id": run_id,
                "backup_id": backup.id if backup is not None else None,
                "state": "waiting",
                "priority": site.priority or 0 if priority is None else priority,
                "created": now,
                "host": site.host,
                "holder": "",
                "attempts": 0,
                "cancelled": False,
                "request": self._vault.encrypt(json.dumps(dict(request))),
                "checkpoint": {},
                "progress": {},
                "message": "",
            }
            return RemoteRun(
                **connection.execute(insert(remote_runs).values(values).returning(*_COLUMNS)).one()._asdict()
            )

    def find(self, remote_run_id: int) -> RemoteRun | None:
        """Return a run, or None."""
        found = self._found(remote_runs.c.id == remote_run_id)
        return found[0] if found else None

    def get(self, remote_run_id: int) -> RemoteRun:
        """Return a run.

        Raises:
            NotFoundError: there is none of that number.
        """
        if (found := self.find(remote_run_id)) is None:
            raise NotFoundError(f"There is no run {remote_run_id} of a remote site.")
        return found

    def open(self) -> list[RemoteRun]:
        """Return the runs that have not ended, the oldest first."""
        return self._found(remote_runs.c.ended.is_(None))

    def open_of(self, site_id: int) -> RemoteRun | None:
        """Return the run of a site that has not ended, or None."""
        found = self._found(remote_runs.c.site_id == site_id, remote_runs.c.ended.is_(None))
        return found[0] if found else None

    def of_backup(self, backup_id: int) -> RemoteRun | None:
        """Return the run that takes or took a backup, or None."""
        found = self._found(remote_runs.c.backup_id == backup_id)
        return found[-1] if found else None

    def of_schedule_run(self, run_id: int) -> RemoteRun | None:
        """Return the run that was made for a run of a schedule, or None."""
        found = self._found(remote_runs.c.run_id == run_id)
        return found[-1] if found else None

    def newest(
        self,
        offset: int = 0,
        limit: int | None = None,
        *,
        site_id: int | None = None,
        state: RemoteRunState | None = None,
    ) -> list[RemoteRun]:
        """Return runs, newest first.

        Args:
            offset: how many of the newest to pass over.
            limit: how many to return at most; None: all.
            site_id: only those of this site.
            state: only those in this state.
        """
        query = select(*_COLUMNS).order_by(remote_runs.c.id.desc())
        query = query if site_id is None else query.where(remote_runs.c.site_id == site_id)
        query = query if state is None else query.where(remote_runs.c.state == state)
        query = query.offset(offset) if offset else query
        query = query if limit is None else query.limit(limit)
        with self._engine.connect() as connection:
            return [RemoteRun(**row._asdict()) for row in connection.execute(query)]

    def request(self, remote_run_id: int) -> dict[str, Any]:
        """Return what is wanted of the backup of a run; nothing when that has ended."""
        with self._engine.connect() as connection:
            query = select(remote_runs.c.request).where(remote_runs.c.id == remote_run_id)
            found = connection.execute(query).scalar_one_or_none()
        known: dict[str, Any] = json.loads(self._vault.decrypt(found)) if found else {}
        return known

    def claim(self, remote_run_id: int, holder: str, now: datetime, *, previous: str = "") -> bool:
        """Take a run.

        Args:
            remote_run_id: which.
            holder: a word that no other worker, and no other attempt, has.
            now: this moment.
            previous: who holds it now; empty: nobody. Whoever that is loses it.

        Returns:
            Whether the run is this holder's; False where it has ended, or is another's.
        """
        with self._writer.begin() as connection:
            row = connection.execute(select(remote_runs).where(remote_runs.c.id == remote_run_id)).one_or_none()
            if row is None or row.ended is not None or row.holder not in (holder, previous):
                return False
            if row.holder == holder:
                return True
            values = {
                "state": "running",
                "holder": holder,
                "begun": func.coalesce(remote_runs.c.begun, literal(now, UtcDateTime())),
                "attempts": row.attempts + 1,
            }
            connection.execute(update(remote_runs).where(remote_runs.c.id == remote_run_id).values(values))
            started = {"state": "running", "started": func.coalesce(runs.c.started, literal(now, UtcDateTime()))}
            of_schedule = (runs.c.id == row.run_id, runs.c.state.in_(("waiting", "running")))
            connection.execute(update(runs).where(*of_schedule).values(started))
        return True

    def release(self, remote_run_id: int, holder: str) -> bool:
        """Give a run back, so that another worker may go on with it; return whether it was this holder's."""
        return self._held(remote_run_id, holder, {"state": "waiting", "holder": ""})

    def save(self, remote_run_id: int, holder: str, **values: Any) -> bool:
        """Change columns of a run, on disk when the call returns; return False where it is not this holder's."""
        return self._held(remote_run_id, holder, values)

    def make_record(self, remote_run_id: int, holder: str, record: Mapping[str, Any], job: bytes) -> Backup | None:
        """Make the record of a run that has none yet, and note both in each other.

        Args:
            remote_run_id: which.
            holder: who has it.
            record: columns of the record.
            job: its plan, encrypted.

        Returns:
            The record; None where the run is not this holder's, or has its record already.

        Raises:
            BackupRunningError: the schedule's run has its backup already.
        """
        with self._writer.begin() as connection:
            mine = _is_held(remote_run_id, holder)
            row = connection.execute(select(remote_runs).where(*mine, remote_runs.c.backup_id.is_(None))).one_or_none()
            if row is None:
                return None
            backup = _record(connection, record, job, row.run_id)
            connection.execute(update(remote_runs).where(*mine).values(backup_id=backup.id))
        return backup

    def cancel(self, remote_run_id: int, now: datetime, message: str) -> bool:
        """Ask for the end of a run; one that nobody has ends at once, with its record.

        Returns:
            Whether there was one to end.
        """
        with self._writer.begin() as connection:
            row = connection.execute(select(remote_runs).where(remote_runs.c.id == remote_run_id)).one_or_none()
            if row is None or row.ended is not None:
                return False
            connection.execute(update(remote_runs).where(remote_runs.c.id == remote_run_id).values(cancelled=True))
            if not row.holder and not row.checkpoint:
                self._end(connection, row, "cancelled", message, now)
        return True

    def end(self, remote_run_id: int, holder: str, state: RemoteRunState, message: str, now: datetime) -> bool:
        """Note how a run ended, in its row, its record and its schedule's run at once.

        Args:
            remote_run_id: which.
            holder: who has it.
            state: ``done``, ``failed`` or ``cancelled``; with the latter two, a record that is not complete fails.
            message: how it ended.
            now: this moment.

        Returns:
            False where it is not this holder's, or has ended.
        """
        with self._writer.begin() as connection:
            row = connection.execute(select(remote_runs).where(*_is_held(remote_run_id, holder))).one_or_none()
            if row is None:
                return False
            self._end(connection, row, state, message, now)
        return True

    def _end(self, connection: Connection, row: Any, state: RemoteRunState, message: str, now: datetime) -> None:
        values: dict[str, Any] = {
            "state": state,
            "ended": now,
            "message": message,
            "request": b"",
            "progress": {},
            "holder": "",
        }
        connection.execute(update(remote_runs).where(remote_runs.c.id == row.id).values(values))
        if row.backup_id is not None:
            if state != "done":
                fail_backup(connection, row.backup_id, message, machine=self._machine)
            wiped = update(jobs).where(jobs.c.backup_id == row.backup_id)
            connection.execute(wiped.values(plan=b"", checkpoint=None))
        if row.run_id is not None:
            ended = {"state": "done" if state == "done" else "failed", "message": message, "ended": now}
            mine = (runs.c.id == row.run_id, runs.c.state.in_(("waiting", "running")))
            connection.execute(update(runs).where(*mine).values(ended))

    def _held(self, remote_run_id: int, holder: str, values: Mapping[str, Any]) -> bool:
        query = update(remote_runs).where(*_is_held(remote_run_id, holder)).values(dict(values))
        with self._beside.begin() as connection:
            return connection.execute(query).rowcount > 0

    def _found(self, *conditions: Any) -> list[RemoteRun]:
        query = select(*_COLUMNS).where(*conditions).order_by(remote_runs.c.id)
        with self._engine.connect() as connection:
            return [RemoteRun(**row._asdict()) for row in connection.execute(query)]


def _is_held(remote_run_id: int, holder: str) -> tuple[Any, ...]:
    return remote_runs.c.id == remote_run_id, remote_runs.c.holder == holder, remote_runs.c.ended.is_(None)


def _of_schedule_run(connection: Connection, run_id: int) -> RemoteRun | None:
    row = connection.execute(select(*_COLUMNS).where(remote_runs.c.run_id == run_id)).one_or_none()
    return RemoteRun(**row._asdict()) if row is not None else None


def _site_of(connection: Connection, profile_id: int) -> Any:
    query = select(sites.c.id, sites.c.name, sites.c.host, groups.c.priority).outerjoin(
        groups, groups.c.id == sites.c.group_id
    )
    found = connection.execute(query.where(sites.c.profile_id == profile_id, sites.c.kind == "remote")).first()
    if found is None:
        raise NotFoundError(f"Profile {profile_id} is of no remote site: see the sites with 'backstay site list'.")
    return found


def _record(connection: Connection, record: Mapping[str, Any], job: bytes | None, run_id: int | None) -> Backup:
    return insert_backup(connection, {**record, "machine": ANY_MACHINE}, job=job, run_id=run_id)


def _forget_old(connection: Connection, site_id: int) -> None:
    mine = (remote_runs.c.site_id == site_id, remote_runs.c.ended.is_not(None))
    oldest = (
        select(remote_runs.c.id).where(*mine).order_by(remote_runs.c.id.desc()).offset(KEPT_REMOTE_RUNS - 1).limit(1)
    )
    connection.execute(delete(remote_runs).where(*mine, remote_runs.c.id <= oldest.scalar_subquery()))
