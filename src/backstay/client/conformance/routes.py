"""Checks of what stands beside the API (clients.md, detection)."""

from __future__ import annotations

from urllib.parse import urlsplit

from backstay.client.conformance.probe import Checks, Group, Probe, require

checks = Checks(Group.ROUTES)


@checks
def unknown_route(probe: Probe) -> None:
    """An unknown route answers with a web page at HTTP 404."""
    parts = urlsplit(next(iter(probe.endpoints.values())).url)
    reply = probe.send("GET", f"{parts.scheme}://{parts.netloc}/no/such/route", headers={"Accept": "*/*"})
    require(reply.status == 404, f"the HTTP status is {reply.status}")
    require("html" in reply.headers.get("content-type", ""), "it is no web page")


@checks
def monitor(probe: Probe) -> None:
    """The monitor's first probe, version 1 without a secret, is not answered in the form of version 2."""
    endpoint = probe.endpoint(1)
    reply = probe.send("GET", endpoint.url, query=(*endpoint.query, ("json", "{}")))
    require(not reply.text.lstrip().startswith('{"status"'), "it is answered as version 2")
