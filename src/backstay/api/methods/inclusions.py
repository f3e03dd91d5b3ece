"""Methods about directories and databases that are backed up besides the site (api-methods.md 5.4)."""

from __future__ import annotations

from pydantic import Field

from backstay.api.conversion import Boolean, Mapping, PathText, Text
from backstay.api.methods.model import Failure, Method, Parameters, Scope
from backstay.api.methods.profiles import ProfileParameters
from backstay.api.replies import ConnectionTest, FilterChange, Flag, IncludedDatabases, IncludedDirectories

PATH_MISSING = Failure(500, "Path is required", "`path` is empty")
UUID_MISSING = Failure(500, "UUID is required", "`uuid` is empty")
NAME_MISSING = Failure(500, "The database name is required", "`name` is empty")
CONNECTION_INCOMPLETE = Failure(
    500,
    "Connection information missing or incomplete",
    "`connection` lacks host, driver, database, user or password",
)
CONNECTION_FAILED = Failure(500, "Connection test failed: {}", "the database cannot be reached")

CONNECTION_KEYS = ("host", "driver", "database", "user", "password")
"""Keys that a connection must hold, be they empty."""


class IncludedDirectoryParameters(ProfileParameters):
    """Parameters of setIncludedDirectory."""

    uuid: Text = Field(default="", description="Which one to change; empty: a new one.")
    path: PathText = Field(default="", description="Absolute path of the directory.")
    virtual_folder: PathText = Field(
        default="",
        validation_alias="virtualFolder",
        serialization_alias="virtualFolder",
        description="Folder in the archive; empty: the last part of the path.",
    )


class UuidParameters(ProfileParameters):
    """Parameters of removeIncludedDirectory."""

    uuid: Text = Field(default="", description="Which one to remove.")


class IncludedDatabaseParameters(ProfileParameters):
    """Parameters of setIncludedDB."""

    name: Text = Field(default="", description="Which one to change; empty: a new one.")
    connection: Mapping = Field(
        default_factory=dict,
        description="Object with host, port, driver, database, user, password, prefix.",
        repr=False,
    )
    test: Boolean = Field(default=True, description="Whether to try the connection first.")


class DatabaseNameParameters(ProfileParameters):
    """Parameters of removeIncludedDB."""

    name: Text = Field(default="", description="Which one to remove.")


class ConnectionParameters(Parameters):
    """Parameters of testDBConnection."""

    connection: Mapping = Field(
        default_factory=dict,
        description="Object with host, port, driver, database, user, password, prefix.",
        repr=False,
    )


_CONNECTION = {"host": "localhost", "driver": "mysqli", "database": "forum", "user": "u", "password": "p"}

GET_INCLUDED_DIRECTORIES: Method[ProfileParameters, IncludedDirectories] = Method(
    name="getIncludedDirectories",
    summary="Lists the directories outside the site that a profile backs up.",
    parameters=ProfileParameters,
    reply_type=IncludedDirectories,
    scope=Scope.CONFIGURE,
    first_level=340,
    last_level=500,
    example={"profile": 1},
    example_reply={"3f2a7c1e-7f0f-4f7a-9f5e-1d2c3b4a5968": ["/srv/private", "private"]},
)

SET_INCLUDED_DIRECTORY: Method[IncludedDirectoryParameters, FilterChange] = Method(
    name="setIncludedDirectory",
    summary="Adds a directory outside the site to a profile, or changes one.",
    parameters=IncludedDirectoryParameters,
    reply_type=FilterChange,
    scope=Scope.CONFIGURE,
    first_level=340,
    last_level=500,
    failures=(PATH_MISSING,),
    example={"profile": 1, "path": "/srv/private", "virtualFolder": "private"},
    example_reply={"success": True, "newstate": True},
    repeatable=False,
)

REMOVE_INCLUDED_DIRECTORY: Method[UuidParameters, FilterChange] = Method(
    name="removeIncludedDirectory",
    summary="Takes a directory outside the site away from a profile.",
    parameters=UuidParameters,
    reply_type=FilterChange,
    scope=Scope.CONFIGURE,
    first_level=340,
    last_level=500,
    failures=(UUID_MISSING,),
    example={"profile": 1, "uuid": "3f2a7c1e-7f0f-4f7a-9f5e-1d2c3b4a5968"},
    example_reply={"success": True, "newstate": False},
)

GET_INCLUDED_DBS: Method[ProfileParameters, IncludedDatabases] = Method(
    name="getIncludedDBs",
    summary="Lists the databases that a profile backs up besides the site's own.",
    parameters=ProfileParameters,
    reply_type=IncludedDatabases,
    scope=Scope.CONFIGURE,
    first_level=340,
    last_level=500,
    example={"profile": 1},
    example_reply={
        "forum": {
            "host": "localhost",
            "port": "",
            "driver": "mysqli",
            "username": "u",
            "password": "p",
            "database": "forum",
            "prefix": "f_",
            "dumpFile": "forum.sql",
        }
    },
)

SET_INCLUDED_DB: Method[IncludedDatabaseParameters, Flag] = Method(
    name="setIncludedDB",
    summary="Adds a database to a profile, or changes one.",
    parameters=IncludedDatabaseParameters,
    reply_type=Flag,
    scope=Scope.CONFIGURE,
    first_level=340,
    last_level=500,
    failures=(CONNECTION_INCOMPLETE, CONNECTION_FAILED),
    example={"profile": 1, "name": "forum", "connection": _CONNECTION, "test": 0},
    example_reply=True,
    repeatable=False,
)

REMOVE_INCLUDED_DB: Method[DatabaseNameParameters, Flag] = Method(
    name="removeIncludedDB",
    summary="Takes a database away from a profile.",
    parameters=DatabaseNameParameters,
    reply_type=Flag,
    scope=Scope.CONFIGURE,
    first_level=340,
    last_level=500,
    failures=(NAME_MISSING,),
    example={"profile": 1, "name": "forum"},
    example_reply=True,
)

TEST_DB_CONNECTION: Method[ConnectionParameters, ConnectionTest] = Method(
    name="testDBConnection",
    summary="Tries whether a database can be reached.",
    parameters=ConnectionParameters,
    reply_type=ConnectionTest,
    scope=Scope.CONFIGURE,
    first_level=340,
    last_level=500,
    failures=(CONNECTION_INCOMPLETE,),
    example={"connection": _CONNECTION},
    example_reply={"status": True, "message": ""},
)

METHODS = (
    GET_INCLUDED_DIRECTORIES,
    SET_INCLUDED_DIRECTORY,
    REMOVE_INCLUDED_DIRECTORY,
    GET_INCLUDED_DBS,
    SET_INCLUDED_DB,
    REMOVE_INCLUDED_DB,
    TEST_DB_CONNECTION,
)
