"""CREATE statements as a dump holds them: read from the server, names made abstract, DEFINER left out."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from backstay.databases.model import DumpOptions
from backstay.databases.mysql.connection import Connection
from backstay.databases.mysql.naming import Naming
from backstay.databases.mysql.tokens import (
    Dialect,
    identifiers,
    quote,
    remove_definer,
    strip_qualifier,
    tokens,
)

# What rows and tables are loaded under: every value as it is, invalid and zero dates too, and 0 in AUTO_INCREMENT.
LOAD_MODE = "NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES"
LOAD_CHARSET = "utf8mb4"
LOAD_COLLATION = "utf8mb4_general_ci"
LOAD_TIME_ZONE = "+00:00"

_ENGINE_OPTIONS = re.compile(
    r"\s+USING\s+(?:BTREE|HASH)\b"
    r"|\s+(?:ROW_FORMAT|KEY_BLOCK_SIZE|PAGE_CHECKSUM|TABLESPACE)\s*=?\s*(?:\x00\d+\x00|[\w.]+)"
    r"|\s+(?:DATA|INDEX)\s+DIRECTORY\s*=?\s*\x00\d+\x00",
    re.IGNORECASE,
)
_DEFAULT_VIEW = re.compile(r"\ACREATE ALGORITHM=UNDEFINED SQL SECURITY DEFINER VIEW ")


@dataclass(frozen=True, slots=True)
class Session:
    """The session settings under which a statement was, and has to be, read.

    The character set counts for statements of ASCII only: others are written in UTF-8 and have to be read so.
    """

    sql_mode: str = LOAD_MODE
    collation: str = LOAD_COLLATION
    time_zone: str = LOAD_TIME_ZONE
    charset: str = LOAD_CHARSET

    def of(self, statement: str) -> Session:
        """Return the settings for a statement: the character set left out if its bytes would read differently."""
        return self if statement.isascii() else replace(self, charset=LOAD_CHARSET)


@dataclass(frozen=True, slots=True)
class Definition:
    """A CREATE statement.

    Attributes:
        text: the statement; ``None`` where the account may not see it.
        session: the settings it needs.
        uses: names of the database that a view reads from.
        literal: names in a view, routine, trigger or event that begin with ``#__`` by themselves.
    """

    text: str | None
    session: Session = Session()
    uses: frozenset[str] = frozenset()
    literal: frozenset[str] = frozenset()


class Definitions:
    """Reads the CREATE statements of one database."""

    def __init__(self, naming: Naming, options: DumpOptions) -> None:
        self._naming = naming
        self._options = options

    def table(self, connection: Connection, name: str) -> Definition:
        """Return CREATE TABLE."""
        text = _shown(connection, f"SHOW CREATE TABLE {quote(name)}", "create table")["text"]
        text = strip_qualifier(text, self._naming.database, self._naming.names)
        if self._options.strip_engine_options:
            text = strip_engine_options(text)
        merged = "UNION=(" in text
        return Definition(self._naming.in_merge_table(text) if merged else self._naming.in_table(text))

    def sequence(self, connection: Connection, name: str) -> Definition:
        """Return CREATE SEQUENCE of MariaDB."""
        text = _shown(connection, f"SHOW CREATE SEQUENCE {quote(name)}", "create table")["text"]
        return Definition(self._naming.in_table(text))

    def view(self, connection: Connection, name: str) -> Definition:
        """Return CREATE VIEW, and which names of the database it reads from."""
        row = _shown(connection, f"SHOW CREATE VIEW {quote(name)}", "create view")
        text = strip_qualifier(row["text"], self._naming.database, self._naming.names)
        found = identifiers(text)
        uses = frozenset(found) & self._naming.names - {name}
        if not self._options.definer:
            text = _DEFAULT_VIEW.sub("CREATE VIEW ", remove_definer(text))
        session = Session(collation=row["collation"] or LOAD_COLLATION, charset=row["charset"] or LOAD_CHARSET)
        return Definition(self._naming.in_view(text), session.of(text), uses, self._naming.literal(found))

    def entity(self, connection: Connection, kind: str, name: str) -> Definition:
        """Return the CREATE statement of a routine, trigger or event."""
        column = "sql original statement" if kind == "TRIGGER" else f"create {kind.lower()}"
        row = _shown(connection, f"SHOW CREATE {kind} {quote(name)}", column)
        if not row["text"]:
            return Definition(None)
        dialect = Dialect.of_mode(row["sql_mode"])
        text = row["text"] if self._options.definer else remove_definer(row["text"])
        if kind == "TRIGGER":
            text = self._trigger_header(text, dialect)
        session = Session(
            row["sql_mode"],
            row["collation"] or LOAD_COLLATION,
            row["time_zone"] or LOAD_TIME_ZONE,
            row["charset"] or LOAD_CHARSET,
        )
        literal = self._naming.literal(identifiers(text, dialect))
        text = self._naming.in_body(text, dialect)
        if self._naming.enabled:
            text = _names_in_backticks(text, kind, dialect)
        return Definition(text, session.of(text), literal=literal)

    def _trigger_header(self, text: str, dialect: Dialect) -> str:
        """Take the database's name off the trigger's and its table's; the body stays as it was written."""
        header: list[str] = []
        found = list(tokens(text, dialect))
        for index, token in enumerate(found):
            if token.kind == "identifier" and token.text.upper() == "FOR":
                rest = "".join(t.text for t in found[index:])
                return strip_qualifier("".join(header), self._naming.database, self._naming.names, dialect) + rest
            header.append(token.text)
        return text


def _names_in_backticks(text: str, kind: str, dialect: Dialect) -> str:
    """Return a CREATE statement whose own name, and a trigger's table's, are in backticks whatever its SQL mode.

    The vendor's restoration script looks for ``#__`` in backticks only (clients.md).
    """
    out: list[str] = []
    # The keywords behind each of which a name stands.
    waiting = [kind.rpartition(" ")[2]] + (["ON"] if kind == "TRIGGER" else [])
    named = False
    for token in tokens(text, dialect, abstract=True):
        word = token.text.upper()
        if token.kind == "identifier" and named and word not in {"IF", "NOT", "EXISTS"}:
            out.append(quote(token.name))
            named = False
            continue
        if token.kind == "identifier" and waiting and word == waiting[0]:
            named = True
            waiting.pop(0)
        out.append(token.text)
    return "".join(out)


def strip_engine_options(text: str) -> str:
    """Return CREATE TABLE without the index and row options that belong to an engine (vendor's ``nobtree``)."""
    kept: list[str] = []
    bare: list[str] = []
    for token in tokens(text):
        if token.kind == "string" or token.text.startswith("`"):
            bare.append(f"\x00{len(kept)}\x00")
            kept.append(token.text)
        else:
            bare.append(token.text)
    stripped = _ENGINE_OPTIONS.sub("", "".join(bare))
    return re.sub(r"\x00(\d+)\x00", lambda match: kept[int(match[1])], stripped)


def _shown(connection: Connection, sql: str, column: str) -> dict[str, str]:
    row = connection.rows(sql)[0]
    return {
        "text": row[column] or "",
        "sql_mode": row.get("sql_mode") or "",
        "collation": row.get("collation_connection") or "",
        "time_zone": row.get("time_zone") or "",
        "charset": row.get("character_set_client") or "",
    }
