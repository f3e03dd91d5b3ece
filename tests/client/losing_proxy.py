"""A gateway that loses answers."""

from __future__ import annotations

from typing import Any

import httpx2
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response


class LosingProxy:
    """Stands before a server, passes requests on, and answers each named method's first call with a gateway's 502."""

    def __init__(self, url: str, *methods: str) -> None:
        self.url, self.methods = url, list(methods)
        self.asked: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        body = await request.body()
        headers = {k: v for k, v in request.headers.items() if k not in ("host", "content-length", "accept-encoding")}
        query = f"?{request.url.query}" if request.url.query else ""
        async with httpx2.AsyncClient(timeout=30) as http:
            reply = await http.request(
                request.method, self.url + request.url.path + query, headers=headers, content=body
            )
        asked = next((name for name in self.methods if name in request.url.path or name.encode() in body), None)
        self.asked += [name for name in ("startBackup",) if name in request.url.path or name.encode() in body]
        if asked:
            self.methods.remove(asked)
            await HTMLResponse("<html>Bad gateway", 502)(scope, receive, send)
            return
        await Response(reply.content, reply.status_code, {"content-type": reply.headers.get("content-type", "")})(
            scope, receive, send
        )
