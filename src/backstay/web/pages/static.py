"""The style sheet and the scripts."""

from __future__ import annotations

import gzip
from functools import lru_cache

from starlette.responses import Response

from backstay.errors import NotFoundError
from backstay.web.rendering import asset_content
from backstay.web.routes import PageRoute
from backstay.web.visit import Visit

_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


def _static(visit: Visit) -> Response:
    file = visit.request.path_params["file"]
    kind = _TYPES.get(file.rpartition(".")[2])
    try:
        content = asset_content(file)
    except OSError:
        kind, content = None, b""
    if kind is None:
        raise NotFoundError("There is no such file.")
    # The address changes with the content (`rendering.asset`), so it may be kept for ever.
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
    # Pages are not compressed: how far one shrinks would tell of the secrets in it. A style sheet has none.
    if "gzip" in visit.request.headers.get("accept-encoding", ""):
        content, headers["Content-Encoding"] = _compressed(file), "gzip"
    return Response(content, media_type=kind, headers=headers)


@lru_cache(maxsize=64)
def _compressed(file: str) -> bytes:
    return gzip.compress(asset_content(file), mtime=0)


ROUTES = (PageRoute("GET", "/static/{file}", None, _static),)
