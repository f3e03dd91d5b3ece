"""Load a dump into PostgreSQL in one transaction: all of it or nothing, and what was there stays until the end."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import psycopg

from backstay.databases.address import DatabaseAddress
from backstay.databases.choice import TableChoice
from backstay.databases.metadata import own_facts
from backstay.databases.model import ExistingTables, Json, LoadProgress, LoadSummary, OnWarning, Part
from backstay.databases.postgresql.connection import (
    Connection,
    connect,
    first_line,
    is_lost,
    reported_as,
)
from backstay.databases.postgresql.displacement import Displacement, add_foreign_key, kind_of, quoted
from backstay.databases.postgresql.execution import Execution
from backstay.databases.postgresql.optional import (
    is_required,
    is_subscription,
    refused_object,
)
from backstay.databases.postgresql.schema import Relation, read_schema
from backstay.databases.postgresql.selection import Decision, Key, Selection
from backstay.databases.postgresql.statements import Statement, StatementReader
from backstay.databases.skipped import Refusals
from backstay.errors import DatabaseConnectionError, LoadError, TablesExistError

# What a dump consists of: nothing else is executed, for an archive may come from anywhere.
_ALLOWED = re.compile(
    rb"(?:SET\s|SELECT\s+pg_catalog\.(?:set_config|setval|lo_create|lo_put)\(|CREATE\s|ALTER\s|COMMENT\s+ON\s|GRANT\s|REVOKE\s"
    rb"|COPY\s(?:[^;\"]|\"[^\"]*\")*\sFROM\s+stdin\s*\Z|REFRESH\s+MATERIALIZED\s+VIEW\s|SECURITY\s+LABEL\s|DROP\s[^;]*\sIF\s+EXISTS\s"
    rb"|ALTER\s+TABLE\s+IF\s+EXISTS\s)",
    re.IGNORECASE,
)
_FORBIDDEN = re.compile(
    rb"(?:CREATE|ALTER)\s+(?:DATABASE|ROLE|USER(?!\s+MAPPING\s)|TABLESPACE|SYSTEM)\s|CREATE\s+TABLE\s[^(]*\sAS\s",
    re.IGNORECASE,
)
_DROPS = re.compile(rb"(?:DROP\s|ALTER\s+TABLE\s+IF\s+EXISTS\s)", re.IGNORECASE)
_UNLINK = re.compile(rb"SELECT\s+pg_catalog\.lo_create\('(\d+)'\)", re.IGNORECASE)
# NAMEDATALEN less one, of a server as it is distributed.
_LONGEST_NAME = 63
_PROGRESS_AFTER = 1 << 20


def load(
    address: DatabaseAddress,
    parts: Iterable[Part],
    *,
    metadata: Json | None,
    policy: ExistingTables,
    only_tables: Sequence[str],
    on_warning: OnWarning,
    refusals: Refusals,
) -> Generator[LoadProgress, None, LoadSummary]:
    """Load a dump; see :func:`backstay.databases.load`."""
    parts = list(parts)
    dumped_prefix = str((metadata or {}).get("prefix") or "")
    choice = TableChoice(only_tables, dumped_prefix=dumped_prefix, prefix=address.prefix)
    selection = None
    if choice or (address.prefix and dumped_prefix and address.prefix != dumped_prefix):
        selection = Selection(choice, _definitions(parts))
    with connect(address) as connection:
        work = _Load(address, connection, metadata or {}, policy, selection, on_warning, refusals)
        with reported_as(address, connection, LoadError, "the load was being prepared"):
            connection.execute("BEGIN")
            work.clear_names()
        yield from work.run(parts)
        with reported_as(address, connection, LoadError, "the load was being completed"):
            summary = work.complete()
            connection.execute("COMMIT")
    return summary


def _definitions(parts: Iterable[Part]) -> Iterator[bytes]:
    """Yield the statements of a dump that come before its rows."""
    for name, opener in parts:
        with closing(opener()) as file:
            try:
                for statement in StatementReader(file).statements():
                    if statement.copies:
                        return
                    yield statement.text
            except LoadError as error:
                raise LoadError(f"{name}: {error}.") from error


class _Load:
    """One load under way, in one transaction."""

    def __init__(
        self,
        address: DatabaseAddress,
        connection: Connection,
        metadata: Json,
        policy: ExistingTables,
        selection: Selection | None,
        on_warning: OnWarning,
        refusals: Refusals,
    ) -> None:
        self._address = address
        self._connection = connection
        self._metadata = metadata
        self._policy = policy
        self._selection = selection
        self._warn = on_warning
        self._refusals = refusals
        self._backups: dict[str, str] = {}
        self._part = self._table = ""
        self._execution = Execution(connection, selection, on_warning, refusals)
        self._copying = b""
        self._copy_place = ("", 0)
        self._rows = self._statements = self._bytes = self._offset = 0
        old = str(metadata.get("prefix") or "")
        self._prefixes = (old, address.prefix) if old and address.prefix and old != address.prefix else None

    def clear_names(self) -> None:
        """Look for what the dump would make and the database already holds, and do as the policy says."""
        relations = read_schema(self._connection).relations
        present = self._in_the_way(relations)
        if present and self._policy is ExistingTables.REFUSE:
            raise TablesExistError(
                f"The database {self._address.name!r} already holds {present[0].label}: load into an empty database, "
                "or say that its tables may be replaced or backed up."
            )
        self._displaced = Displacement(self._address, self._connection, present if self._selection else [], self._warn)
        if self._selection and present:
            self._displaced.clear(self._move if self._policy is ExistingTables.BACK_UP else None)
        elif present and self._policy is ExistingTables.BACK_UP:
            self._move_away(relations)
        elif present:
            self._drop()
        self._before = {(relation.schema, relation.name) for relation in read_schema(self._connection).relations}

    def _in_the_way(self, relations: Iterable[Relation]) -> list[Relation]:
        if self._selection is None:
            listed: Any = self._metadata.get("tables") or {}
            wanted = {name for names in listed.values() for name in names} if isinstance(listed, dict) else set()
            return [relation for relation in relations if relation.label in wanted]
        made = self._selection.relations
        final = {self._final(key) for key in made}
        self._refuse_long_names(final)
        for relation in relations:
            if (relation.schema, relation.name) in made - final:
                raise TablesExistError(
                    f"The database {self._address.name!r} holds {relation.label}, a name that the dump needs until its "
                    "tables have their new prefix: load into another database."
                )
        return [relation for relation in relations if (relation.schema, relation.name) in final]

    def _refuse_long_names(self, final: Iterable[Key]) -> None:
        """Refuse a prefix that makes a name longer than the server takes, which would cut it without an error."""
        for schema, name in sorted(final):
            length = len(name.encode())
            if self._prefixes and length > _LONGEST_NAME:
                most = _LONGEST_NAME - length + len(self._prefixes[1].encode())
                raise LoadError(
                    f"The prefix {self._prefixes[1]!r} makes the name {schema}.{name} {length} bytes long, and the "
                    f"server takes {_LONGEST_NAME}: choose a prefix of at most {most} bytes."
                )

    def _final(self, key: Key) -> Key:
        """Return the name that a relation of the dump has in the end."""
        if self._prefixes and key[1].startswith(self._prefixes[0]):
            return key[0], self._prefixes[1] + key[1][len(self._prefixes[0]) :]
        return key

    def _drop(self) -> None:
        for statement in own_facts(self._metadata).get("drops", ()):
            text = str(statement)
            if not _DROPS.match(text.encode()) or re.match(r"DROP (?:EXTENSION|DATABASE|ROLE) ", text):
                continue
            if re.match(r"DROP (?:TABLE|VIEW|MATERIALIZED|TYPE|FUNCTION|SEQUENCE|DOMAIN|AGGREGATE|PROCEDURE) ", text):
                text += " CASCADE"
            self._execution.attempt(text.encode(), warns=False)

    def _move_away(self, relations: Iterable[Relation]) -> None:
        """Move every object of the schemas, but for extensions, into schemas of the same names with ``bak_`` before."""
        for schema in sorted({relation.schema for relation in relations}):
            backup = f"bak_{schema}"
            self._execute(f"DROP SCHEMA IF EXISTS {quoted(backup)} CASCADE")
            for relation in relations:
                if relation.schema == schema:
                    self._move(relation)
            for kind, name in self._connection.execute(_OTHERS, (schema, schema)).fetchall():
                self._execution.attempt(f"ALTER {kind} {name} SET SCHEMA {quoted(backup)}".encode(), warns=True)

    def _move(self, relation: Relation) -> None:
        row = self._connection.execute("SELECT to_regclass(%s)", (relation.quoted,)).fetchone()
        if not row or row[0] is None:
            return  # a sequence has gone with its table
        backup, kind = f"bak_{relation.schema}", kind_of(relation)
        self._execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(backup)}")
        removal = f"DROP {kind} IF EXISTS {quoted(backup)}.{quoted(relation.name)} CASCADE"
        self._execution.attempt(removal.encode(), warns=False)
        # A sequence that a column owns cannot go before its table.
        change = f"ALTER {kind} IF EXISTS {relation.quoted} SET SCHEMA {quoted(backup)}"
        if self._execution.attempt(change.encode(), warns=False):
            self._backups[relation.label] = f"{backup}.{relation.name}"

    def run(self, parts: Iterable[Part]) -> Generator[LoadProgress]:
        """Execute every statement of the parts."""
        reported = 0
        with ExitStack() as self._open_copy:
            for self._part, opener in parts:
                self._offset = 0
                with closing(opener()) as file, self._reported_at():
                    reader = StatementReader(file)
                    for statement in reader.statements():
                        self._offset = statement.offset
                        self._one(statement, reader)
                        self._statements += 1
                        if self._bytes - reported >= _PROGRESS_AFTER:
                            reported = self._bytes
                            yield self._progress()
            with self._reported_at():
                self._end_copy()
        yield self._progress()

    @contextmanager
    def _reported_at(self) -> Iterator[None]:
        """Report errors with the part and the offset of the statement; for rows, of where those of the table begin."""
        try:
            yield
        except psycopg.Error as error:
            part, offset = self._copy_place if self._copying else (self._part, self._offset)
            if is_lost(self._connection, error):
                raise DatabaseConnectionError(
                    f"The connection to {self._address.redacted()} was lost while {self._part} was being loaded, "
                    f"at byte {self._offset}: {first_line(error)}."
                ) from error
            at = f" ({error.diag.context.splitlines()[0]})" if self._copying and error.diag.context else ""
            raise LoadError(
                f"{part}, byte {offset}: the server refused a statement: {first_line(error)}{at}."
            ) from error
        except LoadError as error:
            if type(error) is not LoadError or str(error).startswith(self._part):
                raise
            raise LoadError(f"{self._part}: {error}.") from error

    def _progress(self) -> LoadProgress:
        return LoadProgress(self._part, self._table, self._rows, self._statements, self._bytes)

    def _one(self, statement: Statement, reader: StatementReader) -> None:
        text = statement.text
        self._bytes += len(text)
        if not _ALLOWED.match(text) or _FORBIDDEN.match(text):
            shown = text[:60].decode("utf-8", "backslashreplace")
            raise LoadError(
                f"{self._part}, byte {statement.offset}: a statement that no dump holds was not executed: {shown!r}"
            )
        if text != self._copying:
            self._end_copy()
        decision = self._selection.decide(text) if self._selection else Decision.YES
        if statement.copies:
            self._copy(text, reader, taken=decision is Decision.YES)
        elif is_subscription(text):
            # Never executed, whatever is chosen: it would connect this server to another one.
            self._refusals.add(refused_object(text, "a load subscribes to no other server"))
        elif decision is Decision.NO:
            return
        elif self._selection and decision is Decision.IF_MISSING:
            self._execution.make_if_lacking(text, self._selection)
        elif decision is Decision.FOREIGN_KEY:
            add_foreign_key(self._connection, text, self._warn)
        elif _DROPS.match(text) and not re.match(rb"ALTER TABLE (?!IF EXISTS)", text):
            return
        elif self._execution.is_of_the_server(text):
            self._execution.apply_of_server(text)
        elif match := _UNLINK.match(text):
            self._make_large_object(int(match[1]))
        elif is_required(text):
            self._execution.require(text)
        else:
            self._execution.make_or_keep(text)

    def _copy(self, text: bytes, reader: StatementReader, *, taken: bool) -> None:
        if not taken:
            for block in reader.rows():
                self._bytes += len(block)
            return
        if text != self._copying:
            if refused := self._execution.refused_table(text):
                name, reason = refused
                raise LoadError(
                    f"{self._part}, byte {self._offset}: the table {name} has rows, and the server refused to make it: "
                    f"{reason}"
                )
            self._table = text.split(None, 2)[1].decode("utf-8", "replace")
            self._copying, self._copy_place = text, (self._part, self._offset)
            self._copy_in = self._open_copy.enter_context(self._connection.cursor().copy(text))
        for block in reader.rows():
            self._copy_in.write(block)
            self._rows += block.count(b"\n")
            self._bytes += len(block)

    def _end_copy(self) -> None:
        """Wait for the server to take the last of a table's rows.

        Until then one block follows on the other, so that the server works on one while the next is read.
        """
        self._open_copy.close()
        self._copying = b""

    def _make_large_object(self, oid: int) -> None:
        found = self._connection.execute("SELECT 1 FROM pg_largeobject_metadata WHERE oid = %s", (oid,)).fetchone()
        if found:
            if self._policy is ExistingTables.REFUSE:
                raise TablesExistError(
                    f"The database {self._address.name!r} already holds a large object of number {oid}: "
                    "load into an empty database, or say that it may be replaced."
                )
            self._connection.execute("SELECT lo_unlink(%s)", (oid,))
        self._connection.execute("SELECT lo_create(%s)", (oid,))

    def _execute(self, text: str) -> None:
        self._connection.execute(text.encode())

    def complete(self) -> LoadSummary:
        """Give the tables the prefix asked for, and let the server learn about their rows."""
        self._execute("RESET search_path")
        self._execution.warn_of_accounts()
        schema = read_schema(self._connection)
        made = [r for r in schema.relations if (r.schema, r.name) not in self._before]
        if self._prefixes:
            for relation in made:
                _, name = self._final((relation.schema, relation.name))
                if name != relation.name:
                    self._execute(f"ALTER {kind_of(relation)} {relation.quoted} RENAME TO {quoted(name)}")
            self._report_functions(self._prefixes[0])
        self._displaced.put_back()
        return LoadSummary(
            tables=tuple(r.label for r in made if r.kind in "rp"),
            entities=tuple(r.label for r in made if r.kind not in "rp"),
            rows=self._rows,
            bytes=self._bytes,
            backups=self._backups,
            skipped=tuple(self._refusals.objects),
        )

    def _report_functions(self, prefix: str) -> None:
        """Warn of functions whose text names tables by the old prefix: the server keeps it as text, and so do we."""
        found = self._connection.execute(_NAMING_PREFIX, (prefix, prefix)).fetchall()
        for (name,) in found:
            self._warn(f"The function {name} names {prefix}… itself or in its text, which was not changed: correct it.")


# Functions of no extension, of this database's own schemas, in whose name or text a prefix stands.
_NAMING_PREFIX = """
SELECT p.oid::regprocedure::text
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'bak\\_%%'
  AND (strpos(p.proname, %s) = 1 OR strpos(p.prosrc, %s) > 0)
  AND NOT EXISTS (SELECT 1 FROM pg_depend d
      WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
ORDER BY 1
"""
_OTHERS = """
SELECT CASE WHEN p.prokind = 'p' THEN 'PROCEDURE' WHEN p.prokind = 'a' THEN 'AGGREGATE' ELSE 'FUNCTION' END,
       p.oid::regprocedure::text
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = %s AND NOT EXISTS (SELECT 1 FROM pg_depend d
      WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
UNION ALL
SELECT CASE WHEN t.typtype = 'd' THEN 'DOMAIN' ELSE 'TYPE' END, t.oid::regtype::text
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE n.nspname = %s AND t.typtype IN ('e', 'd', 'r', 'c') AND t.typelem = 0
  AND NOT EXISTS (SELECT 1 FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind <> 'c')
  AND NOT EXISTS (SELECT 1 FROM pg_depend d
      WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype IN ('e', 'i'))
"""
