"""Values are converted as PHP does, whatever they are."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.api.conversion import (
    LARGEST_INTEGER,
    boolean,
    clean_text,
    decode_json,
    integer,
    mapping,
    path_text,
    profile_id,
    text,
)

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("12abc", 12),
        ("abc", 0),
        ("", 0),
        (" 7", 7),
        ("-3", -3),
        ("+3", 3),
        ("3.9", 3),
        ("1e3", 1000),
        ("0x1A", 0),
        ("9" * 50, LARGEST_INTEGER),
        ("-" + "9" * 50, -LARGEST_INTEGER - 1),
        ("1e9999", LARGEST_INTEGER),
        ("٣", 0),
        (7, 7),
        (10**30, LARGEST_INTEGER),
        (3.99, 3),
        (float("nan"), 0),
        (float("inf"), LARGEST_INTEGER),
        (True, 1),
        (False, 0),
        (None, 0),
        ([], 0),
        ([5], 1),
        ({"a": 1}, 1),
    ],
)
def test_integers(value: object, number: int) -> None:
    assert integer(value) == number


@pytest.mark.parametrize("value", ["1", "true", "TRUE", "on", "yes", "x", 1, True, [0], 0.5])
def test_what_is_on(value: object) -> None:
    assert boolean(value) is True


@pytest.mark.parametrize("value", ["0", "false", "False", "off", "no", "", " ", 0, False, None, [], {}, 0.0])
def test_what_is_off(value: object) -> None:
    assert boolean(value) is False


@pytest.mark.parametrize(
    ("value", "words"),
    [("a", "a"), (5, "5"), (1.5, "1.5"), (2.0, "2"), (True, "1"), (False, ""), (None, ""), ([1], ""), ("a\0b", "ab")],
)
def test_texts(value: object, words: str) -> None:
    assert text(value) == words


def test_halves_of_surrogate_pairs_are_joined_or_replaced() -> None:
    assert clean_text("\ud83d\ude00 \ud83d") == "😀 \ufffd"


def test_bytes_of_a_path_that_are_no_utf_8_survive() -> None:
    assert path_text("caf\udce9") == "caf\udce9"
    assert text("caf\udce9") == "caf\ufffd"


@pytest.mark.parametrize(
    ("value", "members"),
    [
        ({"a": 1}, {"a": 1}),
        ('{"a": {"b": [1]}}', {"a": {"b": [1]}}),
        (["x", "y"], {"0": "x", "1": "y"}),
        ('["x"]', {"0": "x"}),
        ("rubbish", {}),
        ("[" * 5000, {}),
        (None, {}),
        (5, {}),
        ({"a": "x\0\ud800"}, {"a": "x\ufffd"}),
    ],
)
def test_mappings(value: object, members: dict[str, Any]) -> None:
    assert mapping(value) == members


@pytest.mark.parametrize(("value", "number"), [(0, 1), (-5, 1), ("", 1), ("abc", 1), ("3", 3), (None, 1)])
def test_no_profile_means_the_first(value: object, number: int) -> None:
    assert profile_id(value) == number


@pytest.mark.parametrize("words", ["NaN", "Infinity", "", "{", "[" * 65 + "]" * 65, "[" * 200000, "9" * 5000])
def test_json_that_nobody_means_is_refused(words: str) -> None:
    with pytest.raises(ValueError):
        decode_json(words)


def test_json_may_nest_as_deep_as_the_limit() -> None:
    assert decode_json("[" * 60 + "]" * 60)


@given(ANYTHING)
def test_no_value_makes_a_conversion_fail(value: Any) -> None:
    assert -LARGEST_INTEGER - 1 <= integer(value) <= LARGEST_INTEGER
    assert boolean(value) in (True, False)
    text(value).encode("utf-8")
    path_text(value).encode("utf-8", "surrogateescape")
    json.dumps(mapping(value))
