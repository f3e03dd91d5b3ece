"""What goes wrong is reported in one sentence, and nothing is lost by it."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from backstay.databases import DatabaseAddress, DumpOptions, ExistingTables, dump, load
from backstay.databases import test_connection as log_in
from backstay.errors import DatabaseConnectionError, DumpError, LoadError, TablesExistError
from support import compare
from support.missing import skip_or_fail
from support.mysql import MySQLServer, start_private_server
from support.sinks import FolderSink, dump_to, finish, load_from

pytestmark = pytest.mark.mysql


@pytest.fixture
def doomed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MySQLServer]:
    """A server of the test's own, to be killed."""
    server = start_private_server(tmp_path_factory.mktemp("doomed"))
    if server is None:
        skip_or_fail("no MariaDB server to kill: install mariadb-server")
    yield server
    server.close()


def fill(server: MySQLServer, name: str, rows: int = 20000) -> DatabaseAddress:
    address = server.create(name)
    server.execute(
        [
            "CREATE TABLE big (id int PRIMARY KEY AUTO_INCREMENT, t varchar(200))",
            f"INSERT INTO big (t) SELECT REPEAT('x', 200) FROM seq_1_to_{rows}",
            "CREATE TABLE later (id int)",
            "INSERT INTO later VALUES (1)",
        ],
        name,
    )
    return address


def test_a_server_killed_in_the_middle_of_a_dump(doomed: MySQLServer, tmp_path: Path) -> None:
    address = fill(doomed, "site")
    running = dump(address, FolderSink(tmp_path), on_warning=print)
    while next(running).rows_done == 0:
        pass
    doomed.kill()
    with pytest.raises(
        DatabaseConnectionError, match=r"The connection to mysql://root@/site.* was lost while the table big was"
    ):
        finish(running)


def test_a_server_killed_in_the_middle_of_a_load(doomed: MySQLServer, tmp_path: Path) -> None:
    address = fill(doomed, "site")
    sink, summary = dump_to(tmp_path, address)
    target = doomed.create("target")
    running = load(target, sink.parts(), metadata=summary.metadata, on_warning=print)
    next(running)
    doomed.kill()
    with pytest.raises(DatabaseConnectionError, match=r"was lost while site\.s?.* was being loaded, at byte \d+"):
        finish(running)


def test_a_full_disk_is_the_sinks_own_error(mysql_server: MySQLServer, tmp_path: Path) -> None:
    address = fill(mysql_server, "backstay_full")

    class FullDisk:
        def open(self, name: str) -> BinaryIO:
            class Full(BytesIO):
                def write(self, data: Any) -> int:
                    raise OSError(errno.ENOSPC, "No space left on device", name)

            return Full()

    with pytest.raises(OSError, match=r"No space left on device: 'site\.sql'"):
        finish(dump(address, FullDisk(), on_warning=print))
    mysql_server.drop(address.name)


def test_a_table_dropped_or_altered_during_the_dump_is_a_warning_that_names_it(
    mysql_server: MySQLServer, mysql_database: DatabaseAddress, tmp_path: Path
) -> None:
    mysql_server.execute(
        [
            "CREATE TABLE a_first (id int)",
            "INSERT INTO a_first VALUES (1)",
            "CREATE TABLE b_dropped (id int)",
            "CREATE TABLE c_altered (id int)",
            "CREATE TABLE c_rebuilt (id int)",
            "INSERT INTO c_rebuilt VALUES (3)",
            "INSERT INTO c_altered VALUES (1), (2)",
            "CREATE TABLE d_changed (id int)",
            "INSERT INTO d_changed VALUES (1)",
            "CREATE VIEW e_gone AS SELECT 1 AS x",
        ],
        mysql_database.name,
    )
    warnings: list[str] = []
    sink = FolderSink(tmp_path)
    running = dump(mysql_database, sink, on_warning=warnings.append)
    while next(running).table != "a_first":
        pass
    mysql_server.execute(
        [
            "DROP TABLE b_dropped",
            "DROP VIEW e_gone",
            "ALTER TABLE c_altered ADD COLUMN more int DEFAULT 5",
            "ALTER TABLE c_rebuilt ADD COLUMN more int DEFAULT 5, ALGORITHM=COPY",
            "INSERT INTO d_changed VALUES (2)",
        ],
        mysql_database.name,
    )
    summary = finish(running)
    assert warnings == [
        "The table b_dropped was dropped during the dump and is not in it.",
        "The table c_altered was altered during the dump: it is dumped as it is now, and may not fit the other tables.",
        "The table c_rebuilt was altered during the dump: it is dumped as it is now, and may not fit the other tables.",
        "The view e_gone was dropped during the dump and is not in it.",
    ]
    assert {name: found.rows for name, found in summary.tables.items()} == {
        "a_first": 1,
        "c_altered": 2,
        "c_rebuilt": 1,
        "d_changed": 1,
    }
    copy = mysql_server.create(mysql_database.name + "_copy")
    load_from(sink, copy, metadata=summary.metadata)
    assert mysql_server.execute("SELECT * FROM c_altered", copy.name) == [(1, 5), (2, 5)]
    mysql_server.drop(copy.name)


def test_a_table_that_was_dumped_is_not_locked_any_more(
    mysql_server: MySQLServer, mysql_database: DatabaseAddress, tmp_path: Path
) -> None:
    mysql_server.execute(
        ["CREATE TABLE a (id int)", "INSERT INTO a VALUES (1)", "CREATE TABLE b (id int)"], mysql_database.name
    )
    running = dump(mysql_database, FolderSink(tmp_path), on_warning=print)
    while next(running).table != "b":
        pass
    mysql_server.execute(["SET lock_wait_timeout = 2", "ALTER TABLE a ADD COLUMN c int"], mysql_database.name)
    finish(running)


def test_all_tables_are_seen_in_one_state(
    mysql_server: MySQLServer, mysql_database: DatabaseAddress, tmp_path: Path
) -> None:
    mysql_server.execute(["CREATE TABLE a (id int)", "CREATE TABLE b (id int)"], mysql_database.name)
    running = dump(mysql_database, FolderSink(tmp_path), on_warning=print)
    while next(running).table != "b":
        pass
    mysql_server.execute(["INSERT INTO a VALUES (1)", "INSERT INTO b VALUES (1)"], mysql_database.name)
    assert {name: found.rows for name, found in finish(running).tables.items()} == {"a": 0, "b": 0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"password": "hidden-wrong"}, "refuses the log-in to mysql://root"),
        ({"name": "no_such_database"}, "There is no database 'no_such_database'"),
        ({"socket": "/no/such/socket", "host": ""}, "cannot be reached: No such file or directory"),
        ({"socket": "", "host": "127.0.0.1", "port": 1}, "cannot be reached: nobody listens there"),
    ],
)
def test_what_refuses_the_connection_is_reported_without_the_password(
    mysql_database: DatabaseAddress, change: dict[str, Any], message: str
) -> None:
    if not mysql_database.socket:
        pytest.skip("the messages are those of the private server")
    with pytest.raises(DatabaseConnectionError, match=message) as caught:
        log_in(replace(mysql_database, **change))
    assert "hidden-wrong" not in str(caught.value)
    assert "hidden-wrong" not in repr(replace(mysql_database, **change))


def test_a_user_without_rights_gets_warnings_and_the_rest(
    mysql_server: MySQLServer, mysql_database: DatabaseAddress, tmp_path: Path
) -> None:
    name = mysql_database.name
    mysql_server.execute(
        [
            "CREATE TABLE t (a int)",
            "INSERT INTO t VALUES (1)",
            "CREATE TABLE hidden (a int)",
            "CREATE VIEW v AS SELECT 1 AS x",
            "CREATE PROCEDURE p() SELECT 1",
            "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 1",
            "CREATE OR REPLACE USER backstay_reader@localhost IDENTIFIED BY 'pw'",
            f"GRANT SELECT ON `{name}`.t TO backstay_reader@localhost",
            f"GRANT INSERT ON `{name}`.hidden TO backstay_reader@localhost",
            f"GRANT SELECT ON `{name}`.v TO backstay_reader@localhost",
        ],
        name,
    )
    warnings: list[str] = []
    reader = replace(mysql_database, user="backstay_reader", password="pw")
    sink, summary = dump_to(tmp_path, reader, warnings=warnings)
    mysql_server.execute("DROP USER backstay_reader@localhost")
    assert summary.metadata["tables"] == {"table": ["hidden", "t"]}
    assert len(warnings) == 3
    assert "no right to see procedures and functions or triggers or events" in warnings[0]
    assert warnings[1].startswith("The rows of the table hidden could not be dumped: SELECT command denied")
    assert warnings[2].startswith("The view v could not be dumped: SHOW VIEW command denied")
    assert [(one.kind, one.name) for one in summary.skipped] == [("rows of the table", "hidden"), ("view", "v")]
    assert [one["name"] for one in summary.metadata["backstay"]["skipped"]] == ["hidden", "v"]
    assert b"INSERT INTO `t`" in sink.text()


def test_the_definition_of_an_invalid_view_is_dumped_with_a_warning(
    mysql_server: MySQLServer, mysql_database: DatabaseAddress, tmp_path: Path
) -> None:
    mysql_server.execute(
        ["CREATE TABLE t (a int)", "CREATE VIEW v AS SELECT a FROM t", "DROP TABLE t"], mysql_database.name
    )
    warnings: list[str] = []
    sink, summary = dump_to(tmp_path / "dump", mysql_database, warnings=warnings)
    assert len(warnings) == 1
    assert warnings[0].startswith("The view v does not work:")
    assert b"CREATE VIEW `v` AS" in sink.text()
    assert summary.skipped == ()
    with pytest.raises(DumpError, match="The view v does not work"):
        dump_to(tmp_path / "strict", mysql_database, options=DumpOptions(strict=True))


def test_one_object_that_the_server_does_not_give_never_fails_the_dump(
    mysql_server: MySQLServer, mysql_database: DatabaseAddress, tmp_path: Path
) -> None:
    mysql_server.execute(
        [
            "CREATE TABLE good (a int)",
            "INSERT INTO good VALUES (1)",
            "CREATE TABLE part (a int) ENGINE=MyISAM",
            "CREATE TABLE united (a int) ENGINE=MERGE UNION=(part)",
            "DROP TABLE part",
            "CREATE DEFINER='nobody'@'nowhere' VIEW orphan AS SELECT a FROM good",
            "CREATE FUNCTION seven() RETURNS int DETERMINISTIC RETURN 7",
            "CREATE VIEW counted AS SELECT seven() AS x",
        ],
        mysql_database.name,
    )
    warnings: list[str] = []
    sink, summary = dump_to(tmp_path / "dump", mysql_database, warnings=warnings)
    assert summary.tables["good"].rows == 1
    assert any(one.startswith("The view orphan does not work: ") and "nobody" in one for one in warnings)
    assert any("united" in one for one in warnings)
    text = sink.text()
    places = [
        text.index(one) for one in (b"INSERT INTO `good`", b"VIEW `orphan`", b"FUNCTION `seven`", b"VIEW `counted`")
    ]
    assert places == sorted(places)
    with pytest.raises(DumpError):
        dump_to(tmp_path / "strict", mysql_database, options=DumpOptions(strict=True))


def test_names_of_routines_are_in_backticks_whatever_their_mode(
    mysql_server: MySQLServer, mysql_database: DatabaseAddress, tmp_path: Path
) -> None:
    mysql_server.execute(
        [
            "SET sql_mode = 'ANSI_QUOTES'",
            'CREATE PROCEDURE "jos_p"() SELECT 1 AS "x"',
            'CREATE TABLE "jos_t" (a int)',
            "CREATE TRIGGER jos_g BEFORE INSERT ON jos_t FOR EACH ROW SET NEW.a = 1",
        ],
        mysql_database.name,
    )
    sink, _ = dump_to(tmp_path, replace(mysql_database, prefix="jos_"))
    assert b"PROCEDURE `#__p`()" in sink.text()
    assert b"TRIGGER `#__g` BEFORE INSERT ON `#__t` FOR EACH ROW" in sink.text()


OLD = [
    "CREATE TABLE jos_parent (id int PRIMARY KEY)",
    "CREATE TABLE jos_child (id int PRIMARY KEY, up int, CONSTRAINT jos_f FOREIGN KEY (up) REFERENCES jos_parent (id))",
    "CREATE TABLE outside (id int PRIMARY KEY, up int, CONSTRAINT out_fk FOREIGN KEY (up) REFERENCES jos_parent (id))",
    "CREATE TABLE outside_log (what varchar(20))",
    "CREATE VIEW jos_view AS SELECT id FROM jos_child",
    "CREATE PROCEDURE jos_proc() SELECT count(*) FROM jos_child",
    "CREATE TRIGGER jos_trg AFTER INSERT ON jos_child FOR EACH ROW INSERT INTO outside_log VALUES ('old')",
    "CREATE SEQUENCE jos_seq",
    "CREATE TABLE jos_numbered (id int DEFAULT nextval(jos_seq))",
    "INSERT INTO jos_parent VALUES (1)",
    "INSERT INTO jos_child VALUES (1, 1)",
    "INSERT INTO outside VALUES (1, 1)",
    "INSERT INTO jos_numbered VALUES (DEFAULT)",
]


@pytest.fixture
def old_and_new(mysql_server: MySQLServer, mysql_database: DatabaseAddress, tmp_path: Path) -> Iterator[Any]:
    """A database with a site in it, and a dump of a later state of the same site."""
    old = replace(mysql_server.create(mysql_database.name + "_old"), prefix="jos_")
    new = replace(mysql_database, prefix="jos_")
    for address in (old, new):
        mysql_server.execute(OLD, address.name)
    mysql_server.execute(
        [
            "DROP TABLE outside",
            "INSERT INTO jos_parent VALUES (2)",
            "ALTER TABLE jos_child ADD COLUMN extra int",
            "CREATE OR REPLACE VIEW jos_view AS SELECT id, extra FROM jos_child",
            "CREATE TABLE jos_added (a int)",
            "SELECT nextval(jos_seq)",
        ],
        new.name,
    )
    sink, summary = dump_to(tmp_path / "dump", new)
    yield sink, summary, old, new
    mysql_server.drop(old.name)


def test_tables_that_exist_are_refused_by_default(mysql_server: MySQLServer, old_and_new: Any) -> None:
    sink, summary, old, _ = old_and_new
    before = compare.definitions(mysql_server, old.name)
    with pytest.raises(TablesExistError, match="already holds jos_"):
        load_from(sink, old, metadata=summary.metadata)
    assert compare.definitions(mysql_server, old.name) == before


@pytest.mark.parametrize("policy", [ExistingTables.REPLACE, ExistingTables.BACK_UP])
def test_tables_that_exist_are_replaced_or_backed_up(
    mysql_server: MySQLServer, old_and_new: Any, policy: ExistingTables
) -> None:
    sink, summary, old, new = old_and_new
    loaded = None
    found: dict[tuple[str, str], str] = {}
    for _ in range(2):
        loaded = load_from(sink, old, metadata=summary.metadata, policy=policy)
        found = compare.definitions(mysql_server, old.name)
        expected = compare.definitions(mysql_server, new.name)
        assert {
            key: text for key, text in found.items() if not key[1].startswith("bak_") and key[1] != "outside"
        } == expected
        assert compare.rows(mysql_server, old.name, "jos_parent").total() == 2
        # A table that the dump knows nothing of still refers to the one that is there now.
        assert "REFERENCES `jos_parent`" in found["BASE TABLE", "outside"]
        with pytest.raises(Exception, match="foreign key constraint fails"):
            mysql_server.execute("INSERT INTO outside VALUES (9, 99)", old.name)
    if policy is ExistingTables.BACK_UP:
        assert loaded is not None
        assert loaded.backups["jos_child"] == "bak_child"
        assert ("BASE TABLE", "bak_child") in found
    else:
        assert not any(name.startswith("bak") for _, name in found)


@pytest.mark.parametrize(
    ("spoilt", "message"),
    [
        (
            b"/**ABDB**/INSERT INTO `#__parent`  VALUES \n(3,'",
            r"site\.sql, byte \d+: the server refused a statement: .*syntax",
        ),
        (
            b"/**ABDB**/INSERT INTO `#__nowhere`  VALUES \n(3)",
            r"site\.sql, byte \d+: rows for the table jos_nowhere, which",
        ),
        (b"/**ABDB**/DROP DATABASE mysql", r"site\.sql, byte \d+: a statement that no dump holds was not executed"),
        (b"/**ABDB**/CREATE TABLE `#__child` (a int)", "makes the table jos_child twice"),
    ],
)
def test_a_load_that_fails_leaves_everything_as_it_was(
    mysql_server: MySQLServer, old_and_new: Any, spoilt: bytes, message: str
) -> None:
    sink, summary, old, _ = old_and_new
    with (sink.folder / "site.sql").open("ab") as file:
        file.write(spoilt)
    before = (compare.definitions(mysql_server, old.name), compare.objects(mysql_server, old.name))
    with pytest.raises(LoadError, match=message):
        load_from(sink, old, metadata=summary.metadata, policy=ExistingTables.REPLACE)
    assert (compare.definitions(mysql_server, old.name), compare.objects(mysql_server, old.name)) == before
    mysql_server.execute("INSERT INTO jos_child VALUES (2, 1)", old.name)
    assert mysql_server.execute("SELECT * FROM outside_log", old.name) == [("old",), ("old",)]


def test_statements_that_reach_beyond_the_database_are_refused(mysql_database: DatabaseAddress, tmp_path: Path) -> None:
    for statement in (
        b"GRANT ALL ON *.* TO evil@'%'",
        b"INSERT INTO `mysql`.`user` VALUES (1)",
        b"INSERT INTO t SELECT LOAD_FILE('/etc/passwd')",
        b"LOAD DATA INFILE '/etc/passwd' INTO TABLE t",
        b"SELECT 1 INTO OUTFILE '/tmp/x'",
        b"CREATE USER evil",
        b"CREATE DATABASE evil",
        b"CREATE TABLE `mysql`.`evil` (a int)",
    ):
        sink = FolderSink(tmp_path)
        with sink.open("site.sql") as file:
            file.write(b"/**ABDB**/" + statement + b";\n")
        with pytest.raises(LoadError, match=r"site\.sql"):
            load_from(sink, mysql_database)


def test_a_dump_of_the_options_packet_size_holds_no_longer_insert(
    mysql_server: MySQLServer, mysql_database: DatabaseAddress, tmp_path: Path
) -> None:
    mysql_server.execute(
        ["CREATE TABLE t (a text)", "INSERT INTO t SELECT REPEAT(CHAR(39, 92, 10, 0), seq % 200) FROM seq_1_to_2000"],
        mysql_database.name,
    )
    options = DumpOptions(packet_size=10000, part_size=50000)
    sink, _ = dump_to(tmp_path, mysql_database, options=options)
    statements = sink.text().split(b"/**ABDB**/")
    assert max(map(len, statements)) <= 10000
    assert all((sink.folder / name).stat().st_size <= 50000 for name in sink.names)


def test_what_the_server_refuses_to_make_is_kept_in_a_file(
    mysql_server: MySQLServer, old_and_new: Any, tmp_path: Path
) -> None:
    sink, summary, old, _ = old_and_new
    with (sink.folder / "site.sql").open("ab") as file:
        file.write(b"/**ABDB**/CREATE TRIGGER `#__x` AFTER INSERT ON `#__child` FOR EACH ROW NONSENSE;\n")
        file.write(b"/**ABDB**/CREATE TABLE `#__gone` (a nonsense);\n")
    warnings: list[str] = []
    kept = tmp_path / "refused.sql"
    loaded = finish(
        load(
            old,
            sink.parts(),
            metadata=summary.metadata,
            policy=ExistingTables.REPLACE,
            on_warning=warnings.append,
            refused_file=kept,
        )
    )
    assert [(one.kind, one.name) for one in loaded.skipped] == [("table", "jos_gone"), ("trigger", "jos_x")]
    assert any("jos_x could not be made" in one and str(kept) in one for one in warnings)
    text = kept.read_text()
    assert "AFTER INSERT ON `jos_child` FOR EACH ROW NONSENSE$$\nDELIMITER ;" in text
    assert "CREATE TABLE `jos_gone` (a nonsense);" in text
    assert kept.stat().st_mode & 0o777 == 0o600


def test_a_table_that_cannot_be_made_fails_the_load_where_its_rows_would_be_lost(
    mysql_server: MySQLServer, old_and_new: Any
) -> None:
    sink, summary, old, _ = old_and_new
    with (sink.folder / "site.sql").open("ab") as file:
        file.write(b"/**ABDB**/CREATE TABLE `#__gone` (a nonsense);\n/**ABDB**/INSERT INTO `#__gone`  VALUES \n(3);\n")
    before = compare.definitions(mysql_server, old.name)
    with pytest.raises(LoadError, match=r"table jos_gone has rows, and the server refused to make it: .*nonsense"):
        load_from(sink, old, metadata=summary.metadata, policy=ExistingTables.REPLACE)
    assert compare.definitions(mysql_server, old.name) == before
