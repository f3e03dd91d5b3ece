"""Reading PHP's serialized values, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.profiles.serialized import read_serialized


def serialized(value: object) -> str:
    """What PHP's ``serialize`` writes of plain values."""
    if value is None:
        return "N;"
    if isinstance(value, bool):
        return f"b:{int(value)};"
    if isinstance(value, int):
        return f"i:{value};"
    if isinstance(value, str):
        return f's:{len(value.encode())}:"{value}";'
    assert isinstance(value, dict)
    members = "".join(serialized(part) for pair in value.items() for part in pair)
    return f"a:{len(value)}:{{{members}}}"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.text(max_size=20),
    lambda inner: st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)


@given(VALUES)
def test_what_php_writes_is_read(value: object) -> None:
    assert read_serialized(serialized(value)) == value


def test_numbers_with_a_point() -> None:
    assert read_serialized("d:0.5;") == 0.5


def test_numeric_keys_become_text() -> None:
    assert read_serialized('a:1:{i:7;s:1:"x";}') == {"7": "x"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        's:5:"abc";',
        's:2:"abc";',
        's:-1:"";',
        "i:abc;",
        "i:1",
        'a:2:{i:0;s:1:"x";}',
        'a:1:{i:0;s:1:"x";',
        "a:1:{N;N;}",
        "a:99999999999:{}",
        'O:8:"stdClass":0:{}',
        'C:3:"Foo":0:{}',
        "i:1;i:2;",
        "a:1:{i:0;" * 100,
        "i:" + "9" * 5000 + ";",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read_serialized(text)


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: raw.decode("latin-1")))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read_serialized(text)
    except ValueError:
        return
