"""Answers to startBackup and stepBackup that are lost on their way."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.responses import HTMLResponse, Response

from backstay.api.status import ApiError
from backstay.client import AsyncClient, Client
from backstay.errors import BackupFailedError, ConnectionFailedError, ProtocolError
from client.fake_server import SECRET, FakeServer, Seen, running
from client.losing_proxy import LosingProxy
from client.real_server import RealServer

RECORD: dict[str, Any] = {"id": "25", "status": "run", "backupid": "id-1", "tag": "json", "profile_id": "1"}
DONE: dict[str, Any] = {"HasRun": False, "Progress": 100, "backupid": "id-1", "BackupID": 25}
UNKNOWN = ApiError(500, "A backup error has occurred: Akeeba Engine detected a problem while saving temporary data.")
FAULTS = pytest.mark.parametrize("fault", ["break", HTMLResponse("<html>", 502)], ids=["break", "HTTP 502"])
VERSIONS = pytest.mark.parametrize("version", [1, 2, 3])


def lose_starts(server: FakeServer, faults: list[Response | str | None], *, recorded_after: int = 0) -> None:
    """Answers the starts with faults; the record appears in the list so many looks later, or never (-1)."""
    server.replies["startBackup"] = [{"HasRun": True, "backupid": "id-1", "BackupID": 25}]
    looks = 0

    def before(seen: Seen) -> None:
        nonlocal looks
        method = _method(seen)
        server.faults = [faults.pop(0)] if method == "startBackup" and faults else []
        if method == "listBackups":
            looks += 1
            comment = server.calls("startBackup")[-1].data["comment"]
            found = 0 <= recorded_after < looks
            other = RECORD | {"id": "26", "backupid": "id-2", "comment": "somebody else's"}
            server.replies["listBackups"] = [[other, *([RECORD | {"comment": comment}] if found else [])]]

    server.before = before


def _method(seen: Seen) -> str:
    text = " ".join([seen.path, *seen.form.values(), *seen.query.values()])
    return next((name for name in ("startBackup", "listBackups") if name in text), "")


@FAULTS
@VERSIONS
def test_a_backup_whose_start_was_not_answered_is_found_and_stepped(
    server: FakeServer, version: int, fault: Response | str
) -> None:
    server.replies["stepBackup"] = [DONE]
    lose_starts(server, [fault], recorded_after=2)
    with Client(server.url, SECRET, version=version) as client:
        replies = list(client.backup(1, "title", "a comment"))
    assert [(reply.has_run, reply.backup_id, reply.backupid) for reply in replies] == [
        (True, 25, "id-1"),
        (False, 25, "id-1"),
    ]
    (start,) = server.calls("startBackup")
    assert start.data["comment"].startswith("a comment\n[backstay ")
    assert [seen.data["backupid"] for seen in server.calls("stepBackup")] == ["id-1"]


@VERSIONS
def test_the_async_client_finds_it_too(server: FakeServer, version: int) -> None:
    server.replies["stepBackup"] = [DONE]
    lose_starts(server, ["break"])

    async def use() -> list[int]:
        async with AsyncClient(server.url, SECRET, version=version) as client:
            return [reply.backup_id async for reply in client.backup()]

    assert asyncio.run(use()) == [25, 25]
    assert len(server.calls("startBackup")) == 1


def test_a_start_that_left_no_record_is_asked_once_more_and_no_more(server: FakeServer) -> None:
    server.replies["stepBackup"] = [DONE]
    lose_starts(server, ["break"], recorded_after=-1)
    with Client(server.url, SECRET) as client:
        assert [reply.backup_id for reply in client.backup()] == [25, 25]
    first, second = server.calls("startBackup")
    assert first.data["comment"] == second.data["comment"]
    assert len(server.calls("listBackups")) == 20
    lose_starts(server, ["break", "break"], recorded_after=-1)
    with Client(server.url, SECRET) as client, pytest.raises(ConnectionFailedError, match="look whether"):
        list(client.backup())
    assert len(server.calls("startBackup")) == 4


def test_a_second_start_that_is_refused_because_the_first_runs_is_no_failure(server: FakeServer) -> None:
    lose_starts(server, ["break"], recorded_after=20)
    server.replies |= {"startBackup": [ApiError(500, "A backup error has occurred: one runs")], "stepBackup": [DONE]}
    with Client(server.url, SECRET) as client:
        assert [reply.backup_id for reply in client.backup()] == [25, 25]


@pytest.mark.parametrize("refusal", [ApiError(403, "No right to read"), None], ids=["no right", "old level"])
def test_where_the_record_cannot_be_looked_for_nothing_is_started_again(
    server: FakeServer, refusal: ApiError | None
) -> None:
    server.replies |= {"startBackup": [DONE], "listBackups": [refusal or []]}
    if refusal is None:
        server.replies["getVersion"] = [{"api": "330"}]
    with Client(server.url, SECRET) as client:
        client.detect()
        server.faults = [HTMLResponse("<html>", 504)]
        with pytest.raises(ProtocolError, match="Look whether the server did it"):
            list(client.backup())
    assert len(server.calls("startBackup")) == 1
    assert len(server.calls("listBackups")) == (1 if refusal else 0)


@pytest.mark.parametrize("status", ["complete", "run"])
def test_a_backup_whose_last_answer_was_lost_is_complete_if_its_record_says_so(server: FakeServer, status: str) -> None:
    server.replies |= {
        "startBackup": [DONE | {"HasRun": True}],
        "stepBackup": [DONE, UNKNOWN],
        "getBackupInfo": [RECORD | {"status": status, "filenames": []}],
    }
    with Client(server.url, SECRET) as client:
        steps = client.backup()
        assert next(steps).has_run
        server.faults = ["break"]
        if status == "complete":
            assert (last := next(steps)).progress == 100
            assert not last.has_run
        else:
            with pytest.raises(BackupFailedError, match="saving temporary data"):
                next(steps)


@VERSIONS
def test_behind_a_gateway_that_loses_answers_one_backup_is_taken(real: RealServer, version: int) -> None:
    proxy = LosingProxy(real.url, "startBackup", "stepBackup")
    with Client(real.url, real.secret) as client:
        before = {record.id for record in client.list_backups()}
    with running(proxy) as url, Client(url, real.secret, version=version) as client:
        last = list(client.backup(real.profile, comment="mine"))[-1]
        assert not last.has_run
        assert "startBackup" not in proxy.methods
        (record,) = [one for one in client.list_backups() if one.id not in before]
        assert (record.id, record.status) == (last.backup_id, "complete")
        assert record.comment.startswith("mine\n[backstay ")
    assert proxy.asked == ["startBackup"]
