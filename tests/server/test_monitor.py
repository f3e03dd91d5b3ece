"""The documents in which the monitor finds the API, and what it does with them (clients.md, the monitor)."""

from __future__ import annotations

from pathlib import Path

import pytest

from backstay.version import __version__
from server.driving import ALL, Driven, driven, envelope_reply, json_reply

JOOMLA = "/api/index.php/v1/panopticon/akeebabackup/info"
WORDPRESS = "/wp-json/v1/panopticon/akeebabackup/info"


def test_the_joomla_form(server: Driven) -> None:
    token = server.token(*ALL)
    headers = {
        "Authorization": f"Bearer {token}",
        "X-Joomla-Token": token,
        "Accept": "application/vnd.api+json",
    }
    response = server.http.get(f"{server.url}/sub{JOOMLA}", headers=headers)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("application/vnd.api+json")
    attributes = response.json()["data"]["attributes"]
    assert attributes == {
        "installed": True,
        "version": __version__,
        "api": "3",
        "secret": server.secret,
        "endpoints": {
            "v2": [f"{server.url}/sub/index.php?option=com_akeebabackup&view=api&format=raw"],
            "v1": [f"{server.url}/sub/index.php?option=com_akeeba&view=json&format=raw"],
        },
    }


@pytest.mark.parametrize("path", ["/wp-json", "/blog/wp-json"])
def test_the_wordpress_form(server: Driven, path: str) -> None:
    response = server.http.get(
        f"{server.url}{path}/v1/panopticon/akeebabackup/info", headers={"X-Panopticon-Token": server.token(*ALL)}
    )
    document = response.json()
    assert (document["installed"], document["api"], document["secret"]) == (True, "3", server.secret)
    base = server.url + path.removesuffix("/wp-json")
    assert document["endpoints"]["v2"] == [f"{base}/wp-admin/admin-ajax.php?action=akeebabackup_api"]


@pytest.mark.parametrize("path", [JOOMLA, WORDPRESS])
def test_what_is_found_works(server: Driven, path: str) -> None:
    headers = {"X-Joomla-Token": server.token(*ALL)}
    document = server.http.get(server.url + path, headers=headers).json()
    document = document.get("data", {}).get("attributes") or document
    for endpoint in document["endpoints"]["v2"]:
        url = f"{endpoint}&method=getVersion&_akeebaAuth={document['secret']}"
        assert json_reply(server.http.get(url)).status == 200
    for endpoint in document["endpoints"]["v1"]:
        assert envelope_reply(server.http.get(endpoint, params={"json": "{oops"})).status == 500


def test_a_token_with_fewer_scopes_sees_itself_in_the_secrets_place(server: Driven) -> None:
    token = server.token("read", "backup")
    response = server.http.get(server.url + JOOMLA, headers={"X-Joomla-Token": token})
    attributes = response.json()["data"]["attributes"]
    assert attributes["secret"] == token
    assert attributes["endpoints"]["v1"] == []
    assert server.secret not in response.text
    url = f"{attributes['endpoints']['v2'][0]}&_akeebaAuth={token}"
    assert json_reply(server.http.get(f"{url}&method=getProfiles")).status == 200
    assert json_reply(server.http.get(f"{url}&method=delete&backup_id=1")).status == 403


@pytest.mark.parametrize("path", [JOOMLA, WORDPRESS])
def test_who_may_not_read_it(server: Driven, path: str) -> None:
    for headers, status in (
        ({}, 401),
        ({"X-Joomla-Token": "bst_wrong"}, 401),
        ({"X-Joomla-Token": server.token("backup", "download")}, 403),
    ):
        response = server.http.get(server.url + path, headers=headers)
        assert response.status_code == status
        assert "errors" in response.json()
        assert server.secret not in response.text
    assert server.http.get(f"{server.url}{path}?_akeebaAuth={server.secret}").status_code == 401
    assert server.http.post(server.url + path, headers={"X-Akeeba-Auth": server.secret}).status_code == 405


def test_the_address_a_person_set(home: Path) -> None:
    with driven(home, public_url="https://example.com/backup/") as server:
        response = server.http.get(server.url + JOOMLA, headers={"X-Joomla-Token": server.token(*ALL)})
        endpoints = response.json()["data"]["attributes"]["endpoints"]
        assert endpoints["v2"][0].startswith("https://example.com/backup/index.php?")


def test_without_a_secret_word_the_token_stands_in(home: Path) -> None:
    with driven(home, secret_enabled=False) as server:
        token = server.token(*ALL)
        response = server.http.get(server.url + JOOMLA, headers={"X-Joomla-Token": token})
        assert response.json()["data"]["attributes"]["secret"] == token
