"""Asking again: a call to the catalogue that found its database away is made anew, until it is back.

This is the one place where that is done. Each method of a table is a transaction or several that may be repeated; one
whose commit was lost on the way is known to be committed or not (``postgresql.py``).
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

from backstay.errors import CatalogueAwayError

_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 5.0

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")
_Table = TypeVar("_Table")


def _never() -> bool:
    return False


def retried(call: Callable[[], _Result], patience: float, given_up: Callable[[], bool] = _never) -> _Result:
    """Return what a call returns, asked again with pauses while the database is away.

    Args:
        call: what may be repeated.
        patience: seconds for which it is asked again; 0: once more at most, where a connection was lost.
        given_up: whether it is not to be asked again, though there is patience.

    Raises:
        DatabaseConnectionError: the database was away all the time.
    """
    begun, pause = time.monotonic(), 0.0
    while True:
        try:
            result = call()
        except CatalogueAwayError as error:
            anew = error.lost and not pause
            if not anew and (time.monotonic() - begun >= patience or given_up()):
                raise
            if pause == _FIRST_PAUSE:
                _log.warning("%s It is asked again until it answers.", error)
        else:
            if pause > _FIRST_PAUSE:
                _log.warning("The catalogue's database answers again, after %.0f seconds.", time.monotonic() - begun)
            return result
        time.sleep(pause)
        pause = min(max(pause * 2, _FIRST_PAUSE), _LONGEST_PAUSE)


def persistent(table: _Table, patience: float, given_up: Callable[[], bool] | None = None) -> _Table:
    """Return a table whose methods are asked again while the database is away."""
    return cast("_Table", _Persistent(table, patience, given_up or _never))


class _Persistent:
    def __init__(self, table: object, patience: float, given_up: Callable[[], bool]) -> None:
        self._table = table
        self._given_up = given_up
        self._patience = patience

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._table, name)
        if not callable(found):
            return found

        @functools.wraps(found)
        def call(*arguments: Any, **named: Any) -> Any:
            return retried(lambda: found(*arguments, **named), self._patience, self._given_up)

        return call
