"""A page to browse the OpenAPI document with: of our own, with nothing loaded from elsewhere."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

from starlette.responses import HTMLResponse, JSONResponse, Response

from backstay.server.openapi import openapi_document

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Referrer-Policy": "no-referrer",
}


def openapi_response(base: str, level: int) -> Response:
    """Return the OpenAPI document; it holds nothing that is not in the manual, so that anyone may read it."""
    return JSONResponse(openapi_document(base, level), headers={"X-Content-Type-Options": "nosniff"})


def browser_page() -> Response:
    """Return the page."""
    return HTMLResponse(_page(), headers=_HEADERS)


@lru_cache(maxsize=1)
def _page() -> str:
    return files("backstay.server").joinpath("browser.html").read_text("utf-8")
