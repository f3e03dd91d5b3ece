"""Destinations that tests send files to, and what they need to open them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from backstay.storage import Destination, PutOptions, StoredFile, open_destination
from backstay.storage.rclone_remote import obscure


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


def crypt_place(folder: Path, config: Path) -> Place:
    """An empty place in a user's own remote of rclone, which encrypts names and bytes."""
    config.write_text(f"[vault]\ntype = crypt\nremote = {folder}\npassword = {obscure('of the tests')}\n")
    return Place(f"rclone:vault:?config={config}")


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
