"""Many real servers at once, one worker, the S3 server: every site comes back equal from there."""

from __future__ import annotations

import contextlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from backstay.catalogue import DestinationOptions, Site
from backstay.jobs.installation import Installation
from backstay.jobs.remote_runs import queue_run
from backstay.jobs.storage import add_destination
from backstay.queue.foreground import performing
from client.real_server import RealServer, backstay, serving
from fleet.remote_sites import add_site, record_of
from support.s3 import S3Server

DEADLINE = 1500.0


@pytest.mark.parametrize("count", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_sites_of_many_real_servers_come_back_equal_from_the_storage(
    installation: Installation, s3_server: S3Server, tmp_path: Path, count: int
) -> None:
    place = s3_server.place()
    add_destination(installation, "cloud", place.url, place.secrets, DestinationOptions())
    with contextlib.ExitStack() as opened:
        servers = started(opened, tmp_path, count)
        sites = [add_one(installation, number, server) for number, server in enumerate(servers)]
        runs = [queue_run(installation, site.profile_id) for site in sites]
        with performing(installation, [run.id for run in runs]):
            deadline = time.monotonic() + DEADLINE
            while installation.catalogue.remote_runs.open() and time.monotonic() < deadline:
                time.sleep(0.2)
    ended = [installation.catalogue.remote_runs.get(run.id) for run in runs]
    assert [run.message for run in ended if run.state != "done"] == []
    for run, server in zip(ended, servers, strict=True):
        backup = record_of(installation, run)
        assert (backup.status, backup.meta, backup.proof["level"]) == ("complete", "remote", "content")
        target = tmp_path / f"back-{backup.id}"
        backstay(installation.home.path, "restore", str(backup.id), "--to", str(target), "--yes")
        assert files_of(target) == files_of(server.site)


def started(opened: contextlib.ExitStack, folder: Path, count: int) -> list[RealServer]:
    """Servers, each with a site of its own; four are started at a time."""

    def start(number: int) -> RealServer:
        (folder / f"server-{number}").mkdir()
        server = opened.enter_context(serving(folder / f"server-{number}"))
        (server.site / "own.bin").write_bytes(os.urandom(100_000 + 1000 * number))
        server.backstay("profile", "edit", str(server.profile), "--set", "engine.archiver.common.part_size=1048576")
        return server

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(start, range(count)))


def add_one(installation: Installation, number: int, server: RealServer) -> Site:
    """A site whose backups go to the storage and stay nowhere else, one at most on its server."""
    settings = {"backstay.storage.destinations": "cloud", "engine.postproc.common.delete_after": "1"}
    return add_site(
        installation,
        server.url,
        server.secret,
        name=f"site-{number}",
        profile=server.profile,
        keep_there=1,
        settings=settings,
    )


def files_of(folder: Path) -> dict[str, bytes]:
    """What a site holds."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
