"""Cron expressions: five fields, or a name for five that are often wanted."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

from cronsim import CronSim, CronSimError

from backstay.errors import UsageError

NAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
}
"""What may stand for five fields (crontab(5))."""

_LONGEST = 200
_LISTS = "with lists (1,15), ranges (1-5) and steps (*/2)"
_FIELDS = (
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of the month", "1 to 31, or L for the last day"),
    ("month", "1 to 12 or JAN to DEC"),
    ("day of the week", "0 to 7 (0 and 7 are Sunday) or SUN to SAT"),
)
# Any moment: whether an expression has times at all does not depend on where one begins to look.
_SOME_DAY = datetime(2024, 1, 1)  # noqa: DTZ001 - the time of a clock on a wall


# Many profiles have the same times.
@lru_cache(maxsize=4096)
def read_expression(text: str) -> str:
    """Return the five fields that a cron expression means, with one blank between them.

    Raises:
        UsageError: it is no expression, or one whose time never comes; the sentence names the field.
    """
    given = " ".join(text[: _LONGEST + 1].split())
    fields = NAMES.get(given.lower(), given).split()
    if given.startswith("@") and given.lower() not in NAMES:
        raise UsageError(f"{given[:40]!r} is no time of a schedule: of the names there are {', '.join(NAMES)}.")
    if len(fields) != len(_FIELDS) or len(given) > _LONGEST:
        raise UsageError(
            f"{given[:40]!r} is no time of a schedule: it has five fields (minute, hour, day of the month, month, "
            "day of the week), for example '17 3 * * *', or is a name such as @daily."
        )
    for number, (name, allowed) in enumerate(_FIELDS):
        alone = ["*"] * len(_FIELDS)
        alone[number] = fields[number]
        if not _is_read(" ".join(alone)):
            raise UsageError(f"The {name} of a schedule can't be {fields[number]!r}: it is {allowed}, {_LISTS}.")
    expression = " ".join(fields)
    if not _is_read(expression) or next(CronSim(expression, _SOME_DAY), None) is None:
        raise UsageError(f"{expression!r} is a time that never comes: no such day is in a calendar.")
    return expression


def _is_read(expression: str) -> bool:
    try:
        CronSim(expression, _SOME_DAY)
    except CronSimError:
        return False
    return True


def runs_all_day(expression: str) -> bool:
    """Return whether an expression names no hours but all, or each so many: its hour has ``*`` or a step."""
    hour = expression.split()[1]
    return "*" in hour or "/" in hour
