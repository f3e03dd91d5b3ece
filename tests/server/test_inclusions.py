"""Directories and databases besides the site's: every row of api-methods.md 5.4."""

from __future__ import annotations

import re
from typing import Any

import pytest

from backstay.databases import DatabaseAddress
from server.driving import Driven

CONNECTION = {"host": "db", "driver": "mysqli", "database": "forum", "user": "u", "password": "p", "prefix": "f_"}
INCOMPLETE = (500, "Connection information missing or incomplete")


def test_no_directories(server: Driven) -> None:
    assert server.v2("getIncludedDirectories").pair == (200, [])


def test_directories(server: Driven) -> None:
    assert server.v2("setIncludedDirectory", path="/srv/private").pair == (200, {"success": True, "newstate": True})
    ((key, place),) = server.v2("getIncludedDirectories").data.items()
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", key)
    assert place == ["/srv/private", "private"]
    server.v2("setIncludedDirectory", uuid=key, path="/srv/other/", virtualFolder="elsewhere")
    assert server.v2("getIncludedDirectories").data == {key: ["/srv/other", "elsewhere"]}
    removed = server.v2("removeIncludedDirectory", uuid=key)
    assert removed.pair == (200, {"success": True, "newstate": False})
    assert server.v2("getIncludedDirectories").data == []


def test_directories_that_cannot_be_set(server: Driven) -> None:
    assert server.v2("setIncludedDirectory").pair == (500, "Path is required")
    assert server.v2("removeIncludedDirectory").pair == (500, "UUID is required")
    assert server.v2("setIncludedDirectory", profile=9, path="/x").pair == (404, "Invalid profile ID")


def test_databases(server: Driven) -> None:
    assert server.v2("getIncludedDBs").pair == (200, [])
    assert server.v2("setIncludedDB", name="forum", connection=CONNECTION, test=0).pair == (200, True)
    (found,) = server.v2("getIncludedDBs").data.items()
    assert found[0] == "forum"
    assert list(found[1]) == ["host", "port", "driver", "username", "password", "database", "prefix", "dumpFile"]
    assert re.fullmatch(r"forum-[0-9a-f]{8}\.sql", found[1].pop("dumpFile"))
    assert found[1] == {
        "host": "db",
        "port": "",
        "driver": "mysqli",
        "username": "u",
        "password": "p",
        "database": "forum",
        "prefix": "f_",
    }


def test_a_changed_database_keeps_its_dump_file(server: Driven) -> None:
    server.v2("setIncludedDB", name="forum", connection=CONNECTION, test=0)
    before = server.v2("getIncludedDBs").data["forum"]["dumpFile"]
    server.v1("setIncludedDB", {"name": "forum", "connection": {**CONNECTION, "database": "new"}, "test": False})
    after = server.v2("getIncludedDBs").data["forum"]
    assert (after["database"], after["dumpFile"]) == ("new", before)


def test_removing_a_database(server: Driven) -> None:
    server.v2("setIncludedDB", name="forum", connection=CONNECTION, test=0)
    assert server.v2("removeIncludedDB", name="forum").pair == (200, True)
    assert server.v2("removeIncludedDB", name="forum").pair == (200, False)
    assert server.v2("removeIncludedDB").pair == (500, "The database name is required")
    assert server.v2("getIncludedDBs").data == []


@pytest.mark.parametrize("missing", ["host", "driver", "database", "user", "password"])
def test_a_connection_that_lacks_a_key(server: Driven, missing: str) -> None:
    connection = {key: value for key, value in CONNECTION.items() if key != missing}
    assert server.v2("setIncludedDB", name="forum", connection=connection, test=0).pair == INCOMPLETE
    assert server.v2("testDBConnection", connection=connection).pair == INCOMPLETE


@pytest.mark.parametrize("connection", [None, "text", {}])
def test_no_connection_at_all(server: Driven, connection: Any) -> None:
    assert server.v1("setIncludedDB", {"name": "forum", "connection": connection}).pair == INCOMPLETE
    assert server.v1("testDBConnection", {"connection": connection}).pair == INCOMPLETE


@pytest.mark.parametrize("empty", ["host", "driver", "database", "user", "password"])
def test_an_empty_value_makes_the_test_fail(server: Driven, empty: str) -> None:
    outcome = server.v1("testDBConnection", {"connection": {**CONNECTION, empty: ""}})
    assert outcome.status == 200
    assert outcome.data["status"] is False
    assert empty in outcome.data["message"]


def test_a_database_that_refuses(server: Driven) -> None:
    connection = {**CONNECTION, "host": "127.0.0.1", "port": "1", "password": "very secret word"}
    outcome = server.v1("testDBConnection", {"connection": connection}).data
    assert outcome["status"] is False
    assert outcome["message"]
    assert "very secret word" not in outcome["message"]
    refused = server.v1("setIncludedDB", {"name": "forum", "connection": connection})
    assert refused.status == 500
    assert refused.data.startswith("Connection test failed: ")
    assert server.v2("getIncludedDBs").data == []


@pytest.mark.mysql
def test_a_database_that_answers(server: Driven, mysql_database: DatabaseAddress) -> None:
    place = mysql_database
    connection = {
        "host": f"localhost:{place.socket}" if place.socket else place.host,
        "port": place.port or "",
        "driver": "pdomysql",
        "database": place.name,
        "user": place.user,
        "password": place.password or "any",
    }
    outcome = server.v1("testDBConnection", {"connection": connection})
    if place.password:
        assert outcome.data["status"] is True
        assert server.v1("setIncludedDB", {"name": "x", "connection": connection}).pair == (200, True)
    else:
        assert outcome.status == 200
