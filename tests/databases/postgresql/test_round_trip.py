"""What a PostgreSQL database holds is the same after a dump and a load."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from backstay.databases import DatabaseAddress, ExistingTables
from backstay.errors import LoadError, TablesExistError
from support.postgresql import PostgreSQLServer
from support.sinks import dump_to, load_from

pytestmark = pytest.mark.postgresql

EVERYTHING = [
    "CREATE SCHEMA shop",
    'CREATE SCHEMA "odd ""schema"',
    "CREATE EXTENSION vector",
    "CREATE TYPE mood AS ENUM ('sad', 'it''s ok', 'happy')",
    "CREATE TYPE shop.pair AS (a integer, b text)",
    "CREATE DOMAIN positive AS integer CHECK (VALUE > 0)",
    "CREATE SEQUENCE public.loose START 7 INCREMENT 3",
    "CREATE TABLE jos_users (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE, m mood, "
    "p positive, pair shop.pair, tags vector(3), doc jsonb, plain json, raw bytea, amount numeric(40, 20), f real, "
    "d double precision, at timestamptz, local timestamp, day date, clock time, span interval, u uuid, net inet, "
    "bits bit varying(20), a integer[], r int4range, xml xml, lower_name text GENERATED ALWAYS AS (lower(name)) STORED)",
    "CREATE TABLE shop.orders (id bigserial PRIMARY KEY, user_id integer REFERENCES public.jos_users (id) "
    "ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED, total numeric CHECK (total >= 0))",
    "CREATE TABLE public.measures (at date NOT NULL, v integer) PARTITION BY RANGE (at)",
    "CREATE TABLE public.measures_2023 PARTITION OF public.measures FOR VALUES FROM ('2023-01-01') TO ('2024-01-01')",
    "CREATE TABLE public.measures_rest PARTITION OF public.measures DEFAULT",
    "CREATE TABLE public.animals (name text, legs integer)",
    "CREATE TABLE public.dogs (breed text) INHERITS (public.animals)",
    'CREATE TABLE "odd ""schema"."odd.table; $$" ("col""umn" text, "" integer)'.replace(
        '"" integer', '"sp ace" integer'
    ),
    "CREATE TABLE no_columns ()",
    "CREATE INDEX by_total ON shop.orders (total DESC) WHERE total > 1",
    "CREATE VIEW rich AS SELECT u.name, sum(o.total) AS total FROM jos_users u JOIN shop.orders o ON o.user_id = u.id "
    "GROUP BY u.name",
    "CREATE MATERIALIZED VIEW summary AS SELECT count(*) AS n FROM rich",
    "CREATE MATERIALIZED VIEW summary_of_summary AS SELECT n * 2 AS twice FROM summary",
    "CREATE MATERIALIZED VIEW empty_one AS SELECT 1 AS x WITH NO DATA",
    "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN NEW.name := NEW.name || ';'; "
    "RETURN NEW; END $body$",
    "CREATE FUNCTION twice(x integer) RETURNS integer LANGUAGE SQL IMMUTABLE BEGIN ATOMIC SELECT CASE WHEN x > 0 "
    "THEN x * 2 ELSE 0 END; END",
    "CREATE PROCEDURE nothing() LANGUAGE plpgsql AS $$ BEGIN NULL; END $$",
    "CREATE AGGREGATE joined(text) (sfunc = textcat, stype = text, initcond = '')",
    "ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY mine ON shop.orders USING (total < 1000)",
    "COMMENT ON TABLE shop.orders IS 'it''s; a -- comment'",
    "INSERT INTO jos_users (name, m, p, pair, tags, doc, plain, raw, amount, f, d, at, local, day, clock, span, u, net, "
    "bits, a, r) VALUES ('naïve 🎉', 'it''s ok', 5, '(1,\"x,y\")', '[1,2.5,-3]', '{\"a\": [1, 2.5, null]}', "
    "'{ \"keep\":  1 }', '\\x00ff0a5c', 12345678901234567890.12345678901234567890, 0.1, 0.1, "
    "'2024-01-02 03:04:05.678901+05', '0044-03-15 10:00:00 BC', 'infinity', '23:59:59.999999', '1 mon -3 days 04:05:06', "
    "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '10.1.2.3/24', '10110', '{1,NULL,3}', '[1,5)')",
    "INSERT INTO jos_users (name, f, d) VALUES (E'tab\\there\\nline \\\\. back\\\\slash', 'NaN', '-Infinity'), "
    "(E'\\\\.', -0.0, 1e-300), ('/**ABDB**/', 3.4028235e38, 5e-324), ('#__notprefix', NULL, NULL), ('', NULL, NULL)",
    "INSERT INTO shop.orders (user_id, total) SELECT 1 + n % 6, n FROM generate_series(1, 5000) n",
    "INSERT INTO measures SELECT date '2022-06-01' + n, n FROM generate_series(1, 900) n",
    "INSERT INTO animals VALUES ('cat', 4)",
    "INSERT INTO dogs VALUES ('rex', 4, 'collie')",
    """INSERT INTO "odd ""schema"."odd.table; $$" VALUES ('x', 1)""",
    "INSERT INTO no_columns DEFAULT VALUES",
    "CREATE TRIGGER touched BEFORE INSERT ON jos_users FOR EACH ROW EXECUTE FUNCTION touch()",
    "SELECT nextval('loose'), nextval('loose')",
    "REFRESH MATERIALIZED VIEW summary",
    "REFRESH MATERIALIZED VIEW summary_of_summary",
    "SELECT lo_from_bytea(424242, decode(repeat('00ff41', 300000), 'hex'))",
    "SELECT lo_create(424243)",
]


def schema(server: PostgreSQLServer, name: str) -> str:
    """Return what ``pg_dump --schema-only`` says of a database."""
    address = server.address(name)
    command = [
        server.program("pg_dump"),
        "--schema-only",
        "-h",
        address.socket or address.host,
        "-U",
        address.user,
        name,
    ]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return re.sub(r"(?m)^\\(un)?restrict .*$", "", text)


def rows(server: PostgreSQLServer, name: str) -> dict[str, Counter[str]]:
    """Return each table's rows, as COPY writes them."""
    found: dict[str, Counter[str]] = {}
    with server.connect(name) as connection:
        tables = connection.execute(
            "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE c.relkind IN ('r', 'm', 'S') AND n.nspname !~ '^(pg_|information_schema)' AND c.relispopulated"
        ).fetchall()
        for (table,) in tables:
            columns = "last_value, is_called" if "seq" in table or table == "loose" else "*"
            with connection.cursor().copy(f"COPY (SELECT {columns} FROM ONLY {table}) TO STDOUT".encode()) as copy:
                found[table] = Counter(bytes(row).decode() for row in copy)
        found["large objects"] = Counter(
            f"{oid} {data}"
            for oid, data in connection.execute("SELECT oid, md5(lo_get(oid)) FROM pg_largeobject_metadata").fetchall()
        )
    return found


def test_every_kind_of_object_and_value_comes_back(
    postgresql_server: PostgreSQLServer, postgresql_database: DatabaseAddress, tmp_path: Path
) -> None:
    source = postgresql_database.name
    target = postgresql_server.create(source + "_copy")
    postgresql_server.execute(EVERYTHING, source)
    warnings: list[str] = []
    sink, summary = dump_to(tmp_path, postgresql_database, warnings=warnings)
    loaded = load_from(sink, target, metadata=summary.metadata, warnings=warnings)
    try:
        assert warnings == []
        assert schema(postgresql_server, target.name) == schema(postgresql_server, source)
        assert rows(postgresql_server, target.name) == rows(postgresql_server, source)
        assert summary.tables["shop.orders"].rows == 5000
        assert summary.metadata["dbtech"] == "postgresql"
        assert loaded.rows == summary.rows
        assert len(sink.names) > 1
    finally:
        postgresql_server.drop(target.name)
