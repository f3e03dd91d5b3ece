"""Answers about which files and folders are left out (api-methods.md 5.3)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from backstay.api.methods.database_filters import FILTER_TYPE_MISSING, REGEX_MISSING
from backstay.api.methods.file_filters import (
    UNKNOWN_FILE_ROOT,
    UNKNOWN_PATH,
    UNKNOWN_REGEX_ROOT,
    FileEntitiesParameters,
    FileFilterParameters,
    FileRegexParameters,
    FileRootParameters,
)
from backstay.api.methods.model import Failure
from backstay.api.methods.profiles import ProfileParameters
from backstay.api.replies import FileEntity, FilterChange, FilterItem, FolderEntity, RegexFilterItem, Root
from backstay.catalogue import Profile
from backstay.engine.filters import FileRules, parse_regex
from backstay.engine.platforms import with_platform_defaults
from backstay.platforms import find_site
from backstay.profiles import SITE_ROOT
from backstay.server.handlers.editing import change_filters, found_profile
from backstay.server.handlers.model import Call, Handler

_PLAIN = ("directories", "skipdirs", "skipfiles", "files")
_REGEX = ("regexdirectories", "regexskipdirs", "regexskipfiles", "regexfiles")
_FOLDER_FILTERS = ("directories", "skipfiles", "skipdirs")


def roots(call: Call, parameters: ProfileParameters) -> list[Root]:
    """List the site's root and the directories that are backed up besides it."""
    profile = found_profile(call, parameters.profile)
    return [Root(value=value, text=text) for value, text in _roots(profile).items()]


def filters(call: Call, parameters: FileRootParameters) -> list[FilterItem]:
    """List what was set by hand, for one root."""
    profile = _profile(call, parameters, UNKNOWN_FILE_ROOT)
    return [
        FilterItem(node=node, type=name) for name in _PLAIN for node in profile.filters.nodes(name, parameters.root)
    ]


def entities(call: Call, parameters: FileEntitiesParameters) -> dict[str, Any]:
    """List a folder and how the filters see what is in it: 0 taken, 1 left out, 2 left out by an expression.

    An empty map is an empty list, as the reference writes it.
    """
    profile = _profile(call, parameters, UNKNOWN_FILE_ROOT)
    place = _roots(profile)[parameters.root]
    if not place:
        raise UNKNOWN_FILE_ROOT.error()
    top = Path(place).resolve()
    path = _relative(parameters.subdirectory)
    folder = (top / path).resolve()
    if not folder.is_relative_to(top) or not folder.is_dir():
        raise UNKNOWN_PATH.error()
    settings = profile.settings()
    rules = FileRules(
        with_platform_defaults(profile.filters, find_site(Path(settings.root)).kind, settings),
        parameters.root,
        patterns=settings.exclude.splitlines(),
        on_warning=lambda _message: None,
    )
    folders: dict[str, FolderEntity] = {}
    files: dict[str, FileEntity] = {}
    try:
        with os.scandir(folder) as found:
            for entry in sorted(found, key=lambda item: item.name):
                where = f"{path}/{entry.name}" if path else entry.name
                if entry.is_dir():
                    folders[entry.name] = _folder_entity(profile, parameters.root, rules, where, entry)
                else:
                    files[entry.name] = _file_entity(profile, parameters.root, rules, where, entry)
    except OSError as error:
        raise UNKNOWN_PATH.error() from error
    return {
        "folders": folders or [],
        "files": files or [],
        "root": parameters.root,
        "crumbs": path.split("/") if path else [],
    }


def set_filter(call: Call, parameters: FileFilterParameters) -> FilterChange:
    """Set or take away one filter; the path is stored as given, relative to the root."""
    _profile(call, parameters, UNKNOWN_FILE_ROOT)
    path = _relative(parameters.path)
    if not path:
        raise UNKNOWN_PATH.error()
    if parameters.type not in _PLAIN:
        raise FILTER_TYPE_MISSING.error()
    change_filters(
        call,
        parameters.profile,
        lambda filters: filters.with_node(parameters.type, parameters.root, path, present=parameters.status),
    )
    return FilterChange(success=True, newstate=parameters.status)


def regex_filters(call: Call, parameters: FileRootParameters) -> list[RegexFilterItem]:
    """List the regular expressions of one root."""
    profile = _profile(call, parameters, UNKNOWN_REGEX_ROOT)
    return [
        RegexFilterItem(type=name, item=item)
        for name in _REGEX
        for item in profile.filters.nodes(name, parameters.root)
    ]


def set_regex_filter(call: Call, parameters: FileRegexParameters) -> bool:
    """Set or take away one regular expression; one that can't be used is refused."""
    _profile(call, parameters, UNKNOWN_REGEX_ROOT)
    if not parameters.regex:
        raise REGEX_MISSING.error()
    if parameters.type not in _REGEX:
        raise FILTER_TYPE_MISSING.error()
    if parameters.status:
        parse_regex(parameters.regex)
    change_filters(
        call,
        parameters.profile,
        lambda filters: filters.with_node(
            parameters.type, parameters.root, parameters.regex, present=parameters.status
        ),
    )
    return True


def _roots(profile: Profile) -> dict[str, str]:
    """Names of the roots of a profile and where they lie."""
    root = profile.settings().root
    extra = {
        key: directory.path.replace(SITE_ROOT, root).replace("[ROOTPARENT]", str(Path(root).parent))
        for key, directory in profile.filters.extra_directories.items()
    }
    return {SITE_ROOT: root, **extra}


def _profile(call: Call, parameters: FileRootParameters, unknown: Failure) -> Profile:
    profile = found_profile(call, parameters.profile)
    if parameters.root not in _roots(profile):
        raise unknown.error()
    return profile


def _relative(path: str) -> str:
    """A path relative to its root, without slashes at its ends.

    Raises:
        ApiError: status 500, it leads out of the root.
    """
    pieces = [piece for piece in path.split("/") if piece not in ("", ".")]
    if ".." in pieces:
        raise UNKNOWN_PATH.error()
    return "/".join(pieces)


def _folder_entity(profile: Profile, root: str, rules: FileRules, path: str, entry: os.DirEntry[str]) -> FolderEntity:
    ruled = {"directories": rules.directory, "skipfiles": rules.files, "skipdirs": rules.subdirectories}
    states = {
        name: _state(is_set=path in profile.filters.nodes(name, root), is_ruled=ruled[name](path) is not None)
        for name in _FOLDER_FILTERS
    }
    return FolderEntity(**states, link=entry.is_symlink())


def _file_entity(profile: Profile, root: str, rules: FileRules, path: str, entry: os.DirEntry[str]) -> FileEntity:
    state = _state(is_set=path in profile.filters.nodes("files", root), is_ruled=rules.file(path) is not None)
    return FileEntity(files=state, size=entry.stat(follow_symlinks=False).st_size, link=entry.is_symlink())


def _state(*, is_set: bool, is_ruled: bool) -> int:
    return 1 if is_set else 2 if is_ruled else 0


HANDLERS = {
    "getFSRoots": Handler(roots),
    "getFSFilters": Handler(filters),
    "getFSEntities": Handler(entities),
    "setFSFilter": Handler(set_filter),
    "getRegexFSFilters": Handler(regex_filters),
    "setRegexFSFilter": Handler(set_regex_filter),
}
