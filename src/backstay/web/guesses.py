"""Slowing of those who guess passwords and codes: by address, by name, and by user."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable

from backstay.jobs.throttle import Throttle

FREE_CODES = 5
"""Wrong codes of a user that cost nothing; only who knows the password gets so far."""
LONGEST_WAIT = 3600.0
_MOST_KEPT = 10_000


class Guesses:
    """Remembers what was guessed wrong, and which one-time words were used.

    Args:
        clock: returns seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._addresses = Throttle(clock)
        self._names = Throttle(clock)
        self._codes: OrderedDict[int, tuple[int, float]] = OrderedDict()
        self._used: OrderedDict[str, None] = OrderedDict()

    def is_refused(self, address: str, name: str, *, known: bool = False) -> bool:
        """Return whether a password is not looked at, for too many wrong ones wait for their answers.

        Args:
            address: it comes from.
            name: of the user it is for.
            known: this browser has signed in as that user before: others who guess the name don't keep it out.
        """
        return self._addresses.is_flooding(address) or (not known and self._names.is_flooding(_key(name)))

    def failed(self, address: str, name: str) -> float:
        """Note a wrong password; return how many seconds its answer has to wait."""
        return max(self._addresses.delay_after_failure(address), self._names.delay_after_failure(_key(name)))

    def succeeded(self, address: str) -> None:
        """Forget the failures of an address; those of a name stay, for others may still guess it."""
        self._addresses.forget(address)

    def code_wait(self, user_id: int) -> float:
        """Return how many seconds a user's one-time codes are not looked at any more."""
        return max(self._codes.get(user_id, (0, 0.0))[1] - self._clock(), 0.0)

    def code_failed(self, user_id: int) -> None:
        """Note a wrong one-time code: after a few, each is followed by twice the wait of the one before."""
        failures = self._codes.pop(user_id, (0, 0.0))[0] + 1
        wait = min(2.0 ** min(failures - FREE_CODES, 20), LONGEST_WAIT) if failures > FREE_CODES else 0.0
        self._codes[user_id] = (failures, self._clock() + wait)
        if len(self._codes) > _MOST_KEPT:
            self._codes.popitem(last=False)

    def code_right(self, user_id: int) -> None:
        """Forget a user's wrong codes."""
        self._codes.pop(user_id, None)

    def is_first_use(self, word: str) -> bool:
        """Note that a word that works once was used; return whether it was the first time."""
        if word in self._used:
            return False
        self._used[word] = None
        if len(self._used) > _MOST_KEPT:
            self._used.popitem(last=False)
        return True


def _key(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()
