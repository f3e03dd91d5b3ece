"""The one place that knows Apprise: a program of its own, that is given one message on standard input.

A module of Apprise may send any number of requests, follow them for minutes and read answers of any size. In a process
of its own it can be ended, its memory has a bound, and what it logs, URLs among it, goes nowhere.
"""

from __future__ import annotations

import contextlib
import json
import logging
import resource
import sys
from typing import Any

_MEMORY = 1 << 30
_SECONDS = 25
_REASONS = 3


class _Reasons(logging.Handler):
    """Keeps what Apprise says of a failure."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.warnings: list[str] = []
        self.details: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.levelno >= logging.WARNING:
            self.warnings.append(text)
        elif "Exception: " in text:
            self.details.append(text.partition("Exception: ")[2])

    def text(self) -> str:
        return " ".join([*self.warnings[-_REASONS:], *self.details[-1:]])


def main() -> None:
    """Check an address, or send a message there; print ``{"error": …, "host": …}``."""
    for limit in (resource.RLIMIT_AS, resource.RLIMIT_DATA):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(limit, (_MEMORY, _MEMORY))
    answer = _answer(json.load(sys.stdin))
    sys.stdout.write(json.dumps(answer))


def _answer(asked: dict[str, Any]) -> dict[str, Any]:
    import apprise

    reasons = _Reasons()
    logger = logging.getLogger("apprise")
    logger.setLevel(logging.DEBUG)
    logger.addHandler(reasons)
    logger.propagate = False
    asset = apprise.AppriseAsset(
        app_id="Backstay",
        app_desc="Backstay",
        app_url="",
        async_mode=False,
        http_redirects=False,
        service_timeout=_SECONDS,
        storage_mode="memory",
    )
    service = apprise.Apprise.instantiate(asked["url"], asset=asset)
    if service is None:
        return {"error": reasons.text() or "it is not an address of Apprise", "known": False}
    if "body" not in asked:
        # Of many services what stands in the place of the host is a token.
        templates: tuple[str, ...] = type(service).templates
        has_host = any("{host}" in template for template in templates)
        return {"error": "", "host": (service.host or "") if has_host else ""}
    sender = apprise.Apprise(asset=asset)
    sender.add(service)
    sent = sender.notify(
        body=asked["body"], title=asked["title"], notify_type=asked["type"], body_format=apprise.NotifyFormat.TEXT
    )
    return {"error": "" if sent else reasons.text() or "it was refused", "known": True}


if __name__ == "__main__":
    main()
