"""What is particular to destinations behind rclone: keys of servers, secrets, sentences, processes."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

import asyncssh
import pytest

from backstay.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionFailedError,
    NotFoundError,
    StorageError,
)
from backstay.storage import open_destination, parse_address
from backstay.storage.rclone_program import find_rclone
from backstay.storage.rclone_remote import make_remote, obscure
from support.destinations import Place, crypt_place, send
from support.ftp import FtpServer
from support.s3 import free_port
from support.sftp import PASSWORD, SftpServer
from support.webdav import WebDavServer


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small"
    path.write_bytes(b"12345")
    return path


@pytest.mark.parametrize("secret", ["x", "a secret/of the tests", "ü" * 100])
def test_passwords_are_obscured_as_rclone_does(secret: str) -> None:
    revealed = subprocess.run([find_rclone(), "reveal", "--", obscure(secret)], capture_output=True, check=True)
    assert revealed.stdout.decode().rstrip("\n") == secret


def test_a_remote_of_our_own_sees_no_settings_of_the_user_and_shows_no_secret() -> None:
    address, _ = parse_address("webdavs://me@cloud.example/remote.php/dav/files/me/site one")
    remote = make_remote(
        address, {"password": "hidden"}, {"RCLONE_DRY_RUN": "true", "AWS_SECRET_ACCESS_KEY": "x", "HOME": "/h"}
    )
    assert remote.path("a b") == "backstay:site one/a b"
    assert remote.environment["RCLONE_CONFIG_BACKSTAY_URL"] == "https://cloud.example/remote.php/dav/files/me"
    assert remote.environment["RCLONE_CONFIG_BACKSTAY_VENDOR"] == "nextcloud"
    assert not {"RCLONE_DRY_RUN", "AWS_SECRET_ACCESS_KEY"} & set(remote.environment)
    assert "hidden" not in "".join(remote.environment.values()) + repr(remote)


@pytest.mark.parametrize("kind", ["webdav", "sftp"])
def test_a_wrong_password_is_reported_without_it(request: pytest.FixtureRequest, kind: str, small: Path) -> None:
    server: WebDavServer | SftpServer = request.getfixturevalue(f"{kind}_server")
    with open_destination(server.place().url, {"password": "a-wrong-one"}) as destination:
        with pytest.raises(AuthenticationError, match="refuses the credentials") as raised:
            send(destination, "a", small)
        assert "a-wrong-one" not in str(raised.value)


def test_a_private_key_opens_an_sftp_server(sftp_server: SftpServer, small: Path) -> None:
    with open_destination(sftp_server.place().url, {"private_key": sftp_server.user_key}) as destination:
        assert send(destination, "a", small).size == 5


def test_a_server_whose_key_is_another_gets_nothing(sftp_server: SftpServer, small: Path) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    place = sftp_server.place(host_key=" ".join(other.split()[:2]))
    with place.open() as destination, pytest.raises(StorageError, match="shows another key"):
        send(destination, "a", small)


def test_a_server_whose_key_is_unknown_gets_nothing_and_the_sentence_says_what_to_do(
    sftp_server: SftpServer, small: Path, tmp_path: Path
) -> None:
    known = tmp_path / "known_hosts"
    url = f"{sftp_server.place().url.partition('?')[0]}?known_hosts={quote(str(known))}"
    with pytest.raises(ConfigurationError, match="ssh-keyscan"):
        open_destination(url, {"password": PASSWORD})
    known.write_text("")
    sentence = r"is not known here.*ssh-keyscan -p \d+ 127\.0\.0\.1"
    with (
        open_destination(url, {"password": PASSWORD}) as destination,
        pytest.raises(StorageError, match=sentence),
    ):
        send(destination, "a", small)
    known.write_text(f"[127.0.0.1]:{sftp_server.port} {sftp_server.host_key}\n")
    with open_destination(url, {"password": PASSWORD}) as destination:
        assert send(destination, "a", small).size == 5


def test_a_server_that_is_not_there_may_be_tried_again(small: Path) -> None:
    place = Place(f"webdav://me@127.0.0.1:{free_port()}/x", {"password": "p"})
    with place.open() as destination, pytest.raises(ConnectionFailedError, match="try again later"):
        send(destination, "a", small)


def test_what_is_missing_in_the_configuration_of_the_user_is_named(tmp_path: Path) -> None:
    config = tmp_path / "rclone.conf"
    with pytest.raises(ConfigurationError, match="is not there"):
        open_destination(f"rclone:vault:?config={config}")
    config.write_text("")
    with (
        open_destination(f"rclone:vault:?config={config}") as destination,
        pytest.raises(ConfigurationError, match="listremotes"),
    ):
        list(destination.list())


def test_a_remote_that_encrypts_gives_back_what_was_sent(tmp_path: Path, small: Path) -> None:
    there = tmp_path / "there"
    with crypt_place(there, tmp_path / "rclone.conf").open() as destination:
        send(destination, "site/a.jpa", small)
        assert b"".join(destination.stream("site/a.jpa")) == b"12345"
        assert [(file.name, file.size) for file in destination.list()] == [("site/a.jpa", 5)]
    (stored,) = (path for path in there.rglob("*") if path.is_file())
    assert "a.jpa" not in stored.name
    assert b"12345" not in stored.read_bytes()


def test_a_place_that_is_gone_is_not_an_empty_one(webdav_server: WebDavServer) -> None:
    place = webdav_server.place()
    with Place(place.url + "/nothing", place.secrets).open() as destination:
        for prefix in ("", "site/"):
            with pytest.raises(NotFoundError):
                list(destination.list(prefix))


def test_a_file_is_proven_by_the_checksum_of_the_remote(tmp_path: Path, small: Path) -> None:
    (tmp_path / "rclone.conf").write_text(f"[disk]\ntype = alias\nremote = {tmp_path / 'there'}\n")
    (tmp_path / "there").mkdir()
    with open_destination(f"rclone:disk:?config={tmp_path / 'rclone.conf'}") as destination:
        stored = send(destination, "a", small)
    assert stored.proven == "blake3"


def test_rclone_ends_with_the_process_that_started_it(sftp_server: SftpServer, tmp_path: Path) -> None:
    place = sftp_server.place()
    (tmp_path / "large").write_bytes(bytes(20_000_000))
    script = (
        "import sys; from pathlib import Path; from backstay.storage import *\n"
        f"d = open_destination({place.url!r}, {dict(place.secrets)!r})\n"
        f"d.put('a', Path({str(tmp_path / 'large')!r}), options=PutOptions(bandwidth=200_000),\n"
        "      on_resume=lambda t: print(t, flush=True), on_progress=lambda n: print(n, flush=True))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        token = process.stdout.readline().strip()
        process.stdout.readline()
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert children
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    folder = sftp_server.folder / place.url.partition("?")[0].rpartition("/")[2]
    with place.open() as destination:
        assert list(destination.list()) == []
        assert list(folder.iterdir()) != []
        destination.abandon("a", token)
        assert list(folder.iterdir()) == []


@pytest.mark.parametrize("scheme", ["ftp", "ftps"])
def test_a_file_goes_to_an_ftp_server_and_back(
    ftp_server: FtpServer, source: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    if scheme == "ftps":
        with ftp_server.place(scheme).open() as destination, pytest.raises(StorageError, match="not trusted"):
            send(destination, "a", source)
        monkeypatch.setenv("SSL_CERT_FILE", str(ftp_server.certificate))
    with ftp_server.place(scheme).open() as destination:
        assert send(destination, "site/a.jpa", source).size == source.stat().st_size
        assert b"".join(destination.stream("site/a.jpa", 1000)) == source.read_bytes()[1000:]
        assert destination.read("site/a.jpa", 5, 10) == source.read_bytes()[5:15]
        assert [file.name for file in destination.list("site/")] == ["site/a.jpa"]
        destination.delete("site/a.jpa")
        assert list(destination.list()) == []
