"""A server of the API that answers from a script, for tests that add it as a site."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from backstay.client import flows
from client.fake_server import RECORD, FakeServer, running


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """A fake server on loopback with two profiles and a backup of one part."""
    monkeypatch.setattr(flows, "LONGEST_PAUSE", 0.01)
    for name in ("uvicorn.access", "uvicorn.error"):
        monkeypatch.setattr(logging.getLogger(name), "disabled", True)
    fake = FakeServer(parts=[b"JPA" * 100])
    fake.replies["getProfiles"] = [[{"id": "1", "name": "Default"}, {"id": "2", "name": "Nightly"}]]
    fake.replies["listBackups"] = [[{**RECORD, "meta": "ok", "size": 300, "backupstart": "2026-01-02 03:04:05"}]]
    with running(fake) as url:
        fake.url = url
        yield fake
