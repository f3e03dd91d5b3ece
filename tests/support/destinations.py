"""Destinations that tests send files to, and what they need to open them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from backstay.storage import Destination, PutOptions, StoredFile, open_destination


@dataclass(frozen=True)
class Place:
    """An empty place at a server that runs.

    Attributes:
        url: of the destination.
        secrets: by name.
    """

    url: str
    secrets: Mapping[str, str] = field(default_factory=dict)

    def open(self) -> Destination:
        """Open it."""
        return open_destination(self.url, self.secrets)


def send(
    destination: Destination, name: str, source: Path, *, options: PutOptions | None = None, resume: str = ""
) -> StoredFile:
    """Send a file and ignore the progress."""
    return destination.put(
        name,
        source,
        options=options or PutOptions(),
        resume=resume,
        on_resume=lambda _token: None,
        on_progress=lambda _bytes: None,
    )
