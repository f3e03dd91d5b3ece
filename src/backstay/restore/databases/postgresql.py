"""PostgreSQL: loaded in one transaction at the swap; a dump of what was there is the way back.

A server of this kind has no rename that would move every object of a database at once, but its transactions hold
definitions too: the load itself is the swap. The dump of the old content is made while the new one is staged.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO

from backstay.databases import (
    DatabaseAddress,
    DumpOptions,
    ExistingTables,
    LoadProgress,
    LoadSummary,
    TableChoice,
    dump,
    load,
)
from backstay.databases.metadata import table_summaries
from backstay.databases.skipped import refused_warning
from backstay.errors import DumpError, LoadError, TablesExistError
from backstay.restore.databases.copytext import replaced_in_copies
from backstay.restore.databases.stage import Source, StageRequest, present_tables
from backstay.steps import converted, finished

_METADATA = "metadata.json"
_CHUNK = 1 << 20


class _Folder:
    """Parts of a dump in a private folder."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def open(self, name: str) -> BinaryIO:
        """Begin a part."""
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._path / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        return os.fdopen(descriptor, "wb")

    def close(self, names: list[str], metadata: dict[str, Any]) -> None:
        """Note which parts there are, and sync all of it."""
        for name in names:
            with (self._path / name).open("rb+") as file:
                os.fsync(file.fileno())
        with self.open(_METADATA) as file:
            file.write(json.dumps({"parts": names, "metadata": metadata}).encode())
            file.flush()
            os.fsync(file.fileno())

    def read(self) -> tuple[list[Source], dict[str, Any]]:
        """Return the parts and the metadata; none where the folder was not closed."""
        try:
            page = json.loads((self._path / _METADATA).read_bytes())
        except FileNotFoundError:
            return [], {}
        return [(name, _opener(self._path / name)) for name in page["parts"]], page["metadata"]


def _opener(path: Path) -> Callable[[], BinaryIO]:
    return lambda: path.open("rb")


class PostgreSQLStage:
    """One PostgreSQL database that is restored; see ``Stage``."""

    def __init__(
        self,
        address: DatabaseAddress,
        policy: ExistingTables,
        folder: Path,
        refused_file: Path,
        state: dict[str, Any] | None = None,
    ) -> None:
        self._address = address
        self._policy = policy
        self._folder = folder
        self._new, self._old = _Folder(folder / "new"), _Folder(folder / "old")
        self._had_tables = bool(state and state["had_tables"])
        self._only_tables: tuple[str, ...] = tuple(state.get("only_tables", ())) if state else ()
        self._refused_file = refused_file
        self.refused: list[str] = []
        self.replaced: dict[str, int] = dict(state["replaced"]) if state else {}

    @property
    def replaces(self) -> bool:
        """Whether the database held anything."""
        return self._had_tables

    def stage(self, request: StageRequest) -> Generator[LoadProgress, None, LoadSummary]:
        """Copy the dump out of the archive, and dump what the database holds."""
        self.discard()
        present = present_tables(self._address)
        if present and self._policy is ExistingTables.REFUSE and not request.only_tables:
            raise TablesExistError(
                f"The database {self._address.name!r} already holds {min(present)}: load into an empty database, "
                "or say that its tables may be replaced or backed up."
            )
        self._had_tables = bool(present)
        self._only_tables = request.only_tables
        size = 0
        try:
            if present:
                yield from self._keep_old(request.on_warning)
            names = []
            for name, opener in request.parts:
                names.append(name)
                with closing(opener()) as source, self._new.open(name) as target:
                    for block in self._blocks(source, request):
                        target.write(block)
                        size += len(block)
                        yield LoadProgress(name, "", 0, 0, size)
            self._new.close(names, request.metadata or {})
        except BaseException:
            self.discard()
            raise
        # The rows are counted by the dump itself: they are loaded only at the swap.
        wanted = self._wanted(request.metadata)
        counted = table_summaries(request.metadata or {})
        rows = sum(summary.rows for name, summary in counted.items() if wanted(name))
        tables = [name for name in _names(request.metadata, "table") if wanted(name)]
        others = [name for name in _names(request.metadata) if wanted(name) and name not in tables]
        return LoadSummary(tuple(tables), tuple(others) if request.only_tables else (), rows, size)

    def _wanted(self, metadata: dict[str, Any] | None) -> Callable[[str], bool]:
        prefix = str((metadata or {}).get("prefix") or "")
        choice = TableChoice(self._only_tables, dumped_prefix=prefix, prefix=self._address.prefix)

        def wanted(label: str) -> bool:
            schema, _, name = label.rpartition(".")
            return choice.wants(name, schema or "public")

        return wanted

    def _blocks(self, source: BinaryIO, request: StageRequest) -> Iterator[bytes]:
        if request.replacer:
            yield from replaced_in_copies(source, request.replacer, self.replaced)
            return
        while block := source.read(_CHUNK):
            yield block

    def _keep_old(self, on_warning: Callable[[str], None]) -> Generator[LoadProgress]:
        # Strict: what can't be read now could not be restored either.
        options = DumpOptions(abstract_names=False, part_size=0, strict=True)
        work = dump(self._address, self._old, options=options, on_warning=on_warning)
        try:
            summary = yield from converted(work, lambda step: LoadProgress("", step.table, step.rows_done, 0, 0))
        except DumpError as error:
            raise LoadError(
                f"{self._address.redacted()} was not touched, for what it holds can't be read whole and could not be "
                f"brought back. {error} Give the account the right, or load into an empty database."
            ) from error
        self._old.close(list(summary.parts), dict(summary.metadata))

    def to_json(self) -> dict[str, Any]:
        """Return what is staged."""
        return {"had_tables": self._had_tables, "only_tables": list(self._only_tables), "replaced": self.replaced}

    def is_intact(self) -> bool:
        """Return whether the copies are still there."""
        return (self._folder / "new" / _METADATA).exists()

    def swap(self, on_warning: Callable[[str], None]) -> None:
        """Load the new content in place of the old, in one transaction."""
        parts, metadata = self._new.read()
        if not parts:
            raise LoadError(f"The staged dump for {self._address.redacted()} is gone: start the restore again.")
        only = self._only_tables
        # Of a whole dump it was looked at before whether anything is in its way.
        policy = self._policy if only or self._policy is not ExistingTables.REFUSE else ExistingTables.REPLACE
        work = load(
            self._address,
            parts,
            metadata=metadata,
            policy=policy,
            only_tables=only,
            on_warning=on_warning,
            refused_file=self._refused_file,
        )
        self.refused += [refused_warning(one, self._refused_file) for one in finished(work).skipped]

    def undo(self, on_warning: Callable[[str], None]) -> None:
        """Load the old content in place of the new, in one transaction."""
        _parts, new = self._new.read()
        old_parts, old = self._old.read()
        if not new and not old_parts:
            return
        metadata = _both_dropped(new, old)
        work = load(
            self._address,
            old_parts,
            metadata=metadata,
            policy=ExistingTables.REPLACE,
            on_warning=on_warning,
            refused_file=self._refused_file,
        )
        finished(work)
        self.discard()

    def finish(self) -> None:
        """Remove the dump of the old content; where it is to be kept, it is in the schemas ``bak_…``."""
        self.discard()

    def discard(self) -> None:
        """Remove the copies."""
        shutil.rmtree(self._folder / "new", ignore_errors=True)
        shutil.rmtree(self._folder / "old", ignore_errors=True)


def _names(metadata: dict[str, Any] | None, kind: str = "") -> list[str]:
    listed = (metadata or {}).get("tables")
    if not isinstance(listed, dict):
        return []
    return [str(name) for one, names in listed.items() if kind in ("", one) for name in names]


def _both_dropped(new: dict[str, Any], old: dict[str, Any]) -> dict[str, Any]:
    """Return the old dump's metadata, by which a load drops what the new dump made too."""
    tables: dict[str, list[str]] = {}
    drops: list[str] = []
    for metadata in (new, old):
        for kind, names in (metadata.get("tables") or {}).items():
            tables.setdefault(kind, []).extend(names)
        drops += metadata.get("backstay", {}).get("drops", [])
    return {**(old or new), "tables": tables, "backstay": {**old.get("backstay", {}), "drops": drops}}
