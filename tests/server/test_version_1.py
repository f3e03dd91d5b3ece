"""Version 1 on the wire: the rows of api-v1-encapsulation.md over real HTTP."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backstay.api.envelope import Encapsulation, read_reply, write_request
from server.driving import Driven, challenge, driven, envelope_reply, make_record

DENIED = (401, "Authentication failed")


def inner(server: Driven, method: str = "getVersion", salt: str = "foo", data: Any = None, **more: Any) -> str:
    return json.dumps({"challenge": challenge(salt, server.secret), "method": method, "data": data, **more})


def outer(body: object, **more: Any) -> str:
    return json.dumps({"encapsulation": 1, "body": body, **more})


@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_a_call(server: Driven, verb: str) -> None:
    reply = server.v1_text(outer(inner(server)), verb=verb)
    assert (reply.http, reply.status) == (200, 200)
    assert reply.raw.headers["content-type"] == "text/plain; charset=utf-8"
    assert reply.data["api"] == "400"
    assert reply.raw.text.startswith('###{"encapsulation":1,"body":{"status":200,"data":"{\\"api\\":\\"400\\",')


def test_an_error_in_full(server: Driven) -> None:
    text = server.v1_text(outer(json.dumps({"challenge": "foo:bad", "method": "getVersion"}))).raw.text
    assert text == '###{"encapsulation":1,"body":{"status":401,"data":"\\"Authentication failed\\""}}###'


def test_tolerated_forms(server: Driven) -> None:
    body = inner(server)
    for text in (
        json.dumps({"body": body}),
        json.dumps({"encapsulation": None, "body": body}),
        json.dumps(body),
        outer(body + "\0\0"),
        outer(json.loads(body)),
    ):
        assert server.v1_text(text).status == 200, text


def test_the_reply_echoes_the_id_as_it_was_sent(server: Driven) -> None:
    reply = server.v1_text(json.dumps({"encapsulation": "1", "body": inner(server)}))
    assert reply.raw.text.startswith('###{"encapsulation":"1",')


@pytest.mark.parametrize("text", ["{oops", "", "null"])
def test_what_is_not_json(server: Driven, text: str) -> None:
    assert server.v1_text(text).pair == (500, "JSON decoding error")


def test_a_missing_parameter(server: Driven) -> None:
    reply = envelope_reply(server.http.get(f"{server.url}/index.php?option=com_akeeba&view=json&format=raw"))
    assert reply.pair == (500, "JSON decoding error")


@pytest.mark.parametrize("text", ["true", "5", "[]", "{}", '{"encapsulation":1}', '{"encapsulation":1,"body":""}'])
def test_what_has_no_body(server: Driven, text: str) -> None:
    assert server.v1_text(text).pair == DENIED


def test_a_bare_inner_object(server: Driven) -> None:
    assert server.v1_text(inner(server)).pair == DENIED


@pytest.mark.parametrize("number", [0, 2, 3, 4, 5, 9])
def test_encapsulations_that_are_off_or_unknown(server: Driven, number: int) -> None:
    reply = server.v1_text(json.dumps({"encapsulation": number, "body": "x"}))
    assert reply.pair == (503, "The requested encapsulation type is not supported")


def test_bodies_with_something_around(server: Driven) -> None:
    assert server.v1_text(outer(inner(server) + "\n")).pair == DENIED
    assert server.v1_text(outer(" " + inner(server))).pair == DENIED


def test_challenges(server: Driven) -> None:
    secret = server.secret
    for given, status in (
        (challenge("foo", secret), 200),
        (challenge("fo", secret), 200),
        (challenge("foo", secret) + ":x", 200),
        (challenge("foo", secret).upper(), 401),
        (challenge("f", secret), 401),
        ("", 401),
        (":", 401),
        (12345, 401),
        (None, 401),
    ):
        body = json.dumps({"challenge": given, "method": "getVersion", "data": None})
        assert server.v1_text(outer(body)).status == status, given


def test_an_unknown_method(server: Driven) -> None:
    assert server.v1("Nope").pair == (405, "Invalid method Nope")
    assert server.v1("GETVERSION").status == 200


def test_the_challenge_is_checked_before_the_method(server: Driven) -> None:
    body = json.dumps({"challenge": "foo:wrong", "method": "Nope"})
    assert server.v1_text(outer(body)).pair == DENIED


def test_a_body_without_a_method(server: Driven) -> None:
    assert server.v1_text(outer(inner(server, method=""))).pair == DENIED


@pytest.mark.parametrize("data", [None, [], "abc", 5, {"unknown": 1}])
def test_data_without_named_parameters(server: Driven, data: Any) -> None:
    assert server.v1("listBackups", data).pair == (200, [])


def test_data_as_text_that_holds_an_object(server: Driven) -> None:
    assert server.v1("exportConfiguration", json.dumps({"profile": 7})).pair == (404, "Invalid profile ID")


@pytest.mark.parametrize("form", ["raw", "component", "html", "json"])
def test_every_format(server: Driven, form: str) -> None:
    fields = {"view": "json", "json": outer(inner(server)), "format": form, "tmpl": "component"}
    assert envelope_reply(server.http.post(f"{server.url}/index.php", data=fields)).status == 200


def test_a_download_is_answered_with_the_bytes(server: Driven) -> None:
    record = make_record(server.installation, {"a.jpa": b"JPA\1 bytes"})
    text = outer(inner(server, method="downloadDirect", data={"backup_id": record.id}))
    response = server.http.get(f"{server.url}/index.php", params={"view": "json", "json": text})
    assert (response.status_code, response.content) == (200, b"JPA\1 bytes")


def test_other_verbs(server: Driven) -> None:
    response = server.http.request("PUT", f"{server.url}/index.php", params={"json": outer(inner(server))})
    assert envelope_reply(response).pair == (405, "Invalid HTTP method PUT")


@pytest.fixture
def lenient(home: Path) -> Iterator[Driven]:
    """A server that answers encapsulations 2 to 5."""
    with driven(home, encrypted_encapsulations=True) as running:
        yield running


@pytest.mark.parametrize("number", [2, 3, 4, 5])
@pytest.mark.parametrize("key", ["", "RespKey123"])
def test_encrypted_calls(lenient: Driven, number: int, key: str) -> None:
    text = write_request(
        "getProfiles", {}, secret=lenient.secret, salt="", encapsulation=Encapsulation(number), reply_key=key
    )
    response = lenient.http.post(f"{lenient.url}/index.php", data={"view": "json", "json": text})
    envelope = json.loads(response.text.strip("#"))
    assert envelope["encapsulation"] == number
    assert base64.b64decode(envelope["body"]["data"], validate=True)
    reply = read_reply(response.text, reply_key=key or lenient.secret)
    assert (reply.status, reply.data) == (200, [{"id": 1, "name": "Default Backup Profile"}])


def test_errors_of_encrypted_calls_are_raw(lenient: Driven) -> None:
    text = write_request("nope", {}, secret=lenient.secret, salt="", encapsulation=Encapsulation.AESCBC128)
    assert lenient.v1_text(text).pair == (405, "Invalid method nope")
    wrong = write_request("getVersion", {}, secret="another secret", salt="", encapsulation=Encapsulation.AESCTR256)
    assert lenient.v1_text(wrong).pair == DENIED


def test_a_salt_may_come_again_by_default(server: Driven) -> None:
    assert server.v1("saveProfile", {"description": "one"}).pair == (200, True)
    assert server.v1("saveProfile", {"description": "two"}).pair == (200, True)


def test_a_salt_that_was_used_is_refused_where_the_setting_says_so(home: Path) -> None:
    with driven(home, refuse_replayed_salts=True) as server:
        assert server.v1("getProfiles", salt="first").status == 200
        assert server.v1("deleteProfile", {"profile": 9}, salt="first").pair == DENIED
        assert server.v1("deleteProfile", {"profile": 9}, salt="second").pair == (404, "Invalid profile ID")
        assert server.v1("deleteProfile", {"profile": 9}, salt="second").pair == DENIED
        for method in ("getVersion", "listBackups", "startBackup", "stepBackup", "download", "getFSRoots"):
            assert server.v1(method, salt="first").status != 401, method
            assert server.v1(method, salt="first").status != 401, method


def test_encrypted_text_may_not_come_again_either(home: Path) -> None:
    with driven(home, refuse_replayed_salts=True, encrypted_encapsulations=True) as server:
        text = write_request(
            "deleteProfile", {"profile": 9}, secret=server.secret, salt="", encapsulation=Encapsulation.AESCBC256
        )
        assert server.v1_text(text).status == 404
        assert server.v1_text(text).pair == DENIED


def test_without_the_secret_word_there_is_no_version_1(home: Path) -> None:
    with driven(home, secret_enabled=False) as server:
        assert server.v1("getVersion").pair == (503, "Access denied")


def test_the_level_of_the_api_shows(home: Path) -> None:
    with driven(home, api_level=600) as server:
        version = server.v1("getVersion").data
        assert version["api"] == 600
        assert "updateinfo" not in version
