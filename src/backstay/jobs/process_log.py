"""The log of a program that runs for long: lines on standard error, for people or for programs that collect them."""

from __future__ import annotations

import json
import logging
import traceback
from datetime import UTC, datetime
from enum import StrEnum

_TEXT = "%(asctime)s %(levelname)s %(message)s"

LOGGED_PATH = "backstay.logged_path"
"""Key of a request's ASGI scope: what is logged in place of its path, where that holds a secret."""


class LogFormat(StrEnum):
    """How a line of the log looks: for a person, or as a JSON object."""

    TEXT = "text"
    JSON = "json"


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, the fields of the event, and the traceback of a bug.

    The fields are those that a call gives as ``extra={"fields": {...}}``. Everything but ASCII is escaped, so that no
    name in a message can end a line or make it undecodable.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return one line without its line end."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(line, default=str)


def set_up_log(level: int, log_format: LogFormat = LogFormat.TEXT) -> None:
    """Send the log to standard error: Backstay's own from a level on, others' warnings.

    Args:
        level: of ``logging``.
        log_format: how a line looks.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if log_format is LogFormat.JSON else logging.Formatter(_TEXT))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.captureWarnings(log_format is LogFormat.JSON)
    logging.getLogger("backstay").setLevel(level)
