"""The walk over PHP's serialised values: every kind of value, and nothing that is not one whole value."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.restore.replacement.serialized import rewrite, rewrite_fragments


def longer(content: bytes) -> bytes:
    """Change a content as a replacement by a longer text does."""
    return content.replace(b"old", b"newer")


def written(value: Any) -> bytes:
    """Write a value as PHP's ``serialize()`` does."""
    match value:
        case None:
            return b"N;"
        case bool():
            return b"b:%d;" % value
        case int():
            return b"i:%d;" % value
        case float():
            return b"d:%r;" % value
        case bytes():
            return b's:%d:"%s";' % (len(value), value)
        case dict():
            return b"a:%d:{%s}" % (len(value), b"".join(written(one) for pair in value.items() for one in pair))
        case (name, members):
            body = b"".join(written(one) for pair in members.items() for one in pair)
            return b'O:%d:"%s":%d:{%s}' % (len(name), name, len(members), body)
    raise TypeError(value)


def changed(value: Any) -> Any:
    """Return a value with each of its texts changed; names of classes and of members that are not public stay."""
    match value:
        case bytes():
            return value if value.startswith(b"\0") else longer(value)
        case dict():
            return {changed(key): changed(one) for key, one in value.items()}
        case (name, members):
            return (name, changed(members))
    return value


WHOLE: list[tuple[bytes, bytes]] = [
    (b"a:0:{}", b"a:0:{}"),
    (b"a:1:{i:0;a:0:{}}", b"a:1:{i:0;a:0:{}}"),
    (b'a:2:{i:0;a:0:{}s:3:"old";N;}', b'a:2:{i:0;a:0:{}s:5:"newer";N;}'),
    (b'O:3:"old":0:{}', b'O:3:"old":0:{}'),
    (b'O:1:"F":1:{s:3:"old";O:1:"B":1:{i:0;s:3:"old";}}', b'O:1:"F":1:{s:5:"newer";O:1:"B":1:{i:0;s:5:"newer";}}'),
    (b'O:3:"Foo":1:{s:8:"\0Foo\0old";s:3:"old";}', b'O:3:"Foo":1:{s:8:"\0Foo\0old";s:5:"newer";}'),
    (b'C:3:"Foo":7:{x:old;y}', b'C:3:"Foo":9:{x:newer;y}'),
    (b'a:2:{i:0;C:3:"Foo":3:{old}i:1;s:3:"old";}', b'a:2:{i:0;C:3:"Foo":5:{newer}i:1;s:5:"newer";}'),
    (b'a:1:{i:0;E:7:"old:old";}', b'a:1:{i:0;E:7:"old:old";}'),
    (b"a:3:{i:0;R:1;i:1;r:2;i:2;d:-1.5E-7;}", b"a:3:{i:0;R:1;i:1;r:2;i:2;d:-1.5E-7;}"),
    (b's:3:"old";\n ', b's:5:"newer";\n '),
    (b's:8:"";old}";";', b's:10:"";newer}";";'),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after"), WHOLE)
def test_each_kind_of_value_is_walked_to_its_end(before: bytes, after: bytes) -> None:
    assert rewrite(before, longer) == after


@pytest.mark.parametrize("before", [before.rstrip() for before, _after in WHOLE])
def test_nothing_that_is_cut_or_has_more_behind_it_is_a_whole_value(before: bytes) -> None:
    for length in range(len(before)):
        assert rewrite(before[:length], longer) is None, before[:length]
    for more in (b"x", b"}", b";", b"i:1;"):
        assert rewrite(before + more, longer) is None


@pytest.mark.parametrize("before", [before for before, _after in WHOLE])
def test_no_count_or_length_that_is_wrong_is_taken(before: bytes) -> None:
    for match in re.finditer(rb"(?<=[asOCE]:)\d+(?=:)|(?<=\":)\d+(?=:)", before):
        for wrong in (int(match[0]) + 1, int(match[0]) + 2, max(0, int(match[0]) - 1)):
            if wrong != int(match[0]):
                other = before[: match.start()] + b"%d" % wrong + before[match.end() :]
                assert rewrite(other, longer) is None, other


@pytest.mark.parametrize(
    "data", [b"", b"old", b"i:1;", b"N;", b"b:2;", b'x:3:"old";', b"a:1:{i:0;x:1;}", b'O:3:"Foo";1:{}', b'C:3:"Foo":{}']
)
def test_what_holds_no_text_or_is_no_value_is_left_to_others(data: bytes) -> None:
    assert rewrite(data, longer) is None


TEXT = st.one_of(st.binary(max_size=12), st.sampled_from([b"old", b"an old one", b'";old', b"\0Foo\0old"]))
SCALAR = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.sampled_from([0.5, -2.25]), TEXT)
VALUE = st.recursive(
    SCALAR,
    lambda inner: st.one_of(
        st.dictionaries(st.one_of(st.integers(0, 9), st.binary(max_size=6)), inner, max_size=4),
        st.tuples(st.just(b"Old_Class"), st.dictionaries(st.binary(max_size=6), inner, max_size=3)),
    ),
    max_leaves=12,
)


@given(VALUE.filter(lambda value: isinstance(value, bytes | dict | tuple)))
def test_any_value_changes_as_its_texts_do(value: object) -> None:
    assert rewrite(written(value), longer) == written(changed(value))


def test_texts_among_other_text_are_changed_each_for_itself() -> None:
    before = b'name|s:3:"old";old s:9:"old";x|s:3:"old";tail old'
    upper = bytes.upper
    assert rewrite_fragments(before, longer, upper) == (b'NAME|s:5:"newer";OLD S:9:"OLD";X|s:5:"newer";TAIL OLD')
    assert rewrite_fragments(b"no text of that kind: old", longer, upper) == b"NO TEXT OF THAT KIND: OLD"
