"""Logs of backups in pieces: a log may be long, and who looks for a line reads a page of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from backstay.catalogue import Backup
from backstay.errors import NotFoundError
from backstay.jobs.installation import Installation

LEVELS: Final = ("ERROR", "WARNING", "INFO", "DEBUG")
_READ_AT_ONCE: Final = 4 << 20
"""Bytes looked through for one page, so that a page of a long log is as quick as one of a short."""
_LONGEST_LINE: Final = 4000


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line: its level, its moment as ``YYYYMMDD HH:MM:SS`` in UTC, and what it says; headings have only that."""

    level: str
    moment: str
    text: str


@dataclass(frozen=True, slots=True)
class LogPage:
    """A piece of a log.

    Attributes:
        lines: those that were looked for.
        following: offset at which the next piece begins; None: this is the last.
        size: bytes of the whole log.
    """

    lines: list[LogLine]
    following: int | None
    size: int


def read_log_page(
    installation: Installation,
    backup: Backup,
    *,
    offset: int = 0,
    text: str = "",
    levels: Collection[str] = (),
    limit: int = 300,
) -> LogPage:
    """Return the lines of a log from an offset on that are looked for.

    Args:
        installation: whose.
        backup: its record.
        offset: in bytes: 0, or ``following`` of the page before.
        text: part of the line, in any case.
        levels: of ``LEVELS``; none: all.
        limit: most lines.

    Raises:
        NotFoundError: it has no log, or it was deleted.
    """
    lines: list[LogLine] = []
    wanted = text.casefold()
    try:
        with installation.home.log(backup.tag or "", backup.backupid or "").open("rb") as file:
            size = file.seek(0, 2)
            position = file.seek(min(offset, size))
            end = position + _READ_AT_ONCE
            while position < end and len(lines) < limit and (raw := file.readline(_READ_AT_ONCE)):
                position += len(raw)
                line = _line(raw)
                if (not levels or line.level in levels) and (not wanted or wanted in line.text.casefold()):
                    lines.append(line)
    except FileNotFoundError:
        raise NotFoundError(f"Backup {backup.id} has no log any more.") from None
    return LogPage(lines, position if position < size else None, size)


def _line(raw: bytes) -> LogLine:
    text = raw[:_LONGEST_LINE].decode("utf-8", "backslashreplace").rstrip("\r\n")
    level, _, rest = text.partition("|")
    moment, separator, message = rest.partition("|")
    if separator and level.strip() in LEVELS:
        return LogLine(level.strip(), moment, message)
    return LogLine("", "", text)
