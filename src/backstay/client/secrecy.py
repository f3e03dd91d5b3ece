"""Keeping secrets out of everything that is shown: messages, logs and the verbose exchange."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, quote_plus

BLANK: Final = "***"

_IN_QUERIES = re.compile(r"(?i)\b(_akeebaAuth|json|secret|password|token)=[^&#\s'\"]*")
_IN_ADDRESSES = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^/@\s]+@")


def blanked(text: str, secrets: Iterable[str] = ()) -> str:
    """A text without secrets.

    Args:
        text: anything that is going to be shown.
        secrets: words to blank wherever they stand, however they are escaped.

    Returns:
        The text with each secret, each credential in a query and each password in an address replaced.
    """
    for form in sorted({form for secret in secrets if secret for form in _forms(secret)}, key=len, reverse=True):
        text = text.replace(form, BLANK)
    return _IN_ADDRESSES.sub(rf"\1{BLANK}@", _IN_QUERIES.sub(rf"\1={BLANK}", text))


def _forms(secret: str) -> set[str]:
    given = secret.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    once = _escaped(given)
    twice = {form for escaped in once for form in _escaped(escaped)}  # version 1 has JSON in JSON
    return {secret, quote(given, safe=""), quote(given), quote_plus(given), *once, *twice}


def _escaped(text: str) -> set[str]:
    """A text as JSON libraries write it: with and without escapes for slashes and for what is not ASCII."""
    plain = {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    return plain | {form.replace("/", "\\/") for form in plain}


class _BlankUrls(logging.Filter):
    """Takes credentials out of the URLs that the HTTP library writes to its log."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                value if isinstance(value, (int, float)) else blanked(str(value)) for value in record.args
            )
        return True


def keep_secrets_out_of_logs() -> None:
    """Makes the HTTP library's own log lines safe to keep; calling it again changes nothing."""
    for name in ("httpx2", *(f"httpcore2.{part}" for part in ("connection", "http11", "http2", "proxy", "socks"))):
        logger = logging.getLogger(name)
        if not any(isinstance(known, _BlankUrls) for known in logger.filters):
            logger.addFilter(_BlankUrls())
