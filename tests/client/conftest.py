from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from backstay.client import flows, recovery
from client.fake_server import FakeServer, running
from client.real_server import RealServer, serving


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """A fake server on loopback; the client waits no longer than a moment between its tries."""
    monkeypatch.setattr(flows, "LONGEST_PAUSE", 0.01)
    monkeypatch.setattr(recovery, "LOOK_PAUSE", 0.005)
    for name in ("uvicorn.access", "uvicorn.error"):  # the fake server's own log is not what is tested
        monkeypatch.setattr(logging.getLogger(name), "disabled", True)
    fake = FakeServer()
    with running(fake) as url:
        fake.url = url
        yield fake


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """Backstay's own server, for all tests of a module."""
    with serving(tmp_path_factory.mktemp("real")) as server:
        yield server
