"""What is in a PostgreSQL database, as far as rows go; the definitions are ``pg_dump``'s."""

from __future__ import annotations

from dataclasses import dataclass

from backstay.databases.postgresql.connection import Connection

# Everything that is neither the system's nor an extension's; an extension's own tables come with the extension.
_RELATIONS = """
SELECT c.oid, n.nspname, c.relname, c.relkind::text, greatest(c.reltuples, 0)::bigint, c.relispopulated,
       coalesce((SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute a
                 WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''),
                '{}'::text[]),
       coalesce(c.relkind NOT IN ('r', 'p') OR (has_schema_privilege(n.oid, 'USAGE')
                AND has_table_privilege(c.oid, 'SELECT')), true)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                  AND d.deptype = 'e')
ORDER BY n.nspname, c.relname
"""
# Which materialised view reads from which relations: by its rule.
_NEEDS = """
SELECT DISTINCT r.ev_class, d.refobjid FROM pg_rewrite r
JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
WHERE d.refobjid <> r.ev_class
"""
_ROUTINES = """
SELECT n.nspname || '.' || p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
                  AND d.deptype = 'e')
ORDER BY 1
"""


@dataclass(frozen=True)
class Relation:
    """A table, view or sequence.

    Attributes:
        kind: PostgreSQL's letter: ``r`` table, ``p`` partitioned, ``v`` view, ``m`` materialised, ``S`` sequence,
            ``f`` foreign table.
        rows: estimated.
        columns: those that COPY takes; generated ones are left out.
        readable: whether this account may lock and read a table; always true of what is no table.
    """

    schema: str
    name: str
    kind: str
    rows: int
    populated: bool
    columns: tuple[str, ...]
    oid: int
    readable: bool = True

    @property
    def quoted(self) -> str:
        """Schema and name, quoted for SQL."""
        return qualified(self.schema, self.name)

    @property
    def label(self) -> str:
        """The name for people: with its schema unless that is ``public``."""
        return self.name if self.schema == "public" else f"{self.schema}.{self.name}"

    @property
    def holds_rows(self) -> bool:
        """Whether the relation itself stores rows: a partitioned table leaves that to its partitions."""
        return self.kind == "r"


@dataclass(frozen=True)
class Schema:
    """What a database holds; views come after those they read from."""

    relations: list[Relation]
    large_objects: list[int]
    routines: list[str]


def qualified(schema: str, name: str) -> str:
    """Return a name with its schema, both in quotation marks."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in (schema, name))


def read_schema(connection: Connection) -> Schema:
    """Return what the database of a connection holds."""
    found: dict[int, Relation] = {}
    for oid, schema, name, kind, rows, populated, columns, readable in connection.execute(_RELATIONS.encode()):
        found[oid] = Relation(schema, name, kind, rows, populated, tuple(columns), oid, readable)
    needs: dict[int, set[int]] = {}
    for view, used in connection.execute(_NEEDS.encode()):
        needs.setdefault(view, set()).add(used)
    ordered: dict[int, None] = {}

    def visit(oid: int) -> None:
        if oid in ordered or oid not in found:
            return
        for used in sorted(needs.get(oid, ())):
            visit(used)
        ordered.setdefault(oid)

    for oid in found:
        visit(oid)
    large = [oid for (oid,) in connection.execute("SELECT oid FROM pg_largeobject_metadata ORDER BY oid")]
    routines = [name for (name,) in connection.execute(_ROUTINES.encode())]
    return Schema([found[oid] for oid in ordered], large, routines)
