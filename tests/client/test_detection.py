"""Finding out how a server is called: newest version first, every form of address, clear refusals."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from starlette.responses import HTMLResponse, Response

from backstay.client import AsyncClient, Client, Credential, Endpoint, Verb
from backstay.client.endpoints import routes
from backstay.errors import AuthenticationError, ConnectionFailedError, ProtocolError, UsageError
from client.fake_server import SECRET, TOKEN, FakeServer, running
from support.certificates import self_signed


@pytest.mark.parametrize("version", [1, 2, 3])
def test_the_newest_version_that_answers_is_used_and_kept(server: FakeServer, version: int) -> None:
    server.versions = tuple(range(1, version + 1))
    with Client(server.url, SECRET) as client:
        assert client.get_version().api == 350
        assert client.endpoint is not None
        assert client.endpoint.version == version
        asked = len(server.seen)
        client.get_version()
        assert len(server.seen) == asked + 1
        assert client.tried[-1].endswith("it works")


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_version_can_be_demanded(server: FakeServer, version: int) -> None:
    with Client(server.url, SECRET, version=version) as client:
        assert client.detect().version == version


def test_a_credential_is_tried_as_a_token_first_and_as_a_secret_then(server: FakeServer) -> None:
    with Client(server.url, TOKEN) as client:
        assert client.detect().credential is Credential.JOOMLA_HEADER
    with Client(server.url, SECRET) as client:
        assert client.detect().credential is Credential.AKEEBA_HEADER


def test_what_was_found_can_be_stored_and_used_again(server: FakeServer) -> None:
    with Client(server.url, SECRET) as client:
        stored = client.detect().stored()
    server.seen.clear()
    with Client(server.url, SECRET, endpoint=Endpoint.restored(stored)) as client:
        client.get_version()
    assert [seen.path for seen in server.seen] == ["/api/index.php/v3/akeebabackup/getVersion"] * 2
    assert SECRET not in str(stored)


def test_what_was_found_and_does_not_work_any_more_is_looked_for_again(server: FakeServer) -> None:
    with Client(server.url, SECRET) as client:
        found = client.detect()
    server.versions = (1, 2)
    server.replies["startBackup"] = [{"HasRun": False, "BackupID": 5}]
    with Client(server.url, SECRET, endpoint=found) as client:
        assert client.start_backup().backup_id == 5
        assert client.endpoint is not None
        assert client.endpoint.version == 2
    assert len(server.calls("startBackup")) == 1


def test_the_secret_stands_in_no_address_where_a_header_works(server: FakeServer) -> None:
    with Client(server.url, SECRET) as client:
        client.get_version()
    assert all("_akeebaAuth" not in one.query for one in server.seen)


def test_a_server_that_loses_headers_is_given_the_secret_in_the_address(server: FakeServer) -> None:
    server.versions = (2,)

    def lose(seen: object) -> None:
        server.seen[-1].headers.pop("x-akeeba-auth", None)

    server.before = lose
    with Client(server.url, SECRET) as client:
        assert client.detect().credential is Credential.AKEEBA_QUERY
        assert client.get_version().component == "8.2.6"


def test_a_server_that_refuses_post_is_asked_with_get(server: FakeServer) -> None:
    server.versions = (2,)
    server.before = lambda seen: HTMLResponse("<html>no", 403) if seen.verb == "POST" else None
    with Client(server.url, SECRET) as client:
        assert client.detect().verb is Verb.GET
        client.get_version()


@pytest.mark.parametrize(
    ("suffix", "version", "path"),
    [
        ("/", 3, "/api/index.php/v3/akeebabackup/getVersion"),
        ("/sub/path", 3, "/sub/path/api/index.php/v3/akeebabackup/getVersion"),
        ("/index.php?option=com_akeeba&view=api&format=raw", 2, "/index.php"),
        ("/index.php?option=com_akeeba&view=json&format=raw", 1, "/index.php"),
        ("/sub/index.php", 2, "/sub/index.php"),
        ("/remote.php", 2, "/remote.php"),
        ("/remote.php?view=json", 1, "/remote.php"),
        ("/wp-admin/admin-ajax.php", 2, "/wp-admin/admin-ajax.php"),
        ("/wp-content/plugins/akeebabackupwp/app/index.php", 2, "/wp-content/plugins/akeebabackupwp/app/index.php"),
        ("/api/index.php/v2/akeebabackup", 2, "/api/index.php/v2/akeebabackup/index.php"),
        ("/api/index.php/v3/akeebabackup", 3, "/api/index.php/v3/akeebabackup/getVersion"),
        ("/api/v3/akeebabackup/getProfiles", 3, "/api/v3/akeebabackup/getVersion"),
    ],
)
def test_every_form_of_address_is_understood(server: FakeServer, suffix: str, version: int, path: str) -> None:
    server.before = lambda seen: _as_version_2(server, path)
    with Client(server.url + suffix, SECRET) as client:
        assert client.detect().version == version
    assert server.seen[-1].path == path
    if "admin-ajax" in path:
        assert server.seen[-1].query["action"] == "akeebabackup_api"
    if "remote.php" in path:
        assert not {"option", "format"} & set(server.seen[-1].query)


def _as_version_2(server: FakeServer, path: str) -> None:
    if path.endswith("v2/akeebabackup/index.php"):
        server.seen[-1].query["view"] = "api"


def test_a_secret_that_stands_in_the_address_is_taken_out_of_it(server: FakeServer) -> None:
    with Client(f"{server.url}/index.php?view=api&_akeebaAuth=hidden&method=delete#hidden", SECRET) as client:
        assert "hidden" not in repr(client)
        assert client.get_version().api == 350
    assert all("_akeebaAuth" not in seen.query and seen.method == "getVersion" for seen in server.seen)


def test_a_wrong_secret_is_said_to_be_wrong(server: FakeServer) -> None:
    with Client(server.url, "wrong") as client, pytest.raises(AuthenticationError, match="did not accept"):
        client.get_version()


def test_a_wrong_secret_of_version_1_is_said_to_be_wrong(server: FakeServer) -> None:
    server.versions = (1,)
    with Client(server.url, "wrong") as client, pytest.raises(AuthenticationError):
        client.get_version()


def test_a_server_without_the_api_is_reported_with_what_was_tried(server: FakeServer) -> None:
    server.versions = ()
    with Client(server.url, SECRET) as client:
        with pytest.raises(ProtocolError, match="HTTP 404 and a web page") as caught:
            client.get_version()
        assert SECRET not in str(caught.value)
        assert "version 3" in str(caught.value)


def test_a_server_that_is_not_there_is_reported() -> None:
    with (
        Client("http://127.0.0.1:9", SECRET) as client,
        pytest.raises(ConnectionFailedError, match="cannot be reached"),
    ):
        client.get_version()


@pytest.mark.parametrize("answer", ["", "0", "[]", "null", '{"a":1}', '{"status":405,"data":"Invalid method "}'])
def test_strange_answers_lead_to_the_next_route(server: FakeServer, answer: str) -> None:
    strange = Response(answer, media_type="application/json")
    server.before = lambda seen: strange if "/v3/" in seen.path else None
    with Client(server.url, SECRET) as client:
        assert client.detect().version == 2


@pytest.mark.parametrize(
    "address", ["", "ftp://x", "http://", "http://user:pw@example.com", "http://a:99999", "http://[x"]
)
def test_addresses_that_are_none_are_refused(address: str) -> None:
    with pytest.raises(UsageError):
        Client(address, SECRET)


def test_an_address_without_a_scheme_is_https_unless_it_is_the_own_machine() -> None:
    assert routes("example.com/site")[0][0].url.startswith("https://example.com/site/")
    assert routes("localhost:8117")[0][0].url.startswith("http://localhost:8117/")


@pytest.mark.parametrize("secret", ["", "a\nb", "a\0"])
def test_secrets_that_cannot_travel_are_refused(secret: str) -> None:
    with pytest.raises(UsageError):
        Client("http://127.0.0.1", secret)


def test_a_version_that_the_address_never_answers_is_refused(server: FakeServer) -> None:
    with Client(server.url + "/remote.php", SECRET, version=3) as client, pytest.raises(UsageError, match="version 3"):
        client.get_version()


def test_over_tls_both_clients_know_the_certificate(server: FakeServer, tmp_path: Path) -> None:
    file = tmp_path / "server.pem"
    file.write_bytes(self_signed())

    async def ask(url: str) -> str:
        async with AsyncClient(url, SECRET, verify=str(file)) as client:
            await client.detect()
            return client.certificate

    with running(server, file) as url:
        with Client(url, SECRET, verify=str(file)) as client:
            client.detect()
        assert len(client.certificate) == 64
        assert asyncio.run(ask(url)) == client.certificate
    with Client(server.url, SECRET) as plain:
        plain.detect()
    assert plain.certificate == ""
