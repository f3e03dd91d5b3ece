"""Many real servers at once, one worker, the S3 server: every site comes back equal from there."""

from __future__ import annotations

import contextlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from backstay.catalogue import ROOT_KEY, DestinationOptions, Profile, Site
from backstay.jobs.installation import Installation, api_secret, open_installation
from backstay.jobs.remote_runs import queue_run
from backstay.jobs.storage import add_destination
from backstay.queue.foreground import performing
from client.real_server import RealServer, backstay
from fleet.remote_sites import add_site, record_of
from support.s3 import S3Server
from support.serving import ServerProcess

DEADLINE = 1500.0


@pytest.mark.parametrize("count", [3, pytest.param(20, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
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


def made(folder: Path, number: int) -> RealServer:
    """The home of a server that is not started yet, with a profile for a site of its own."""
    home, site = folder / f"server-{number}" / "home", folder / f"server-{number}" / "site"
    (site / "images").mkdir(parents=True)
    (site / "index.html").write_text(f"<h1>site {number}</h1>")
    (site / "images" / "noise.bin").write_bytes(os.urandom(2_000_000 + 1000 * number))
    settings = {ROOT_KEY: str(site), "backstay.site.database": "none", "engine.archiver.common.part_size": "1048576"}
    with open_installation(home) as installation:
        profile = installation.catalogue.profiles.create(Profile(0, f"Site {number}", settings))
        return RealServer("", home, api_secret(installation), profile.id, site)


def started(opened: contextlib.ExitStack, folder: Path, count: int) -> list[RealServer]:
    """Servers, each a process of its own; four are started at a time."""

    def start(server: RealServer) -> RealServer:
        return replace(server, url=opened.enter_context(ServerProcess(server.home)).url)

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(start, [made(folder, number) for number in range(count)]))


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
