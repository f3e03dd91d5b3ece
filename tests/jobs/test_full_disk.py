"""Disks that fill up while a backup is taken."""

from __future__ import annotations

import random
from pathlib import Path

from backstay.jobs import backup_files, get_backup, list_backups, open_installation
from support.backups import begin, finish, make_files, take
from support.disks import small_disk


def test_a_disk_that_fills_up_fails_the_backup_and_leaves_earlier_ones_as_they_were(home: Path, tmp_path: Path) -> None:
    site = make_files(tmp_path / "site")
    with small_disk(tmp_path / "disk", 8) as disk, open_installation(home) as installation:
        first = take(installation, site, akeeba__basic__output_directory=str(disk))
        before = backup_files(installation, first)[0].path.read_bytes()
        (site / "noise").write_bytes(random.Random(1).randbytes(20_000_000))
        state = finish(installation, begin(installation, site, akeeba__basic__output_directory=str(disk)))
        assert "There is no room left to write" in state.error
        assert str(disk) in state.error
        failed = get_backup(installation, state.backup_id)
        assert (failed.status, failed.meta, failed.filesexist) == ("fail", "fail", False)
        assert [path.name for path in disk.iterdir()] == [first.archivename]
        assert backup_files(installation, first)[0].path.read_bytes() == before
        assert [(listed.backup.id, listed.backup.meta) for listed in list_backups(installation)] == [
            (2, "fail"),
            (1, "ok"),
        ]


def test_a_home_on_a_full_disk_fails_the_backup_with_a_sentence(tmp_path: Path) -> None:
    site = make_files(tmp_path / "site")
    (site / "noise").write_bytes(random.Random(1).randbytes(20_000_000))
    with small_disk(tmp_path / "disk", 12) as disk, open_installation(disk / "home") as installation:
        state = finish(installation, begin(installation, site))
        assert "room left" in state.error
        assert list(installation.home.archives.iterdir()) == []
