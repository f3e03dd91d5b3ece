"""Checks of version 3 (api-v3.md)."""

from __future__ import annotations

from backstay.client.conformance.probe import Checks, Group, NotOfferedError, Probe, RawReply, expect, require
from backstay.client.endpoints import Credential

checks = Checks(Group.VERSION_3)
_HEADERS = {Credential.JOOMLA_HEADER: "X-Joomla-Token", Credential.AKEEBA_HEADER: "X-Akeeba-Auth"}


def _ask(probe: Probe, method: str = "getVersion", verb: str = "GET", **headers: str) -> RawReply:
    endpoint = probe.endpoint(3)
    sent = headers or {_HEADERS[endpoint.credential]: probe.secret}
    return probe.send(verb, f"{endpoint.url}/{method}", headers=sent, form={} if verb == "POST" else None)


@checks
def both_verbs(probe: Probe) -> None:
    """GET and POST are answered alike."""
    expect(_ask(probe).answer(), 200)
    expect(_ask(probe, verb="POST").answer(), 200)


@checks
def both_routes(probe: Probe) -> None:
    """Both routes are answered, with and without index.php."""
    endpoint = probe.endpoint(3)
    other = (
        endpoint.url.replace("/api/index.php/", "/api/")
        if "/api/index.php/" in endpoint.url
        else endpoint.url.replace("/api/", "/api/index.php/")
    )
    reply = probe.send("GET", f"{other}/getVersion", headers={_HEADERS[endpoint.credential]: probe.secret})
    if reply.status == 404:
        raise NotOfferedError("the other route is not there: it needs URL rewriting on some servers")
    expect(reply.answer(), 200)


@checks
def not_identified(probe: Probe) -> None:
    """Who is not identified gets status 503 at HTTP 200."""
    endpoint = probe.endpoint(3)
    for headers in ({}, {"X-Joomla-Token": "wrong"}, {"X-Akeeba-Auth": "wrong"}):
        reply = probe.send("GET", f"{endpoint.url}/getVersion", headers=headers)
        require(reply.status == 200, f"the HTTP status is {reply.status}")
        expect(reply.answer(), 503)


@checks
def never_in_the_address(probe: Probe) -> None:
    """A credential in the address does not count."""
    endpoint = probe.endpoint(3)
    reply = probe.send("GET", f"{endpoint.url}/getVersion", query={"_akeebaAuth": probe.secret})
    expect(reply.answer(), 503)


@checks
def wrong_secret_beside_token(probe: Probe) -> None:
    """A wrong secret word fails, even beside a good token."""
    good = {_HEADERS[probe.endpoint(3).credential]: probe.secret}
    if "X-Joomla-Token" not in good:
        raise NotOfferedError("the secret given is a secret word and not a token")
    expect(_ask(probe, **good, **{"X-Akeeba-Auth": "wrong"}).answer(), 503)


@checks
def bearer(probe: Probe) -> None:
    """A token is taken as a bearer, too."""
    if probe.endpoint(3).credential is not Credential.JOOMLA_HEADER:
        raise NotOfferedError("the secret given is a secret word and not a token")
    expect(_ask(probe, Authorization=f"Bearer {probe.secret}").answer(), 200)


@checks
def unknown_route(probe: Probe) -> None:
    """An unknown route is HTTP 404."""
    endpoint = probe.endpoint(3)
    url = endpoint.url.removesuffix("/akeebabackup") + "/nosuchthing/getVersion"
    reply = probe.send("GET", url, headers={_HEADERS[endpoint.credential]: probe.secret})
    require(reply.status == 404, f"the HTTP status is {reply.status}")
