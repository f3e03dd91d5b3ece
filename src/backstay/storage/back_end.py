"""What every back end has alike."""

from __future__ import annotations

from types import TracebackType
from typing import Self


class BackEnd:
    """A destination that knows its address and ends with its ``with`` statement; see `backstay.storage.model`."""

    def __init__(self, url: str) -> None:
        self._url = url

    @property
    def url(self) -> str:
        """The address, without secrets."""
        return self._url

    def close(self) -> None:
        """Release connections; here there are none."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
