"""MySQL/MariaDB, PostgreSQL and SQLite: what is in them, as SQL text out and in.

This package stands on its own: it knows neither archives nor backups. A dump goes part by part into a
:class:`PartSink`; a load takes parts from wherever they lie.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

from backstay.databases.address import DatabaseAddress
from backstay.databases.choice import TableChoice
from backstay.databases.model import (
    DumpOptions,
    DumpProgress,
    DumpSummary,
    ExistingTables,
    Json,
    LoadProgress,
    LoadSummary,
    OnWarning,
    Part,
    PartSink,
    SkippedObject,
    TableSummary,
)
from backstay.databases.skipped import Refusals
from backstay.databases.sqlite import copy_sqlite, free_backup_name, is_sqlite_file, row_count
from backstay.steps import finished


class Driver(Protocol):
    """What the module for each kind of database offers."""

    def dump(
        self, address: DatabaseAddress, sink: PartSink, *, name: str, options: DumpOptions, on_warning: OnWarning
    ) -> Generator[DumpProgress, None, DumpSummary]:
        """Dump a database."""
        ...

    def load(
        self,
        address: DatabaseAddress,
        parts: Iterable[Part],
        *,
        metadata: Json | None,
        policy: ExistingTables,
        only_tables: Sequence[str],
        on_warning: OnWarning,
        refusals: Refusals,
    ) -> Generator[LoadProgress, None, LoadSummary]:
        """Load a dump."""
        ...

    def server_version(self, address: DatabaseAddress) -> str:
        """Return the server's name and version."""
        ...


def dump(
    address: DatabaseAddress,
    sink: PartSink,
    *,
    name: str = "site.sql",
    options: DumpOptions | None = None,
    on_warning: OnWarning,
) -> Generator[DumpProgress, None, DumpSummary]:
    """Dump a database, in one consistent snapshot, into the parts of a sink.

    Args:
        address: the database.
        sink: gives a file for each part's name (``site.sql``, ``site.s01``, …).
        name: name of the first part.
        options: how; the defaults write the form that goes into an archive.
        on_warning: called with one sentence for all that could not be dumped as it stands in the database.

    Yields:
        The progress, after each batch of rows.

    Returns:
        What was written.

    Raises:
        DatabaseConnectionError: the server cannot be reached, refuses the log-in, or went away.
        DumpError: the database could not be read.
        OSError: the sink could not be written.
    """
    module = _module_of(address)
    return (yield from module.dump(address, sink, name=name, options=options or DumpOptions(), on_warning=on_warning))


def load(
    address: DatabaseAddress,
    parts: Iterable[Part],
    *,
    metadata: Json | None = None,
    policy: ExistingTables = ExistingTables.REFUSE,
    only_tables: Sequence[str] = (),
    on_warning: OnWarning,
    refused_file: Path | None = None,
) -> Generator[LoadProgress, None, LoadSummary]:
    """Load the parts of a dump into a database of the same kind.

    What was there stays as it was until everything is loaded, and for good if the load fails.

    Args:
        address: the database; it must exist. ``address.prefix`` takes the place of ``#__``.
        parts: each part's name and a function that opens it, in order.
        metadata: the dump's entry of databases.json, where there is one.
        policy: what happens to tables of the same names.
        only_tables: patterns of the names of what is loaded, as :class:`TableChoice` reads them; none: everything.
            Everything else in the database stays as it is. Triggers come with their tables, views and MySQL's
            routines by their own names; PostgreSQL's partitions and sequences come with the tables they belong to, and
            its types and functions where the database lacks them.
        on_warning: called with one sentence for all that could not be loaded as it stands in the dump.
        refused_file: where the statements go of objects that the server refuses to make; None: into the summary only.

    Yields:
        The progress, after each batch of statements.

    Returns:
        What was made.

    Raises:
        DatabaseConnectionError: the server cannot be reached, refuses the log-in, or went away.
        TablesExistError: tables of the same names exist and the policy is to refuse.
        LoadError: a statement was refused; the message names its part and offset.
    """
    module = _module_of(address)
    return (
        yield from module.load(
            address,
            parts,
            metadata=metadata,
            policy=policy,
            only_tables=only_tables,
            on_warning=on_warning,
            refusals=Refusals(on_warning, refused_file),
        )
    )


def _module_of(address: DatabaseAddress) -> Driver:
    """Return the module for a kind of database; its driver is loaded only now."""
    if address.kind == "mysql":
        from backstay.databases import mysql

        return mysql
    if address.kind == "postgresql":
        from backstay.databases import postgresql

        return postgresql
    from backstay.databases import sqlite

    return sqlite


class _Discard:
    """A sink for a dump of which only the summary counts."""

    def open(self, _name: str) -> BinaryIO:
        return Path(os.devnull).open("wb")


def measure(address: DatabaseAddress, *, options: DumpOptions | None = None) -> Mapping[str, TableSummary]:
    """Count and sum up the rows of every table, in one snapshot, as a dump with the same options does.

    Two databases hold the same rows if this answers the same for both; so does a database that a dump was loaded into,
    against the dump's own summary, on a server of the same kind.

    Args:
        address: the database.
        options: the dump's options, for its filters and the form of its names.

    Returns:
        Rows and checksum under each table's name in a dump.

    Raises:
        DatabaseConnectionError: the server cannot be reached, refuses the log-in, or went away.
        DumpError: the database could not be read.
    """
    return finished(dump(address, _Discard(), options=options, on_warning=lambda _: None)).tables


def test_connection(address: DatabaseAddress) -> str:
    """Log in to a database and return its server's version, such as ``MariaDB 10.11.6``.

    Raises:
        DatabaseConnectionError: the server cannot be reached or refuses the log-in.
    """
    module = _module_of(address)
    return module.server_version(address)


__all__ = [
    "DatabaseAddress",
    "DumpOptions",
    "DumpProgress",
    "DumpSummary",
    "ExistingTables",
    "LoadProgress",
    "LoadSummary",
    "PartSink",
    "SkippedObject",
    "TableChoice",
    "TableSummary",
    "copy_sqlite",
    "dump",
    "free_backup_name",
    "is_sqlite_file",
    "load",
    "measure",
    "row_count",
    "test_connection",
]
