"""Answers about which tables are left out (api-methods.md 5.2)."""

from __future__ import annotations

from backstay.api.methods.database_filters import (
    FILTER_TYPE_MISSING,
    REGEX_MISSING,
    TABLE_MISSING,
    UNKNOWN_DATABASE_ROOT,
    DatabaseFilterParameters,
    DatabaseRegexParameters,
    DatabaseRootParameters,
)
from backstay.api.methods.profiles import ProfileParameters
from backstay.api.replies import DatabaseEntities, FilterChange, FilterItem, RegexFilterItem, Root, TableEntity
from backstay.catalogue import Profile
from backstay.jobs.table_filters import (
    TABLE_FILTERS,
    TABLE_REGEXES,
    database_roots,
    list_tables,
    set_table_filter,
    set_table_regex,
)
from backstay.server.handlers.editing import found_profile
from backstay.server.handlers.model import Call, Handler


def roots(call: Call, parameters: ProfileParameters) -> list[Root]:
    """List the site's database and those that are backed up besides it."""
    profile = found_profile(call, parameters.profile)
    return [Root(value=value, text=text) for value, text in database_roots(profile).items()]


def filters(call: Call, parameters: DatabaseRootParameters) -> list[FilterItem]:
    """List what was set by hand, for one database."""
    profile = _profile(call, parameters)
    return [
        FilterItem(node=node, type=name)
        for name in TABLE_FILTERS
        for node in profile.filters.nodes(name, parameters.root)
    ]


def entities(call: Call, parameters: DatabaseRootParameters) -> DatabaseEntities:
    """List a database and how the filters see what is in it: 0 taken, 1 left out, 2 left out by a rule."""
    listed = list_tables(_profile(call, parameters), parameters.root)
    if listed is None:
        raise UNKNOWN_DATABASE_ROOT.error()
    tables = {
        one.name: TableEntity(
            type=one.found.kind,
            tables=_state(is_set="tables" in one.own, is_ruled=one.is_left_out),
            tabledata=_state(is_set=one.found.kind == "table" and "tabledata" in one.own, is_ruled=not one.has_rows),
            engine=one.found.engine,
            rows=one.found.rows,
            data_length=one.found.data_length,
            index_length=one.found.index_length,
        )
        for one in listed
    }
    return DatabaseEntities(tables=tables, root=parameters.root)


def set_filter(call: Call, parameters: DatabaseFilterParameters) -> FilterChange:
    """Set or take away one filter."""
    _profile(call, parameters)
    if not parameters.table:
        raise TABLE_MISSING.error()
    if parameters.type not in TABLE_FILTERS:
        raise FILTER_TYPE_MISSING.error()
    set_table_filter(
        call.installation,
        parameters.profile,
        parameters.root,
        parameters.type,
        parameters.table,
        present=parameters.status,
    )
    return FilterChange(success=True, newstate=parameters.status)


def regex_filters(call: Call, parameters: DatabaseRootParameters) -> list[RegexFilterItem]:
    """List the regular expressions of one database."""
    profile = _profile(call, parameters)
    return [
        RegexFilterItem(type=name, item=item)
        for name in TABLE_REGEXES
        for item in profile.filters.nodes(name, parameters.root)
    ]


def set_regex_filter(call: Call, parameters: DatabaseRegexParameters) -> bool:
    """Set or take away one regular expression; one that can't be used is refused."""
    _profile(call, parameters)
    if not parameters.regex:
        raise REGEX_MISSING.error()
    if parameters.type not in TABLE_REGEXES:
        raise FILTER_TYPE_MISSING.error()
    set_table_regex(
        call.installation,
        parameters.profile,
        parameters.root,
        parameters.type,
        parameters.regex,
        present=parameters.status,
    )
    return True


def _state(*, is_set: bool, is_ruled: bool) -> int:
    return 1 if is_set else 2 if is_ruled else 0


def _profile(call: Call, parameters: DatabaseRootParameters) -> Profile:
    profile = found_profile(call, parameters.profile)
    if parameters.root not in database_roots(profile):
        raise UNKNOWN_DATABASE_ROOT.error()
    return profile


HANDLERS = {
    "getDBRoots": Handler(roots),
    "getDBFilters": Handler(filters),
    "getDBEntities": Handler(entities),
    "setDBFilter": Handler(set_filter),
    "getRegexDBFilters": Handler(regex_filters),
    "setRegexDBFilter": Handler(set_regex_filter),
}
