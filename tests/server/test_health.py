"""``/healthz`` and ``/readyz``: open to everyone, cheap, and silent about everything else."""

from __future__ import annotations

from collections.abc import Iterator

import anyio
import pytest

from backstay.jobs.installation import Installation
from backstay.queue import members
from backstay.server import health
from server.driving import Driven


@pytest.fixture
def worker(server: Driven) -> Iterator[members.Member]:
    """A process that works on the queue."""
    member = members.join(server.installation.home)
    yield member
    member.leave()


@pytest.mark.usefixtures("worker")
def test_a_server_that_can_work(server: Driven) -> None:
    alive, ready = (server.http.get(f"{server.url}{path}") for path in ("/healthz", "/readyz"))
    assert (alive.status_code, alive.json()) == (200, {"status": "alive"})
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})
    assert server.http.head(f"{server.url}/backup/healthz").status_code == 200


@pytest.mark.usefixtures("worker")
def test_a_full_disk(server: Driven, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "LEAST_SPACE", 1 << 80)
    answer = server.http.get(f"{server.url}/readyz")
    assert (answer.status_code, answer.json()) == (503, {"status": "not ready", "reasons": ["The disk is full."]})
    assert server.http.get(f"{server.url}/healthz").status_code == 200


def test_nothing_that_does_what_is_scheduled(server: Driven) -> None:
    answer = server.http.get(f"{server.url}/readyz")
    assert answer.status_code == 503
    assert answer.json()["reasons"][0].startswith("Nothing does what is scheduled")


def test_a_catalogue_that_cannot_be_read(
    server: Driven, worker: members.Member, caplog: pytest.LogCaptureFixture
) -> None:
    server.installation.catalogue.close()
    catalogue = server.installation.home.catalogue
    for file in catalogue.parent.glob("catalogue.sqlite*"):
        file.write_bytes(b"nonsense" * 1000)
    answer = server.http.get(f"{server.url}/readyz")
    assert (answer.status_code, answer.json()["reasons"]) == (503, ["The catalogue can't be read."])
    assert "catalogue" in caplog.text


def test_one_look_is_enough_for_all_who_ask_within_a_second(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, looks = [100.0], []
    monkeypatch.setattr(installation.catalogue.figures, "check", lambda: looks.append(now[0]))

    async def ask() -> None:
        readiness = health.Readiness(installation, clock=lambda: now[0])
        async with anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(readiness.answer)
        now[0] += 2
        await readiness.answer()

    anyio.run(ask)
    assert looks == [100.0, 102.0]
