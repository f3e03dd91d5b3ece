"""What every kind of database offers to a restore, and what it is given."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from backstay.databases import DatabaseAddress, LoadProgress, LoadSummary, is_sqlite_file
from backstay.restore.replacement import Replacer

Source = tuple[str, Callable[[], BinaryIO]]


@dataclass(frozen=True, slots=True)
class StageRequest:
    """What is loaded, and how.

    Attributes:
        parts: name of each part of the dump, and what opens it.
        metadata: the dump's entry in ``databases.json``, None where there is none. May hold credentials.
        replacer: texts replaced in what is loaded.
        only_tables: patterns of the tables that are loaded (see ``backstay.databases.load``); empty: every table.
        renamed_prefix: old and new prefix of a WordPress site whose rows name it; None for any other.
        on_warning: called with one sentence for what could not be loaded as it stands in the dump.
    """

    parts: tuple[Source, ...]
    metadata: dict[str, Any] | None = field(repr=False)
    replacer: Replacer
    renamed_prefix: tuple[str, str] | None
    on_warning: Callable[[str], None]
    only_tables: tuple[str, ...] = ()


class Stage(Protocol):
    """One database that is restored. What is staged is plain JSON: another process can swap it in or take it back.

    Attributes:
        replaced: ``table.column`` → texts replaced in it.
        refused: warnings of what the server refused to make so far; their statements are kept in a file.
        replaces: whether anything that was there is replaced.
    """

    replaced: dict[str, int]
    refused: list[str]

    @property
    def replaces(self) -> bool:
        """Whether anything that was there is replaced."""
        ...

    def stage(self, request: StageRequest) -> Generator[LoadProgress, None, LoadSummary]:
        """Load where nobody sees it; what an earlier process left of the same is removed first."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Return what is staged."""
        ...

    def is_intact(self) -> bool:
        """Return whether what was staged is still all there."""
        ...

    def swap(self, on_warning: Callable[[str], None]) -> None:
        """Put what is staged in place; what was there is kept. May be repeated."""
        ...

    def undo(self, on_warning: Callable[[str], None]) -> None:
        """Take the swap back wherever it stopped, and drop what was staged. May be repeated."""
        ...

    def finish(self) -> None:
        """Drop what was replaced, or keep it under names of its own, as the policy says. There is no way back."""
        ...

    def discard(self) -> None:
        """Drop what was staged and not swapped in, however far the staging came."""
        ...


def present_tables(address: DatabaseAddress) -> set[str]:
    """Return the names of the tables and views that a database holds; PostgreSQL's with their schemas.

    Raises:
        DatabaseConnectionError: the server cannot be reached or refuses the log-in.
    """
    if address.kind == "mysql":
        from backstay.databases.mysql.connection import connect as connect_mysql

        with closing(connect_mysql(address)) as mysql:
            listed = mysql.rows("SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()")
            return {str(row["table_name"]) for row in listed}
    if address.kind == "postgresql":
        from backstay.databases.postgresql.connection import connect as connect_postgresql
        from backstay.databases.postgresql.schema import read_schema

        with connect_postgresql(address) as postgresql:
            return {relation.label for relation in read_schema(postgresql).relations}
    path = Path(address.name)
    if not path.exists() or not is_sqlite_file(path):
        return set()
    from backstay.databases.sqlite.copy import open_read_only

    with closing(open_read_only(path)) as sqlite:
        return {str(row[0]) for row in sqlite.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")}
