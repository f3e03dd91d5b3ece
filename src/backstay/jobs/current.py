"""How all profiles stand, kept in memory for whoever asks often, and read anew only after something has changed.

Of many profiles, where something changes all the time, a tenth of the time is spent on it at most: with 5,000 it may be
a second or two old. Of few it is always that of now.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, Generic, TypeVar

from backstay.jobs.installation import Installation
from backstay.jobs.overview import Overview, next_runs, read_overview

_Value = TypeVar("_Value")
_COST_FACTOR: Final = 10
_LONGEST_AGE: Final = 5.0
_FEW: Final = 500


def current_overview(installation: Installation) -> Overview:
    """Return how all profiles stand."""
    return _known_of(installation).overview.value(installation)


def current_next_runs(installation: Installation) -> Mapping[int, datetime]:
    """Return when the schedules of each profile want its next backup."""
    return _known_of(installation).due.value(installation)


class Kept(Generic[_Value]):
    """What was read of an installation last, and what its catalogue was like then.

    Args:
        read: reads it.
        count: returns how many things are in it.
    """

    def __init__(self, read: Callable[[Installation], _Value], count: Callable[[_Value], int]) -> None:
        self._read = read
        self._count = count
        self._lock = threading.Lock()
        self._value: tuple[_Value] | None = None
        self._mark: object = None
        self._read_at = self._may_be_old = 0.0

    def value(self, installation: Installation) -> _Value:
        """Return it as it is now."""
        with self._lock:
            mark = installation.catalogue.overview.mark()
            age = time.monotonic() - self._read_at
            is_new = mark == self._mark or age < self._may_be_old
            if self._value is None or not is_new:
                begun = time.monotonic()
                value = self._read(installation)
                self._value, self._mark, self._read_at = (value,), mark, time.monotonic()
                cost = self._read_at - begun
                self._may_be_old = min(cost * _COST_FACTOR, _LONGEST_AGE) if self._count(value) > _FEW else 0.0
            return self._value[0]


class _Known:
    """What is kept of one installation."""

    def __init__(self) -> None:
        self.overview = Kept(read_overview, lambda overview: len(overview.standings))
        self.due = Kept(lambda installation: next_runs(installation.catalogue.schedules.times()), len)


_known: weakref.WeakKeyDictionary[Installation, _Known] = weakref.WeakKeyDictionary()
_known_lock = threading.Lock()


def _known_of(installation: Installation) -> _Known:
    with _known_lock:
        return _known.setdefault(installation, _Known())
