"""How many requests were answered, and how long that took: two additions a request."""

from __future__ import annotations

from collections.abc import Iterator


class RequestCounts:
    """Counts requests since the server started; written by the event loop alone, read from anywhere."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str], int] = {}
        self._seconds: dict[str, float] = {}

    def add(self, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered.

        Args:
            route: what answered: one of a few names, never anything that a client chose.
            status: of the answer.
            seconds: how long it took.
        """
        key = (route, str(status))
        self._numbers[key] = self._numbers.get(key, 0) + 1
        self._seconds[route] = self._seconds.get(route, 0.0) + seconds

    def by_status(self) -> Iterator[tuple[tuple[str, str], int]]:
        """Give the number of requests for each route and status."""
        yield from sorted(self._numbers.copy().items())

    def durations(self) -> Iterator[tuple[tuple[str], tuple[int, float]]]:
        """Give for each route the number of requests and the seconds they took together."""
        numbers = self._numbers.copy()
        for route, seconds in sorted(self._seconds.copy().items()):
            yield (route,), (sum(count for (name, _), count in numbers.items() if name == route), seconds)
