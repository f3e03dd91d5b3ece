"""Load a dump into MySQL or MariaDB: under temporary names first, then all at once in place of what was there."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from typing import BinaryIO

import pymysql

from backstay.databases.address import DatabaseAddress
from backstay.databases.choice import TableChoice
from backstay.databases.metadata import own_facts
from backstay.databases.model import ExistingTables, Json, LoadProgress, LoadSummary, OnWarning, Part, SkippedObject
from backstay.databases.mysql import swap
from backstay.databases.mysql.compatibility import Compatibility, read_names
from backstay.databases.mysql.connection import Connection, code_of, connect, is_lost, message_of, reported_as
from backstay.databases.mysql.definitions import LOAD_COLLATION, LOAD_MODE, Session
from backstay.databases.mysql.naming import concrete, refuse_long_name
from backstay.databases.mysql.reading import Reading, Role, read_statement, without_foreign_keys
from backstay.databases.mysql.staged import Constraint, StagedEntity, StagedLoad, StagedTable, sql_text
from backstay.databases.mysql.statements import read_statements
from backstay.databases.mysql.tokens import ABSTRACT, Dialect, Place, identifiers, quote, quote_string, tokens
from backstay.databases.skipped import Refusals
from backstay.errors import DatabaseConnectionError, LoadError, TablesExistError

_log = logging.getLogger(__name__)

_ORDER = {"VIEW": 1, "TRIGGER": 2, "EVENT": 3}
_COMMIT_AFTER = 16 << 20
_PROGRESS_AFTER = 1 << 20
# Wrong value for a variable; unknown collation, character set, time zone, variable.
_UNKNOWN_SETTING = frozenset({1231, 1273, 1115, 1298, 1193})
# A mode of MariaDB, and of MySQL before 8, that says nothing of a dump.
_GONE_MODE = re.compile(r"(?<=')NO_AUTO_CREATE_USER,|,?\bNO_AUTO_CREATE_USER\b")


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
    staging = Staging(address, metadata, policy, on_warning, refusals, only_tables=only_tables)
    try:
        yield from staging.run(parts)
    except BaseException:
        staging.discard()
        raise
    try:
        swap.swap(address, staging.staged, refusals)
    except BaseException:
        swap.undo(address, staging.staged, refusals)
        raise
    swap.finish(address, staging.staged)
    return staging.summary()


class Staging:
    """Loads a dump under temporary names, beside whatever the database holds."""

    def __init__(
        self,
        address: DatabaseAddress,
        metadata: Json | None,
        policy: ExistingTables,
        on_warning: OnWarning,
        refusals: Refusals,
        *,
        only_tables: Sequence[str] = (),
    ) -> None:
        facts = own_facts(metadata)
        self._metadata = metadata or {}
        self._address = address
        self._warn = on_warning
        self._refusals = refusals
        self._unmade: dict[str, str] = {}
        self._prefix = address.prefix or str((metadata or {}).get("prefix") or "")
        self._marker = str((metadata or {}).get("marker") or "").encode() or None
        self._literal = frozenset(str(name) for name in facts.get("literal_names", ()))
        self._choice = TableChoice(only_tables, dumped_prefix=self._prefix)
        self._sql_mode = str(facts.get("sql_mode") or LOAD_MODE)
        self.staged = StagedLoad(secrets.token_hex(4), policy)
        self._temporary: dict[str, str] = {}
        self._sequences: set[str] = set()
        self._final: dict[str, StagedTable] = {}
        self._session = Session(sql_mode=self._sql_mode)
        self._warned: set[tuple[str, int]] = set()
        self._part, self._table = "", ""
        self._rows = self._statements = self._bytes = self._uncommitted = 0

    def run(self, parts: Iterable[Part]) -> Generator[LoadProgress]:
        """Execute every statement of the parts; then make sure that what is left to the swap will work."""
        with closing(connect(self._address)) as self._connection:
            self._prepare(self._connection)
            reported = 0
            for name, opener in parts:
                self._part = name
                for _ in self._run_part(opener):
                    if self._bytes - reported >= _PROGRESS_AFTER:
                        reported = self._bytes
                        yield self._progress()
            self._connection.commit()
            yield self._progress()
            # Views may need routines, and no routine needs a view to be made.
            self.staged.entities.sort(key=lambda entity: _ORDER.get(entity.kind, 0))
            with reported_as(self._address, LoadError, "the new tables were made ready"):
                swap.plan(self._connection, self.staged, self._prefix, self._warn)
                swap.rehearse(self._connection, self.staged, self._refusals)

    def discard(self) -> None:
        """Drop what was loaded under temporary names, as far as the server can be reached."""
        try:
            swap.discard(self._address, self.staged)
        except (LoadError, DatabaseConnectionError) as problem:
            _log.warning("temporary tables backstay_%s_new_… are left behind: %s", self.staged.run, problem)

    def summary(self) -> LoadSummary:
        """Return what was made."""
        # A table that unites others is made with the views; a sequence is loaded like a table.
        united = [entity.name for entity in self.staged.entities if entity.kind == "TABLE"]
        others = [entity.name for entity in self.staged.entities if entity.kind != "TABLE"]
        tables = [table.name for table in self.staged.tables if table.name not in self._sequences]
        return LoadSummary(
            tables=(*tables, *united),
            entities=(*sorted(self._sequences), *others),
            rows=self._rows,
            bytes=self._bytes,
            backups={table.name: table.backup for table in self.staged.tables if table.backup and table.replaces},
            skipped=tuple(self._refusals.objects),
        )

    def _progress(self) -> LoadProgress:
        return LoadProgress(self._part, self._table, self._rows, self._statements, self._bytes)

    def _prepare(self, connection: Connection) -> None:
        with reported_as(self._address, LoadError, "the load was being prepared"):
            self._packet = int(connection.value("SELECT @@max_allowed_packet"))
            connection.execute(f"SET NAMES utf8mb4 COLLATE {LOAD_COLLATION}")
            connection.execute("SET SESSION foreign_key_checks = 0, unique_checks = 0, autocommit = 0")
            # MySQL 8 may be set up to refuse tables without a primary key, or to give them one.
            for variable in ("sql_require_primary_key", "sql_generate_invisible_primary_key"):
                connection.set_where_known(variable, 0)
            self._compatibility = Compatibility(read_names(connection), self._refusals.replaced)
            self._set_session(f"SET SESSION sql_mode = {quote_string(self._sql_mode)}")
            swap.lock_database(connection)
            self._check_names()
            swap.drop_leftovers(connection)
            self._existing = swap.existing_tables(connection)

    def _run_part(self, opener: Callable[[], BinaryIO]) -> Generator[None]:
        with closing(opener()) as file:
            offset = 0
            try:
                for offset, statement in read_statements(file, marker=self._marker):
                    self._execute(statement, offset)
                    self._statements += 1
                    self._bytes += len(statement)
                    yield
            except pymysql.err.Error as error:
                if is_lost(error):
                    raise DatabaseConnectionError(
                        f"The connection to {self._address.redacted()} was lost while {self._part} was being loaded, "
                        f"at byte {offset}: {message_of(error)}."
                    ) from error
                raise LoadError(
                    f"{self._part}, byte {offset}: the server refused a statement: {self._renamed(message_of(error))}."
                ) from error
            except LoadError as error:
                if type(error) is not LoadError or str(error).startswith(self._part):
                    raise
                raise LoadError(f"{self._part}: {error}.") from error

    def _renamed(self, message: str) -> str:
        """Return a server's message with the tables' own names in it."""
        for final, temporary in self._temporary.items():
            message = message.replace(temporary, final)
        return message

    def _execute(self, statement: bytes, offset: int) -> None:
        reading = read_statement(statement)
        if reading.named and not self._choice.wants(reading.table or reading.name):
            return
        if reading.role is Role.INSERT:
            self._insert(statement, reading, offset)
        elif reading.role in {Role.TABLE, Role.SEQUENCE}:
            made = self._compatibility.table(statement.decode("utf-8", "surrogateescape"))
            self._check_lengths(made, None)
            self._create_table(made, reading)
        elif reading.role is Role.ENTITY:
            text = statement.decode("utf-8", "surrogateescape")
            dialect = Dialect.of_mode(self._session.sql_mode)
            text = self._compatibility.statement(text, dialect)
            self._check_lengths(text, dialect)
            self.staged.entities.append(
                StagedEntity(reading.kind, self._real(reading.name), self._concrete(text, dialect), self._session)
            )
        elif reading.role is Role.VARIABLE:
            self._send(statement, offset)
        elif reading.role is Role.SESSION:
            self._set_session(statement.decode("utf-8", "replace"))
        elif reading.role is Role.REFUSED:
            shown = statement[:60].decode("utf-8", "backslashreplace")
            raise LoadError(f"{self._part}, byte {offset}: a statement that no dump holds was not executed: {shown!r}")

    def _real(self, name: str) -> str:
        if not name.startswith(ABSTRACT):
            return name
        if not self._prefix:
            raise LoadError(
                f"the dump names its tables {ABSTRACT}…, and no prefix is known: add ?prefix=… to the database's URL"
            )
        return self._prefix + name[len(ABSTRACT) :]

    def _check_names(self) -> None:
        """Refuse, before anything is loaded, a prefix that makes a name longer than the server takes."""
        listed = self._metadata.get("tables")
        for names in listed.values() if isinstance(listed, dict) and self._prefix else ():
            for name in names:
                if not self._choice.wants(str(name)):
                    continue
                try:
                    self._check_length(str(name))
                except LoadError as error:
                    raise LoadError(f"{self._address.redacted()}: {error}.") from error

    def _check_lengths(self, text: str, dialect: Dialect | None) -> None:
        """Do the same for all names in a statement: those of keys and constraints carry the prefix too."""
        for name in identifiers(text, dialect, abstract=True):
            self._check_length(name)

    def _check_length(self, name: str) -> None:
        if name.startswith(ABSTRACT) and name not in self._literal and self._prefix:
            refuse_long_name(self._real(name), self._prefix)

    def _concrete(self, text: str, dialect: Dialect | None = None) -> str:
        return concrete(text, self._prefix, literal=self._literal, dialect=dialect)

    def _insert(self, statement: bytes, reading: Reading, offset: int) -> None:
        name = self._real(reading.name)
        target = self._temporary.get(name)
        if target is None and name in self._unmade:
            raise LoadError(
                f"{self._part}, byte {offset}: the table {name} has rows, and the server refused to make it: "
                f"{self._unmade[name]}"
            )
        if target is None:
            raise LoadError(f"{self._part}, byte {offset}: rows for the table {name}, which the dump does not make")
        self._table = name
        columns = self._concrete(reading.columns) if reading.columns else ""
        head = f"INSERT INTO {quote(target)} {columns} VALUES"
        rows = self._send(head.encode("utf-8", "surrogateescape") + statement[reading.head :], offset)
        if name not in self._sequences:
            self._rows += rows
        self._report_warnings(name)
        self._uncommitted += len(statement)
        if self._uncommitted >= _COMMIT_AFTER:
            self._connection.commit()
            self._uncommitted = 0

    def _send(self, statement: bytes, offset: int) -> int:
        if len(statement) >= self._packet:
            raise LoadError(
                f"{self._part}, byte {offset}: a statement of {len(statement)} bytes is longer than the server takes; "
                f"raise its max_allowed_packet above {len(statement)}"
            )
        return self._connection.execute(statement)

    def _create_table(self, text: str, reading: Reading) -> None:
        name = self._real(reading.name)
        if name in self._temporary or name in self._unmade:
            raise LoadError(f"the dump makes the table {name} twice")
        exists = self._existing.has(name)
        if exists and self.staged.policy is ExistingTables.REFUSE:
            raise TablesExistError(
                f"The database {self._address.name!r} already holds {name}: load into an empty database, "
                "or say that its tables may be replaced or backed up."
            )
        number = len(self.staged.tables) + 1
        new, old = (f"backstay_{self.staged.run}_{what}_{number}" for what in ("new", "old"))
        self._table = name
        if "UNION=(" in text:
            # It names other tables, which have their names only after the swap; it holds no rows of its own.
            self.staged.entities.append(StagedEntity("TABLE", name, self._concrete(text), Session(self._sql_mode)))
            return
        target = name if reading.role is Role.SEQUENCE and not exists else new
        table = StagedTable(name, target, old, replaces=exists)
        bare, constraints = without_foreign_keys(text, checks=not self._connection.is_mariadb)
        done = False

        def rename(found: str, _place: Place) -> str:
            nonlocal done
            if found == name and not done:
                done = True
                return target
            return found

        created = concrete(bare, self._prefix, literal=self._literal, rename=rename)
        try:
            self._connection.execute(created)
        except pymysql.err.Error as error:
            if is_lost(error):
                raise
            # A table without rows is a definition like any other; where rows follow, they would be lost: that fails.
            self._unmade[name] = self._renamed(message_of(error).replace(target, name))
            own = sql_text(StagedEntity("TABLE", name, self._concrete(text), Session(self._sql_mode)))
            kind = "sequence" if reading.role is Role.SEQUENCE else "table"
            self._refusals.add(SkippedObject(kind, name, self._unmade[name], own))
            return
        self.staged.tables.append(table)
        self._temporary[name] = target
        if reading.role is Role.SEQUENCE:
            self._sequences.add(name)
        self._report_warnings(name)
        for clause in constraints:
            real = self._concrete(clause)
            self.staged.constraints.append(Constraint(name, _constraint_name(real), real))

    def _report_warnings(self, table: str) -> None:
        result = self._connection._result  # type: ignore[attr-defined]  # noqa: SLF001 - PyMySQL keeps the count there
        if not result or not result.warning_count:
            return
        for level, code, message in self._connection.show_warnings():  # type: ignore[no-untyped-call]  # in the stubs
            if level != "Note" and (table, code) not in self._warned:
                self._warned.add((table, code))
                self._warn(f"The server changed a value of {table} while it was loaded: {self._renamed(message)}.")

    def _set_session(self, text: str) -> None:
        """Execute a SET statement; what this server does not know of it is left out, with a warning."""
        text = self._compatibility.session(text)
        try:
            self._execute_set(text)
        except pymysql.err.Error as error:
            if code_of(error) not in _UNKNOWN_SETTING:
                raise
            self._warn(f"A setting of the dump is unknown to this server and left out: {message_of(error)}.")
        row = self._connection.rows(
            "SELECT @@SESSION.sql_mode AS mode, @@SESSION.collation_connection AS coll, @@SESSION.time_zone AS zone, "
            "@@SESSION.character_set_client AS client"
        )[0]
        self._session = Session(row["mode"], row["coll"], row["zone"], row["client"])

    def _execute_set(self, text: str) -> None:
        try:
            self._connection.execute(text)
        except pymysql.err.Error as error:
            without = _GONE_MODE.sub("", text)
            if code_of(error) not in _UNKNOWN_SETTING or without == text:
                raise
            self._connection.execute(without)


def _constraint_name(clause: str) -> str:
    found = [token for token in tokens(clause) if token.kind != "space"]
    return found[1].name if len(found) > 1 and found[0].text.upper() == "CONSTRAINT" else ""
