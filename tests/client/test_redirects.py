"""Redirects are followed only where the credential may go (api-v3.md)."""

from __future__ import annotations

import pytest
from starlette.responses import Response

from backstay.client import Client
from backstay.client.redirects import redirect_target
from backstay.errors import ProtocolError
from client.fake_server import SECRET, FakeServer


@pytest.mark.parametrize(
    ("given", "location"),
    [
        ("http://example.com/a", "/b"),
        ("http://example.com", "http://example.com/b"),
        ("http://example.com", "https://example.com/b"),
        ("http://example.com", "http://EXAMPLE.com./b"),
        ("http://www.example.com", "https://example.com/"),
        ("http://example.com", "https://www.example.com/"),
        ("http://www.example.com", "https://shop.example.com/"),
        ("http://blog.example.com", "https://example.com/"),
        ("http://a.b.example.com", "https://b.example.com/"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:9000/"),
        ("http://[::1]:8000", "http://[::1]:9000/"),
        ("http://localhost", "http://localhost/x"),
    ],
)
def test_redirects_within_the_same_house_are_followed(given: str, location: str) -> None:
    assert redirect_target(given, given, location).startswith("http")


@pytest.mark.parametrize(
    ("given", "location"),
    [
        ("http://example.com", "http://example.org/"),
        ("http://example.com", "http://notexample.com/"),
        ("http://example.com", "http://example.com.evil.org/"),
        ("https://example.com", "http://example.com/"),
        ("http://example.com", "ftp://example.com/"),
        ("http://example.com", "file:///etc/passwd"),
        ("http://example.com", "//evil.org/"),
        ("http://example.com", "http://user:pw@example.com/"),
        ("http://example.com", "http://com/"),
        ("http://a.example.com", "http://b.example.com/"),
        ("http://127.0.0.1", "http://127.0.0.2/"),
        ("http://127.0.0.1", "http://0.0.1/"),
        ("http://10.0.0.1", "http://0.0.0.1/"),
        ("http://127.0.0.1", "http://localhost/"),
        ("http://example.com", "http://127.0.0.1/"),
        ("http://[::1]", "http://[::2]/"),
        ("http://example.com", "http://[broken/"),
        ("http://example.com", "http://example.com:99999/"),
        ("http://localhost", "http://evil.localhost.org/"),
    ],
)
def test_redirects_to_others_are_refused(given: str, location: str) -> None:
    with pytest.raises(ProtocolError, match="not followed"):
        redirect_target(given, given, location)


def test_a_downgrade_in_the_middle_of_a_chain_is_refused() -> None:
    with pytest.raises(ProtocolError):
        redirect_target("http://example.com", "https://example.com", "http://example.com/")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_redirected_call_reaches_its_target(server: FakeServer, version: int, status: int) -> None:
    server.before = lambda seen: (
        None if seen.path.startswith("/new") else Response(status_code=status, headers={"location": f"/new{seen.path}"})
    )
    with Client(server.url, SECRET, version=version) as client:
        assert client.get_version().api == 350
        asked = len(server.seen)
        client.get_version()
        assert len(server.seen) == asked + 1, "the redirect is followed once and then remembered"


def test_nothing_is_sent_where_a_redirect_must_not_lead(server: FakeServer) -> None:
    server.before = lambda seen: Response(status_code=302, headers={"location": "http://localhost:1/steal"})
    with Client(server.url, SECRET) as client, pytest.raises(ProtocolError, match="another host"):
        client.get_version()
    assert all(seen.path != "/steal" for seen in server.seen)


def test_an_endless_redirect_comes_to_an_end(server: FakeServer) -> None:
    server.before = lambda seen: Response(status_code=302, headers={"location": seen.path})
    url = server.url + "/api/index.php/v3/akeebabackup"
    with Client(url, SECRET) as client, pytest.raises(ProtocolError, match="redirects"):
        client.get_version()
    assert len(server.seen) == 21
