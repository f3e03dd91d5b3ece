"""Databases of a site that is restored: loaded where nobody sees it, swapped in at once, and taken back if need be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backstay.databases import DatabaseAddress, ExistingTables
from backstay.restore.databases.scratch import scratch_database
from backstay.restore.databases.stage import Source, Stage, StageRequest, present_tables


def make_stage(
    address: DatabaseAddress,
    policy: ExistingTables,
    folder: Path,
    refused_file: Path,
    state: dict[str, Any] | None = None,
) -> Stage:
    """Return the stage of one database.

    Args:
        address: of the database that is to be replaced or filled.
        policy: what happens to tables of the same names.
        folder: private, for what the stage keeps on disk; it outlives the process.
        refused_file: where statements go that the server refuses; it outlives the restore.
        state: what an earlier process staged, as ``Stage.to_json`` gave it.
    """
    # Imported here: most commands need none of the drivers, which take their time to load.
    if address.kind == "mysql":
        from backstay.restore.databases.mysql import MySQLStage

        return MySQLStage(address, policy, refused_file, state)
    if address.kind == "postgresql":
        from backstay.restore.databases.postgresql import PostgreSQLStage

        return PostgreSQLStage(address, policy, folder, refused_file, state)
    from backstay.restore.databases.sqlite import SQLiteStage

    return SQLiteStage(address, policy, folder.name, state)


__all__ = ["Source", "Stage", "StageRequest", "make_stage", "present_tables", "scratch_database"]
