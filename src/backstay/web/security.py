"""What keeps pages to those who are meant: headers, cookies, and the token against forged forms."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

SESSION_COOKIE: Final = "__Host-backstay"
VISITOR_COOKIE: Final = "__Host-backstay-visitor"
NOTICE_COOKIE: Final = "__Host-backstay-notice"
FORGERY_FIELD: Final = "from_here"

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # With no-referrer a browser hides the origin of its own forms, too.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of each answer that says nothing else."""


def set_cookie(response: Response, name: str, value: str, seconds: int) -> None:
    """Set a cookie that only this host gets, over HTTPS or from the machine itself, and that no script can read."""
    response.set_cookie(name, value, max_age=seconds, path="/", secure=True, httponly=True, samesite="strict")


def form_token(word: str) -> str:
    """Return the token that forms carry, from the word of the session's or the visitor's cookie."""
    return hmac.new(word.encode(), b"backstay form", hashlib.sha256).hexdigest()


def is_forged(request: Request, token: str, offered: str) -> bool:
    """Return whether a POST did not come from a form of ours: its origin is another, or its token is wrong.

    Args:
        request: with the headers that browsers set (Fetch Metadata, Origin).
        token: that the form was given.
        offered: that came back.
    """
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return True
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc.lower() != request.headers.get("host", "").lower():
        return True
    return not token or not hmac.compare_digest(token.encode(), offered.encode("utf-8", "replace"))
