"""Version 2 on the wire: encapsulation page section 10, and what clients.md says of requests and replies."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest

from backstay.profiles import Filters
from server.driving import Driven, json_reply


def test_get_with_the_secret_in_the_query(server: Driven) -> None:
    # The order and the names are the vendor's command-line client's.
    query = f"_akeebaAuth={server.secret}&view=Api&method=getVersion&option=com_akeebabackup&format=json"
    reply = json_reply(server.http.get(f"{server.url}/index.php?{query}", headers={"Accept": "*/*"}))
    assert (reply.http, reply.status, reply.data["api"]) == (200, 200, 400)


def test_post_with_the_secret_in_the_url_and_the_rest_in_the_body(server: Driven) -> None:
    reply = server.v2("listBackups", {"from": 0, "limit": 10}, verb="POST")
    assert reply.pair == (200, [])


def test_the_secret_in_a_header(server: Driven) -> None:
    response = server.http.get(
        f"{server.url}/index.php?view=api&method=getVersion", headers={"X-Akeeba-Auth": server.secret}
    )
    assert json_reply(response).status == 200


def test_the_secret_in_the_body(server: Driven) -> None:
    form = {"view": "api", "method": "getVersion", "_akeebaAuth": server.secret}
    assert json_reply(server.http.post(f"{server.url}/index.php", data=form)).status == 200


def test_a_multipart_form(server: Driven) -> None:
    form = {name: (None, value) for name, value in {"view": "api", "method": "getProfiles"}.items()}
    reply = json_reply(server.http.post(f"{server.url}/index.php?_akeebaAuth={server.secret}", files=form))
    assert reply.pair == (200, [{"id": 1, "name": "Default Backup Profile"}])


def test_a_wrong_header_counts_more_than_a_right_parameter(server: Driven) -> None:
    query = urlencode({"view": "api", "method": "getVersion", "_akeebaAuth": server.secret})
    response = server.http.get(f"{server.url}/index.php?{query}", headers={"X-Akeeba-Auth": "wrong"})
    assert json_reply(response).pair == (503, "Access denied")


@pytest.mark.parametrize("credential", [{}, {"_akeebaAuth": "wrong"}, {"_akeebaAuth": ""}])
def test_a_wrong_or_missing_secret(server: Driven, credential: dict[str, str]) -> None:
    query = urlencode({"view": "api", "method": "getVersion", **credential})
    response = server.http.get(f"{server.url}/index.php?{query}")
    assert response.status_code == 200
    assert response.text == '{"status":503,"data":"Access denied"}'


def test_the_headers_of_a_reply(server: Driven) -> None:
    headers = server.v2("getVersion").raw.headers
    assert headers["content-type"] == "application/json"
    assert "no-store" in headers["cache-control"]
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", ["getVersion", "GETVERSION", "getversion", "getVer sion"])
def test_method_names_are_matched_without_case_and_filtered(server: Driven, name: str) -> None:
    assert server.v2(name).status == 200


@pytest.mark.parametrize(("name", "shown"), [("Nope", "Nope"), ("no<b>pe", "nobpe"), ("getLog", "getLog"), ("", "")])
def test_an_unknown_method(server: Driven, name: str, shown: str) -> None:
    assert server.v2(name).pair == (405, f"Invalid method {shown}")


@pytest.mark.parametrize("verb", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_verbs(server: Driven, verb: str) -> None:
    response = server.http.request(verb, f"{server.url}/index.php?view=api&method=getVersion")
    assert response.status_code == 200
    assert json_reply(response).pair == (405, f"Invalid HTTP method {verb}")


def test_head_calls_nothing(server: Driven) -> None:
    query = urlencode({"method": "saveProfile", "description": "new", "_akeebaAuth": server.secret})
    server.http.head(f"{server.url}/index.php?{query}")
    assert len(server.installation.catalogue.profiles.names()) == 1


def test_bracketed_parameters(server: Driven) -> None:
    body = {
        "method": "importConfiguration",
        "data[description]": "Imported",
        "data[configuration][akeeba][basic][backup_type]": "fileonly",
        "data[filters][tables][[SITEDB]][0]": "#__x",
    }
    response = server.http.post(f"{server.url}/index.php?_akeebaAuth={server.secret}", data=body)
    assert json_reply(response).pair == (200, [2])
    profile = server.installation.catalogue.profiles.get(2)
    assert profile.configuration == {"akeeba.basic.backup_type": "fileonly"}


def test_json_text_for_a_structured_parameter(server: Driven) -> None:
    filters = json.dumps({"tables": {"[SITEDB]": ["#__x"]}})
    data = json.dumps({"description": "Imported", "configuration": "{}", "filters": filters})
    assert server.v2("importConfiguration", verb="POST", data=data).pair == (200, [2])
    stored = server.installation.catalogue.profiles.get(2).filters
    assert stored == Filters.from_stored({"tables": {"[SITEDB]": ["#__x"]}})


def test_numbers_are_read_as_php_reads_them(server: Driven) -> None:
    assert server.v2("exportConfiguration", profile="1abc").status == 200
    assert server.v2("exportConfiguration", profile="abc").status == 200
    assert server.v2("exportConfiguration", profile="-4").status == 200
    assert server.v2("exportConfiguration", profile="2").pair == (404, "Invalid profile ID")


def test_unknown_parameters_are_ignored(server: Driven) -> None:
    assert server.v2("getProfiles", unknown="x", format="html").status == 200


def test_no_mark_of_version_1_in_a_reply(server: Driven) -> None:
    server.v2("saveProfile", description="###evil### and #__x")
    response = server.v2("getProfiles")
    assert "#" not in response.raw.text
    assert response.data[1]["name"] == "###evil### and #__x"


def test_text_of_any_script_comes_back(server: Driven) -> None:
    name = 'Größe ☃ 𝄞 </script> \\ " \n'
    server.v2("saveProfile", verb="POST", description=name)
    assert server.v2("getProfiles").data[1]["name"] == name
