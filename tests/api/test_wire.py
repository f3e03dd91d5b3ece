"""Parameters and replies of versions 2 and 3."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.api.replies import BackupRecord, PartFile, VersionInfo
from backstay.api.status import ApiError
from backstay.api.wire import MAX_PARAMETERS, decode_parameters, encode_parameters, encode_reply, plain, reply_value

KEYS = st.text(st.characters(codec="utf-8", exclude_characters="[]\0"), min_size=1, max_size=8)
VALUES = st.recursive(
    st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: st.lists(inner, min_size=1, max_size=3) | st.dictionaries(KEYS, inner, min_size=1, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("query", "parameters"),
    [
        ("backup_id=5&part=2", {"backup_id": "5", "part": "2"}),
        ("data[filters][tables][0]=x", {"data": {"filters": {"tables": ["x"]}}}),
        ("a[]=x&a[]=y", {"a": ["x", "y"]}),
        ("a[3]=x&a[]=y", {"a": {"3": "x", "4": "y"}}),
        ("overrides[akeeba.basic.backup_type]=full", {"overrides": {"akeeba.basic.backup_type": "full"}}),
        ("a=1&a=2", {"a": "2"}),
        ("a=1&a[b]=2", {"a": {"b": "2"}}),
        ("a[b]=1&a=2", {"a": "2"}),
        ("a[b=1", {"a[b": "1"}),
        ("[b]=1", {"[b]": "1"}),
        ("a[b]c=1", {"a": {"b": "1"}}),
        ("a[b][c=1", {"a": {"b": "1"}}),
        ("a=", {"a": ""}),
        ("a%5Bb%5D=%C5%BC", {"a": {"b": "ż"}}),
        ("", {}),
    ],
)
def test_brackets_are_read_as_php_does(query: str, parameters: dict[str, Any]) -> None:
    assert decode_parameters(parse_qsl(query, keep_blank_values=True)) == parameters


def test_empty_lists_objects_and_nulls_vanish() -> None:
    data: dict[str, Any] = {"a": [], "b": {}, "c": None, "d": True, "e": False, "f": 5, "g": {"h": [None, "x"]}}
    assert encode_parameters(data) == [("d", "1"), ("e", "0"), ("f", "5"), ("g[h][1]", "x")]


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_what_was_encoded_decodes_to_the_same(data: dict[str, Any]) -> None:
    assert decode_parameters(parse_qsl(urlencode(encode_parameters(data)), keep_blank_values=True)) == _listed(data)


def _listed(value: Any) -> Any:
    """Objects with the keys of a list are lists on the wire."""
    if isinstance(value, list):
        return [_listed(member) for member in value]
    if isinstance(value, dict):
        return {key: _listed(member) for key, member in value.items()}
    return value


@given(st.lists(st.tuples(st.text(), st.text()), max_size=20))
def test_any_names_decode_to_something(pairs: list[tuple[str, str]]) -> None:
    json.dumps(decode_parameters(pairs))


def test_too_many_or_too_deep_parameters_are_refused() -> None:
    with pytest.raises(ApiError):
        decode_parameters([("a[]", "")] * (MAX_PARAMETERS + 1))
    with pytest.raises(ApiError):
        decode_parameters([("a" + "[b]" * 100, "")])


def test_many_empty_brackets_are_quick() -> None:
    started = time.perf_counter()
    decoded = decode_parameters([("a[]", "x")] * MAX_PARAMETERS)
    assert len(decoded["a"]) == MAX_PARAMETERS
    assert time.perf_counter() - started < 2


def test_a_reply_is_status_and_data() -> None:
    assert encode_reply(200, True) == b'{"status":200,"data":true}'


def test_a_reply_never_holds_the_marks_at_which_clients_cut() -> None:
    reply = encode_reply(200, {"###": "a###b"})
    assert b"#" not in reply
    assert json.loads(reply)["data"] == {"###": "a###b"}


def test_bytes_of_no_encoding_are_shown_and_break_nothing() -> None:
    assert json.loads(encode_reply(200, ["caf\udce9", "😀"]))["data"] == ["caf\\udce9", "😀"]


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, object()])
def test_what_is_no_json_is_an_error_of_the_api(value: Any) -> None:
    with pytest.raises(ApiError) as caught:
        encode_reply(200, value)
    assert caught.value.status == 500


@given(st.recursive(st.none() | st.text(st.characters(exclude_categories=())), lambda x: st.lists(x, max_size=3)))
def test_any_text_can_be_sent(value: Any) -> None:
    assert "data" in json.loads(encode_reply(200, value))


def test_models_are_written_with_the_keys_of_the_api() -> None:
    record = BackupRecord(id=5, has_remote_files=True, size=7)
    assert list(plain([record])[0])[-3:] == ["meta", "hasRemoteFiles", "size"]
    assert "size" not in plain(BackupRecord(id=5))
    assert plain({"a": (PartFile(part=1, name="x", size=2),)}) == {"a": [{"part": 1, "name": "x", "size": 2}]}


@pytest.mark.parametrize(
    ("version", "level", "reported"), [(1, 330, "330"), (1, 400, "400"), (1, 600, 600), (2, 400, 400), (3, 600, 600)]
)
def test_the_level_is_a_text_in_version_1_up_to_level_400(version: int, level: int, reported: object) -> None:
    value = reply_value(VersionInfo(api=level, component="1", date="2024-01-01", edition="pro"), version=version)
    assert value == {"api": reported, "component": "1", "date": "2024-01-01", "edition": "pro"}
    assert list(value) == ["api", "component", "date", "edition"]
