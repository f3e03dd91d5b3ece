"""``backstay serve`` as a user runs it: its one line, its end, its errors, TLS, and backups that had died."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from backstay.jobs.installation import api_secret, open_installation
from server.driving import make_record

COMMAND = [sys.executable, "-m", "backstay"]
LINE = re.compile(r"Backstay \S+ listens on (https?://\S+?);")


@contextmanager
def serving(home: Path, *arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the command on a free port; give the process and the address it says."""
    process = subprocess.Popen(
        [*COMMAND, "serve", "--port", "0", "--home", str(home), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "BACKSTAY_SERVER__WORKER": "false", **environment},
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        match = LINE.match(line)
        assert match, line + (process.stderr.read() if process.stderr else "")
        yield process, match[1]
    finally:
        process.kill()
        process.communicate()


def run(home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments, "--home", str(home)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize("works", ["true", "false"])
def test_it_says_where_it_listens_answers_and_ends(home: Path, works: str) -> None:
    with serving(home, BACKSTAY_SERVER__WORKER=works) as (process, url):
        with open_installation(home) as installation:
            secret = api_secret(installation)
        response = httpx2.get(f"{url}/index.php?method=getVersion&_akeebaAuth={secret}")
        assert response.json()["status"] == 200
        process.send_signal(signal.SIGTERM)
        output, log = process.communicate(timeout=30)
        assert process.returncode == 0
    assert "GET /index.php (getVersion by secret, version 2: 200): 200" in log
    assert secret not in output + log
    assert "Traceback" not in log


def test_the_log_as_json(home: Path) -> None:
    home.mkdir()
    (home / "backstay.toml").write_text('[server]\nlog_format = "json"\n')
    command = [*COMMAND, "serve", "--port", "0", "--home", str(home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            url = json.loads(process.stderr.readline())["url"]
            with open_installation(home) as installation:
                secret = api_secret(installation)
            httpx2.get(f"{url}/index.php?method=getVersion&_akeebaAuth={secret}")
            httpx2.get(f"{url}/index.php?method=getVersion&_akeebaAuth=wrong")
            process.send_signal(signal.SIGTERM)
            output, log = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (output, process.returncode) == ("", 0)
    lines = [json.loads(line) for line in log.splitlines()]
    call = next(line for line in lines if line.get("method") == "getVersion")
    assert (call["level"], call["caller"], call["version"], call["status"]) == ("INFO", "secret", 2, 200)
    assert (call["verb"], call["path"], call["http_status"]) == ("GET", "/index.php", 200)
    assert any(line["level"] == "WARNING" and "log-in" in line["message"] for line in lines)
    assert secret not in log


def test_quiet(home: Path) -> None:
    with serving(home, "--quiet") as (process, url):
        httpx2.get(url)
        process.send_signal(signal.SIGINT)
        _, log = process.communicate(timeout=30)
    assert log == ""


def test_a_port_that_is_taken(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = run(home, "serve", "--port", port)
    assert result.returncode == 1
    assert result.stderr.strip().endswith("is taken by another program: stop it, or choose another port with --port.")
    assert port in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1"])
def test_an_address_that_is_not_of_this_machine(home: Path, host: str) -> None:
    result = run(home, "serve", "--port", "0", "--host", host)
    assert result.returncode == 1
    assert host in result.stderr


def test_a_weak_secret_is_refused(home: Path) -> None:
    result = run(home, "serve", "--port", "0", BACKSTAY_SECRET="password123")
    assert result.returncode == 9
    assert "secret" in result.stderr
    assert "password123" not in result.stderr


def test_a_warning_where_others_can_listen(home: Path) -> None:
    with serving(home, "--host", "0.0.0.0") as (process, _):
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=30)
        assert process.returncode == 0
    assert "without TLS everyone on the way reads the secret word" in " ".join(log.split())


def test_settings_of_the_file(home: Path) -> None:
    home.mkdir()
    (home / "backstay.toml").write_text('[server]\nport = "many"\n')
    result = run(home, "serve")
    assert result.returncode == 9
    assert "server.port" in result.stderr


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate of localhost and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(minutes=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    chain, secret = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return chain, secret


def test_a_download_over_tls(home: Path, certificate: tuple[Path, Path]) -> None:
    content = os.urandom(5 << 20)
    with open_installation(home) as installation:
        secret = api_secret(installation)
        record = make_record(installation, {"site.jpa": content})
    chain, key = certificate
    trust = ssl.create_default_context(cafile=str(chain))
    with serving(home, "--tls-certificate", str(chain), "--tls-key", str(key)) as (_, url):
        assert url.startswith("https://")
        address = url.replace("127.0.0.1", "localhost")
        query = f"method=downloadDirect&backup_id={record.id}&_akeebaAuth={secret}"
        with httpx2.Client(verify=trust) as http:
            assert http.get(f"{address}/index.php?{query}").content == content
            piece = http.get(f"{address}/index.php?{query}", headers={"Range": "bytes=1000000-4000000"})
    assert piece.content == content[1000000:4000001]


def test_a_certificate_without_its_key(home: Path, certificate: tuple[Path, Path]) -> None:
    assert run(home, "serve", "--tls-certificate", str(certificate[0])).returncode == 2
    assert run(home, "serve", "--tls-certificate", "/no/file", "--tls-key", str(certificate[1])).returncode == 3


def test_a_certificate_that_is_none(home: Path, certificate: tuple[Path, Path]) -> None:
    chain, key = certificate
    result = run(home, "serve", "--port", "0", "--tls-certificate", str(key), "--tls-key", str(chain))
    assert result.returncode == 9
    assert str(key) in result.stderr
    assert "Traceback" not in result.stderr


def test_tokens_by_the_command_line(home: Path) -> None:
    made = run(home, "token", "create", "ci", "--scope", "read", "--scope", "backup", "--expires", "90d")
    token = made.stdout.strip()
    assert token.startswith("bst_")
    listed = run(home, "token", "list", "--json")
    assert '"name": "ci"' in listed.stdout
    assert token not in listed.stdout
    with serving(home) as (_, url):

        def status(value: str) -> int:
            reply = httpx2.get(f"{url}/api/v3/akeebabackup/getProfiles", headers={"X-Joomla-Token": value})
            return int(reply.json()["status"])

        assert status(token) == 200
        new = run(home, "token", "regenerate", "ci").stdout.strip()
        assert (status(token), status(new)) == (503, 200)
        assert run(home, "token", "revoke", "ci").returncode == 0
        assert status(new) == 503
    assert run(home, "token", "revoke", "ci").returncode == 3
    assert run(home, "token", "create", "late", "--expires", "2001-01-01").returncode == 2
    assert run(home, "token", "create", "late", "--expires", "soon").returncode == 2


def test_the_secret_by_the_command_line(home: Path) -> None:
    first = run(home, "secret", "show").stdout.strip()
    assert run(home, "secret", "show").stdout.strip() == first
    second = run(home, "secret", "rotate").stdout.strip()
    assert second != first
    assert run(home, "secret", "show", "--json").stdout.strip() == '{\n  "secret": "' + second + '"\n}'
    weak = subprocess.run(
        [*COMMAND, "secret", "rotate", "--ask", "--home", str(home)],
        input="password123\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert weak.returncode == 2
    assert run(home, "secret", "show").stdout.strip() == second
