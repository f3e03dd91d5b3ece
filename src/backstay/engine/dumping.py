"""Dumping the databases of a backup while its files are packed."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, astuple, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from backstay.archives import Compression
from backstay.catalogue import Vault
from backstay.databases import DatabaseAddress, DumpOptions, DumpProgress, DumpSummary, dump
from backstay.engine.log import log_files
from backstay.engine.plan import Plan, PlannedDatabase
from backstay.engine.spool import PlainFolder, Spool, restored, stored
from backstay.errors import BackstayError, BackupFailedError
from backstay.processes import (
    BackgroundThread,
    Child,
    error_of,
    error_values,
    has_message,
    receive,
    send,
    start_background,
)
from backstay.profiles import Filters, Settings
from backstay.steps import finished
from backstay.storage import sync

_REPORT_SECONDS = 0.1
_MOST_ATTEMPTS = 5

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Dumped:
    """A database that was dumped whole.

    Attributes:
        dump_file: name of its first part.
        metadata: its entry in ``databases.json``.
        rows: how many were dumped.
        parts: names and deflated files, as plain JSON (see ``spool.stored``).
        skipped: objects that the server did not give.
    """

    dump_file: str
    metadata: dict[str, Any]
    rows: int
    parts: list[dict[str, Any]] = field(repr=False)
    skipped: int = 0


class _ReaderGone(Exception):  # noqa: N818 - not an error: the backup ends, and the dump with it
    """Nobody listens any more."""


class Dumping:
    """The dump of every planned database, one after the other, beside the packing.

    It runs in a process of its own, for dumping and packing would wait for each other's interpreter; where the program
    has threads already, and so must not fork, in one more thread. Either way what it reports comes through a
    channel.
    """

    def __init__(self, plan: Plan, folder: Path, *, on_warning: Callable[[str], None]) -> None:
        self._plan = plan
        self._folder = folder
        self._warn = on_warning
        self._worker: Child | BackgroundThread | None = None
        self._attempts = 0
        self._results: list[Dumped] = []
        self._ended = False
        self.progress: DumpProgress | None = None
        self.finished = 0

    def start(self) -> None:
        """Begin."""
        self._attempts += 1
        self._results = []
        self.finished = 0
        work = _Work(self._plan, self._folder)
        self._worker = start_background(work.run, keep=log_files())

    def running(self) -> bool:
        """Return whether there is more to come.

        Raises:
            BackstayError: a database could not be dumped.
        """
        self.wait(0)
        return not self._ended

    def wait(self, seconds: float) -> None:
        """Take in what the dump reports, and wait for the next report at most this long.

        Raises:
            BackstayError: a database could not be dumped.
        """
        while self._worker is not None and has_message(self._worker.channel, seconds):
            seconds = 0
            try:
                kind, content = json.loads(receive(self._worker.channel))
            except (EOFError, OSError):
                self._go_on_after_death()
                continue
            self._take(kind, content)

    def stop(self) -> None:
        """End the dump early, because the backup ends; does not wait for a database that does not answer."""
        if self._worker is not None:
            self._worker.end()
            self._worker = None

    def results(self) -> list[Dumped]:
        """Return what was dumped, once it is all there.

        Raises:
            BackstayError: a database could not be dumped.
        """
        while not self._ended:
            self.wait(1.0)
        return self._results

    def _take(self, kind: str, content: Any) -> None:
        if kind == "progress":
            self.progress = DumpProgress(*content)
        elif kind == "warning":
            self._warn(content)
        elif kind == "dumped":
            self._results.append(Dumped(**content))
            self.finished += 1
        else:
            self.stop()
            if kind == "error":
                raise error_of(content)
            self._ended = True

    def _go_on_after_death(self) -> None:
        """Begin anew where the system has ended the process; a dump writes nothing that would be in the way."""
        worker = self._worker
        self.stop()
        if isinstance(worker, BackgroundThread) and worker.error is not None:
            # Nobody ends a thread from outside: whatever this is, it is not for the dump to answer.
            raise worker.error
        if self._attempts >= _MOST_ATTEMPTS:
            raise BackupFailedError(
                f"The process that dumps the databases died {self._attempts} times: the system's log may say why (too "
                "little memory, perhaps)."
            )
        _log.warning("The process that dumps the databases died; the dump is begun anew")
        self.start()

    @property
    def fraction(self) -> float:
        """How much of the work is done, 0 to 1."""
        share = 0.0
        if self.progress is not None and self.progress.rows_total:
            share = min(1.0, self.progress.rows_done / self.progress.rows_total)
        return min(1.0, (self.finished + share) / max(1, len(self._plan.databases)))


class _Work:
    """What is done in the other process or thread."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self._plan = plan
        self._folder = folder
        self._channel: socket.socket | None = None
        self._reported_at = 0.0

    def run(self, channel: socket.socket) -> None:
        self._channel = channel
        try:
            for number, database in enumerate(self._plan.databases):
                self._send("dumped", asdict(self._dump(number, database)))
        except _ReaderGone:
            return
        except Exception as error:  # noqa: BLE001 - raised again where the backup waits for it
            if not isinstance(error, BackstayError):
                _log.exception("The dump failed")
            with contextlib.suppress(_ReaderGone):
                self._send("error", error_values(error))
        else:
            with contextlib.suppress(_ReaderGone):
                self._send("end", None)

    def _send(self, kind: str, content: Any) -> None:
        if self._channel is not None:
            try:
                send(self._channel, json.dumps([kind, content]))
            except OSError as error:
                raise _ReaderGone from error

    def _report_progress(self, progress: DumpProgress) -> None:
        now = time.monotonic()
        if now - self._reported_at >= _REPORT_SECONDS:
            self._reported_at = now
            self._send("progress", astuple(progress))

    def _dump(self, number: int, database: PlannedDatabase) -> Dumped:
        settings = self._plan.settings
        plain = settings.backup_type == "dbonly"
        sink: Spool | PlainFolder
        if plain:
            sink = PlainFolder(Path(self._plan.archive))
        else:
            sink = Spool(self._folder / str(number), Compression(settings.compression))
        address = database.address()
        _log.info("Dumping the database %s", address.redacted())
        options = dump_options(settings, Filters.from_stored(self._plan.filters), database, plain=plain)
        try:
            summary = self._drive(address, sink, database, options)
            sink.sync()
            parts = stored(sink.finished()) if isinstance(sink, Spool) else []
        finally:
            sink.close()
        return Dumped(database.dump_file, dict(summary.metadata), summary.rows, parts, len(summary.skipped))

    def _drive(
        self, address: DatabaseAddress, sink: Spool | PlainFolder, database: PlannedDatabase, options: DumpOptions
    ) -> DumpSummary:
        work = dump(address, sink, name=database.dump_file, options=options, on_warning=partial(self._send, "warning"))
        return finished(work, self._report_progress)


def dump_options(settings: Settings, filters: Filters, database: PlannedDatabase, *, plain: bool) -> DumpOptions:
    """Return how a database is dumped.

    Args:
        settings: of the backup.
        filters: of the profile; those of the database's root count.
        database: which one.
        plain: one file with real names and DROP statements, for database-only backups.
    """
    root = database.root
    changes: dict[str, Any] = {
        "packet_size": settings.dump_packet_size,
        "extended_inserts": settings.dump_extended_inserts,
        "entities": settings.dump_entities,
        "strip_engine_options": settings.dump_strip_engine_options,
        "strict": settings.strict_database,
        "blank_credentials": settings.blank_out_password,
        "cut_by_content": bool(settings.repository),
        "skip_tables": frozenset(filters.nodes("tables", root)),
        "skip_table_data": frozenset(filters.nodes("tabledata", root)),
        "skip_tables_regex": filters.nodes("regextables", root),
        "skip_table_data_regex": filters.nodes("regextabledata", root),
    }
    return DumpOptions.single_file(**changes) if plain else DumpOptions(part_size=settings.dump_part_size, **changes)


def keep_dumps(path: Path, dumps: Iterable[Dumped], vault: Vault) -> None:
    """Write down finished dumps, encrypted (their metadata may hold a password), whole or not at all."""
    content = vault.encrypt(json.dumps([asdict(dumped) for dumped in dumps]))
    staged = path.with_name(f".{path.name}")
    staged.write_bytes(content)
    sync([staged])
    staged.replace(path)
    sync([path.parent])


def kept_dumps(path: Path, vault: Vault) -> list[Dumped] | None:
    """Return the dumps that were written down, or None where they, or files of theirs, are not there any more."""
    try:
        dumps = [Dumped(**values) for values in json.loads(vault.decrypt(path.read_bytes()))]
    except FileNotFoundError:
        return None
    return dumps if all(restored(found.parts) is not None for found in dumps) else None
