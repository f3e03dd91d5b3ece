CREATE SCHEMA shop

CREATE SCHEMA "odd ""schema"

CREATE EXTENSION vector

CREATE TYPE mood AS ENUM ('sad', 'it''s ok', 'happy')

CREATE TYPE shop.pair AS (a integer, b text)

CREATE DOMAIN positive AS integer CHECK (VALUE > 0)

CREATE SEQUENCE public.loose START 7 INCREMENT 3

CREATE TABLE jos_users (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE, m mood, p positive, pair shop.pair, tags vector(3), doc jsonb, plain json, raw bytea, amount numeric(40, 20), f real, d double precision, at timestamptz, local timestamp, day date, clock time, span interval, u uuid, net inet, bits bit varying(20), a integer[], r int4range, xml xml, lower_name text GENERATED ALWAYS AS (lower(name)) STORED)

CREATE TABLE shop.orders (id bigserial PRIMARY KEY, user_id integer REFERENCES public.jos_users (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED, total numeric CHECK (total >= 0))

CREATE TABLE public.measures (at date NOT NULL, v integer) PARTITION BY RANGE (at)

CREATE TABLE public.measures_2023 PARTITION OF public.measures FOR VALUES FROM ('2023-01-01') TO ('2024-01-01')

CREATE TABLE public.measures_rest PARTITION OF public.measures DEFAULT

CREATE TABLE public.animals (name text, legs integer)

CREATE TABLE public.dogs (breed text) INHERITS (public.animals)

CREATE TABLE "odd ""schema"."odd.table; $$ %s" ("col""umn" text, "sp ace" integer)

CREATE TABLE no_columns ()

CREATE INDEX by_total ON shop.orders (total DESC) WHERE total > 1

CREATE VIEW rich AS SELECT u.name, sum(o.total) AS total FROM jos_users u JOIN shop.orders o ON o.user_id = u.id GROUP BY u.name

CREATE MATERIALIZED VIEW summary AS SELECT count(*) AS n FROM rich

CREATE MATERIALIZED VIEW summary_of_summary AS SELECT n * 2 AS twice FROM summary

CREATE MATERIALIZED VIEW empty_one AS SELECT 1 AS x WITH NO DATA

CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN NEW.name := NEW.name || ';'; RETURN NEW; END $body$

CREATE FUNCTION twice(x integer) RETURNS integer LANGUAGE SQL IMMUTABLE BEGIN ATOMIC SELECT CASE WHEN x > 0 THEN x * 2 ELSE 0 END; END

CREATE PROCEDURE nothing() LANGUAGE plpgsql AS $$ BEGIN NULL; END $$

CREATE AGGREGATE joined(text) (sfunc = textcat, stype = text, initcond = '')

ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY

CREATE POLICY mine ON shop.orders USING (total < 1000)

COMMENT ON TABLE shop.orders IS 'it''s; a -- comment'

INSERT INTO jos_users (name, m, p, pair, tags, doc, plain, raw, amount, f, d, at, local, day, clock, span, u, net, bits, a, r) VALUES ('naïve 🎉', 'it''s ok', 5, '(1,"x,y")', '[1,2.5,-3]', '{"a": [1, 2.5, null]}', '{ "keep":  1 }', '\x00ff0a5c', 12345678901234567890.12345678901234567890, 0.1, 0.1, '2024-01-02 03:04:05.678901+05', '0044-03-15 10:00:00 BC', 'infinity', '23:59:59.999999', '1 mon -3 days 04:05:06', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '10.1.2.3/24', '10110', '{1,NULL,3}', '[1,5)')

INSERT INTO jos_users (name, f, d) VALUES (E'tab\there\nline \\. back\\slash', 'NaN', '-Infinity'), (E'\\.', -0.0, 1e-300), ('/**ABDB**/', 3.4028235e38, 5e-324), ('#__notprefix', NULL, NULL), ('', NULL, NULL)

INSERT INTO shop.orders (user_id, total) SELECT 1 + n % 6, n FROM generate_series(1, 5000) n

INSERT INTO measures SELECT date '2022-06-01' + n, n FROM generate_series(1, 900) n

INSERT INTO animals VALUES ('cat', 4)

INSERT INTO dogs VALUES ('rex', 4, 'collie')

INSERT INTO "odd ""schema"."odd.table; $$ %s" VALUES ('x', 1)

INSERT INTO no_columns DEFAULT VALUES

CREATE TRIGGER touched BEFORE INSERT ON jos_users FOR EACH ROW EXECUTE FUNCTION touch()

SELECT nextval('loose'), nextval('loose')

REFRESH MATERIALIZED VIEW summary

REFRESH MATERIALIZED VIEW summary_of_summary

SELECT lo_from_bytea(424242, decode(repeat('00ff41', 300000), 'hex'))

SELECT lo_create(424243)
