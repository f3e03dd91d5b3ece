"""Answers are found in whatever a server sends, and nothing that it sends does harm."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.api.methods.information import GET_VERSION
from backstay.api.methods.records import DOWNLOAD_DIRECT
from backstay.client.calls.backups import start_backup
from backstay.client.endpoints import Credential, Endpoint, Verb
from backstay.client.messages import (
    Answer,
    Call,
    HttpReply,
    HttpRequest,
    NotTheApiError,
    build_request,
    find_answer,
    read_answer,
)
from backstay.client.secrecy import blanked

SECRET = "s3cret/ż &"
REQUEST = HttpRequest("GET", "http://x", {})
V2 = Endpoint(2, "http://x/index.php", (("view", "api"),))


@given(st.binary(max_size=300), st.integers(1, 3))
def test_any_bytes_are_an_answer_or_are_not(body: bytes, version: int) -> None:
    try:
        answer = read_answer(Endpoint(version, "http://x"), REQUEST, HttpReply(200, {}, body))
    except NotTheApiError:
        return
    assert isinstance(answer.status, int)


@given(st.text(max_size=60), st.text(max_size=60), st.integers(-1, 700), st.text() | st.none() | st.booleans())
def test_an_answer_is_found_among_other_text(before: str, after: str, status: int, data: Any) -> None:
    before = before.replace("{", "(")
    text = before + json.dumps({"status": status, "data": data}) + after
    assert find_answer(text.replace("#", "_")) is not None


@pytest.mark.parametrize("text", ['{"' * 100_000, '{"a":' * 100_000, "{" * 1_000_000, '{"status":1}' * 50_000])
def test_replies_made_to_take_long_do_not(text: str) -> None:
    started = time.perf_counter()
    assert find_answer(text) is None
    assert time.perf_counter() - started < 5


def test_a_status_that_is_no_number_is_no_answer() -> None:
    assert find_answer('{"status":true,"data":1}') is None
    assert find_answer('{"status":"ok","data":1}') is None
    assert find_answer('{"status":200}') is None


@pytest.mark.parametrize(
    ("reply", "what"),
    [
        (HttpReply(200, {}, b""), "an empty reply"),
        (HttpReply(404, {}, b"<!DOCTYPE html>"), "HTTP 404 and a web page"),
        (HttpReply(200, {"content-type": "text/html"}, b"hello"), "a web page"),
        (HttpReply(200, {}, b"[]"), "JSON of another kind"),
        (HttpReply(500, {}, b"oops"), "HTTP 500 and something else"),
    ],
)
def test_what_is_no_answer_is_named(reply: HttpReply, what: str) -> None:
    with pytest.raises(NotTheApiError, match=what):
        read_answer(V2, REQUEST, reply)


def test_an_answer_between_marks_is_found() -> None:
    assert find_answer('<p>###{"status":200,"data":5}###</p>') == Answer(200, 5)


def test_an_answer_is_json_of_its_own_or_nothing() -> None:
    assert find_answer('{"data":{"status":404,"data":"inner"},"status":200}') == Answer(
        200, {"status": 404, "data": "inner"}
    )


@pytest.mark.parametrize("credential", [Credential.JOOMLA_HEADER, Credential.AKEEBA_HEADER])
def test_version_3_carries_its_credential_in_a_header(credential: Credential) -> None:
    endpoint = Endpoint(3, "http://x/api/v3/akeebabackup", (), credential)
    request = build_request(endpoint, Call(GET_VERSION), SECRET)
    assert request.url == "http://x/api/v3/akeebabackup/getVersion"
    assert SECRET in request.headers.values()
    assert request.headers["Accept"] == "application/json"


def test_files_are_always_asked_for_with_get() -> None:
    for endpoint in (V2, Endpoint(3, "http://x", ()), Endpoint(1, "http://x", (), Credential.CHALLENGE)):
        request = build_request(endpoint, Call(DOWNLOAD_DIRECT, {"backup_id": 5}), SECRET)
        assert (request.verb, request.form) == ("GET", None)
        assert request.headers["Accept-Encoding"] == "identity"


def test_a_get_carries_everything_in_the_address() -> None:
    endpoint = Endpoint(2, "http://x/index.php", (("view", "api"),), Credential.AKEEBA_QUERY, Verb.GET)
    request = build_request(endpoint, start_backup(overrides={"a.b": "c"}), SECRET)
    assert parse_qs(urlsplit(request.url).query) == {
        "view": ["api"],
        "_akeebaAuth": [SECRET],
        "method": ["startBackup"],
        "profile": ["1"],
        "overrides[a.b]": ["c"],
    }


def test_a_request_shows_nothing_of_what_it_carries() -> None:
    request = build_request(V2, start_backup(description="hello"), SECRET)
    assert SECRET not in repr(request)
    assert "X-Akeeba" not in repr(request)


@pytest.mark.parametrize(
    "text",
    [
        "x s3cret/ż & y",
        "?a=1&_akeebaAuth=whatever&b",
        "s3cret%2F%C5%BC%20%26",
        "s3cret%2F%C5%BC+%26",
        '"s3cret/\\u017c &"',
        '"s3cret\\/\\u017c &"',
        '"s3cret\\\\\\/\\\\u017c &"',
        "http://user:s3cret@host/",
        "?JSON=%7B%22encapsulation%22",
    ],
)
def test_secrets_are_blanked_in_every_form(text: str) -> None:
    shown = blanked(text, [SECRET])
    assert "s3cret" not in shown
    assert "whatever" not in shown
    assert "***" in shown
