"""Put a staged load in place of what was there, take it back, and clear up: each step may be repeated.

The tables change places in one RENAME. Names that belong to the whole database (of foreign keys, triggers, views,
routines) cannot stand beside the old ones: what bears them is made right after, rehearsed before under other names.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress

import pymysql

from backstay.databases.address import DatabaseAddress
from backstay.databases.filters import STAGING_NAME
from backstay.databases.model import DumpOptions, ExistingTables, OnWarning, SkippedObject
from backstay.databases.mysql.connection import Connection, code_of, connect, is_lost, message_of, reported_as
from backstay.databases.mysql.definitions import LOAD_COLLATION, Definitions, Session
from backstay.databases.mysql.naming import LONGEST_NAME, Naming
from backstay.databases.mysql.reading import without_foreign_keys
from backstay.databases.mysql.schema import in_order, read_schema
from backstay.databases.mysql.staged import Constraint, StagedEntity, StagedLoad, sql_text
from backstay.databases.mysql.tokens import Dialect, Place, map_identifiers, quote, quote_string, tokens
from backstay.databases.skipped import Refusals
from backstay.errors import LoadError, TablesExistError

# No such key; MySQL 8's word for other constraints.
_NO_SUCH_CONSTRAINT = frozenset({1091, 3940})
_CHECK = re.compile(r"CONSTRAINT `(?:[^`]|``)+` CHECK\b")
_AFTER_VIEWS = frozenset({"TRIGGER", "EVENT"})
_PATIENCE_SECONDS = 600
_NAMED_BY_SERVER = re.compile(r"_ibfk_\d+\Z|_chk_\d+\Z")


class Names:
    """The names of the tables and views in a database, compared as the server compares them."""

    def __init__(self, names: Iterable[str], *, fold: bool) -> None:
        self._fold = fold
        self._names = {name.casefold() if fold else name for name in names}

    def has(self, name: str) -> bool:
        """Whether a table or view has this name."""
        return (name.casefold() if self._fold else name) in self._names


def existing_tables(connection: Connection) -> Names:
    """Return the names of the tables, views and sequences in a connection's database."""
    listed = connection.rows("SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()")
    fold = int(connection.value("SELECT @@lower_case_table_names")) != 0
    return Names((row["table_name"] for row in listed), fold=fold)


def drop_leftovers(connection: Connection) -> None:
    """Drop what an earlier load left under temporary names without coming to its swap; old tables are never touched."""
    listed = connection.rows("SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()")
    for row in listed:
        if STAGING_NAME.match(row["table_name"]) and "_new_" in row["table_name"]:
            connection.execute(f"DROP TABLE IF EXISTS {quote(row['table_name'])}")


def lock_database(connection: Connection) -> None:
    """Wait until no other connection loads into this database; the connection keeps others out until it is closed.

    A process that was killed counts too: the server goes on with its last statement, and tables would move behind the
    back of whoever looks where they are.

    Raises:
        LoadError: another load went on for too long.
    """
    lock = "CONCAT('backstay ', MD5(DATABASE()))"
    if connection.value(f"SELECT GET_LOCK({lock}, {_PATIENCE_SECONDS})") != 1:
        raise LoadError("Another load into this database is running: wait for its end, and try again.")


def plan(connection: Connection, staged: StagedLoad, prefix: str, on_warning: OnWarning) -> None:
    """Note in a staged load how what it replaces is defined, and the names that backups get."""
    taken: set[str] = set()
    for index, table in enumerate(staged.tables):
        if table.replaces and staged.policy is ExistingTables.BACK_UP:
            staged.tables[index] = dataclasses.replace(table, backup=_backup_name(table.name, prefix, taken))
    schema = read_schema(connection, entities=True)
    replaced = {table.name for table in staged.tables if table.replaces}
    made = {(entity.kind, entity.name) for entity in staged.entities}
    naming = Naming("", connection.value("SELECT DATABASE()"), schema.names, enabled=False)
    definitions = Definitions(naming, DumpOptions(definer=True))
    on_tables = {
        row["name"]: row["at"]
        for row in connection.rows(
            "SELECT trigger_name AS name, event_object_table AS at FROM information_schema.triggers "
            "WHERE trigger_schema = DATABASE()"
        )
    }
    views = {
        name: definitions.view(connection, name)
        for name in schema.views
        if name in replaced or any(n == name for _, n in made)
    }
    others: dict[str, list[StagedEntity]] = {}
    for kind, names in schema.entities.items():
        for name in names:
            at = on_tables.get(name, "")
            if not (at in replaced or (kind, name) in made):
                continue
            definition = definitions.entity(connection, kind, name)
            if definition.text is None:
                on_warning(f"The {kind.lower()} {name} is replaced; this user may not see how it was defined.")
                continue
            entity = StagedEntity(kind, name, definition.text, definition.session, at)
            others.setdefault("last" if kind in _AFTER_VIEWS else "first", []).append(entity)
    # In the order in which they can be made again: each view after those it reads from.
    staged.previous_entities += others.get("first", [])
    for name in in_order(views, {name: definition.uses for name, definition in views.items()}):
        staged.previous_entities.append(StagedEntity("VIEW", name, views[name].text or "", views[name].session))
    staged.previous_entities += others.get("last", [])
    if staged.policy is ExistingTables.REFUSE and staged.previous_entities:
        first = ", ".join(entity.name for entity in staged.previous_entities[:5])
        raise TablesExistError(
            f"The database already holds {first}: load into an empty database, or say that it may be replaced."
        )
    # A view may be replaced by a table.
    replaced &= {table.name for table in schema.tables}
    staged.previous_constraints += _constraints_about(connection, replaced)


def _backup_name(name: str, prefix: str, taken: set[str]) -> str:
    first = backup = f"bak_{name.removeprefix(prefix)}"[:LONGEST_NAME]
    number = 1
    while backup in taken:
        number += 1
        backup = f"{first[: LONGEST_NAME - 8]}_{number}"
    taken.add(backup)
    return backup


def _constraints_about(connection: Connection, tables: set[str]) -> list[Constraint]:
    """Return the foreign keys of tables, and those by which others refer to them; in MySQL their CHECKs as well.

    The names of all these belong to the whole database, so that the new tables' cannot stand beside them.
    """
    listed = connection.rows(
        "SELECT DISTINCT table_name FROM information_schema.key_column_usage "
        "WHERE table_schema = DATABASE() AND referenced_table_schema = DATABASE()"
    )
    referring = {row["table_name"] for row in listed}
    found = []
    checks = not connection.is_mariadb
    for table in sorted(referring | tables if checks else referring):
        created = str(connection.rows(f"SHOW CREATE TABLE {quote(table)}")[0]["create table"])
        for clause in without_foreign_keys(created, checks=checks)[1]:
            names = [token.name for token in tokens(clause) if token.kind == "identifier" and token.text[0] == "`"]
            if _CHECK.match(clause):
                if table in tables:
                    found.append(Constraint(table, names[0], clause))
                continue
            words = [token.text.upper() for token in tokens(clause) if token.kind == "identifier"]
            after = words.index("REFERENCES") + 1
            referred = [token for token in tokens(clause) if token.kind == "identifier"][after].name
            if table in tables or referred in tables:
                found.append(Constraint(table, names[0], clause))
    return found


@contextmanager
def _connected(address: DatabaseAddress, doing: str) -> Iterator[Connection]:
    with closing(connect(address)) as connection, reported_as(address, LoadError, doing):
        lock_database(connection)
        connection.execute(f"SET NAMES utf8mb4 COLLATE {LOAD_COLLATION}")
        connection.execute("SET SESSION foreign_key_checks = 0, unique_checks = 0")
        connection.set_where_known("system_versioning_alter_history", "KEEP")
        # MySQL 8.4 refuses foreign keys that refer to what is not unique, which its older servers made.
        connection.set_where_known("restrict_fk_on_non_standard_key", 0)
        yield connection


def rehearse(connection: Connection, staged: StagedLoad, refusals: Refusals) -> None:
    """Make every view, routine and trigger once, under temporary names, so that the swap meets no surprise.

    What the server refuses is taken out of the load with a warning, and its statement is kept.
    """
    names = {table.name: table.new for table in staged.tables}
    for number, entity in enumerate(staged.entities, start=1):
        names.setdefault(entity.name, f"backstay_{staged.run}_new_e{number}")
    made: list[tuple[str, str]] = []
    kept: list[StagedEntity] = []
    try:
        for entity in staged.entities:
            if entity.kind in {"EVENT", "TABLE", "PACKAGE", "PACKAGE BODY"}:
                kept.append(entity)
                continue
            temporary = names[entity.name]
            if entity.kind == "TRIGGER":
                temporary = f"backstay_{staged.run}_new_t{len(made)}"
            statement = _renamed(entity, {**names, entity.name: temporary})
            try:
                _set_session(connection, entity.session.of(entity.statement))
                connection.execute(statement)
            except pymysql.err.Error as error:
                if is_lost(error):
                    raise
                refusals.add(
                    _refused(entity, error, {new: own for own, new in {**names, entity.name: temporary}.items()})
                )
                continue
            made.append((entity.kind, temporary))
            kept.append(entity)
    finally:
        with suppress(pymysql.err.Error):
            _set_session(connection, Session())
            for kind, name in reversed(made):
                connection.execute(f"DROP {kind} IF EXISTS {quote(name)}")
    staged.entities[:] = kept


def _refused(entity: StagedEntity, error: pymysql.err.Error, own_names: Mapping[str, str]) -> SkippedObject:
    reason = message_of(error)
    for temporary in sorted(own_names, key=len, reverse=True):
        reason = reason.replace(temporary, own_names[temporary])
    return SkippedObject(entity.kind.lower(), entity.name, reason, sql_text(entity))


def _renamed(entity: StagedEntity, names: dict[str, str]) -> str:
    is_view = entity.kind == "VIEW"

    def change(name: str, place: Place) -> str:
        if place.qualifier is not None or (is_view and place.previous == "AS"):
            return name
        return names.get(name, name)

    return map_identifiers(entity.statement, change, Dialect.of_mode(entity.session.sql_mode))


def _set_session(connection: Connection, session: Session) -> None:
    connection.execute(
        f"SET SESSION sql_mode = {quote_string(session.sql_mode)}, "
        f"character_set_client = {quote_string(session.charset)}, "
        f"collation_connection = {quote_string(session.collation)}, time_zone = {quote_string(session.time_zone)}"
    )


def swap(address: DatabaseAddress, staged: StagedLoad, refusals: Refusals) -> None:
    """Put a staged load in place; the old tables stay under their temporary names.

    Raises:
        DatabaseConnectionError: the server cannot be reached or went away; the call may be repeated.
        LoadError: the server refused a step; the load may be undone.
    """
    with _connected(address, "the new tables were put in place") as connection:
        for entity in staged.previous_entities:
            if entity.kind in {"TRIGGER", "VIEW"}:
                connection.execute(f"DROP {entity.kind} IF EXISTS {quote(entity.name)}")
        _rename(connection, _forward(connection, staged))
        _drop_constraints(connection, staged, [(table.old, table.name) for table in staged.tables if table.replaces])
        _add_constraints(connection, staged.constraints)
        mine = {table.name for table in staged.tables}
        _renew_constraints(connection, [c for c in staged.previous_constraints if c.table not in mine])
        for entity in staged.entities:
            _make(connection, entity, refusals)


def undo(address: DatabaseAddress, staged: StagedLoad, refusals: Refusals) -> None:
    """Take a swap back, wherever it stopped: the old tables stand in their places, the new ones are dropped."""
    with _connected(address, "the old tables were put back") as connection:
        for entity in staged.entities:
            if entity.kind != "TABLE":
                connection.execute(f"DROP {entity.kind} IF EXISTS {quote(entity.name)}")
        _rename(connection, _backward(connection, staged))
        _drop_new(connection, staged)
        mine = {table.name for table in staged.tables}
        _add_constraints(connection, [c for c in staged.previous_constraints if c.table in mine])
        _renew_constraints(connection, [c for c in staged.previous_constraints if c.table not in mine])
        for entity in staged.previous_entities:
            _make(connection, entity, refusals)


def finish(address: DatabaseAddress, staged: StagedLoad) -> None:
    """Drop the old tables, or give them the names under which they are kept as backups. There is no way back."""
    with _connected(address, "the old tables were cleared away") as connection:
        present = existing_tables(connection)
        for table in staged.tables:
            if not table.replaces or not present.has(table.old):
                continue
            if not table.backup:
                connection.execute(f"DROP TABLE IF EXISTS {quote(table.old)}")
                continue
            connection.execute(f"DROP TABLE IF EXISTS {quote(table.backup)}")
            connection.execute(f"RENAME TABLE {quote(table.old)} TO {quote(table.backup)}")


def discard(address: DatabaseAddress, staged: StagedLoad) -> None:
    """Drop what was staged and not swapped in."""
    with _connected(address, "the temporary tables were dropped") as connection:
        _drop_new(connection, staged)


def _drop_new(connection: Connection, staged: StagedLoad) -> None:
    for table in staged.tables:
        if table.new != table.name or not table.replaces:
            if table.new == table.name and _kind_of(connection, table.name) != "SEQUENCE":
                continue
            connection.execute(f"DROP TABLE IF EXISTS {quote(table.new)}")


def _kind_of(connection: Connection, name: str) -> str:
    """Return what has a name: ``BASE TABLE``, ``VIEW``, ``SEQUENCE`` …; empty if nothing has."""
    listed = connection.rows(
        "SELECT table_type AS kind FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = %s",
        name,
    )
    return str(listed[0]["kind"]) if listed else ""


def _forward(connection: Connection, staged: StagedLoad) -> list[tuple[str, str]]:
    present = existing_tables(connection)
    steps = []
    for table in staged.tables:
        if table.new == table.name or not present.has(table.new):
            continue
        if present.has(table.name) and not present.has(table.old):
            steps.append((table.name, table.old))
        steps.append((table.new, table.name))
    return steps


def _backward(connection: Connection, staged: StagedLoad) -> list[tuple[str, str]]:
    present = existing_tables(connection)
    views = {entity.name for entity in staged.previous_entities if entity.kind == "VIEW"}
    steps = []
    for table in staged.tables:
        if table.name in views:
            # Nothing was moved away for it: the view was dropped, and is made again.
            if not present.has(table.new) and _kind_of(connection, table.name) not in {"", "VIEW"}:
                steps.append((table.name, table.new))
            continue
        if table.new == table.name or (table.replaces and not present.has(table.old) and not present.has(table.new)):
            continue  # never moved, or back in its place already
        if present.has(table.name) and not present.has(table.new):
            steps.append((table.name, table.new))
        if present.has(table.old):
            steps.append((table.old, table.name))
    return steps


def _rename(connection: Connection, steps: list[tuple[str, str]]) -> None:
    if steps:
        connection.execute("RENAME TABLE " + ", ".join(f"{quote(old)} TO {quote(new)}" for old, new in steps))


def _drop_constraints(connection: Connection, staged: StagedLoad, tables: list[tuple[str, str]]) -> None:
    """Drop the constraints of tables that were moved away, for their names are the database's."""
    moved = {name: old for old, name in tables}
    for constraint in staged.previous_constraints:
        if constraint.table in moved:
            _drop_constraint(connection, moved[constraint.table], constraint)


def _drop_constraint(connection: Connection, table: str, constraint: Constraint) -> None:
    name = constraint.name
    if _NAMED_BY_SERVER.search(name) and name.startswith(constraint.table):
        # Names that the server made follow the table's.
        name = table + name[len(constraint.table) :]
    kind = "CONSTRAINT" if _CHECK.match(constraint.clause) else "FOREIGN KEY"
    for attempt in dict.fromkeys((name, constraint.name)):
        try:
            connection.execute(f"ALTER TABLE {quote(table)} DROP {kind} {quote(attempt)}")
        except pymysql.err.Error as error:
            if code_of(error) not in _NO_SUCH_CONSTRAINT:
                raise


def _add_constraints(connection: Connection, constraints: Iterable[Constraint]) -> None:
    by_table: dict[str, list[Constraint]] = {}
    for constraint in constraints:
        by_table.setdefault(constraint.table, []).append(constraint)
    for table, wanted in by_table.items():
        created = str(connection.rows(f"SHOW CREATE TABLE {quote(table)}")[0]["create table"])
        missing = [c.clause for c in wanted if not c.name or f"CONSTRAINT {quote(c.name)} " not in created]
        if missing:
            connection.execute(f"ALTER TABLE {quote(table)} " + ", ".join(f"ADD {clause}" for clause in missing))


def _renew_constraints(connection: Connection, constraints: Iterable[Constraint]) -> None:
    """Point foreign keys of other tables at the tables that now have the names they refer to."""
    for constraint in constraints:
        _drop_constraint(connection, constraint.table, constraint)
        _add_constraints(connection, [constraint])


def _make(connection: Connection, entity: StagedEntity, refusals: Refusals) -> None:
    if entity.kind == "TABLE":
        if existing_tables(connection).has(entity.name):
            return
    else:
        connection.execute(f"DROP {entity.kind} IF EXISTS {quote(entity.name)}")
    try:
        _set_session(connection, entity.session.of(entity.statement))
        connection.execute(entity.statement)
    except pymysql.err.Error as error:
        if is_lost(error):
            raise
        refusals.add(_refused(entity, error, {}))
    finally:
        _set_session(connection, Session())
