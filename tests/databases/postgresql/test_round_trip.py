"""What a PostgreSQL database holds is the same after a dump and a load."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from backstay.databases import DatabaseAddress
from support.postgresql import PostgreSQLServer
from support.sinks import dump_to, load_from

pytestmark = pytest.mark.postgresql

# One statement a paragraph.
EVERYTHING = (Path(__file__).parent / "everything.sql").read_text().rstrip().split("\n\n")


def schema(server: PostgreSQLServer, name: str) -> str:
    """Return what ``pg_dump --schema-only`` says of a database."""
    address = server.address(name)
    command = [
        server.program("pg_dump"),
        "--schema-only",
        "-h",
        address.socket or address.host,
        "-U",
        address.user,
        name,
    ]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return re.sub(r"(?m)^\\(un)?restrict .*$", "", text)


def rows(server: PostgreSQLServer, name: str) -> dict[str, Counter[str]]:
    """Return each table's rows, as COPY writes them."""
    found: dict[str, Counter[str]] = {}
    with server.connect(name) as connection:
        tables = connection.execute(
            "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE c.relkind IN ('r', 'm', 'S') AND n.nspname !~ '^(pg_|information_schema)' AND c.relispopulated"
        ).fetchall()
        for (table,) in tables:
            columns = "last_value, is_called" if "seq" in table or table == "loose" else "*"
            with connection.cursor().copy(f"COPY (SELECT {columns} FROM ONLY {table}) TO STDOUT".encode()) as copy:
                found[table] = Counter(bytes(row).decode() for row in copy)
        found["large objects"] = Counter(
            f"{oid} {data}"
            for oid, data in connection.execute("SELECT oid, md5(lo_get(oid)) FROM pg_largeobject_metadata").fetchall()
        )
    return found


def test_every_kind_of_object_and_value_comes_back(
    postgresql_server: PostgreSQLServer, postgresql_database: DatabaseAddress, tmp_path: Path
) -> None:
    source = postgresql_database.name
    target = postgresql_server.create(source + "_copy")
    postgresql_server.execute(EVERYTHING, source)
    warnings: list[str] = []
    sink, summary = dump_to(tmp_path, postgresql_database, warnings=warnings)
    loaded = load_from(sink, target, metadata=summary.metadata, warnings=warnings)
    try:
        assert warnings == []
        assert schema(postgresql_server, target.name) == schema(postgresql_server, source)
        assert rows(postgresql_server, target.name) == rows(postgresql_server, source)
        assert summary.tables["shop.orders"].rows == 5000
        assert summary.metadata["dbtech"] == "postgresql"
        assert loaded.rows == summary.rows
        assert len(sink.names) > 1
    finally:
        postgresql_server.drop(target.name)
