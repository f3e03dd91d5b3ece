"""Some tables of a dump: the statements about others are left out while it is read."""

from __future__ import annotations

import fnmatch
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any, BinaryIO

from backstay.databases.parts import MARKER
from backstay.restore.databases import Source

_ABSTRACT = "#__"


def only_tables(parts: Sequence[Source], patterns: Sequence[str], *, prefix: str, marker: str) -> tuple[Source, ...]:
    """Return the parts of a MySQL dump with some of its tables only.

    Views, triggers, routines and events come along where their own names fit.

    Args:
        parts: of the dump.
        patterns: of names: as in the dump (``#__users``), as in the database (``abc_users``), or without prefix.
        prefix: of the names in the database.
        marker: what stands between statements; empty where the dump does not say.
    """

    def wanted(name: str) -> bool:
        bare = name.removeprefix(_ABSTRACT)
        names = {name, bare, prefix + bare if name != bare else name}
        return any(fnmatch.fnmatchcase(one, pattern) for one in names for pattern in patterns)

    return tuple((name, _opener(opener, wanted, marker.encode() or None)) for name, opener in parts)


def _opener(
    opener: Callable[[], BinaryIO], wanted: Callable[[str], bool], marker: bytes | None
) -> Callable[[], BinaryIO]:
    return lambda: io.BufferedReader(_Statements(_chosen(opener, wanted, marker)), 1 << 20)


def _chosen(opener: Callable[[], BinaryIO], wanted: Callable[[str], bool], marker: bytes | None) -> Iterator[bytes]:
    from backstay.databases.mysql.reading import Role, read_statement
    from backstay.databases.mysql.statements import read_statements

    with closing(opener()) as file:
        for _offset, statement in read_statements(file, marker=marker):
            reading = read_statement(statement)
            if reading.role in {Role.TABLE, Role.SEQUENCE, Role.INSERT, Role.ENTITY} and not wanted(reading.name):
                continue
            yield MARKER + statement + b";\n"


class _Statements(io.RawIOBase):
    """Statements as a file."""

    def __init__(self, statements: Iterator[bytes]) -> None:
        self._statements = statements
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            statement = next(self._statements, None)
            if statement is None:
                return 0
            self._rest = statement
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count
