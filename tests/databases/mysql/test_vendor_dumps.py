"""The vendor's dumps load: of version 10 from an archive, database-only, and of 2015."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest

from backstay.archives import open_archive
from backstay.databases import DatabaseAddress, DumpOptions
from support import compare
from support.mysql import MySQLServer
from support.sinks import FolderSink, dump_to, load_from

from .test_round_trip import run_sql

pytestmark = pytest.mark.mysql

REFERENCE = Path(__file__).parents[2] / "fixtures" / "reference-archives"
# What the vendor's dump had lost already: bits written as decimal digits, FLOAT rounded.
LOST = [("tst_numbers", column) for column in ("f", "b1", "b8", "b64")]


@pytest.fixture
def original(mysql_server: MySQLServer, mysql_database: DatabaseAddress, tmp_path: Path) -> DatabaseAddress:
    """Load the statements that made the reference site."""
    text = gzip.decompress((REFERENCE / "tiny-source.sql.gz").read_bytes())
    source = tmp_path / "source.sql"
    source.write_bytes(text.replace(b"`sitetiny`", f"`{mysql_database.name}`".encode()))
    run_sql(mysql_server, source)
    return mysql_database


@pytest.fixture
def empty(mysql_server: MySQLServer, original: DatabaseAddress) -> DatabaseAddress:
    return mysql_server.create(original.name + "_loaded")


def assert_equal_but_for_what_was_lost(server: MySQLServer, original: DatabaseAddress, loaded: DatabaseAddress) -> None:
    assert compare.objects(server, original.name) == compare.objects(server, loaded.name)
    compare.assert_same_rows(server, original.name, loaded.name, skip=LOST)
    server.drop(loaded.name)


def test_the_layout_of_version_10(
    mysql_server: MySQLServer, original: DatabaseAddress, empty: DatabaseAddress, tmp_path: Path
) -> None:
    with open_archive(REFERENCE / "tiny-layout.jpa") as archive:
        archive.extract(tmp_path / "site", only=["installation/**"])
    folder = tmp_path / "site/installation/sql"
    metadata = json.loads((folder / "databases.json").read_bytes())["site.sql"]
    sink = FolderSink(folder)
    sink.names = ["site.sql", "site.s01"]
    loaded = load_from(sink, replace(empty, prefix="tst_"), metadata=metadata)
    assert loaded.rows == sum(
        mysql_server.execute(f"SELECT count(*) FROM `{table}`", original.name)[0][0] for table in loaded.tables
    )
    assert_equal_but_for_what_was_lost(mysql_server, original, empty)


def test_the_database_only_form(mysql_server: MySQLServer, original: DatabaseAddress, empty: DatabaseAddress) -> None:
    sink = FolderSink(REFERENCE)
    sink.names = ["tiny-dbonly.sql"]
    warnings: list[str] = []
    load_from(sink, empty, warnings=warnings)
    assert_equal_but_for_what_was_lost(mysql_server, original, empty)
    # The server tells which values the dump had lost.
    assert any("tst_numbers" in warning for warning in warnings)


def test_one_statement_a_line_as_in_2015(
    mysql_server: MySQLServer, original: DatabaseAddress, empty: DatabaseAddress, tmp_path: Path
) -> None:
    sink, _ = dump_to(
        tmp_path / "new", replace(original, prefix="tst_"), options=DumpOptions(part_size=0, extended_inserts=False)
    )
    lines = []
    for statement in sink.text().split(b"/**ABDB**/"):
        # Line breaks inside CREATE became blanks, and comments in bodies were taken out.
        bare = statement.replace(b"  -- a comment; with a semicolon\n", b"").strip()
        if bare and not bare.startswith(b"SET "):
            lines.append(bare.replace(b"\n", b" "))
    old = FolderSink(tmp_path / "old")
    with old.open("site.sql") as file:
        file.write(b"\n".join(lines) + b"\n")
    # A value that holds the marker itself was torn apart above: the 2015 form has no marker, so write them again.
    if any(b"/**ABDB**/" in line for line in lines):
        pytest.fail("the text was not cut as meant")
    load_from(old, replace(empty, prefix="tst_"))
    assert compare.objects(mysql_server, original.name) == compare.objects(mysql_server, empty.name)
    mysql_server.drop(empty.name)
