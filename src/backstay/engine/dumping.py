"""Dumping the databases of a backup while its files are packed."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from backstay.archives import Compression
from backstay.catalogue import Vault
from backstay.databases import DatabaseAddress, DumpOptions, DumpProgress, DumpSummary, dump
from backstay.engine.plan import Plan, PlannedDatabase
from backstay.engine.spool import PlainFolder, Spool, restored, stored
from backstay.profiles import Filters, Settings
from backstay.storage import sync

_PATIENCE_SECONDS = 10.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Dumped:
    """A database that was dumped whole.

    Attributes:
        dump_file: name of its first part.
        metadata: its entry in ``databases.json``.
        rows: how many were dumped.
        parts: names and deflated files, as plain JSON (see ``spool.stored``).
    """

    dump_file: str
    metadata: dict[str, Any]
    rows: int
    parts: list[dict[str, Any]] = field(repr=False)


class _Stopped(Exception):  # noqa: N818 - not an error: the backup ends, and the dump with it
    pass


class Dumping:
    """The dump of every planned database, one after the other, in a thread of its own."""

    def __init__(self, plan: Plan, folder: Path, *, on_warning: Callable[[str], None]) -> None:
        self._plan = plan
        self._folder = folder
        self._warn = on_warning
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dump", daemon=True)
        self._error: BaseException | None = None
        self._results: list[Dumped] = []
        self.progress: DumpProgress | None = None
        self.finished = 0
        self.sql_size = 0

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def running(self) -> bool:
        """Return whether there is more to come; an error in the dump is raised here."""
        if self._error is not None:
            raise self._error
        return self._thread.is_alive()

    def wait(self, seconds: float) -> None:
        """Wait for the end, at most this long."""
        self._thread.join(seconds)

    def stop(self) -> None:
        """End the dump early, because the backup ends; waits for it, but not for a database that does not answer."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_PATIENCE_SECONDS)

    def results(self) -> list[Dumped]:
        """Return what was dumped, once it is all there.

        Raises:
            BackstayError: a database could not be dumped.
        """
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._results

    @property
    def fraction(self) -> float:
        """How much of the work is done, 0 to 1."""
        share = 0.0
        if self.progress is not None and self.progress.rows_total:
            share = min(1.0, self.progress.rows_done / self.progress.rows_total)
        return min(1.0, (self.finished + share) / max(1, len(self._plan.databases)))

    def _run(self) -> None:
        try:
            for number, database in enumerate(self._plan.databases):
                self._results.append(self._dump(number, database))
                self.finished += 1
        except _Stopped:
            return
        except BaseException as error:  # noqa: BLE001 - raised again where the backup waits for it
            self._error = error

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
        finally:
            sink.close()
        parts = stored(sink.finished()) if isinstance(sink, Spool) else []
        self.sql_size += sum(part["size"] for part in parts)
        return Dumped(database.dump_file, dict(summary.metadata), summary.rows, parts)

    def _drive(
        self, address: DatabaseAddress, sink: Spool | PlainFolder, database: PlannedDatabase, options: DumpOptions
    ) -> DumpSummary:
        work = dump(address, sink, name=database.dump_file, options=options, on_warning=self._warn)
        try:
            while True:
                try:
                    self.progress = next(work)
                except StopIteration as end:
                    summary: DumpSummary = end.value
                    return summary
                if self._stop.is_set():
                    raise _Stopped
        finally:
            work.close()


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
        "blank_credentials": settings.blank_out_password,
        "skip_tables": frozenset(filters.nodes("tables", root)),
        "skip_table_data": frozenset(filters.nodes("tabledata", root)),
        "skip_tables_regex": filters.nodes("regextables", root),
        "skip_table_data_regex": filters.nodes("regextabledata", root),
    }
    return DumpOptions.single_file(**changes) if plain else DumpOptions(part_size=settings.dump_part_size, **changes)


def keep_dumps(path: Path, dumps: Iterable[Dumped], vault: Vault) -> None:
    """Write down finished dumps, encrypted (their metadata may hold a password), whole or not at all."""
    content = vault.seal(json.dumps([asdict(dumped) for dumped in dumps]))
    staged = path.with_name(f".{path.name}")
    staged.write_bytes(content)
    sync([staged])
    staged.replace(path)
    sync([path.parent])


def kept_dumps(path: Path, vault: Vault) -> list[Dumped] | None:
    """Return the dumps that were written down, or None where they, or files of theirs, are not there any more."""
    try:
        dumps = [Dumped(**values) for values in json.loads(vault.open(path.read_bytes()))]
    except FileNotFoundError:
        return None
    return dumps if all(restored(found.parts) is not None for found in dumps) else None
