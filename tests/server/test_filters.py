"""What is left out: every row of api-methods.md 5.2 and 5.3."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from backstay.databases import DatabaseAddress
from server.driving import Driven
from support.mysql import MySQLServer


@pytest.fixture
def site(server: Driven, tmp_path: Path) -> Path:
    """A site, set as the root of profile 1."""
    root = tmp_path / "site"
    (root / "media/huge").mkdir(parents=True)
    (root / "media/index.html").write_text("x" * 44)
    (root / "media/a.bak").write_text("x")
    (root / "link").symlink_to("media")
    server.v2(
        "saveConfiguration", engineconfig={"akeeba.platform.newroot": str(root), "backstay.site.database": "none"}
    )
    return root


def test_file_roots(server: Driven, site: Path) -> None:
    server.v2("setIncludedDirectory", uuid="u-1", path="/srv/private")
    assert server.v2("getFSRoots", profile=1).data == [
        {"value": "[SITEROOT]", "text": str(site)},
        {"value": "u-1", "text": "/srv/private"},
    ]


def test_setting_and_clearing_a_file_filter(server: Driven) -> None:
    changed = server.v2("setFSFilter", profile=1, path="/media/huge/", type="directories", status=1)
    assert changed.pair == (200, {"success": True, "newstate": True})
    server.v2("setFSFilter", path="a.php", type="files")
    assert server.v2("getFSFilters").data == [
        {"node": "media/huge", "type": "directories"},
        {"node": "a.php", "type": "files"},
    ]
    changed = server.v1("setFSFilter", {"path": "media/huge", "type": "directories", "status": False})
    assert changed.data == {"success": True, "newstate": False}
    assert server.v2("getFSFilters").data == [{"node": "a.php", "type": "files"}]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"root": "nope", "path": "x", "type": "files"}, "Unknown filesystem root"),
        ({"root": "", "path": "x", "type": "files"}, "Unknown filesystem root"),
        ({"path": "", "type": "files"}, "Unknown path"),
        ({"path": "../x", "type": "files"}, "Unknown path"),
        ({"path": "x"}, "Filter type is mandatory"),
        ({"path": "x", "type": "tables"}, "Filter type is mandatory"),
    ],
)
def test_file_filters_that_cannot_be_set(server: Driven, data: dict[str, str], message: str) -> None:
    assert server.v2("setFSFilter", data).pair == (500, message)


@pytest.mark.parametrize("method", ["getFSFilters", "getFSEntities"])
def test_a_root_of_files_that_is_not_known(server: Driven, method: str) -> None:
    assert server.v2(method, root="nope").pair == (500, "Unknown filesystem root")


def test_file_expressions(server: Driven) -> None:
    data = {"profile": 1, "root": "[SITEROOT]", "regex": "#\\.bak$#i", "type": "regexfiles"}
    assert server.v2("setRegexFSFilter", {**data, "status": 1}).pair == (200, True)
    assert server.v2("getRegexFSFilters").data == [{"type": "regexfiles", "item": "#\\.bak$#i"}]
    assert server.v2("setRegexFSFilter", {**data, "status": 0}).pair == (200, True)
    assert server.v2("getRegexFSFilters").data == []


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"root": "[SITEDB]", "regex": "/x/", "type": "regexfiles"}, "Unknown database root"),
        ({"regex": "", "type": "regexfiles"}, "Regex is mandatory"),
        ({"regex": "/x/", "type": "files"}, "Filter type is mandatory"),
    ],
)
def test_file_expressions_that_cannot_be_set(server: Driven, data: dict[str, str], message: str) -> None:
    assert server.v2("setRegexFSFilter", data).pair == (500, message)


def test_an_expression_that_is_none(server: Driven) -> None:
    assert server.v2("setRegexFSFilter", regex="/(/", type="regexfiles").status == 500
    assert server.v2("getRegexFSFilters").data == []


def test_file_entities(server: Driven, site: Path) -> None:
    server.v2("setFSFilter", path="media/huge", type="directories")
    server.v2("setRegexFSFilter", regex="#\\.bak$#", type="regexfiles")
    top = server.v2("getFSEntities").data
    assert list(top) == ["folders", "files", "root", "crumbs"]
    assert (top["root"], top["crumbs"]) == ("[SITEROOT]", [])
    assert {name: folder["link"] for name, folder in top["folders"].items()} == {"link": True, "media": False}
    below = server.v2("getFSEntities", subdirectory="/media/").data
    assert below["crumbs"] == ["media"]
    assert below["folders"] == {"huge": {"directories": 1, "skipfiles": 0, "skipdirs": 0, "link": False}}
    assert below["files"] == {
        "a.bak": {"files": 2, "size": 1, "link": False},
        "index.html": {"files": 0, "size": 44, "link": False},
    }
    empty = server.v2("getFSEntities", subdirectory="media/huge").data
    assert (empty["folders"], empty["files"]) == ([], [])


@pytest.mark.parametrize("path", ["../..", "media/../../..", "gone", "media/index.html"])
def test_nobody_looks_out_of_the_root(server: Driven, site: Path, path: str) -> None:
    (site / "out").symlink_to("/etc")
    assert server.v2("getFSEntities", subdirectory=path).pair == (500, "Unknown path")
    assert server.v2("getFSEntities", subdirectory="out").pair == (500, "Unknown path")


def test_database_roots(server: Driven) -> None:
    connection = {"host": "db", "port": "3307", "driver": "mysqli", "database": "forum", "user": "u", "password": "p"}
    server.v2("setIncludedDB", name="forum", connection=connection, test=0)
    assert server.v2("getDBRoots").data == [
        {"value": "[SITEDB]", "text": "Site's main database"},
        {"value": "forum", "text": "db:3307/forum"},
    ]


def test_setting_and_clearing_a_table_filter(server: Driven) -> None:
    data = {"root": "[SITEDB]", "table": "#__session", "type": "tabledata"}
    assert server.v2("setDBFilter", {**data, "status": 1}).pair == (200, {"success": True, "newstate": True})
    assert server.v2("getDBFilters").data == [{"node": "#__session", "type": "tabledata"}]
    assert server.v2("setDBFilter", {**data, "status": 0}).pair == (200, {"success": True, "newstate": False})
    assert server.v2("getDBFilters").data == []


@pytest.mark.parametrize(
    ("method", "data", "message"),
    [
        ("setDBFilter", {"root": "x", "table": "t"}, "Unknown database root"),
        ("setDBFilter", {"table": ""}, "Table name is mandatory"),
        ("setDBFilter", {"table": "t", "type": "files"}, "Filter type is mandatory"),
        ("getDBFilters", {"root": ""}, "Unknown database root"),
        ("getDBEntities", {"root": "x"}, "Unknown database root"),
        ("getRegexDBFilters", {"root": "x"}, "Unknown database root"),
        ("setRegexDBFilter", {"root": "x", "regex": "/x/", "type": "regextables"}, "Unknown database root"),
        ("setRegexDBFilter", {"regex": "", "type": "regextables"}, "Regex is mandatory"),
        ("setRegexDBFilter", {"regex": "/x/", "type": "tables"}, "Filter type is mandatory"),
    ],
)
def test_table_filters_that_cannot_be_set(server: Driven, method: str, data: dict[str, str], message: str) -> None:
    assert server.v2(method, data).pair == (500, message)


def test_table_expressions(server: Driven) -> None:
    data = {"regex": "/^#__bak_/", "type": "regextables"}
    assert server.v2("setRegexDBFilter", {**data, "status": 1}).pair == (200, True)
    assert server.v2("getRegexDBFilters").data == [{"type": "regextables", "item": "/^#__bak_/"}]
    assert server.v2("setRegexDBFilter", {**data, "status": 0}).pair == (200, True)
    assert server.v2("getRegexDBFilters").data == []


def test_entities_of_a_sqlite_database(server: Driven, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "site.db")) as connection:
        connection.executescript("CREATE TABLE a (x); CREATE TABLE b (x); CREATE VIEW v AS SELECT x FROM a;")
    server.v2("saveConfiguration", engineconfig={"backstay.site.database": f"sqlite:///{tmp_path / 'site.db'}"})
    server.v2("setDBFilter", table="b", type="tables")
    reply = server.v2("getDBEntities").data
    assert reply["root"] == "[SITEDB]"
    assert {name: (e["type"], e["tables"], e["tabledata"]) for name, e in reply["tables"].items()} == {
        "a": ("table", 0, 0),
        "b": ("table", 1, 0),
        "v": ("view", 0, 2),
    }


def test_a_site_without_a_database_has_no_entities(server: Driven, site: Path) -> None:
    assert server.v2("getDBEntities").pair == (500, "Unknown database root")


@pytest.mark.mysql
def test_entities_of_a_mysql_database(
    server: Driven, mysql_server: MySQLServer, mysql_database: DatabaseAddress
) -> None:
    mysql_server.execute(
        [
            "CREATE TABLE abc_session (id INT PRIMARY KEY) ENGINE=InnoDB",
            "CREATE TABLE abc_bak_x (id INT) ENGINE=InnoDB",
            "CREATE TABLE other (id INT) ENGINE=MEMORY",
            "CREATE VIEW abc_view AS SELECT id FROM abc_session",
            "CREATE PROCEDURE abc_proc() SELECT 1",
            "INSERT INTO abc_session VALUES (1), (2)",
        ],
        mysql_database.name,
    )
    url = replace(mysql_database, prefix="abc_").url()
    server.v2("saveConfiguration", {"engineconfig": {"backstay.site.database": url}}, verb="POST")
    server.v2("setDBFilter", table="#__session", type="tabledata")
    server.v2("setRegexDBFilter", regex="/^#__bak_/", type="regextables")
    tables = server.v2("getDBEntities").data["tables"]
    assert {name: (entity["type"], entity["tables"], entity["tabledata"]) for name, entity in tables.items()} == {
        "#__session": ("table", 0, 1),
        "#__bak_x": ("table", 2, 0),
        "other": ("table", 0, 0),
        "#__view": ("view", 0, 2),
        "#__proc": ("procedure", 0, 2),
    }
    assert tables["#__session"]["engine"] == "InnoDB"
    assert tables["#__session"]["dataLength"] > 0


@pytest.mark.postgresql
def test_entities_of_a_postgresql_database(server: Driven, postgresql_database: DatabaseAddress) -> None:
    place = postgresql_database
    with psycopg.connect(
        host=place.socket or place.host, dbname=place.name, user=place.user, password=place.password or None
    ) as connection:
        connection.execute("CREATE TABLE a (x int)")
        connection.execute("CREATE VIEW v AS SELECT x FROM a")
    server.v2("saveConfiguration", engineconfig={"backstay.site.database": postgresql_database.url()})
    tables = server.v2("getDBEntities").data["tables"]
    assert {name: (entity["type"], entity["tables"], entity["tabledata"]) for name, entity in tables.items()} == {
        "a": ("table", 0, 0),
        "v": ("view", 0, 2),
    }
