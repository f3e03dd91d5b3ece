"""What a dump defines, read from its SQL: tables, views and routines, without a database."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from backstay.databases.mysql import reading, statements
from backstay.databases.postgresql.statements import StatementReader
from backstay.databases.sqlite.load import read_statements
from backstay.errors import LoadError

_NAME = r'(?:"(?:[^"]|"")*"|\[[^\]]*\]|`[^`]*`|[\w$]+)'
_CREATE = re.compile(
    r"\s*CREATE\s+(?:OR\s+REPLACE\s+)?"
    r"(?:(?:TEMP|TEMPORARY|UNLOGGED|VIRTUAL|FOREIGN|MATERIALIZED|UNIQUE|CONSTRAINT|EVENT|RECURSIVE)\s+){0,3}"
    r"(TABLE|VIEW|SEQUENCE|FUNCTION|PROCEDURE|AGGREGATE|TRIGGER|TYPE|DOMAIN|INDEX)\s+(?:IF\s+NOT\s+EXISTS\s+)?"
    rf"({_NAME}(?:\s*\.\s*{_NAME})?)",
    re.IGNORECASE,
)
_BEGINNING = 4096


@dataclass(frozen=True, slots=True)
class Definition:
    """An object that a dump makes.

    Attributes:
        kind: ``table``, ``view``, ``procedure`` and so on.
        name: as it stands in the dump; of PostgreSQL with its schema before it, but for ``public``.
        text: the statement.
    """

    kind: str
    name: str
    text: str


def read_definitions(dbtype: str, part: BinaryIO, marker: str = "") -> Iterator[Definition]:
    """Yield what a part of a dump makes, in order; where the part is cut off, what stands before that.

    Args:
        dbtype: ``mysql``, ``postgresql`` or ``sqlite``.
        part: the part, opened.
        marker: what stands between two statements of MySQL; empty: found out.
    """
    try:
        if dbtype == "mysql":
            yield from _of_mysql(part, marker)
        elif dbtype == "postgresql":
            reader = StatementReader(part)
            for statement in reader.statements():
                yield from _created(statement.text)
                if statement.copies:
                    for _rows in reader.rows():
                        pass
        else:
            for _offset, text in read_statements(part):
                yield from _created(text)
    except LoadError:
        return


def _of_mysql(part: BinaryIO, marker: str) -> Iterator[Definition]:
    for _offset, text in statements.read_statements(part, marker=marker.encode() or None):
        found = reading.read_statement(text)
        if found.role in (reading.Role.TABLE, reading.Role.SEQUENCE, reading.Role.ENTITY):
            yield Definition(found.kind.lower(), found.name, text.decode("utf-8", "replace"))


def _created(statement: bytes) -> Iterator[Definition]:
    if match := _CREATE.match(statement[:_BEGINNING].decode("utf-8", "replace")):
        names = [_bare(name) for name in re.findall(_NAME, match[2])]
        name = ".".join(names[1:] if names[0] == "public" and len(names) > 1 else names)
        yield Definition(match[1].lower(), name, statement.decode("utf-8", "replace").strip())


def _bare(name: str) -> str:
    if name[0] == "[":
        return name[1:-1]
    return name[1:-1].replace(name[0] * 2, name[0]) if name[0] in '"`' else name
