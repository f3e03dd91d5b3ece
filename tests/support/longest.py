"""The order of the test files: the longest first, so that no process is left alone with one of them at the end."""

from __future__ import annotations

from pathlib import Path

import pytest

LONGEST = ("web/test_restores_in_a_browser.py",)
"""Relative to ``tests``; the others follow in the order of their names."""


def longest_first(items: list[pytest.Item]) -> None:
    """Put the tests of the longest files first; within a file the order stays."""
    tests = Path(__file__).parent.parent
    places = {tests / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))
