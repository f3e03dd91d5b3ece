"""The tables in a backup through the page: MySQL, PostgreSQL and SQLite, with rows and definitions."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from backstay.databases import DatabaseAddress
from backstay.jobs.users import Role
from support.backups import make_files, take
from support.mysql import MySQLServer
from support.postgresql import PostgreSQLServer
from web.driving import Visitor


def _pages(visitor: Visitor, number: int, name: str) -> tuple[str, str]:
    visitor.signed_in(Role.VIEWER)
    page = visitor.get(f"/backups/{number}/tables")
    assert page.status_code == 200, page.text
    definition = visitor.get(f"/backups/{number}/tables/definition?dump=site.sql&kind=table&name={name}")
    assert definition.status_code == 200, definition.text
    return page.text, definition.text


def test_tables_of_sqlite_have_rows_and_definitions_and_are_never_markup(visitor: Visitor, tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE posts (id INTEGER, title TEXT DEFAULT '<script>alert(1)</script>')")
    connection.execute('CREATE TABLE "<img src=x onerror=alert(1)>\u202e" (x)')
    connection.execute("CREATE VIEW newest AS SELECT * FROM posts")
    connection.executemany("INSERT INTO posts VALUES (?, 'x')", [[n] for n in range(1234)])
    connection.commit()
    connection.close()
    backup = take(visitor.installation, make_files(tmp_path / "site", 2), f"sqlite:///{path}")
    page, definition = _pages(visitor, backup.id, "posts")
    assert "1,234" in page
    assert "newest" in page
    assert "<img src=x" not in page
    assert "\u202e" not in page
    assert "CREATE TABLE posts" in definition
    assert "<script>alert" not in definition
    answer = visitor.get(f"/backups/{backup.id}/tables/definition?dump=site.sql&kind=view&name=newest")
    assert "CREATE VIEW newest" in answer.text
    for query in ("dump=nothing&name=posts", "dump=site.sql&name=nothing", ""):
        assert visitor.get(f"/backups/{backup.id}/tables/definition?{query}").status_code == 404


def test_a_backup_without_a_database_says_so(visitor: Visitor, tmp_path: Path) -> None:
    backup = take(visitor.installation, make_files(tmp_path / "site", 2))
    page = visitor.signed_in(Role.VIEWER).get(f"/backups/{backup.id}/tables").text
    assert "There is no dump of a database in this backup." in page


def test_tables_of_mysql(
    visitor: Visitor, tmp_path: Path, mysql_server: MySQLServer, mysql_database: DatabaseAddress
) -> None:
    mysql_server.execute("CREATE TABLE wp_posts (id INT PRIMARY KEY, `od;d` TEXT)", mysql_database.name)
    mysql_server.execute("INSERT INTO wp_posts VALUES (1, 'CREATE TABLE x'), (2, ';')", mysql_database.name)
    backup = take(visitor.installation, make_files(tmp_path / "site", 2), mysql_database.url())
    page, definition = _pages(visitor, backup.id, "wp_posts")
    assert '<td class="number">2</td>' in page
    assert "od;d" in definition
    assert "PRIMARY KEY" in definition


def test_tables_of_postgresql(
    visitor: Visitor, tmp_path: Path, postgresql_server: PostgreSQLServer, postgresql_database: DatabaseAddress
) -> None:
    postgresql_server.execute(
        "CREATE TABLE posts (id integer, body text); INSERT INTO posts VALUES (1, 'a'), (2, ';'), (3, '\\.');",
        postgresql_database.name,
    )
    backup = take(visitor.installation, make_files(tmp_path / "site", 2), postgresql_database.url())
    page, definition = _pages(visitor, backup.id, "posts")
    assert '<td class="number">3</td>' in page
    assert "body text" in definition
