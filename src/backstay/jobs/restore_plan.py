"""What a person asks of a restore, made into its plan."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from backstay.databases import DatabaseAddress, ExistingTables
from backstay.errors import UsageError
from backstay.jobs.restore_sources import RestoreSource
from backstay.restore import MAIN_DUMP, Place, RestorePlan

POLICIES = {"refuse": ExistingTables.REFUSE, "replace": ExistingTables.REPLACE, "backup": ExistingTables.BACK_UP}
"""What becomes of tables that are there already, by the word that commands and pages have for it."""
NO_DATABASE = "none"
"""In the place of a database's URL: none is loaded, not even the site's own."""


@dataclass(frozen=True, slots=True)
class RestoreOptions:
    """What becomes of an archive, as it was given."""

    to: Path | None = None
    databases: tuple[str, ...] = field(default=(), repr=False)
    existing: str = "ask"
    replacements: tuple[str, ...] = ()
    address: str | None = None
    old_addresses: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    only_tables: tuple[str, ...] = ()
    files: bool = True
    merge: bool = False
    configuration: bool = True
    rename_server_files: bool = False
    special_modes: bool = False
    owner: str | None = None
    keep_days: float = 7.0

    def to_json(self) -> dict[str, Any]:
        """Return them as plain JSON, secrets in them."""
        return {**asdict(self), "to": os.fspath(self.to) if self.to else None}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` gave."""
        lists = {name: tuple(value) for name, value in stored.items() if isinstance(value, list)}
        return cls(**{**stored, **lists, "to": Path(stored["to"]) if stored["to"] else None})

    def check(self) -> None:
        """Refuse what makes no sense, before anything is downloaded.

        Raises:
            UsageError: an option cannot be used.
        """
        if self.existing not in (*POLICIES, "ask"):
            raise UsageError(f"--existing-tables takes ask, refuse, replace or backup, not {self.existing!r}.")
        if self.address is not None and not _is_whole_address(self.address):
            raise UsageError(f"--address takes a whole address such as https://example.com, not {self.address!r}.")
        if self.old_addresses and self.address is None:
            raise UsageError("--old-address is replaced by the new one: give that with --address.")
        for old in self.old_addresses:
            Place.parse(old)
        pairs(self.replacements)
        named_databases(self.databases)


def _is_whole_address(address: str) -> bool:
    try:
        parts = urlsplit(address)
        Place.parse(address)
    except (ValueError, UsageError):
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc) and not parts.query and not parts.fragment


def named_databases(values: tuple[str, ...]) -> dict[str, str]:
    """Return the URL for each dump; one without a name is for the site's own.

    Raises:
        UsageError: a URL makes no sense, or a dump is given two.
    """
    found: dict[str, str] = {}
    for value in values:
        if value == NO_DATABASE:
            continue
        before, separator, after = value.partition("=")
        named = bool(separator) and before.endswith(".sql")
        name = before if named else MAIN_DUMP
        if name in found:
            raise UsageError(f"--database is given twice for {name}: give one.")
        found[name] = DatabaseAddress.parse(after if named else value).url()
    return found


def pairs(values: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Return old and new texts of ``OLD=NEW``; the first equals sign parts them.

    Raises:
        UsageError: one has no equals sign, or no old text.
    """
    found = []
    for value in values:
        old, separator, new = value.partition("=")
        if not separator or not old:
            raise UsageError(
                f"--replace takes OLD=NEW, such as https://old.example=https://new.example, not {value!r}."
            )
        found.append((old, new))
    return tuple(found)


def make_plan(source: RestoreSource, options: RestoreOptions) -> RestorePlan:
    """Return the plan of a restore; to the old place where no other is given.

    What comes back to the site's own place belongs to the database that the site has: where none is named, and more
    than some files is asked for, its dump is loaded into that. A copy elsewhere never touches it.

    Raises:
        UsageError: no place is given and none is known.
    """
    target = options.to
    databases = named_databases(options.databases)
    if target is None:
        if source.root is None:
            raise UsageError("Say where the files go with --to DIR: the archive does not say.")
        target = source.root
    target = target.absolute()
    own_database = _has_own_database(source, options, target)
    if own_database:
        databases = {MAIN_DUMP: source.database}
    return RestorePlan(
        archive=source.name,
        target=str(target),
        databases=databases,
        password=source.password,
        files=options.files,
        strategy="merge" if options.merge else "whole",
        only=options.only,
        only_tables=options.only_tables,
        replacements=pairs(options.replacements),
        configuration=options.configuration,
        address=options.address.rstrip("/") if options.address else None,
        old_addresses=options.old_addresses,
        rename_server_files=options.rename_server_files,
        owner=_owner(options.owner, target),
        owners_of_archive=not options.owner,
        xattrs="all" if source.is_own else "harmless",
        keep_days=options.keep_days,
        special_modes=options.special_modes,
        remote=source.remote,
        repository=source.repository,
        snapshot=source.snapshot,
        own_database=own_database,
    )


def _has_own_database(source: RestoreSource, options: RestoreOptions, target: Path) -> bool:
    """Return whether the site's own database is meant though none is named."""
    if options.databases or not source.database or source.root is None:
        return False
    # Whoever asks for some files wants the rest to stay as it is.
    some_files = options.only and options.files and not options.only_tables
    return not some_files and target.resolve() == source.root.resolve()


def _owner(given: str | None, target: Path) -> tuple[int, int] | None:
    if given:
        import grp
        import pwd

        user, _, group = given.partition(":")
        try:
            entry = pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
            number = (int(group) if group.isdigit() else grp.getgrnam(group).gr_gid) if group else entry.pw_gid
        except KeyError:
            raise UsageError(f"There is no user or group {given!r} on this machine.") from None
        return entry.pw_uid, number
    if os.geteuid() != 0 or not target.is_dir():
        return None
    status = target.stat()
    # What root restores over somebody's site stays theirs; a server that can't read its site is no site.
    return (status.st_uid, status.st_gid) if status.st_uid != 0 else None
