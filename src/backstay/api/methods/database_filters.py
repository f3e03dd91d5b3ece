"""Methods about what is left out of databases (api-methods.md 5.2)."""

from __future__ import annotations

from pydantic import Field

from backstay.api.conversion import Boolean, Text
from backstay.api.methods.model import Failure, Method, Scope
from backstay.api.methods.profiles import ProfileParameters
from backstay.api.replies import DatabaseEntities, FilterChange, FilterItems, Flag, RegexFilterItems, Roots

SITE_DATABASE = "[SITEDB]"

UNKNOWN_DATABASE_ROOT = Failure(500, "Unknown database root", "`root` is empty or not known")
TABLE_MISSING = Failure(500, "Table name is mandatory", "`table` is empty")
REGEX_MISSING = Failure(500, "Regex is mandatory", "`regex` is empty")
FILTER_TYPE_MISSING = Failure(500, "Filter type is mandatory", "`type` is empty or not known")


class DatabaseRootParameters(ProfileParameters):
    """Parameters of methods about one database."""

    root: Text = Field(default=SITE_DATABASE, description="A root that getDBRoots named.")


class DatabaseFilterParameters(DatabaseRootParameters):
    """Parameters of setDBFilter."""

    table: Text = Field(default="", description="Name of the table; `#__` for the prefix.")
    type: Text = Field(default="tables", description="`tables` or `tabledata`.")
    status: Boolean = Field(default=True, description="Whether the filter is to be set or taken away.")


class DatabaseRegexParameters(DatabaseRootParameters):
    """Parameters of setRegexDBFilter."""

    regex: Text = Field(default="", description="PCRE with delimiters.")
    type: Text = Field(default="regextables", description="`regextables` or `regextabledata`.")
    status: Boolean = Field(default=True, description="Whether the filter is to be set or taken away.")


GET_DB_ROOTS: Method[ProfileParameters, Roots] = Method(
    name="getDBRoots",
    summary="Lists the databases that a profile backs up.",
    parameters=ProfileParameters,
    reply_type=Roots,
    scope=Scope.CONFIGURE,
    first_level=340,
    last_level=500,
    example={"profile": 1},
    example_reply=[{"value": SITE_DATABASE, "text": "Site's main database"}],
)

GET_DB_FILTERS: Method[DatabaseRootParameters, FilterItems] = Method(
    name="getDBFilters",
    summary="Lists the filters of a database.",
    parameters=DatabaseRootParameters,
    reply_type=FilterItems,
    scope=Scope.CONFIGURE,
    first_level=340,
    last_level=500,
    failures=(UNKNOWN_DATABASE_ROOT,),
    example={"profile": 1, "root": SITE_DATABASE},
    example_reply=[{"node": "#__session", "type": "tabledata"}],
)

GET_DB_ENTITIES: Method[DatabaseRootParameters, DatabaseEntities] = Method(
    name="getDBEntities",
    summary="Lists the tables of a database and how the filters see them.",
    parameters=DatabaseRootParameters,
    reply_type=DatabaseEntities,
    scope=Scope.CONFIGURE,
    first_level=340,
    last_level=500,
    failures=(UNKNOWN_DATABASE_ROOT,),
    example={"profile": 1, "root": SITE_DATABASE},
    example_reply={
        "tables": {
            "#__session": {
                "type": "table",
                "tables": 0,
                "tabledata": 1,
                "engine": "InnoDB",
                "rows": 12,
                "dataLength": 16384,
                "indexLength": 0,
            }
        },
        "root": SITE_DATABASE,
    },
)

SET_DB_FILTER: Method[DatabaseFilterParameters, FilterChange] = Method(
    name="setDBFilter",
    summary="Leaves a table, or its rows, out of the backup, or takes it in again.",
    parameters=DatabaseFilterParameters,
    reply_type=FilterChange,
    scope=Scope.CONFIGURE,
    first_level=340,
    last_level=500,
    failures=(UNKNOWN_DATABASE_ROOT, TABLE_MISSING, FILTER_TYPE_MISSING),
    example={"profile": 1, "table": "#__session", "type": "tabledata", "status": 1},
    example_reply={"success": True, "newstate": True},
)

GET_REGEX_DB_FILTERS: Method[DatabaseRootParameters, RegexFilterItems] = Method(
    name="getRegexDBFilters",
    summary="Lists the filters of a database that are regular expressions.",
    parameters=DatabaseRootParameters,
    reply_type=RegexFilterItems,
    scope=Scope.CONFIGURE,
    first_level=340,
    last_level=500,
    failures=(UNKNOWN_DATABASE_ROOT,),
    example={"profile": 1, "root": SITE_DATABASE},
    example_reply=[{"type": "regextables", "item": "/^#__bak_/"}],
)

SET_REGEX_DB_FILTER: Method[DatabaseRegexParameters, Flag] = Method(
    name="setRegexDBFilter",
    summary="Sets or takes away a regular expression for tables.",
    parameters=DatabaseRegexParameters,
    reply_type=Flag,
    scope=Scope.CONFIGURE,
    first_level=340,
    last_level=500,
    failures=(UNKNOWN_DATABASE_ROOT, REGEX_MISSING, FILTER_TYPE_MISSING),
    example={"profile": 1, "regex": "/^#__bak_/", "type": "regextables", "status": 1},
    example_reply=True,
)

METHODS = (
    GET_DB_ROOTS,
    GET_DB_FILTERS,
    GET_DB_ENTITIES,
    SET_DB_FILTER,
    GET_REGEX_DB_FILTERS,
    SET_REGEX_DB_FILTER,
)
