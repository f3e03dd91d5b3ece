"""The databases in a backup's archive: dumps, their tables with rows, and how each was defined."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from backstay.databases.definitions import Definition, read_definitions
from backstay.databases.metadata import own_facts, read_databases_ini, read_databases_json
from backstay.databases.parts import part_name
from backstay.errors import LoadError, NotFoundError
from backstay.jobs.archive_index import Item
from backstay.jobs.browsing import Inside

_LARGEST_PAGE: Final = 16 << 20
_MOST_BYTES: Final = 64 << 20
"""Bytes of SQL that are looked through for definitions."""
_MOST_SECONDS: Final = 8.0
_LARGEST_DEFINITION: Final = 200_000
_MOST_OBJECTS: Final = 20_000
_FOLDERS: Final = ("installation/sql", "sql")
_TYPES: Final = {"mysqli": "mysql", "mysql": "mysql", "pdomysql": "mysql", "pgsql": "postgresql", "sqlite": "sqlite"}


@dataclass(frozen=True, slots=True)
class ArchivedObject:
    """A table, view or routine in a dump.

    Attributes:
        kind: ``table``, ``view`` and so on.
        name: as it stands in the dump, where ``#__`` stands for the prefix of the site's tables.
        rows: how many; None where the archive does not say.
    """

    kind: str
    name: str
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class ArchivedDump:
    """A dump in an archive.

    Attributes:
        name: of its first part.
        dbtype: ``mysql``, ``postgresql`` or ``sqlite``.
        database: name of the database that was dumped.
        size: bytes of SQL.
        objects: what is in it.
        is_listed: the archive lists what is in it; else it was read from the beginning of the dump.
        parts: its parts in order.
        marker: what stands between two statements; empty: to be found out.
    """

    name: str
    dbtype: str
    database: str
    size: int
    objects: tuple[ArchivedObject, ...]
    is_listed: bool
    parts: tuple[Item, ...]
    marker: str

    @property
    def rows(self) -> int | None:
        """Rows of all tables; None where the archive does not say."""
        counts = [one.rows for one in self.objects if one.rows is not None]
        return sum(counts) if counts else None


def read_dumps(inside: Inside) -> tuple[ArchivedDump, ...]:
    """Return the dumps in an archive, in order.

    Raises:
        ArchiveError: the archive cannot be read.
    """
    for folder in _FOLDERS:
        try:
            items = _parts_in(inside, folder)
        except NotFoundError:
            continue
        if described := _described(inside, items):
            return tuple(_dump(inside, name, metadata, items) for name, metadata in described.items())
        if "site.sql" in items:
            return (_dump(inside, "site.sql", {}, items),)
    return ()


def find_definition(inside: Inside, dump_name: str, kind: str, name: str) -> Definition:
    """Return how a dump defines an object; a long text is cut.

    Raises:
        NotFoundError: there is no such dump; or no such object as far as the dump is looked through.
    """
    dump = next((one for one in read_dumps(inside) if one.name == dump_name), None)
    if dump is None:
        raise NotFoundError("There is no such dump in the archive: look at the list of its tables.")
    for found in _definitions(inside, dump.dbtype, dump.parts, dump.marker):
        if found.name in (name, f"public.{name}") and (not kind or kind.rpartition(" ")[2] in found.kind):
            return Definition(found.kind, found.name, found.text[:_LARGEST_DEFINITION])
    raise NotFoundError(
        f"The first {_MOST_BYTES >> 20} MiB of the dump do not define it: write the dump out with "
        f"'backstay archive cat {inside.backup.id} installation/sql/{dump_name}'."
        if dump.size > _MOST_BYTES
        else "The dump does not define it: look at the list of its tables."
    )


def _parts_in(inside: Inside, folder: str) -> dict[str, Item]:
    found: dict[str, Item] = {}
    while True:
        listing = inside.index.folder(folder, len(found), 1000)
        before = len(found)
        found |= {one.name: one for one in listing.items if not one.is_folder}
        if len(listing.items) < 1000 or len(found) == before:
            return found


def _described(inside: Inside, items: Mapping[str, Item]) -> dict[str, dict[str, Any]]:
    for name, read in (("databases.json", read_databases_json), ("databases.ini", read_databases_ini)):
        item = items.get(name)
        if item is None or item.size > _LARGEST_PAGE:
            continue
        try:
            return read(_content(inside, item))
        except LoadError:
            continue
    return {}


def _content(inside: Inside, item: Item) -> bytes:
    found = bytearray()
    for piece in inside.read(item):
        found += piece
        if len(found) > _LARGEST_PAGE:
            raise LoadError(f"{item.name} is longer than its header says.")
    return bytes(found)


def _dump(inside: Inside, name: str, metadata: Mapping[str, Any], items: Mapping[str, Item]) -> ArchivedDump:
    parts = list[Item]()
    while (part := items.get(part_name(name, len(parts)))) is not None:
        parts.append(part)
    dbtype = _TYPES.get(str(metadata.get("dbtech", metadata.get("dbtype", "mysql"))).lower(), "")
    dbtype = dbtype or _TYPES.get(str(metadata.get("dbtype", "")).lower(), "mysql")
    if str(metadata.get("dbtech", "")) == "postgresql":
        dbtype = "postgresql"
    listed, marker = tuple(_listed(metadata)), str(metadata.get("marker", ""))
    objects = listed
    if not listed:
        found = _definitions(inside, dbtype, tuple(parts), marker)
        objects = tuple(ArchivedObject(one.kind, one.name) for one, _ in zip(found, range(_MOST_OBJECTS), strict=False))
    size, database = sum(part.size for part in parts), str(metadata.get("dbname", ""))
    return ArchivedDump(name, dbtype, database, size, objects, bool(listed), tuple(parts), marker)


def _listed(metadata: Mapping[str, Any]) -> Iterator[ArchivedObject]:
    """Yield what ``databases.json`` lists; the vendor lists no rows, and may list names alone."""
    rows = own_facts(metadata).get("rows")
    counts = rows if isinstance(rows, dict) else {}
    tables = metadata.get("tables")
    kinds = tables if isinstance(tables, dict) else {"table": tables}
    for kind, names in kinds.items():
        for name in names if isinstance(names, list) else ():
            count = counts.get(name) if isinstance(name, str) else None
            is_count = isinstance(count, int) and not isinstance(count, bool)
            yield ArchivedObject(str(kind), str(name), count if is_count else None)


def _definitions(inside: Inside, dbtype: str, parts: tuple[Item, ...], marker: str) -> Iterator[Definition]:
    left, deadline = _MOST_BYTES, time.monotonic() + _MOST_SECONDS
    for item in parts:
        bounded = _Bounded(inside.read(item), left, deadline)
        yield from read_definitions(dbtype, io.BufferedReader(bounded), marker)
        left = bounded.left
        if left <= 0 or time.monotonic() > deadline:
            return


class _Bounded(io.RawIOBase):
    """Pieces as a stream that ends early: at a number of bytes, or at a moment."""

    def __init__(self, pieces: Iterator[bytes], left: int, deadline: float) -> None:
        self._pieces = pieces
        self._rest = b""
        self._deadline = deadline
        self.left = left

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # what io calls it with
        if self.left <= 0 or time.monotonic() > self._deadline:
            return 0
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = piece
        count = min(len(buffer), len(self._rest), self.left)
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        self.left -= count
        return count
