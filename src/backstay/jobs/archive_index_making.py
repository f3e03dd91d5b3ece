"""Making the index of an archive: from its manifest, else from the headers of all entries; with a bound to its size."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from typing import Final

from backstay.archives import ArchiveReader, Entry, EntryType, ManifestLine
from backstay.archives.names import path_bytes
from backstay.errors import ArchiveLimitError, DamagedArchiveError
from backstay.jobs.archive_index import ROOT, SCHEMA, as_bytes, folded

MOST_ENTRIES: Final = 3_000_000
_MOST_BYTES: Final = 1 << 29
"""Bytes of paths and the like that one archive may ask for."""
_BATCH: Final = 2000
_KNOWN_FOLDERS: Final = 200_000
_LARGEST: Final = (1 << 63) - 1

_FILE = "INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_FOLDER = "INSERT INTO folders (id, parent, name, folded) VALUES (?, ?, ?, ?)"


def make_index(connection: sqlite3.Connection, archive: ArchiveReader, on_count: Callable[[int], None]) -> None:
    """Write what is in an archive into an empty database.

    A damaged archive is listed as far as it can be: the index says why there may be more.

    Args:
        connection: of the database.
        archive: open.
        on_count: called now and then with the number of entries so far.

    Raises:
        ArchiveLimitError: it holds more than an index may.
        BackstayError: it cannot be read at the moment.
    """
    problem = ""
    try:
        _write(connection, archive.listing(), on_count, archive.format)
    except DamagedArchiveError:
        # A manifest that is damaged says nothing of the headers.
        try:
            _write(connection, archive.listing(by_manifest=False), on_count, archive.format)
            problem = "Its manifest is damaged: this is what the headers of its entries say."
        except DamagedArchiveError as error:
            problem = str(error)
    connection.execute("UPDATE facts SET problem = ?", [problem])
    connection.commit()


def _write(
    connection: sqlite3.Connection,
    listing: Iterator[tuple[Entry | None, ManifestLine | None]],
    on_count: Callable[[int], None],
    archive_format: str,
) -> None:
    connection.executescript("DROP TABLE IF EXISTS folders; DROP TABLE IF EXISTS files; DROP TABLE IF EXISTS facts;")
    connection.executescript(SCHEMA)
    tree = _Tree(connection)
    try:
        for count, (entry, line) in enumerate(listing, 1):
            tree.add(entry, line)
            if not count % _BATCH:
                on_count(count)
    finally:
        # What could be read of a damaged archive is shown, too.
        tree.finish(archive_format)


class _Tree:
    """Gives each entry its folder, and each folder the sum of what is beneath it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._files: list[tuple[object, ...]] = []
        self._known: dict[tuple[int, bytes], int] = {}
        self._parents = [0, 0]
        self._sizes = [0, 0]
        self._counts = [0, 0]
        self._last = ("", ROOT)
        self._bytes = 0
        self._entries = 0
        connection.execute(_FOLDER, (ROOT, 0, b"", None))

    def add(self, entry: Entry | None, line: ManifestLine | None) -> None:
        one = entry or line
        if one is None:
            return
        self._entries += 1
        owner = line.attributes.owner if line else ""
        self._bytes += len(one.path) + len(owner) + len(one.target or "")
        if self._entries + len(self._sizes) > MOST_ENTRIES or self._bytes > _MOST_BYTES:
            raise ArchiveLimitError(
                f"The archive holds more than {self._entries - 1} entries can be shown of: see them with "
                "'backstay archive list'."
            )
        # Both may be missing in the header and be in the manifest.
        mode = entry.mode if entry is not None and entry.mode is not None else line.mode if line else None
        mtime = entry.mtime if entry is not None and entry.mtime is not None else line.mtime if line else None
        path = "/".join(step for step in one.path.split("/") if step)
        if one.type is EntryType.DIRECTORY:
            values = (_number(mode), _number(mtime), as_bytes(owner).decode("utf-8", "replace"), self._folder(path))
            self._connection.execute("UPDATE folders SET mode = ?, mtime = ?, owner = ? WHERE id = ?", values)
            return
        if entry is not None:
            self._add_file(entry, line, path, (_number(mode), _number(mtime), owner))

    def _add_file(
        self, entry: Entry, line: ManifestLine | None, path: str, common: tuple[int | None, int | None, str]
    ) -> None:
        above, _, name = path.rpartition("/")
        parent = self._folder(above)
        self._sizes[parent] += max(0, entry.size)
        self._counts[parent] += 1
        place = entry.location
        row = (
            None,
            parent,
            as_bytes(name),
            None if name.isascii() and "\0" not in name else folded(name),
            *common[:2],
            as_bytes(common[2]).decode("utf-8", "replace"),
            _number(entry.size),
            entry.type is EntryType.SYMLINK,
            as_bytes(entry.target) if entry.target is not None else None,
            # Only where the tree does not say it: it has no empty steps.
            None if path == entry.path and _is_bytes(path) else as_bytes(entry.path),
            _number(entry.compressed_size),
            *((_number(place.start), _number(place.end), place.method, place.crc) if place else (None,) * 4),
            place.unsupported if place else None,
            bytes.fromhex(line.blake3) if line and line.blake3 else None,
        )
        self._files.append(row)
        if len(self._files) >= _BATCH:
            self._flush()

    def _folder(self, path: str) -> int:
        """Return the number of a folder, made where it is new, with all above it."""
        if path == self._last[0]:
            return self._last[1]
        number = ROOT
        for step in path.split("/") if path else ():
            key = (number, as_bytes(step))
            found = self._known.get(key)
            number = found if found is not None else self._looked_up(key, step)
        self._last = (path, number)
        return number

    def _looked_up(self, key: tuple[int, bytes], step: str) -> int:
        if len(self._known) >= _KNOWN_FOLDERS:
            self._known.clear()
        row = self._connection.execute("SELECT id FROM folders WHERE parent = ? AND name = ?", key).fetchone()
        if row is None:
            number = len(self._sizes)
            if number > MOST_ENTRIES:
                raise ArchiveLimitError(
                    f"The archive holds more than {number} folders: see them with 'backstay archive list'."
                )
            name = None if step.isascii() and "\0" not in step else folded(step)
            self._connection.execute(_FOLDER, (number, *key, name))
            self._parents.append(key[0])
            self._sizes.append(0)
            self._counts.append(0)
        else:
            number = row[0]
        self._known[key] = number
        return number

    def _flush(self) -> None:
        self._connection.executemany(_FILE, self._files)
        self._files.clear()

    def finish(self, archive_format: str) -> None:
        self._flush()
        # A folder is always made after the one above it.
        for number in range(len(self._sizes) - 1, ROOT, -1):
            self._sizes[self._parents[number]] += self._sizes[number]
            self._counts[self._parents[number]] += self._counts[number]
        rows = ((_number(self._sizes[one]), self._counts[one], one) for one in range(ROOT, len(self._sizes)))
        self._connection.executemany("UPDATE folders SET size = ?, files = ? WHERE id = ?", rows)
        self._connection.execute("CREATE INDEX files_of ON files (parent, name)")
        self._connection.execute("INSERT INTO facts VALUES (?, ?, '')", (archive_format, self._entries))


def _is_bytes(path: str) -> bool:
    try:
        path_bytes(path)
    except UnicodeEncodeError:
        return False
    return True


def _number(value: int | None) -> int | None:
    """Return a number as SQLite keeps it: what an attacker makes larger becomes the largest."""
    return None if value is None else max(-_LARGEST, min(_LARGEST, value))
