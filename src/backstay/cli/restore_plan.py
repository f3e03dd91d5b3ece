"""What ``backstay restore`` was asked for, made into a plan, and what that plan would change."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from backstay.archives import ArchiveReader, open_archive
from backstay.cli.output import counted, shown, size
from backstay.cli.restore_options import POLICIES, RestoreOptions, SourceOptions, named_databases, pairs
from backstay.databases import DatabaseAddress, ExistingTables, TableChoice
from backstay.errors import NotFoundError, TablesExistError, UsageError
from backstay.jobs.installation import Installation
from backstay.jobs.restore import RestoreSource, source_of_backup, source_of_server
from backstay.jobs.stored_backups import open_remote
from backstay.restore import (
    MAIN_DUMP,
    ArchivedDatabase,
    Layout,
    Move,
    RestorePlan,
    Rewritten,
    SiteMove,
    extract_configuration,
    find_move,
    present_tables,
    read_layout,
    rewrite_configuration,
)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a restore would change.

    Attributes:
        plan: the restore.
        occupied: the target holds something.
        in_the_way: dump file → tables that would be replaced; None: not known before the dump is read.
        files: entries that would be written.
        bytes: bytes of their content.
        configuration: files of the site's configuration that would change.
        not_restored: dumps for which no database is given.
        move: what would be replaced of a site that moves.
        layout: of the archive; None where it is not here yet, and nothing of it is known.
    """

    plan: RestorePlan
    occupied: bool
    in_the_way: Mapping[str, list[str] | None]
    files: int
    bytes: int
    configuration: tuple[Rewritten, ...]
    not_restored: tuple[str, ...]
    layout: Layout | None = field(default=None, repr=False)
    move: SiteMove = field(default_factory=SiteMove)

    @property
    def replaces(self) -> bool:
        """Whether anything that is there would be replaced."""
        return (self.occupied and self.plan.files) or any(self.in_the_way.values())

    def question(self) -> str:
        """Return what would be replaced, in a sentence, and in another what would not although the backup holds it."""
        found = []
        if self.occupied and self.plan.files:
            how = "some files of" if self.plan.only or self.plan.strategy == "merge" else "all that is in"
            found.append(f"{how} {self.plan.target}")
        for dump_file, tables in self.in_the_way.items():
            if tables and (address := self.plan.database(dump_file)):
                which = f"the table {tables[0]}" if len(tables) == 1 else f"{len(tables)} tables and views"
                if self.layout is None:
                    which = f"what the backup holds too of {which}"
                found.append(f"{which} of {address.redacted()}")
        left = ", ".join(self.not_restored)
        # Old files beside a database of today are seldom what is meant.
        stays = f" It does not load {left}: no database is given for it." if left else ""
        return f"The restore replaces {' and '.join(found)}.{stays}"

    def check(self, existing: str) -> None:
        """Refuse at once what would be refused after much work.

        Raises:
            TablesExistError: tables are in the way, and may not be replaced.
        """
        for dump_file, tables in self.in_the_way.items():
            if existing == "refuse" and tables and self.layout and (address := self.plan.database(dump_file)):
                raise TablesExistError(
                    f"{address.redacted()} already holds {tables[0]}: load into an empty database, or say with "
                    "--existing-tables replace or backup what becomes of it."
                )

    def decided(self, plan: RestorePlan, existing: str, *, asked: bool) -> RestorePlan:
        """Return the plan with what becomes of existing tables: what nobody was asked about is not replaced."""
        if existing != "ask":
            return replace(plan, existing=POLICIES[existing].value)
        known = self.layout is not None and all(tables is not None for tables in self.in_the_way.values())
        policy = ExistingTables.REPLACE if asked or known else ExistingTables.REFUSE
        return replace(plan, existing=policy.value)


def resolve_source(installation: Installation, options: SourceOptions) -> RestoreSource:
    """Return the archive that a number, a path or an address names; what lies elsewhere is not downloaded yet."""
    source = options.source
    if source.isdigit():
        return source_of_backup(installation, int(source), options.password, options.storage)
    if options.storage:
        raise UsageError("--storage chooses among the copies of a backup: give its number.")
    if source.startswith(("http://", "https://")):
        from backstay.cli.remote_connection import read_secret
        from backstay.client import Client

        word = read_secret(options.secret, options.secret_file)
        with Client(source, word) as client:
            return source_of_server(client, (source, word), options.backup, options.password, options.connections)
    path = Path(source)
    if path.is_file() and path.suffix.lower() == ".sql":
        raise UsageError(
            f"{shown(source)} is a dump and no archive: load it with the database's own client, such as "
            "mariadb, psql or sqlite3."
        )
    if not path.is_file():
        raise NotFoundError(
            f"There is no archive {shown(source)}: give the path of its main file, a backup's number, or an address."
        )
    return RestoreSource(path.resolve(), options.password)


def make_plan(source: RestoreSource, options: RestoreOptions) -> RestorePlan:
    """Return the plan of a restore; to the old place where no other is given.

    Raises:
        UsageError: no place is given and none is known.
    """
    target = options.to
    databases = named_databases(options.databases)
    if target is None:
        if source.root is None:
            raise UsageError("Say where the files go with --to DIR: the archive does not say.")
        target = source.root
        if not databases and source.database:
            databases = {MAIN_DUMP: source.database}
    target = target.absolute()
    remote = source.remote
    return RestorePlan(
        archive=remote.place if remote else str(source.path),
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
        remote=remote,
    )


def preview(plan: RestorePlan, *, in_detail: bool = False) -> Preview:
    """Look what a restore would change; nothing is changed.

    Args:
        plan: of the restore. Of an archive that is not here yet nothing is known: all it could replace is reported.
        in_detail: find out what of the site's configuration would change, too.

    Raises:
        ArchiveError: the archive cannot be read.
        DatabaseError: a database cannot be looked at.
    """
    target = Path(plan.target)
    try:
        occupied = target.is_dir() and any(target.iterdir())
    except PermissionError as error:
        raise UsageError(
            f"{shown(plan.target)} cannot be looked into: run the restore as its owner, or choose another place."
        ) from error
    addresses = {name: address for name in plan.databases if (address := plan.database(name)) is not None}
    if plan.remote is not None and not plan.remote.storage:
        there = {name: _present(address) for name, address in addresses.items()}
        return Preview(plan, occupied, there, files=0, bytes=0, configuration=(), not_restored=())
    at_storage = plan.remote is not None and open_remote(plan.remote, plan.password)
    with at_storage or open_archive(plan.archive, password=plan.password) as archive:
        layout = read_layout(archive)
        in_the_way = {
            database.dump_file: _in_the_way(database, addresses[database.dump_file], plan.only_tables)
            for database in layout.databases
            if database.dump_file in addresses
        }
        wanted = in_detail and plan.files and plan.configuration
        configuration = _configuration(archive, layout, plan) if wanted else ()
        move = find_move(archive, layout, plan) if in_detail else SiteMove()
    return Preview(
        plan=plan,
        occupied=occupied,
        in_the_way=in_the_way,
        files=layout.files if plan.files else 0,
        bytes=layout.size if plan.files else 0,
        configuration=configuration,
        not_restored=tuple(one.dump_file for one in layout.databases if one.dump_file not in plan.databases),
        layout=layout,
        move=move,
    )


def _present(address: DatabaseAddress) -> list[str]:
    present = sorted(present_tables(address))
    # PostgreSQL and SQLite are replaced as a whole.
    return [name for name in present if name.startswith(address.prefix)] if address.kind == "mysql" else present


def _in_the_way(database: ArchivedDatabase, address: DatabaseAddress, only_tables: tuple[str, ...]) -> list[str] | None:
    present = present_tables(address)
    if not present:
        return []
    if address.kind == "sqlite" and not only_tables:
        return sorted(present)
    listed = database.metadata.get("tables")
    kinds = list(listed.values()) if isinstance(listed, dict) else [listed]
    names = [str(name) for kind in kinds if isinstance(kind, list) for name in kind]
    if not names:
        return None
    old = str(database.metadata.get("prefix") or "")
    choice = TableChoice(only_tables, dumped_prefix=old, prefix=address.prefix)
    found = set()
    for name in names:
        schema, dot, bare = name.rpartition(".") if address.kind == "postgresql" else ("", "", name)
        if choice.wants(bare, schema or ("public" if address.kind == "postgresql" else "")):
            found.add(schema + dot + _renamed(bare, old, address))
    return sorted(found & present)


def _renamed(name: str, old: str, address: DatabaseAddress) -> str:
    """Return the name that a table of a dump will have in a database."""
    prefix = address.prefix or old
    if name.startswith("#__"):
        return prefix + name[3:]
    if address.kind == "postgresql" and old and name.startswith(old):
        return prefix + name[len(old) :]
    return name


def _configuration(archive: ArchiveReader, layout: Layout, plan: RestorePlan) -> tuple[Rewritten, ...]:
    """Return what of the site's configuration would change, found out on a copy."""
    with tempfile.TemporaryDirectory(prefix="backstay-") as folder:
        extract_configuration(archive, layout, Path(folder))
        main = next((one for one in layout.databases if one.dump_file == MAIN_DUMP), None)
        address = plan.database(MAIN_DUMP)
        old = str(main.metadata.get("prefix") or "") if main else ""
        root = layout.information.get("root")
        move = Move(
            address,
            ((address.prefix or old) or None) if address else None,
            root if isinstance(root, str) else "",
            plan.target,
            plan.address,
        )
        return tuple(rewrite_configuration(Path(folder), move, on_warning=lambda _message: None))


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


def total(found: Preview) -> str:
    """Return how much a restore would write, for a person."""
    return f"{counted(found.files, 'entry', 'entries')}, {size(found.bytes)}"
