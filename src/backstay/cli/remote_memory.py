"""What worked last time: the endpoint of each address, kept so that the search is not made anew for every command.

The file holds addresses and no secrets. That it cannot be read or written is never a reason for a command to fail.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from backstay.client import Endpoint
from backstay.client.secrecy import blanked
from backstay.errors import UsageError

_MOST = 200


def memory_file() -> Path:
    """Return the path of the file: in ``XDG_CACHE_HOME``, or else in ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return Path(base if Path(base).is_absolute() else Path.home() / ".cache") / "backstay" / "endpoints.json"


def remembered(url: str) -> Endpoint | None:
    """Return the endpoint that worked for an address the last time, if there is one."""
    with contextlib.suppress(UsageError):
        stored = _load().get(blanked(url))
        return Endpoint.restored(stored) if isinstance(stored, dict) else None
    return None


def remember(url: str, endpoint: Endpoint | None) -> None:
    """Keep the endpoint that worked for an address; the newest addresses are kept."""
    known, key = _load(), blanked(url)
    if endpoint is None or known.get(key) == endpoint.stored():
        return
    known.pop(key, None)
    known[key] = endpoint.stored()
    path = memory_file()
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
            json.dump(dict(list(known.items())[-_MOST:]), file, indent=1)
        Path(file.name).replace(path)


def _load() -> dict[str, Any]:
    try:
        stored = json.loads(memory_file().read_text("utf-8"))
    except (OSError, ValueError, RuntimeError):
        return {}
    return stored if isinstance(stored, dict) else {}
