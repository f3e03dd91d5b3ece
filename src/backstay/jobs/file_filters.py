"""Which files and folders of a profile's site are left out, and by what: a folder at a time, as it lies on the disk."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from backstay.catalogue import Profile
from backstay.engine.filters import KEPT_FILES, FileRules, parse_regex
from backstay.engine.platforms import with_platform_defaults
from backstay.errors import NotFoundError, UsageError
from backstay.jobs.installation import Installation
from backstay.jobs.profiles import change_profile
from backstay.platforms import find_site
from backstay.profiles import SITE_ROOT, ExtraDirectory, Filters

FILE_FILTERS: Final = ("directories", "skipdirs", "skipfiles", "files")
FILE_REGEXES: Final = ("regexdirectories", "regexskipdirs", "regexskipfiles", "regexfiles")
By = Literal["profile", "platform"]


@dataclass(frozen=True, slots=True)
class Ruling:
    """That something is left out, and why.

    Attributes:
        reason: name of the filter; a regular expression stands behind it.
        by: what the profile says itself, or the defaults of the site's platform.
        above: path of the folder with which it is left out; None: it is meant itself.
    """

    reason: str
    by: By
    above: str | None = None


@dataclass(frozen=True, slots=True)
class ListedEntry:
    """A file or folder, and how the filters see it.

    Attributes:
        name: its name; what is not UTF-8 in it as surrogates.
        path: relative to the root.
        is_folder, is_link: what it is.
        size: bytes of a file; 0 of a folder.
        own: the filters of the profile that name it itself.
        ruled: for each filter of its kind, why that applies; a filter that does not apply is not in it.
        left_out: why nothing of it is in the backup; None: it is in it, or some of it.
    """

    name: str
    path: str
    is_folder: bool
    is_link: bool
    size: int
    own: frozenset[str]
    ruled: dict[str, Ruling]
    left_out: Ruling | None


@dataclass(frozen=True, slots=True)
class ListedFolder:
    """One page of a folder.

    Attributes:
        path: relative to the root.
        entries: folders first, then files, by name.
        count: of all entries of the folder.
        left_out: why nothing in it is in the backup; None: that depends on each.
        warnings: of filters that can't be used.
    """

    path: str
    entries: list[ListedEntry]
    count: int
    left_out: Ruling | None
    warnings: list[str]


def file_roots(profile: Profile) -> dict[str, str]:
    """Return the names of the trees of a profile, the site's own first, and where they lie; empty: nowhere yet."""
    root = profile.settings().root
    extra = {
        key: directory.path.replace(SITE_ROOT, root).replace("[ROOTPARENT]", str(Path(root).parent))
        for key, directory in profile.filters.extra_directories.items()
    }
    return {SITE_ROOT: root, **extra}


def relative_path(path: str) -> str:
    """Return a path relative to its root, without slashes at its ends.

    Raises:
        UsageError: it leads out of the root.
    """
    pieces = [piece for piece in path.split("/") if piece not in ("", ".")]
    if ".." in pieces or "\0" in path:
        raise UsageError("The path leads out of the site's folder: give one within it.")
    return "/".join(pieces)


def list_folder(profile: Profile, root: str, path: str, *, offset: int = 0, limit: int | None = None) -> ListedFolder:
    """Return what is in a folder and how the filters see it.

    Args:
        profile: whose filters.
        root: name of the tree (``file_roots``).
        path: relative to it; empty: its top.
        offset: so many entries are skipped.
        limit: so many are returned at most; None: all.

    Raises:
        NotFoundError: there is no such tree, or no such folder in it.
        UsageError: the path leads out of the tree.
    """
    top, path = tree_of(profile, root), relative_path(path)
    folder = (top / path).resolve()
    if not folder.is_relative_to(top) or not folder.is_dir():
        raise NotFoundError(f"There is no folder {path or top}: choose another.")
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: (not entry.is_dir(), entry.name))
    except OSError as error:
        raise NotFoundError(f"The folder {path or top} can't be read: {error.strerror}.") from error
    rules = _Rules(profile, root)
    above = rules.above(path)
    shown = entries[offset : None if limit is None else offset + limit]
    listed = [_listed(profile, root, rules, f"{path}/{one.name}" if path else one.name, one, above) for one in shown]
    return ListedFolder(path, listed, len(entries), above, rules.warnings)


def tree_of(profile: Profile, root: str) -> Path:
    """Return where a tree of a profile lies.

    Raises:
        NotFoundError: the profile has no such tree, or no folder yet.
    """
    place = file_roots(profile).get(root)
    if not place or not Path(place).is_dir():
        raise NotFoundError("The profile has no such folder, or it is not there: see its setting Root.")
    return Path(place).resolve()


def set_file_filter(
    installation: Installation, profile_id: int, root: str, names: Sequence[str], path: str, *, present: bool
) -> None:
    """Leave a path out of the backups of a profile, or take it in again.

    Args:
        installation: whose.
        profile_id: number of the profile.
        root: name of the tree (``file_roots``).
        names: which of ``FILE_FILTERS`` name the path.
        path: relative to the root.
        present: leave out; else take in.

    Raises:
        NotFoundError: there is no such profile or tree.
        UsageError: there is no such filter, or the path is the root itself or leads out of it.
    """
    path = relative_path(path)
    if not path:
        raise UsageError("The whole site can't be left out: choose a folder or file in it.")
    if not names or not set(names) <= set(FILE_FILTERS):
        raise UsageError(f"A path is left out by one of {', '.join(FILE_FILTERS)}.")
    _change(installation, profile_id, root, names, path, present=present)


def set_file_regex(
    installation: Installation, profile_id: int, root: str, name: str, regex: str, *, present: bool
) -> None:
    r"""Leave out what matches a regular expression between delimiters, such as ``#\.bak$#i``, or no longer do so.

    Raises:
        NotFoundError: there is no such profile or tree.
        UsageError: there is no such filter, or no expression.
        ConfigurationError: the expression can't be used.
    """
    if name not in FILE_REGEXES or not regex:
        raise UsageError(f"Give a regular expression, and one of {', '.join(FILE_REGEXES)}.")
    if present:
        parse_regex(regex)
    _change(installation, profile_id, root, [name], regex, present=present)


def add_folder(installation: Installation, profile_id: int, path: str, virtual_folder: str = "", key: str = "") -> str:
    """Let a profile back up a folder outside the site, too; return the name of its tree.

    Args:
        installation: whose.
        profile_id: number of the profile.
        path: absolute.
        virtual_folder: its folder in the archive; empty: named as the folder itself.
        key: name of the tree that is changed; empty: a new one.

    Raises:
        NotFoundError: there is no such profile.
        UsageError: there is no path.
    """
    place = path.rstrip("/") or path
    if not place:
        raise UsageError("Give the path of a folder.")
    name = key or str(uuid.uuid4())
    directory = ExtraDirectory(place, virtual_folder.strip("/") or place.rpartition("/")[2])
    _change_filters(
        installation,
        profile_id,
        lambda filters: replace(filters, extra_directories={**filters.extra_directories, name: directory}),
    )
    return name


def remove_folder(installation: Installation, profile_id: int, key: str) -> None:
    """Take a folder outside the site out of the backups of a profile; one that is not in them is fine.

    Raises:
        NotFoundError: there is no such profile.
    """

    def without(filters: Filters) -> Filters:
        kept = {name: folder for name, folder in filters.extra_directories.items() if name != key}
        return replace(filters, extra_directories=kept)

    _change_filters(installation, profile_id, without)


def _change(
    installation: Installation, profile_id: int, root: str, names: Sequence[str], node: str, *, present: bool
) -> None:
    def changed(filters: Filters) -> Filters:
        for name in names:
            filters = filters.with_node(name, root, node, present=present)
        return filters

    if root not in file_roots(installation.catalogue.profiles.get(profile_id)):
        raise NotFoundError("The profile has no such folder: see its filters.")
    _change_filters(installation, profile_id, changed)


def _change_filters(installation: Installation, profile_id: int, change: Callable[[Filters], Filters]) -> None:
    change_profile(installation, profile_id, lambda profile: replace(profile, filters=change(profile.filters)))


class _Rules:
    """What a profile leaves out of one tree: by itself, and by the defaults of its platform."""

    def __init__(self, profile: Profile, root: str) -> None:
        settings = profile.settings()
        platform = find_site(Path(settings.root)).kind if Path(settings.root or "/dev/null").is_dir() else ""
        patterns = settings.exclude.splitlines()
        self.warnings: list[str] = []
        self._own = FileRules(profile.filters, root, patterns=patterns, on_warning=self.warnings.append)
        self._all = FileRules(
            with_platform_defaults(profile.filters, platform, settings),
            root,
            patterns=patterns,
            on_warning=lambda _again: None,
        )

    def of(self, name: str, path: str, above: str | None = None) -> Ruling | None:
        """Return why a filter applies to a path; None: it does not."""
        for rules, by in ((self._own, "profile"), (self._all, "platform")):
            ask = {
                "directories": rules.directory,
                "files": rules.file,
                "skipdirs": rules.subdirectories,
                "skipfiles": rules.files,
            }[name]
            if (reason := ask(path)) is not None:
                return Ruling(reason, "profile" if by == "profile" else "platform", above)
        return None

    def above(self, path: str) -> Ruling | None:
        """Return why a folder is not entered, itself or one above it; None: it is."""
        pieces = path.split("/") if path else []
        for count in range(len(pieces)):
            parent, one = "/".join(pieces[:count]), "/".join(pieces[: count + 1])
            if ruling := self.of("skipdirs", parent, parent) or self.of("directories", one, one):
                return ruling
        return None


def _listed(
    profile: Profile, root: str, rules: _Rules, path: str, entry: os.DirEntry[str], above: Ruling | None
) -> ListedEntry:
    is_folder, is_link = entry.is_dir(), entry.is_symlink()
    names = ("directories", "skipfiles", "skipdirs") if is_folder else ("files",)
    ruled = {name: ruling for name in names if (ruling := rules.of(name, path))}
    folder = path.rpartition("/")[0]
    by_folder = (
        rules.of("skipdirs", folder, folder)
        if is_folder
        else None
        if entry.name in KEPT_FILES
        else rules.of("skipfiles", folder, folder)
    )
    try:
        size = 0 if is_folder else entry.stat(follow_symlinks=False).st_size
    except OSError:
        size = 0
    return ListedEntry(
        name=entry.name,
        path=path,
        is_folder=is_folder,
        is_link=is_link,
        size=size,
        own=frozenset(name for name in names if path in profile.filters.nodes(name, root)),
        ruled=ruled,
        left_out=above or by_folder or ruled.get(names[0]),
    )
