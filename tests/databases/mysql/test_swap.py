"""What a load replaced comes back as it was when the swap is undone, however often."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backstay.databases import DatabaseAddress, ExistingTables
from backstay.databases.mysql import Staging, swap, undo
from backstay.databases.mysql.connection import Connection
from backstay.databases.skipped import Refusals
from support import compare
from support.mysql import MySQLServer
from support.sinks import FolderSink, dump_to, finish, load_from

pytestmark = pytest.mark.mysql

SITE = [
    "CREATE TABLE jos_t (id int PRIMARY KEY, name varchar(20))",
    "INSERT INTO jos_t VALUES (1, 'old')",
    # So that neither the alphabet nor its reverse is the order in which they need each other.
    "SET NAMES latin1 COLLATE latin1_german1_ci",
    "CREATE VIEW jos_b AS SELECT id, 'plain' AS said FROM jos_t",
    "SET NAMES utf8mb4 COLLATE utf8mb4_unicode_ci",
    "CREATE VIEW jos_a AS SELECT id, 'ü' AS said FROM jos_b",
    "CREATE VIEW jos_c AS SELECT said FROM jos_a",
    "CREATE FUNCTION jos_f() RETURNS int DETERMINISTIC RETURN 1",
    "CREATE VIEW jos_0 AS SELECT said, jos_f() AS f FROM jos_c",
]


def views(server: MySQLServer, database: str) -> list[Any]:
    """Return every view with the character sets under which it was made."""
    return server.execute(
        "SELECT table_name, view_definition, character_set_client, collation_connection FROM information_schema.views "
        f"WHERE table_schema = '{database}' ORDER BY 1"
    )


def test_a_swap_is_undone_twice_and_nothing_is_lost(
    mysql_server: MySQLServer, mysql_database: DatabaseAddress, tmp_path: Path
) -> None:
    address = replace(mysql_database, prefix="jos_")
    mysql_server.execute(SITE, address.name)
    sink, summary = dump_to(tmp_path, address)
    mysql_server.execute("UPDATE jos_t SET name = 'live'", address.name)
    before = (compare.definitions(mysql_server, address.name), views(mysql_server, address.name))
    staging = Staging(address, summary.metadata, ExistingTables.REPLACE, print, Refusals(print))
    finish(staging.run(sink.parts()))
    previous = [entity.name for entity in staging.staged.previous_entities]
    assert previous == ["jos_f", "jos_b", "jos_a", "jos_c", "jos_0"]
    swap(address, staging.staged, Refusals(print))
    assert mysql_server.execute("SELECT name FROM jos_t", address.name) == [("old",)]
    for _ in range(3):
        undo(address, staging.staged, Refusals(print))
        assert mysql_server.execute("SELECT name FROM jos_t", address.name) == [("live",)]
        assert (compare.definitions(mysql_server, address.name), views(mysql_server, address.name)) == before


def test_a_view_that_a_table_replaced_comes_back(
    mysql_server: MySQLServer, mysql_database: DatabaseAddress, tmp_path: Path
) -> None:
    address = replace(mysql_database, prefix="jos_")
    mysql_server.execute(["CREATE TABLE jos_t (id int)", "INSERT INTO jos_t VALUES (1)"], address.name)
    sink, summary = dump_to(tmp_path, address)
    mysql_server.execute(["DROP TABLE jos_t", "CREATE VIEW jos_t AS SELECT 2 AS id"], address.name)
    before = (compare.definitions(mysql_server, address.name), views(mysql_server, address.name))
    staging = Staging(address, summary.metadata, ExistingTables.REPLACE, print, Refusals(print))
    finish(staging.run(sink.parts()))
    refusals = Refusals(pytest.fail)
    for _ in range(2):
        swap(address, staging.staged, refusals)
        assert mysql_server.execute("SELECT * FROM jos_t", address.name) == [(1,)]
    for _ in range(2):
        undo(address, staging.staged, refusals)
        assert (compare.definitions(mysql_server, address.name), views(mysql_server, address.name)) == before
        assert mysql_server.execute("SELECT * FROM jos_t", address.name) == [(2,)]


def test_views_and_routines_keep_the_character_sets_they_were_made_under(
    mysql_server: MySQLServer, mysql_database: DatabaseAddress, tmp_path: Path
) -> None:
    mysql_server.execute(SITE, mysql_database.name)
    copy = mysql_server.create(mysql_database.name + "_copy")
    try:
        sink, summary = dump_to(tmp_path, replace(mysql_database, prefix="jos_"))
        load_from(sink, copy, metadata=summary.metadata)
        found, expected = views(mysql_server, copy.name), views(mysql_server, mysql_database.name)
        assert [row[2:] for row in found] == [row[2:] for row in expected]
        assert {row[2] for row in found} == {"latin1", "utf8mb4"}
        assert mysql_server.execute("SELECT * FROM jos_0", copy.name) == [("ü", 1)]
    finally:
        mysql_server.drop(copy.name)


def test_names_of_columns_and_of_constraints_may_look_the_same_in_a_dump(
    mysql_server: MySQLServer, mysql_database: DatabaseAddress, tmp_path: Path
) -> None:
    mysql_server.execute(
        [
            "CREATE TABLE jos_p (`#__c` int PRIMARY KEY)",
            "CREATE TABLE jos_c (`#__c` int, `#__d` int, KEY jos_d (`#__d`), CONSTRAINT jos_c CHECK (`#__c` > 0))",
            "ALTER TABLE jos_c ADD CONSTRAINT jos_e FOREIGN KEY (`#__c`) REFERENCES jos_p (`#__c`)",
            "ALTER TABLE jos_c ADD COLUMN `#__e` int",
            "CREATE VIEW jos_v AS SELECT `#__c` AS `#__x` FROM jos_p",
            "INSERT INTO jos_p VALUES (1)",
            "INSERT INTO jos_c VALUES (1, 2, 3)",
        ],
        mysql_database.name,
    )
    address = replace(mysql_database, prefix="jos_")
    sink, summary = dump_to(tmp_path, address)
    copy = mysql_server.create(mysql_database.name + "_copy")
    try:
        load_from(sink, copy, metadata=summary.metadata)
        compare.assert_same_database(mysql_server, mysql_database.name, copy.name)
        load_from(sink, replace(copy, prefix="new_"), metadata=summary.metadata)
        shown = mysql_server.execute("SHOW CREATE TABLE new_c", copy.name)[0][1]
        assert "CONSTRAINT `new_c` CHECK (`#__c` > 0)" in shown
        assert "CONSTRAINT `new_e` FOREIGN KEY (`#__c`) REFERENCES `new_p` (`#__c`)" in shown
    finally:
        mysql_server.drop(copy.name)


@pytest.mark.parametrize("policy", [ExistingTables.REPLACE, ExistingTables.BACK_UP])
def test_checks_whose_names_belong_to_the_database_change_places_too(
    mysql_server: MySQLServer,
    mysql_database: DatabaseAddress,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    policy: ExistingTables,
) -> None:
    address = replace(mysql_database, prefix="jos_")
    mysql_server.execute(
        [
            "CREATE TABLE jos_t (a int, CONSTRAINT positive CHECK (a > 0), CONSTRAINT jos_t_chk_1 CHECK (a < 9))",
            "INSERT INTO jos_t VALUES (1)",
        ],
        address.name,
    )
    sink, summary = dump_to(tmp_path, address)
    before = compare.definitions(mysql_server, address.name)
    # As MySQL has it; in MariaDB the names are the table's own, and the same statements work.
    monkeypatch.setattr(Connection, "is_mariadb", False)
    staging = Staging(address, summary.metadata, policy, print, Refusals(print))
    finish(staging.run(sink.parts()))
    assert {constraint.name for constraint in staging.staged.constraints} == {"positive", "jos_t_chk_1"}
    swap(address, staging.staged, Refusals(print))
    assert compare.definitions(mysql_server, address.name)["BASE TABLE", "jos_t"] == before["BASE TABLE", "jos_t"]
    (old,) = [table.old for table in staging.staged.tables]
    assert "CHECK" not in mysql_server.execute(f"SHOW CREATE TABLE {old}", address.name)[0][1]
    undo(address, staging.staged, Refusals(print))
    assert compare.definitions(mysql_server, address.name) == before
    load_from(sink, address, metadata=summary.metadata, policy=policy)
    assert compare.definitions(mysql_server, address.name)["BASE TABLE", "jos_t"] == before["BASE TABLE", "jos_t"]


def test_a_mode_that_the_server_does_not_know_any_more_is_passed_over(
    mysql_server: MySQLServer, mysql_database: DatabaseAddress, tmp_path: Path
) -> None:
    from backstay.databases.mysql.load import _GONE_MODE

    texts = ["'NO_AUTO_CREATE_USER,ANSI'", "'ANSI,NO_AUTO_CREATE_USER'", "'A,NO_AUTO_CREATE_USER,B'"]
    assert [_GONE_MODE.sub("", text) for text in texts] == ["'ANSI'", "'ANSI'", "'A,B'"]
    sink = FolderSink(tmp_path)
    with sink.open("site.sql") as file:
        file.write(b"SET SESSION sql_mode = 'ANSI_QUOTES,NO_SUCH_MODE';\nCREATE TABLE `t` (a int);\n")
    warnings: list[str] = []
    load_from(sink, mysql_database, warnings=warnings)
    assert len(warnings) == 1
    assert "is unknown to this server and left out" in warnings[0]
    assert mysql_server.execute("SHOW TABLES", mysql_database.name) == [("t",)]
