"""Answers about which tables are left out (api-methods.md 5.2)."""

from __future__ import annotations

from pathlib import Path

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
from backstay.databases import DatabaseAddress, DumpOptions
from backstay.databases.filters import TableFilter
from backstay.databases.mysql.naming import Naming
from backstay.engine import address_of
from backstay.engine.filters import parse_regex
from backstay.engine.platforms import with_platform_defaults
from backstay.platforms import find_site
from backstay.profiles import SITE_DATABASE
from backstay.server.handlers.editing import change_filters, found_profile
from backstay.server.handlers.model import Call, Handler
from backstay.server.handlers.tables import list_entities

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


def entities(call: Call, parameters: DatabaseRootParameters) -> DatabaseEntities:
    """List a database and how the filters see what is in it: 0 taken, 1 left out, 2 left out by a rule."""
    profile = _profile(call, parameters)
    place = _address(profile, parameters.root)
    if place is None:
        raise UNKNOWN_DATABASE_ROOT.error()
    abstract = Naming(place.prefix, place.name, frozenset()).abstract
    rules = TableFilter(_options(profile, parameters.root), abstract)
    own = {name: set(profile.filters.nodes(name, parameters.root)) for name in _PLAIN}
    tables: dict[str, TableEntity] = {}
    for found in list_entities(place):
        names = {found.name, abstract(found.name)}
        has_rows = found.kind == "table" and rules.has_rows(found.name, found.engine or "")
        tables[abstract(found.name)] = TableEntity(
            type=found.kind,
            tables=_state(is_set=bool(names & own["tables"]), is_ruled=rules.reason_to_skip(found.name) is not None),
            tabledata=_state(is_set=found.kind == "table" and bool(names & own["tabledata"]), is_ruled=not has_rows),
            engine=found.engine,
            rows=found.rows,
            data_length=found.data_length,
            index_length=found.index_length,
        )
    return DatabaseEntities(tables=tables, root=parameters.root)


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


def _address(profile: Profile, root: str) -> DatabaseAddress | None:
    """Where a database of a profile is; None where the site has none."""
    if root != SITE_DATABASE:
        return address_of(profile.filters.extra_databases[root])
    settings = profile.settings()
    given = settings.database.get_secret_value()
    if given:
        return None if given == "none" else DatabaseAddress.parse(given)
    found = find_site(Path(settings.root)).databases if settings.root else []
    return found[0].address if found else None


def _options(profile: Profile, root: str) -> DumpOptions:
    """What a dump of this database leaves out: what the profile says, and the defaults of its platform."""
    settings = profile.settings()
    platform = find_site(Path(settings.root)).kind if settings.root else ""
    filters = with_platform_defaults(profile.filters, platform, settings)
    return DumpOptions(
        skip_tables=frozenset(filters.nodes("tables", root)),
        skip_table_data=frozenset(filters.nodes("tabledata", root)),
        skip_tables_regex=filters.nodes("regextables", root),
        skip_table_data_regex=filters.nodes("regextabledata", root),
    )


def _state(*, is_set: bool, is_ruled: bool) -> int:
    return 1 if is_set else 2 if is_ruled else 0


def _profile(call: Call, parameters: DatabaseRootParameters) -> Profile:
    profile = found_profile(call, parameters.profile)
    if parameters.root not in _roots(profile):
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
