"""Single statements of a PostgreSQL dump, executed in a load's transaction: what the server refuses does not end it."""

from __future__ import annotations

import logging
import re
from collections import Counter

import psycopg

from backstay.databases.model import OnWarning
from backstay.databases.postgresql.connection import Connection, first_line, is_of_one_object
from backstay.databases.postgresql.optional import is_foreign_key, refused_object, unchecked_foreign_key
from backstay.databases.postgresql.selection import Key, Selection, about
from backstay.databases.skipped import Refusals

_log = logging.getLogger(__name__)

# What belongs to this server and its accounts more than to the site.
_OF_THE_SERVER = re.compile(
    rb"(?:GRANT|REVOKE)\s|ALTER\s[^;]*\sOWNER\s+TO\s|ALTER\s+DEFAULT\s+PRIVILEGES\s|SET\s|SECURITY\s+LABEL\s",
    re.IGNORECASE,
)
_OWNER = re.compile(rb"^ALTER\s[^;]*\sOWNER\s+TO\s+(\"(?:[^\"]|\"\")+\"|[^\s;]+)\s*\Z", re.IGNORECASE)
_RIGHT = re.compile(rb"(?:GRANT|REVOKE|ALTER\s+DEFAULT\s+PRIVILEGES)\s", re.IGNORECASE)
_SCHEMA = re.compile(rb"CREATE\s+SCHEMA\s+(?!IF\s)", re.IGNORECASE)
_PRESENT = (
    psycopg.errors.DuplicateObject,
    psycopg.errors.DuplicateTable,
    psycopg.errors.DuplicateFunction,
    psycopg.errors.DuplicateSchema,
)
_LACKING = (
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedColumn,
    psycopg.errors.UndefinedFunction,
    psycopg.errors.UndefinedObject,
    psycopg.errors.InvalidSchemaName,
)


class Execution:
    """Executes statements, each behind a savepoint where the load can do without it.

    Args:
        connection: in the load's transaction.
        selection: what is taken of the dump; None: all of it.
        on_warning: receives one sentence for each thing that is left out.
        refusals: receives the objects that the server refuses to make.
    """

    def __init__(
        self, connection: Connection, selection: Selection | None, on_warning: OnWarning, refusals: Refusals
    ) -> None:
        self._connection = connection
        self._selection = selection
        self._warn = on_warning
        self._refusals = refusals
        self._unmade: dict[Key, str] = {}
        self._unowned: Counter[str] = Counter()
        self._rights_left_out: Counter[str] = Counter()

    def is_of_the_server(self, text: bytes) -> bool:
        """Return whether a statement is about the server and its accounts more than about the site."""
        return _OF_THE_SERVER.match(text) is not None

    def refused_table(self, text: bytes) -> tuple[str, str] | None:
        """Return name and reason of the table that a COPY fills, where the server refused to make it."""
        for name in about(text).names if self._unmade else ():
            if name in self._unmade:
                return ".".join(name), self._unmade[name]
        return None

    def require(self, text: bytes) -> None:
        """Execute a statement without which nothing is loaded, but for the value of a sequence that was refused."""
        if not (self._unmade and self._unmade.keys() & set(about(text).names)):
            self._connection.execute(_SCHEMA.sub(b"CREATE SCHEMA IF NOT EXISTS ", text, count=1))

    def make_if_lacking(self, text: bytes, selection: Selection) -> None:
        """Make an object that the chosen tables may need, unless the database has it."""
        if _OF_THE_SERVER.match(text):
            self.apply_of_server(text)
            return
        error = self._error_of(_SCHEMA.sub(b"CREATE SCHEMA IF NOT EXISTS ", text, count=1))
        if error is None:
            selection.note_made(text)
        elif isinstance(error, _PRESENT) or (selection.is_partial and isinstance(error, _LACKING)):
            # It is there, or needs what was not chosen; a table that cannot do without it says so itself.
            _log.debug("Left as it is in the database: %s", text[:80].decode("utf-8", "backslashreplace"))
        else:
            self._keep(text, error)

    def attempt(self, text: bytes, *, warns: bool) -> bool:
        """Execute what the load can do without; return whether it was done."""
        error = self._error_of(text)
        if error is not None and warns:
            shown = " ".join(text.decode("utf-8", "backslashreplace").split())[:80]
            self._warn(f"A statement of the dump was left out ({shown}): {first_line(error)}.")
        return error is None

    def apply_of_server(self, text: bytes) -> None:
        """Execute a statement about the server or its accounts; owners and rights that fail are counted."""
        owner = _OWNER.search(text)
        is_right = not owner and _RIGHT.match(text)
        if not owner and not is_right:
            self.attempt(text, warns=True)
        elif (error := self._error_of(text)) is not None:
            if owner:
                self._unowned[owner[1].decode("utf-8", "replace").strip('"')] += 1
            else:
                self._rights_left_out[first_line(error)] += 1

    def make_or_keep(self, text: bytes) -> None:
        """Make an object; its statement is kept where the server refuses.

        Raises:
            psycopg.Error: the reason is not in the object: the statement can't be read, or the server has no space.
        """
        if (error := self._error_of(text)) is None:
            return
        # What was chosen by name and needs what was not: whoever chose is asked to choose more.
        is_choice = self._selection is not None and self._selection.is_partial and not self._refusals.objects
        if isinstance(error, psycopg.errors.SyntaxError) or (is_choice and isinstance(error, _LACKING)):
            raise error
        is_unchecked = isinstance(error, psycopg.errors.ForeignKeyViolation) and is_foreign_key(text)
        if is_unchecked and self._error_of(text + b" NOT VALID") is None:
            self._refusals.add(unchecked_foreign_key(text, first_line(error)))
        elif isinstance(error, psycopg.errors.IntegrityError) and not is_unchecked:
            raise error
        else:
            self._keep(text, error)

    def _keep(self, text: bytes, error: psycopg.Error) -> None:
        """Keep a refused statement, with a warning unless it is about a relation that was refused itself."""
        found, refused = about(text), refused_object(text, first_line(error))
        if found.form != "foreign key" and found.names and found.names[0] in self._unmade:
            self._refusals.keep(refused)
            return
        if found.form == "makes":
            self._unmade[found.names[0]] = first_line(error)
        self._refusals.add(refused)

    def _error_of(self, text: bytes) -> psycopg.Error | None:
        """Execute a statement; return the error of one that the server refused, when its traces are removed."""
        self._connection.execute("SAVEPOINT backstay")
        try:
            self._connection.execute(text)
        except psycopg.Error as error:
            if not is_of_one_object(self._connection, error):
                raise
            self._connection.execute("ROLLBACK TO SAVEPOINT backstay")
            return error
        self._connection.execute("RELEASE SAVEPOINT backstay")
        return None

    def warn_of_accounts(self) -> None:
        """Say how many objects did not get their owners, and how many rights were not granted."""
        if self._unowned:
            count, roles = sum(self._unowned.values()), ", ".join(sorted(self._unowned))
            what = "1 object belongs" if count == 1 else f"{count} objects belong"
            self._warn(
                f"{what} to the user of the load, who may not give ownership to {roles}: load as a superuser on a "
                "server that has these roles to keep owners."
            )
        if self._rights_left_out:
            count, first = sum(self._rights_left_out.values()), next(iter(self._rights_left_out))
            what = "1 statement" if count == 1 else f"{count} statements"
            self._warn(f"{what} about rights of roles were left out: {first}.")
