"""A browser for each module, and pages without one for tests of single answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from playwright.sync_api import Browser

from backstay.jobs import users
from backstay.jobs.installation import Installation, open_installation
from web.browser import PageServer, chromium, page_server
from web.driving import Visitor


@pytest.fixture(scope="module", autouse=True)
def _cheap_passwords() -> Iterator[None]:
    """Let a password of this process cost little to hash, so that signing in takes no tenth of a second each time.

    What a hash costs is written in it: the servers that a module starts check those of its users as quickly.
    """
    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(users, "_hasher", lambda: hasher)
        yield


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Run Chromium."""
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageServer]:
    """Serve a fresh home with a user of each role."""
    with page_server(tmp_path_factory.mktemp("pages") / "home") as server:
        yield server


@pytest.fixture
def installation(home: Path) -> Iterator[Installation]:
    """Open a fresh home."""
    with open_installation(home) as opened:
        yield opened


@pytest.fixture
def visitor(installation: Installation) -> Iterator[Visitor]:
    """Give a browser without a screen, nobody signed in, before the pages in this process."""
    with Visitor(installation) as made:
        yield made
