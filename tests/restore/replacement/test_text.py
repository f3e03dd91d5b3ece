"""Texts are replaced in every form of value, and what is not theirs stays byte for byte."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.errors import UsageError
from backstay.restore.replacement import Replacer
from support.missing import skip_or_fail

OLD, NEW = "http://old.example", "https://new.example.org"
REPLACER = Replacer([(OLD, NEW), ("/var/www/old", "/srv/x")])


def s(text: bytes | str) -> bytes:
    """Serialise a string as PHP does."""
    data = text.encode() if isinstance(text, str) else text
    return b's:%d:"%s";' % (len(data), data)


def array(*items: bytes) -> bytes:
    """Serialise a list as PHP does."""
    return b"a:%d:{%s}" % (len(items), b"".join(b"i:%d;%s" % (index, item) for index, item in enumerate(items)))


def test_every_way_of_writing_an_address_is_found() -> None:
    before = (
        rb"see http://old.example/x, http:\/\/old.example\/y, http:\\\/\\\/old.example, http%3A%2F%2Fold.example%2Fz"
    )
    after = rb"see https://new.example.org/x, https:\/\/new.example.org\/y, https:\\\/\\\/new.example.org, "
    assert REPLACER.apply(before) == after + b"https%3A%2F%2Fnew.example.org%2Fz"


def test_what_holds_nothing_to_replace_is_given_back_as_it_is() -> None:
    value = b'a:1:{i:0;s:3:"wrong length";}'
    assert REPLACER.apply(value) is value


def test_lengths_in_serialised_values_stay_right() -> None:
    value = array(s(OLD), s("é" + OLD), b"d:0.1;", b"b:1;", b"N;", b"R:2;", b"a:0:{}", b"i:-3;")
    expected = array(s(NEW), s("é" + NEW), b"d:0.1;", b"b:1;", b"N;", b"R:2;", b"a:0:{}", b"i:-3;")
    assert REPLACER.apply(value) == expected


def test_serialised_values_in_serialised_values_are_reached() -> None:
    innermost = array(s("/var/www/old/logs"))
    expected = array(s(array(s(array(s("/srv/x/logs"))))))
    assert REPLACER.apply(array(s(array(s(innermost))))) == expected


def test_keys_and_objects_are_reached_and_classes_are_not() -> None:
    before = b'O:8:"stdClass":2:{%s%s%s%s}' % (s("url"), s(OLD), s(OLD), b"i:1;")
    after = b'O:8:"stdClass":2:{%s%s%s%s}' % (s("url"), s(NEW), s(NEW), b"i:1;")
    assert REPLACER.apply(before) == after
    payload = s(OLD)
    custom = b'C:3:"Foo":%d:{%s}' % (len(payload), payload)
    assert REPLACER.apply(custom) == b'C:3:"Foo":%d:{%s}' % (len(s(NEW)), s(NEW))


def test_quotes_and_braces_in_strings_mislead_nobody() -> None:
    nasty = f'";i:1;}}{{s:5:"{OLD}'
    assert REPLACER.apply(array(s(nasty))) == array(s(nasty.replace(OLD, NEW)))


def test_sessions_and_damaged_values_keep_right_lengths_where_they_were_right() -> None:
    session = b"user|" + array(s(OLD)) + b"counter|i:5;"
    assert REPLACER.apply(session) == b"user|" + array(s(NEW)) + b"counter|i:5;"
    damaged = b'a:9:{i:0;%si:1;s:99:"%s";}' % (s(OLD), OLD.encode())
    assert REPLACER.apply(damaged) == b'a:9:{i:0;%si:1;s:99:"%s";}' % (s(NEW), NEW.encode())


def test_json_keeps_its_form_and_serialised_values_in_it_their_lengths() -> None:
    value = (
        b'{ "a" : "http:\\/\\/old.example\\/\\u00e9",\n "n": 1.0, "php": %s }' % json.dumps(s(OLD).decode()).encode()
    )
    expected = value.replace(rb"http:\/\/old.example", rb"https:\/\/new.example.org")
    expected = expected.replace(json.dumps(s(OLD).decode()).encode(), json.dumps(s(NEW).decode()).encode())
    assert REPLACER.apply(value) == expected


def test_json_in_json_is_reached() -> None:
    value = json.dumps({"inner": json.dumps({"url": OLD + "/x"})}).encode()
    expected = json.dumps({"inner": json.dumps({"url": NEW + "/x"})}).encode()
    assert REPLACER.apply(value) == expected


def test_new_texts_are_escaped_in_json() -> None:
    replacer = Replacer([("old", 'say "new"')])
    assert json.loads(replacer.apply(b'{"a": "an old one"}')) == {"a": 'an say "new" one'}


def test_base64_is_left_alone() -> None:
    encoded = base64.b64encode(b"\x00\x10\x83 something that is encoded" * 9)
    chance = encoded[17:23].decode()
    replacer = Replacer([(chance, "CHANGED"), (OLD, NEW)])
    assert replacer.apply(encoded) is encoded
    wrapped = base64.encodebytes(b"\x00\x10\x83 something that is encoded" * 9)
    assert replacer.apply(wrapped) is wrapped
    image = b'<img src="data:image/png;base64,' + encoded + b'"> ' + OLD.encode()
    assert replacer.apply(image) == b'<img src="data:image/png;base64,' + encoded + b'"> ' + NEW.encode()
    assert REPLACER.apply(base64.b64encode(OLD.encode() * 3)) == base64.b64encode(OLD.encode() * 3)


def test_a_path_is_not_taken_for_base64() -> None:
    path = b"/var/www/old/htdocs/Images/2024/Summer"
    assert len(path) > 24
    assert REPLACER.apply(path) == b"/srv/x/htdocs/Images/2024/Summer"
    assert REPLACER.apply(b"path=" + path) == b"path=/srv/x/htdocs/Images/2024/Summer"


def test_the_longest_text_counts_and_nothing_is_replaced_twice() -> None:
    replacer = Replacer([("example.com", "www.example.com"), ("shop.example.com", "example.com/shop")])
    assert replacer.apply(b"shop.example.com example.com") == b"example.com/shop www.example.com"


def test_bytes_that_are_no_text_stay() -> None:
    assert REPLACER.apply(b"\xff\xfe http://old.example \x80") == b"\xff\xfe https://new.example.org \x80"


@pytest.mark.parametrize("pairs", [[("", "x")], [("a", "b"), ("a", "c")]])
def test_pairs_that_make_no_sense_are_refused(pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(UsageError):
        Replacer(pairs)


php_values = st.recursive(
    st.text(max_size=20) | st.just(f"x {OLD}/y") | st.integers(-9, 9) | st.booleans() | st.none(),
    lambda children: st.lists(children, max_size=4),
    max_leaves=12,
)


def serialize(value: object) -> bytes:
    """Serialise as PHP does; strings that stand for serialised values are made by the tests themselves."""
    if isinstance(value, str):
        return s(value)
    if isinstance(value, bool):
        return b"b:%d;" % value
    if isinstance(value, int):
        return b"i:%d;" % value
    if value is None:
        return b"N;"
    assert isinstance(value, list)
    return array(*(serialize(item) for item in value))


def moved(value: object) -> object:
    """Replace in a value as PHP would see it."""
    if isinstance(value, list):
        return [moved(item) for item in value]
    return value.replace(OLD, NEW) if isinstance(value, str) else value


@given(php_values)
def test_a_serialised_value_changes_as_its_strings_do(value: object) -> None:
    assert REPLACER.apply(serialize(value)) == serialize(moved(value))


@given(st.binary(max_size=200))
def test_any_bytes_are_borne(value: bytes) -> None:
    for wrapped in (value, b"a:1:{i:0;s:9:" + value, b"{" + value + OLD.encode(), OLD.encode() + value):
        result = REPLACER.apply(wrapped)
        assert OLD.encode() not in result or OLD.encode() not in wrapped


def test_php_reads_what_was_changed() -> None:
    php = shutil.which("php")
    if php is None:
        skip_or_fail("no PHP: install php-cli")
    program = """
    class P { public $a; protected $b = 'http://old.example/b'; private $c = ['http://old.example/c' => 1.5]; }
    $inner = serialize(['deep' => 'http://old.example/é', 'n' => null]);
    $p = new P; $p->a = $inner; $o = new ArrayObject(['http://old.example']);
    echo serialize(['x' => $p, 'y' => json_encode(['u' => 'http://old.example/j']), 'z' => $p, 'o' => $o]);
    """
    made = subprocess.run([php, "-r", program], capture_output=True, check=True).stdout
    check = """
    class P { public $a; protected $b; private $c; function all() { return [$this->a, $this->b, $this->c]; } }
    $v = unserialize(stream_get_contents(STDIN));
    if ($v === false) { exit(3); }
    [$a, $b, $c] = $v['x']->all();
    echo json_encode([unserialize($a)['deep'], $b, array_key_first($c), json_decode($v['y'])->u,
        $v['x'] === $v['z'], $v['o'][0]]);
    """
    read = subprocess.run([php, "-r", check], input=REPLACER.apply(made), capture_output=True, check=True).stdout
    assert json.loads(read) == [f"{NEW}/é", f"{NEW}/b", f"{NEW}/c", f"{NEW}/j", True, NEW]
