"""Calls about what a profile leaves out and takes in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backstay.api.methods import database_filters, file_filters, inclusions
from backstay.api.replies import (
    ConnectionTest,
    DatabaseConnection,
    DatabaseEntities,
    FileEntities,
    FilterChange,
    FilterItem,
    RegexFilterItem,
    Root,
)
from backstay.client.calls import given
from backstay.client.messages import Call

SITE_DATABASE = database_filters.SITE_DATABASE
SITE_ROOT = file_filters.SITE_ROOT


def get_db_roots(profile: int = 1) -> Call[list[Root]]:
    """The databases that a profile backs up."""
    return Call(database_filters.GET_DB_ROOTS, {"profile": profile})


def get_db_filters(profile: int = 1, root: str = SITE_DATABASE) -> Call[list[FilterItem]]:
    """The filters of a database."""
    return Call(database_filters.GET_DB_FILTERS, {"profile": profile, "root": root})


def get_db_entities(profile: int = 1, root: str = SITE_DATABASE) -> Call[DatabaseEntities]:
    """The tables of a database and how the filters see them."""
    return Call(database_filters.GET_DB_ENTITIES, {"profile": profile, "root": root})


def set_db_filter(
    table: str,
    kind: str = "tables",
    profile: int = 1,
    root: str = SITE_DATABASE,
    *,
    status: bool = True,
) -> Call[FilterChange]:
    """Leaves a table (``tables``) or its rows (``tabledata``) out, or takes it in again (``status`` false)."""
    data = {"profile": profile, "root": root, "table": table, "type": kind, "status": int(status)}
    return Call(database_filters.SET_DB_FILTER, data)


def get_regex_db_filters(profile: int = 1, root: str = SITE_DATABASE) -> Call[list[RegexFilterItem]]:
    """The filters of a database that are regular expressions."""
    return Call(database_filters.GET_REGEX_DB_FILTERS, {"profile": profile, "root": root})


def set_regex_db_filter(
    regex: str,
    kind: str = "regextables",
    profile: int = 1,
    root: str = SITE_DATABASE,
    *,
    status: bool = True,
) -> Call[bool]:
    """Sets a regular expression for tables, or takes it away (``status`` false)."""
    data = {"profile": profile, "root": root, "regex": regex, "type": kind, "status": int(status)}
    return Call(database_filters.SET_REGEX_DB_FILTER, data)


def get_fs_roots(profile: int = 1) -> Call[list[Root]]:
    """The folders that a profile backs up."""
    return Call(file_filters.GET_FS_ROOTS, {"profile": profile})


def get_fs_filters(profile: int = 1, root: str = SITE_ROOT) -> Call[list[FilterItem]]:
    """The filters of files and directories."""
    return Call(file_filters.GET_FS_FILTERS, {"profile": profile, "root": root})


def get_fs_entities(subdirectory: str = "", profile: int = 1, root: str = SITE_ROOT) -> Call[FileEntities]:
    """What is in a directory of the site and how the filters see it."""
    return Call(file_filters.GET_FS_ENTITIES, {"profile": profile, "root": root, "subdirectory": subdirectory})


def set_fs_filter(
    path: str,
    kind: str,
    profile: int = 1,
    root: str = SITE_ROOT,
    *,
    status: bool = True,
) -> Call[FilterChange]:
    """Leaves a file or directory out (``directories``, ``skipdirs``, ``skipfiles``, ``files``), or takes it in."""
    data = {"profile": profile, "root": root, "path": path, "type": kind, "status": int(status)}
    return Call(file_filters.SET_FS_FILTER, data)


def get_regex_fs_filters(profile: int = 1, root: str = SITE_ROOT) -> Call[list[RegexFilterItem]]:
    """The filters of files and directories that are regular expressions."""
    return Call(file_filters.GET_REGEX_FS_FILTERS, {"profile": profile, "root": root})


def set_regex_fs_filter(
    regex: str,
    kind: str,
    profile: int = 1,
    root: str = SITE_ROOT,
    *,
    status: bool = True,
) -> Call[bool]:
    """Sets a regular expression for files or directories, or takes it away (``status`` false)."""
    data = {"profile": profile, "root": root, "regex": regex, "type": kind, "status": int(status)}
    return Call(file_filters.SET_REGEX_FS_FILTER, data)


def get_included_directories(profile: int = 1) -> Call[dict[str, list[str]]]:
    """The directories outside the site: identifier to path and folder in the archive."""
    return Call(inclusions.GET_INCLUDED_DIRECTORIES, {"profile": profile})


def set_included_directory(
    path: str, virtual_folder: str | None = None, uuid: str | None = None, profile: int = 1
) -> Call[FilterChange]:
    """Adds a directory outside the site, or changes the one of an identifier."""
    data = given(profile=profile, uuid=uuid, path=path, virtualFolder=virtual_folder)
    return Call(inclusions.SET_INCLUDED_DIRECTORY, data)


def remove_included_directory(uuid: str, profile: int = 1) -> Call[FilterChange]:
    """Takes a directory outside the site away."""
    return Call(inclusions.REMOVE_INCLUDED_DIRECTORY, {"profile": profile, "uuid": uuid})


def get_included_dbs(profile: int = 1) -> Call[dict[str, DatabaseConnection]]:
    """The databases besides the site's own, by name."""
    return Call(inclusions.GET_INCLUDED_DBS, {"profile": profile})


def set_included_db(name: str, connection: Mapping[str, Any], profile: int = 1, *, test: bool = True) -> Call[bool]:
    """Adds a database, or changes one.

    Args:
        name: its name in the profile.
        connection: host, port, driver, database, user, password, prefix.
        profile: number of the profile.
        test: whether the server tries the connection first.
    """
    data = {"profile": profile, "name": name, "connection": dict(connection), "test": int(test)}
    return Call(inclusions.SET_INCLUDED_DB, data)


def remove_included_db(name: str, profile: int = 1) -> Call[bool]:
    """Takes a database away."""
    return Call(inclusions.REMOVE_INCLUDED_DB, {"profile": profile, "name": name})


def test_db_connection(connection: Mapping[str, Any]) -> Call[ConnectionTest]:
    """Tries whether the server reaches a database; ``connection`` as for ``set_included_db``."""
    return Call(inclusions.TEST_DB_CONNECTION, {"connection": dict(connection)})
