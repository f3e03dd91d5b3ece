"""Where clients look for the API (clients.md, endpoints), and what stands elsewhere."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import httpx2
import pytest

from backstay.server.routes import Endpoint, route_of
from server.driving import Driven, challenge, envelope_reply, json_reply

CLASSIC = (
    "/index.php",
    "/sub/index.php",
    "/remote.php",
    "/a/b/remote.php",
    "/wp-content/plugins/akeebabackupwp/app/index.php",
    "/blog/wp-content/plugins/akeebabackup/app/index.php",
    "/",
    "//index.php",
)
WORDPRESS = ("/wp-admin/admin-ajax.php", "/blog/wp-admin/admin-ajax.php")
VERSION_2 = (
    "/api/index.php/v2/akeebabackup",
    "/api/index.php/v2/akeebabackup/index.php",
    "/api/v2/akeebabackup",
    "/sub/api/v2/akeebabackup/index.php",
)


def envelope(server: Driven, method: str = "getVersion") -> str:
    body = json.dumps({"challenge": challenge("foo", server.secret), "method": method, "data": []})
    return json.dumps({"encapsulation": 1, "body": body})


def is_html(response: httpx2.Response) -> bool:
    return response.status_code == 404 and response.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("path", CLASSIC)
@pytest.mark.parametrize("option", ["com_akeebabackup", "com_akeeba", None])
@pytest.mark.parametrize("form", ["json", "raw", None])
def test_version_2(server: Driven, path: str, option: str | None, form: str | None) -> None:
    fields = {"_akeebaAuth": server.secret, "view": "api", "method": "getVersion", "option": option, "format": form}
    query = urlencode({name: value for name, value in fields.items() if value})
    assert json_reply(server.http.get(f"{server.url}{path}?{query}")).status == 200


@pytest.mark.parametrize("view", ["api", "Api", "API", "json", "JSON", None])
def test_the_view_is_compared_without_case(server: Driven, view: str | None) -> None:
    fields = {"_akeebaAuth": server.secret, "method": "getVersion"} | ({"view": view} if view else {})
    assert json_reply(server.http.get(f"{server.url}/index.php?{urlencode(fields)}")).status == 200


@pytest.mark.parametrize("path", CLASSIC)
@pytest.mark.parametrize("view", ["json", "api", "Json", None])
def test_version_1(server: Driven, path: str, view: str | None) -> None:
    fields = {"json": envelope(server)} | ({"view": view} if view else {})
    assert envelope_reply(server.http.get(f"{server.url}{path}?{urlencode(fields)}")).status == 200
    assert envelope_reply(server.http.post(f"{server.url}{path}", data=fields)).status == 200


@pytest.mark.parametrize("path", WORDPRESS)
def test_wordpress_without_view_option_and_format(server: Driven, path: str) -> None:
    action = "action=akeebabackup_api"
    url = f"{server.url}{path}?{action}&_akeebaAuth={server.secret}"
    assert json_reply(server.http.get(f"{url}&method=getVersion")).status == 200
    assert json_reply(server.http.post(url, data={"method": "getVersion"})).status == 200
    url = f"{server.url}{path}?{action}&{urlencode({'json': envelope(server)})}"
    assert envelope_reply(server.http.get(url)).status == 200


def test_wordpress_with_another_action(server: Driven) -> None:
    for query in ("action=heartbeat&method=getVersion", "method=getVersion", ""):
        assert is_html(server.http.get(f"{server.url}{WORDPRESS[0]}?{query}"))


@pytest.mark.parametrize("path", VERSION_2)
def test_version_2_beside_version_3(server: Driven, path: str) -> None:
    query = urlencode({"_akeebaAuth": server.secret, "method": "getVersion"})
    assert json_reply(server.http.get(f"{server.url}{path}?{query}")).status == 200
    headers = {"X-Akeeba-Auth": server.secret}
    assert json_reply(server.http.post(server.url + path, data={"method": "getVersion"}, headers=headers)).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/index.php?option=com_content&view=api&method=getVersion",
        "/index.php",
        "/index.phpx",
        "/index.php?format=raw",
        "/index.php?view=article",
        "/nothing",
        "/x/",
        "/wp-admin/",
        "/wp-json/v2",
        "/" + "a" * 3000,
    ],
)
def test_unknown_routes_answer_a_page(server: Driven, path: str) -> None:
    response = server.http.get(server.url + path)
    assert is_html(response)
    assert response.headers["x-content-type-options"] == "nosniff"


def test_the_page_at_the_root(server: Driven) -> None:
    response = server.http.get(server.url + "/")
    assert response.status_code == 200
    assert "Backstay" in response.text
    assert server.secret not in response.text


def test_a_path_is_understood_in_linear_time() -> None:
    assert route_of("/api" * 500 + "/v3/akeebabackup/getVersion").endpoint is Endpoint.VERSION_3
    assert route_of("/api/index.php/v3" * 100).endpoint is Endpoint.NO_ROUTE
    assert route_of("/" + "/api/" * 5000).endpoint is Endpoint.NOTHING
