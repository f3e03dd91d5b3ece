"""What a MySQL or MariaDB database holds is the same after a dump and a load."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from backstay.databases import DatabaseAddress, DumpOptions, ExistingTables
from support import compare
from support.mysql import MySQLServer
from support.sinks import dump_to, load_from

pytestmark = pytest.mark.mysql

FIXTURES = Path(__file__).parents[2] / "fixtures"

ODD = [
    "CREATE TABLE `jos_a.b c` (`id` int NOT NULL AUTO_INCREMENT, `q``u'o\"te` varchar(20) DEFAULT 'it''s; \\\\',"
    " `#__c` int DEFAULT 7 COMMENT '#__not a prefix', `日本` text, PRIMARY KEY (`id`), KEY `jos_idx` (`#__c`)) "
    "ENGINE=InnoDB AUTO_INCREMENT=500 COMMENT='line\\nbreak; ''x'''",
    "CREATE TABLE `jos_dot.ted` (`a` int)",
    "CREATE TABLE jos_no_key (a int, b varchar(10))",
    "CREATE TABLE jos_hidden (id int PRIMARY KEY, secret int INVISIBLE DEFAULT 5, shown int, "
    "twice int AS (shown * 2) VIRTUAL, thrice int AS (shown * 3) PERSISTENT)",
    "CREATE TABLE jos_only_generated (a int AS (1 + 1) VIRTUAL)",
    "CREATE TABLE jos_first (id int PRIMARY KEY, other int, CONSTRAINT jos_fk_circle FOREIGN KEY (other) "
    "REFERENCES jos_first (id))",
    "CREATE TABLE jos_a_child (id int PRIMARY KEY, up int, KEY up (up), CONSTRAINT `a b;c` FOREIGN KEY (up) "
    "REFERENCES jos_z_parent (id) ON DELETE SET NULL ON UPDATE CASCADE)",
    "CREATE TABLE jos_z_parent (id int PRIMARY KEY, down int, KEY (down), FOREIGN KEY (down) "
    "REFERENCES jos_a_child (id), CHECK (id > 0), CONSTRAINT jos_named CHECK (down <> 99))",
    "CREATE TABLE jos_parts (id int NOT NULL, at date NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (YEAR(at)) "
    "(PARTITION old VALUES LESS THAN (2000), PARTITION `new one` VALUES LESS THAN MAXVALUE)",
    "CREATE TABLE jos_hashed (id int) PARTITION BY HASH (id) PARTITIONS 3",
    "CREATE TABLE jos_engine (id int, v varchar(10), KEY v (v) USING BTREE) ENGINE=MyISAM ROW_FORMAT=FIXED",
    "CREATE TABLE jos_aria (id int PRIMARY KEY) ENGINE=Aria TRANSACTIONAL=1",
    "CREATE TABLE jos_memory (id int) ENGINE=MEMORY",
    "CREATE TABLE jos_m1 (id int) ENGINE=MyISAM",
    "CREATE TABLE jos_merged (id int) ENGINE=MRG_MYISAM UNION=(jos_m1) INSERT_METHOD=LAST",
    "CREATE SEQUENCE jos_seq START WITH 5 INCREMENT BY 3 MAXVALUE 1000 CACHE 10 CYCLE",
    "CREATE TABLE jos_numbered (id int DEFAULT nextval(jos_seq), v int)",
    "CREATE TABLE jos_versioned (id int PRIMARY KEY, v int) WITH SYSTEM VERSIONING",
    "CREATE TABLE jos_period (id int PRIMARY KEY, v int, `from` timestamp(6) GENERATED ALWAYS AS ROW START, "
    "`to` timestamp(6) GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (`from`, `to`)) WITH SYSTEM VERSIONING",
    "CREATE TABLE jos_charsets (id int PRIMARY KEY, l1 varchar(50) CHARACTER SET latin1, l2 varchar(50) CHARACTER SET "
    "latin2, w text CHARACTER SET utf16, u2 varchar(20) CHARACTER SET ucs2, s varchar(50) CHARACTER SET sjis, "
    "g varchar(50) CHARACTER SET gbk, b varchar(50) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, "
    "k varchar(50) CHARACTER SET koi8r, e enum('ä','b') CHARACTER SET latin2, u varchar(50) CHARACTER SET utf8mb3)",
    "CREATE TABLE jos_types (id int PRIMARY KEY, e enum('a','','b'), e2 enum('x'), s set('p','q','r s'), y year, "
    "f float, f2 float(7,2), d double, d2 double(9,3), z int(5) unsigned zerofill, b1 bit(1), b64 bit(64), "
    "bin binary(4), vb varbinary(8), geo point, poly geometry, j json, i6 inet6, u uuid, dt datetime(3), "
    "ts timestamp(6) NULL, t time(6), dc decimal(65,38), tb tinyblob, mt mediumtext)",
    "INSERT INTO `jos_a.b c` (`q``u'o\"te`, `#__c`, `日本`) VALUES ('a', 1, '#__x'), (NULL, NULL, '日本\\r\\n\\0\\Z''\"\\\\')",
    "INSERT INTO jos_no_key VALUES (1, 'x'), (1, 'x'), (NULL, NULL)",
    "INSERT INTO jos_hidden (id, secret, shown) VALUES (1, 2, 3), (2, NULL, NULL)",
    "INSERT INTO jos_only_generated () VALUES (), ()",
    "SET foreign_key_checks = 0",
    "INSERT INTO jos_first VALUES (1, 2), (2, 1)",
    "INSERT INTO jos_a_child VALUES (1, 10)",
    "INSERT INTO jos_z_parent VALUES (10, 1)",
    "INSERT INTO jos_parts VALUES (1, '1999-01-01'), (2, '2024-02-29')",
    "INSERT INTO jos_hashed VALUES (1), (2), (3), (NULL)",
    "INSERT INTO jos_engine VALUES (1, 'x')",
    "INSERT INTO jos_aria VALUES (0), (1)",
    "INSERT INTO jos_m1 VALUES (1), (2)",
    "SELECT nextval(jos_seq)",
    "INSERT INTO jos_numbered (v) VALUES (1), (2)",
    "INSERT INTO jos_versioned VALUES (1, 1), (2, 2)",
    "UPDATE jos_versioned SET v = 3",
    "DELETE FROM jos_versioned WHERE id = 2",
    "INSERT INTO jos_period (id, v) VALUES (1, 1)",
    "UPDATE jos_period SET v = 2",
    "INSERT INTO jos_charsets VALUES (1, 'Zürich €', 'žluťoučký', '🎉 w', 'u2 ü', _sjis 0x8790835C, _gbk 0xC4E3, 'A ', "
    "'привет', 'ä', 'ü'), (2, 0x8190, '', '', '', '', '', '', '', 'b', ''), (3, NULL, NULL, NULL, NULL, NULL, NULL, "
    "NULL, NULL, NULL, NULL)",
    "SET sql_mode = 'ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO'",
    "INSERT INTO jos_types VALUES (0, '', 'x', 'p,q', 0, 0.1, 1.25, 1e-300, -1.5, 42, b'1', 0xFFFFFFFFFFFFFFFF, "
    "0x00FF27, 0x5C00, POINT(1, -2), ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))', 4326), '{\"a\": \"\\\\u00fc\"}', "
    "'::1', '123e4567-e89b-12d3-a456-426614174000', '2015-02-30 00:00:00', '2038-01-19 03:14:07.999999', "
    "'-838:59:59.999999', '-1.00000000000000000000000000000000000001', '', '')",
    "INSERT IGNORE INTO jos_types (id, e, e2) VALUES (1, 'zz', 'zz'), (2, 0, 0)",
    "INSERT INTO jos_types (id, dt, y, f, d) VALUES (3, '0000-00-00', 2155, 3.4028234663852886e38, 5e-324), "
    "(4, '2015-00-00', 1901, 1e-45, -1.7976931348623157e308)",
    "CREATE FUNCTION jos_fn(x int) RETURNS int DETERMINISTIC RETURN x * 2",
    "CREATE VIEW jos_z_view AS SELECT f.id, jos_fn(f.id) AS `jos_first`, '#__lit' AS lit, 'jos_first' AS text "
    "FROM jos_first f",
    "CREATE ALGORITHM=MERGE SQL SECURITY INVOKER VIEW jos_a_view AS SELECT * FROM jos_z_view WITH CHECK OPTION",
    "SET sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES'",
    "CREATE PROCEDURE \"jos_pr`oc\"(OUT n int) COMMENT 'c;omment' BEGIN -- it's; a comment\n"
    "# jos_first ' \n /* ; */ SELECT count(*) INTO n FROM \"jos_first\" WHERE 'a\\' || \"id\" <> 'jos_first'; "
    "IF n THEN SET n = 1; END IF; END",
    "SET sql_mode = DEFAULT",
    "CREATE TRIGGER jos_trg1 BEFORE INSERT ON jos_no_key FOR EACH ROW SET NEW.a = NEW.a + 1",
    "CREATE TRIGGER jos_trg2 BEFORE INSERT ON jos_no_key FOR EACH ROW PRECEDES jos_trg1 BEGIN SET NEW.b = 'jos_first;'; END",
    "SET time_zone = '+03:00'",
    "CREATE EVENT jos_event ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 12:00:00' ENDS '2037-01-01 00:00:00' "
    "ON COMPLETION PRESERVE DISABLE COMMENT 'e;' DO DELETE FROM jos_no_key WHERE a = 99",
    "SET time_zone = '+00:00'",
]


@pytest.fixture
def copy(mysql_server: MySQLServer, mysql_database: DatabaseAddress) -> Any:
    address = mysql_server.create(mysql_database.name + "_copy")
    yield address
    mysql_server.drop(address.name)


def with_prefix(address: DatabaseAddress, prefix: str) -> DatabaseAddress:
    from dataclasses import replace

    return replace(address, prefix=prefix)


def make_site(server: MySQLServer, database: str, folder: Path, rows: int) -> None:
    """Fill a database with the fixtures' sample site, prefix ``tst_``."""
    target = folder / "site.sql"
    command = [sys.executable, str(FIXTURES / "make_site.py"), "--root", str(folder / "none"), "--skip-files"]
    subprocess.run([*command, "--db", database, "--rows", str(rows), "--sql-out", str(target)], check=True)
    run_sql(server, target)


def run_sql(server: MySQLServer, path: Path, database: str = "") -> None:
    """Run a file of SQL with the server's own client."""
    from support.mysql import find_program
    from support.missing import skip_or_fail

    client = find_program("mariadb", "mysql")
    if client is None:
        skip_or_fail("no mariadb client: install mariadb-client")
    with path.open("rb") as file:
        subprocess.run([client, *server.client_arguments(), *([database] if database else [])], stdin=file, check=True)


def needs_mariadb(server: MySQLServer) -> None:
    if "MariaDB" not in server.execute("SELECT VERSION()")[0][0]:
        pytest.skip("the server is not MariaDB, whose sequences and versioned tables the test needs")


def test_the_sample_site(
    mysql_server: MySQLServer, mysql_database: DatabaseAddress, copy: DatabaseAddress, tmp_path: Path
) -> None:
    make_site(mysql_server, mysql_database.name, tmp_path, 5000)
    warnings: list[str] = []
    sink, summary = dump_to(tmp_path / "dump", with_prefix(mysql_database, "tst_"), warnings=warnings)
    assert [w.partition(":")[0] for w in warnings] == ["No snapshot covers what is not transactional"]
    assert "tst_sets" in warnings[0]
    loaded = load_from(sink, copy, metadata=summary.metadata)
    compare.assert_same_database(mysql_server, mysql_database.name, copy.name)
    assert loaded.rows == summary.rows
    assert summary.metadata["parts"] == len(sink.names) > 1
    assert sink.names[:2] == ["site.sql", "site.s01"]


def test_every_kind_of_object_name_and_value(
    mysql_server: MySQLServer, mysql_database: DatabaseAddress, copy: DatabaseAddress, tmp_path: Path
) -> None:
    needs_mariadb(mysql_server)
    mysql_server.execute(["SET foreign_key_checks = 0", *ODD], mysql_database.name)
    warnings: list[str] = []
    sink, summary = dump_to(tmp_path, with_prefix(mysql_database, "jos_"), warnings=warnings)
    assert [w.partition(":")[0] for w in warnings] == ["No snapshot covers what is not transactional"]
    warnings = []
    load_from(sink, copy, metadata=summary.metadata, warnings=warnings)
    assert [w for w in warnings if "Data truncated" not in w] == []
    compare.assert_same_database(mysql_server, mysql_database.name, copy.name)
    for table in ("jos_versioned", "jos_period"):
        history = [
            compare.rows(mysql_server, name, table, source="FOR SYSTEM_TIME ALL")
            for name in (mysql_database.name, copy.name)
        ]
        assert history[0] == history[1]
        assert history[0].total() > 1
    states = [mysql_server.execute("SELECT * FROM jos_seq", name) for name in (mysql_database.name, copy.name)]
    assert states[0] == states[1]
    names = summary.metadata["tables"]
    assert names["sequence"] == ["#__seq"]
    assert set(names["table"]) >= {"#__a.b c", "#__no_key"}
    assert b"TABLE `jos_" not in sink.text()


def test_another_prefix_changes_identifiers_and_nothing_else(
    mysql_server: MySQLServer, mysql_database: DatabaseAddress, copy: DatabaseAddress, tmp_path: Path
) -> None:
    make_site(mysql_server, mysql_database.name, tmp_path, 2500)
    sink, summary = dump_to(tmp_path / "dump", with_prefix(mysql_database, "tst_"))
    load_from(sink, with_prefix(copy, "new_"), metadata=summary.metadata)
    before, after = compare.objects(mysql_server, mysql_database.name), compare.objects(mysql_server, copy.name)
    assert after == {kind: sorted(name.replace("tst_", "new_") for name in names) for kind, names in before.items()}
    for table in before["BASE TABLE"]:
        new = table.replace("tst_", "new_")
        assert compare.rows(mysql_server, copy.name, new) == compare.rows(mysql_server, mysql_database.name, table)
    marked = "SELECT count(*) FROM `{}order` WHERE `select` = '#__notprefix'"
    assert mysql_server.execute(marked.format("new_"), copy.name) == mysql_server.execute(
        marked.format("tst_"), mysql_database.name
    )
    mysql_server.execute("INSERT INTO new_categories (id, title) VALUES (99999, 'x')", copy.name)
    assert mysql_server.execute("SELECT count(*) FROM new_log", copy.name) == [(1,)]


def test_replacing_the_prefix_everywhere_as_other_restorers_do_harms_no_value(
    mysql_server: MySQLServer, mysql_database: DatabaseAddress, copy: DatabaseAddress, tmp_path: Path
) -> None:
    make_site(mysql_server, mysql_database.name, tmp_path, 2500)
    sink, _ = dump_to(tmp_path / "dump", with_prefix(mysql_database, "tst_"))
    statements = sink.text().replace(b"#__", b"tst_").split(b"\n/**ABDB**/")
    connection = mysql_server.connect(copy.name)
    with connection, connection.cursor() as cursor:
        cursor.execute("SET foreign_key_checks = 0, sql_mode = 'NO_AUTO_VALUE_ON_ZERO'")
        for statement in statements:
            bare = statement.decode().replace("/**ABDB**/\n", "").strip().rstrip(";")
            if bare and bare != "/**ABDB**/":
                cursor.execute(bare)
    compare.assert_same_database(mysql_server, mysql_database.name, copy.name)


def test_a_single_file_loads_with_the_servers_own_client_and_with_backstay(
    mysql_server: MySQLServer, mysql_database: DatabaseAddress, copy: DatabaseAddress, tmp_path: Path
) -> None:
    make_site(mysql_server, mysql_database.name, tmp_path, 2500)
    sink, _ = dump_to(tmp_path / "dump", with_prefix(mysql_database, "tst_"), options=DumpOptions.single_file())
    assert sink.names == ["site.sql"]
    assert b"#__c" not in sink.text()
    run_sql(mysql_server, tmp_path / "dump/site.sql", copy.name)
    compare.assert_same_database(mysql_server, mysql_database.name, copy.name)
    load_from(sink, copy, policy=ExistingTables.REPLACE)
    compare.assert_same_database(mysql_server, mysql_database.name, copy.name)


def test_rows_longer_than_the_server_takes_in_one_piece(
    mysql_server: MySQLServer, mysql_database: DatabaseAddress, copy: DatabaseAddress, tmp_path: Path
) -> None:
    limit = mysql_server.execute("SELECT @@max_allowed_packet")[0][0]
    half = min(limit, 16 << 20) * 3 // 5
    mysql_server.execute(
        [
            "CREATE TABLE big (id int, b longblob, t longtext, l longtext CHARACTER SET latin1, note varchar(20))",
            f"INSERT INTO big VALUES (1, REPEAT(x'00FF275C', {half // 4}), NULL, NULL, 'it''s')",
            f"INSERT INTO big VALUES (2, NULL, REPEAT('\\'ü🎉\\\\', {half // 8}), 'small', '#__')",
            f"INSERT INTO big VALUES (3, '', NULL, REPEAT('ü', {half // 2}), NULL), (4, 'x', 'y', 'z', '')",
            f"UPDATE big SET b = REPEAT('b', {half}) WHERE id = 3",
        ],
        mysql_database.name,
    )
    sink, summary = dump_to(tmp_path, mysql_database)
    assert summary.tables["big"].rows == 4
    load_from(sink, copy, metadata=summary.metadata)
    query = "SELECT id, MD5(b), MD5(t), MD5(HEX(l)), LENGTH(b), LENGTH(t), CHAR_LENGTH(l), note FROM big ORDER BY id"
    assert mysql_server.execute(query, copy.name) == mysql_server.execute(query, mysql_database.name)
    assert compare.definitions(mysql_server, copy.name) == compare.definitions(mysql_server, mysql_database.name)


def test_definer_is_left_out_unless_asked_for(
    mysql_server: MySQLServer, mysql_database: DatabaseAddress, tmp_path: Path
) -> None:
    mysql_server.execute(
        ["CREATE VIEW v AS SELECT 1 AS a", "CREATE PROCEDURE p() SELECT 1", "CREATE TABLE t (a int)"]
        + ["CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET @DEFINER = 1"],
        mysql_database.name,
    )
    without, _ = dump_to(tmp_path / "a", mysql_database)
    assert b"DEFINER=" not in without.text()
    with_definer, _ = dump_to(tmp_path / "b", mysql_database, options=DumpOptions(definer=True))
    assert with_definer.text().count(b"DEFINER=") == 3


def test_engine_options_are_stripped_when_asked_for(
    mysql_server: MySQLServer, mysql_database: DatabaseAddress, tmp_path: Path
) -> None:
    mysql_server.execute(
        "CREATE TABLE t (a int, `ROW_FORMAT=X` int COMMENT 'x USING BTREE', KEY a (a) USING BTREE) "
        "ENGINE=InnoDB ROW_FORMAT=DYNAMIC",
        mysql_database.name,
    )
    plain, _ = dump_to(tmp_path / "a", mysql_database)
    assert b"KEY `a` (`a`) USING BTREE" in plain.text()
    stripped, _ = dump_to(tmp_path / "b", mysql_database, options=DumpOptions(strip_engine_options=True))
    text = stripped.text()
    assert b"KEY `a` (`a`)\n" in text
    assert b"ENGINE=InnoDB DEFAULT CHARSET" in text
    assert b"`ROW_FORMAT=X` int(11) DEFAULT NULL COMMENT 'x USING BTREE'" in text
