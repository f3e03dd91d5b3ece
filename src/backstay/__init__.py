"""Backstay: a backup server for websites, and a client of any server of the Akeeba Backup JSON API.

The library's public names are here; what is imported from deeper places may move.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from backstay.version import __version__

if TYPE_CHECKING:
    from backstay.archives import open_archive, open_archive_async
    from backstay.client import AsyncClient, Client

__all__ = ["AsyncClient", "Client", "__version__", "open_archive", "open_archive_async"]

_HOMES = {
    "AsyncClient": "backstay.client",
    "Client": "backstay.client",
    "open_archive": "backstay.archives",
    "open_archive_async": "backstay.archives",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for: who reads archives needs no HTTP, and the other way round."""
    if name not in _HOMES:
        raise AttributeError(f"module 'backstay' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
