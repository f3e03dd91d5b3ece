"""Sites as an agency means them: each stands on a profile, and a remote one has a connection that is kept encrypted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypedDict, Unpack, cast

from sqlalchemy import Connection as SqlConnection
from sqlalchemy import Engine, Row, Select, delete, insert, select, update

from backstay.catalogue.alarms import close_of_profile
from backstay.catalogue.groups import group_number, group_numbers
from backstay.catalogue.profiles import Profile, profile_values
from backstay.catalogue.schedules import Schedule, insert_schedule
from backstay.catalogue.schema import groups, profiles, sites
from backstay.catalogue.vault import Vault
from backstay.errors import NotFoundError, UsageError

# Made once: of thousands of sites in one transaction, making the statements would take most of the time.
_INSERT_PROFILE: Final = insert(profiles).returning(profiles.c.id)
_INSERT_SITE: Final = insert(sites).returning(sites.c.id)

SiteKind = Literal["local", "remote"]


@dataclass(frozen=True, slots=True)
class Connection:
    """How the server of a remote site is called.

    Attributes:
        secret: secret word or token.
        endpoint: what answered, as ``client.Endpoint.stored`` gives it.
        profile: number of the server's backup profile.
        keep_there: backups that stay on the server; None: it is left as it is.
        verify_tls: whether its certificate is checked.
    """

    secret: str = field(repr=False)
    endpoint: Mapping[str, Any]
    profile: int = 1
    keep_there: int | None = None
    verify_tls: bool = True


@dataclass(frozen=True, slots=True)
class Site:
    """One site, without the secret of its server.

    Attributes:
        id: its number; 0 in one that is not stored yet.
        name: unique; its profile has the same.
        kind: ``local``: a folder of a machine that runs Backstay; ``remote``: behind a server of the API.
        profile_id: the profile it stands on, its own.
        group: name of its group; empty: none.
        address: of the server, or of the site; empty where it is not known.
        host: what the limit of backups at the same time counts by: the IP address the server had last, or its name.
        tags: words to select it by, sorted.
        notes: for people.
        found: what the server said of itself when it was last asked, as JSON values; not to be trusted.
        paused: it is not backed up by itself.
        failures: how many of its backups failed since the last that did not.
        not_before: moment before which it is not tried again by itself; None: it is not put off.
        heard: moment its server last answered; None: never.
        problem: why the last call or backup failed; empty: it did not.
        created: moment it was added.
    """

    id: int
    name: str
    kind: SiteKind
    profile_id: int
    created: datetime
    group: str = ""
    address: str = ""
    host: str = ""
    tags: tuple[str, ...] = ()
    notes: str = ""
    found: Mapping[str, Any] = field(default_factory=dict)
    paused: bool = False
    failures: int = 0
    not_before: datetime | None = None
    heard: datetime | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class NewSite:
    """A site to store; one without a profile gets the one that comes with it.

    Attributes:
        site: its ``profile_id`` is 0 where the profile is to be made.
        connection: of a remote site; None: of a local one.
        profile: stored in the same transaction, as a new one where its number is 0; None: the site's exists.
        schedule: of its backups, added in the same transaction, whatever profile it names; None: none.
    """

    site: Site
    connection: Connection | None = None
    profile: Profile | None = None
    schedule: Schedule | None = None


class SiteValues(TypedDict, total=False):
    """What can be changed of a site; the fields are those of ``Site``."""

    name: str
    group: str
    address: str
    host: str
    tags: tuple[str, ...]
    notes: str
    found: Mapping[str, Any]
    paused: bool
    failures: int
    not_before: datetime | None
    heard: datetime | None
    problem: str


class SiteTable:
    """Reads and writes sites; their connections are kept encrypted."""

    def __init__(self, engine: Engine, vault: Vault) -> None:
        self._engine = engine
        self._writer = engine.execution_options(writes=True)
        self._vault = vault

    def all(self) -> list[Site]:
        """Return all sites by name."""
        with self._engine.connect() as connection:
            return [_site(row) for row in connection.execute(_sites().order_by(sites.c.name))]

    def get(self, which: str | int) -> Site:
        """Return a site by its name or number.

        Raises:
            NotFoundError: there is none.
        """
        wanted = sites.c.id == which if isinstance(which, int) else sites.c.name == which
        if (found := self._one(_sites().where(wanted))) is None:
            raise _no_site(which)
        return found

    def find(self, name: str) -> Site | None:
        """Return a site by its name, or None."""
        return self._one(_sites().where(sites.c.name == name))

    def find_by_profile(self, profile_id: int) -> Site | None:
        """Return the site that stands on a profile, or None."""
        return self._one(_sites().where(sites.c.profile_id == profile_id))

    def profiles_of(self, group_numbers: Collection[int]) -> list[int]:
        """Return the numbers of the profiles that the sites of some groups stand on."""
        query = select(sites.c.profile_id).where(sites.c.group_id.in_(list(group_numbers)))
        with self._engine.connect() as connection:
            return [row[0] for row in connection.execute(query)]

    def is_in(self, profile_id: int, group_numbers: Collection[int]) -> bool:
        """Return whether a profile is that of a site in one of some groups."""
        query = select(sites.c.id).where(sites.c.profile_id == profile_id, sites.c.group_id.in_(list(group_numbers)))
        with self._engine.connect() as connection:
            return connection.execute(query).first() is not None

    def create(self, new: NewSite) -> Site:
        """Store one new site, see ``create_all``."""
        return self.create_all([new])[0]

    def create_all(self, new: Iterable[NewSite]) -> list[Site]:
        """Store new sites and their profiles, all of them or none; return them with their numbers.

        Raises:
            UsageError: a name is taken, or a profile is another site's.
            NotFoundError: a group does not exist.
        """
        wanted = list(new)
        with self._writer.begin() as connection:
            numbers = group_numbers(connection, (one.site.group for one in wanted))
            _require_free(connection, [one.site.name for one in wanted])
            return [self._create(connection, one, numbers[one.site.group]) for one in wanted]

    def update(self, site_id: int, **values: Unpack[SiteValues]) -> None:
        """Change some values of a site; its profile follows its name.

        Raises:
            NotFoundError: it was removed, or the group does not exist.
            UsageError: the name is taken.
        """
        changed = dict(values)
        if not changed:
            self.get(site_id)
            return
        with self._writer.begin() as connection:
            if "group" in changed:
                changed["group_id"] = group_number(connection, cast("str", changed.pop("group")))
            if "tags" in changed:
                changed["tags"] = list(cast("tuple[str, ...]", changed["tags"]))
            if "name" in changed:
                _rename(connection, site_id, cast("str", changed["name"]))
            if connection.execute(update(sites).where(sites.c.id == site_id).values(**changed)).rowcount == 0:
                raise _no_site(site_id)

    def delete(self, site_id: int, *, with_profile: bool = False) -> None:
        """Remove a site with its runs; its records stay.

        Args:
            site_id: its number.
            with_profile: its profile and schedules go too.

        Raises:
            NotFoundError: it was removed already.
        """
        with self._writer.begin() as connection:
            query = delete(sites).where(sites.c.id == site_id).returning(sites.c.profile_id)
            profile_id = connection.execute(query).scalar_one_or_none()
            if profile_id is None:
                raise _no_site(site_id)
            if with_profile:
                close_of_profile(connection, profile_id, datetime.now(UTC))
                connection.execute(delete(profiles).where(profiles.c.id == profile_id))

    def connection(self, site_id: int) -> Connection:
        """Return how the server of a remote site is called, with the secret.

        Raises:
            NotFoundError: the site was removed.
            UsageError: it is no remote one.
        """
        query = select(sites.c.name, sites.c.kind, sites.c.connection).where(sites.c.id == site_id)
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise _no_site(site_id)
        if row.kind != "remote":
            raise UsageError(f"The site {row.name} is on a machine of Backstay: there is no server to call for it.")
        return Connection(**json.loads(self._vault.decrypt(row.connection)))

    def connections(self) -> dict[int, Connection]:
        """Return how the servers of all remote sites are called, by the numbers of the sites, with the secrets."""
        query = select(sites.c.id, sites.c.connection).where(sites.c.kind == "remote")
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return {row.id: Connection(**json.loads(self._vault.decrypt(row.connection))) for row in rows}

    def set_connection(self, site_id: int, connection: Connection) -> None:
        """Store how the server of a remote site is called.

        Raises:
            NotFoundError: the site was removed.
        """
        query = update(sites).where(sites.c.id == site_id).values(connection=self._sealed(connection))
        with self._writer.begin() as writer:
            if writer.execute(query).rowcount == 0:
                raise _no_site(site_id)

    def _one(self, query: Select[Any]) -> Site | None:
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _site(row)

    def _create(self, connection: SqlConnection, new: NewSite, group_id: int | None) -> Site:
        site = new.site
        if new.profile is not None and new.profile.id == 0:
            values = profile_values(new.profile, self._vault)
            made = connection.execute(_INSERT_PROFILE, {**values, "machine": new.profile.machine})
            site = replace(site, profile_id=made.scalar_one())
        else:
            if new.profile is not None:
                values = profile_values(new.profile, self._vault)
                connection.execute(update(profiles).where(profiles.c.id == site.profile_id).values(**values))
            held = connection.execute(select(sites.c.name).where(sites.c.profile_id == site.profile_id)).scalar()
            if held is not None:
                raise UsageError(f"Profile {site.profile_id} belongs to the site {held} already.")
            _name_profile(connection, site.profile_id, site.name)
        values = {name: value for name, value in asdict(site).items() if name not in ("id", "group", "tags")}
        if new.schedule is not None:
            insert_schedule(connection, replace(new.schedule, profile_id=site.profile_id))
        sealed = self._sealed(new.connection) if new.connection else b""
        values |= {"tags": list(site.tags), "group_id": group_id, "connection": sealed}
        return replace(site, id=connection.execute(_INSERT_SITE, values).scalar_one())

    def _sealed(self, connection: Connection) -> bytes:
        return self._vault.encrypt(json.dumps(asdict(connection)))


def _sites() -> Select[Any]:
    columns = [column for column in sites.c if column.name not in ("group_id", "connection")]
    return select(*columns, groups.c.name.label("group")).outerjoin(groups, groups.c.id == sites.c.group_id)


def _site(row: Row[Any]) -> Site:
    return Site(**{**row._asdict(), "group": row.group or "", "tags": tuple(row.tags)})


def _require_free(connection: SqlConnection, names: list[str]) -> None:
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    taken = twice or connection.execute(select(sites.c.name).where(sites.c.name.in_(names)).limit(1)).scalar()
    if taken is not None:
        raise UsageError(f"There is a site named {taken} already: choose another name.")


def _rename(connection: SqlConnection, site_id: int, name: str) -> None:
    if connection.execute(select(sites.c.id).where(sites.c.name == name, sites.c.id != site_id)).first():
        raise UsageError(f"There is a site named {name} already: choose another name.")
    profile_id = connection.execute(select(sites.c.profile_id).where(sites.c.id == site_id)).scalar()
    if profile_id is not None:
        _name_profile(connection, profile_id, name)


def _name_profile(connection: SqlConnection, profile_id: int, name: str) -> None:
    named = update(profiles).where(profiles.c.id == profile_id).values(description=name)
    if connection.execute(named).rowcount == 0:
        raise NotFoundError(f"There is no backup profile {profile_id}: see them with 'backstay profile list'.")


def _no_site(which: str | int) -> NotFoundError:
    return NotFoundError(f"There is no site {which!r}: see them with 'backstay site list'.")
