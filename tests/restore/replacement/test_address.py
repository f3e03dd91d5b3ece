"""The old address of a site is found in all its forms, and no other address is."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.errors import UsageError
from backstay.restore.replacement import AddressMove, Place, Replacer

OLD, NEW = "old.example.com", "https://www.new.example.org/shop"
REPLACER = Replacer([], [AddressMove(Place(OLD), NEW)])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"https://old.example.com", b"https://www.new.example.org/shop"),
        (b"http://old.example.com/a?b#c", b"https://www.new.example.org/shop/a?b#c"),
        (b"HTTPS://Old.Example.COM/a", b"https://www.new.example.org/shop/a"),
        (b"url(//old.example.com/a.png)", b"url(//www.new.example.org/shop/a.png)"),
        (b"//old.example.com", b"//www.new.example.org/shop"),
        (rb"http:\/\/old.example.com\/a", rb"https:\/\/www.new.example.org\/shop\/a"),
        (rb"http:\\\/\\\/old.example.com\\\/a", rb"https:\\\/\\\/www.new.example.org\\\/shop\\\/a"),
        (rb"http:\u002f\u002fold.example.com\u002fa", rb"https:\u002f\u002fwww.new.example.org\u002fshop\u002fa"),
        (rb"http\u003a\u002F\u002Fold.example.com", rb"https\u003a\u002F\u002Fwww.new.example.org\u002Fshop"),
        (rb"= '\/\/old.example.com\/a'", rb"= '\/\/www.new.example.org\/shop\/a'"),
        (b"u=http%3A%2F%2Fold.example.com%2Fa", b"u=https%3A%2F%2Fwww.new.example.org%2Fshop%2Fa"),
        (b"u=http%3a%2f%2fold.example.com%2fa", b"u=https%3a%2f%2fwww.new.example.org%2fshop%2fa"),
        (b"u%3D%2F%2Fold.example.com&b", b"u%3D%2F%2Fwww.new.example.org%2Fshop&b"),
        (b"http%253A%252F%252Fold.example.com", b"https%253A%252F%252Fwww.new.example.org%252Fshop"),
        (
            rb"\nhttps://old.example.com\n//old.example.com",
            rb"\nhttps://www.new.example.org/shop\n//www.new.example.org/shop",
        ),
        (b"See https://old.example.com. Or", b"See https://www.new.example.org/shop. Or"),
        ("„https://old.example.com“".encode(), "„https://www.new.example.org/shop“".encode()),
        (b's:23:"https://old.example.com";', b's:32:"https://www.new.example.org/shop";'),
    ],
)
def test_every_form_of_the_address_is_replaced(before: bytes, after: bytes) -> None:
    assert REPLACER.apply(before) == after


@pytest.mark.parametrize(
    "other",
    [
        b"https://old.example.com.other.org/",
        b"https://old.example.common",
        b"https://old.example.com-shop.org",
        b"https://myold.example.com",
        b"https://www.old.example.com",
        b"https://old.example.com:8080/",
        b"https://old.example.com@other.org/",
        b"https://me@old.example.com/",
        b"https://oldxexample.com",
        b"mailto:me@old.example.com",
        b"old.example.com",
        b"ftp://old.example.com/",
        rb"ftp:\/\/old.example.com\/",
        b"ftp%3A%2F%2Fold.example.com",
        b"cache//old.example.com/a",
        rb"https:\/\/old.example.com.other.org",
        b"https%3A%2F%2Fold.example.com.other.org",
        b"https%3A%2F%2Fold.example.com%2Eother.org",
        b"https%3A%2F%2Fold.example.com%3A8080",
        b"https%3A%2F%2Fmyold.example.com",
    ],
)
def test_another_address_stays(other: bytes) -> None:
    assert REPLACER.apply(other) is other


LETTERS = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=6)
LABELS = st.builds("-".join, st.lists(LETTERS, min_size=1, max_size=2))
HOSTS = st.builds(".".join, st.lists(LABELS, min_size=2, max_size=4))
WRITTEN = st.sampled_from(
    [
        lambda text: text,
        lambda text: text.replace("/", "\\/"),
        lambda text: text.replace("/", "\\u002f"),
        lambda text: json.dumps(json.dumps(text).replace("/", "\\/"))[3:-3],
        lambda text: quote(text, safe=""),
        lambda text: quote(quote(text, safe=""), safe=""),
    ]
)


@given(
    HOSTS, st.sampled_from(["", "/blog", "/a/b"]), HOSTS, st.sampled_from(["", "/new"]),
    st.sampled_from(["http:", "https:", ""]), st.sampled_from(["", "/", "/x.png", "?a=1", "#b", "/x/?q=1"]), WRITTEN,
)  # fmt: skip
def test_an_address_is_moved_in_whatever_form_it_is_written(
    host: str, path: str, new_host: str, new_path: str, scheme: str, rest: str, written: object
) -> None:
    assert callable(written)
    replacer = Replacer([], [AddressMove(Place(host, path), f"https://{new_host}{new_path}")])
    new_scheme = "https:" if scheme else ""
    before = f'"{written(f"{scheme}//{host}{path}{rest}")}" '
    after = f'"{written(f"{new_scheme}//{new_host}{new_path}{rest}")}" '
    assert replacer.apply(before.encode()).decode() == after


@given(HOSTS, st.sampled_from(["", "/blog"]), HOSTS, st.sampled_from(["http:", "https:", ""]), LETTERS, WRITTEN)
def test_a_longer_host_or_path_is_another_place(
    host: str, path: str, other: str, scheme: str, letters: str, written: object
) -> None:
    assert callable(written)
    replacer = Replacer([], [AddressMove(Place(host, path), "https://new.invalid")])
    tails = [f"{path}{letters}", f"{path}-{letters}", f"{path}.{letters}"]
    if not path:
        tails += [f".{other}/", f":{len(letters)}/", f"@{other}/"]
    for text in [
        *(f"{scheme}//{host}{tail}" for tail in tails),
        f"{scheme}//{letters}{host}{path}", f"{scheme}//{letters}.{host}{path}", f"{scheme}//{letters}-{host}{path}",
    ]:  # fmt: skip
        value = f'"{written(text)}" '.encode()
        assert replacer.apply(value) == value


def test_a_site_may_move_between_folders_of_one_host() -> None:
    replacer = Replacer([], [AddressMove(Place("example.com", "/blog"), "https://example.com/blog/new")])
    before = b"https://example.com/blog/a https://example.com/blogger https://example.com/ http://example.com/blog"
    after = (
        b"https://example.com/blog/new/a https://example.com/blogger https://example.com/ https://example.com/blog/new"
    )
    assert replacer.apply(before) == after


def test_a_text_that_was_given_counts_before_the_address() -> None:
    replacer = Replacer([(f"https://{OLD}/cdn", "https://cdn.example.net")], [AddressMove(Place(OLD), NEW)])
    assert replacer.apply(b"https://old.example.com/cdn/a https://old.example.com/b") == (
        b"https://cdn.example.net/a https://www.new.example.org/shop/b"
    )


def test_a_host_with_other_letters_is_found_in_both_of_its_forms() -> None:
    replacer = Replacer([], [AddressMove(Place.parse("https://münchen.example"), "https://new.example")])
    value = "https://münchen.example/a https://xn--mnchen-3ya.example/a https%3A%2F%2Fm%C3%BCnchen.example"
    assert (
        replacer.apply(value.encode()).decode()
        == "https://new.example/a https://new.example/a https%3A%2F%2Fnew.example"
    )


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("https://Example.com/", Place("example.com")),
        ("http://example.com:80/a/", Place("example.com", "/a")),
        ("example.com:8080/a", Place("example.com:8080", "/a")),
        ("//me:pw@example.com", Place("example.com")),
    ],
)
def test_an_address_names_the_place(address: str, place: Place) -> None:
    assert Place.parse(address) == place


@pytest.mark.parametrize("address", ["", "https://", "https://a b", "https://[::1"])
def test_an_address_without_a_host_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match=r"written as https://example\.com"):
        Place.parse(address)
