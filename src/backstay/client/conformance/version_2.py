"""Checks of version 2: credentials, verbs, the form of replies (api-v1-encapsulation.md 10, clients.md)."""

from __future__ import annotations

import json

from backstay.client.conformance.probe import Checks, Group, Probe, expect, require

checks = Checks(Group.VERSION_2)


@checks
def wrong_secret(probe: Probe) -> None:
    """A wrong or missing secret is answered with status 503 at HTTP 200."""
    for secret in ("wrong", ""):
        reply = probe.ask_2("getVersion", secret=secret)
        require(reply.status == 200, f"the HTTP status is {reply.status}")
        expect(reply.answer(), 503, "Access denied")


@checks
def credentials(probe: Probe) -> None:
    """The secret is taken from the header, and from _akeebaAuth in the address."""
    endpoint = probe.endpoint(2)
    expect(probe.ask_2("getVersion").answer(), 200)
    query = (*endpoint.query, ("method", "getVersion"), ("_akeebaAuth", probe.secret))
    expect(probe.send("GET", endpoint.url, query=query).answer(), 200)


@checks
def credential_in_body(probe: Probe) -> None:
    """The secret is taken from _akeebaAuth in the body, as documented."""
    endpoint = probe.endpoint(2)
    form = {"method": "getVersion", "_akeebaAuth": probe.secret}
    expect(probe.send("POST", endpoint.url, query=endpoint.query, form=form).answer(), 200)


@checks
def post(probe: Probe) -> None:
    """A form sent by POST is answered as GET is."""
    endpoint = probe.endpoint(2)
    headers = {"X-Akeeba-Auth": probe.secret}
    reply = probe.send("POST", endpoint.url, query=endpoint.query, form={"method": "getVersion"}, headers=headers)
    expect(reply.answer(), 200)


@checks
def verbs(probe: Probe) -> None:
    """Other verbs are answered with status 405."""
    endpoint = probe.endpoint(2)
    query = (*endpoint.query, ("method", "getVersion"))
    reply = probe.send("PUT", endpoint.url, query=query, headers={"X-Akeeba-Auth": probe.secret})
    expect(reply.answer(), 405, "Invalid HTTP method PUT")


@checks
def form_of_reply(probe: Probe) -> None:
    """The reply is JSON of status and data, typed so, with nothing around it and no ### in it."""
    for method in ("getVersion", "getProfiles"):
        reply = probe.ask_2(method)
        require("application/json" in reply.headers.get("content-type", ""), "the content type is not JSON")
        require("###" not in reply.text, "there are ### marks in it")
        require(set(json.loads(reply.text)) == {"status", "data"}, "there are other keys than status and data")


@checks
def methods(probe: Probe) -> None:
    """Methods are matched without regard to case; an unknown one is status 405, named as sent."""
    expect(probe.ask_2("GETversion").answer(), 200)
    expect(probe.ask_2("noSuchMethod").answer(), 405, "Invalid method noSuchMethod")


@checks
def unknown_parameters(probe: Probe) -> None:
    """Unknown parameters are ignored."""
    expect(probe.ask_2("getVersion", {"nonsense": "1", "a[b][]": "x"}).answer(), 200)


@checks
def view(probe: Probe) -> None:
    """The name of the view is matched without regard to case."""
    endpoint = probe.endpoint(2)
    query = tuple((name, "Api" if name == "view" else value) for name, value in endpoint.query)
    query = (*query, ("method", "getVersion"))
    expect(probe.send("GET", endpoint.url, query=query, headers={"X-Akeeba-Auth": probe.secret}).answer(), 200)
