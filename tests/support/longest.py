"""The order of the test files: the longest first, so that no process is left alone with one of them at the end."""

from __future__ import annotations

from pathlib import Path

import pytest

LONGEST = (
    "web/test_restores_in_a_browser.py",
    "web/test_hostile_everything.py",
    "jobs/test_kill_battery.py",
    "restore/test_kill.py",
    "restore/test_remote.py",
    "cli/test_restore.py",
    "cli/test_backup.py",
    "queue/test_machines.py",
    "queue/test_workers.py",
    "web/test_settings_of_the_server.py",
    "jobs/test_backup.py",
    "jobs/test_faults.py",
    "catalogue/test_shared.py",
    "storage/test_protocol.py",
    "databases/postgresql/test_load.py",
    "server/test_backups.py",
    "archives/test_resume.py",
    "api/test_methods.py",
    "archives/test_damage.py",
    "engine/test_retention_year.py",
)
"""Relative to ``tests``; the others follow in the order of their names."""


def longest_first(items: list[pytest.Item]) -> None:
    """Put the tests of the longest files first; within a file the order stays."""
    tests = Path(__file__).parent.parent
    places = {tests / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))
