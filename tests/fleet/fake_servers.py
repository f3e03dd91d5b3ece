"""A thousand servers of the API in one process: real HTTP on loopback, and counts of what each was asked to do.

Each site has a path of its own (``/s17/``), at one of many addresses of 127.0.0.0/8, which stand for hosts. A site with
an even number answers version 3 of the API, one with an odd number version 2 alone, with numbers as text, as the
vendor's older servers do. How a site misbehaves is set while the servers run (``Behaviour``).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import uvicorn
from starlette.types import Receive, Scope, Send

from backstay.api.status import ApiError
from backstay.api.wire import decode_parameters, encode_reply
from backstay.archives import Source, create_archive, pack
from backstay.archives.entries import EntryType

SECRET = "the-secret-of-all-fake-servers-0123456789"
PART_SIZE = 65_536
HTML = b"<!doctype html><title>Maintenance</title><p>We are back soon."
_SILENCE_SECONDS = 600.0


class _LostConnectionError(Exception):
    """The connection is closed without an answer."""


@dataclass
class Behaviour:
    """How a site answers.

    Attributes:
        delay: seconds before each answer.
        steps: calls of ``stepBackup`` until a backup is finished.
        fault: ``""``; ``refuses`` or ``fails``: a start, or a step, is answered with an error; ``silent``: no answer
            comes; ``html``: a web page is answered; ``loses-start``, ``loses-end``: the connection is closed after a
            backup was started, or finished, once for each; ``cuts``: each download breaks once in its middle;
            ``busy``: every third answer is HTTP 503; ``holds``: no backup comes to its end.
    """

    delay: float = 0.0
    steps: int = 2
    fault: str = ""


@dataclass
class Kept:
    """A backup record of a site."""

    id: int
    description: str
    comment: str
    backupid: str
    steps_left: int
    status: str = "run"
    files: bool = True
    told: bool = False
    begun: str = field(default_factory=lambda: f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}")


@dataclass
class Site:
    """One site: what it was asked to do, and the records it keeps."""

    number: int
    behaviour: Behaviour = field(default_factory=Behaviour)
    backups: dict[int, Kept] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    cut: set[tuple[int, int]] = field(default_factory=set)
    requests: int = 0


@dataclass
class Host:
    """One address, behind which many sites are."""

    requests: int = 0
    most_requests: int = 0
    most_backups: int = 0


class FakeServers:
    """All sites, as one application.

    Args:
        count: of sites.
        parts: the archive that each backup is, in the order of its parts: ``.j01`` … and the main file last.
    """

    def __init__(self, count: int, parts: list[bytes]) -> None:
        self.sites = [Site(number) for number in range(count)]
        self.hosts: defaultdict[str, Host] = defaultdict(Host)
        self.running: defaultdict[str, set[int]] = defaultdict(set)
        names = [f"site.j{number:02d}" for number in range(1, len(parts))] + ["site.jpa"]
        # As the vendor's servers list them: the main file is the first part.
        self.parts = list(zip([names[-1], *names[:-1]], [parts[-1], *parts[:-1]], strict=True))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = await _body(receive)
        first, _, rest = scope["path"].lstrip("/").partition("/")
        if first == "control":
            await _answer(send, 200, self._controlled(rest, body))
            return
        host = self.hosts[scope["server"][0]]
        host.requests += 1
        host.most_requests = max(host.most_requests, host.requests)
        try:
            await self._serve(self.sites[int(first[1:])], rest, scope, body, send)
        except _LostConnectionError:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
            raise ConnectionResetError from None
        finally:
            host.requests -= 1

    async def _serve(self, site: Site, path: str, scope: Scope, body: bytes, send: Send) -> None:
        site.requests += 1
        behaviour = site.behaviour
        await asyncio.sleep(behaviour.delay)
        if behaviour.fault == "silent":
            await asyncio.sleep(_SILENCE_SECONDS)
            raise _LostConnectionError
        pairs = [*parse_qsl(scope["query_string"].decode()), *parse_qsl(body.decode())]
        data, headers = decode_parameters(pairs), dict(scope["headers"])
        method = _method(site, path, data)
        if not method or behaviour.fault == "html":
            await _answer(send, 200 if method else 404, HTML, b"text/html")
        elif behaviour.fault == "busy" and site.requests % 3 == 0:
            await _answer(send, 503, HTML, b"text/html")
        elif headers.get(b"x-akeeba-auth", headers.get(b"x-joomla-token")) != SECRET.encode():
            await _answer(send, 200, encode_reply(503, "Access denied"))
        elif method == "downloadDirect":
            await self._download(site, data, headers.get(b"range", b"").decode(), send)
        else:
            await _answer(send, 200, self._reply(site, scope["server"][0], method, data))

    def _reply(self, site: Site, host: str, method: str, data: Mapping[str, Any]) -> bytes:
        try:
            value = getattr(self, f"_{method.lower()}", self._unknown)(site, host, data)
        except ApiError as error:
            return encode_reply(error.status, error.message)
        return encode_reply(200, _as_text(value) if site.number % 2 else value)

    def _unknown(self, site: Site, host: str, data: Mapping[str, Any]) -> Any:
        raise ApiError(405, "Invalid method")

    def _getversion(self, site: Site, host: str, data: Mapping[str, Any]) -> Any:
        return {"api": 600, "component": "10.3.1", "date": "2026-03-01", "edition": "pro"}

    def _getprofiles(self, site: Site, host: str, data: Mapping[str, Any]) -> Any:
        return [{"id": 1, "name": "Default Backup Profile"}]

    def _startbackup(self, site: Site, host: str, data: Mapping[str, Any]) -> Any:
        fault = site.behaviour.fault
        if fault == "refuses":
            raise ApiError(500, "A backup error has occurred: Failed configuration check Q001.")
        for other in site.backups.values():
            if other.status == "run":  # as the vendor's servers do: a start resets what was under way
                self._end(site, host, other, "fail")
                site.counts["interrupted"] += 1
        number = len(site.backups) + 1
        comment, description = str(data.get("comment", "")), str(data.get("description", ""))
        made = Kept(number, description, comment, f"id-{site.number}-{number}", site.behaviour.steps)
        site.backups[number] = made
        site.counts["started"] += 1
        self.running[host].add(site.number)
        self.hosts[host].most_backups = max(self.hosts[host].most_backups, len(self.running[host]))
        if fault == "loses-start":
            raise _LostConnectionError
        return _status(made, has_run=True)

    def _stepbackup(self, site: Site, host: str, data: Mapping[str, Any]) -> Any:
        found = [one for one in site.backups.values() if one.backupid == data.get("backupid") and one.status == "run"]
        if not found:
            raise ApiError(500, "A backup error has occurred: Akeeba Engine detected a problem while saving data.")
        (backup,) = found
        if site.behaviour.fault == "fails":
            self._end(site, host, backup, "fail")
            raise ApiError(500, "A backup error has occurred: The disk of the server is full.")
        backup.steps_left -= site.behaviour.fault != "holds"
        if backup.steps_left > 0:
            return _status(backup, has_run=True)
        self._end(site, host, backup, "complete")
        if site.behaviour.fault == "loses-end":
            raise _LostConnectionError
        return _status(backup, has_run=False)

    def _end(self, site: Site, host: str, backup: Kept, status: str) -> None:
        backup.status = status
        site.counts[status] += 1
        self.running[host].discard(site.number)

    def _listbackups(self, site: Site, host: str, data: Mapping[str, Any]) -> Any:
        first, limit = int(data.get("from") or 0), int(data.get("limit") or 50)
        newest = sorted(site.backups.values(), key=lambda backup: -backup.id)
        return [{**self._record(one), "meta": _meta(one)} for one in newest[first : first + limit]]

    def _getbackupinfo(self, site: Site, host: str, data: Mapping[str, Any]) -> Any:
        backup = _backup(site, data)
        there = backup.files and backup.status == "complete"
        parts = [{"part": n, "name": name, "size": len(part)} for n, (name, part) in enumerate(self.parts, 1)]
        return {**self._record(backup), "filenames": parts if there else []}

    def _delete(self, site: Site, host: str, data: Mapping[str, Any]) -> Any:
        del site.backups[_backup(site, data).id]
        site.counts["deleted"] += 1
        return True

    def _deletefiles(self, site: Site, host: str, data: Mapping[str, Any]) -> Any:
        _backup(site, data).files = False
        site.counts["files deleted"] += 1
        return True

    def _record(self, backup: Kept) -> dict[str, Any]:
        return {
            "id": backup.id,
            "description": backup.description,
            "comment": backup.comment,
            "backupstart": backup.begun,
            "backupend": backup.begun,
            "status": backup.status,
            "origin": "json",
            "type": "full",
            "profile_id": 1,
            "archivename": "site.jpa",
            "absolute_path": "/var/www/backups/site.jpa",
            "multipart": len(self.parts) if len(self.parts) > 1 else 0,
            "tag": "json",
            "backupid": backup.backupid,
            "filesexist": int(backup.files),
            "remote_filename": "",
            "total_size": sum(len(part) for _, part in self.parts),
        }

    async def _download(self, site: Site, data: Mapping[str, Any], asked: str, send: Send) -> None:
        number = int(data.get("part_id") or data.get("part") or 1)
        backup = site.backups.get(int(data.get("backup_id") or 0))
        if backup is None or not backup.files or not 0 < number <= len(self.parts):
            await _answer(send, 500, b"", b"text/html")
            return
        part = self.parts[number - 1][1]
        first, _, last = asked.removeprefix("bytes=").partition("-")
        start, end = int(first or 0), min(int(last or len(part)), len(part) - 1)
        headers = [(b"accept-ranges", b"bytes"), (b"etag", b'"%d"' % backup.id)]
        if asked:
            headers.append((b"content-range", f"bytes {start}-{end}/{len(part)}".encode()))
        piece = part[start : end + 1]
        site.counts["downloaded"] += len(piece)
        if site.behaviour.fault == "cuts" and (backup.id, number) not in site.cut:
            site.cut.add((backup.id, number))
            headers.append((b"content-length", str(len(piece)).encode()))
            await send({"type": "http.response.start", "status": 206 if asked else 200, "headers": headers})
            await send({"type": "http.response.body", "body": piece[: len(piece) // 2], "more_body": True})
            raise ConnectionResetError
        await _answer(send, 206 if asked else 200, piece, b"application/octet-stream", headers)

    def _controlled(self, what: str, body: bytes) -> bytes:
        if what == "set":
            for number, behaviour in json.loads(body).items():
                self.sites[int(number)].behaviour = Behaviour(**behaviour)
        sites = {site.number: dict(site.counts) for site in self.sites}
        hosts = {name: asdict(host) for name, host in self.hosts.items()}
        return json.dumps({"sites": sites, "hosts": hosts}).encode()


def _method(site: Site, path: str, data: Mapping[str, Any]) -> str:
    """Return which method a request asks for; empty: it does not ask the API."""
    route, _, name = path.rpartition("/")
    if site.number % 2 == 0 and route.endswith("/v3/akeebabackup"):
        return name
    if path.endswith("index.php") and "/v3/" not in path and str(data.get("view", "")).lower() == "api":
        return str(data.get("method", ""))
    return ""


def _backup(site: Site, data: Mapping[str, Any]) -> Kept:
    if (found := site.backups.get(int(data.get("backup_id") or 0))) is None:
        raise ApiError(404, "Invalid backup record identifier")
    return found


def _meta(backup: Kept) -> str:
    return {"run": "pending", "fail": "fail"}.get(backup.status, "ok" if backup.files else "obsolete")


def _status(backup: Kept, *, has_run: bool) -> dict[str, Any]:
    return {
        "HasRun": has_run,
        "Domain": "Packing" if has_run else "finale",
        "Step": "",
        "Substep": "",
        "Error": "",
        "Warnings": [],
        "ErrorException": None,
        "Archive": "site.jpa",
        "tag": "json",
        "Progress": 50 if has_run else 100,
        "backupid": backup.backupid,
        "sleepTime": 0,
        "stepNumber": 1,
        "stepState": "running" if has_run else "finished",
        "BackupID": backup.id,
        "Profile": 1,
    }


def _as_text(value: Any) -> Any:
    """Give numbers in records as text, as servers do whose database answers so."""
    if isinstance(value, list):
        return [_as_text(item) for item in value]
    if isinstance(value, dict) and "id" in value:
        return {name: str(item) if type(item) is int else item for name, item in value.items()}
    return value


async def _body(receive: Receive) -> bytes:
    pieces: list[bytes] = []
    while True:
        message = await receive()
        pieces.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(pieces)


async def _answer(
    send: Send,
    status: int,
    body: bytes,
    kind: bytes = b"application/json",
    headers: list[tuple[bytes, bytes]] | None = None,
) -> None:
    named = [(b"content-type", kind), (b"content-length", str(len(body)).encode()), *(headers or [])]
    await send({"type": "http.response.start", "status": status, "headers": named})
    await send({"type": "http.response.body", "body": body})


def make_parts(parts: int) -> list[bytes]:
    """Make a small valid archive of so many parts; the main file is the last."""
    with tempfile.TemporaryDirectory() as folder:
        writer = create_archive(
            Path(folder) / "site.jpa",
            format="jpa",
            work_directory=Path(folder),
            part_size=PART_SIZE if parts > 1 else 0,
        )
        content = os.urandom(max(2_000, PART_SIZE * (parts - 1) - 3_000))
        page = Source("index.php", EntryType.FILE, 0o100644, 1_700_000_000, 5, data=b"<?php")
        noise = Source("images/noise.bin", EntryType.FILE, 0o100644, 1_700_000_000, len(content), data=content)
        for _ in pack(writer, [page, noise]):
            pass
        writer.close()
        found = sorted(Path(folder).glob("site.j*"), key=lambda path: (path.suffix == ".jpa", path.name))
        return [path.read_bytes() for path in found]


class Servers:
    """The servers as a test sees them: addresses of sites, and what was asked of them.

    Attributes:
        count: of sites.
        per_host: sites at each host.
    """

    def __init__(self, count: int, per_host: int, port: int) -> None:
        self.count = count
        self.per_host = per_host
        self._port = port

    def host(self, number: int) -> str:
        """Return the address of the host at which a site is."""
        host = number // self.per_host
        return f"127.1.{host // 250}.{host % 250 + 1}"

    def url(self, number: int) -> str:
        """Return the address of a site."""
        return f"http://{self.host(number)}:{self._port}/s{number}"

    def set(self, behaviours: Mapping[int, Behaviour]) -> None:
        """Let sites behave in a way from now on."""
        self._ask("set", json.dumps({number: asdict(one) for number, one in behaviours.items()}).encode())

    def counts(self) -> tuple[dict[int, Counter[str]], dict[str, dict[str, int]]]:
        """Return what each site was asked to do, and what each host had at the same time at most."""
        found = json.loads(self._ask("counts"))
        return {int(number): Counter(counts) for number, counts in found["sites"].items()}, found["hosts"]

    def _ask(self, what: str, body: bytes | None = None) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/control/{what}", data=body, timeout=60) as reply:
            answer: bytes = reply.read()
        return answer


@contextmanager
def fake_servers(count: int, *, per_host: int = 4, parts: int = 1) -> Iterator[Servers]:
    """Run servers in a process of their own.

    Args:
        count: of sites.
        per_host: sites at each host.
        parts: of each archive.
    """
    command = [sys.executable, __file__, "--sites", str(count), "--parts", str(parts)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield Servers(count, per_host, int(process.stdout.readline()))
        finally:
            process.kill()


def main() -> None:
    """Serve until the process is ended; the port is printed."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--sites", type=int, default=1000)
    parser.add_argument("--parts", type=int, default=1)
    given = parser.parse_args()
    # 127.0.0.0/8 is this machine's as a whole: one socket has all addresses.
    listening = socket.create_server(("0.0.0.0", 0), backlog=2048)
    print(listening.getsockname()[1], flush=True)
    config = uvicorn.Config(
        FakeServers(given.sites, make_parts(given.parts)),
        log_level="critical",
        lifespan="off",
        ws="none",
        access_log=False,
        timeout_keep_alive=30,
    )
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
