"""Definitions of tables that an account may not read, from the catalogs.

``pg_dump`` locks every table it writes, and fails for the whole database where it may not lock one. The catalogs show
everybody how a table is made: its columns, defaults, constraints, indexes and place among partitions. Rights, comments,
triggers and policies of such a table are not written.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass

from backstay.databases.postgresql.connection import Connection
from backstay.databases.postgresql.schema import Relation
from backstay.databases.postgresql.selection import about
from backstay.databases.postgresql.statements import StatementReader

_COLUMNS = """
SELECT quote_ident(a.attname), format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity::text,
       a.attgenerated::text, pg_get_expr(d.adbin, d.adrelid),
       CASE WHEN a.attcollation NOT IN (0, t.typcollation)
            THEN quote_ident(cn.nspname) || '.' || quote_ident(co.collname) END
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
LEFT JOIN pg_collation co ON co.oid = a.attcollation LEFT JOIN pg_namespace cn ON cn.oid = co.collnamespace
WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
_TABLE = """
SELECT CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END, c.relpersistence = 'u',
       pg_get_expr(c.relpartbound, c.oid), quote_ident(n.nspname) || '.' || quote_ident(p.relname)
FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid AND c.relispartition
LEFT JOIN pg_class p ON p.oid = i.inhparent LEFT JOIN pg_namespace n ON n.oid = p.relnamespace
WHERE c.oid = %s
"""
_CONSTRAINTS = """
SELECT quote_ident(conname), pg_get_constraintdef(oid), contype = 'f' FROM pg_constraint
WHERE conrelid = %s AND contype IN ('p', 'u', 'x', 'c', 'f') AND conislocal AND conparentid = 0
ORDER BY contype = 'f', contype = 'c', conname
"""
_INDEXES = """
SELECT pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid = %s AND NOT c.relispartition
  AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.conrelid = i.indrelid)
ORDER BY 1
"""
_IDENTITIES = {"a": "ALWAYS", "d": "BY DEFAULT"}


@dataclass(frozen=True, slots=True)
class TableDefinition:
    """How a table is made.

    Attributes:
        drop: removes it.
        create: makes it with its columns.
        complete: gives it what needs other objects: defaults, its place among partitions.
        after_rows: its constraints and indexes.
        foreign_keys: its foreign keys, which need the keys of other tables.
    """

    drop: str
    create: str
    complete: tuple[str, ...]
    after_rows: tuple[str, ...]
    foreign_keys: tuple[str, ...]


def definition_of(connection: Connection, relation: Relation) -> TableDefinition:
    """Return how a table is made.

    Args:
        connection: with an empty search path, so that all names come back with their schemas.
        relation: a table or a partitioned table.
    """
    found = connection.execute(_TABLE.encode(), (relation.oid,)).fetchone()
    partitioned, unlogged, bounds, parent = found or (None, False, None, None)
    columns, complete = [], []
    for name, kind, required, identity, generated, expression, collation in connection.execute(
        _COLUMNS.encode(), (relation.oid,)
    ):
        text = f"    {name} {kind}"
        text += f" COLLATE {collation}" if collation else ""
        text += (
            f" GENERATED ALWAYS AS ({expression}) {'VIRTUAL' if generated == 'v' else 'STORED'}" if generated else ""
        )
        # A partition has its identity column by its parent, and is not attached with one of its own.
        text += f" GENERATED {_IDENTITIES[identity]} AS IDENTITY" if identity and not parent else ""
        columns.append(text + (" NOT NULL" if required else ""))
        if expression and not generated:
            complete.append(f"ALTER TABLE ONLY {relation.quoted} ALTER COLUMN {name} SET DEFAULT {expression};\n")
    if parent:
        complete.append(f"ALTER TABLE ONLY {parent} ATTACH PARTITION {relation.quoted} {bounds};\n")
    keys: dict[bool, list[str]] = {False: [], True: []}
    for name, text, is_foreign in connection.execute(_CONSTRAINTS.encode(), (relation.oid,)):
        only = "" if relation.kind == "p" else "ONLY "
        keys[is_foreign].append(f"ALTER TABLE {only}{relation.quoted} ADD CONSTRAINT {name} {text};\n")
    indexes = [f"{text};\n" for (text,) in connection.execute(_INDEXES.encode(), (relation.oid,))]
    head = f"CREATE {'UNLOGGED ' if unlogged else ''}TABLE {relation.quoted} (\n" + ",\n".join(columns) + "\n)"
    tail = f"\nPARTITION BY {partitioned};\n" if partitioned else ";\n"
    return TableDefinition(
        f"DROP TABLE IF EXISTS {relation.quoted}",
        head + tail,
        tuple(complete),
        (*keys[False], *indexes),
        tuple(keys[True]),
    )


def with_tables(before_rows: str, definitions: Iterable[TableDefinition]) -> str:
    """Return the definitions that rows need with those of more tables: behind all types, before all views."""
    definitions = list(definitions)
    text = before_rows.encode()
    place = len(text)
    for statement in StatementReader(io.BytesIO(text)).statements():
        if about(statement.text).form == "makes":
            place = statement.offset
            break
    creates = "".join(definition.create for definition in definitions).encode()
    completes = "".join("".join(definition.complete) for definition in definitions)
    return (text[:place] + creates + text[place:]).decode() + completes
