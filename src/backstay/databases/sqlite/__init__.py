"""SQLite: a consistent copy of the file, and the form as SQL text."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from backstay.databases.address import DatabaseAddress
from backstay.databases.sqlite.copy import copy_sqlite, is_sqlite_file, open_read_only, row_count
from backstay.databases.sqlite.dump import dump
from backstay.databases.sqlite.load import free_backup_name, load


def server_version(address: DatabaseAddress) -> str:
    """Open the file and return SQLite's version.

    Raises:
        DatabaseConnectionError: the file is not there or is not a SQLite database.
    """
    with closing(open_read_only(address.name)):
        return f"SQLite {sqlite3.sqlite_version}"


__all__ = ["copy_sqlite", "dump", "free_backup_name", "is_sqlite_file", "load", "row_count", "server_version"]
