"""Version 3 on the wire: the rows of api-v3.md over real HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from server.driving import ALL, Driven, json_reply, make_record

ROUTES = ("/api/index.php/v3/akeebabackup/", "/api/v3/akeebabackup/", "/sub/path/api/index.php/v3/akeebabackup/")
DENIED = (503, "Access denied")


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_both_routes_and_both_verbs(server: Driven, route: str, verb: str) -> None:
    headers = {"X-Joomla-Token": server.token("read"), "Accept": "application/json"}
    response = server.http.request(verb, f"{server.url}{route}getProfiles", headers=headers)
    assert json_reply(response).pair == (200, [{"id": 1, "name": "Default Backup Profile"}])


def test_parameters_in_query_and_form(server: Driven) -> None:
    headers = {"X-Akeeba-Auth": server.secret}
    url = f"{server.url}{ROUTES[0]}exportConfiguration"
    assert json_reply(server.http.get(f"{url}?profile=5", headers=headers)).pair == (404, "Invalid profile ID")
    assert json_reply(server.http.post(url, data={"profile": 5}, headers=headers)).pair == (404, "Invalid profile ID")


def test_routing_parameters_are_ignored(server: Driven) -> None:
    query = "method=deleteProfile&option=com_content&view=x&format=html&tmpl=y&_akeebaAuth=z"
    response = server.http.get(
        f"{server.url}{ROUTES[0]}getVersion?{query}", headers={"X-Joomla-Token": server.token("read")}
    )
    assert json_reply(response).data["api"] == 400


def test_the_kinds_of_credentials(server: Driven) -> None:
    token = server.token("read")
    for headers in (
        {"X-Joomla-Token": token},
        {"Authorization": f"Bearer {token}"},
        {"authorization": f"bearer {token}"},
        {"X-Akeeba-Auth": server.secret},
        {"X-Akeeba-Auth": server.secret, "X-Joomla-Token": "wrong"},
    ):
        assert server.v3("getVersion", headers).status == 200, headers


def test_who_is_not_known(server: Driven) -> None:
    token = server.token("read")
    for headers in (
        {},
        {"X-Joomla-Token": "bst_wrong"},
        {"X-Joomla-Token": server.secret},
        {"Authorization": f"Basic {token}"},
        {"X-Akeeba-Auth": "wrong"},
        {"X-Akeeba-Auth": "wrong", "X-Joomla-Token": token},
        {"X-Akeeba-Auth": token},
    ):
        reply = server.v3("getVersion", headers)
        assert (reply.http, *reply.pair) == (200, *DENIED), headers


def test_no_credential_in_the_url(server: Driven) -> None:
    for name in ("_akeebaAuth", "X-Akeeba-Auth", "token"):
        response = server.http.get(f"{server.url}{ROUTES[0]}getVersion", params={name: server.secret})
        assert json_reply(response).pair == DENIED


def test_known_and_not_allowed(server: Driven) -> None:
    reply = server.v3("delete", {"X-Joomla-Token": server.token("read", "backup")}, backup_id=1)
    assert (reply.http, reply.status) == (200, 403)


def test_a_revoked_or_regenerated_or_expired_token(server: Driven) -> None:
    tokens = server.installation.catalogue.tokens
    old = server.token("read", name="ci")
    new = tokens.regenerate("ci", datetime.now(UTC))
    assert server.v3("getVersion", {"X-Joomla-Token": old}).pair == DENIED
    assert server.v3("getVersion", {"X-Joomla-Token": new}).status == 200
    tokens.revoke("ci")
    assert server.v3("getVersion", {"X-Joomla-Token": new}).pair == DENIED
    past = server.token("read", expires=datetime.now(UTC) - timedelta(seconds=1))
    assert server.v3("getVersion", {"X-Joomla-Token": past}).pair == DENIED


def test_the_last_use_of_a_token_is_noted(server: Driven) -> None:
    server.v3("getVersion", {"X-Joomla-Token": server.token("read", name="ci")})
    (token,) = server.installation.catalogue.tokens.all()
    assert token.last_used is not None


@pytest.mark.parametrize(
    "path",
    ["/api/index.php/v3/akeebabackup", "/api/index.php/v3/", "/api/v3/other", "/api/v3/akeebabackup/a/b", "/api/v9/x"],
)
def test_unknown_routes(server: Driven, path: str) -> None:
    response = server.http.get(server.url + path)
    assert response.status_code == 404
    assert response.json() == {"errors": [{"title": "Not Found"}]}


def test_an_unknown_method(server: Driven) -> None:
    assert server.v3("nope").pair == (405, "Invalid method nope")


def test_other_verbs(server: Driven) -> None:
    response = server.http.delete(f"{server.url}{ROUTES[0]}getVersion")
    assert json_reply(response).pair == (405, "Invalid HTTP method DELETE")


def test_a_download(server: Driven) -> None:
    record = make_record(server.installation, {"a.zip": b"PK bytes"})
    url = f"{server.url}{ROUTES[1]}downloadDirect?backup_id={record.id}"
    response = server.http.get(url, headers={"X-Joomla-Token": server.token("download")})
    assert (response.status_code, response.content) == (200, b"PK bytes")
    refused = server.http.get(url, headers={"X-Joomla-Token": server.token(*(set(ALL) - {"download"}))})
    assert refused.status_code == 403
    assert refused.text.strip()
