"""Some tables of a MySQL dump are loaded; the rest of the database stays as it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from backstay.databases import DatabaseAddress, ExistingTables, load
from backstay.databases.mysql.reading import read_statement
from support.mysql import MySQLServer
from support.sinks import dump_to, finish

pytestmark = pytest.mark.mysql

SITE = [
    "CREATE TABLE tst_users (id int PRIMARY KEY, name varchar(20))",
    "CREATE TABLE tst_log (at varchar(20))",
    "CREATE TABLE tst_posts (id int PRIMARY KEY, who int, FOREIGN KEY (who) REFERENCES tst_users (id))",
    "CREATE VIEW tst_names AS SELECT name FROM tst_users",
    "CREATE TRIGGER reported BEFORE UPDATE ON tst_users FOR EACH ROW SET NEW.name = CONCAT(NEW.name, '!')",
    "CREATE TRIGGER tst_users_log BEFORE INSERT ON tst_log FOR EACH ROW SET NEW.at = 'x'",
    "INSERT INTO tst_users VALUES (1, 'a'), (2, 'b')",
    "INSERT INTO tst_posts VALUES (1, 1), (2, 2)",
]


def test_chosen_tables_are_replaced_with_their_triggers_and_others_kept(
    mysql_server: MySQLServer, mysql_database: DatabaseAddress, tmp_path: Path
) -> None:
    address = replace(mysql_database, prefix="tst_")
    mysql_server.execute(SITE, address.name)
    sink, summary = dump_to(tmp_path, address)
    mysql_server.execute(
        ["DROP TRIGGER reported", "UPDATE tst_users SET name = 'z'", "DELETE FROM tst_posts WHERE id = 2"], address.name
    )
    work = load(
        address,
        sink.parts(),
        metadata=summary.metadata,
        policy=ExistingTables.REPLACE,
        only_tables=["users"],
        on_warning=print,
    )
    made = finish(work)
    assert (made.tables, made.entities, made.rows) == (("tst_users",), ("reported",), 2)
    mysql_server.execute("UPDATE tst_users SET name = 'c' WHERE id = 2", address.name)
    assert mysql_server.execute("SELECT name FROM tst_names ORDER BY 1", address.name) == [("a",), ("c!",)]
    assert mysql_server.execute("SELECT id FROM tst_posts", address.name) == [(1,)]
    mysql_server.execute("INSERT INTO tst_log VALUES ('y')", address.name)
    assert mysql_server.execute("SELECT at FROM tst_log", address.name) == [("x",)]
    referred = mysql_server.execute("SHOW CREATE TABLE tst_posts", address.name)[0][1]
    assert "REFERENCES `tst_users` (`id`)" in referred


@pytest.mark.parametrize(
    ("statement", "table"),
    [
        (b"CREATE TRIGGER `#__t` BEFORE INSERT ON `#__users` FOR EACH ROW SET @x = 1", "#__users"),
        (b"CREATE DEFINER=`a`@`%` TRIGGER t AFTER DELETE\n ON users FOR EACH ROW BEGIN END", "users"),
        (b"CREATE PROCEDURE p() BEGIN SELECT 1 ON x; END", ""),
    ],
)
def test_a_trigger_names_its_table(statement: bytes, table: str) -> None:
    assert read_statement(statement).table == table
