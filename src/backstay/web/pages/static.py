"""The style sheet and the scripts."""

from __future__ import annotations

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
    return Response(content, media_type=kind, headers={"Cache-Control": "public, max-age=31536000, immutable"})


ROUTES = (PageRoute("GET", "/static/{file}", None, _static),)
