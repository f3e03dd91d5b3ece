"""Where each chunk lies: a cache on this machine, made again from the packs wherever it is missing or wrong."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from backstay.errors import DiskFullError, RepositoryError
from backstay.repository.layout import ChunkRef, Row

_VERSION = "1"
_AT_ONCE = 500
_TABLES = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
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


class Index:
    """The chunks of all packs, in a SQLite file; safe to use from many threads and processes.

    Args:
        path: the file; made, or made anew, where it is not this repository's.
        repository: identity of the repository.
    """

    def __init__(self, path: Path, repository: str) -> None:
        self._path = path
        self._about = {"version": _VERSION, "repository": repository}
        self._lock = threading.RLock()
        self._connection = self._opened()

    def _opened(self) -> sqlite3.Connection:
        for _ in range(2):
            connection = sqlite3.connect(self._path, timeout=60, check_same_thread=False, isolation_level=None)
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")
                self._prepare(connection)
            except sqlite3.DatabaseError as error:
                connection.close()
                self._refuse_full(error)
                self.remove(self._path)
            else:
                return connection
        raise RepositoryError(f"The index {self._path} can't be made: check the disk.")

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        there = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'about'").fetchone()[0]
        if there and dict(connection.execute("SELECT name, value FROM about")) != self._about:
            connection.execute("ROLLBACK")
            raise sqlite3.DatabaseError("another repository's")
        if not there:
            for statement in filter(str.strip, _TABLES.split(";")):
                connection.execute(statement)
            connection.executemany("INSERT INTO about VALUES (?, ?)", self._about.items())
        connection.execute("COMMIT")

    @staticmethod
    def remove(path: Path) -> None:
        """Remove an index; it is made again when it is opened."""
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)

    def _refuse_full(self, error: sqlite3.Error) -> None:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_FULL:
            raise DiskFullError(f"There is no space left for the index {self._path}: free some space there.") from error
        if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}:
            raise RepositoryError(f"The index {self._path} can't be used ({error}): check the disk.") from error

    @contextlib.contextmanager
    def _used(self, *, writes: bool = False) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                if writes:
                    self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                if writes:
                    self._connection.execute("COMMIT")
            except BaseException as error:
                if self._connection.in_transaction:
                    with contextlib.suppress(sqlite3.Error):
                        self._connection.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    self._refuse_full(error)
                    raise RepositoryError(
                        f"The index {self._path} is damaged ({error}): delete it, it is made again from the packs."
                    ) from error
                raise

    def packs(self) -> dict[str, int]:
        """Give the packs that are known, with their sizes."""
        with self._used() as connection:
            return dict(connection.execute("SELECT name, size FROM packs"))

    def add_pack(self, name: str, size: int, rows: Sequence[Row]) -> None:
        """Note a pack with all its chunks."""
        with self._used(writes=True) as connection:
            self._drop(connection, name)
            connection.execute("INSERT INTO packs (name, size) VALUES (?, ?)", (name, size))
            number = connection.execute("SELECT number FROM packs WHERE name = ?", (name,)).fetchone()[0]
            connection.executemany(
                "INSERT OR IGNORE INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(r.ref.identity, r.ref.form, number, r.ref.size, r.ref.deflated, r.offset, r.kind) for r in rows],
            )

    def drop_packs(self, names: Iterable[str]) -> None:
        """Forget packs."""
        with self._used(writes=True) as connection:
            for name in names:
                self._drop(connection, name)

    @staticmethod
    def _drop(connection: sqlite3.Connection, name: str) -> None:
        found = connection.execute("SELECT number FROM packs WHERE name = ?", (name,)).fetchone()
        if found:
            connection.execute("DELETE FROM chunks WHERE pack = ?", found)
            connection.execute("DELETE FROM packs WHERE number = ?", found)

    def set_marks(self, condemned: Iterable[str], damaged: Iterable[tuple[str, bytes]]) -> None:
        """Note which packs and chunks are not to be used any more."""
        with self._used(writes=True) as connection:
            connection.execute("DELETE FROM condemned")
            connection.execute("DELETE FROM damaged")
            connection.executemany("INSERT OR IGNORE INTO condemned VALUES (?)", [(name,) for name in condemned])
            connection.executemany("INSERT OR IGNORE INTO damaged VALUES (?, ?)", list(damaged))

    def marked(self) -> tuple[set[str], set[tuple[str, bytes]]]:
        """Give the packs that are condemned, and the damaged chunks with their packs."""
        with self._used() as connection:
            condemned = {name for (name,) in connection.execute("SELECT pack FROM condemned")}
            return condemned, set(connection.execute("SELECT pack, identity FROM damaged"))

    def usable(self, identities: Sequence[bytes]) -> dict[bytes, list[ChunkRef]]:
        """Give those of some chunks that a new backup may refer to: whole as far as is known, in packs that stay."""
        found: dict[bytes, list[ChunkRef]] = {}
        with self._used() as connection:
            for start in range(0, len(identities), _AT_ONCE):
                part = identities[start : start + _AT_ONCE]
                for fields in connection.execute(_FIND.replace("?", ",".join("?" * len(part))), part):
                    found.setdefault(fields[0], []).append(ChunkRef(*fields))
        return found

    def places_of(self, identities: Sequence[bytes]) -> dict[bytes, list[Place]]:
        """Give all places of some contents, those that stay and are not known to be damaged first."""
        found: dict[bytes, list[tuple[int, Place]]] = {}
        with self._used() as connection:
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
        with self._used() as connection:
            found = connection.execute(
                "SELECT identity, chunks.size, deflated, form, offset, kind FROM chunks"
                " JOIN packs ON packs.number = chunks.pack WHERE packs.name = ? ORDER BY offset",
                (pack,),
            ).fetchall()
        return [Row(ChunkRef(*fields), offset, kind) for *fields, offset, kind in found]

    def note_read(self, pack: str, moment: float) -> None:
        """Note when all of a pack was read and found good, in Unix seconds."""
        with self._used(writes=True) as connection:
            connection.execute("UPDATE packs SET read = ? WHERE name = ?", (moment, pack))

    def least_recently_read(self) -> list[tuple[str, int]]:
        """Give the packs and their sizes, those that were not read for longest first."""
        with self._used() as connection:
            return connection.execute("SELECT name, size FROM packs ORDER BY read, number").fetchall()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()
