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
from backstay.api.replies import FilterChange, FilterItem, RegexFilterItem, Root
from backstay.catalogue import Profile
from backstay.engine.filters import parse_regex
from backstay.profiles import SITE_DATABASE
from backstay.server.handlers.editing import change_filters, found_profile
from backstay.server.handlers.model import Call, Handler

_PLAIN = ("tables", "tabledata")
_REGEX = ("regextables", "regextabledata")


def roots(call: Call, parameters: ProfileParameters) -> list[Root]:
    """List the site's database and those that are backed up besides it."""
    profile = found_profile(call, parameters.profile)
    return [Root(value=value, text=text) for value, text in _roots(profile).items()]


def filters(call: Call, parameters: DatabaseRootParameters) -> list[FilterItem]:
    """List what was set by hand, for one database."""
    profile = _profile(call, parameters)
    return [
        FilterItem(node=node, type=name) for name in _PLAIN for node in profile.filters.nodes(name, parameters.root)
    ]


def set_filter(call: Call, parameters: DatabaseFilterParameters) -> FilterChange:
    """Set or take away one filter."""
    _profile(call, parameters)
    if not parameters.table:
        raise TABLE_MISSING.error()
    if parameters.type not in _PLAIN:
        raise FILTER_TYPE_MISSING.error()
    change_filters(
        call,
        parameters.profile,
        lambda filters: filters.with_node(
            parameters.type, parameters.root, parameters.table, present=parameters.status
        ),
    )
    return FilterChange(success=True, newstate=parameters.status)


def regex_filters(call: Call, parameters: DatabaseRootParameters) -> list[RegexFilterItem]:
    """List the regular expressions of one database."""
    profile = _profile(call, parameters)
    return [
        RegexFilterItem(type=name, item=item)
        for name in _REGEX
        for item in profile.filters.nodes(name, parameters.root)
    ]


def set_regex_filter(call: Call, parameters: DatabaseRegexParameters) -> bool:
    """Set or take away one regular expression; one that can't be used is refused."""
    _profile(call, parameters)
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
    """Names of the databases of a profile and what a person reads of them."""
    extra = {
        name: f"{database.host}{':' + database.port if database.port else ''}/{database.database}"
        for name, database in profile.filters.extra_databases.items()
    }
    return {SITE_DATABASE: "Site's main database", **extra}


def _profile(call: Call, parameters: DatabaseRootParameters) -> Profile:
    profile = found_profile(call, parameters.profile)
    if parameters.root not in _roots(profile):
        raise UNKNOWN_DATABASE_ROOT.error()
    return profile


HANDLERS = {
    "getDBRoots": Handler(roots),
    "getDBFilters": Handler(filters),
    "setDBFilter": Handler(set_filter),
    "getRegexDBFilters": Handler(regex_filters),
    "setRegexDBFilter": Handler(set_regex_filter),
}
