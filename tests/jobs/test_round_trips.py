"""Backups that go to real servers and come back: over the API, in a drill, and on a machine that has nothing else."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import httpx2
import pytest
from blake3 import blake3

from backstay.catalogue import Backup
from backstay.jobs.drill import drill_backup
from backstay.jobs.installation import Installation, api_secret, open_installation
from backstay.jobs.storage_import import import_storage
from backstay.restore import DrillReport
from jobs.stored_commands import PASSWORD, settings_of
from server.driving import running
from support.azure import AzureServer
from support.backups import make_files, take
from support.destinations import Place
from support.ftp import FtpServer
from support.google import GoogleServer
from support.s3 import S3Server
from support.sftp import SftpServer
from support.stored import add_storage, restore_stored, tree
from support.webdav import WebDavServer

SERVERS = ("s3", "webdav", "sftp", "azure", "google", "ftp")
SAMPLE = {("s3", "jpa", 1 << 18), ("webdav", "zip", 0), ("webdav", "jps", 1 << 18), ("sftp", "jpa", 1 << 18)}
CASES = [
    pytest.param(
        kind,
        name,
        size,
        id=f"{kind}-{name}-{'split' if size else 'whole'}",
        marks=[] if (kind, name, size) in SAMPLE else pytest.mark.slow,
    )
    for kind in SERVERS
    for name in ("jpa", "jps", "zip")
    for size in (0, 1 << 18)
]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A small site with some noise in it."""
    root = make_files(tmp_path / "site", 20)
    (root / "noise.bin").write_bytes(random.Random(1).randbytes(600_000))
    return root


@pytest.mark.parametrize(("kind", "format_name", "part_size"), CASES)
def test_a_backup_comes_back_from_a_server_alone(
    request: pytest.FixtureRequest,
    installation: Installation,
    site: Path,
    tmp_path: Path,
    kind: str,
    format_name: str,
    part_size: int,
) -> None:
    server: S3Server | WebDavServer | SftpServer | AzureServer | GoogleServer | FtpServer
    server = request.getfixturevalue(f"{kind}_server")
    place = server.place()
    password = PASSWORD if format_name == "jps" else None
    backup = taken(installation, site, place, settings_of(format_name, part_size))
    assert (backup.multipart > 2) == bool(part_size)
    assert_downloads(installation, backup)
    *_, report = drill_backup(installation, backup.id, password=password)
    assert isinstance(report, DrillReport)
    assert (report.verdict, report.problems) == ("passed", ())
    with open_installation(tmp_path / "bare") as bare:
        add_storage(bare, place)
        (found,) = import_storage(bare, "nas", password).imported
        assert (found.archivename, found.meta, found.total_size) == (backup.archivename, "remote", backup.total_size)
        restore_stored(bare, found.id, tmp_path / "back", password)
    assert list(tree(tmp_path / "back")) == list(tree(site))


def taken(installation: Installation, site: Path, place: Place, settings: dict[str, Any]) -> Backup:
    """Take a backup that is sent to a place, and of which nothing stays here."""
    add_storage(installation, place)
    backup = take(
        installation,
        site,
        **settings,
        backstay__storage__destinations="nas",
        engine__postproc__common__delete_after="1",
    )
    assert (backup.meta, backup.warning_count, installation.catalogue.backups.warnings(backup.id)) == ("remote", 0, [])
    assert list(installation.home.archives.iterdir()) == []
    return backup


def assert_downloads(installation: Installation, backup: Backup) -> None:
    """Fail unless the API gives each part whole, and ranges of it."""
    with running(installation) as url, httpx2.Client(timeout=60, verify=False) as http:
        for number, part in enumerate(backup.proof["parts"], 1):
            fields: dict[str, str | int] = {
                "method": "downloadDirect",
                "backup_id": backup.id,
                "part_id": number,
                "_akeebaAuth": api_secret(installation),
            }
            whole = http.get(f"{url}/index.php", params=fields)
            assert (whole.status_code, blake3(whole.content).hexdigest()) == (200, part["blake3"])
            middle = len(whole.content) // 2
            for asked, wanted in (
                (f"bytes={middle}-{middle + 999}", whole.content[middle : middle + 1000]),
                ("bytes=-7", whole.content[-7:]),
            ):
                piece = http.get(f"{url}/index.php", params=fields, headers={"Range": asked})
                assert (piece.status_code, piece.content) == (206, wanted)
