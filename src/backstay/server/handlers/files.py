"""Answers about which files and folders are left out (api-methods.md 5.3)."""

from __future__ import annotations

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
from backstay.errors import NotFoundError, UsageError
from backstay.jobs.file_filters import (
    FILE_FILTERS,
    FILE_REGEXES,
    ListedEntry,
    file_roots,
    list_folder,
    relative_path,
    set_file_filter,
    set_file_regex,
)
from backstay.server.handlers.editing import found_profile
from backstay.server.handlers.model import Call, Handler

_FOLDER_FILTERS = ("directories", "skipfiles", "skipdirs")


def roots(call: Call, parameters: ProfileParameters) -> list[Root]:
    """List the site's root and the directories that are backed up besides it."""
    profile = found_profile(call, parameters.profile)
    return [Root(value=value, text=text) for value, text in file_roots(profile).items()]


def filters(call: Call, parameters: FileRootParameters) -> list[FilterItem]:
    """List what was set by hand, for one root."""
    profile = _profile(call, parameters, UNKNOWN_FILE_ROOT)
    return [
        FilterItem(node=node, type=name)
        for name in FILE_FILTERS
        for node in profile.filters.nodes(name, parameters.root)
    ]


def entities(call: Call, parameters: FileEntitiesParameters) -> dict[str, Any]:
    """List a folder and how the filters see what is in it: 0 taken, 1 left out, 2 left out by an expression.

    An empty map is an empty list, as the reference writes it.
    """
    profile = _profile(call, parameters, UNKNOWN_FILE_ROOT)
    try:
        listed = list_folder(profile, parameters.root, parameters.subdirectory)
    except (NotFoundError, UsageError) as error:
        failure = UNKNOWN_FILE_ROOT if not file_roots(profile)[parameters.root] else UNKNOWN_PATH
        raise failure.error() from error
    folders = {one.name: _folder_entity(one) for one in listed.entries if one.is_folder}
    files = {one.name: _file_entity(one) for one in listed.entries if not one.is_folder}
    return {
        "folders": folders or [],
        "files": files or [],
        "root": parameters.root,
        "crumbs": listed.path.split("/") if listed.path else [],
    }


def set_filter(call: Call, parameters: FileFilterParameters) -> FilterChange:
    """Set or take away one filter; the path is stored as given, relative to the root."""
    _profile(call, parameters, UNKNOWN_FILE_ROOT)
    path = _relative(parameters.path)
    if not path:
        raise UNKNOWN_PATH.error()
    if parameters.type not in FILE_FILTERS:
        raise FILTER_TYPE_MISSING.error()
    set_file_filter(
        call.installation, parameters.profile, parameters.root, [parameters.type], path, present=parameters.status
    )
    return FilterChange(success=True, newstate=parameters.status)


def regex_filters(call: Call, parameters: FileRootParameters) -> list[RegexFilterItem]:
    """List the regular expressions of one root."""
    profile = _profile(call, parameters, UNKNOWN_REGEX_ROOT)
    return [
        RegexFilterItem(type=name, item=item)
        for name in FILE_REGEXES
        for item in profile.filters.nodes(name, parameters.root)
    ]


def set_regex_filter(call: Call, parameters: FileRegexParameters) -> bool:
    """Set or take away one regular expression; one that can't be used is refused."""
    _profile(call, parameters, UNKNOWN_REGEX_ROOT)
    if not parameters.regex:
        raise REGEX_MISSING.error()
    if parameters.type not in FILE_REGEXES:
        raise FILTER_TYPE_MISSING.error()
    set_file_regex(
        call.installation,
        parameters.profile,
        parameters.root,
        parameters.type,
        parameters.regex,
        present=parameters.status,
    )
    return True


def _profile(call: Call, parameters: FileRootParameters, unknown: Failure) -> Profile:
    profile = found_profile(call, parameters.profile)
    if parameters.root not in file_roots(profile):
        raise unknown.error()
    return profile


def _relative(path: str) -> str:
    """A path relative to its root, without slashes at its ends.

    Raises:
        ApiError: status 500, it leads out of the root.
    """
    try:
        return relative_path(path)
    except UsageError as error:
        raise UNKNOWN_PATH.error() from error


def _folder_entity(entry: ListedEntry) -> FolderEntity:
    return FolderEntity(**{name: _state(entry, name) for name in _FOLDER_FILTERS}, link=entry.is_link)


def _file_entity(entry: ListedEntry) -> FileEntity:
    return FileEntity(files=_state(entry, "files"), size=entry.size, link=entry.is_link)


def _state(entry: ListedEntry, name: str) -> int:
    return 1 if name in entry.own else 2 if name in entry.ruled else 0


HANDLERS = {
    "getFSRoots": Handler(roots),
    "getFSFilters": Handler(filters),
    "getFSEntities": Handler(entities),
    "setFSFilter": Handler(set_filter),
    "getRegexFSFilters": Handler(regex_filters),
    "setRegexFSFilter": Handler(set_regex_filter),
}
