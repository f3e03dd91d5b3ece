"""The settings of one installation: ``backstay.toml`` in its home, and the environment.

A variable ``BACKSTAY_<TABLE>__<NAME>`` counts more than the file.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from backstay.errors import ConfigurationError
from backstay.jobs.server_configuration import ServerConfiguration


class JobsConfiguration(BaseModel):
    """The table ``[jobs]``: how backups are run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    niceness: int = Field(
        default=5,
        ge=0,
        le=19,
        description="How far a running backup steps back behind the server: 0 not at all, 19 most.",
    )
    maximum_running: int = Field(
        default=2, ge=1, le=64, description="Backups that run at the same time; more wait for a free slot, in order."
    )
    stuck_after: int = Field(
        default=180,
        ge=0,
        description="Minutes without a sign of life after which a backup that hangs is ended by a new one of the same "
        "profile; 0: never.",
    )
    time_zone: str = Field(
        default="UTC",
        description="Time zone of the dates in names of archives and descriptions, for example Europe/Zurich; where it "
        "is set, of schedules that name none, too.",
    )


class CatalogueConfiguration(BaseModel):
    """The table ``[catalogue]``: where profiles, records and all the rest are kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(
        default="",
        description="URL of a PostgreSQL database that holds the catalogue, for example "
        "postgresql://backstay:password@db.example.com/backstay; several machines may share it. Empty: the catalogue "
        "is a SQLite file in the home. The variable BACKSTAY_CATALOGUE says the same and counts more.",
    )


class WorkerConfiguration(BaseModel):
    """The table ``[worker]``: what this machine is to the others that share its catalogue."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(
        default="",
        description="By which name the others that share the catalogue know this machine; empty: its host name. It "
        "stays with the machine: what was backed up under a name is that machine's.",
    )


class FleetConfiguration(BaseModel):
    """The table ``[fleet]``: how sites on other servers are backed up."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    per_worker: int = Field(
        default=8,
        ge=1,
        le=256,
        description="Backups of sites on other servers that one worker, or server, performs at the same time. How many "
        "run at one host is said of the groups of sites.",
    )


class RepositoriesConfiguration(BaseModel):
    """The table ``[repositories]``: how repositories are proven by themselves."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reread_days: int = Field(
        default=30,
        ge=0,
        le=3650,
        description="Days within which all that lies in a repository is read again and compared with its hashes, a "
        "share of it each day; 0: never by itself.",
    )


class JournalConfiguration(BaseModel):
    """The table ``[journal]``: how long it is remembered who did what."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keep_days: int = Field(default=1095, ge=1, le=36500, description="Days after which an entry is forgotten.")
    keep_entries: int = Field(
        default=200_000, ge=1000, description="Entries that are kept at most; the oldest are forgotten first."
    )


class WebConfiguration(BaseModel):
    """The table ``[web]``: how the page treats those who sign in."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    session_idle_minutes: int = Field(
        default=720, ge=5, le=525_600, description="Minutes after which a session that is not used ends."
    )
    session_days: int = Field(
        default=14, ge=1, le=365, description="Days after which a session ends, however much it is used."
    )


class Configuration(BaseSettings):
    """All settings of one installation."""

    model_config = SettingsConfigDict(
        env_prefix="BACKSTAY_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        nested_model_default_partial_update=True,
    )

    server: ServerConfiguration = Field(default_factory=ServerConfiguration, description="How the server answers.")
    jobs: JobsConfiguration = Field(default_factory=JobsConfiguration, description="How backups are run.")
    web: WebConfiguration = Field(
        default_factory=WebConfiguration, description="How the page treats those who sign in."
    )
    journal: JournalConfiguration = Field(
        default_factory=JournalConfiguration, description="How long the journal remembers who did what."
    )

    catalogue: Annotated[CatalogueConfiguration, NoDecode] = Field(
        default_factory=CatalogueConfiguration, description="Where the catalogue is kept."
    )

    worker: WorkerConfiguration = Field(
        default_factory=WorkerConfiguration, description="What this machine is to others."
    )

    fleet: FleetConfiguration = Field(
        default_factory=FleetConfiguration, description="How sites on other servers are backed up."
    )

    repositories: RepositoriesConfiguration = Field(
        default_factory=RepositoriesConfiguration, description="How repositories are proven by themselves."
    )

    @field_validator("catalogue", mode="before")
    @classmethod
    def _of_its_variable(cls, value: object) -> object:
        """Take the URL that stands in ``BACKSTAY_CATALOGUE`` itself (see ``backstay.catalogue.location``)."""
        return {"url": value} if isinstance(value, str) else value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment count more than the file, and read nothing else."""
        del env_settings, dotenv_settings, file_secret_settings
        return (EnvSettingsSource(settings_cls), init_settings)


def read_configuration(path: Path) -> Configuration:
    """Return the settings that a file and the environment give; a missing file gives the defaults.

    Raises:
        ConfigurationError: the file cannot be read, or a setting in it cannot be used.
    """
    try:
        with path.open("rb") as file:
            values = tomllib.load(file)
    except FileNotFoundError:
        values = {}
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{path} can't be read: {error}.") from error
    try:
        return Configuration(**values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        name = ".".join(str(piece) for piece in first["loc"])
        raise ConfigurationError(
            f"The setting {name} in {path} or the environment can't be used: {first['msg']}."
        ) from None


@dataclass(frozen=True, slots=True)
class ConfigurationFact:
    """One setting of the installation, as it counts now.

    Attributes:
        table, name: where it stands in ``backstay.toml``.
        value: for a person; of a secret only whether there is one.
        source: ``file``, ``environment`` or ``default``.
        variable: of the environment that sets it.
        description: what it is for.
    """

    table: str
    name: str
    value: str
    source: Literal["file", "environment", "default"]
    variable: str
    description: str


def configuration_facts(path: Path, configuration: Configuration) -> list[ConfigurationFact]:
    """Return every setting of the installation, where it comes from, and what it is for; secrets are not shown."""
    try:
        stored = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        stored = {}
    found = []
    environment = {name.upper() for name in os.environ}
    for table in type(configuration).model_fields:
        model = getattr(configuration, table)
        in_file = stored.get(table)
        for name, item in type(model).model_fields.items():
            variable = f"BACKSTAY_{table}__{name}".upper()
            is_whole = (table, name) == ("catalogue", "url") and "BACKSTAY_CATALOGUE" in environment
            variable = "BACKSTAY_CATALOGUE" if is_whole else variable
            is_stored = isinstance(in_file, dict) and name in in_file
            found.append(
                ConfigurationFact(
                    table,
                    name,
                    _shown(getattr(model, name), is_secret=(table, name) == ("catalogue", "url")),
                    "environment" if variable in environment else "file" if is_stored else "default",
                    variable,
                    item.description or "",
                )
            )
    return found


def _shown(value: object, *, is_secret: bool) -> str:
    if isinstance(value, SecretStr):
        return "(set)" if value.get_secret_value() else ""
    if is_secret:
        return "(set)" if value else ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
