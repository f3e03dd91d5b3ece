"""The log of one backup, line by line as the reference engine writes it (engine-behaviour, log file)."""

from __future__ import annotations

import logging
import time
from pathlib import Path

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
