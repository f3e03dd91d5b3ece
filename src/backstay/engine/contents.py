"""What goes into an archive, in order: the backup's own first entries, the site's files, the database dumps."""

from __future__ import annotations

import html
import json
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from backstay.archives import EntryType, Source
from backstay.engine.dumping import Dumped
from backstay.engine.filters import FileRules
from backstay.engine.plan import Plan
from backstay.engine.progress import Domain
from backstay.engine.scanner import Scanner, Tree
from backstay.engine.spool import restored
from backstay.profiles import SITE_ROOT, Filters, Settings
from backstay.version import __version__

INSTALLATION = "installation"
SQL_FOLDER = f"{INSTALLATION}/sql"
SITE_PAGE = f"{INSTALLATION}/backstay/site.json"
VIRTUAL_FOLDER = "external_files"
# Names that the backup writes itself (engine-behaviour, archive contents); manifests are the archive's own.
_OWN = re.compile(
    r"installation/(backstay(/.*)?|README\.html|extrainfo\.json|eff\.json|sql/(databases\.json|[^/]+\.(sql|s\d{2,})))",
    re.DOTALL,
)
_VIRTUAL_MODE = 0o100644


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
    """Tell whether a path in the archive belongs to the backup's own entries."""
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


def site_entry(plan: Plan) -> Source:
    """Return the page that tells Backstay's own restore what no archive format has a place for."""
    moment = datetime.fromisoformat(plan.started)
    page: dict[str, Any] = {"backstay_version": __version__, "type": plan.settings.backup_type}
    if plan.settings.root:
        status = Path(plan.settings.root).stat()
        page["root"] = {"mode": stat.S_IMODE(status.st_mode), "mtime": int(status.st_mtime // 1)}
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


def database_entries(plan: Plan, dumps: Iterable[Dumped]) -> list[Source]:
    """Return the SQL parts of the finished dumps, and the page that tells a restoration what they are."""
    moment = datetime.fromisoformat(plan.started)
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
    """Return the folders that a backup takes: the site's root, then the off-site ones.

    Args:
        plan: of the backup.
        own_folders: folders Backstay writes to; where one lies in a tree it is left out.
        on_warning: told of filters that cannot be used.
    """
    settings = plan.settings
    filters = Filters.from_stored(plan.filters)
    found = [_tree(Path(settings.root), "", SITE_ROOT, settings, filters, plan, own_folders, on_warning)]
    for directory in filters.extra_directories.values():
        path = Path(
            directory.path.replace(SITE_ROOT, settings.root).replace("[ROOTPARENT]", str(Path(settings.root).parent))
        )
        name = directory.virtual_folder.strip("/")
        prefix = f"{VIRTUAL_FOLDER}/{name}" if name else ""
        if not path.is_dir():
            on_warning(f"The off-site folder {path} is not there: it is NOT in the backup.")
            continue
        found.append(_tree(path, prefix, directory.path, settings, filters, plan, own_folders, on_warning))
    return found


def off_site_entries(plan: Plan) -> list[Source]:
    """Return the page that tells a restoration where off-site folders came from; none where there are none."""
    filters = Filters.from_stored(plan.filters)
    folders = {
        directory.path: f"{VIRTUAL_FOLDER}/{directory.virtual_folder.strip('/')}"
        for directory in filters.extra_directories.values()
        if directory.virtual_folder.strip("/")
    }
    if not folders:
        return []
    moment = datetime.fromisoformat(plan.started)
    return [virtual(f"{INSTALLATION}/eff.json", json.dumps({"eff": folders}, indent=4).encode(), moment)]


def _tree(
    root: Path,
    prefix: str,
    name: str,
    settings: Settings,
    filters: Filters,
    plan: Plan,
    own_folders: Iterable[Path],
    on_warning: Callable[[str], None],
) -> Tree:
    real = root.resolve()
    inside = [
        folder.resolve().relative_to(real).as_posix()
        for folder in own_folders
        if folder.resolve() != real and folder.resolve().is_relative_to(real)
    ]
    for folder in inside:
        on_warning(f"{folder} lies under the site's root and is where Backstay writes: it is left out.")
    rules = FileRules(filters, name, patterns=settings.exclude.splitlines(), folders=inside, on_warning=on_warning)
    return Tree(
        root=str(real).encode("utf-8", "surrogateescape"),
        prefix=prefix,
        rules=rules,
        follow_links=settings.dereference_symlinks,
        one_file_system=settings.one_file_system,
        newer_than=plan.newer_than,
    )


@dataclass(frozen=True, slots=True)
class Survey:
    """What a backup would take: counted before it begins.

    Attributes:
        files, folders, links: how many of each.
        size: bytes of the files' content.
        excluded: filter → how many paths it leaves out by itself (what lies beneath them is not counted).
    """

    files: int
    folders: int
    links: int
    size: int
    excluded: dict[str, int]


def survey(found: Iterable[Tree]) -> Survey:
    """Walk over trees without reading a file, and count."""
    counts = dict.fromkeys(EntryType, 0)
    size = 0
    excluded: dict[str, int] = {}

    def note(path: str, reason: str) -> None:
        del path
        excluded[reason] = excluded.get(reason, 0) + 1

    for tree in found:
        for source in Scanner(tree, on_warning=lambda _message: None, on_excluded=note).sources():
            counts[source.type] += 1
            size += source.size if source.type is EntryType.FILE else 0
    return Survey(counts[EntryType.FILE], counts[EntryType.DIRECTORY], counts[EntryType.SYMLINK], size, excluded)
