"""Some tables of a SQLite dump are loaded; the rest of the file stays as it is."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from backstay.databases import DatabaseAddress, ExistingTables, LoadSummary, load
from backstay.databases.choice import TableChoice
from backstay.databases.sqlite.selection import Selection
from backstay.errors import TablesExistError
from support.sinks import FolderSink, dump_to, finish

SITE = """
CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT);
CREATE TABLE "odd ""one" (x);
CREATE VIRTUAL TABLE words USING fts5(text);
CREATE TABLE log (at);
CREATE INDEX by_name ON users (name);
CREATE TRIGGER "on" AFTER UPDATE OF name ON users BEGIN INSERT INTO log VALUES ('users changed'); END;
CREATE VIEW named AS SELECT name FROM users;
INSERT INTO users (name) VALUES ('a'), ('b'), ('c');
DELETE FROM users WHERE id = 3;
INSERT INTO "odd ""one" VALUES (1);
INSERT INTO words VALUES ('the dump');
INSERT INTO log VALUES ('the dump');
PRAGMA user_version = 1;
"""


def rows(path: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def change(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    path = tmp_path / "site.db"
    change(path, SITE)
    return path


@pytest.fixture
def sink(site: Path, tmp_path: Path) -> FolderSink:
    return dump_to(tmp_path / "dump", DatabaseAddress("sqlite", name=str(site)))[0]


def load_some(sink: FolderSink, path: Path, *patterns: str, policy: ExistingTables) -> LoadSummary:
    address = DatabaseAddress("sqlite", name=str(path))
    return finish(load(address, sink.parts(), policy=policy, only_tables=patterns, on_warning=print))


def test_chosen_tables_are_replaced_and_others_kept(site: Path, sink: FolderSink) -> None:
    change(
        site,
        "PRAGMA user_version = 2; UPDATE users SET name = 'z'; DROP INDEX by_name; DELETE FROM words;"
        "INSERT INTO words VALUES ('later'); CREATE TABLE newer (x); INSERT INTO newer VALUES (7);"
        'DELETE FROM "odd ""one";',
    )
    made = load_some(sink, site, "users", "words", 'odd "*', policy=ExistingTables.REPLACE)
    assert rows(site, "SELECT id, name FROM users") == [(1, "a"), (2, "b")]
    assert rows(site, "SELECT rowid FROM words WHERE words MATCH 'dump'") == [(1,)]
    assert rows(site, 'SELECT x FROM "odd ""one"') == [(1,)]
    assert rows(site, "SELECT seq FROM sqlite_sequence WHERE name = 'users'") == [(3,)]
    assert rows(site, "SELECT count(*) FROM log") == [(3,)]
    assert rows(site, "SELECT x FROM newer") == [(7,)]
    assert rows(site, "PRAGMA user_version") == [(2,)]
    assert rows(site, "PRAGMA integrity_check") == [("ok",)]
    assert {name for (name,) in rows(site, "SELECT name FROM sqlite_master")} >= {"by_name", "on", "named"}
    assert set(made.tables) >= {"users", "words", 'odd "one'}
    assert "log" not in made.tables
    assert set(made.entities) == {"by_name", "on"}


def test_a_new_file_gets_the_chosen_tables_and_the_settings(sink: FolderSink, tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    load_some(sink, path, "log", policy=ExistingTables.REFUSE)
    assert rows(path, "SELECT name FROM sqlite_master") == [("log",)]
    assert rows(path, "PRAGMA user_version") == [(1,)]


def test_a_chosen_table_that_exists_is_refused_by_default(site: Path, sink: FolderSink) -> None:
    before = site.read_bytes()
    with pytest.raises(TablesExistError, match="already holds log"):
        load_some(sink, site, "log", policy=ExistingTables.REFUSE)
    assert site.read_bytes() == before
    change(site, "DROP TABLE log")
    load_some(sink, site, "log", policy=ExistingTables.REFUSE)
    assert rows(site, "SELECT at FROM log") == [("the dump",)]


def test_each_backup_of_a_file_has_a_name_of_its_own(site: Path, sink: FolderSink) -> None:
    names = [load_some(sink, site, "log", policy=ExistingTables.BACK_UP).backups[site.name] for _ in range(3)]
    assert names == ["site.db.bak", "site.db.bak2", "site.db.bak3"]
    assert all(is_file(site.with_name(name)) for name in names)


def is_file(path: Path) -> bool:
    return rows(path, "PRAGMA integrity_check") == [("ok",)]


@pytest.mark.parametrize(
    ("statement", "taken"),
    [
        ("CREATE TRIGGER a BEFORE INSERT ON users BEGIN SELECT 1; END", True),
        ("CREATE TRIGGER users AFTER DELETE ON other BEGIN DELETE FROM x WHERE y ON users; END", False),
        ('CREATE TRIGGER "x ON users" INSTEAD OF UPDATE OF [on] ON other BEGIN SELECT 1; END', False),
        ("CREATE UNIQUE INDEX users ON other (a)", False),
        ("create index if not exists x on [users] (a)", True),
        ("INSERT INTO `users` VALUES (1)", True),
        ("INSERT INTO users2 VALUES (1)", False),
        ("DELETE FROM sqlite_sequence", False),
        ("ANALYZE sqlite_master", False),
        ("ATTACH 'x' AS y", False),
    ],
)
def test_statements_belong_to_their_tables(statement: str, taken: bool) -> None:
    assert Selection(TableChoice(["users"]), settings=False).takes(statement) is taken
