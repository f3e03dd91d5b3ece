"""What is in an archive as a tree that answers quickly: a small SQLite database for each archive, made once.

Names are bytes, as in the archive. Nothing in it is trusted: paths lead to no file of this machine, and whoever reads
content compares it with the archive itself.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import quote

from backstay.archives import Entry, EntryType, ManifestLine
from backstay.archives.entries import Location
from backstay.archives.names import why_odd, why_unsafe
from backstay.errors import NotFoundError

Sort = Literal["name", "size", "time"]
ROOT: Final = 1
SCHEMA: Final = """
CREATE TABLE folders (
    id INTEGER PRIMARY KEY, parent INTEGER NOT NULL, name BLOB NOT NULL, folded TEXT, mode INTEGER, mtime INTEGER,
    owner TEXT NOT NULL DEFAULT '', size INTEGER NOT NULL DEFAULT 0, files INTEGER NOT NULL DEFAULT 0,
    UNIQUE (parent, name)
);
CREATE TABLE files (
    id INTEGER PRIMARY KEY, parent INTEGER NOT NULL, name BLOB NOT NULL, folded TEXT, mode INTEGER, mtime INTEGER,
    owner TEXT NOT NULL DEFAULT '', size INTEGER NOT NULL, is_link INTEGER NOT NULL, target BLOB, path BLOB,
    compressed_size INTEGER NOT NULL, start INTEGER, until INTEGER, method INTEGER, crc INTEGER, unsupported TEXT,
    blake3 BLOB
);
CREATE TABLE facts (format TEXT NOT NULL, entries INTEGER NOT NULL, problem TEXT NOT NULL);
"""
_ORDERS: Final = {"name": "name", "size": "size DESC, name", "time": "mtime DESC, name"}
_COUNT: Final = "SELECT count(*) FROM {} WHERE parent = ?"
_LIST: Final = "SELECT * FROM {} WHERE parent = ? ORDER BY {} LIMIT ? OFFSET ?"
_BENEATH: Final = (
    "WITH RECURSIVE beneath(id) AS (SELECT ? UNION ALL SELECT folders.id FROM folders JOIN beneath ON "
    "folders.parent = beneath.id) SELECT {} FROM {} WHERE id > ? AND parent IN beneath AND "
    "coalesce(folded, CAST(name AS TEXT)) LIKE ? ESCAPE '\\'"
)
_FOUND: Final = _BENEATH + " ORDER BY id LIMIT ? OFFSET ?"


@dataclass(frozen=True, slots=True)
class Item:
    """One file, link or folder of an archive.

    Attributes:
        path: where it is in the tree; empty for the root.
        type: what it is.
        size: bytes of content; of a folder: of all files beneath it.
        files: of a folder: how many files and links are beneath it.
        mode: ``st_mode``; None where the archive does not say.
        mtime: whole Unix seconds; None where the archive does not say.
        owner: ``uid:gid:user:group``; empty where the archive does not say.
        target: of a link: where it leads.
        warning: why it would not be written as it is, as the end of a sentence; empty where it would.
    """

    path: str
    type: EntryType
    size: int
    files: int = 0
    mode: int | None = None
    mtime: int | None = None
    owner: str = ""
    target: str = ""
    warning: str = ""
    _entry: Entry | None = field(default=None, repr=False)
    _line: ManifestLine | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """The last step of the path."""
        return self.path.rpartition("/")[2]

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.type is EntryType.DIRECTORY

    @property
    def modified(self) -> datetime | None:
        """The modification time in UTC; None where it is not known, or no year has it."""
        try:
            return None if self.mtime is None else datetime.fromtimestamp(self.mtime, UTC)
        except (OverflowError, OSError, ValueError):
            return None

    @property
    def owner_name(self) -> str:
        """User and group for a person: by name where the archive names them."""
        uid, gid, user, group = [*self.owner.split(":", 3), "", "", "", ""][:4]
        return f"{user or uid}:{group or gid}" if self.owner else ""

    @property
    def unsupported(self) -> str:
        """Why its content cannot be read, as the end of a sentence; empty where it can."""
        place = self._entry.location if self._entry else None
        return (place.unsupported or "") if place else ""

    def in_archive(self) -> tuple[Entry, ManifestLine | None]:
        """Return it as the archive's reader takes it.

        Raises:
            NotFoundError: it is no file.
        """
        if self._entry is None:
            raise NotFoundError("That is a folder, and no file: choose a file in it.")
        return self._entry, self._line


@dataclass(frozen=True, slots=True)
class Listing:
    """Some of what is in a folder, or of what was found.

    Attributes:
        items: folders first.
        total: how many there are in all; what was found is counted no further than one after these.
    """

    items: tuple[Item, ...]
    total: int


class ArchiveIndex:
    """The tree of one archive; safe to share between threads.

    Args:
        connection: of its database.

    Attributes:
        format: of the archive.
        entries: how many files, links and folders there are.
        problem: why the archive could not be listed whole; empty where it could.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self.format, self.entries, self.problem = self._rows("SELECT format, entries, problem FROM facts")[0]

    def close(self) -> None:
        """Release its database."""
        self._connection.close()

    def folder(self, path: str, offset: int = 0, limit: int = 100, sort: Sort = "name") -> Listing:
        """Return what is in a folder, the folders in it first.

        Raises:
            NotFoundError: there is no such folder.
        """
        number, order = self._folder(path), _ORDERS[sort]
        above = f"{path}/" if number != ROOT else ""
        (folders,), (files,) = (self._rows(_COUNT.format(table), number)[0] for table in ("folders", "files"))
        rows = self._rows(_LIST.format("folders", order), number, limit, offset)
        if len(rows) < limit:
            rows += self._rows(_LIST.format("files", order), number, limit - len(rows), max(0, offset - folders))
        return Listing(tuple(self._item(row, above) for row in rows), folders + files)

    def search(self, text: str, under: str = "", offset: int = 0, limit: int = 100) -> Listing:
        """Return what has a text in its name, anywhere beneath a folder; large and small letters are the same.

        Raises:
            NotFoundError: there is no such folder.
        """
        pattern = "%" + "".join(f"\\{one}" if one in "%_\\" else one for one in folded(text)) + "%"
        number, known = self._folder(under), dict[int, str]()
        rows = self._rows(_FOUND.format("*", "folders"), number, ROOT, pattern, limit + 1, offset)
        if len(rows) <= limit:
            folders = self._rows(_BENEATH.format("count(*)", "folders"), number, ROOT, pattern)[0][0]
            left, skipped = limit + 1 - len(rows), max(0, offset - folders)
            rows += self._rows(_FOUND.format("*", "files"), number, 0, pattern, left, skipped)
        found = [self._item(row, self._above(row["parent"], known)) for row in rows[:limit]]
        return Listing(tuple(found), offset + len(rows))

    def find(self, path: str) -> Item:
        """Return what is at a path: a folder, else a file or link.

        Raises:
            NotFoundError: there is nothing.
        """
        above, _, name = path.rpartition("/")
        try:
            return self._item(self._rows("SELECT * FROM folders WHERE id = ?", self._folder(path))[0], "", path)
        except NotFoundError:
            parent = self._folder(above)
            rows = self._rows("SELECT * FROM files WHERE parent = ? AND name = ? LIMIT 1", parent, as_bytes(name))
            if not rows:
                raise
            return self._item(rows[0], f"{above}/" if above else "")

    def beneath(self, path: str) -> Iterator[Item]:
        """Yield all that is beneath a folder, or the one file at a path.

        Raises:
            NotFoundError: there is nothing.
        """
        item = self.find(path)
        waiting = [item.path]
        if not item.is_folder:
            yield item
            return
        while waiting:
            folder, offset = waiting.pop(), 0
            while (found := self.folder(folder, offset, 1000)).items:
                yield from found.items
                waiting += [one.path for one in found.items if one.is_folder]
                offset += len(found.items)

    def _folder(self, path: str) -> int:
        number = ROOT
        for step in path.split("/") if path else ():
            rows = self._rows("SELECT id FROM folders WHERE parent = ? AND name = ?", number, as_bytes(step))
            if not rows:
                raise NotFoundError("There is nothing at this path in the archive: look at the folder above it.")
            number = rows[0][0]
        return number

    def _above(self, number: int, known: dict[int, str]) -> str:
        """Return the path of a folder with a slash behind it; empty for the root."""
        steps, at = list[str](), number
        while at != ROOT and at not in known:
            row = self._rows("SELECT parent, name FROM folders WHERE id = ?", at)[0]
            steps.append(as_text(row["name"]))
            at = row["parent"]
        known[number] = known.get(at, "") + "".join(f"{one}/" for one in reversed(steps))
        return known[number]

    def _item(self, row: sqlite3.Row, above: str, path: str | None = None) -> Item:
        path = above + as_text(row["name"]) if path is None else path
        common = {"mode": row["mode"], "mtime": row["mtime"], "owner": row["owner"]}
        if "is_link" not in row.keys():  # noqa: SIM118 - a row of SQLite is no dictionary
            return Item(path, EntryType.DIRECTORY, row["size"], files=row["files"], **common)
        kind = EntryType.SYMLINK if row["is_link"] else EntryType.FILE
        target = "" if row["target"] is None else as_text(row["target"])
        written = path if row["path"] is None else as_text(row["path"])
        location = None
        if row["start"] is not None:
            location = Location(row["start"], row["until"], row["method"], row["crc"], row["unsupported"])
        entry = Entry(
            written, kind, row["size"], row["compressed_size"], row["mode"], row["mtime"], target or None, location
        )
        line = None
        if row["blake3"] is not None:
            line = ManifestLine(written, kind, row["size"], row["mode"], row["mtime"], row["blake3"].hex())
        warning = why_unsafe(written) or why_odd(written) or ""
        return Item(path, kind, row["size"], target=target, warning=warning, _entry=entry, _line=line, **common)

    def _rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        with self._lock, closing(self._connection.execute(query, values)) as cursor:
            return cursor.fetchall()


def open_index(path: Path) -> ArchiveIndex:
    """Open the index in a file.

    Raises:
        sqlite3.DatabaseError: there is none, or it is damaged.
    """
    connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    try:
        return ArchiveIndex(connection)
    except IndexError as error:
        connection.close()
        raise sqlite3.DatabaseError("it holds no facts") from error
    except BaseException:
        connection.close()
        raise


def as_bytes(text: str) -> bytes:
    """Return a name as its bytes; what never was bytes (a lone surrogate) becomes an escape."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace")


def as_text(name: bytes) -> str:
    """Return a name as text that `as_bytes` turns back."""
    return name.decode("utf-8", "surrogateescape")


def folded(text: str) -> str:
    """Return a text as it is searched: without the difference of large and small letters."""
    return as_bytes(text).decode("utf-8", "replace").replace("\0", "\ufffd").casefold()
