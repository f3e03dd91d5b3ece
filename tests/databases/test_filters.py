"""Tables and rows are left out as asked, and what the vendor never dumps is not dumped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from backstay.databases import DatabaseAddress, DumpOptions
from backstay.databases.filters import matches_pcre
from backstay.errors import ConfigurationError
from support.mysql import MySQLServer
from support.sinks import dump_to

pytestmark = pytest.mark.mysql


@pytest.fixture
def site(mysql_server: MySQLServer, mysql_database: DatabaseAddress) -> DatabaseAddress:
    statements = []
    for name in ("jos_users", "jos_session", "jos_tmp_1", "jos_tmp_2", "other", "bak_old", "#__odd", "jos_bf_files"):
        statements += [f"CREATE TABLE `{name}` (a int)", f"INSERT INTO `{name}` VALUES (1)"]
    statements += ["CREATE TABLE jos_memory (a int) ENGINE=MEMORY", "INSERT INTO jos_memory VALUES (1)"]
    statements += ["CREATE PROCEDURE jos_proc() SELECT 1", "CREATE VIEW jos_view AS SELECT 1 AS a"]
    mysql_server.execute(statements, mysql_database.name)
    return replace(mysql_database, prefix="jos_")


def test_what_is_never_dumped(site: DatabaseAddress, tmp_path: Path) -> None:
    warnings: list[str] = []
    _, summary = dump_to(tmp_path, site, warnings=warnings)
    assert summary.metadata["tables"] == {
        "procedure": ["#__proc"],
        "table": ["#__bf_files", "#__memory", "#__session", "#__tmp_1", "#__tmp_2", "#__users", "other"],
        "view": ["#__view"],
    }
    assert set(summary.tables) == {"#__memory", "#__session", "#__tmp_1", "#__tmp_2", "#__users", "other"}
    assert any("#__odd is not dumped" in warning for warning in warnings)
    assert any("bak_old is not dumped" in warning for warning in warnings)


def test_tables_and_rows_are_left_out_by_name_and_expression(site: DatabaseAddress, tmp_path: Path) -> None:
    options = DumpOptions(
        skip_tables=frozenset({"other", "#__proc", "#__view"}),
        skip_table_data=frozenset({"#__session"}),
        skip_tables_regex=("/^#__TMP_1$/i",),
        skip_table_data_regex=("#_2$#",),
    )
    _, summary = dump_to(tmp_path, site, options=options)
    assert summary.metadata["tables"] == {"table": ["#__bf_files", "#__memory", "#__session", "#__tmp_2", "#__users"]}
    assert set(summary.tables) == {"#__memory", "#__users"}


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("/^a/", "abc", True),
        ("!/^a/", "abc", False),
        ("#\\.bak$#i", "x.BAK", True),
        ("{^a b$}x", "ab", True),
        ("~a/b~", "a/b", True),
    ],
)
def test_expressions_have_delimiters_flags_and_negation(pattern: str, name: str, expected: bool) -> None:
    assert matches_pcre(pattern, name) is expected


@pytest.mark.parametrize("pattern", ["", "abc", "/abc", "/(/", "/a/q", "a"])
def test_a_malformed_expression_is_reported(pattern: str) -> None:
    with pytest.raises(ConfigurationError):
        matches_pcre(pattern, "x")
