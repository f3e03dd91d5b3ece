"""Databases of a site that is restored: loaded where nobody sees it, swapped in at once, and taken back if need be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backstay.databases import DatabaseAddress, ExistingTables
from backstay.restore.databases.mysql import MySQLStage
from backstay.restore.databases.postgresql import PostgreSQLStage
from backstay.restore.databases.scratch import scratch_database
from backstay.restore.databases.sqlite import SQLiteStage
from backstay.restore.databases.stage import Source, Stage, StageRequest, present_tables


def make_stage(
    address: DatabaseAddress, policy: ExistingTables, folder: Path, state: dict[str, Any] | None = None
) -> Stage:
    """Return the stage of one database.

    Args:
        address: of the database that is to be replaced or filled.
        policy: what happens to tables of the same names.
        folder: private, for what the stage keeps on disk; it outlives the process.
        state: what an earlier process staged, as ``Stage.to_json`` gave it.
    """
    if address.kind == "mysql":
        return MySQLStage(address, policy, state)
    if address.kind == "postgresql":
        return PostgreSQLStage(address, policy, folder, state)
    return SQLiteStage(address, policy, folder.name, state)


__all__ = ["Source", "Stage", "StageRequest", "make_stage", "present_tables", "scratch_database"]
