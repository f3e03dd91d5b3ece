"""Which tables of a profile's databases are left out, with or without their definitions, and by what."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from backstay.catalogue import Profile
from backstay.databases import DatabaseAddress, DumpOptions
from backstay.databases.filters import TableFilter
from backstay.databases.listing import Listed, list_entities
from backstay.databases.mysql.naming import Naming
from backstay.engine import address_of
from backstay.engine.filters import parse_regex
from backstay.engine.platforms import with_platform_defaults
from backstay.errors import NotFoundError, UsageError
from backstay.jobs.installation import Installation
from backstay.jobs.profiles import change_profile
from backstay.platforms import find_site
from backstay.profiles import SITE_DATABASE

TABLE_FILTERS: Final = ("tables", "tabledata")
TABLE_REGEXES: Final = ("regextables", "regextabledata")


@dataclass(frozen=True, slots=True)
class ListedTable:
    """A table, view or routine, and how the filters see it.

    Attributes:
        name: as filters name it: with ``#__`` in the place of the site's prefix.
        found: what the database says of it.
        own: the filters of the profile that name it itself.
        is_left_out: it is not in the backup, by whatever filter.
        has_rows: its rows are; only a table has any.
    """

    name: str
    found: Listed
    own: frozenset[str]
    is_left_out: bool
    has_rows: bool


def database_roots(profile: Profile) -> dict[str, str]:
    """Return the names of the databases of a profile, the site's own first, and what a person reads of them."""
    extra = {
        name: f"{database.host}{':' + database.port if database.port else ''}/{database.database}"
        for name, database in profile.filters.extra_databases.items()
    }
    return {SITE_DATABASE: "Site's main database", **extra}


def database_of(profile: Profile, root: str) -> DatabaseAddress | None:
    """Return where a database of a profile is; None where the site has none.

    Raises:
        NotFoundError: the profile has no such database, or its folder is not there.
    """
    if root not in database_roots(profile):
        raise NotFoundError("The profile has no such database: see its filters.")
    if root != SITE_DATABASE:
        return address_of(profile.filters.extra_databases[root])
    settings = profile.settings()
    given = settings.database.get_secret_value()
    if given:
        return None if given == "none" else DatabaseAddress.parse(given)
    found = find_site(Path(settings.root)).databases if settings.root else []
    return found[0].address if found else None


def list_tables(profile: Profile, root: str) -> list[ListedTable] | None:
    """Return what is in a database and how the filters see it; None where the site has no database.

    Raises:
        NotFoundError: the profile has no such database.
        DatabaseConnectionError: it can't be reached or read.
    """
    place = database_of(profile, root)
    if place is None:
        return None
    abstract = Naming(place.prefix, place.name, frozenset()).abstract
    rules = TableFilter(_options(profile, root), abstract)
    own = {name: set(profile.filters.nodes(name, root)) for name in TABLE_FILTERS}
    return [
        ListedTable(
            name=abstract(found.name),
            found=found,
            own=frozenset(name for name in TABLE_FILTERS if own[name] & {found.name, abstract(found.name)}),
            is_left_out=rules.reason_to_skip(found.name) is not None,
            has_rows=found.kind == "table" and rules.has_rows(found.name, found.engine or ""),
        )
        for found in list_entities(place)
    ]


def set_table_filter(
    installation: Installation, profile_id: int, root: str, name: str, table: str, *, present: bool
) -> None:
    """Leave a table, or its rows alone, out of the backups of a profile, or take it in again.

    Raises:
        NotFoundError: there is no such profile or database.
        UsageError: there is no such filter, or no table.
    """
    if name not in TABLE_FILTERS or not table:
        raise UsageError(f"Name a table, and one of {', '.join(TABLE_FILTERS)}.")
    _change(installation, profile_id, root, name, table, present=present)


def set_table_regex(
    installation: Installation, profile_id: int, root: str, name: str, regex: str, *, present: bool
) -> None:
    """Leave out the tables, or the rows of those, that match a regular expression, or no longer do so.

    Raises:
        NotFoundError: there is no such profile or database.
        UsageError: there is no such filter, or no expression.
        ConfigurationError: the expression can't be used.
    """
    if name not in TABLE_REGEXES or not regex:
        raise UsageError(f"Give a regular expression, and one of {', '.join(TABLE_REGEXES)}.")
    if present:
        parse_regex(regex)
    _change(installation, profile_id, root, name, regex, present=present)


def _change(installation: Installation, profile_id: int, root: str, name: str, node: str, *, present: bool) -> None:
    if root not in database_roots(installation.catalogue.profiles.get(profile_id)):
        raise NotFoundError("The profile has no such database: see its filters.")
    change_profile(
        installation,
        profile_id,
        lambda profile: replace(profile, filters=profile.filters.with_node(name, root, node, present=present)),
    )


def _options(profile: Profile, root: str) -> DumpOptions:
    """Return what a dump of this database leaves out: what the profile says, and the defaults of its platform."""
    settings = profile.settings()
    platform = find_site(Path(settings.root)).kind if settings.root else ""
    filters = with_platform_defaults(profile.filters, platform, settings)
    return DumpOptions(
        skip_tables=frozenset(filters.nodes("tables", root)),
        skip_table_data=frozenset(filters.nodes("tabledata", root)),
        skip_tables_regex=filters.nodes("regextables", root),
        skip_table_data_regex=filters.nodes("regextabledata", root),
    )
