"""How a client finds the right form of the API (clients.md, detection): what makes it go on, stop, or crash."""

from __future__ import annotations

import itertools
import json
from urllib.parse import urlencode

import httpx2
import pytest

from server.driving import Driven, challenge

STOPS = (401, 403, 404, 500)
GOES_ON = (405, 501)


def outcome(response: httpx2.Response) -> str:
    """Judge an answer as the vendor's client does: found, go on, stop, wrong secret, or crash."""
    text = response.text
    if text in ("0", "[]"):
        return "crash"
    first, last = text.find("###"), text.rfind("###")
    if 0 <= first < last:
        text = text[first + 3 : last]
    try:
        body = json.loads(text)
    except ValueError:
        return "go on"
    if not isinstance(body, dict):
        return "crash"
    if "encapsulation" in body:
        return "found" if body["body"]["status"] == 200 else "go on"
    if "status" not in body or "data" not in body:
        return "go on"
    if body["status"] == 200:
        return "found"
    if body["status"] == 503:
        return "wrong secret"
    return "stop" if body["status"] in STOPS else "go on"


def version_2_urls(server: Driven, secret: str, endpoint: str) -> list[str]:
    """Every combination a client tries, in its order."""
    combinations = itertools.product(("com_akeebabackup", "com_akeeba", ""), ("api", "json"), ("json", "raw"))
    return [
        f"{server.url}{endpoint}?"
        + urlencode(
            {"_akeebaAuth": secret, "view": view, "method": "getVersion", "format": form}
            | ({"option": option} if option else {})
        )
        for option, view, form in combinations
    ]


def test_the_first_combination_is_found(server: Driven) -> None:
    assert outcome(server.http.get(version_2_urls(server, server.secret, "/index.php")[0])) == "found"


def test_every_combination_is_found(server: Driven) -> None:
    for url in version_2_urls(server, server.secret, "/remote.php"):
        assert outcome(server.http.get(url)) == "found", url


def test_a_wrong_secret_is_said_to_be_one(server: Driven) -> None:
    for url in version_2_urls(server, "wrong", "/index.php"):
        response = server.http.get(url)
        assert (response.status_code, outcome(response)) == (200, "wrong secret")


@pytest.mark.parametrize("endpoint", ["/nothing/here.php", "/site", "/wp-admin/admin-ajax.php", "/xmlrpc.php"])
def test_a_client_on_the_wrong_path_goes_on(server: Driven, endpoint: str) -> None:
    for url in version_2_urls(server, server.secret, endpoint):
        assert outcome(server.http.get(url)) == "go on", url


def test_a_probe_without_a_secret_in_the_query_is_not_stopped(server: Driven) -> None:
    # The monitor's first probe is encapsulated as version 1; no answer of version 2 may end its search.
    for secret in (server.secret, "wrong"):
        body = json.dumps({"challenge": challenge("a" * 32, secret), "method": "getVersion", "data": []})
        text = json.dumps({"encapsulation": 1, "body": body})
        for view in ("api", "json"):
            query = urlencode({"view": view, "json": text, "option": "com_akeebabackup", "format": "raw"})
            response = server.http.get(f"{server.url}/index.php?{query}")
            assert response.status_code == 200
            assert outcome(response) == ("found" if secret == server.secret else "go on")


def test_every_api_error_travels_at_http_200(server: Driven) -> None:
    for reply in (
        server.v2("nope"),
        server.v2("getBackupInfo", backup_id=99),
        server.v2("delete", backup_id=0),
        server.v2("stepBackup"),
        server.v2("download", backup_id=99),
        server.v2("updateDownload"),
        server.v1("getBackupInfo", {"backup_id": 99}),
        server.v3("getBackupInfo", backup_id=99),
    ):
        assert reply.http == 200
        assert reply.status != 200
        assert isinstance(reply.data, str)
