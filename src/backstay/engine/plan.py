"""What one backup is to do, settled before it begins: plain data that survives a restart."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self

from backstay.catalogue import Home, Profile
from backstay.databases import DatabaseAddress
from backstay.engine.installer import Package, absent_names, find_packages
from backstay.engine.names import archive_name, expand, variables
from backstay.engine.platforms import with_platform_defaults
from backstay.engine.progress import CHAINS
from backstay.errors import ConfigurationError, NotFoundError
from backstay.platforms import Site, find_site, read_address
from backstay.platforms.hosts import host_of
from backstay.profiles import SITE_DATABASE, ExtraDatabase, Filters, Settings, as_stored

MAIN_DUMP = "site.sql"
ROOT_KEY = "akeeba.platform.newroot"
_MOMENT = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[ T](\d{2}:\d{2}(?::\d{2})?))?\s*(?:GMT|UTC|Z)?([+-]\d{1,2})?")
# Drivers by the names that other servers of the API know; all else is MySQL's.
_KINDS: dict[str, Literal["postgresql"]] = {
    "postgresql": "postgresql",
    "pgsql": "postgresql",
    "postgres": "postgresql",
    "pdopgsql": "postgresql",
}
_EXTENSIONS = {"jpa": ".jpa", "jps": ".jps", "zip": ".zip"}


@dataclass(frozen=True, slots=True)
class PlannedDatabase:
    """A database that will be dumped.

    Attributes:
        dump_file: name of its first part.
        url: its address, a secret.
        prefix: of its tables.
        root: the name filters know it by.
    """

    dump_file: str
    url: str = field(repr=False)
    prefix: str = ""
    root: str = SITE_DATABASE

    def address(self) -> DatabaseAddress:
        """Return the URL taken apart."""
        return DatabaseAddress.parse(self.url, prefix=self.prefix or None)


@dataclass(frozen=True, slots=True)
class Plan:
    """One backup, settled.

    Attributes:
        profile_id: whose settings these are.
        tag, backupid: the names the API gives the backup.
        description, comment: as they go into the record, variables replaced.
        started: moment of the start, ISO 8601 in UTC.
        values: settings by dotted key, overrides included. May hold secrets.
        filters: in their stored form.
        archive: absolute path of the main part.
        databases: extra ones first, the site's own last.
        host: host name of the site; empty where it is not known.
        platform: what the site runs on.
        newer_than: leave out files that were not modified after this moment (Unix seconds); None: take all.
        installer: packages of the restoration script that goes into the archive, later ones over earlier ones.
        absent_installers: names of restoration scripts that the profile asks for and that are not there.
    """

    profile_id: int
    tag: str
    backupid: str
    description: str
    comment: str
    started: str
    values: dict[str, str] = field(repr=False)
    filters: dict[str, Any] = field(repr=False)
    archive: str
    databases: tuple[PlannedDatabase, ...]
    host: str
    platform: str
    newer_than: int | None = None
    installer: tuple[Package, ...] = ()
    absent_installers: tuple[str, ...] = ()

    @property
    def settings(self) -> Settings:
        """The settings, typed."""
        return Settings.from_values(self.values)

    def to_json(self) -> dict[str, Any]:
        """Return the plan as plain JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Return the plan that ``to_json`` gave."""
        values = dict(stored)
        values["databases"] = tuple(PlannedDatabase(**database) for database in values["databases"])
        values["installer"] = tuple(Package(**package) for package in values.get("installer", ()))
        values["absent_installers"] = tuple(values.get("absent_installers", ()))
        return cls(**values)


def make_plan(
    home: Home,
    profile: Profile,
    *,
    overrides: Mapping[str, object],
    description: str,
    comment: str,
    tag: str,
    moment: datetime,
    incremental_since: int | None = None,
) -> Plan:
    """Settle what a backup is to do.

    Args:
        home: where archives go by default.
        profile: whose settings count.
        overrides: settings by dotted key, for this backup only.
        description: may hold variables; empty: one is made.
        comment: for the record.
        tag: origin of the backup, ``json`` for the API.
        moment: of the start, in the time zone names are written in.
        incremental_since: start of the last backup, for incremental types (Unix seconds).

    Raises:
        ConfigurationError: the profile lacks something, or a setting cannot be used.
        NotFoundError: the site's folder is not there.
    """
    settings = profile.settings(overrides)
    root = _root(profile, settings, home)
    site = find_site(root)
    host = site.host or _host_in_database(settings, site)
    values = variables(
        moment,
        host=host,
        site_name=site.name or root.name,
        platform=site.kind,
        platform_version=site.version or "",
    )
    folder = settings.output_directory.replace("[DEFAULT_OUTPUT]", str(home.archives)).replace("[SITEROOT]", str(root))
    folder = folder.replace("[ROOTPARENT]", str(root.parent)).replace("[SITETMP]", str(root / "tmp"))
    folder = expand(folder, values)
    if Path(folder).resolve() == root:
        raise ConfigurationError(
            f"Archives can't go to the site's own folder {root}, where the next backup would take them and the web "
            "might show them: choose another output folder."
        )
    extension = ".sql" if settings.backup_type == "dbonly" else _EXTENSIONS[settings.archive_format]
    name = archive_name(settings.archive_name, values) + extension
    if settings.archive_format == "jps" and not settings.archive_password.get_secret_value():
        raise ConfigurationError(
            f"Profile {profile.id} makes encrypted archives and has no password: set engine.archiver.jps.key."
        )
    if settings.repository:
        _check_for_repository(profile, settings)
    installer = settings.installer if "installer" in CHAINS[settings.backup_type] else ""
    utc = moment.astimezone(UTC)
    return Plan(
        profile_id=profile.id,
        tag=tag,
        backupid=utc.strftime("id-%Y%m%d-%H%M%S-%f"),
        description=expand(description, values) or f"Backup taken on {moment.strftime('%A, %d %B %Y %H:%M')}",
        comment=expand(comment, values),
        started=utc.isoformat(),
        values={
            **profile.configuration,
            **{key: as_stored(value) for key, value in overrides.items()},
            # What a link points to may change while the backup runs, or before it is resumed.
            ROOT_KEY: str(root),
        },
        filters=with_platform_defaults(profile.filters, _platform(site, root), settings).to_stored(),
        archive=str(Path(folder).absolute() / name),
        databases=_databases(settings, profile.filters, site),
        host=host,
        platform=site.kind,
        newer_than=_newer_than(settings, incremental_since),
        installer=find_packages(installer, home.installers),
        absent_installers=tuple(absent_names(installer, home.installers)),
    )


def _check_for_repository(profile: Profile, settings: Settings) -> None:
    """Refuse a backup that no repository can hold."""
    if settings.backup_type == "dbonly":
        raise ConfigurationError(
            "A database-only backup is one plain SQL file, and does not go into a repository: choose the type alldb, "
            "or unset backstay.repository."
        )
    if settings.archive_format == "jps":
        raise ConfigurationError(
            f"Profile {profile.id} makes JPS archives, and a repository hands out JPA or ZIP: choose one of these, and "
            "an encrypted repository."
        )


def _platform(site: Site, root: Path) -> str:
    """Return what the site runs on, where its folders say so too: defaults must not guess from one file."""
    marks = {"joomla": ("administrator", "libraries"), "wordpress": ("wp-includes", "wp-content")}
    return site.kind if all((root / mark).is_dir() for mark in marks.get(site.kind, ())) else "plain"


def _host_in_database(settings: Settings, site: Site) -> str:
    """Return the host name of a WordPress site whose files do not name it; empty where its database does not either."""
    given = settings.database.get_secret_value()
    if site.kind != "wordpress" or given == "none":
        return ""
    databases = [DatabaseAddress.parse(given)] if given else [found.address for found in site.databases]
    asked = next((database for database in databases if database.kind == "mysql"), None)
    return host_of(read_address(asked, asked.prefix or site.prefix)) if asked else ""


def _newer_than(settings: Settings, incremental_since: int | None) -> int | None:
    moments = []
    if settings.backup_type.startswith("inc") and incremental_since is not None:
        moments.append(incremental_since)
    if settings.date_filter:
        moments.append(_moment(settings.date_filter_start) - 1)
    return max(moments, default=None)


def _moment(text: str) -> int:
    """Return a moment like ``1981-02-20 12:15 GMT+2`` in Unix seconds."""
    found = _MOMENT.fullmatch(text.strip())
    try:
        moment = datetime.fromisoformat(f"{found[1]}T{found[2] or '00:00'}+00:00") if found else None
    except ValueError:
        moment = None
    if found is None or moment is None:
        raise ConfigurationError(f"core.filters.dateconditional.start is {text!r}: write it as 2026-01-31 12:00 GMT.")
    return int(moment.timestamp()) - 3600 * int(found[3] or 0)


def _root(profile: Profile, settings: Settings, home: Home) -> Path:
    if not settings.root:
        raise ConfigurationError(
            f"Profile {profile.id} has no site yet: set its root folder (akeeba.platform.newroot), for example with "
            f"'backstay profile edit {profile.id} --root PATH'."
        )
    root = Path(settings.root)
    if not root.is_dir():
        raise NotFoundError(f"The site's folder {root} is not there: correct the root of profile {profile.id}.")
    real = root.resolve()
    if real.is_relative_to(home.path.resolve()):
        raise ConfigurationError(
            f"The folder {real} is where Backstay keeps its own state and archives: give the folder of a site."
        )
    return real


def _databases(settings: Settings, filters: Filters, site: Site) -> tuple[PlannedDatabase, ...]:
    if settings.backup_type in ("fileonly", "incfile"):
        return ()
    main: list[PlannedDatabase] = []
    given = settings.database.get_secret_value()
    if given and given != "none":
        main = [PlannedDatabase(MAIN_DUMP, DatabaseAddress.parse(given).url())]
    elif not given:
        # A SQLite database under the root is archived in its place; as SQL only where it is asked for by name.
        found = [database.address for database in site.databases if database.address.kind != "sqlite"]
        main = [PlannedDatabase(MAIN_DUMP, found[0].url(), found[0].prefix or "")] if found else []
    if not main and settings.backup_type in ("dbonly", "alldb"):
        raise ConfigurationError("There is no database to back up: set backstay.site.database, or give --database URL.")
    if settings.backup_type == "dbonly":
        return tuple(main)
    return (*_extra_databases(filters), *main)


def _extra_databases(filters: Filters) -> list[PlannedDatabase]:
    extra = []
    taken = {MAIN_DUMP}
    for name, database in filters.extra_databases.items():
        base = "".join(
            letter for letter in (database.dump_file or f"{name}.sql") if letter.isalnum() or letter in "._-"
        )
        dump_file = base if base.endswith(".sql") else f"{base}.sql"
        while dump_file in taken:
            dump_file = f"x{dump_file}"
        taken.add(dump_file)
        extra.append(PlannedDatabase(dump_file, address_of(database).url(), database.prefix, name))
    return extra


def address_of(database: ExtraDatabase) -> DatabaseAddress:
    """Return the address of a database that is backed up besides the site's."""
    host, _separator, socket = database.host.partition(":") if ":/" in database.host else (database.host, "", "")
    return DatabaseAddress(
        _KINDS.get(database.driver.lower(), "mysql"),
        host="" if socket else host or "localhost",
        socket=socket,
        port=int(database.port) if database.port.isascii() and database.port.isdigit() else None,
        user=database.username,
        password=database.password,
        name=database.database,
        prefix=database.prefix,
    )
