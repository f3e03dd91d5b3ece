"""Move what stands in the way of a load in a PostgreSQL database aside, and put it back."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import psycopg
from psycopg import sql

from backstay.databases.address import DatabaseAddress
from backstay.databases.model import OnWarning
from backstay.databases.postgresql.connection import Connection, first_line
from backstay.databases.postgresql.definitions import SchemaDump, find_pg_dump
from backstay.databases.postgresql.schema import Relation, read_schema
from backstay.databases.postgresql.statements import StatementReader
from backstay.errors import LoadError

_KINDS = {"v": "VIEW", "m": "MATERIALIZED VIEW", "S": "SEQUENCE", "f": "FOREIGN TABLE"}
# Views that read from relations, directly or through others.
_READERS = """
WITH RECURSIVE reads AS (
  SELECT DISTINCT r.ev_class AS reader, d.refobjid AS source FROM pg_rewrite r
  JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
  WHERE d.refobjid <> r.ev_class
), found AS (
  SELECT reader FROM reads WHERE source = ANY(%s)
  UNION SELECT reads.reader FROM reads JOIN found ON reads.source = found.reader
)
SELECT reader FROM found
"""
_KEYS_TO = """
SELECT c.conrelid::regclass::text, c.conname, pg_get_constraintdef(c.oid) FROM pg_constraint c
WHERE c.contype = 'f' AND c.confrelid = ANY(%s) AND NOT c.conrelid = ANY(%s) AND c.conparentid = 0
"""


def kind_of(relation: Relation) -> str:
    """Return what SQL calls a relation."""
    return _KINDS.get(relation.kind, "TABLE")


def quoted(name: str) -> str:
    """Return a name in quotation marks."""
    return sql.Identifier(name).as_string()


class Displacement:
    """Takes single relations out of the way, while the rest of the database stays as it is.

    Views of others that read from them are made again when the new ones are in place, and so are foreign keys of other
    tables. What else depends on them, such as a rule of another table, is an error.
    """

    def __init__(
        self, address: DatabaseAddress, connection: Connection, relations: Sequence[Relation], on_warning: OnWarning
    ) -> None:
        self._address = address
        self._connection = connection
        self._relations = relations
        self._warn = on_warning
        self._views: list[Relation] = []
        self._definitions = b""
        self._keys: list[tuple[str, str, str]] = []

    def clear(self, move: Callable[[Relation], None] | None) -> None:
        """Drop the relations, or move each as the caller does; first note what depends on them.

        Raises:
            LoadError: something depends on them that cannot be made again.
        """
        oids = [relation.oid for relation in self._relations]
        self._keys = [(str(a), str(b), str(c)) for a, b, c in self._rows(_KEYS_TO, (oids, oids))]
        readers = {row[0] for row in self._rows(_READERS, (oids,))} - set(oids)
        # In the order in which they need each other.
        self._views = [r for r in read_schema(self._connection).relations if r.oid in readers]
        if self._views:
            program = find_pg_dump(self._connection.info.server_version)
            self._definitions = SchemaDump(program, self._address).of(self._views).encode()
        for view in reversed(self._views):
            self._execute(f"DROP {kind_of(view)} {view.quoted}")
        for table, name, _ in self._keys:
            self._execute(f"ALTER TABLE {table} DROP CONSTRAINT {quoted(name)}")
        if move:
            for relation in self._relations:
                move(relation)
            return
        try:
            self._drop()
        except psycopg.errors.DependentObjectsStillExist as error:
            detail = "; ".join((error.diag.message_detail or "").splitlines())
            raise LoadError(
                f"A table cannot be replaced alone: {first_line(error)} ({detail}). Load these too, or everything."
            ) from error

    def _drop(self) -> None:
        for view in reversed([relation for relation in self._relations if relation.kind in "vm"]):
            self._execute(f"DROP {kind_of(view)} {view.quoted}")
        for kind in ("FOREIGN TABLE", "TABLE", "SEQUENCE"):
            found = [relation.quoted for relation in self._relations if kind_of(relation) == kind]
            if found:
                # A sequence or a partition has gone with its table.
                self._execute(f"DROP {kind} IF EXISTS {', '.join(found)}")

    def put_back(self) -> None:
        """Make again what depended on the relations, now that the new ones have their names.

        Raises:
            LoadError: a view or a foreign key does not fit the new relations.
        """
        reader = StatementReader(io.BytesIO(self._definitions))
        try:
            for statement in reader.statements():
                self._connection.execute(statement.text)
            self._execute("RESET search_path")
            for view in self._views:
                if view.kind == "m" and view.populated:
                    self._execute(f"REFRESH MATERIALIZED VIEW {view.quoted}")
            for table, name, definition in self._keys:
                add_foreign_key(
                    self._connection,
                    f"ALTER TABLE {table} ADD CONSTRAINT {quoted(name)} {definition}".encode(),
                    self._warn,
                )
        except psycopg.Error as error:
            raise LoadError(
                f"What was in the database and is not loaded does not fit what is: {first_line(error)}. "
                "Load the views and tables that depend on the chosen ones too, or everything."
            ) from error

    def _rows(self, query: str, values: Iterable[Any]) -> list[tuple[Any, ...]]:
        return self._connection.execute(query.encode(), tuple(values)).fetchall()

    def _execute(self, text: str) -> None:
        self._connection.execute(text.encode())


def add_foreign_key(connection: Connection, statement: bytes, on_warning: OnWarning) -> None:
    """Add a foreign key; where rows refer to what is not there, for rows to come only, with a warning."""
    try:
        with connection.transaction():
            connection.execute(statement)
    except psycopg.errors.ForeignKeyViolation as error:
        connection.execute(statement + b" NOT VALID")
        on_warning(f"Rows refer to rows that are not in the database: {first_line(error)}.")
