"""What goes into an archive, in order: the backup's own first entries, the site's files, the database dumps."""

from __future__ import annotations

import contextlib
import html
import json
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backstay.archives import EntryType, Source
from backstay.archives.attributes import pack_attributes, read_attributes
from backstay.engine.counting import FolderCounts
from backstay.engine.dumping import Dumped
from backstay.engine.filters import FileRules
from backstay.engine.plan import Plan
from backstay.engine.progress import Domain
from backstay.engine.scanner import Scanner, Tree
from backstay.engine.spool import restored
from backstay.profiles import SITE_ROOT, Filters, virtual_folder
from backstay.version import __version__

INSTALLATION = "installation"
SQL_FOLDER = f"{INSTALLATION}/sql"
SITE_PAGE = f"{INSTALLATION}/backstay/site.json"
# Names that the backup writes itself (engine-behaviour, archive contents); manifests are the archive's own.
_OWN = re.compile(
    r"installation/(backstay(/.*)?|README\.html|extrainfo\.json|eff\.json|sql/(databases\.json|[^/]+\.(sql|s\d{2,})))",
    re.DOTALL,
)
_VIRTUAL_MODE = 0o100644
# A moment that every format can hold.
_TIME_OF_PARTS = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Section:
    """A run of entries that come from one place.

    Attributes:
        domain: what the API calls the time while they are packed.
        sources: yields them, behind a position (see ``scanner.position``); empty: all.
    """

    domain: Domain
    sources: Callable[[str], Iterator[Source]]


def is_own(path: str) -> bool:
    """Return whether a path in the archive belongs to the backup's own entries."""
    return _OWN.fullmatch(path) is not None


def virtual(path: str, content: bytes, moment: datetime) -> Source:
    """Return the source of an entry whose content the backup makes itself."""
    return Source(
        path=path,
        type=EntryType.FILE,
        mode=_VIRTUAL_MODE,
        mtime=int(moment.timestamp()),
        size=len(content),
        data=content,
    )


def listed(sources: Iterable[Source], after: str) -> Iterator[Source]:
    """Yield the sources of a short list that come behind a position."""
    items = list(sources)
    paths = [source.path for source in items]
    start = paths.index(after) + 1 if after in paths else 0
    yield from items[start:]


def site_entry(plan: Plan, installer: Iterable[str] = ()) -> Source:
    """Return the page that holds for Backstay's own restore what no archive format has a place for.

    Args:
        plan: of the backup.
        installer: paths of the restoration script's files: they are not the site's.
    """
    moment = datetime.fromisoformat(plan.started)
    page: dict[str, Any] = {"backstay_version": __version__, "type": plan.settings.backup_type}
    if paths := list(installer):
        page["installer"] = paths
    # Where the root is gone, the walk over it says so.
    with contextlib.suppress(OSError):
        status = Path(plan.settings.root).stat()
        attributes, _warning = read_attributes(status, plan.settings.root)
        kept = json.loads(f'{{"mode":{stat.S_IMODE(status.st_mode)}{pack_attributes(attributes)}}}')
        page["root"] = {**kept, "mtime": int(status.st_mtime // 1)}
    return virtual(SITE_PAGE, json.dumps(page, indent=4).encode(), moment)


def first_entries(plan: Plan) -> list[Source]:
    """Return the pages with which a restoration layout begins."""
    moment = datetime.fromisoformat(plan.started)
    readme = (
        '<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE html>\n'
        '<html xmlns="http://www.w3.org/1999/xhtml"><head><title>Backup</title></head><body>\n'
        f'<h1 id="description">{html.escape(plan.description)}</h1>\n'
        f'<div id="comment">{html.escape(plan.comment)}</div>\n'
        f"<p>Made by Backstay {__version__}.</p>\n</body></html>\n"
    )
    extra = {
        "host": plan.host,
        "backup_date": moment.strftime("%Y-%m-%d %H:%M:%S"),
        "akeeba_version": __version__,
        "php_version": "",
        "root": plan.settings.root.encode("utf-8", "backslashreplace").decode(),
        "backstay_version": __version__,
    }
    return [
        virtual(f"{INSTALLATION}/README.html", readme.encode("utf-8", "backslashreplace"), moment),
        virtual(f"{INSTALLATION}/extrainfo.json", json.dumps(extra, indent=4).encode(), moment),
    ]


def installer_entries(plan: Plan, files: Mapping[str, bytes]) -> list[Source]:
    """Return the files of the restoration script, by path; see ``installer.read_files``."""
    moment = datetime.fromisoformat(plan.started)
    return [virtual(path, content, moment) for path, content in files.items()]


def database_entries(plan: Plan, dumps: Iterable[Dumped]) -> list[Source]:
    """Return the SQL parts of the finished dumps, and the page that describes them to a restoration script."""
    moment = datetime.fromisoformat(plan.started)
    # In a repository the time would be all that is new of a part that is what it was at the last backup.
    if plan.settings.repository:
        moment = _TIME_OF_PARTS
    sources = []
    metadata: dict[str, Any] = {}
    for dumped in dumps:
        metadata[dumped.dump_file] = dumped.metadata
        for name, part in restored(dumped.parts) or []:
            sources.append(
                Source(
                    path=f"{SQL_FOLDER}/{name}",
                    type=EntryType.FILE,
                    mode=_VIRTUAL_MODE,
                    mtime=int(moment.timestamp()),
                    size=part.size,
                    deflated=part,
                )
            )
    sources.append(virtual(f"{SQL_FOLDER}/databases.json", json.dumps(metadata, indent=4).encode(), moment))
    return sources


def trees(plan: Plan, own_folders: Iterable[Path], *, on_warning: Callable[[str], None]) -> list[Tree]:
    """Return the folders that a backup takes: the site's root, then the off-site ones, in the same order every time.

    Args:
        plan: of the backup.
        own_folders: folders Backstay writes to; where one lies in a tree, or a link leads to it, it is left out.
        on_warning: called with one sentence for filters that cannot be used.
    """
    settings = plan.settings
    filters = Filters.from_stored(plan.filters)
    roots = [_Root(Path(settings.root), "", SITE_ROOT)]
    for directory in filters.extra_directories.values():
        path = directory.path.replace(SITE_ROOT, settings.root)
        path = path.replace("[ROOTPARENT]", str(Path(settings.root).parent))
        name = virtual_folder(directory.virtual_folder)
        # A folder that is not there keeps its place in the order: the walk over it warns.
        roots.append(_Root(Path(path), f"{settings.virtual_folder}/{name}" if name else "", directory.path))
    own = [folder.resolve() for folder in own_folders]
    return [_tree(root, plan, filters, own, on_warning) for root in roots]


def off_site_entries(plan: Plan) -> list[Source]:
    """Return the page that says where off-site folders came from; none where there are none."""
    filters = Filters.from_stored(plan.filters)
    folders = {
        directory.path: f"{plan.settings.virtual_folder}/{name}"
        for directory in filters.extra_directories.values()
        if (name := virtual_folder(directory.virtual_folder))
    }
    if not folders:
        return []
    moment = datetime.fromisoformat(plan.started)
    return [virtual(f"{INSTALLATION}/eff.json", json.dumps({"eff": folders}, indent=4).encode(), moment)]


@dataclass(frozen=True, slots=True)
class _Root:
    """Where a tree begins, its folder in the archive, and its name in the filters."""

    path: Path
    prefix: str
    name: str


def _tree(root: _Root, plan: Plan, filters: Filters, own: list[Path], on_warning: Callable[[str], None]) -> Tree:
    settings = plan.settings
    real = root.path.resolve()
    inside = [folder.relative_to(real).as_posix() for folder in own if folder != real and folder.is_relative_to(real)]
    for folder in inside:
        on_warning(f"{folder} lies under the site's root and is where Backstay writes: it is left out.")
    archive = Path(plan.archive)
    rules = FileRules(
        filters,
        root.name,
        patterns=settings.exclude.splitlines(),
        folders=inside,
        own_files=f"{archive.stem}." if archive.parent.resolve() == real else "",
        on_warning=on_warning,
    )
    return Tree(
        root=str(real).encode("utf-8", "surrogateescape"),
        prefix=root.prefix,
        rules=rules,
        required=root.name == SITE_ROOT,
        follow_links=settings.dereference_symlinks,
        one_file_system=settings.one_file_system,
        newer_than=plan.newer_than,
        own_link_modes=settings.archive_format == "zip",
        own_folders=frozenset(_identities(folder for folder in own if folder != real)),
    )


def _identities(folders: Iterable[Path]) -> Iterator[tuple[int, int]]:
    for folder in folders:
        with contextlib.suppress(OSError):
            status = folder.stat()
            yield status.st_dev, status.st_ino


@dataclass(frozen=True, slots=True)
class Survey:
    """What a backup would take: counted before it begins.

    Attributes:
        files, folders, links: how many of each.
        size: bytes of the files' content.
        excluded: filter → how many paths it leaves out by itself (what lies beneath them is not counted).
        stored: bytes of files that go into the archive without compression, because they are large.
        names: bytes of the paths of files and links.
    """

    files: int = 0
    folders: int = 0
    links: int = 0
    size: int = 0
    excluded: dict[str, int] = field(default_factory=dict)
    stored: int = 0
    names: int = 0


def survey(found: Iterable[Tree], *, store_above: int | None = None, counted: FolderCounts | None = None) -> Survey:
    """Walk over trees without reading a file, and count.

    Args:
        found: the trees.
        store_above: files of more bytes are stored without compression; None: all are compressed.
        counted: given everything that is found; None: nothing is counted.
    """
    counts = dict.fromkeys(EntryType, 0)
    size = stored = names = 0
    excluded: dict[str, int] = {}

    def note(path: str, reason: str) -> None:
        del path
        excluded[reason] = excluded.get(reason, 0) + 1

    for tree in found:
        if counted is not None:
            counted.begin(tree.prefix)
        for source in Scanner(tree, on_warning=lambda _message: None, on_excluded=note).sources():
            if counted is not None:
                counted.add(source)
            counts[source.type] += 1
            names += len(source.path) if source.type is not EntryType.DIRECTORY else 0
            if source.type is EntryType.FILE:
                size += source.size
                stored += source.size if store_above is not None and source.size > store_above else 0
    files, folders, links = counts[EntryType.FILE], counts[EntryType.DIRECTORY], counts[EntryType.SYMLINK]
    return Survey(files, folders, links, size, excluded, stored, names)
