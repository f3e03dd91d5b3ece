"""What a MySQL or MariaDB database holds is the same after a dump and a load."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from backstay.databases import DatabaseAddress, DumpOptions, ExistingTables
from support import compare
from support.mysql import MySQLServer
from support.sinks import dump_to, load_from

pytestmark = pytest.mark.mysql

FIXTURES = Path(__file__).parents[2] / "fixtures"

# One statement a paragraph.
ODD = (Path(__file__).parent / "everything.sql").read_text().rstrip().split("\n\n")


@pytest.fixture
def copy(mysql_server: MySQLServer, mysql_database: DatabaseAddress) -> Any:
    address = mysql_server.create(mysql_database.name + "_copy")
    yield address
    mysql_server.drop(address.name)


def with_prefix(address: DatabaseAddress, prefix: str) -> DatabaseAddress:
    from dataclasses import replace

    return replace(address, prefix=prefix)


def make_site(server: MySQLServer, database: str, folder: Path, rows: int) -> None:
    """Fill a database with the fixtures' sample site, prefix ``tst_``."""
    target = folder / "site.sql"
    command = [sys.executable, str(FIXTURES / "make_site.py"), "--root", str(folder / "none"), "--skip-files"]
    subprocess.run([*command, "--db", database, "--rows", str(rows), "--sql-out", str(target)], check=True)
    run_sql(server, target)


def run_sql(server: MySQLServer, path: Path, database: str = "") -> None:
    """Run a file of SQL with the server's own client."""
    from support.missing import skip_or_fail
    from support.mysql import find_program

    client = find_program("mariadb", "mysql")
    if client is None:
        skip_or_fail("no mariadb client: install mariadb-client")
    with path.open("rb") as file:
        subprocess.run([client, *server.client_arguments(), *([database] if database else [])], stdin=file, check=True)


def needs_mariadb(server: MySQLServer) -> None:
    if "MariaDB" not in server.execute("SELECT VERSION()")[0][0]:
        pytest.skip("the server is not MariaDB, whose sequences and versioned tables the test needs")


def test_the_sample_site(
    mysql_server: MySQLServer, mysql_database: DatabaseAddress, copy: DatabaseAddress, tmp_path: Path
) -> None:
    make_site(mysql_server, mysql_database.name, tmp_path, 5000)
    warnings: list[str] = []
    sink, summary = dump_to(tmp_path / "dump", with_prefix(mysql_database, "tst_"), warnings=warnings)
    assert [w.partition(":")[0] for w in warnings] == ["No snapshot covers what is not transactional"]
    assert "tst_sets" in warnings[0]
    loaded = load_from(sink, copy, metadata=summary.metadata)
    compare.assert_same_database(mysql_server, mysql_database.name, copy.name)
    assert loaded.rows == summary.rows
    assert summary.metadata["parts"] == len(sink.names) > 1
    assert sink.names[:2] == ["site.sql", "site.s01"]


def test_every_kind_of_object_name_and_value(
    mysql_server: MySQLServer, mysql_database: DatabaseAddress, copy: DatabaseAddress, tmp_path: Path
) -> None:
    needs_mariadb(mysql_server)
    mysql_server.execute(["SET foreign_key_checks = 0", *ODD], mysql_database.name)
    warnings: list[str] = []
    sink, summary = dump_to(tmp_path, with_prefix(mysql_database, "jos_"), warnings=warnings)
    assert [w.partition(":")[0] for w in warnings] == ["No snapshot covers what is not transactional"]
    warnings = []
    load_from(sink, copy, metadata=summary.metadata, warnings=warnings)
    assert [w for w in warnings if "Data truncated" not in w] == []
    compare.assert_same_database(mysql_server, mysql_database.name, copy.name)
    for table in ("jos_versioned", "jos_period"):
        history = [
            compare.rows(mysql_server, name, table, source="FOR SYSTEM_TIME ALL")
            for name in (mysql_database.name, copy.name)
        ]
        assert history[0] == history[1]
        assert history[0].total() > 1
    states = [mysql_server.execute("SELECT * FROM jos_seq", name) for name in (mysql_database.name, copy.name)]
    assert states[0] == states[1]
    names = summary.metadata["tables"]
    assert names["sequence"] == ["#__seq"]
    assert set(names["table"]) >= {"#__a.b c", "#__no_key"}
    assert b"TABLE `jos_" not in sink.text()


def test_another_prefix_changes_identifiers_and_nothing_else(
    mysql_server: MySQLServer, mysql_database: DatabaseAddress, copy: DatabaseAddress, tmp_path: Path
) -> None:
    make_site(mysql_server, mysql_database.name, tmp_path, 2500)
    sink, summary = dump_to(tmp_path / "dump", with_prefix(mysql_database, "tst_"))
    load_from(sink, with_prefix(copy, "new_"), metadata=summary.metadata)
    before, after = compare.objects(mysql_server, mysql_database.name), compare.objects(mysql_server, copy.name)
    assert after == {kind: sorted(name.replace("tst_", "new_") for name in names) for kind, names in before.items()}
    for table in before["BASE TABLE"]:
        new = table.replace("tst_", "new_")
        assert compare.rows(mysql_server, copy.name, new) == compare.rows(mysql_server, mysql_database.name, table)
    marked = "SELECT count(*) FROM `{}order` WHERE `select` = '#__notprefix'"
    assert mysql_server.execute(marked.format("new_"), copy.name) == mysql_server.execute(
        marked.format("tst_"), mysql_database.name
    )
    mysql_server.execute("INSERT INTO new_categories (id, title) VALUES (99999, 'x')", copy.name)
    assert mysql_server.execute("SELECT count(*) FROM new_log", copy.name) == [(1,)]


def test_a_table_named_like_the_prefix_alone_keeps_its_name(
    mysql_server: MySQLServer, mysql_database: DatabaseAddress, copy: DatabaseAddress, tmp_path: Path
) -> None:
    for statement in (
        "CREATE TABLE tst_ (id INT)",
        "CREATE TABLE tst_n (a INT)",
        "CREATE TRIGGER tst_g BEFORE INSERT ON tst_n FOR EACH ROW BEGIN INSERT INTO tst_ VALUES (NEW.a); END",
    ):
        mysql_server.execute(statement, mysql_database.name)
    sink, summary = dump_to(tmp_path, with_prefix(mysql_database, "tst_"))
    load_from(sink, with_prefix(copy, "tst_"), metadata=summary.metadata)
    compare.assert_same_database(mysql_server, mysql_database.name, copy.name)


def test_replacing_the_prefix_everywhere_as_other_restorers_do_harms_no_value(
    mysql_server: MySQLServer, mysql_database: DatabaseAddress, copy: DatabaseAddress, tmp_path: Path
) -> None:
    make_site(mysql_server, mysql_database.name, tmp_path, 2500)
    sink, _ = dump_to(tmp_path / "dump", with_prefix(mysql_database, "tst_"))
    statements = sink.text().replace(b"#__", b"tst_").split(b"\n/**ABDB**/")
    connection = mysql_server.connect(copy.name)
    with connection, connection.cursor() as cursor:
        cursor.execute("SET foreign_key_checks = 0, sql_mode = 'NO_AUTO_VALUE_ON_ZERO'")
        for statement in statements:
            bare = statement.decode().replace("/**ABDB**/\n", "").strip().rstrip(";")
            if bare and bare != "/**ABDB**/":
                cursor.execute(bare)
    compare.assert_same_database(mysql_server, mysql_database.name, copy.name)


def test_a_single_file_loads_with_the_servers_own_client_and_with_backstay(
    mysql_server: MySQLServer, mysql_database: DatabaseAddress, copy: DatabaseAddress, tmp_path: Path
) -> None:
    make_site(mysql_server, mysql_database.name, tmp_path, 2500)
    sink, _ = dump_to(tmp_path / "dump", with_prefix(mysql_database, "tst_"), options=DumpOptions.single_file())
    assert sink.names == ["site.sql"]
    assert b"#__c" not in sink.text()
    run_sql(mysql_server, tmp_path / "dump/site.sql", copy.name)
    compare.assert_same_database(mysql_server, mysql_database.name, copy.name)
    load_from(sink, copy, policy=ExistingTables.REPLACE)
    compare.assert_same_database(mysql_server, mysql_database.name, copy.name)


def test_rows_longer_than_the_server_takes_in_one_piece(
    mysql_server: MySQLServer, mysql_database: DatabaseAddress, copy: DatabaseAddress, tmp_path: Path
) -> None:
    limit = mysql_server.execute("SELECT @@max_allowed_packet")[0][0]
    half = min(limit, 16 << 20) * 3 // 5
    mysql_server.execute(
        [
            "CREATE TABLE big (id int, b longblob, t longtext, l longtext CHARACTER SET latin1, note varchar(20))",
            f"INSERT INTO big VALUES (1, REPEAT(x'00FF275C', {half // 4}), NULL, NULL, 'it''s')",
            f"INSERT INTO big VALUES (2, NULL, REPEAT('\\'ü🎉\\\\', {half // 8}), 'small', '#__')",
            f"INSERT INTO big VALUES (3, '', NULL, REPEAT('ü', {half // 2}), NULL), (4, 'x', 'y', 'z', '')",
            f"UPDATE big SET b = REPEAT('b', {half}) WHERE id = 3",
        ],
        mysql_database.name,
    )
    sink, summary = dump_to(tmp_path, mysql_database)
    assert summary.tables["big"].rows == 4
    load_from(sink, copy, metadata=summary.metadata)
    query = "SELECT id, MD5(b), MD5(t), MD5(HEX(l)), LENGTH(b), LENGTH(t), CHAR_LENGTH(l), note FROM big ORDER BY id"
    assert mysql_server.execute(query, copy.name) == mysql_server.execute(query, mysql_database.name)
    assert compare.definitions(mysql_server, copy.name) == compare.definitions(mysql_server, mysql_database.name)


def test_definer_is_left_out_unless_asked_for(
    mysql_server: MySQLServer, mysql_database: DatabaseAddress, tmp_path: Path
) -> None:
    mysql_server.execute(
        [
            "CREATE VIEW v AS SELECT 1 AS a",
            "CREATE PROCEDURE p() SELECT 1",
            "CREATE TABLE t (a int)",
            "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET @DEFINER = 1",
        ],
        mysql_database.name,
    )
    without, _ = dump_to(tmp_path / "a", mysql_database)
    assert b"DEFINER=" not in without.text()
    with_definer, _ = dump_to(tmp_path / "b", mysql_database, options=DumpOptions(definer=True))
    assert with_definer.text().count(b"DEFINER=") == 3


def test_engine_options_are_stripped_when_asked_for(
    mysql_server: MySQLServer, mysql_database: DatabaseAddress, tmp_path: Path
) -> None:
    mysql_server.execute(
        "CREATE TABLE t (a int, `ROW_FORMAT=X` int COMMENT 'x USING BTREE', KEY a (a) USING BTREE) "
        "ENGINE=InnoDB ROW_FORMAT=DYNAMIC",
        mysql_database.name,
    )
    plain, _ = dump_to(tmp_path / "a", mysql_database)
    assert b"KEY `a` (`a`) USING BTREE" in plain.text()
    stripped, _ = dump_to(tmp_path / "b", mysql_database, options=DumpOptions(strip_engine_options=True))
    text = stripped.text()
    assert b"KEY `a` (`a`)\n" in text
    assert b"ENGINE=InnoDB DEFAULT CHARSET" in text
    assert b"`ROW_FORMAT=X` int(11) DEFAULT NULL COMMENT 'x USING BTREE'" in text
