"""What was worked out about archives as which snapshots are handed out: a cache on this machine, of a bounded size.

Everything in it is sealed with the repository's key where that is encrypted, and held to a hash where it is not. What
is missing or damaged is worked out again from the repository; no error of this file ends anything.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from blake3 import blake3
from isal import isal_zlib

from backstay.errors import BackstayError
from backstay.repository.cache_file import CacheFile, remove_cache
from backstay.repository.keys import Keys

if TYPE_CHECKING:
    import sqlite3

T = TypeVar("T")

_VERSION = "1"
_MOST_BYTES = 512 << 20
_AT_ONCE = 500
_CHECK = 8
_TABLES = """
CREATE TABLE blocks (key BLOB PRIMARY KEY, chunk BLOB NOT NULL, data BLOB NOT NULL);
CREATE TABLE places (key BLOB PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE layouts (key TEXT PRIMARY KEY, snapshot TEXT NOT NULL, data BLOB NOT NULL);
"""


class LayoutCache:
    """Blocks of entries and layouts of archives, by their keys.

    Args:
        path: the file.
        repository: identity of the repository.
        keys: of the repository.
    """

    def __init__(self, path: Path, repository: str, keys: Keys) -> None:
        self._path = path
        self._about = {"version": _VERSION, "repository": repository}
        self._keys = keys
        self._file: CacheFile | None = None
        self._open()

    def _open(self) -> None:
        try:
            if self._path.exists() and self._path.stat().st_size > _MOST_BYTES:
                remove_cache(self._path)
            self._file = CacheFile(self._path, "cache of archives", self._about, _TABLES)
        except (BackstayError, OSError):
            self._file = None

    def blocks(self, form: str, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Give those blocks that are there.

        Args:
            form: of the entries.
            keys: of the chunks of lines.
        """
        wanted = {_block_key(form, key): key for key in keys}
        return {wanted[key]: data for key, data in self._found("blocks", list(wanted)).items()}

    def places(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Give where the chunks of files lay when that was kept, by the keys of the chunks of their lines."""
        return self._found("places", keys)

    def _found(self, table: str, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        def read(connection: sqlite3.Connection) -> dict[bytes, bytes]:
            found = {}
            for start in range(0, len(keys), _AT_ONCE):
                part = keys[start : start + _AT_ONCE]
                query = f"SELECT key, data FROM {table} WHERE key IN ({','.join('?' * len(part))})"  # noqa: S608
                for key, data in connection.execute(query, part):
                    if (opened := self._opened(data, key)) is not None:
                        found[key] = opened
            return found

        return self._tried(read, {})

    def keep_blocks(self, form: str, blocks: Iterable[tuple[bytes, bytes]]) -> None:
        """Keep blocks: keys of the chunks of lines, and what is kept of each."""
        rows = [(_block_key(form, key), key, data) for key, data in blocks]
        sealed = [(key, chunk, self._sealed(data, key)) for key, chunk, data in rows]

        def write(connection: sqlite3.Connection) -> None:
            connection.executemany("INSERT OR REPLACE INTO blocks VALUES (?, ?, ?)", sealed)

        self._tried(write, None, writes=True)

    def keep_places(self, places: Iterable[tuple[bytes, bytes]]) -> None:
        """Keep where the chunks of files lie: keys of the chunks of their lines, and what is kept of each."""
        sealed = [(key, self._sealed(data, key)) for key, data in places]

        def write(connection: sqlite3.Connection) -> None:
            connection.executemany("INSERT OR REPLACE INTO places VALUES (?, ?)", sealed)

        self._tried(write, None, writes=True)

    def forget_places(self) -> None:
        """Forget where chunks lay: some of them lie elsewhere now."""

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM places")

        self._tried(write, None, writes=True)

    def layout(self, key: str) -> bytes | None:
        """Give a layout."""

        def read(connection: sqlite3.Connection) -> bytes | None:
            found = connection.execute("SELECT data FROM layouts WHERE key = ?", (key,)).fetchone()
            return self._opened(found[0], key.encode()) if found else None

        return self._tried(read, None)

    def keep_layout(self, key: str, snapshot: str, data: bytes) -> None:
        """Keep a layout of a snapshot."""
        sealed = self._sealed(data, key.encode())

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO layouts VALUES (?, ?, ?)", (key, snapshot, sealed))

        self._tried(write, None, writes=True)

    def keep_only(self, snapshots: Iterable[str], needed: set[bytes]) -> None:
        """Forget the layouts of all snapshots but these, and the blocks of all chunks of lines that are not needed."""

        def write(connection: sqlite3.Connection) -> None:
            known = {name for (name,) in connection.execute("SELECT DISTINCT snapshot FROM layouts")}
            gone = [(name,) for name in known.difference(snapshots)]
            connection.executemany("DELETE FROM layouts WHERE snapshot = ?", gone)
            unneeded = [
                (key,) for key, chunk in connection.execute("SELECT key, chunk FROM blocks") if chunk not in needed
            ]
            connection.executemany("DELETE FROM blocks WHERE key = ?", unneeded)

        self._tried(write, None, writes=True)

    def _tried(self, call: Callable[[sqlite3.Connection], T], otherwise: T, *, writes: bool = False) -> T:
        if self._file is None:
            return otherwise
        try:
            with self._file.used(writes=writes) as connection:
                return call(connection)
        except BackstayError:
            # It is damaged, or the disk is full: without it everything goes on, only slower.
            self.close()
            with contextlib.suppress(OSError):
                remove_cache(self._path)
            self._open()
            return otherwise

    def _sealed(self, data: bytes, key: bytes) -> bytes:
        packed = isal_zlib.compress(data, 1)
        return self._keys.seal(packed, key) if self._keys.seal_size else _check(key, packed) + packed

    def _opened(self, data: bytes, key: bytes) -> bytes | None:
        if self._keys.seal_size:
            packed = self._keys.open(data, key)
        else:
            packed = data[_CHECK:] if _check(key, data[_CHECK:]) == data[:_CHECK] else None
        return isal_zlib.decompress(packed) if packed is not None else None

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _block_key(form: str, chunk: bytes) -> bytes:
    return blake3(form.encode() + b"\0" + chunk).digest(length=16)


def _check(key: bytes, data: bytes) -> bytes:
    return blake3(key + data).digest(length=_CHECK)
