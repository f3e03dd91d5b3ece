"""Copying the catalogue of a home into an empty PostgreSQL database, compared row by row before it counts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from sqlalchemy import Connection, Engine, Table, func, insert, select, text

from backstay.catalogue import postgresql
from backstay.catalogue.home import Home
from backstay.catalogue.location import check_url, home_word, machine_name
from backstay.catalogue.remote_runs import ANY_MACHINE
from backstay.catalogue.schema import ByteText, metadata
from backstay.errors import UsageError, VerificationError

Migrate = Callable[[Engine], None]
_BATCH: Final = 500
# What is known of other machines is of no use to a home that had none.
_LEFT_OUT: Final = ("machines", "workers")


def copy_tables(home: Home, source: Engine, url: str, migrate: Migrate) -> dict[str, int]:
    """Copy all tables in one transaction; either all of it is there afterwards, and compared, or nothing.

    Nobody can write to the catalogue of the home meanwhile; it stays as it is.

    Args:
        home: whose.
        source: over its own file.
        url: of the database.
        migrate: makes the tables in a database.

    Returns:
        The number of rows of each table that has any.

    Raises:
        ConfigurationError: the database can't be opened.
        UsageError: it holds a catalogue already, or can't hold what this one does.
        VerificationError: what was read back is not what was written.
    """
    check_url(url)
    target = postgresql.make_engine(url)
    try:
        migrate(target)
        machine = machine_name(home)
        with (
            source.execution_options(writes=True).connect() as old,
            target.execution_options(writes=True).begin() as new,
        ):
            _refuse_used(new, postgresql.shown(url))
            copied = {table.name: _copy(table, old, new, machine) for table in _tables()}
            for table in _tables():
                _compare(table, old, new, machine)
                _go_on_counting(table, old, new)
            values = {"name": machine, "home": home_word(home), "since": datetime.now(UTC)}
            new.execute(insert(metadata.tables["machines"]).values(values))
    finally:
        target.dispose()
    return {name: count for name, count in copied.items() if count}


def _tables() -> list[Table]:
    return [table for table in metadata.sorted_tables if table.name not in _LEFT_OUT]


def _refuse_used(connection: Connection, place: str) -> None:
    for table in metadata.sorted_tables:
        if connection.execute(select(func.count()).select_from(table)).scalar_one():
            raise UsageError(
                f"The database {place} holds a catalogue already (rows in {table.name}): name an empty database."
            )


def _rows(table: Table, connection: Connection) -> Iterator[dict[str, Any]]:
    """Give the rows of a table by the keys of its columns."""
    columns = [column.label(column.key) for column in table.c]
    for row in connection.execute(select(*columns), execution_options={"yield_per": _BATCH}):
        yield row._asdict()


def _expected(table: Table, row: dict[str, Any], machine: str) -> dict[str, Any]:
    """Return what a row of a home's own catalogue is in one that machines share."""
    found = {key: _text(table.c[key].type, value) for key, value in row.items()}
    if "machine" in found and found["machine"] != ANY_MACHINE:
        found["machine"] = machine
    if table.name == "observations" and found["what"] in ("disk", "round"):
        found["subject"] = f"{machine}:{found['subject']}" if found["what"] == "disk" else machine
    if table.name == "runs" and found["state"] == "running":
        # Its workflow is in the queue of the home: it is begun anew in the other, with the backup that it has.
        found["state"] = "waiting"
    if table.name == "remote_runs" and found["state"] == "running":
        found.update(state="waiting", holder="")
    return found


def _text(kind: Any, value: Any) -> Any:
    """Return a value as PostgreSQL keeps it: its texts can't hold the character NUL."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) and not isinstance(kind, ByteText) else value


def _copy(table: Table, old: Connection, new: Connection, machine: str) -> int:
    count = 0
    rows = (_expected(table, row, machine) for row in _rows(table, old))
    while batch := list(islice(rows, _BATCH)):
        new.execute(insert(table), batch)
        count += len(batch)
    return count


def _compare(table: Table, old: Connection, new: Connection, machine: str) -> None:
    written = _sum(_expected(table, row, machine) for row in _rows(table, old))
    read = _sum(_rows(table, new))
    if written != read:
        raise VerificationError(
            f"The table {table.name} is not in the database what it is here ({read[0]} rows, here {written[0]}): "
            "nothing was copied."
        )


def _sum(rows: Iterable[dict[str, Any]]) -> tuple[int, int]:
    """Return how many rows there are, and the sum of their hashes: the same in whatever order they come."""
    count = total = 0
    for row in rows:
        count += 1
        total += int.from_bytes(hashlib.sha256(repr(sorted(row.items())).encode("utf-8", "backslashreplace")).digest())
    return count, total % (1 << 256)


def _go_on_counting(table: Table, old: Connection, new: Connection) -> None:
    """See to it that no number is given again that was given before, though its row is deleted."""
    if not table.dialect_options["sqlite"]["autoincrement"]:
        return
    query = text("SELECT seq FROM sqlite_sequence WHERE name = :name")
    last = old.execute(query, {"name": table.name}).scalar_one_or_none()
    if last:
        setting = text("SELECT setval(pg_get_serial_sequence(:name, 'id'), :last)")
        new.execute(setting, {"name": table.name, "last": last})
