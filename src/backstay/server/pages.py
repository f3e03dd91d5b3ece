"""The few pages that a browser, or a client on the wrong path, gets to see."""

from __future__ import annotations

from starlette.responses import HTMLResponse, JSONResponse, Response

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{title}</title>
<style>body {{ font-family: sans-serif; margin: 4em auto; max-width: 40em; line-height: 1.5 }}</style></head>
<body><h1>{title}</h1>
{content}
</body>
</html>
"""


def start_page() -> Response:
    """Return what stands at the root of the server."""
    content = (
        "<p>This is a backup server. It is driven by clients of the Akeeba Backup JSON API: give them the address of "
        "this page and the secret word, which <code>backstay secret show</code> prints on the server.</p>\n"
        '<p><a href="docs">The methods of version 3 of the API</a></p>'
    )
    return HTMLResponse(_PAGE.format(title="Backstay", content=content), headers=_HEADERS)


def not_found() -> Response:
    """Return the answer to an unknown route; clients that look for the API go on when they see HTML (clients.md)."""
    content = "<p>There is nothing at this address.</p>"
    return HTMLResponse(_PAGE.format(title="Not Found", content=content), 404, headers=_HEADERS)


def refused(status: int, sentence: str) -> Response:
    """Return the answer to a request that was not read any further."""
    return JSONResponse({"status": status, "data": sentence}, status, headers={**_HEADERS, "Connection": "close"})


def route_not_found() -> Response:
    """Return the answer to an unknown route of the versioned API (api-v3.md)."""
    return JSONResponse({"errors": [{"title": "Not Found"}]}, 404, headers=_HEADERS)
