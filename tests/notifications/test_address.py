"""Addresses of recipients: what they may be, and what of them may be shown."""

from __future__ import annotations

import pytest

from backstay.errors import UsageError
from backstay.notifications.address import blanked, parse_recipient


@pytest.mark.parametrize(
    ("url", "service", "plain", "shown"),
    [
        (
            "webhook+https://Example.com:8443/a?b=c",
            "webhook",
            "https://Example.com:8443/a?b=c",
            "webhook+https://example.com:8443",
        ),
        (" WEBHOOK+HTTP://u:p@[::1]/a\n", "webhook", "http://u:p@[::1]/a", "webhook+http://[::1]"),
        ("ping+https://hc-ping.com/{profile}", "ping", "https://hc-ping.com/{profile}", "ping+https://hc-ping.com"),
        ("tgram://1:abc/2", "apprise", "tgram://1:abc/2", "tgram://…"),
        ("MailTo://joe:word@example.com", "apprise", "MailTo://joe:word@example.com", "mailto://…"),
    ],
)
def test_an_address_is_read_and_shown_without_what_is_secret(url: str, service: str, plain: str, shown: str) -> None:
    found = parse_recipient(url)
    assert (found.service, found.url, found.shown) == (service, plain, shown)
    assert plain not in repr(found)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("https://example.com/Geheim", ""),
        ("Geheim", "is one of"),
        ("webhook+https:///Geheim", "names no host"),
        ("webhook+https://example.com/Geheim#x", "can't be used"),
        ("webhook+https://example.com/{profile}", "can't be used"),
        ("ping+https://{profile}.example.com/", "can't be used"),
        ("ping+https://example.com:Geheim/", "malformed"),
        ("mailto://a@example.com/Geheim\n", ""),
        ("mailto://a@example.com/Geh eim", "a blank"),
        ("webhook+ftp://example.com/Geheim", "is one of"),
    ],
)
def test_an_address_that_is_none_is_refused_without_being_shown(url: str, says: str) -> None:
    if not says:
        assert "Geheim" not in parse_recipient(url).shown + repr(parse_recipient(url))
        return
    with pytest.raises(UsageError, match=says) as refused:
        parse_recipient(url)
    assert "Geheim" not in str(refused.value).replace("Geheim:", "")


@pytest.mark.parametrize(
    ("url", "said", "shown"),
    [
        (
            "webhook+https://joe:wo%2Frd@example.com:8443/token-1/x?key=k%20e%20y&a=b",
            "GET https://joe:wo%2Frd@example.com:8443/token-1/x?key=k%20e%20y&a=b joe wo/rd wo%2Frd k e y example.com",
            "GET *** joe *** *** *** example.com",
        ),
        (
            "json://user:pass+word@host/p",
            "pass+word, pass word, pass, json://, 'user'",
            "***+***, *** ***, ***, json://, '***'",
        ),
        ("ping+https://https.example.com/https", "https://https.example.com/https", "***"),
        ("webhook+https://example.com:8443/a%20word", "port 8443 of https, a word", "port 8443 of https, ***"),
        ("slack://TokenA/TokenB/#chan", "T slack TokenA/TokenB/#chan TokenB", "T slack *** ***"),
    ],
)
def test_what_a_library_says_is_kept_without_the_pieces_of_the_address(url: str, said: str, shown: str) -> None:
    assert blanked(said, parse_recipient(url)) == shown


def test_further_words_are_blanked_too() -> None:
    assert blanked("a word and words", parse_recipient("json://host"), ["words"]) == "a word and ***"
