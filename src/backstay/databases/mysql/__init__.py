"""MySQL and MariaDB: dump, and load in steps that can be finished or undone by another process."""

from backstay.databases.mysql.connection import server_version
from backstay.databases.mysql.dump import dump
from backstay.databases.mysql.load import Staging, load
from backstay.databases.mysql.staged import StagedLoad
from backstay.databases.mysql.swap import discard, finish, swap, undo

__all__ = ["StagedLoad", "Staging", "discard", "dump", "finish", "load", "server_version", "swap", "undo"]
