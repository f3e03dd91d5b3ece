"""The journal of who did what: from the page, the API and the command line alike."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from backstay.errors import BackstayError
from backstay.jobs.installation import Installation

PAGE: Final = "page"
API: Final = "api"
COMMAND: Final = "command"
DOORS: Final = (PAGE, API, COMMAND)

_LONGEST = {"who": 200, "action": 60, "subject": 500, "detail": 500}
# Old entries are looked for once for so many new ones.
_FORGET_EACH = 100

_log = logging.getLogger(__name__)


def note(
    installation: Installation,
    who: str,
    through: str,
    action: str,
    subject: str,
    details: Mapping[str, Any] | None = None,
    address: str = "",
) -> None:
    """Write down what somebody did. What was done stands, even where it can't be written down: the log says so.

    Args:
        installation: whose journal.
        who: name of a user or a token, or of a user of the shell.
        through: `PAGE`, `API` or `COMMAND`.
        action: what was done, in a few words: ``backup deleted``.
        subject: what it was done to: ``backup 12``.
        details: what else is to be known: texts, numbers, truths; never a secret. What is empty is left out.
        address: where it came from.
    """
    kept = {name: _kept(value) for name, value in (details or {}).items() if value not in ("", None)}
    try:
        number = installation.catalogue.journal.add(
            datetime.now(UTC),
            who[: _LONGEST["who"]],
            through,
            address,
            action[: _LONGEST["action"]],
            subject[: _LONGEST["subject"]],
            kept,
        )
        if number % _FORGET_EACH == 0:
            _forget(installation)
    except BackstayError:
        _log.exception("The journal could not be written: %s, by %s through %s.", action, who, through)


def _kept(value: object) -> object:
    if isinstance(value, bool | int | float):
        return value
    return str(value).encode("utf-8", "backslashreplace").decode()[: _LONGEST["detail"]]


def _forget(installation: Installation) -> None:
    bounds = installation.configuration.journal
    before = datetime.now(UTC) - timedelta(days=bounds.keep_days)
    installation.catalogue.journal.forget(before, bounds.keep_entries)
