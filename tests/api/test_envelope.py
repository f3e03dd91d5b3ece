"""Every transcript and rule of api-v1-encapsulation.md 3 to 8."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.api.ciphers import BlockForm
from backstay.api.envelope import (
    Encapsulation,
    EnvelopeReply,
    EnvelopeRequest,
    NotAnEnvelopeError,
    challenge,
    encapsulate,
    read_reply,
    read_request,
    salt_of_challenge,
    write_error,
    write_reply,
    write_request,
)
from backstay.api.status import ApiError

SECRET = "bar"
CHALLENGE = "foo:3858f62230ac3c915f300c664312c63f"
INNER = json.dumps({"challenge": CHALLENGE, "method": "getVersion", "data": None}, separators=(",", ":"))
VERSION = {"api": "330", "component": "1.0", "date": "2015-01-01", "edition": "pro"}


def refused(text: str | None, *, encrypted: bool = True) -> tuple[int, str]:
    with pytest.raises(ApiError) as caught:
        read_request(text, SECRET, encrypted=encrypted)
    return caught.value.status, caught.value.message


def enveloped(body: Any, **members: Any) -> str:
    return json.dumps({"encapsulation": 1, "body": body} | members)


def test_the_documented_raw_request_is_read() -> None:
    text = (
        '{"encapsulation":1,"body":"{\\"challenge\\":\\"foo:3858f62230ac3c915f300c664312c63f\\",'
        '\\"method\\":\\"getVersion\\",\\"data\\":null}"}'
    )
    request = read_request(text, SECRET)
    assert (request.method, request.data, request.encapsulation, request.salt) == (
        "getVersion",
        {},
        Encapsulation.RAW,
        "foo",
    )


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"body": INNER}),
        json.dumps({"body": INNER, "encapsulation": None}),
        json.dumps(INNER),
        enveloped(INNER, encapsulation="1"),
        enveloped(INNER + "\0\0"),
        enveloped(json.loads(INNER)),
        enveloped(INNER, encapsulation="0000001"),
        enveloped(INNER, encapsulation=1.0),
    ],
    ids=[
        "partial", "null id", "legacy text", "numeric text id", "trailing NULs", "body as an object", "longest id",
        "fraction",
    ],
)  # fmt: skip
def test_tolerated_forms_are_read(text: str) -> None:
    assert read_request(text, SECRET).method == "getVersion"


@pytest.mark.parametrize(
    ("members", "echoed"), [({}, "1"), ({"encapsulation": None}, "1"), ({"encapsulation": 1.0}, "1"),
                            ({"encapsulation": " 1 "}, '" 1 "'), ({"encapsulation": 1}, "1")]
)  # fmt: skip
def test_the_id_that_is_echoed_is_the_one_sent_or_its_number(members: dict[str, Any], echoed: str) -> None:
    request = read_request(json.dumps({"body": INNER} | members), SECRET)
    assert write_reply(request, True).startswith(f'###{{"encapsulation":{echoed},'.encode())


@pytest.mark.parametrize("text", ["{oops", "", None, "null", "NaN", "[" * 100000, '{"a":' * 3000])
def test_what_is_not_json_is_status_500(text: str | None) -> None:
    assert refused(text) == (500, "JSON decoding error")


@pytest.mark.parametrize("text", ["true", "false", "5", "1.5", "[]", "{}", "[1]", '"x"', INNER, '{"encapsulation":1}'])
def test_requests_without_a_body_are_status_401(text: str) -> None:
    assert refused(text) == (401, "Authentication failed")


@pytest.mark.parametrize("sent", [9, 0, 6, -1, "9", "", "abc", "00000001", "\u0661", 1.5, True, [], {}])
def test_unknown_encapsulations_are_status_503_whatever_the_body(sent: Any) -> None:
    assert refused(enveloped("rubbish", encapsulation=sent)) == (
        503,
        "The requested encapsulation type is not supported",
    )


@pytest.mark.parametrize("sent", [2, 3, 4, 5, "4"])
def test_encryption_that_is_switched_off_answers_as_servers_without_it(sent: Any) -> None:
    assert refused(enveloped("rubbish", encapsulation=sent), encrypted=False) == (
        503,
        "The requested encapsulation type is not supported",
    )


@pytest.mark.parametrize(
    "body",
    [
        INNER + "\n",
        INNER + "X",
        INNER + "X\0",
        "\0" + INNER,
        " " + INNER,
        json.dumps({"challenge": CHALLENGE, "method": "0"}),
        json.dumps({"challenge": CHALLENGE, "method": 0}),
        json.dumps({"challenge": CHALLENGE, "method": ["getVersion"]}),
        "{}",
        '{"method"}' + " " * 10,
        "[" + INNER + "]",
        json.dumps({"challenge": CHALLENGE, "method": ""}),
        json.dumps({"challenge": CHALLENGE, "method": None}),
        json.dumps({"challenge": CHALLENGE, "data": {}}),
        json.dumps({"challenge": "foo:" + "0" * 32, "method": "getVersion"}),
        json.dumps({"method": "getVersion"}),
        "\ud800" * 20,
        5,
        None,
        [],
    ],
)
def test_bodies_that_do_not_decode_are_status_401(body: Any) -> None:
    assert refused(enveloped(body)) == (401, "Authentication failed")


@pytest.mark.parametrize(
    ("given_challenge", "accepted"),
    [
        ("foo:3858f62230ac3c915f300c664312c63f", True),
        ("fo:070d286736e34dbcde8a65ddb915701f", True),
        ("foo:3858f62230ac3c915f300c664312c63f:x", True),
        ("foo:3858F62230AC3C915F300C664312C63F", False),
        ("f:" + hashlib.md5(b"fbar").hexdigest(), False),
        ("f:" + hashlib.md5(b"fbar").hexdigest() + ":x", False),
        ("\ud800x:" + hashlib.md5(b"\xed\xa0\x80xbar").hexdigest(), True),
        ("foo:\ud800", False),
        (None, False),
        ("", False),
        (":", False),
        (5, False),
        ("foo", False),
        ("foo:é", False),
    ],
)
def test_challenges_hold_as_documented(given_challenge: object, accepted: bool) -> None:
    assert (salt_of_challenge(given_challenge, SECRET) is not None) is accepted


def test_a_challenge_is_salt_and_md5_of_salt_and_secret() -> None:
    assert challenge("foo", SECRET) == CHALLENGE


P0 = '{"method":"getVersion","data":null}'
ENCRYPTED = [
    (2, "", "fNQBa2pqamqWe0uM4HSZQXuvlIS78LkwbmMFAMBFF5FHhMSighoPk0DwuQ=="),
    (3, "", "fNQBa25ubm58up2kWXD5+Fmz/3vupmzVDL6bNnegfU4C6sVSVePqT5npqw=="),
    (4, "", "Hf4Z8N6X1ADci1NtRzqv7CgYP1LNI9vTZDuqedvIfN/jCGKOtfPn5t3l128zMp6MIwAAAA=="),
    (
        4,
        "RespKey123",
        "Hf4Z8N6X1ADci1NtRzqv7CgYP1LNI9vTZDuqedvIfN/X+mLn8wUwiyJ8F+2hWzxoar5dLViP1UqN27PfwdhAWTYAAAA=",
    ),
    (5, "", "Dm3U3xj8pIrcXFb82NfUFHPji5VvHzuXO8GAuiWKp19flbXjYaJLPyF0iLVP/RoFIwAAAA=="),
    (
        5,
        "RespKey123",
        "Dm3U3xj8pIrcXFb82NfUFHPji5VvHzuXO8GAuiWKp1+PSpQ/WaJxa1ifGOFa2qxZl+0WnnX7jmDQA/yoXX2hEjYAAAA=",
    ),
]


def encrypted(inner: str) -> EnvelopeRequest:
    carrier = EnvelopeRequest("", {}, Encapsulation.AESCBC128, reply_key=SECRET)
    return read_request(enveloped(encapsulate(carrier, inner), encapsulation=4), SECRET, encrypted=True)


def test_the_shortest_body_is_read_and_needs_no_challenge() -> None:
    request = encrypted('{"method":1}')
    assert (request.method, request.salt, request.reply_key) == ("1", "", SECRET)


@pytest.mark.parametrize(
    ("key", "used"), [("k", "k"), (5, "5"), ("", SECRET), (0, SECRET), (None, SECRET), (["k"], SECRET), (1.5, SECRET)]
)
def test_replies_are_encrypted_with_the_key_that_was_asked_for_or_the_secret(key: object, used: str) -> None:
    assert encrypted(json.dumps({"method": "getVersion", "key": key})).reply_key == used


def test_our_encrypted_requests_ask_for_a_key_only_where_one_is_given() -> None:
    text = write_request("getVersion", {}, secret=SECRET, salt="foo", encapsulation=Encapsulation.AESCTR256)
    assert read_request(text, SECRET, encrypted=True).reply_key == SECRET
    assert refused(text, encrypted=False)[0] == 503
    with pytest.raises(ApiError):
        read_request(text, SECRET)


@pytest.mark.parametrize(("kind", "key", "body"), ENCRYPTED)
def test_documented_encrypted_requests_are_read(kind: int, key: str, body: str) -> None:
    request = read_request(enveloped(body, encapsulation=kind), SECRET, encrypted=True)
    assert (request.method, request.encapsulation) == ("getVersion", kind)
    assert request.reply_key == (key or SECRET)


def test_the_documented_encrypted_request_for_an_unknown_method_is_read() -> None:
    body = "4S2Bx3mCYq0bXxTzVKmHbBjBAzRIGhfB7UA2/gWjWfERAAAA"
    assert read_request(enveloped(body, encapsulation=4), SECRET, encrypted=True).method == "nope"


@pytest.mark.parametrize("kind", [2, 3, 4, 5])
@pytest.mark.parametrize("body", ["", "rubbish", "AAAA", "é", "Hf4Z8N6X1ADci1NtRzqv7A==", {"method": "getVersion"}])
def test_bodies_that_do_not_decrypt_are_status_401(kind: int, body: Any) -> None:
    assert refused(enveloped(body, encapsulation=kind)) == (401, "Authentication failed")


LEGACY_REPLIES = [
    (
        "RespKey123",
        "WFVCCuUJNbH5XxI7FVG8eGBBOCk1oNb/tZoUyFBtMbek86RJSwrde1wlO/YTxnybpSEGtzX9N/BsFmybbInUmXciGFJ6RuDE8HTin9b7vhRDAAAA",
    ),
    (
        "bar",
        "rjNAvXUsuQma53F1FQDMe1bPYCZwf6hcAGK7joieNf3BexYo6McWuF0NOPW5rFQmEcWntsQ7LU/Da9gBqGnD9v7xD2qqUi0TDI6RKNfz3KxDAAAA",
    ),
]
COUNTER_REPLIES = [
    (
        2,
        "RespKey123",
        "fNQBa21tbW2W3NJNZCx+dz1OBQ5Gh4Mm+pfQinf7QNqJKQLKzj4IxtHY3IaelA5r4iUccD89Vin4qZefNH6e4/nkHs2dq4iOsWEC",
    ),
    (
        3,
        "bar",
        "fNQBa3Nzc3OcmhnU+vE7a/79MI8+/9EXIc4YtfyCbfNfa43/xQR4npNkK0rDNtDo1Udq2t3MPPTBuzsgZAyEhBMfkiHeQq+v8TYo",
    ),
]


@pytest.mark.parametrize(("key", "data"), LEGACY_REPLIES)
def test_documented_block_replies_are_written_and_read(key: str, data: str) -> None:
    request = EnvelopeRequest("getVersion", {}, Encapsulation.AESCBC128, 4, key)
    reply = write_reply(request, VERSION)
    assert (
        reply == b'###{"encapsulation":4,"body":{"status":200,"data":"' + data.replace("/", "\\/").encode() + b'"}}###'
    )
    assert read_reply(reply.decode(), reply_key=key) == EnvelopeReply(200, VERSION)


@pytest.mark.parametrize(("kind", "key", "data"), COUNTER_REPLIES)
def test_documented_counter_replies_are_read(kind: int, key: str, data: str) -> None:
    body = f'###{{"encapsulation":{kind},"body":{{"status":200,"data":{json.dumps(data)}}}}}###'
    assert read_reply(body, reply_key=key) == EnvelopeReply(200, VERSION)


def test_the_documented_error_reply_is_written() -> None:
    expected = b'###{"encapsulation":1,"body":{"status":401,"data":"\\"Authentication failed\\""}}###'
    assert write_error(401, "Authentication failed") == expected


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (True, '"true"'),
        ([{"id": "1"}], '"[{\\"id\\":\\"1\\"}]"'),
        ("text", '"\\"text\\""'),
        ("a/é", '"\\"a\\\\\\/\\\\u00e9\\""'),
    ],
)
def test_reply_data_is_json_in_json_with_phps_escapes(value: Any, data: str) -> None:
    request = read_request(enveloped(INNER), SECRET)
    assert write_reply(request, value).decode() == f'###{{"encapsulation":1,"body":{{"status":200,"data":{data}}}}}###'


def test_the_reply_echoes_the_id_with_the_type_sent() -> None:
    request = read_request(enveloped(INNER, encapsulation="1"), SECRET)
    assert write_reply(request, True).startswith(b'###{"encapsulation":"1",')


def test_a_reply_that_is_no_json_says_so_without_encoding_the_message() -> None:
    request = read_request(enveloped(INNER), SECRET)
    expected = b'###{"encapsulation":1,"body":{"status":500,"data":"Empty data cannot be encapsulated"}}###'
    assert write_reply(request, float("nan")) == expected


def test_raw_ignores_the_key() -> None:
    body = json.dumps({"challenge": CHALLENGE, "method": "getVersion", "key": "RespKey123"})
    reply = write_reply(read_request(enveloped(body), SECRET), True)
    assert reply == b'###{"encapsulation":1,"body":{"status":200,"data":"true"}}###'


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ({"backup_id": 25}, {"backup_id": 25}),
        ('{"backup_id": 25}', {"backup_id": 25}),
        (None, {}),
        ([], {}),
        ("abc", {}),
        (5, {}),
        (["backup_id"], {}),
    ],
)
def test_data_names_parameters_only_as_an_object(data: Any, named: dict[str, Any]) -> None:
    body = json.dumps({"challenge": CHALLENGE, "method": "getBackupInfo", "data": data})
    assert read_request(enveloped(body), SECRET).data == named


@pytest.mark.parametrize("form", BlockForm)
@pytest.mark.parametrize("kind", Encapsulation)
def test_what_our_client_writes_our_server_reads_and_the_other_way_round(kind: Encapsulation, form: BlockForm) -> None:
    text = write_request(
        "getVersion", {"x": "é"}, secret=SECRET, salt="salt12", encapsulation=kind, block_form=form, reply_key="key"
    )
    request = read_request(text, SECRET, encrypted=True)
    assert (request.method, request.data) == ("getVersion", {"x": "é"})
    assert request.block_form is (form if kind.in_blocks else BlockForm.LEGACY)
    reply = write_reply(request, {"ok": "###"}).decode()
    assert read_reply("<html>" + reply + "</html>", reply_key="key") == EnvelopeReply(200, {"ok": "###"})


def test_our_requests_carry_empty_data_as_a_list() -> None:
    body = json.loads(json.loads(write_request("getVersion", {}, secret=SECRET, salt="foo"))["body"])
    assert body == {"challenge": CHALLENGE, "method": "getVersion", "data": []}


@pytest.mark.parametrize("body", ["", "<html>", "###", "####", "######", "###5###", '###{"body":5}###', "###{}###"])
def test_answers_that_are_no_envelope_are_distinguished(body: str) -> None:
    with pytest.raises(NotAnEnvelopeError):
        read_reply(body, reply_key="")


def test_data_that_is_no_json_is_taken_as_text() -> None:
    reply = read_reply('###{"encapsulation":1,"body":{"status":500,"data":"plain words"}}###', reply_key="")
    assert reply == EnvelopeReply(500, "plain words")


@pytest.mark.parametrize(
    ("data", "value"), [('"x"\0\0', "x"), ("plain wordsX", "plain wordsX"), ("plain \n", "plain \n"), ("\0x", "\0x")]
)
def test_nuls_at_the_end_of_data_do_not_count(data: str, value: str) -> None:
    body = json.dumps({"encapsulation": 1, "body": {"status": 200, "data": data}})
    assert read_reply(f"###{body}###", reply_key="") == EnvelopeReply(200, value)


def test_a_reply_under_another_key_is_no_crash() -> None:
    request = EnvelopeRequest("getVersion", {}, Encapsulation.AESCTR128, 2, "one key")
    reply = read_reply(write_reply(request, "\xff" * 50).decode(), reply_key="another")
    assert isinstance(reply.data, str)
    assert "\N{REPLACEMENT CHARACTER}" in reply.data


@given(
    st.text()
    | st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5).map(
        json.dumps
    )
)
def test_no_request_makes_the_decoder_fail_in_another_way(text: str) -> None:
    with pytest.raises(ApiError):
        read_request(text, SECRET, encrypted=True)


@given(st.integers(1, 5), st.text(max_size=200))
def test_no_body_makes_the_decoder_fail_in_another_way(kind: int, body: str) -> None:
    with pytest.raises(ApiError) as caught:
        read_request(enveloped(body, encapsulation=kind), SECRET, encrypted=True)
    assert caught.value.status == 401


@given(st.text())
def test_no_answer_makes_the_client_fail_in_another_way(body: str) -> None:
    try:
        reply = read_reply("###" + body + "###", reply_key="x")
    except NotAnEnvelopeError:
        return
    assert isinstance(reply.status, int)


def test_nothing_secret_is_shown() -> None:
    request = read_request(
        enveloped(json.dumps({"challenge": CHALLENGE, "method": "m", "data": {"p": "hidden"}})), SECRET
    )
    assert "hidden" not in repr(request)
    assert SECRET not in repr(request)
