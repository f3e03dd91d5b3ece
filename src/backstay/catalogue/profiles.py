"""Profiles: what is backed up and how, one for each site."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, Row, delete, func, insert, select, update

from backstay.catalogue.alarms import close_of_profile
from backstay.catalogue.schema import profiles, sites
from backstay.catalogue.vault import Vault
from backstay.errors import ChangedMeanwhileError, NotFoundError, UsageError
from backstay.profiles import Filters

if TYPE_CHECKING:
    from backstay.profiles import Settings

ROOT_KEY = "akeeba.platform.newroot"
_MOST_VALUES = 10_000


@dataclass(frozen=True, slots=True)
class Profile:
    """One profile.

    Attributes:
        id: its number; 1 always exists. 0 in a profile that is not stored yet.
        description: its name for a person.
        configuration: values by dotted key, as strings; what is not in it has its default. May hold secrets.
        filters: what is left out and taken in.
        quickicon: whether a client shows it as a button.
        revision: a word that is another one after each save; empty in a profile that was not read from the catalogue.
        machine: name of the machine on which its site is; empty: the only one there is, or it has no site yet.
    """

    id: int
    description: str
    configuration: Mapping[str, str] = field(default_factory=dict, repr=False)
    filters: Filters = field(default_factory=Filters, repr=False)
    quickicon: bool = True
    revision: str = field(default="", repr=False, compare=False)
    machine: str = ""

    def settings(self, overrides: Mapping[str, object] | None = None) -> Settings:
        """Return the typed settings, with a call's overrides on top."""
        # Imported here: a list of backups needs no settings, and their models take long to load.
        from backstay.profiles import Settings

        return Settings.from_values({**self.configuration, **(overrides or {})})

    def with_values(self, values: Mapping[str, str]) -> Profile:
        """Return this profile with some values set."""
        return replace(self, configuration={**self.configuration, **values})


class ProfileTable:
    """Reads and writes profiles; their configuration and filters are kept encrypted."""

    def __init__(self, engine: Engine, vault: Vault, machine: str = "") -> None:
        self._machine = machine
        self._engine = engine
        self._writer = engine.execution_options(writes=True)
        self._vault = vault

    def all(self) -> list[Profile]:
        """Return all profiles by number."""
        with self._engine.connect() as connection:
            return [self._profile(row) for row in connection.execute(select(profiles).order_by(profiles.c.id))]

    def names(self) -> list[tuple[int, str]]:
        """Return number and description of all profiles by number, without reading the rest."""
        query = select(profiles.c.id, profiles.c.description).order_by(profiles.c.id)
        with self._engine.connect() as connection:
            return [(row.id, row.description) for row in connection.execute(query)]

    def count(self) -> int:
        """Return how many profiles there are."""
        with self._engine.connect() as connection:
            return connection.execute(select(func.count()).select_from(profiles)).scalar_one()

    def names_of(self, numbers: Iterable[int]) -> dict[int, str]:
        """Return the descriptions of some profiles by number, those that exist."""
        query = select(profiles.c.id, profiles.c.description).where(profiles.c.id.in_(list(numbers)))
        with self._engine.connect() as connection:
            return {row.id: row.description for row in connection.execute(query)}

    def configurations(self) -> list[tuple[int, str, dict[str, str]]]:
        """Return number, description and configuration of all profiles, by number, without reading their filters."""
        columns = (profiles.c.id, profiles.c.description, profiles.c.configuration)
        with self._engine.connect() as connection:
            rows = connection.execute(select(*columns).order_by(profiles.c.id)).all()
        return [(row[0], row[1], json.loads(self._vault.decrypt(row[2]))) for row in rows]

    def configurations_of(self, numbers: Iterable[int]) -> dict[int, dict[str, str]]:
        """Return the configurations of some profiles by number, those that exist."""
        wanted, found = list(numbers), {}
        query = select(profiles.c.id, profiles.c.configuration)
        with self._engine.connect() as connection:
            # A statement has room for so many values only.
            for first in range(0, len(wanted), _MOST_VALUES):
                rows = connection.execute(query.where(profiles.c.id.in_(wanted[first : first + _MOST_VALUES])))
                found.update({row[0]: json.loads(self._vault.decrypt(row[1])) for row in rows})
        return found

    def get(self, profile_id: int) -> Profile:
        """Return one profile.

        Raises:
            NotFoundError: there is none with this number.
        """
        with self._engine.connect() as connection:
            row = connection.execute(select(profiles).where(profiles.c.id == profile_id)).one_or_none()
        if row is None:
            raise NotFoundError(f"There is no backup profile {profile_id}: see them with 'backstay profile list'.")
        return self._profile(row)

    def create(self, profile: Profile) -> Profile:
        """Store a new profile; return it with its number. Its site is on this machine."""
        made = replace(profile, machine=self._machine if profile.configuration.get(ROOT_KEY) else "")
        query = (
            insert(profiles).values(**profile_values(made, self._vault), machine=made.machine).returning(profiles.c.id)
        )
        with self._writer.begin() as connection:
            return replace(made, id=connection.execute(query).scalar_one())

    def create_first(self) -> None:
        """Make profile 1 where there is no profile at all."""
        with self._writer.begin() as connection:
            if connection.execute(select(profiles.c.id).limit(1)).first() is None:
                connection.execute(
                    insert(profiles).values(**profile_values(Profile(1, "Default Backup Profile"), self._vault))
                )

    def save(self, profile: Profile, *, revision: str = "") -> None:
        """Store a profile that exists already; one whose root is changed has its site on this machine from then on.

        Args:
            profile: what is stored.
            revision: of the profile that was read and changed; empty: whatever is stored is replaced.

        Raises:
            NotFoundError: there is none with this number.
            ChangedMeanwhileError: another one was stored since.
            UsageError: a site stands on it, and its new name is another site's.
        """
        query = select(profiles).where(profiles.c.id == profile.id).with_for_update()
        with self._writer.begin() as connection:
            row = connection.execute(query).one_or_none()
            if row is None:
                raise NotFoundError(f"There is no backup profile {profile.id}: see them with 'backstay profile list'.")
            if revision and revision != _revision(row):
                raise ChangedMeanwhileError(f"Profile {profile.id} was changed by somebody else meanwhile: try again.")
            values = profile_values(profile, self._vault)
            if profile.description != row.description:
                _name_site(connection, profile.id, profile.description)
            root = profile.configuration.get(ROOT_KEY, "")
            if root != self._profile(row).configuration.get(ROOT_KEY, ""):
                values["machine"] = self._machine if root else ""
            connection.execute(update(profiles).where(profiles.c.id == profile.id).values(**values))

    def machines(self) -> dict[int, str]:
        """Return for each profile the name of the machine on which its site is."""
        with self._engine.connect() as connection:
            return {row[0]: row[1] for row in connection.execute(select(profiles.c.id, profiles.c.machine))}

    def claim(self, profile_id: int) -> None:
        """Note that the site of a profile is on this machine, unless it is known to be on another."""
        query = update(profiles).where(profiles.c.id == profile_id, profiles.c.machine == "")
        with self._writer.begin() as connection:
            connection.execute(query.values(machine=self._machine))

    def delete(self, profile_id: int) -> bool:
        """Remove a profile and close its alarms; return whether it was there. Its records stay.

        Raises:
            UsageError: a site stands on it.
        """
        with self._writer.begin() as connection:
            name = connection.execute(select(sites.c.name).where(sites.c.profile_id == profile_id)).scalar()
            if name is not None:
                raise UsageError(
                    f"Profile {profile_id} belongs to the site {name}: remove it with 'backstay site remove {name}'."
                )
            close_of_profile(connection, profile_id, datetime.now(UTC))
            return connection.execute(delete(profiles).where(profiles.c.id == profile_id)).rowcount > 0

    def _profile(self, row: Row[Any]) -> Profile:
        return Profile(
            id=row.id,
            description=row.description,
            configuration=json.loads(self._vault.decrypt(row.configuration)),
            filters=Filters.from_stored(json.loads(self._vault.decrypt(row.filters))),
            quickicon=row.quickicon,
            revision=_revision(row),
            machine=row.machine,
        )


def profile_values(profile: Profile, vault: Vault) -> dict[str, Any]:
    """Return what is stored of a profile, without its number and machine."""
    return {
        "description": profile.description,
        "configuration": vault.encrypt(json.dumps(dict(profile.configuration))),
        "filters": vault.encrypt(json.dumps(profile.filters.to_stored())),
        "quickicon": profile.quickicon,
    }


def _name_site(connection: Connection, profile_id: int, name: str) -> None:
    """Give the site of a profile, if it has one, the profile's new name."""
    number = connection.execute(select(sites.c.id).where(sites.c.profile_id == profile_id)).scalar_one_or_none()
    if number is None:
        return
    if connection.execute(select(sites.c.id).where(sites.c.name == name, sites.c.id != number)).first():
        raise UsageError(f"There is a site named {name} already: choose another name.")
    connection.execute(update(sites).where(sites.c.id == number).values(name=name))


def _revision(row: Row[Any]) -> str:
    # What is stored is encrypted anew at each save, so that its hash changes even where the content is the same, and
    # tells nothing of the content.
    named = f"{row.description}\n{row.quickicon}\n".encode("utf-8", "surrogatepass")
    return hashlib.sha256(b"".join((named, row.configuration, row.filters))).hexdigest()[:32]
