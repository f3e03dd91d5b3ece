"""SQLite: a consistent copy of the file, and the form as SQL text."""

from backstay.databases.sqlite.copy import copy_sqlite, is_sqlite_file

__all__ = ["copy_sqlite", "is_sqlite_file"]
