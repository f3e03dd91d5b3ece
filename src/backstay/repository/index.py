"""Where each chunk lies: a cache on this machine, made again from the packs wherever it is missing or wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from backstay.repository.cache_file import CacheFile
from backstay.repository.layout import ChunkRef, Row

if TYPE_CHECKING:
    import sqlite3

_VERSION = "1"
_AT_ONCE = 500
_MOST_AT_ONCE = 4 << 20
_GAP = 16 << 10
_TABLES = """
CREATE TABLE packs (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, size INTEGER NOT NULL, read REAL NOT NULL DEFAULT 0
);
CREATE TABLE chunks (
    identity BLOB NOT NULL, form BLOB NOT NULL, pack INTEGER NOT NULL, size INTEGER NOT NULL, deflated INTEGER NOT NULL,
    offset INTEGER NOT NULL, kind INTEGER NOT NULL, PRIMARY KEY (identity, form, pack, offset)
) WITHOUT ROWID;
CREATE TABLE condemned (pack TEXT PRIMARY KEY);
CREATE TABLE damaged (pack TEXT NOT NULL, identity BLOB NOT NULL, PRIMARY KEY (pack, identity));
"""
_USABLE = """
    NOT EXISTS (SELECT 1 FROM condemned WHERE condemned.pack = packs.name)
    AND NOT EXISTS (SELECT 1 FROM damaged WHERE damaged.pack = packs.name AND damaged.identity = chunks.identity)
"""
_JOINED = " FROM chunks JOIN packs ON packs.number = chunks.pack WHERE identity "
_FIND = "SELECT identity, chunks.size, deflated, form" + _JOINED + "IN (?) AND " + _USABLE
_FIND_PLACES = "SELECT identity, form, packs.name, offset" + _JOINED + "IN (?)"
_PLACES = (
    "SELECT packs.name, offset, identity, chunks.size, deflated, form, kind, NOT (" + _USABLE + ")" + _JOINED + "IN (?)"
)


class Place(NamedTuple):
    """Where a chunk lies.

    Attributes:
        pack: its identity.
        offset: of the chunk's first byte.
        ref: the chunk.
        kind: what it holds.
    """

    pack: str
    offset: int
    ref: ChunkRef
    kind: int


class Index(CacheFile):
    """The chunks of all packs, in a SQLite file; safe to use from many threads and processes.

    Args:
        path: the file; made, or made anew, where it is not this repository's.
        repository: identity of the repository.
    """

    def __init__(self, path: Path, repository: str) -> None:
        super().__init__(path, "index", {"version": _VERSION, "repository": repository}, _TABLES)

    def packs(self) -> dict[str, int]:
        """Give the packs that are known, with their sizes."""
        with self.used() as connection:
            return dict(connection.execute("SELECT name, size FROM packs"))

    def add_pack(self, name: str, size: int, rows: Sequence[Row]) -> None:
        """Note a pack with all its chunks."""
        with self.used(writes=True) as connection:
            self._drop(connection, name)
            connection.execute("INSERT INTO packs (name, size) VALUES (?, ?)", (name, size))
            number = connection.execute("SELECT number FROM packs WHERE name = ?", (name,)).fetchone()[0]
            connection.executemany(
                "INSERT OR IGNORE INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(r.ref.identity, r.ref.form, number, r.ref.size, r.ref.deflated, r.offset, r.kind) for r in rows],
            )

    def drop_packs(self, names: Iterable[str]) -> None:
        """Forget packs."""
        with self.used(writes=True) as connection:
            self._drop(connection, *names)

    @staticmethod
    def _drop(connection: sqlite3.Connection, *names: str) -> None:
        found = [connection.execute("SELECT number FROM packs WHERE name = ?", (name,)).fetchone() for name in names]
        numbers = [row for row in found if row]
        if numbers:
            # All at once: the chunks are looked through once for all of them.
            connection.execute("CREATE TEMP TABLE dropped (number INTEGER PRIMARY KEY)")
            connection.executemany("INSERT OR IGNORE INTO dropped VALUES (?)", numbers)
            connection.execute("DELETE FROM chunks WHERE pack IN (SELECT number FROM dropped)")
            connection.execute("DELETE FROM packs WHERE number IN (SELECT number FROM dropped)")
            connection.execute("DROP TABLE dropped")

    def set_marks(self, condemned: Iterable[str], damaged: Iterable[tuple[str, bytes]]) -> None:
        """Note which packs and chunks are not to be used any more."""
        with self.used(writes=True) as connection:
            connection.execute("DELETE FROM condemned")
            connection.execute("DELETE FROM damaged")
            connection.executemany("INSERT OR IGNORE INTO condemned VALUES (?)", [(name,) for name in condemned])
            connection.executemany("INSERT OR IGNORE INTO damaged VALUES (?, ?)", list(damaged))

    def marked(self) -> tuple[set[str], set[tuple[str, bytes]]]:
        """Give the packs that are condemned, and the damaged chunks with their packs."""
        with self.used() as connection:
            condemned = {name for (name,) in connection.execute("SELECT pack FROM condemned")}
            return condemned, set(connection.execute("SELECT pack, identity FROM damaged"))

    def usable(self, identities: Sequence[bytes]) -> dict[bytes, list[ChunkRef]]:
        """Give those of some chunks that a new backup may refer to: whole as far as is known, in packs that stay."""
        found: dict[bytes, list[ChunkRef]] = {}
        with self.used() as connection:
            for start in range(0, len(identities), _AT_ONCE):
                part = identities[start : start + _AT_ONCE]
                for fields in connection.execute(_FIND.replace("?", ",".join("?" * len(part))), part):
                    found.setdefault(fields[0], []).append(ChunkRef(*fields))
        return found

    def find(self, refs: Sequence[ChunkRef]) -> list[tuple[str, int] | None]:
        """Give where each of some chunks lies, a pack and an offset in it; None where no pack has it.

        Of several places one is given that stays and is not known to be damaged, where there is one.
        """
        found: dict[tuple[bytes, bytes], tuple[str, int]] = {}
        worse: dict[tuple[bytes, bytes], tuple[str, int]] = {}
        condemned, damaged = self.marked()
        with self.used() as connection:
            for start in range(0, len(refs), _AT_ONCE):
                part = [ref.identity for ref in refs[start : start + _AT_ONCE]]
                for identity, form, name, offset in connection.execute(
                    _FIND_PLACES.replace("?", ",".join("?" * len(part))), part
                ):
                    is_bad = name in condemned or (name, identity) in damaged
                    (worse if is_bad else found)[identity, form] = name, offset
        if worse:
            found = worse | found
        return [found.get((ref.identity, ref.form)) for ref in refs]

    def places_of(self, identities: Sequence[bytes]) -> dict[bytes, list[Place]]:
        """Give all places of some contents, those that stay and are not known to be damaged first."""
        found: dict[bytes, list[tuple[int, Place]]] = {}
        with self.used() as connection:
            for start in range(0, len(identities), _AT_ONCE):
                part = identities[start : start + _AT_ONCE]
                for name, offset, *fields, kind, bad in connection.execute(
                    _PLACES.replace("?", ",".join("?" * len(part))), part
                ):
                    place = Place(name, offset, ChunkRef._make(fields), kind)
                    found.setdefault(fields[0], []).append((bad, place))
        for places in found.values():
            if len(places) > 1:
                places.sort(key=lambda pair: pair[0])
        return {identity: [place for _, place in places] for identity, places in found.items()}

    def rows(self, pack: str) -> list[Row]:
        """Give the chunks of a pack, in their order in it."""
        with self.used() as connection:
            found = connection.execute(
                "SELECT identity, chunks.size, deflated, form, offset, kind FROM chunks"
                " JOIN packs ON packs.number = chunks.pack WHERE packs.name = ? ORDER BY offset",
                (pack,),
            ).fetchall()
        return [Row(ChunkRef(*fields), offset, kind) for *fields, offset, kind in found]

    def note_read(self, pack: str, moment: float) -> None:
        """Note when all of a pack was read and found good, in Unix seconds."""
        with self.used(writes=True) as connection:
            connection.execute("UPDATE packs SET read = ? WHERE name = ?", (moment, pack))

    def least_recently_read(self) -> list[tuple[str, int]]:
        """Give the packs and their sizes, those that were not read for longest first."""
        with self.used() as connection:
            return connection.execute("SELECT name, size FROM packs ORDER BY read, number").fetchall()


def side_by_side(
    places: Sequence[tuple[str, int] | None], refs: Sequence[ChunkRef], start: int, seal: int
) -> tuple[int, int]:
    """Give the end of the chunks from one on that are read at once: near each other, in order, in one pack.

    Returns:
        The end of their numbers, and the bytes from the beginning of the first to the end of the last.
    """
    first = places[start]
    pack, begin = first or ("", 0)
    behind = begin + refs[start].deflated + seal
    end = start + 1
    while end < len(places):
        place = places[end]
        if place is None or place[0] != pack or not behind <= place[1] <= behind + _GAP:
            break
        after = place[1] + refs[end].deflated + seal
        if after - begin > _MOST_AT_ONCE:
            break
        behind = after
        end += 1
    return end, behind - begin
