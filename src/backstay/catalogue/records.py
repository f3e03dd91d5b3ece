"""Backup records: what the catalogue knows of each backup that was taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import Connection, Engine, Row, delete, func, insert, select, update

from backstay.catalogue.backup_search import BackupSearch
from backstay.catalogue.jobs import NEW_JOB
from backstay.catalogue.schema import backups, counts, jobs, runs, unproven, warnings
from backstay.errors import BackupRunningError

Status = Literal["run", "fail", "complete"]


@dataclass(frozen=True, slots=True)
class Backup:
    """One backup record (engine-behaviour, backup records), with what Backstay knows beyond the reference engine.

    Attributes:
        backupstart, backupend: moments in UTC; ``backupend`` is None until the backup has ended.
        absolute_path: of the main (last) part; empty until the archive is created.
        multipart: number of parts; 0 where splitting is off.
        total_size: bytes of all parts.
        error: why the backup failed; empty where it did not.
        warning_count: how many warnings it gave; the texts are in ``BackupTable.warnings``.
        proof: how the archive was proven: ``{"level", "ok", "at", "parts": [{"name", "size", "blake3"}],
            "manifest"}``; empty before. Later proofs are beside that: ``drill``, and ``verifications``, the latest one
            of each place by the storage's name (empty for this machine): ``{"ok", "at", "problems"}``.
        machine: name of the machine that takes it, and on whose disk its files lie; empty: the only one there is.
    """

    id: int
    description: str
    comment: str
    backupstart: datetime
    backupend: datetime | None
    status: Status
    origin: str
    type: str
    profile_id: int
    archivename: str
    absolute_path: str
    multipart: int
    tag: str | None
    backupid: str | None
    filesexist: bool
    remote_filename: str | None
    total_size: int
    frozen: bool
    instep: bool
    error: str = ""
    warning_count: int = 0
    proof: dict[str, Any] = field(default_factory=dict)
    machine: str = ""

    @property
    def meta(self) -> Literal["ok", "obsolete", "remote", "pending", "fail"]:
        """The state a list shows, derived as the reference engine derives it."""
        if self.status == "run":
            return "pending"
        if self.status == "fail":
            return "fail"
        if self.filesexist:
            return "ok"
        return "remote" if self.remote_filename else "obsolete"


_NEW: dict[str, Any] = {
    "status": "run",
    "absolute_path": "",
    "multipart": 0,
    "filesexist": True,
    "total_size": 0,
    "frozen": False,
    "instep": False,
    "error": "",
    "warning_count": 0,
    "proof": {},
}
"""Columns of a record that begins, besides what it is of."""

BACKUP_COLUMNS = [backups.c[item.name] for item in fields(Backup)]


def _backup(row: Row[Any]) -> Backup:
    return Backup(**row._asdict())


def _is_unproven(proof: dict[str, Any]) -> bool:
    drill = proof.get("drill", {}).get("verdict", "passed")
    return drill != "passed" or not all(one["ok"] for one in proof.get("verifications", {}).values())


def insert_backup(
    connection: Connection, values: Mapping[str, Any], *, job: bytes | None, run_id: int | None
) -> Backup:
    """Make a record in a transaction; see ``BackupTable.create``.

    Args:
        connection: of the transaction.
        values: of the record, by the names of its columns; what is left out is as in a new one.
        job: the plan, encrypted.
        run_id: number of the schedule's run that it is taken for.

    Raises:
        BackupRunningError: that run has its backup already.
    """
    number = connection.execute(insert(backups).values({**_NEW, **values}).returning(backups.c.id)).scalar_one()
    if run_id is not None:
        taken = update(runs).where(runs.c.id == run_id, runs.c.backup_id.is_(None)).values(backup_id=number)
        if connection.execute(taken).rowcount == 0:
            raise BackupRunningError(f"Run {run_id} of a schedule has its backup already.")
    if job is not None:
        connection.execute(insert(jobs).values(backup_id=number, plan=job, **NEW_JOB))
    return _backup(connection.execute(select(*BACKUP_COLUMNS).where(backups.c.id == number)).one())


def fail_backup(connection: Connection, backup_id: int, error: str, **values: Any) -> bool:
    """Mark a backup as failed in a transaction; see ``BackupTable.end``."""
    failed = {
        "status": "fail",
        "error": error,
        "backupend": datetime.now(UTC),
        "filesexist": False,
        "multipart": 0,
        "instep": False,
        "proof": {},
        **values,
    }
    query = update(backups).where(backups.c.id == backup_id, backups.c.status == "run").values(failed)
    ended = connection.execute(query).rowcount > 0
    if ended:
        # Nothing is compared with what was not kept.
        connection.execute(delete(counts).where(counts.c.backup_id == backup_id))
    return ended


class BackupTable:
    """Reads and writes the records."""

    def __init__(self, engine: Engine, machine: str = "") -> None:
        self._engine = engine
        self._writer = engine.execution_options(writes=True)
        self._machine = machine

    def create(
        self,
        *,
        profile_id: int,
        backupstart: datetime,
        type: str,  # noqa: A002 - the column's name in every version of the API
        description: str = "",
        comment: str = "",
        origin: str = "backend",
        tag: str | None = None,
        backupid: str | None = None,
        archivename: str = "",
        job: bytes | None = None,
        run_id: int | None = None,
    ) -> Backup:
        """Make the record of a backup that begins, with status ``run``.

        With the plan of its job, encrypted by ``JobTable.encrypted``, record and job appear at the same moment, so that
        nobody ever sees a running backup that nobody is to take. With the number of a schedule's run, that run has this
        backup from the same moment on: it never gets a second.

        Raises:
            BackupRunningError: that run has its backup already.
        """
        values = {
            "description": description,
            "comment": comment,
            "backupstart": backupstart,
            "origin": origin,
            "type": type,
            "profile_id": profile_id,
            "archivename": archivename,
            "tag": tag,
            "backupid": backupid,
            "machine": self._machine,
        }
        with self._writer.begin() as connection:
            return insert_backup(connection, values, job=job, run_id=run_id)

    def get(self, backup_id: int) -> Backup | None:
        """Return a record by its number, or None."""
        with self._engine.connect() as connection:
            row = connection.execute(select(*BACKUP_COLUMNS).where(backups.c.id == backup_id)).one_or_none()
        return None if row is None else _backup(row)

    def find(self, backupid: str) -> Backup | None:
        """Return the newest record with this backup id (``id-…``), or None."""
        query = select(*BACKUP_COLUMNS).where(backups.c.backupid == backupid).order_by(backups.c.id.desc()).limit(1)
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _backup(row)

    def newest(
        self,
        offset: int = 0,
        limit: int | None = None,
        *,
        status: Status | None = None,
        profile_id: int | None = None,
        matching: BackupSearch | None = None,
    ) -> list[Backup]:
        """Return records, newest first.

        Args:
            offset: how many of the newest to pass over.
            limit: how many to return at most; None: all.
            status: only those with this status.
            profile_id: only those of this profile.
            matching: only those that a person looks for.
        """
        query = select(*BACKUP_COLUMNS).order_by(backups.c.id.desc())
        if matching is not None:
            query = query.where(*matching.conditions())
        if status is not None:
            query = query.where(backups.c.status == status)
        if profile_id is not None:
            query = query.where(backups.c.profile_id == profile_id)
        query = query.offset(offset) if offset else query
        query = query.limit(limit) if limit is not None else query
        with self._engine.connect() as connection:
            return [_backup(row) for row in connection.execute(query)]

    def count(self) -> int:
        """Return the number of records."""
        with self._engine.connect() as connection:
            return connection.execute(select(func.count()).select_from(backups)).scalar_one()

    def newest_with_path(self, paths: Sequence[str]) -> dict[str, int]:
        """Return, for each archive path, the highest record number that claims it."""
        query = (
            select(backups.c.absolute_path, func.max(backups.c.id))
            .where(backups.c.absolute_path.in_(paths))
            .group_by(backups.c.absolute_path)
        )
        with self._engine.connect() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def update(self, backup_id: int, **values: Any) -> None:
        """Change columns of a record, on disk when the call returns."""
        with self._writer.begin() as connection:
            connection.execute(update(backups).where(backups.c.id == backup_id).values(**values))

    def update_proof(self, backup_id: int, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        """Change what is known of the proof of a backup; nobody else changes it between reading and writing.

        Args:
            backup_id: number of the record; one that is gone stays so.
            change: makes of the proof as it is the one that is kept.
        """
        with self._writer.begin() as connection:
            proof = connection.execute(select(backups.c.proof).where(backups.c.id == backup_id)).scalar_one_or_none()
            if proof is None:
                return
            changed = change(proof)
            connection.execute(update(backups).where(backups.c.id == backup_id).values(proof=changed))
            connection.execute(delete(unproven).where(unproven.c.backup_id == backup_id))
            if _is_unproven(changed):
                connection.execute(insert(unproven).values(backup_id=backup_id))

    def unproven(self) -> list[Backup]:
        """Return the complete backups of which the last drill, or the last verification at some place, did not pass."""
        query = select(*BACKUP_COLUMNS).join(unproven, unproven.c.backup_id == backups.c.id)
        with self._engine.connect() as connection:
            rows = connection.execute(query.where(backups.c.status == "complete").order_by(backups.c.id.desc()))
            return [_backup(row) for row in rows]

    def claim(self, backup_id: int, archivename: str, absolute_path: str) -> None:
        """Note where the archive of a backup goes; older records that claim the same place have no files any more."""
        with self._writer.begin() as connection:
            connection.execute(
                update(backups)
                .where(backups.c.absolute_path == absolute_path, backups.c.id != backup_id, backups.c.filesexist)
                .values(filesexist=False)
            )
            connection.execute(
                update(backups)
                .where(backups.c.id == backup_id)
                .values(archivename=archivename, absolute_path=absolute_path)
            )

    def end(self, backup_id: int, *, error: str) -> bool:
        """Mark a backup that runs as failed, with the reason; return whether it ran: one that is complete stays so."""
        with self._writer.begin() as connection:
            return fail_backup(connection, backup_id, error)

    def delete(self, backup_id: int) -> bool:
        """Remove a record with its warnings and its job; return whether it was there."""
        with self._writer.begin() as connection:
            return connection.execute(delete(backups).where(backups.c.id == backup_id)).rowcount > 0

    def add_warnings(self, backup_id: int, first: int, messages: Sequence[str]) -> None:
        """Keep warnings of a backup, numbered from ``first`` on.

        Numbers that are there already are left as they are: a job that was resumed reports some twice.
        """
        with self._writer.begin() as connection:
            known = connection.execute(
                select(func.max(warnings.c.number)).where(warnings.c.backup_id == backup_id)
            ).scalar_one()
            rows = [
                {"backup_id": backup_id, "number": number, "message": message}
                for number, message in enumerate(messages, first)
                if known is None or number > known
            ]
            if rows:
                connection.execute(insert(warnings), rows)
                connection.execute(
                    update(backups).where(backups.c.id == backup_id).values(warning_count=rows[-1]["number"])
                )

    def warnings(self, backup_id: int, after: int = 0) -> list[tuple[int, str]]:
        """Return the warnings of a backup with their numbers, in order, from behind a number on."""
        query = (
            select(warnings.c.number, warnings.c.message)
            .where(warnings.c.backup_id == backup_id, warnings.c.number > after)
            .order_by(warnings.c.number)
        )
        with self._engine.connect() as connection:
            return [(row.number, row.message) for row in connection.execute(query)]
