"""A SQLite database that is in use while the backup runs.

It is in write-ahead mode with committed rows that live in the ``-wal`` file only, and another connection holds a
write transaction open. A backup has to bring the first and must not bring the second; copying the file alone would
lose the one, copying file and log at different moments may damage both.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

SCHEMA: Final = """
PRAGMA user_version = 42;
PRAGMA application_id = 1112232787;
CREATE TABLE article (
    id INTEGER PRIMARY KEY, title TEXT NOT NULL COLLATE NOCASE, body TEXT, price REAL, image BLOB, anything,
    length INTEGER GENERATED ALWAYS AS (length(title)) VIRTUAL
);
CREATE INDEX article_by_title ON article (title, price DESC) WHERE price IS NOT NULL;
CREATE TABLE setting (name TEXT, scope TEXT, value ANY, PRIMARY KEY (scope, name)) WITHOUT ROWID;
CREATE TABLE visit (
    day TEXT, article INTEGER REFERENCES article (id) ON DELETE CASCADE, number INTEGER CHECK (number > 0)
);
CREATE TABLE "odd ""name"", with 'quotes'" ("a column" TEXT, "order" INTEGER, 'ζ' BLOB);
CREATE TABLE history (what TEXT, at INTEGER);
CREATE VIEW dear_article AS SELECT id, title FROM article WHERE price > 100;
CREATE TRIGGER article_is_renamed AFTER UPDATE OF title ON article
    BEGIN INSERT INTO history VALUES (old.title || ' -> ' || new.title, 0); END;
"""
SEARCH_TABLE: Final = "CREATE VIRTUAL TABLE search USING fts5 (title, body)"

NASTY_VALUES: Final = (
    None,
    "",
    b"",
    "\x00 inside",
    'it\'s; -- a "trap" \\ \r\n',
    "🎉 Ελληνικά 日本語",
    -(2**63),
    2**63 - 1,
    0.1,
    -1e-308,
    float("inf"),
    bytes(range(256)),
)


def make_database(file: Path, *, rows: int = 3_000) -> None:
    """Make the database with all storage classes in it.

    Args:
        file: where to make it; its folder exists.
        rows: the number of articles.
    """
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(SCHEMA)
        connection.execute("BEGIN")
        _insert_articles(connection, range(1, rows + 1))
        connection.executemany(
            "INSERT INTO setting VALUES (?, ?, ?)",
            ((f"name {number}", "nasty", value) for number, value in enumerate(NASTY_VALUES)),
        )
        connection.executemany(
            "INSERT INTO visit VALUES (date('2024-01-01', ?), ?, ?)",
            ((f"+{number % 365} days", number % rows + 1, number + 1) for number in range(rows)),
        )
        connection.execute("""INSERT INTO "odd ""name"", with 'quotes'" VALUES ('x', 1, x'00ff')""")
        connection.execute("UPDATE article SET title = 'Renamed' WHERE id % 100 = 0")
        connection.execute("COMMIT")
        _add_search(connection)


@contextmanager
def in_use(file: Path) -> Iterator[None]:
    """Keep the database in use, as the module says; at the end nothing of the open transaction is left.

    Args:
        file: a database made by :func:`make_database`.
    """
    with (
        closing(sqlite3.connect(file, isolation_level=None)) as reader,
        closing(sqlite3.connect(file, isolation_level=None)) as writer,
    ):
        writer.execute("PRAGMA wal_autocheckpoint = 0")
        reader.execute("SELECT count(*) FROM article").fetchone()
        writer.execute("INSERT INTO history VALUES ('committed, but only in the write-ahead log', 1)")
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO history VALUES ('never committed', 2)")
        writer.execute("DELETE FROM visit")
        try:
            yield
        finally:
            writer.execute("ROLLBACK")


def _insert_articles(connection: sqlite3.Connection, numbers: range) -> None:
    connection.executemany(
        "INSERT INTO article (id, title, body, price, image, anything) VALUES (?, ?, ?, ?, ?, ?)",
        (
            (
                number,
                f"Article {number} ñ",
                "Text of the article. " * (number % 20),
                None if number % 7 == 0 else number / 3,
                bytes([number % 256]) * (number % 400),
                NASTY_VALUES[number % len(NASTY_VALUES)],
            )
            for number in numbers
        ),
    )


def _add_search(connection: sqlite3.Connection) -> None:
    """Add a full-text table where this SQLite was built with FTS5."""
    try:
        connection.execute(SEARCH_TABLE)
    except sqlite3.OperationalError:
        return
    connection.execute("INSERT INTO search (title, body) SELECT title, body FROM article")
