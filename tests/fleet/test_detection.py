"""What the server of a site says of itself: bounded, printable, and never more than its answers show."""

from __future__ import annotations

import hashlib
import re
import ssl
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.responses import HTMLResponse, Response

from backstay.api.replies import VersionInfo
from backstay.api.status import ApiError
from backstay.catalogue import Connection
from backstay.client import Endpoint
from backstay.errors import AuthenticationError, ConnectionFailedError, ProtocolError
from backstay.fleet.detection import (
    LONGEST_TEXT,
    MOST_PROFILES,
    Newest,
    changes_between,
    detect,
    host_of,
    plain_text,
    product_of,
)
from client.fake_server import SECRET, FakeServer, Seen, running
from support.certificates import self_signed

KNOWN = Connection(SECRET, {})
HOSTILE = "\x1b[31mred\nline\u202e" + "x" * 5000


def test_a_server_is_asked_once_for_all_that_a_person_wants_to_know(server: FakeServer) -> None:
    detected = detect(server.url, KNOWN)
    assert (detected.address, detected.host) == (server.url, "127.0.0.1")
    assert detected.endpoint.version == 3
    assert detected.found.profiles == ((1, "Default"), (2, "Nightly"))
    assert detected.found.newest == Newest(7, "2026-01-02 03:04:05", "ok", 300)
    assert (detected.found.version, detected.found.level, detected.found.edition) == ("8.2.6", 350, "pro")
    assert (detected.found.may_download, detected.found.backups, detected.found.ip) == (True, True, "127.0.0.1")
    assert detected.found.to_json()["profiles"] == [[1, "Default"], [2, "Nightly"]]
    assert server.calls("downloadDirect")[0].headers["range"] == "bytes=0-0"
    assert detected.tried[-1].endswith("it works")


def test_an_endpoint_that_is_known_is_tried_first(server: FakeServer) -> None:
    known = replace(KNOWN, endpoint=detect(server.url, KNOWN).endpoint.stored())
    server.seen.clear()
    detect(server.url, known)
    assert server.seen[0].path == "/api/index.php/v3/akeebabackup/getVersion"
    server.versions = (2,)
    assert detect(server.url, known).endpoint.version == 2


@pytest.mark.parametrize(
    ("refused", "expected"),
    [
        (Response("{}", 403), False),
        (ApiError(403, "No"), False),
        (HTMLResponse("<html>", 200), True),
        (Response("", 500), True),
    ],
)
def test_whether_the_secret_may_download_is_tried_with_one_byte(
    server: FakeServer, refused: Response | ApiError, expected: bool
) -> None:
    def answer(seen: Seen) -> Response | None:
        return refused if isinstance(refused, Response) and seen.path.endswith("/downloadDirect") else None

    if isinstance(refused, ApiError):
        server.direct = False
        server.replies["downloadDirect"] = server.replies["download"] = [refused]
    server.before = answer
    assert detect(server.url, KNOWN).found.may_download is expected


@pytest.mark.parametrize("listed", [[], [{"id": "3", "status": "fail", "meta": "fail"}]])
def test_where_there_is_no_backup_nothing_is_said_of_downloads(server: FakeServer, listed: list[object]) -> None:
    server.replies["listBackups"] = [listed]
    found = detect(server.url, KNOWN).found
    assert found.may_download is None
    assert found.newest == (Newest(3, "", "fail", 0) if listed else None)


def test_a_secret_that_may_do_little_is_good_enough(server: FakeServer) -> None:
    for method in ("getProfiles", "listBackups"):
        server.replies[method] = [ApiError(403, "No")]
    found = detect(server.url, KNOWN).found
    assert (found.profiles, found.backups, found.newest, found.may_download) == (None, False, None, None)


def test_what_a_hostile_server_says_is_bounded_and_printable(server: FakeServer) -> None:
    server.replies["getVersion"] = [{"api": "9" * 400, "component": HOSTILE, "date": HOSTILE, "edition": HOSTILE}]
    server.replies["getProfiles"] = [[{"id": n, "name": HOSTILE} for n in range(1000)]]
    server.replies["listBackups"] = [[{**RECORD_LIKE, "id": n} for n in range(1000)]]
    found = detect(server.url, KNOWN).found
    assert found.profiles is not None
    assert len(found.profiles) == MOST_PROFILES
    text = str(found.to_json())
    assert len(text) < MOST_PROFILES * (LONGEST_TEXT + 20) + 2000
    assert re.search(r"\\x1b|\\n|\\u202e", text) is None


RECORD_LIKE = {"backupstart": HOSTILE, "meta": HOSTILE, "status": HOSTILE, "size": "9" * 400, "filesexist": "1"}


def test_why_a_server_cannot_be_used_is_told_by_the_class_of_the_error(server: FakeServer) -> None:
    with pytest.raises(AuthenticationError):
        detect(server.url, Connection("wrong", {}))
    with pytest.raises(ConnectionFailedError, match="cannot be reached"):
        detect("http://127.0.0.1:1", KNOWN)
    server.before = lambda _seen: HTMLResponse("<!doctype html><title>A shop</title>")
    with pytest.raises(ProtocolError, match="does not answer the API"):
        detect(server.url, KNOWN)


@pytest.mark.parametrize(
    ("endpoint", "version", "product"),
    [
        (Endpoint(3, "https://a.example/api/index.php/v3/akeebabackup"), "0.1.0", "Backstay"),
        (Endpoint(3, "https://a.example/api/index.php/v3/akeebabackup"), "10.0.2", "Akeeba Backup for Joomla"),
        (Endpoint(2, "https://a.example/wp-admin/admin-ajax.php"), "8.1.0", "Akeeba Backup for WordPress"),
        (Endpoint(1, "https://a.example/remote.php"), "7.0", "Akeeba Solo"),
        (
            Endpoint(2, "https://a.example/index.php", (("option", "com_akeebabackup"),)),
            "9.1",
            "Akeeba Backup for Joomla",
        ),
        (Endpoint(1, "https://a.example/index.php"), "?", "Akeeba Backup"),
    ],
)
def test_the_product_is_told_from_where_it_answers(endpoint: Endpoint, version: str, product: str) -> None:
    assert product_of(endpoint, VersionInfo(component=version)) == product


def test_the_host_is_the_address_that_a_name_resolves_to() -> None:
    assert host_of("http://localhost:8117/x") == "127.0.0.1"
    assert host_of("https://[::1]:8117/") == "::1"
    assert host_of("https://no-such-host.invalid/") == "no-such-host.invalid"


def test_the_certificate_of_a_server_is_known_again(server: FakeServer, tmp_path: Path) -> None:
    seen = []
    for name in ("first.pem", "second.pem"):
        file = tmp_path / name
        file.write_bytes(self_signed())
        with running(server, file) as url:
            with pytest.raises(ConnectionFailedError, match="certificate"):
                detect(url, KNOWN)
            seen.append(detect(url, replace(KNOWN, verify_tls=False)).found)
        text = file.read_text()
        shown = ssl.PEM_cert_to_DER_cert(text[text.index("-----BEGIN CERTIFICATE") :])
        assert seen[-1].certificate == hashlib.sha256(shown).hexdigest()
    assert changes_between(seen[0].to_json(), seen[1]) == ["It shows another certificate than before."]


def test_what_has_changed_of_a_server_is_said(server: FakeServer) -> None:
    found = detect(server.url, KNOWN).found
    assert changes_between({}, found) == []
    assert changes_between(found.to_json(), found) == []
    later = replace(found, certificate="b" * 64, ip="192.0.2.1", version="9.0")
    before = {**found.to_json(), "certificate": "a" * 64}
    assert changes_between(before, later) == [
        "It shows another certificate than before.",
        "Its address has changed from 127.0.0.1 to 192.0.2.1.",
        "Its version was 8.2.6, and is 9.0 now.",
    ]
    assert changes_between(before, found) == ["It is no longer asked over an encrypted connection."]


def test_a_text_of_a_server_becomes_one_short_line() -> None:
    assert plain_text(" a\n\tb \x00c\u200b ") == "a b c"
    assert plain_text("\udcff") == "\\udcff"
    assert len(plain_text("x" * 1000)) == LONGEST_TEXT
