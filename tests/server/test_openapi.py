"""The document of version 3: complete, true to what the server answers, and shown without anything from elsewhere."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import TypeAdapter

from backstay.api.methods import METHODS
from backstay.server.openapi import openapi_document
from server.driving import Driven, make_record


def document(server: Driven) -> dict[str, Any]:
    found: dict[str, Any] = server.http.get(f"{server.url}/openapi.json").json()
    return found


def test_every_method_that_is_answered_is_in_it(server: Driven) -> None:
    paths = document(server)["paths"]
    assert set(paths) == {f"/{method.name}" for method in METHODS if method.answers_at(400)}
    assert all(set(verbs) == {"get", "post"} for verbs in paths.values())


def test_a_higher_level_answers_fewer() -> None:
    paths = openapi_document("", 600)["paths"]
    assert "/getVersion" in paths
    assert "/browse" not in paths


def test_references_lead_somewhere(server: Driven) -> None:
    found = document(server)
    text = str(found)
    for name in re.findall(r"#/components/schemas/(\w+)", text):
        assert name in found["components"]["schemas"]


def test_parameters_are_named_as_on_the_wire(server: Driven) -> None:
    paths = document(server)["paths"]
    assert [parameter["name"] for parameter in paths["/listBackups"]["get"]["parameters"]] == ["from", "limit"]
    names = [parameter["name"] for parameter in paths["/setIncludedDirectory"]["get"]["parameters"]]
    assert names == ["profile", "uuid", "path", "virtualFolder"]
    assert all(operation["operationId"] for verbs in paths.values() for operation in verbs.values())


def test_the_servers_address_follows_the_path(server: Driven) -> None:
    found = server.http.get(f"{server.url}/sub/openapi.json").json()
    assert found["servers"][0]["url"] == "/sub/api/v3/akeebabackup"


@pytest.mark.parametrize("name", [method.name for method in METHODS if method.answers_at(400)])
def test_replies_are_what_the_document_says(server: Driven, name: str) -> None:
    if name == "downloadDirect":
        return
    make_record(server.installation, {"site.jpa": b"x"})
    reply = server.v3(name, backup_id=1)
    if reply.status == 200:
        method = next(method for method in METHODS if method.name == name)
        TypeAdapter(method.reply_type).validate_python(reply.data)
    else:
        assert isinstance(reply.data, str)


def test_the_page_loads_nothing_from_elsewhere(server: Driven) -> None:
    response = server.http.get(f"{server.url}/docs")
    assert response.status_code == 200
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", response.text)
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
