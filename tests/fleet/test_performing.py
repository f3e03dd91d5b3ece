"""Runs of remote sites against Backstay's own server: what comes of one is a backup like any other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from backstay.catalogue import DestinationOptions, RemoteRun
from backstay.jobs.installation import Installation
from backstay.jobs.records import backup_files, read_log
from backstay.jobs.storage import add_destination
from client.real_server import RealServer, serving
from fleet.remote_sites import add_site, performed, record_of
from support.s3 import S3Server

DEADLINE = 120.0


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """Backstay's own server with a site, for all tests of a module."""
    with serving(tmp_path_factory.mktemp("real")) as server:
        server.backstay("profile", "edit", str(server.profile), "--set", "engine.archiver.common.part_size=1048576")
        yield server


@pytest.fixture
def to_s3(installation: Installation, s3_server: S3Server) -> dict[str, str]:
    """Settings of a site whose backups go to the S3 server, and stay nowhere else."""
    place = s3_server.place()
    add_destination(installation, "cloud", place.url, place.secrets, DestinationOptions())
    return {"backstay.storage.destinations": "cloud", "engine.postproc.common.delete_after": "1"}


def records_on(server: RealServer) -> list[dict[str, Any]]:
    """The server's own list."""
    listed: list[dict[str, Any]] = json.loads(server.backstay("list", "--json"))
    return listed


def taken_for(server: RealServer, run: RemoteRun) -> list[dict[str, Any]]:
    """Those of the server's backups that were taken for a run."""
    return [one for one in records_on(server) if run.checkpoint["mark"] in one["comment"]]


def test_a_run_brings_a_backup_here_that_is_proven_against_its_manifest(
    installation: Installation, real: RealServer
) -> None:
    site = add_site(installation, real.url, real.secret, profile=real.profile)
    run = performed(installation, site)
    assert (run.state, run.message) == ("done", f"Backup {run.backup_id} is complete.")
    backup = record_of(installation, run)
    assert (backup.status, backup.machine, backup.filesexist, backup.multipart) == ("complete", "", True, 3)
    assert (backup.proof["level"], backup.proof["ok"]) == ("content", True)
    assert (backup.description, backup.profile_id) == ("nightly", site.profile_id)
    sizes = [file.size for file in backup_files(installation, backup)]
    assert sizes == [one["size"] for one in backup.proof["parts"]]
    assert len(taken_for(real, run)) == 1
    heard = installation.catalogue.sites.get(site.id)
    assert (heard.host, heard.problem) == ("127.0.0.1", "")
    assert heard.heard is not None
    assert "The archive is proven (content)" in read_log(installation, backup)
