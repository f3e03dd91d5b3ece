"""MySQL and MariaDB: tables under temporary names, one RENAME, and what belongs to the whole database right after."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from typing import Any

from backstay.databases import DatabaseAddress, ExistingTables, LoadProgress, LoadSummary
from backstay.databases.mysql.connection import Connection, connect, reported_as
from backstay.databases.mysql.load import Staging
from backstay.databases.mysql.schema import in_order
from backstay.databases.mysql.staged import StagedEntity, StagedLoad, StagedTable
from backstay.databases.mysql.swap import drop_leftovers, finish, lock_database, swap, undo
from backstay.databases.mysql.tokens import identifiers, quote
from backstay.databases.skipped import Refusals
from backstay.errors import LoadError
from backstay.restore.databases.stage import StageRequest, present_tables
from backstay.restore.replacement.mysql import replace_in_tables

# Rows of WordPress whose names carry the prefix: table and column (WordPress, options and user meta).
_NAMED_BY_PREFIX = (("options", "option_name", ("user_roles",)), ("usermeta", "meta_key", ()))


class MySQLStage:
    """One MySQL or MariaDB database that is restored; see ``Stage``."""

    def __init__(
        self, address: DatabaseAddress, policy: ExistingTables, refused_file: Path, state: dict[str, Any] | None = None
    ) -> None:
        self._address = address
        self._policy = policy
        self._staged = StagedLoad.from_json(state["staged"]) if state else None
        self._refused_file = refused_file
        self.refused: list[str] = list(state.get("refused", ())) if state else []
        self.replaced: dict[str, int] = dict(state["replaced"]) if state else {}

    @property
    def replaces(self) -> bool:
        """Whether anything that was there is replaced."""
        staged = self._staged
        return staged is not None and (any(t.replaces for t in staged.tables) or bool(staged.previous_entities))

    def stage(self, request: StageRequest) -> Generator[LoadProgress, None, LoadSummary]:
        """Load under temporary names beside what the database holds."""
        refusals = Refusals(request.on_warning, self._refused_file)
        staging = Staging(
            self._address, request.metadata, self._policy, request.on_warning, refusals, only_tables=request.only_tables
        )
        try:
            yield from staging.run(request.parts)
            self._staged = staging.staged
            # What stood there is made again in the order in which it needs each other.
            self._staged.previous_entities[:] = _in_order(self._staged.previous_entities)
            self._change_rows(request)
        except BaseException:
            staging.discard()
            self._staged = None
            raise
        self.refused = refusals.warnings
        return staging.summary()

    def _change_rows(self, request: StageRequest) -> None:
        tables = {table.new: table.name for table in self._known().tables}
        if request.renamed_prefix:
            doing = "the prefix in WordPress's own rows was changed"
            with closing(connect(self._address)) as connection, reported_as(self._address, LoadError, doing):
                self.replaced |= _rename_rows(connection, tables, *request.renamed_prefix)
        if request.replacer:
            self.replaced |= replace_in_tables(self._address, tables, request.replacer, on_warning=request.on_warning)

    def to_json(self) -> dict[str, Any]:
        """Return what is staged."""
        return {"staged": self._known().to_json(), "replaced": self.replaced, "refused": self.refused}

    def is_intact(self) -> bool:
        """Return whether every temporary table is still there."""
        return {table.new for table in self._known().tables} <= present_tables(self._address)

    def swap(self, on_warning: Callable[[str], None]) -> None:
        """Rename old tables away and new ones in, in one statement; then make keys, triggers, views and routines."""
        refusals = Refusals(on_warning, self._refused_file)
        swap(self._address, self._known(), refusals)
        self.refused += refusals.warnings

    def undo(self, on_warning: Callable[[str], None]) -> None:
        """Rename back what was renamed away; drop what came in."""
        if self._staged is None:
            self.discard()
            return
        doing = "the old tables were looked for"
        with closing(connect(self._address)) as connection, reported_as(self._address, LoadError, doing):
            lock_database(connection)
            present = present_tables(self._address)
        out = [table for table in self._staged.tables if not _is_back(table, present)]
        undo(self._address, dataclasses.replace(self._staged, tables=out), Refusals(on_warning, self._refused_file))

    def finish(self) -> None:
        """Drop the tables that were renamed away, or keep them as backups."""
        finish(self._address, self._known())

    def discard(self) -> None:
        """Drop every temporary table of a load that was not swapped in; of this database, whoever began it."""
        doing = "the temporary tables were dropped"
        with closing(connect(self._address)) as connection, reported_as(self._address, LoadError, doing):
            lock_database(connection)
            connection.execute("SET SESSION foreign_key_checks = 0")
            drop_leftovers(connection)

    def _known(self) -> StagedLoad:
        if self._staged is None:
            raise LoadError("Nothing is staged for the database: this is an error of Backstay, please report it.")
        return self._staged


def _in_order(entities: list[StagedEntity]) -> list[StagedEntity]:
    """Return entities so that each comes after what it reads from: routines, views, triggers, events."""
    views = {entity.name: entity for entity in entities if entity.kind == "VIEW"}
    needs = {name: identifiers(entity.statement) - {name} for name, entity in views.items()}
    routines = [entity for entity in entities if entity.kind not in {"VIEW", "TRIGGER", "EVENT"}]
    others = [entity for entity in entities if entity.kind in {"TRIGGER", "EVENT"}]
    return [*routines, *(views[name] for name in in_order(views, needs)), *others]


def _is_back(table: StagedTable, present: set[str]) -> bool:
    """Return whether an earlier, interrupted undo has put a table back already: then its name must not be touched."""
    return table.replaces and table.old not in present and table.new not in present


def _rename_rows(connection: Connection, tables: dict[str, str], old: str, new: str) -> dict[str, int]:
    """Give WordPress's rows that are named by the prefix the new one.

    Args:
        connection: to the database.
        tables: name in the database → name it will have.
        old: the prefix in the dump.
        new: the prefix that the tables have here.

    Returns:
        ``table.column`` → rows changed.
    """
    changed = {}
    for temporary, name in tables.items():
        for ending, column, only in _NAMED_BY_PREFIX:
            # A network has such tables for each of its sites: wp_2_options holds wp_2_user_roles.
            base = name.removesuffix(ending)
            if base == name or not base.startswith(new) or (base != new and not base[len(new) :].strip("_").isdigit()):
                continue
            before = old + base[len(new) :]
            length = len(before)
            found = f"LEFT({quote(column)}, {length}) = {connection.escape(before)}"
            if only:
                listed = ", ".join(str(connection.escape(before + one)) for one in only)
                found = f"{quote(column)} IN ({listed})"
            count = connection.execute(
                f"UPDATE {quote(temporary)} SET {quote(column)} = "  # noqa: S608 - quoted names and values
                f"CONCAT({connection.escape(base)}, SUBSTRING({quote(column)}, {length + 1})) WHERE {found}"
            )
            if count:
                changed[f"{name}.{column}"] = count
    return changed
