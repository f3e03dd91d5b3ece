"""Calls and their replies: typed, blanked, repeated only where that is safe."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
from typing import Any

import pytest
from starlette.responses import HTMLResponse, Response

from backstay.api.methods import METHODS
from backstay.api.status import ApiError
from backstay.client import AsyncClient, Call, Client, Exchange
from backstay.client.calls import backups, configuration, filters
from backstay.errors import (
    AuthenticationError,
    BackstayError,
    BackupFailedError,
    ConnectionFailedError,
    NotFoundError,
    PermissionDeniedError,
    ProtocolError,
    RemoteError,
)
from client.fake_server import SECRET, FakeServer, Seen

STEP: dict[str, Any] = {
    "HasRun": 1,
    "Domain": "init",
    "backupid": "id-1",
    "BackupID": 25,
    "Progress": 0,
    "sleepTime": 0,
}


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, AuthenticationError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (500, RemoteError),
        (501, RemoteError),
        (0, RemoteError),
    ],
)
def test_statuses_become_errors(server: FakeServer, version: int, status: int, kind: type[BackstayError]) -> None:
    server.replies["getProfiles"] = [ApiError(status, "because of this")]
    with Client(server.url, SECRET, version=version) as client:
        with pytest.raises(kind, match="because of this") as caught:
            client.get_profiles()
        assert getattr(caught.value, "status", status) == status


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize(
    "junk",
    [
        (b"<br />Warning: {x} in file on line 3<br />\n", b""),
        (b"\xef\xbb\xbf", b"\n\n"),
        (b"<html><body>", b"</body></html><!-- cached -->"),
        (b'{"not":"it"}', b'{"status":1}'),
        (b"\xff\xfe\x00", b"\x00"),
    ],
)
def test_junk_around_replies_is_no_matter(server: FakeServer, version: int, junk: tuple[bytes, bytes]) -> None:
    server.junk = junk
    with Client(server.url, SECRET, version=version) as client:
        assert client.get_version().edition == "pro"


def test_texts_for_numbers_are_read_as_numbers(server: FakeServer) -> None:
    server.replies["listBackups"] = [
        [{"id": "24", "total_size": "5", "hasRemoteFiles": 0, "backupend": None, "size": None}]
    ]
    server.replies["getProfiles"] = [[{"id": "1", "name": "one"}]]
    with Client(server.url, SECRET) as client:
        (record,) = client.list_backups()
        assert (record.id, record.total_size, record.has_remote_files, record.backupend) == (24, 5, False, None)
        assert [profile.id for profile in client.get_profiles()] == [1]


@pytest.mark.parametrize("version", [1, 2, 3])
def test_parameters_arrive_as_they_were_given(server: FakeServer, version: int) -> None:
    server.replies["startBackup"] = [STEP | {"HasRun": False}]
    overrides = {"akeeba.basic.backup_type": "fileonly", "nested": {"empty": [], "null": None, "list": ["ż", True]}}
    with Client(server.url, SECRET, version=version) as client:
        client.start_backup(2, "Größe & co", overrides=overrides)
    (seen,) = server.calls("startBackup")
    sent = seen.data["overrides"]
    assert (json.loads(sent) if isinstance(sent, str) else sent) == overrides
    assert (int(seen.data["profile"]), seen.data["description"]) == (2, "Größe & co")


def test_a_broken_connection_is_tried_again(server: FakeServer) -> None:
    with Client(server.url, SECRET) as client:
        client.detect()
        server.faults = ["break", "break", None]
        assert client.get_version().api == 350


def test_an_error_of_the_web_server_is_tried_again(server: FakeServer) -> None:
    with Client(server.url, SECRET) as client:
        client.detect()
        server.faults = [HTMLResponse("<html>busy", 503), None]
        assert client.get_version().api == 350


def test_errors_of_the_web_server_that_stay_are_reported(server: FakeServer) -> None:
    with Client(server.url, SECRET) as client:
        client.detect()
        server.faults = [HTMLResponse("<html>busy", 500) for _ in range(9)]
        with pytest.raises(ProtocolError, match="HTTP 500 and a web page"):
            client.get_version()


@pytest.mark.parametrize("fault", ["break", HTMLResponse("<html>", 502)], ids=["break", "HTTP 502"])
@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_backup_is_never_started_twice(server: FakeServer, version: int, fault: Response | str) -> None:
    server.replies["startBackup"] = [STEP]
    with Client(server.url, SECRET, version=version) as client:
        client.detect()
        server.faults = [fault]
        with pytest.raises((ConnectionFailedError, ProtocolError)):
            client.start_backup()
    assert len(server.calls("startBackup")) == 1


def test_a_deletion_whose_answer_was_lost_is_done(server: FakeServer) -> None:
    server.replies["delete"] = [True, ApiError(404, "Invalid backup record identifier")]
    with Client(server.url, SECRET) as client:
        client.detect()
        server.faults = ["break"]
        assert client.delete(7) is True
        with pytest.raises(NotFoundError):
            client.delete(7)


def test_a_backup_is_stepped_to_its_end(server: FakeServer) -> None:
    server.replies["startBackup"] = [STEP]
    last = {key: value for key, value in STEP.items() if key != "BackupID"}
    server.replies["stepBackup"] = [
        STEP | {"Progress": 50, "Domain": "Packing", "HasRun": True, "sleepTime": 10},
        last | {"Progress": 100, "HasRun": False},
    ]
    with Client(server.url, SECRET) as client:
        replies = list(client.backup(description="x"))
    assert [(reply.progress, reply.has_run, reply.backup_id) for reply in replies] == [
        (0, True, 25),
        (50, True, 25),
        (100, False, 25),
    ]
    assert [seen.data["backupid"] for seen in server.calls("stepBackup")] == ["id-1", "id-1"]


def test_a_backup_that_fails_says_why(server: FakeServer) -> None:
    server.replies["startBackup"] = [STEP]
    server.replies["stepBackup"] = [STEP | {"Error": "No space\nleft"}]
    with Client(server.url, SECRET) as client, pytest.raises(BackstayError, match="No space left"):
        list(client.backup())


def test_a_step_that_fails_is_a_failed_backup(server: FakeServer) -> None:
    server.replies["startBackup"] = [STEP]
    server.replies["stepBackup"] = [ApiError(500, "A backup error has occurred: the disk is full")]
    with (
        Client(server.url, SECRET) as client,
        pytest.raises(BackupFailedError, match=r"on the server: the disk is full$"),
    ):
        list(client.backup())
    server.replies["startBackup"] = [ApiError(500, "Failed configuration check Q001")]
    with Client(server.url, SECRET) as client, pytest.raises(RemoteError, match="Q001"):
        list(client.backup())


@pytest.mark.parametrize("encapsulation", [1, 2, 3, 4, 5])
def test_every_encapsulation_is_spoken(server: FakeServer, encapsulation: int) -> None:
    server.encrypted = True
    with Client(server.url, SECRET, encapsulation=encapsulation) as client:
        assert client.get_version().component == "8.2.6"
        assert client.endpoint is not None
        assert client.endpoint.version == 1
    sent = json.loads(server.seen[-1].form["json"])
    assert sent["encapsulation"] == encapsulation
    assert ("getVersion" in sent["body"]) is (encapsulation == 1)


def test_a_server_without_encryption_says_so(server: FakeServer) -> None:
    with (
        Client(server.url, SECRET, encapsulation=5) as client,
        pytest.raises(RemoteError, match="use encapsulation 1 over HTTPS"),
    ):
        client.get_version()


@pytest.mark.parametrize("version", [1, 2, 3])
def test_nothing_that_is_shown_holds_the_secret(
    server: FakeServer, version: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    seen: list[Exchange] = []
    server.replies["getProfiles"] = [ApiError(500, f"the secret is {SECRET}")]

    def lose(seen: Seen) -> None:
        if version == 2:
            seen.headers.pop("x-akeeba-auth", None)

    server.before = lose
    with Client(server.url, SECRET, version=version, on_exchange=seen.append) as client:
        client.get_version()
        with pytest.raises(RemoteError) as caught:
            client.get_profiles()
        shown = f"{client!r} {caught.value!r} {caught.value} {seen} {client.tried} {client.endpoint!r}" + caplog.text
        assert SECRET not in shown
        assert "Correct-Horse" not in shown
        assert seen
        assert "getProfiles" in shown


def test_every_method_has_a_typed_call_that_both_clients_offer() -> None:
    built: dict[str, Call[Any]] = {
        "get_version": backups.get_version(),
        "get_profiles": backups.get_profiles(),
        "start_backup": backups.start_backup(),
        "step_backup": backups.step_backup("id"),
        "list_backups": backups.list_backups(),
        "get_backup_info": backups.get_backup_info(1),
        "download_segment": backups.download_segment(1),
        "delete": backups.delete(1),
        "delete_files": backups.delete_files(1),
        "log": backups.log(),
        "export_configuration": configuration.export_configuration(),
        "import_configuration": configuration.import_configuration({}),
        "get_gui_configuration": configuration.get_gui_configuration(),
        "save_configuration": configuration.save_configuration({}),
        "save_profile": configuration.save_profile(),
        "delete_profile": configuration.delete_profile(2),
        "browse": configuration.browse(),
        "update_get_information": configuration.update_get_information(),
        "update_download": configuration.update_download(),
        "update_extract": configuration.update_extract(),
        "update_install": configuration.update_install(),
        "get_db_roots": filters.get_db_roots(),
        "get_db_filters": filters.get_db_filters(),
        "get_db_entities": filters.get_db_entities(),
        "set_db_filter": filters.set_db_filter("t"),
        "get_regex_db_filters": filters.get_regex_db_filters(),
        "set_regex_db_filter": filters.set_regex_db_filter("r"),
        "get_fs_roots": filters.get_fs_roots(),
        "get_fs_filters": filters.get_fs_filters(),
        "get_fs_entities": filters.get_fs_entities(),
        "set_fs_filter": filters.set_fs_filter("p", "files"),
        "get_regex_fs_filters": filters.get_regex_fs_filters(),
        "set_regex_fs_filter": filters.set_regex_fs_filter("r", "regexfiles"),
        "get_included_directories": filters.get_included_directories(),
        "set_included_directory": filters.set_included_directory("/p"),
        "remove_included_directory": filters.remove_included_directory("u"),
        "get_included_dbs": filters.get_included_dbs(),
        "set_included_db": filters.set_included_db("n", {}),
        "remove_included_db": filters.remove_included_db("n"),
        "test_db_connection": filters.test_db_connection({}),
    }
    for name in built:
        blocking, awaited = getattr(Client, name), getattr(AsyncClient, name)
        assert inspect.signature(blocking) == inspect.signature(awaited)
        assert (blocking.__name__, blocking.__doc__) == (awaited.__name__, awaited.__doc__)
        assert inspect.iscoroutinefunction(awaited)
        assert not inspect.iscoroutinefunction(blocking)
    names = {call.method.name for call in built.values()} | {"downloadDirect"}
    assert names == {method.name for method in METHODS}
    for call in built.values():
        known = call.method.parameters.model_json_schema()["properties"] if call.data else {}
        assert set(call.data) <= set(known)


@pytest.mark.parametrize("version", [1, 2, 3])
def test_an_import_is_answered_with_the_new_number_or_by_older_servers_with_true(
    server: FakeServer, version: int
) -> None:
    server.replies["importConfiguration"] = [[7], True]
    with Client(server.url, SECRET, version=version) as client:
        assert client.import_configuration({"description": "Copy"}) == [7]
        assert client.import_configuration({"description": "Copy"}) == []


def test_the_async_client_does_the_same(server: FakeServer) -> None:
    server.replies["startBackup"] = [STEP]
    server.replies["stepBackup"] = [STEP | {"Progress": 100, "HasRun": False}]

    async def use() -> tuple[int, list[int]]:
        async with AsyncClient(server.url, SECRET) as client:
            await client.detect()
            server.faults = ["break"]
            version = await client.get_version()
            return version.api, [reply.progress async for reply in client.backup()]

    assert asyncio.run(use()) == (350, [0, 100])
