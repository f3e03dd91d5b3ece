"""PostgreSQL: dump and load."""

from backstay.databases.postgresql.connection import server_version
from backstay.databases.postgresql.dump import dump
from backstay.databases.postgresql.load import load

__all__ = ["dump", "load", "server_version"]
