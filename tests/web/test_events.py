"""Server-Sent Events: what they say, that one look serves all, and that each stream has an end."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from backstay.jobs.backup import start_backup
from backstay.jobs.installation import Installation, open_installation
from backstay.jobs.profiles import profile_of_site
from backstay.jobs.tasks import stop_task
from backstay.jobs.users import Role
from backstay.jobs.watching import BackupView, view_backup
from backstay.web import events
from backstay.web.events import EventStream, Streams
from backstay.web.security import SESSION_COOKIE
from support.backups import make_files, make_files_and_noise, take
from support.tasks import begin_copy, slow_storage, under_way
from web.browser import PageServer, page_server

PATIENCE = httpx2.Timeout(60)


@pytest.fixture
def server(home: Path) -> Iterator[PageServer]:
    """Serve a home of its own."""
    with page_server(home) as running:
        yield running


def signed_in(installation: Installation, role: Role = Role.VIEWER) -> dict[str, str]:
    """Begin a session; return the headers of its browser."""
    user = installation.catalogue.users.get(role)
    word = installation.catalogue.sessions.create(user.id, datetime.now(UTC), timedelta(hours=1), "", "")
    return {"Cookie": f"{SESSION_COOKIE}={word}"}


@contextmanager
def watching(server: PageServer, headers: dict[str, str], query: str) -> Iterator[Iterator[tuple[str, Any]]]:
    """Open a stream; give its events as kind and values."""
    with httpx2.stream("GET", f"{server.url}/events?{query}", headers=headers, timeout=PATIENCE) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield _events(answer.iter_lines())


def _events(lines: Iterator[str]) -> Iterator[tuple[str, Any]]:
    kind = ""
    for line in lines:
        name, _, value = line.partition(": ")
        kind = value if name == "event" else kind
        if name == "data":
            yield kind, json.loads(value)


def test_a_backup_is_watched_to_its_end_and_nothing_of_it_is_changed_by_that(
    server: PageServer, tmp_path: Path
) -> None:
    with open_installation(server.home) as installation:
        profile = profile_of_site(installation, make_files_and_noise(tmp_path / "site"), "none")
        state = start_backup(installation, profile_id=profile.id)
        before = installation.catalogue.jobs.get(state.backup_id)
        with watching(server, signed_in(installation), f"backup={state.backup_id}") as stream:
            seen = []
            for kind, values in stream:
                assert kind == "backup"
                seen.append(values)
                if values["over"]:
                    break
        assert seen[-1]["texts"]["state"] == "complete"
        assert [one["percent"] for one in seen] == sorted(one["percent"] for one in seen)
        after = installation.catalogue.jobs.get(state.backup_id)
        assert before is not None
        assert after is not None
        assert (after.step_number, after.domain_reported, after.warnings_reported) == (
            before.step_number,
            before.domain_reported,
            before.warnings_reported,
        )
        assert view_backup(installation, state.backup_id).is_over


def test_a_stream_ends_with_its_session_and_with_the_server(server: PageServer, tmp_path: Path) -> None:
    with open_installation(server.home) as installation:
        slow_storage(installation, tmp_path / "slow")
        task = begin_copy(installation, take(installation, make_files_and_noise(tmp_path / "site")))
        under_way(installation, task)
        headers = signed_in(installation)
        with watching(server, headers, f"task={task.id}&running=0") as stream:
            first = dict((next(stream), next(stream)))
            assert first["task"]["texts"]["stage"] == "Sending"
            assert first["running"]["tasks"] == [task.id]
            installation.catalogue.sessions.revoke(installation.catalogue.users.get(Role.VIEWER).id)
            begun = time.monotonic()
            for _ in stream:
                pass
            assert time.monotonic() - begun < 15
        assert httpx2.get(f"{server.url}/events?running=0", headers=headers).status_code == 303
        with watching(server, signed_in(installation, Role.OPERATOR), f"task={task.id}") as stream:
            next(stream)
            begun = time.monotonic()
            server.stop()
            for _ in stream:
                pass
            assert time.monotonic() - begun < 10
        assert server.wait() == 0
        # The task goes on without the server that began nothing of it.
        assert stop_task(installation, task.id, patience=60).state == "stopped"


@pytest.mark.parametrize(
    ("query", "status"),
    [("", 400), ("backup=x", 400), ("backup=²", 400), ("&".join(f"task={n}" for n in range(1, 30)), 400)],
)
def test_a_stream_of_nothing_is_refused(served: PageServer, query: str, status: int) -> None:
    with open_installation(served.home) as installation:
        headers = signed_in(installation)
    assert httpx2.get(f"{served.url}/events?{query}", headers=headers).status_code == status


def test_no_more_streams_are_open_than_may(served: PageServer) -> None:
    with open_installation(served.home) as installation:
        headers = signed_in(installation)
    with httpx2.Client(base_url=served.url, headers=headers, timeout=PATIENCE) as client:
        opened = [client.send(client.build_request("GET", "/events?running=0"), stream=True) for _ in range(20)]
        try:
            assert {one.status_code for one in opened} == {200}
            refused = client.get("/events?running=0")
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "15")
        finally:
            for one in opened:
                one.close()


def test_many_viewers_share_one_look(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup = take(installation, make_files(tmp_path / "site", 3))
    looks = 0

    def counting(opened: Installation, number: int) -> BackupView:
        nonlocal looks
        looks += 1
        return view_backup(opened, number)

    monkeypatch.setattr(events, "view_backup", counting)
    told: list[bytes] = []

    async def watch() -> None:
        streams = Streams(installation)
        gone, all_told = anyio.Event(), anyio.Event()

        async def receive() -> dict[str, str]:
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if b"event: backup" in message.get("body", b""):
                told.append(message["body"])
                if len(told) == 10:
                    all_told.set()

        async with anyio.create_task_group() as group:
            for number in range(10):
                stream = EventStream(streams, [("backup", backup.id)], number)
                group.start_soon(stream, {"type": "http"}, receive, send)
            with anyio.fail_after(30):
                await all_told.wait()
            gone.set()
        assert not streams._watchers

    anyio.run(watch)
    assert looks == 1
    assert len(set(told)) == 1
