"""What in an archive is the site's, and what is the backup's own.

Sources: engine-behaviour, archive contents and database metadata. Three layouts occur: Backstay's (a manifest, and
``installation/`` with dumps), the reference engine's with its restoration script in ``installation/``, and the
reference engine's without one, where dumps lie in ``sql/``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from backstay.archives import ArchiveReader, Entry, EntryType
from backstay.archives.attributes import NO_ATTRIBUTES, Attributes, parse_attributes
from backstay.errors import DamagedArchiveError

_INSTALLATION = "installation/"
_BACKSTAY = "installation/backstay/"
_MANIFEST = re.compile(r"installation/backstay/manifest-\d{4,}\.jsonl", re.ASCII)
_DATABASES = "installation/sql/databases.json"
_DATABASES_INI = "installation/sql/databases.ini"
_SITE = "installation/backstay/site.json"
_EXTRA = "installation/extrainfo.json"
_EXTRA_INI = "installation/extrainfo.ini"
_OWN = frozenset({"installation/README.html", _EXTRA, "installation/eff.json", _DATABASES})
_KEPT = _OWN | {_SITE, _DATABASES_INI, _EXTRA_INI}
_PLAIN_PART = re.compile(r"sql/site\.(sql|s\d{2,})")
# The metadata is small in any honest archive; what is larger is not read into memory.
_LARGEST_METADATA = 4 << 20


@dataclass(frozen=True, slots=True)
class ArchivedDatabase:
    """One database dump in an archive.

    Attributes:
        dump_file: name of its first part.
        metadata: its entry in ``databases.json``; empty where the archive has none. May hold credentials.
        parts: the entries of its parts, in order.
    """

    dump_file: str
    metadata: dict[str, Any] = field(repr=False)
    parts: tuple[Entry, ...]

    @property
    def size(self) -> int:
        """Bytes of SQL."""
        return sum(part.size for part in self.parts)


@dataclass(frozen=True, slots=True)
class Layout:
    """What an archive holds.

    Attributes:
        databases: the dumps, extra ones first, the site's own last.
        is_own: whether a path belongs to the backup and not to the site.
        files: number of entries that are the site's.
        size: bytes of their content.
        information: what the backup says of itself (host, date, root), empty where it says nothing.
        root_mode: permissions of the site's root folder, None where the archive does not say.
        root_mtime: its modification time in whole Unix seconds, None where the archive does not say.
        root_attributes: its owner and the like, as far as the archive says.
    """

    databases: tuple[ArchivedDatabase, ...]
    is_own: Callable[[str], bool]
    files: int
    size: int
    information: dict[str, Any]
    root_mode: int | None = None
    root_mtime: int | None = None
    root_attributes: Attributes = NO_ATTRIBUTES


def read_layout(archive: ArchiveReader) -> Layout:
    """Look through the entries of an archive, without its content but for the small pages about itself.

    Raises:
        ArchiveError: the archive is damaged, or the pages about itself are.
    """
    seen = _look_through(archive)
    own = seen.own
    information = _page(archive, own.get(_EXTRA))
    databases = _listed_databases(archive, own)
    accounted = {part.path for database in databases for part in database.parts}
    by_backstay = bool(seen.manifest.entries)
    manifest = seen.backstay if by_backstay else _Count()
    # A repository hands out another engine's archive with a manifest, and with nothing else of Backstay's.
    by_another = not by_backstay or _SITE not in own
    by_vendor = by_another and bool({_EXTRA, _EXTRA_INI, _DATABASES, _DATABASES_INI} & own.keys())
    files = _Count(seen.all.entries, seen.all.size)
    if by_vendor:
        # The reference engine puts its restoration script beside the dumps: the folder is the backup's as a whole.
        is_own: Callable[[str], bool] = _in_installation
        files.take_away(seen.installation)
    elif by_another and not databases and seen.plain and seen.installation.entries == manifest.entries:
        databases = (ArchivedDatabase("site.sql", {}, _in_order(seen.plain, "sql/", "site.sql", len(seen.plain))),)
        paths = {part.path for part in databases[0].parts}
        is_own = _ownership(paths, by_backstay=by_backstay)
        files.take_away(_Count(len(paths), databases[0].size))
        files.take_away(manifest)
    else:
        pages = {path for path in own if path in _OWN and (information or path == _DATABASES)}
        is_own = _ownership(accounted | pages, by_backstay=by_backstay)
        for path in accounted | pages:
            files.take_away(_Count(1, own[path].size))
        files.take_away(manifest)
    page = _page(archive, own.get(_SITE))
    if seen.manifest.entries and (installer := _installer(page)):
        for entry in archive:
            if entry.path in installer and not is_own(entry.path):
                files.take_away(_Count(1, entry.size))
        is_own = _either(is_own, installer)
    root = page.get("root")
    root = root if isinstance(root, dict) else {}
    return Layout(
        databases,
        is_own,
        files.entries,
        files.size,
        information,
        _whole_number(root.get("mode")),
        _whole_number(root.get("mtime")),
        _root_attributes(root),
    )


@dataclass(slots=True)
class _Count:
    """A number of entries, and the bytes of their content."""

    entries: int = 0
    size: int = 0

    def add(self, entry: Entry) -> None:
        self.entries += 1
        self.size += entry.size

    def take_away(self, other: _Count) -> None:
        self.entries -= other.entries
        self.size -= other.size


@dataclass(slots=True)
class _Seen:
    """What one walk over the entries finds; only the few that may be about the backup are kept."""

    own: dict[str, Entry] = field(default_factory=dict)
    plain: dict[str, Entry] = field(default_factory=dict)
    all: _Count = field(default_factory=_Count)
    installation: _Count = field(default_factory=_Count)
    backstay: _Count = field(default_factory=_Count)
    manifest: _Count = field(default_factory=_Count)


def _look_through(archive: ArchiveReader) -> _Seen:
    seen = _Seen()
    for entry in archive:
        path = entry.path
        seen.all.add(entry)
        is_file = entry.type is EntryType.FILE
        if not _in_installation(path):
            if is_file and _PLAIN_PART.fullmatch(path):
                seen.plain[path] = entry
            continue
        seen.installation.add(entry)
        if path.startswith(_BACKSTAY):
            seen.backstay.add(entry)
            if is_file and _MANIFEST.fullmatch(path):
                seen.manifest.add(entry)
        if is_file and (path in _KEPT or path.startswith("installation/sql/")):
            seen.own[path] = entry
    return seen


def _in_installation(path: str) -> bool:
    return path == "installation" or path.startswith(_INSTALLATION)


def _ownership(paths: set[str], *, by_backstay: bool) -> Callable[[str], bool]:
    return lambda path: path in paths or (by_backstay and path.startswith(_BACKSTAY))


def _installer(page: dict[str, Any]) -> frozenset[str]:
    """Return the paths of the restoration script that a backup laid over ``installation/``."""
    paths = page.get("installer")
    named = paths if isinstance(paths, list) else []
    return frozenset(path for path in named if isinstance(path, str) and path.startswith(_INSTALLATION))


def _either(is_own: Callable[[str], bool], paths: frozenset[str]) -> Callable[[str], bool]:
    return lambda path: path in paths or is_own(path)


def _root_attributes(root: dict[str, Any]) -> Attributes:
    try:
        return parse_attributes(root)
    except (ValueError, TypeError, AttributeError) as error:
        raise DamagedArchiveError(f"{_SITE} in the archive is damaged: take another copy.") from error


def _whole_number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _listed_databases(archive: ArchiveReader, own: dict[str, Entry]) -> tuple[ArchivedDatabase, ...]:
    listed = _page(archive, own.get(_DATABASES))
    if not listed and (page := own.get(_DATABASES_INI)):
        listed = _read_ini(_content(archive, page))
    found = []
    for dump_file, metadata in listed.items():
        if not isinstance(metadata, dict):
            continue
        count = metadata.get("parts", 1)
        count = int(count) if str(count).isdigit() else 1
        found.append(ArchivedDatabase(dump_file, metadata, _in_order(own, "installation/sql/", dump_file, count)))
    return tuple(found)


def _in_order(entries: dict[str, Entry], folder: str, dump_file: str, count: int) -> tuple[Entry, ...]:
    """Return the parts of a dump: NAME.sql, NAME.s01, NAME.s02 and so on."""
    base = dump_file.removesuffix(".sql")
    names = [dump_file] + [f"{base}.s{number:02d}" for number in range(1, count)]
    missing = [name for name in names if folder + name not in entries]
    if missing:
        raise DamagedArchiveError(
            f"The dump {dump_file} lacks its part {missing[0]}: take another copy of the archive."
        )
    return tuple(entries[folder + name] for name in names)


def _page(archive: ArchiveReader, entry: Entry | None) -> dict[str, Any]:
    if entry is None:
        return {}
    try:
        page = json.loads(_content(archive, entry))
    except ValueError as error:
        raise DamagedArchiveError(f"{entry.path} in the archive is not JSON ({error}): take another copy.") from error
    return page if isinstance(page, dict) else {}


def _content(archive: ArchiveReader, entry: Entry) -> str:
    if entry.size > _LARGEST_METADATA:
        raise DamagedArchiveError(f"{entry.path} in the archive is {entry.size} bytes long: that is not such a page.")
    return b"".join(archive.read(entry)).decode("utf-8", "replace")


def _read_ini(text: str) -> dict[str, Any]:
    """Read ``databases.ini`` of the 2015 generation: a section for each dump, ``key = "value"`` lines."""
    found: dict[str, Any] = {}
    section: dict[str, Any] = {}
    for line in text.splitlines():
        stripped = line.strip()
        if heading := re.fullmatch(r"\[(.+)\]", stripped):
            section = found.setdefault(heading[1].strip('"'), {})
        elif pair := re.fullmatch(r'([\w-]+)\s*=\s*"?(.*?)"?', stripped):
            section[pair[1]] = re.sub(r'\\(["\\])', r"\1", pair[2])
    return found


def open_part(archive: ArchiveReader, entry: Entry) -> Callable[[], BinaryIO]:
    """Return what opens a SQL part for reading."""
    return lambda: archive.open(entry)
