"""The one folder that holds the state of Backstay, and where things lie in it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from backstay.errors import ConfigurationError

ENVIRONMENT_VARIABLE = "BACKSTAY_HOME"


@dataclass(frozen=True, slots=True)
class Home:
    """The layout of ``BACKSTAY_HOME``; every folder in it is private to its user.

    Attributes:
        path: the folder itself, absolute.
    """

    path: Path

    @property
    def configuration(self) -> Path:
        """The settings of this installation, written by a person (TOML)."""
        return self.path / "backstay.toml"

    @property
    def catalogue(self) -> Path:
        """The SQLite database with profiles, records, tokens and jobs."""
        return self.path / "catalogue.sqlite"

    @property
    def key(self) -> Path:
        """The key that encrypts what the catalogue holds of secrets."""
        return self.path / "key"

    @property
    def secret(self) -> Path:
        """The secret word of the API."""
        return self.path / "secret"

    @property
    def archives(self) -> Path:
        """Where archives go unless a profile says otherwise."""
        return self.path / "archives"

    @property
    def installers(self) -> Path:
        """Where packages of restoration scripts lie that a profile names without a folder; made by a person."""
        return self.path / "installers"

    @property
    def logs(self) -> Path:
        """One log for each backup."""
        return self.path / "logs"

    @property
    def jobs(self) -> Path:
        """One folder for each running backup: its lock, its spool and its progress."""
        return self.path / "jobs"

    @property
    def queue(self) -> Path:
        """What waits to be done by itself: the queue's database, and a lock of each process that works on it."""
        return self.path / "queue"

    @property
    def repositories(self) -> Path:
        """One folder for each repository: those of this machine themselves, and the index of each."""
        return self.path / "repositories"

    @property
    def cache(self) -> Path:
        """What is made again when it is missing: it may be deleted at any time."""
        return self.path / "cache"

    def job(self, backup_id: int) -> Path:
        """Return the folder of the job that takes the backup with this record number."""
        return self.jobs / str(backup_id)

    def task(self, task_id: int) -> Path:
        """Return the folder of the process that does a task."""
        return self.path / "tasks" / str(task_id)

    def log(self, tag: str, backupid: str) -> Path:
        """Return the path of a backup's log."""
        return self.logs / f"backstay.{tag}.{backupid}.log"


def default_home() -> Path:
    """Return ``BACKSTAY_HOME``, or the folder where the platform keeps such state (XDG_DATA_HOME)."""
    if given := os.environ.get(ENVIRONMENT_VARIABLE):
        return Path(given)
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "backstay"


def open_home(path: Path | None = None) -> Home:
    """Return the home at a path, made if it is not there yet.

    Args:
        path: the folder; None: ``BACKSTAY_HOME`` or the platform's place.

    Raises:
        ConfigurationError: the folder cannot be made or written to.
    """
    home = Home((path or default_home()).expanduser().absolute())
    try:
        for folder in (home.path, home.archives, home.logs, home.jobs):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"Backstay's folder {home.path} can't be used ({error.strerror}): "
            f"make it writable, or name another with --home or {ENVIRONMENT_VARIABLE}."
        ) from error
    return home
