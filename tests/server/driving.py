"""A real server on loopback, and calls to it that are written byte for byte as clients write them."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2

from backstay.api.wire import encode_parameters
from backstay.catalogue import Backup
from backstay.jobs.installation import Installation, api_secret, open_installation
from backstay.server.running import listening_socket, make_server, url_of

ALL = ("read", "backup", "download", "delete", "configure")


@dataclass(frozen=True)
class Reply:
    """An answer, taken apart: HTTP's status, the API's status, the decoded value."""

    http: int
    status: int
    data: Any
    raw: httpx2.Response = field(repr=False)

    @property
    def pair(self) -> tuple[int, Any]:
        """Status and value, as the specification's tables give them."""
        return self.status, self.data


@dataclass
class Driven:
    """A running server and ways to call it."""

    url: str
    secret: str
    installation: Installation
    http: httpx2.Client

    def v2(self, method: str, data: Mapping[str, Any] | None = None, /, verb: str = "GET", **named: Any) -> Reply:
        """Call over version 2 as the vendor's clients do: the secret in the URL, of a POST the rest in the body."""
        given = {**(data or {}), **named}
        fields = [*encode_parameters(given), ("view", "Api"), ("method", method), ("option", "com_akeebabackup")]
        secret = [("_akeebaAuth", self.secret)]
        if verb == "GET":
            return json_reply(self.http.get(f"{self.url}/index.php?{urlencode(secret + fields)}"))
        return json_reply(self.http.post(f"{self.url}/index.php?{urlencode(secret)}", data=dict(fields)))

    def v1(self, method: str, data: Any = None, *, salt: str = "foo", endpoint: str = "/index.php") -> Reply:
        """Call over version 1, RAW."""
        inner = {"challenge": challenge(salt, self.secret), "method": method, "data": data or []}
        return self.v1_text(json.dumps({"encapsulation": 1, "body": json.dumps(inner)}), endpoint=endpoint)

    def v1_text(self, text: str, *, endpoint: str = "/index.php", verb: str = "POST") -> Reply:
        """Send any text as the ``json`` parameter."""
        fields = {"view": "json", "json": text, "format": "raw", "option": "com_akeeba"}
        if verb == "GET":
            return envelope_reply(self.http.get(f"{self.url}{endpoint}?{urlencode(fields)}"))
        return envelope_reply(self.http.post(f"{self.url}{endpoint}", data=fields))

    def v3(self, method: str, headers: Mapping[str, str] | None = None, **data: Any) -> Reply:
        """Call over version 3; with the secret unless other headers are given."""
        sent = {"X-Akeeba-Auth": self.secret} if headers is None else dict(headers)
        fields = encode_parameters(data)
        return json_reply(
            self.http.post(f"{self.url}/api/index.php/v3/akeebabackup/{method}", data=dict(fields), headers=sent)
        )

    def token(self, *scopes: str, name: str = "", expires: datetime | None = None) -> str:
        """Make a token."""
        table = self.installation.catalogue.tokens
        return table.create(name or f"t{time.monotonic_ns()}", scopes, datetime.now(UTC), expires)


def json_reply(response: httpx2.Response) -> Reply:
    """Take apart an answer of version 2 or 3."""
    body = response.json()
    assert list(body) == ["status", "data"]
    assert "###" not in response.text
    return Reply(response.status_code, body["status"], body["data"], response)


def envelope_reply(response: httpx2.Response) -> Reply:
    """Take apart an answer of version 1, RAW."""
    text = response.text
    assert text.startswith("###")
    assert text.endswith("###")
    envelope = json.loads(text[3:-3])
    assert isinstance(envelope["body"]["data"], str)
    return Reply(response.status_code, envelope["body"]["status"], json.loads(envelope["body"]["data"]), response)


def challenge(salt: str, secret: str) -> str:
    """The challenge of version 1, computed on its own."""
    return f"{salt}:{hashlib.md5((salt + secret).encode(), usedforsecurity=False).hexdigest()}"


@contextmanager
def running(installation: Installation) -> Iterator[str]:
    """Run a real server for an installation; give its URL."""
    listening = listening_socket("127.0.0.1", 0)
    server = make_server(installation)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server ended at once"
            time.sleep(0.005)
        yield url_of(listening, encrypted=False)
    finally:
        server.should_exit = True
        thread.join(30)
        listening.close()
        assert not thread.is_alive(), "the server does not end"


@contextmanager
def driven(home: Path, **settings: Any) -> Iterator[Driven]:
    """Run a real server over a home with settings of its own."""
    if settings:
        home.mkdir(parents=True, exist_ok=True)
        lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
        (home / "backstay.toml").write_text("\n".join(["[server]", *lines, ""]))
    with (
        open_installation(home) as installation,
        running(installation) as url,
        httpx2.Client(timeout=30, verify=False) as http,
    ):
        yield Driven(url, api_secret(installation), installation, http)


def make_record(
    installation: Installation,
    contents: Mapping[str, bytes],
    **values: Any,
) -> Backup:
    """Put a complete backup into the catalogue whose parts hold given bytes, the main file last."""
    folder = installation.home.archives
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    main = folder / list(contents)[-1] if contents else folder / "gone.jpa"
    backups = installation.catalogue.backups
    made = backups.create(
        profile_id=1,
        backupstart=datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC),
        type="full",
        description="Before the update",
        origin="json",
        tag="json",
        backupid="id-20240102-030405-678901",
    )
    columns: dict[str, Any] = {
        "status": "complete",
        "backupend": datetime(2024, 1, 2, 3, 4, 35, tzinfo=UTC),
        "archivename": main.name,
        "absolute_path": str(main),
        "multipart": len(contents),
        "total_size": sum(map(len, contents.values())),
        "proof": {"parts": [{"name": name, "size": len(content)} for name, content in contents.items()]},
    }
    backups.update(made.id, **(columns | values))
    found = backups.get(made.id)
    assert found is not None
    return found
