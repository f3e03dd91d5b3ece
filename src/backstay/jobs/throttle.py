"""Slowing of failed log-ins: each address may guess a little, then about once a second.

A right secret is not kept waiting: whoever shares an address with a guesser is let in, as long as no more than twenty
seconds of refused log-ins of that address wait for their answers. What is kept is bounded, however many addresses
guess.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

FREE_FAILURES = 20
"""Failures of an address that cost nothing; a client that looks for the right form of the API makes a few."""
DELAY = 1.0
"""Seconds that each further failure is answered later than the one before."""
LONGEST_QUEUE = 20.0
"""Seconds of answers that an address may have waiting; beyond, its calls are refused unread."""
FORGIVEN_AFTER = 300.0
"""Seconds without a failure after which an address starts anew."""
_MOST_ADDRESSES = 10_000


@dataclass(slots=True)
class _Record:
    failures: int
    last: float
    busy_until: float


class Throttle:
    """Remembers failed log-ins by address.

    Args:
        clock: returns seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._records: OrderedDict[str, _Record] = OrderedDict()

    def is_flooding(self, address: str) -> bool:
        """Return whether an address has so many refused log-ins waiting that it is not listened to."""
        record = self._records.get(_network(address)) if self._records else None
        return record is not None and record.busy_until - self._clock() > LONGEST_QUEUE

    def delay_after_failure(self, address: str) -> float:
        """Note a failed log-in; return how many seconds its answer has to wait."""
        now = self._clock()
        network = _network(address)
        record = self._records.pop(network, None)
        if record is None or now - record.last > FORGIVEN_AFTER:
            record = _Record(failures=0, last=now, busy_until=now)
        record.failures += 1
        record.last = now
        self._records[network] = record
        if len(self._records) > _MOST_ADDRESSES:
            self._records.popitem(last=False)
        if record.failures <= FREE_FAILURES:
            return 0.0
        record.busy_until = max(record.busy_until, now) + DELAY
        return record.busy_until - now

    def forget(self, address: str) -> None:
        """Forget the failures of an address: its user has shown to know the secret word."""
        if self._records:
            self._records.pop(_network(address), None)


def _network(address: str) -> str:
    """An address as it counts: of IPv6 the first 64 bits, since one customer has all the rest."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
