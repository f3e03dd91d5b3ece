"""Some tables of a PostgreSQL dump are loaded; the rest of the database stays as it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from backstay.databases import DatabaseAddress, DumpSummary, ExistingTables, LoadSummary, load
from backstay.databases.postgresql.selection import about
from backstay.errors import LoadError, TablesExistError
from support.postgresql import PostgreSQLServer
from support.sinks import FolderSink, dump_to, finish

from .test_round_trip import EVERYTHING, rows, schema

pytestmark = pytest.mark.postgresql


@dataclass
class Site:
    server: PostgreSQLServer
    address: DatabaseAddress
    sink: FolderSink
    summary: DumpSummary
    warnings: list[str]

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        return self.server.execute(list(statements), self.address.name)

    def load(
        self, *patterns: str, policy: ExistingTables = ExistingTables.REPLACE, into: DatabaseAddress | None = None
    ) -> LoadSummary:
        work = load(
            into or self.address,
            self.sink.parts(),
            metadata=self.summary.metadata,
            policy=policy,
            only_tables=patterns,
            on_warning=self.warnings.append,
        )
        return finish(work)


@pytest.fixture
def site(postgresql_server: PostgreSQLServer, postgresql_database: DatabaseAddress, tmp_path: Path) -> Iterator[Site]:
    address = replace(postgresql_database, prefix="jos_")
    postgresql_server.execute(EVERYTHING, address.name)
    sink, summary = dump_to(tmp_path, address)
    warnings: list[str] = []
    yield Site(postgresql_server, address, sink, summary, warnings)
    assert warnings == []


def test_chosen_tables_are_replaced_and_what_depends_on_them_is_made_again(site: Site) -> None:
    before, rows_before = schema(site.server, site.address.name), rows(site.server, site.address.name)
    site.run(
        "ALTER TABLE jos_users ADD COLUMN later text",
        "DELETE FROM shop.orders WHERE id > 4900",
        "UPDATE jos_users SET name = name || '!'",
        "SELECT nextval('jos_users_id_seq')",
        "GRANT SELECT ON rich TO PUBLIC",
        "UPDATE animals SET legs = 5",
    )
    made = site.load("#__users")
    assert {"jos_users"} <= set(made.tables)
    assert site.run("SELECT count(*) FROM shop.orders") == [(4900,)]
    assert site.run("SELECT legs FROM ONLY animals") == [(5,)]
    site.run("REVOKE SELECT ON rich FROM PUBLIC", "UPDATE animals SET legs = 4")
    site.load("shop.orders", "animals", "dogs")
    site.run("REFRESH MATERIALIZED VIEW summary", "REFRESH MATERIALIZED VIEW summary_of_summary")
    assert without_grants(schema(site.server, site.address.name)) == without_grants(before)
    assert rows(site.server, site.address.name) == rows_before


def without_grants(text: str) -> list[str]:
    # Views made again and given rights and robbed of them keep an empty list of rights, which says the same.
    return sorted(line for line in text.splitlines() if not line.startswith(("GRANT", "REVOKE", "--")))


def test_into_an_empty_database_come_the_tables_and_what_they_need(site: Site) -> None:
    target = site.server.create(site.address.name + "_some")
    try:
        made = site.load("jos_users", "measures", policy=ExistingTables.REFUSE, into=target)
        assert set(made.tables) == {"jos_users", "measures", "measures_2023", "measures_rest"}
        assert set(made.entities) == {"jos_users_id_seq"}
        expected = sum(site.summary.tables[name].rows for name in ("jos_users", "measures_2023", "measures_rest"))
        assert made.rows == expected
        assert site.server.execute("SELECT count(*) FROM measures", target.name) == [(900,)]
        site.server.execute("INSERT INTO jos_users (name) VALUES ('next')", target.name)
        assert site.server.execute("SELECT max(id) FROM jos_users", target.name) == [(7,)]
    finally:
        site.server.drop(target.name)


def test_what_is_chosen_but_needs_what_is_not_there_is_reported(site: Site) -> None:
    target = site.server.create(site.address.name + "_view")
    try:
        with pytest.raises(LoadError, match=r'relation "public.jos_users" does not exist'):
            site.load("rich", policy=ExistingTables.REFUSE, into=target)
        assert site.server.execute("SELECT 1 FROM pg_class WHERE relname = 'rich'", target.name) == []
    finally:
        site.server.drop(target.name)


def test_a_chosen_table_that_exists_is_refused_by_default(site: Site) -> None:
    with pytest.raises(TablesExistError, match="already holds jos_users"):
        site.load("jos_users", policy=ExistingTables.REFUSE)
    site.run("DROP TABLE animals CASCADE")
    site.load("animals", policy=ExistingTables.REFUSE)
    assert site.run("SELECT name FROM animals") == [("cat",)]


def test_chosen_tables_are_backed_up_and_the_rest_stays(site: Site) -> None:
    site.run("UPDATE animals SET legs = 5", "UPDATE jos_users SET name = name || '!'")
    for _ in range(2):
        made = site.load("jos_users", policy=ExistingTables.BACK_UP)
        assert made.backups["jos_users"] == "bak_public.jos_users"
    assert site.run("SELECT count(*) FROM bak_public.jos_users WHERE name LIKE '%!'") == [(0,)]
    assert site.run("SELECT confrelid::regclass::text FROM pg_constraint WHERE conrelid = 'shop.orders'::regclass") != [
        ("bak_public.jos_users",)
    ]
    assert site.run("SELECT legs FROM ONLY animals") == [(5,)]
    assert site.run("SELECT count(*) FROM rich") == [(6,)]
    site.run("INSERT INTO jos_users (name) VALUES ('next')")


def test_rows_that_lose_their_parents_are_reported(site: Site) -> None:
    site.run(
        "INSERT INTO jos_users (name) VALUES ('later')",
        "INSERT INTO shop.orders (user_id, total) SELECT max(id), 1 FROM jos_users",
    )
    site.load("#__users")
    (warning,) = site.warnings
    assert warning.startswith("Rows refer to rows that are not in the database: insert or update on table")
    site.warnings.clear()
    assert site.run("SELECT convalidated FROM pg_constraint WHERE conname = 'orders_user_id_fkey'") == [(False,)]


def test_a_table_that_others_are_built_upon_is_not_replaced_alone(site: Site) -> None:
    with pytest.raises(LoadError, match=r"cannot be replaced alone: .*animals.*table dogs depends on table animals"):
        site.load("animals")
    assert site.run("SELECT count(*) FROM dogs") == [(1,)]
    site.load("animals", "dogs")
    assert site.run("SELECT count(*) FROM animals") == [(2,)]


def test_a_second_copy_under_another_prefix_replaces_the_first(site: Site) -> None:
    target = replace(site.server.create(site.address.name + "_copy"), prefix="new_")
    try:
        site.load(into=target)
        site.server.execute("DELETE FROM new_users WHERE id > 2", target.name)
        site.load(into=target)
        assert site.server.execute("SELECT count(*) FROM new_users", target.name) == [(6,)]
    finally:
        site.server.drop(target.name)


def test_a_site_with_the_prefix_of_the_dump_is_never_touched(site: Site) -> None:
    before = rows(site.server, site.address.name)
    with pytest.raises(TablesExistError, match="holds jos_users, a name that the dump needs until"):
        site.load(into=replace(site.address, prefix="new_"))
    assert rows(site.server, site.address.name) == before


@pytest.mark.parametrize(
    ("statement", "form", "names"),
    [
        (b'CREATE TABLE public."a ""b" (', "makes", [("public", 'a "b')]),
        (b"CREATE UNLOGGED TABLE shop.x (", "makes", [("shop", "x")]),
        (b"ALTER TABLE ONLY a.b ADD CONSTRAINT c FOREIGN KEY (x) REFERENCES d.e(f)", "foreign key", [("a", "b")]),
        (b"ALTER TABLE ONLY a.b ADD CONSTRAINT c PRIMARY KEY (x)", "about", [("a", "b")]),
        (b"CREATE UNIQUE INDEX i ON ONLY a.b USING btree (c)", "index", [("public", "i"), ("a", "b")]),
        (b'CREATE TRIGGER "x ON y" AFTER INSERT OR UPDATE OF c ON a.b FOR EACH ROW', "about", [("a", "b")]),
        (b"COMMENT ON COLUMN a.b.c IS 'x'", "about", [("a", "b")]),
        (b"COMMENT ON CONSTRAINT c ON DOMAIN a.b IS 'x'", "", []),
        (b"GRANT SELECT(c),UPDATE ON TABLE a.b TO someone", "about", [("a", "b")]),
        (b"GRANT ALL ON FUNCTION a.b(integer) TO someone", "of support", [("a", "b")]),
        (b"CREATE FUNCTION a.b() RETURNS trigger", "support", [("a", "b")]),
        (b"SELECT pg_catalog.setval('a.\"it''s\"', 7, true)", "value", [("a", "it's")]),
        (b"CREATE STATISTICS a.s ON x, y FROM a.b", "about", [("a", "b")]),
        (b"CREATE EVENT TRIGGER e ON ddl_command_end", "", []),
    ],
)
def test_statements_belong_to_their_tables(statement: bytes, form: str, names: list[tuple[str, str]]) -> None:
    found = about(statement)
    assert (found.form, list(found.names)) == (form, names)
