"""What a SQLite database holds is the same after a copy, and after a dump and a load."""

from __future__ import annotations

import math
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.databases import DatabaseAddress, ExistingTables, copy_sqlite, is_sqlite_file
from backstay.databases import test_connection as log_in
from backstay.errors import DatabaseConnectionError, LoadError, TablesExistError
from support.sinks import FolderSink, dump_to, load_from

EVERYTHING = """
PRAGMA page_size = 8192;
PRAGMA user_version = 42;
PRAGMA application_id = 1234567;
CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, "odd "" name" REAL);
CREATE TABLE plain (a, b DEFAULT 'x; y', c BLOB);
CREATE TABLE keyed (k TEXT PRIMARY KEY, v) WITHOUT ROWID;
CREATE TABLE computed (a INTEGER, b INTEGER GENERATED ALWAYS AS (a * 2) STORED, c AS (a + 1));
CREATE TABLE child (id INTEGER PRIMARY KEY, user INTEGER REFERENCES users (id) ON DELETE CASCADE); -- a comment
CREATE TABLE commented (a -- at the end; of a line
);
CREATE VIRTUAL TABLE words USING fts5(text, tokenize = 'porter');
CREATE VIRTUAL TABLE boxes USING rtree(id, x0, x1);
CREATE INDEX by_name ON users (name COLLATE NOCASE) WHERE name <> '';
CREATE VIEW named AS SELECT name FROM users;
CREATE TRIGGER logged AFTER INSERT ON users BEGIN
  INSERT INTO plain VALUES ('new', ';', NULL); SELECT CASE WHEN 1 THEN 2 END; END;
INSERT INTO users (name, "odd "" name") VALUES ('it''s', 0.1), ('naïve 🎉', 9e999), ('', -9e999), ('line
break', 1e-320);
INSERT INTO plain VALUES (1, 1.0, x'00ff'), ('1', NULL, ''), (9223372036854775807, -0.0, x'');
INSERT INTO plain VALUES (CAST(x'610062' AS TEXT), char(0), '#__x');
DELETE FROM plain WHERE rowid = 2;
INSERT INTO keyed VALUES ('a', 1), ('b', NULL);
INSERT INTO computed (a) VALUES (1), (NULL);
INSERT INTO words VALUES ('the running dogs'), ('a cat');
INSERT INTO boxes VALUES (1, 0.5, 1.5);
DELETE FROM users WHERE id = 4;
ANALYZE;
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(EVERYTHING)
    return path


def contents(path: Path) -> dict[str, object]:
    """Return schema, rows (types and row numbers included) and settings of a database."""
    found: dict[str, object] = {}
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        connection.text_factory = bytes
        assert connection.execute("PRAGMA integrity_check").fetchall() == [(b"ok",)]
        for pragma in ("user_version", "application_id", "encoding", "page_size"):
            found[pragma] = connection.execute(f"PRAGMA {pragma}").fetchone()
        schema = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY 1, 2").fetchall()
        found["schema"] = schema
        for kind, name, _, _ in schema:
            if kind == b"table":
                quoted = '"' + name.decode().replace('"', '""') + '"'
                columns = [
                    row[1].decode() for row in connection.execute(f"PRAGMA table_xinfo({quoted})") if row[6] != 1
                ]
                listed = ", ".join(
                    f"typeof({c}), {c}" for c in ('"' + column.replace('"', '""') + '"' for column in columns)
                )
                found[name.decode()] = [repr(row) for row in connection.execute(f"SELECT {listed} FROM {quoted}")]
        found["row numbers"] = connection.execute("SELECT rowid FROM plain").fetchall()
    return found


def address(path: Path) -> DatabaseAddress:
    return DatabaseAddress("sqlite", name=str(path))


def test_a_copy_holds_the_same(source: Path, tmp_path: Path) -> None:
    copy_sqlite(source, tmp_path / "copy.db")
    assert contents(tmp_path / "copy.db") == contents(source)
    assert is_sqlite_file(tmp_path / "copy.db")


def test_a_copy_of_a_live_wal_database_is_consistent_and_stands_alone(tmp_path: Path) -> None:
    path = tmp_path / "live.db"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("CREATE TABLE pairs (a, b)")
        stop = threading.Event()

        def write() -> None:
            number = 0
            while not stop.is_set():
                writer.execute("BEGIN")
                writer.execute("INSERT INTO pairs VALUES (?, 0)", (number,))
                writer.execute("UPDATE pairs SET b = a WHERE a = ?", (number,))
                writer.execute("COMMIT")
                number += 1

        thread = threading.Thread(target=write)
        thread.start()
        try:
            for number in range(5):
                copy_sqlite(path, tmp_path / f"copy{number}.db")
        finally:
            stop.set()
            thread.join()
    for number in range(5):
        assert sorted(p.name for p in tmp_path.glob(f"copy{number}.db*")) == [f"copy{number}.db"]
        with closing(sqlite3.connect(tmp_path / f"copy{number}.db")) as copy:
            assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert copy.execute("SELECT count(*) FROM pairs WHERE a <> b").fetchone() == (0,)


def test_the_sql_form_makes_the_same_database(source: Path, tmp_path: Path) -> None:
    sink, summary = dump_to(tmp_path / "dump", address(source))
    loaded = load_from(sink, address(tmp_path / "loaded.db"), metadata=summary.metadata)
    assert contents(tmp_path / "loaded.db") == contents(source)
    assert "users" in loaded.tables
    assert summary.tables["users"].rows == 3
    with closing(sqlite3.connect(tmp_path / "loaded.db")) as connection:
        assert connection.execute("SELECT text FROM words WHERE words MATCH 'run'").fetchall() == [
            ("the running dogs",)
        ]
        connection.execute("INSERT INTO users (name) VALUES ('next')")
        assert connection.execute("SELECT max(id) FROM users").fetchone() == (5,)


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le", "UTF-16be"])
def test_the_encoding_is_kept(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "source.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            f"PRAGMA encoding = '{encoding}'; CREATE TABLE plain (a); INSERT INTO plain VALUES ('ü🎉')"
        )
        connection.execute("INSERT INTO plain VALUES (?)", ("nul\0byte",))
        connection.commit()
    sink, _ = dump_to(tmp_path / "dump", address(path))
    load_from(sink, address(tmp_path / "loaded.db"))
    assert contents(tmp_path / "loaded.db") == contents(path)


values = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.binary(max_size=40),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
)
names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\n\r"), min_size=1, max_size=12).filter(
    lambda name: not name.lower().startswith(("sqlite_", "bak_", "#__"))
)


@given(
    table=names,
    columns=st.lists(names, min_size=1, max_size=4, unique_by=str.casefold),
    rows=st.lists(st.tuples(values, values, values, values), max_size=8),
    kinds=st.lists(st.sampled_from(["", "TEXT", "INTEGER", "REAL", "BLOB", "NUMERIC"]), min_size=4, max_size=4),
)
def test_any_table_and_any_value_comes_back(
    tmp_path_factory: pytest.TempPathFactory,
    table: str,
    columns: list[str],
    rows: list[tuple[object, ...]],
    kinds: list[str],
) -> None:
    folder = tmp_path_factory.mktemp("any")
    quoted = ['"' + column.replace('"', '""') + '"' for column in columns]
    name = '"' + table.replace('"', '""') + '"'
    with closing(sqlite3.connect(folder / "a.db")) as connection:
        listed = ", ".join(f"{column} {kind}" for column, kind in zip(quoted, kinds, strict=False))
        connection.execute(f"CREATE TABLE {name} ({listed})")
        marks = ", ".join("?" for _ in columns)
        connection.executemany(f"INSERT INTO {name} VALUES ({marks})", [row[: len(columns)] for row in rows])
        connection.commit()
    sink, _ = dump_to(folder / "dump", address(folder / "a.db"))
    load_from(sink, address(folder / "b.db"))
    found = []
    for file in ("a.db", "b.db"):
        with closing(sqlite3.connect(folder / file)) as connection:
            found.append(connection.execute(f"SELECT * FROM {name}").fetchall())
    assert [[(type(v), repr(v)) for v in row] for row in found[0]] == [
        [(type(v), repr(v)) for v in row] for row in found[1]
    ]
    assert not any(isinstance(v, float) and math.isnan(v) for row in found[1] for v in row)


def test_a_file_that_holds_tables_is_refused_replaced_or_backed_up(source: Path, tmp_path: Path) -> None:
    sink, _ = dump_to(tmp_path / "dump", address(source))
    target = tmp_path / "target.db"
    with closing(sqlite3.connect(target)) as connection:
        connection.execute("CREATE TABLE old (a)")
    with pytest.raises(TablesExistError, match=r"target\.db already holds tables"):
        load_from(sink, address(target))
    summary = load_from(sink, address(target), policy=ExistingTables.BACK_UP)
    assert contents(target) == contents(source)
    with closing(sqlite3.connect(tmp_path / summary.backups["target.db"])) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("old",)]
    load_from(sink, address(target), policy=ExistingTables.REPLACE)
    assert contents(target) == contents(source)


def test_a_malformed_part_leaves_the_old_file_and_says_where(tmp_path: Path) -> None:
    target = tmp_path / "target.db"
    with closing(sqlite3.connect(target)) as connection:
        connection.execute("CREATE TABLE old (a)")
    sink = FolderSink(tmp_path / "dump")
    with sink.open("site.sql") as file:
        file.write(b"CREATE TABLE a (b);\nINSERT INTO a VALUES (1);\nINSERT INTO nowhere VALUES (1);\n")
    with pytest.raises(LoadError, match=r"site\.sql, byte 45: SQLite refused a statement: no such table: nowhere"):
        load_from(sink, address(target), policy=ExistingTables.REPLACE)
    with closing(sqlite3.connect(target)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("old",)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dump", "target.db"]


def test_a_dump_cannot_write_other_files(tmp_path: Path) -> None:
    sink = FolderSink(tmp_path / "dump")
    with sink.open("site.sql") as file:
        file.write(f"ATTACH DATABASE '{tmp_path}/evil.db' AS evil;\n".encode())
    with pytest.raises(LoadError, match="not authorized"):
        load_from(sink, address(tmp_path / "target.db"))
    assert not (tmp_path / "evil.db").exists()


def test_what_is_no_database_is_reported(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("not a database, but long enough to look at")
    assert not is_sqlite_file(tmp_path / "text.db")
    assert not is_sqlite_file(tmp_path / "missing.db")
    for name in ("text.db", "missing.db"):
        with pytest.raises(DatabaseConnectionError, match=name):
            log_in(address(tmp_path / name))
        with pytest.raises(DatabaseConnectionError, match=name):
            copy_sqlite(tmp_path / name, tmp_path / "copy.db")
        assert not (tmp_path / "copy.db").exists()
