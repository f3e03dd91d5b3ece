"""What an archive of Backstay's says of itself, as far as that can be believed."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

from backstay.archives import ArchiveReader
from backstay.errors import NotFoundError

YEARS: Final = range(1990, 9000)
"""In which a backup can have been taken."""
_PAGE: Final = "installation/extrainfo.json"
_LARGEST: Final = 1 << 20


def page_about(archive: ArchiveReader) -> dict[str, Any]:
    """Return the page that an archive holds about its backup; nothing where there is none that can be read.

    Raises:
        ArchiveError: the archive is damaged.
    """
    with suppress(NotFoundError, ValueError, RecursionError):
        page = archive.entry(_PAGE)
        if page.size <= _LARGEST:
            decoded = json.loads(b"".join(archive.read(page)))
            return decoded if isinstance(decoded, dict) else {}
    return {}


def moment_in(text: object) -> datetime | None:
    """Return the moment that a page names; None where that is none at which a backup can have been taken."""
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text.strip().replace(" UTC", "+00:00"))
    except ValueError:
        return None
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    return found if found.year in YEARS else None
