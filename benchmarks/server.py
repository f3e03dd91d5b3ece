# ruff: noqa: INP001, T201 - a program that prints, not a module of a package
"""How fast the server answers, and how fast it sends a file, beside nginx sending the same file.

The server runs in a process of its own on one core's worth of Python; the client takes another core. Without nginx in
PATH its column stays empty.

    python benchmarks/server.py [--seconds 3] [--size 1000000000] [--downloads 50]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from backstay.jobs.installation import api_secret, open_installation

GOAL_CALLS = 5000
GOAL_SHARE = 0.8
_CONNECTIONS = 8
_BUFFER = 1 << 20
_ROUNDS = 3
_NGINX = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 512; }}
http {{
  access_log off; sendfile on; default_type application/octet-stream;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port}; root {folder}/files; }}
}}
"""


def free_port() -> int:
    """Return a port of loopback that nobody uses."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@contextmanager
def serving(home: Path) -> Iterator[tuple[int, int]]:
    """Run Backstay's server; give its port and process number."""
    command = [sys.executable, "-m", "backstay", "serve", "--quiet", "--port", "0", "--home", str(home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None  # noqa: S101 - it was asked for
            match = re.search(r"http://127\.0\.0\.1:(\d+)", process.stdout.readline())
            if match is None:
                sys.exit("The server did not start.")
            yield int(match[1]), process.pid
        finally:
            process.terminate()


@contextmanager
def nginx(folder: Path) -> Iterator[int | None]:
    """Run nginx over the files of a folder; give its port, or None where it is not installed."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        yield None
        return
    port = free_port()
    (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, port=port))
    folder.chmod(0o755)
    with subprocess.Popen([program, "-c", str(folder / "nginx.conf")], stderr=subprocess.DEVNULL) as process:
        try:
            time.sleep(0.5)
            yield port
        finally:
            process.terminate()


def processor_seconds(process: int) -> float:
    """Return the processor time that a process has used; 0 where the system does not tell."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def calls_answered(port: int, path: str, seconds: float) -> int:
    """Return how many calls are answered in a time, over connections that are kept."""
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n".encode()
    end = time.perf_counter() + seconds

    async def call_on() -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        count = 0
        while time.perf_counter() < end:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            start = head.index(b"content-length: ") + 16
            await reader.readexactly(int(head[start : head.index(b"\r", start)]))
            count += 1
        writer.close()
        return count

    return sum(await asyncio.gather(*[call_on() for _ in range(_CONNECTIONS)]))


def download(port: int, path: str) -> int:
    """Download a file and throw it away; return its bytes, head included."""
    received, buffer = 0, bytearray(_BUFFER)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        while count := connection.recv_into(buffer):
            received += count
    return received


def megabytes_per_second(port: int, path: str) -> float:
    """Return the best of some downloads."""
    best = 0.0
    for _ in range(_ROUNDS):
        begun = time.perf_counter()
        best = max(best, download(port, path) / (time.perf_counter() - begun) / 1e6)
    return best


def memory_of(process: int) -> float:
    """Return the resident MB of a process; 0 where the system does not tell."""
    try:
        match = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process}/status").read_text())
    except OSError:
        return 0.0
    return int(match[1]) / 1000 if match else 0.0


def growth_under_downloads(port: int, path: str, process: int, count: int) -> float:
    """Return by how many MB the server grows while it sends a file to many clients at once."""
    before = highest = memory_of(process)
    threads = [threading.Thread(target=download, args=(port, path)) for _ in range(count)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        highest = max(highest, memory_of(process))
        time.sleep(0.02)
    return highest - before


def make_part(home: Path, folder: Path, size: int) -> tuple[int, str]:
    """Put a record with a large part into a home; return its number and the secret word."""
    part = folder / "part.jpa"
    with part.open("wb") as file:
        for _ in range(0, size, 10_000_000):
            file.write(os.urandom(min(10_000_000, size)))
    with open_installation(home) as installation:
        backups = installation.catalogue.backups
        made = backups.create(profile_id=1, backupstart=datetime.now(UTC), type="full")
        backups.update(
            made.id,
            status="complete",
            absolute_path=str(part),
            archivename=part.name,
            total_size=part.stat().st_size,
            proof={"parts": [{"name": part.name, "size": part.stat().st_size}]},
        )
        return made.id, api_secret(installation)


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--size", type=int, default=1_000_000_000)
    parser.add_argument("--downloads", type=int, default=50)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder, home = Path(place), Path(place) / "home"
        (folder / "files").mkdir()
        number, secret = make_part(home, folder / "files", options.size)
        query = f"/index.php?view=api&_akeebaAuth={secret}&method="
        target = f"{query}downloadDirect&backup_id={number}"
        with serving(home) as (port, process), nginx(folder) as other:
            used, begun = processor_seconds(process), time.perf_counter()
            calls = uvloop.run(calls_answered(port, f"{query}getVersion", options.seconds))
            passed, used = time.perf_counter() - begun, processor_seconds(process) - used
            speed = megabytes_per_second(port, target)
            peer = megabytes_per_second(other, "/part.jpa") if other else 0.0
            growth = growth_under_downloads(port, target, process, options.downloads)
    print(f"getVersion, version 2        {calls / passed:8.0f} calls/s")
    if used:
        print(f"the same, for one whole core {calls / used:8.0f} calls/s   goal {GOAL_CALLS}")
    print(f"downloadDirect               {speed:8.0f} MB/s")
    if peer:
        print(f"the same file from nginx     {peer:8.0f} MB/s      share {speed / peer:.2f}, goal {GOAL_SHARE}")
    print(f"memory for {options.downloads:3d} downloads     {growth:8.1f} MB more")


if __name__ == "__main__":
    main()
