"""The log of one backup, line by line as the reference engine writes it (engine-behaviour, log file)."""

from __future__ import annotations

import logging
import platform
import time
from pathlib import Path

from backstay.engine.plan import Plan
from backstay.engine.progress import shown
from backstay.version import RELEASE_DATE, __version__

_NAMES = {logging.CRITICAL: "ERROR", logging.ERROR: "ERROR", logging.WARNING: "WARNING", logging.INFO: "INFO"}
_LEVELS = {0: logging.CRITICAL + 1, 1: logging.ERROR, 2: logging.WARNING, 3: logging.INFO, 4: logging.DEBUG}


class LineFormatter(logging.Formatter):
    """``LEVEL`` padded to 8, ``|``, ``YYYYMMDD HH:MM:SS`` in UTC, ``|``, the message on one line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line without its line end."""
        message = record.getMessage()
        if record.exc_info:
            message += "\n" + self.formatException(record.exc_info)
        message = message.replace("\r\n", "\n").replace("\r", "\n").replace("\n", " \\n ")
        moment = time.strftime("%Y%m%d %H:%M:%S", time.gmtime(record.created))
        return f"{_NAMES.get(record.levelno, 'DEBUG'):<8}|{moment}|{message}"


def open_log(path: Path, level: int) -> logging.Handler:
    """Return a handler that appends to a backup's log, private to its owner.

    Args:
        path: of the log.
        level: 0 nothing, 1 errors, 2 warnings, 3 information, 4 all.
    """
    path.touch(mode=0o600)
    handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    handler.terminator = "\r\n"
    handler.setFormatter(LineFormatter())
    handler.setLevel(_LEVELS.get(level, logging.DEBUG))
    return handler


def log_files() -> list[int]:
    """Return the open files of the log, which a process that is forked goes on writing to."""
    handlers = logging.getLogger("backstay").handlers
    return [
        handler.stream.fileno() for handler in handlers if isinstance(handler, logging.FileHandler) and handler.stream
    ]


def log_header(plan: Plan, attempt: int) -> list[str]:
    """Return the lines with which a log begins: what runs, where, and with which settings.

    Args:
        plan: of the backup.
        attempt: how often a process took it up, this one included.
    """
    settings = plan.settings
    lines = [
        "-" * 79,
        f"Backstay {__version__} ({RELEASE_DATE})",
        "--- System Information ---",
        f"Python version: {platform.python_version()}",
        f"Operating system: {platform.system()} {platform.release()} {platform.machine()}",
        f"Loaded profile #{plan.profile_id}",
        f"Backup type: {settings.backup_type}",
        f"Archive format: {settings.archive_format}, compression: {settings.compression}",
        f"Output directory: {shown(str(Path(plan.archive).parent))}",
        f"Part size: {settings.split_size}",
        *(f"Database: {database.address().redacted()}" for database in plan.databases),
    ]
    return [*lines, f"Resumed, attempt {attempt}", "-" * 79] if attempt > 1 else [*lines, "-" * 79]
