"""What the plan of a restore would change; nothing is changed to find out."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from backstay.archives import ArchiveReader
from backstay.databases import DatabaseAddress, ExistingTables, TableChoice
from backstay.errors import TablesExistError, UsageError
from backstay.jobs.installation import Installation
from backstay.jobs.restore_difference import Difference, compare_with_folder
from backstay.jobs.restore_plan import POLICIES
from backstay.jobs.restore_sources import plan_opener
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
class Space:
    """What a restore needs on one disk.

    Attributes:
        folder: on the disk.
        needed: bytes: until it is confirmed, what is new lies beside what it replaces.
        free: bytes.
    """

    folder: str
    needed: int
    free: int


@dataclass(frozen=True, slots=True)
class Preview:
    """What a restore would change.

    Attributes:
        plan: the restore, without databases of the site that the archive holds no dump of.
        occupied: the target holds something.
        in_the_way: dump file → tables that would be replaced; None: not known before the dump is read.
        files: entries that would be written.
        bytes: bytes of their content.
        configuration: files of the site's configuration that would change.
        not_restored: dumps for which no database is given.
        move: what would be replaced of a site that moves.
        layout: of the archive; None where it is not here yet, and nothing of it is known.
        difference: what becomes of the target's files; None where that was not asked for, or is not known.
        space: what the restore needs on disks, and what is free there.
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
    difference: Difference | None = None
    space: tuple[Space, ...] = ()

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
        return f"The restore replaces {' and '.join(found)}. {self.not_loaded()}".rstrip()

    def not_loaded(self) -> str:
        """Return a sentence that names the dumps that are not loaded; empty where all are."""
        # Old files beside a database of today are seldom what is meant.
        left = ", ".join(self.not_restored)
        return f"It does not load {left}: no database is given for it." if left else ""

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

    def decided(self, existing: str, *, asked: bool) -> RestorePlan:
        """Return the plan with what becomes of existing tables: what nobody was asked about is not replaced."""
        if existing != "ask":
            return replace(self.plan, existing=POLICIES[existing].value)
        known = self.layout is not None and all(tables is not None for tables in self.in_the_way.values())
        policy = ExistingTables.REPLACE if asked or known else ExistingTables.REFUSE
        return replace(self.plan, existing=policy.value)


def preview(installation: Installation, plan: RestorePlan, *, in_detail: bool = False) -> Preview:
    """Look what a restore would change; nothing is changed.

    Args:
        installation: that does it.
        plan: of the restore. Of an archive that is not here yet nothing is known: all it could replace is reported.
        in_detail: find out what of the site's files and of its configuration would change, too, and what space is
            needed in the home for an archive that lies elsewhere.

    Raises:
        ArchiveError: the archive cannot be read.
        DatabaseError: a database cannot be looked at.
    """
    target = Path(plan.target)
    home = installation.home.path if in_detail else None
    try:
        occupied = target.is_dir() and any(target.iterdir())
    except PermissionError as error:
        raise UsageError(
            f"{plan.target} cannot be looked into: run the restore as its owner, or choose another place."
        ) from error
    if plan.remote is not None and not plan.remote.storage:
        addresses = _addresses(plan)
        there = {name: _present(address) for name, address in addresses.items()}
        space = _space(plan, 0, home)
        return Preview(plan, occupied, there, 0, 0, configuration=(), not_restored=(), space=space)
    with plan_opener(installation, plan)() as archive:
        layout = read_layout(archive)
        if plan.own_database:
            held = {one.dump_file for one in layout.databases}
            plan = replace(plan, databases={name: url for name, url in plan.databases.items() if name in held})
        addresses = _addresses(plan)
        in_the_way = {
            database.dump_file: _in_the_way(database, addresses[database.dump_file], plan.only_tables)
            for database in layout.databases
            if database.dump_file in addresses
        }
        wanted = in_detail and plan.files and plan.configuration
        configuration = _configuration(archive, layout, plan) if wanted else ()
        move = find_move(archive, layout, plan) if in_detail else SiteMove()
        difference = compare_with_folder(archive, layout, plan) if in_detail else None
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
        difference=difference,
        space=_space(plan, _coming(layout, plan, difference), home),
    )


def _coming(layout: Layout, plan: RestorePlan, difference: Difference | None) -> int:
    """Return how many bytes of files come in."""
    if not plan.files:
        return 0
    if difference is None or not difference.is_whole:
        return layout.size
    return sum(group.bytes for group in (difference.added, difference.replaced, difference.same))


def _space(plan: RestorePlan, coming: int, home: Path | None) -> tuple[Space, ...]:
    needs = [(Path(plan.target), coming)] if coming else []
    needs += [(home, plan.remote.size)] if home is not None and plan.remote is not None and plan.remote.size else []
    found = []
    for folder, needed in needs:
        there = next((one for one in (folder, *folder.parents) if one.exists()), Path("/"))
        found.append(Space(str(there), needed, shutil.disk_usage(there).free))
    return tuple(found)


def _addresses(plan: RestorePlan) -> dict[str, DatabaseAddress]:
    return {name: address for name in plan.databases if (address := plan.database(name)) is not None}


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
