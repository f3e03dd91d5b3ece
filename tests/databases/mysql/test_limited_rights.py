"""A server with a binary log, a user with rights on one database only, and a table whose file is damaged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from backstay.databases import DatabaseAddress, load
from support.missing import skip_or_fail
from support.mysql import MySQLServer, start_private_server
from support.sinks import dump_to, finish

from .test_compatibility import FROM_MYSQL_8, METADATA, written

pytestmark = pytest.mark.mysql


@pytest.fixture
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logged")


@pytest.fixture
def logged(data_folder: Path) -> Iterator[MySQLServer]:
    """A server that writes a binary log and trusts no maker of functions."""
    server = start_private_server(data_folder, arguments=["--log-bin", "--log-bin-trust-function-creators=0"])
    if server is None:
        skip_or_fail("no MariaDB server: install mariadb-server")
    yield server
    server.close()


def owner_of_one(server: MySQLServer, name: str) -> DatabaseAddress:
    """Make a database and a user who has all rights on it, and none elsewhere."""
    address = server.create(name)
    server.execute(["CREATE USER one@localhost IDENTIFIED BY 'pw'", f"GRANT ALL ON {name}.* TO one@localhost"])
    return replace(address, user="one", password="pw")


def test_what_needs_more_rights_is_kept_in_the_file_and_the_rest_is_loaded(logged: MySQLServer, tmp_path: Path) -> None:
    address = owner_of_one(logged, "site")
    statements = [
        *FROM_MYSQL_8,
        "CREATE FUNCTION `#__unsafe`() RETURNS int RETURN (SELECT count(*) FROM `#__a`)",
        "CREATE TRIGGER `#__late` BEFORE INSERT ON `#__b` FOR EACH ROW SET NEW.id = 1",
        "CREATE DEFINER=`nobody`@`nowhere` VIEW `#__orphan` AS SELECT 1 AS `a`",
    ]
    sink, said, kept = written(tmp_path, statements), list[str](), tmp_path / "refused.sql"
    loaded = finish(
        load(
            replace(address, prefix="new_"),
            sink.parts(),
            metadata=METADATA,
            on_warning=said.append,
            refused_file=kept,
        )
    )
    assert loaded.rows == 4
    refused = [(one.kind, one.name) for one in loaded.skipped]
    assert set(refused) == {
        ("function", "new_f"),
        ("function", "new_unsafe"),
        ("trigger", "new_late"),
        ("view", "new_orphan"),
    }
    text = kept.read_text()
    for kind, name in refused:
        assert any(one.startswith(f"The {kind} {name} could not be made: ") and str(kept) in one for one in said)
        assert f"`{name}`" in text
    assert any("storage engine NDBCLUSTER: InnoDB is used" in one for one in said)
    assert sorted(logged.execute("SHOW TABLES", "site")) == [("new_a",), ("new_b",), ("new_v",)]


def test_tables_that_cannot_be_read_and_a_view_without_a_definer_do_not_fail_the_dump(
    logged: MySQLServer, data_folder: Path, tmp_path: Path
) -> None:
    address = owner_of_one(logged, "site")
    logged.execute(
        [
            "CREATE TABLE good (a int)",
            "INSERT INTO good VALUES (1)",
            "CREATE TABLE crashed (a int PRIMARY KEY, t varchar(99)) ENGINE=MyISAM",
            "INSERT INTO crashed SELECT seq, REPEAT('x', 90) FROM seq_1_to_500",
            "CREATE TABLE torn ENGINE=MyISAM SELECT * FROM crashed",
            "CREATE TABLE strange (a int) ENGINE=MyISAM",
            "CREATE DEFINER=nobody@nowhere VIEW orphan AS SELECT a FROM good",
            "FLUSH TABLES",
        ],
        "site",
    )
    index = data_folder / "site/crashed.MYI"
    index.write_bytes(b"\x00" * 200 + index.read_bytes()[200:])
    rows = data_folder / "site/torn.MYD"
    rows.write_bytes(rows.read_bytes()[:1000])
    # A name of the same length that no engine has, as of one whose plugin is gone.
    definition = data_folder / "site/strange.frm"
    definition.write_bytes(definition.read_bytes().replace(b"MyISAM", b"Sphinx"))
    said: list[str] = []
    sink, summary = dump_to(tmp_path, address, warnings=said)
    assert summary.tables["good"].rows == 1
    assert any("crashed" in one and "could not be dumped" in one for one in said), said
    assert any(one.startswith("The view orphan ") for one in said), said
    assert any("strange could not be dumped: Unknown storage engine" in one for one in said), said
    assert any("rows of the table torn could not be dumped" in one for one in said), said
    assert {"crashed", "strange", "torn"} == {one.name for one in summary.skipped}
    assert b"CREATE TABLE `torn`" in sink.text()
    assert b"INSERT INTO `good`" in sink.text()
