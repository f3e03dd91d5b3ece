"""Answers about directories and databases that are backed up besides the site (api-methods.md 5.4)."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from backstay.api.methods.inclusions import (
    CONNECTION_FAILED,
    CONNECTION_INCOMPLETE,
    CONNECTION_KEYS,
    NAME_MISSING,
    PATH_MISSING,
    UUID_MISSING,
    ConnectionParameters,
    DatabaseNameParameters,
    IncludedDatabaseParameters,
    IncludedDirectoryParameters,
    UuidParameters,
)
from backstay.api.methods.profiles import ProfileParameters
from backstay.api.replies import ConnectionTest, DatabaseConnection, FilterChange
from backstay.databases import test_connection
from backstay.engine import address_of
from backstay.errors import BackstayError, DatabaseConnectionError
from backstay.jobs.file_filters import add_folder, remove_folder
from backstay.profiles import ExtraDatabase, Filters
from backstay.server.handlers.editing import change_filters, found_profile
from backstay.server.handlers.model import Call, Handler

T = TypeVar("T")


def directories(call: Call, parameters: ProfileParameters) -> dict[str, list[str]] | list[Any]:
    """Return the directories by identifier; an empty list where there are none, as the reference writes it."""
    found = found_profile(call, parameters.profile).filters.extra_directories
    return {key: [directory.path, directory.virtual_folder] for key, directory in found.items()} or []


def set_directory(call: Call, parameters: IncludedDirectoryParameters) -> FilterChange:
    """Add or change a directory; without an identifier it gets a new one, without a folder its own last name."""
    path = parameters.path.rstrip("/") or parameters.path
    if not path:
        raise PATH_MISSING.error()
    found_profile(call, parameters.profile)
    add_folder(call.installation, parameters.profile, path, parameters.virtual_folder, parameters.uuid)
    return FilterChange(success=True, newstate=True)


def remove_directory(call: Call, parameters: UuidParameters) -> FilterChange:
    """Take a directory away; one that is not there is away already."""
    if not parameters.uuid:
        raise UUID_MISSING.error()
    found_profile(call, parameters.profile)
    remove_folder(call.installation, parameters.profile, parameters.uuid)
    return FilterChange(success=True, newstate=False)


def databases(call: Call, parameters: ProfileParameters) -> dict[str, DatabaseConnection] | list[Any]:
    """Return the databases by name; an empty list where there are none."""
    found = found_profile(call, parameters.profile).filters.extra_databases
    return {
        name: DatabaseConnection(
            host=database.host,
            port=database.port,
            driver=database.driver,
            username=database.username,
            password=database.password,
            database=database.database,
            prefix=database.prefix,
            dump_file=database.dump_file,
        )
        for name, database in found.items()
    } or []


def set_database(call: Call, parameters: IncludedDatabaseParameters) -> bool:
    """Add or change a database, after a test of its connection unless that is not wanted."""
    connection = _complete(parameters.connection)
    if parameters.test:
        outcome = _tested(connection)
        if not outcome.status:
            raise CONNECTION_FAILED.error(outcome.message)
    name = parameters.name or str(uuid.uuid4())
    database = _database(connection)

    def with_it(filters: Filters) -> Filters:
        known = filters.extra_databases
        file = connection.get("dumpFile") or (known[name].dump_file if name in known else "")
        placed = replace(database, dump_file=str(file) or _dump_file(name, database))
        return replace(filters, extra_databases={**known, name: placed})

    change_filters(call, parameters.profile, with_it)
    return True


def remove_database(call: Call, parameters: DatabaseNameParameters) -> bool:
    """Take a database away; return whether it was there."""
    if not parameters.name:
        raise NAME_MISSING.error()
    was_there = parameters.name in found_profile(call, parameters.profile).filters.extra_databases
    change_filters(
        call,
        parameters.profile,
        lambda filters: replace(filters, extra_databases=_without(filters.extra_databases, parameters.name)),
    )
    return was_there


def test_database(call: Call, parameters: ConnectionParameters) -> ConnectionTest:
    """Try a connection."""
    del call
    return _tested(_complete(parameters.connection))


def _without(members: Mapping[str, T], key: str) -> dict[str, T]:
    return {known: member for known, member in members.items() if known != key}


def _complete(connection: Mapping[str, Any]) -> Mapping[str, Any]:
    """A connection that has all its keys; ``username`` counts as ``user``, the name that getIncludedDBs gives it."""
    named = {**connection, "user": connection.get("user", connection.get("username"))}
    if any(named.get(key) is None for key in CONNECTION_KEYS):
        raise CONNECTION_INCOMPLETE.error()
    return named


def _tested(connection: Mapping[str, Any]) -> ConnectionTest:
    missing = [key for key in CONNECTION_KEYS if not str(connection[key])]
    if missing:
        return ConnectionTest(status=False, message=f"Information is missing for the connection: {', '.join(missing)}.")
    try:
        version = test_connection(address_of(_database(connection)))
    except DatabaseConnectionError as error:
        return ConnectionTest(status=False, message=str(error))
    except BackstayError as error:
        return ConnectionTest(status=False, message=str(error))
    return ConnectionTest(status=True, message=f"Connected to {version}.")


def _database(connection: Mapping[str, Any]) -> ExtraDatabase:
    return ExtraDatabase(
        host=str(connection["host"]),
        driver=str(connection["driver"]),
        port=str(connection.get("port") or ""),
        username=str(connection["user"]),
        password=str(connection["password"]),
        database=str(connection["database"]),
        prefix=str(connection.get("prefix") or ""),
    )


def _dump_file(name: str, database: ExtraDatabase) -> str:
    base = re.sub(r"[^A-Za-z0-9_-]+", "-", database.database).strip("-") or "database"
    return f"{base[:60]}-{uuid.uuid5(uuid.NAMESPACE_OID, name).hex[:8]}.sql"


HANDLERS = {
    "getIncludedDirectories": Handler(directories),
    "setIncludedDirectory": Handler(set_directory),
    "removeIncludedDirectory": Handler(remove_directory),
    "getIncludedDBs": Handler(databases),
    "setIncludedDB": Handler(set_database),
    "removeIncludedDB": Handler(remove_database),
    "testDBConnection": Handler(test_database),
}
