"""Backups whose power is cut, or whose process dies, at any moment at which something is made to last."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from backstay import processes
from backstay.archives import open_archive
from backstay.engine import run
from backstay.jobs.backup import prepare_backup
from backstay.jobs.installation import Installation, open_installation
from backstay.jobs.profiles import profile_of_site
from backstay.jobs.records import get_backup
from backstay.jobs.waiting import resume_unfinished
from backstay.jobs.worker import run_job
from support.backups import assert_gives_back, make_files
from support.installers import make_package
from support.power import Disk, PowerCut

FORMS = [
    pytest.param(archive_format, part_size, id=f"{archive_format}-{'split' if part_size else 'whole'}")
    for archive_format in ("jpa", "jps", "zip")
    for part_size in (0, 1_000_000)
]
SAMPLED = 10


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site with small files, a large one that does not shrink and one that does, and a live database."""
    root = make_files(tmp_path / "site", count=12, size=400)
    (root / "alpha.bin").write_bytes(random.Random(5).randbytes(4_500_000))
    (root / "zebra.txt").write_bytes(b"all the same " * 400_000)
    with closing(sqlite3.connect(root / "data.db")) as database:
        database.execute("CREATE TABLE t (x)")
        database.execute("INSERT INTO t VALUES (1)")
        database.commit()
    return root


@pytest.fixture(autouse=True)
def _checkpoint_at_every_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_CHECKPOINT_SECONDS", 0.0)


@pytest.fixture(autouse=True)
def _one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have all work done in this process: a fork would have a disk of its own, not the one that is played here."""
    monkeypatch.setattr(processes, "may_fork", lambda: False)


def prepared(installation: Installation, site: Path, archive_format: str, part_size: int) -> int:
    values = {
        "akeeba.advanced.archiver_engine": archive_format,
        "engine.archiver.common.part_size": part_size,
        "engine.archiver.jps.key": "secret",
        "backstay.archiver.compression": "fast",
    }
    profile = profile_of_site(installation, site, "none")
    return prepare_backup(installation, profile_id=profile.id, overrides=values).id


def ran(home: Path, backup_id: int, cut_at: int | None, *, forgets: bool) -> int | None:
    """Take a backup until the power is cut; return how many moments there were, or None where it was cut."""
    with open_installation(home) as installation:
        disk = Disk(home, installation.home.catalogue)
        disk.cut_at = cut_at
        with pytest.MonkeyPatch.context() as patch:
            disk.install(patch)
            try:
                run_job(installation, backup_id)
            except PowerCut:
                moments = None
            else:
                moments = disk.moments
    if moments is None and forgets:
        disk.come_back()
    disk.close()
    return moments


def battery(home: Path, site: Path, form: tuple[str, int], *, forgets: bool, sampled: int, target: Path) -> None:
    with open_installation(home) as installation:
        moments = ran(home, prepared(installation, site, *form), None, forgets=forgets)
    assert moments is not None
    assert moments > SAMPLED
    chosen = range(1, moments + 1)
    for cut_at in sorted(random.Random(str(form)).sample(chosen, min(sampled, moments))):
        with open_installation(home) as installation:
            backup_id = prepared(installation, site, *form)
        assert ran(home, backup_id, cut_at, forgets=forgets) is None
        # A second cut on the way back, at about the same place.
        ran(home, backup_id, max(1, cut_at // 2), forgets=forgets)
        ran(home, backup_id, None, forgets=forgets)
        with open_installation(home) as installation:
            password = "secret" if form[0] == "jps" else None
            assert_gives_back(installation, backup_id, site, target / str(cut_at), password)
            resume_unfinished(installation)
            assert installation.catalogue.jobs.ended("") == []
            assert not (installation.home.job(backup_id) / "work").exists()


@pytest.mark.parametrize(("archive_format", "part_size"), FORMS[::3] + FORMS[5:])
def test_a_backup_survives_power_cuts_that_forget_what_was_not_synced(
    home: Path, site: Path, tmp_path: Path, archive_format: str, part_size: int
) -> None:
    battery(home, site, (archive_format, part_size), forgets=True, sampled=3, target=tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("forgets", [True, False], ids=["power cut", "death"])
@pytest.mark.parametrize(("archive_format", "part_size"), FORMS)
def test_a_backup_survives_power_cuts_and_deaths_at_thirty_moments(
    home: Path, site: Path, tmp_path: Path, archive_format: str, part_size: int, forgets: bool
) -> None:
    battery(home, site, (archive_format, part_size), forgets=forgets, sampled=30, target=tmp_path)


@pytest.mark.parametrize("forgets", [True, False], ids=["power cut", "death"])
def test_a_database_backup_that_dies_is_made_again(home: Path, tmp_path: Path, forgets: bool) -> None:
    database = tmp_path / "data.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.execute("INSERT INTO t VALUES ('row of the table')")
        connection.commit()
    site = make_files(tmp_path / "site")
    for cut_at in (1, 3, 5):
        with open_installation(home) as installation:
            profile = profile_of_site(installation, site, f"sqlite:///{database}")
            overrides = {"akeeba.basic.backup_type": "dbonly"}
            backup_id = prepare_backup(installation, profile_id=profile.id, overrides=overrides).id
        assert ran(home, backup_id, cut_at, forgets=forgets) is None
        ran(home, backup_id, None, forgets=forgets)
        with open_installation(home) as installation:
            backup = get_backup(installation, backup_id)
            assert (backup.status, backup.error) == ("complete", "")
            assert "row of the table" in Path(backup.absolute_path).read_text()


def test_a_backup_that_dies_among_the_files_of_a_restoration_script_holds_each_once(home: Path, tmp_path: Path) -> None:
    site = make_files(tmp_path / "site", count=3)
    # More than are packed at once, so that a checkpoint comes between them.
    files = {f"installation/lib/{number}.php": b"<?php %d;" % number for number in range(100)}
    values = {"akeeba.advanced.embedded_installer": str(make_package(tmp_path / "brs.jpa", files))}
    places = set()
    for cut_at in range(12, 27, 3):
        with open_installation(home) as installation:
            profile = profile_of_site(installation, site, "none")
            backup_id = prepare_backup(installation, profile_id=profile.id, overrides=values).id
        ran(home, backup_id, cut_at, forgets=True)
        with open_installation(home) as installation:
            job = installation.catalogue.jobs.get(backup_id)
            places.add(job.checkpoint["after"] if job and job.checkpoint else "")
        ran(home, backup_id, None, forgets=True)
        with open_installation(home) as installation:
            backup = get_backup(installation, backup_id)
            assert (backup.status, backup.error) == ("complete", "")
            with open_archive(backup.absolute_path) as archive:
                found = [(entry.path, b"".join(archive.read(entry))) for entry in archive if "/lib/" in entry.path]
        assert sorted(found) == sorted(files.items()), cut_at
    assert any(place.startswith("installation/lib/") for place in places), places
