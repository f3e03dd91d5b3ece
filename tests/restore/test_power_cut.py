"""Restores whose power is cut whenever something is made to last: wholly old or wholly new, as is asked."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from backstay import processes
from backstay.jobs.installation import open_installation
from backstay.jobs.records import backup_files
from backstay.jobs.restore import (
    begin_restore,
    confirm_restore,
    pending_restores,
    resume_restore,
    run_restore,
    undo_restore,
)
from backstay.restore import RestorePlan, staging
from support.backups import make_files, take
from support.power import Disk, PowerCut

FEW, MANY = 5, 60


@pytest.fixture(autouse=True)
def _one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have all work done in this process: a fork would have a disk of its own, not the one that is played here."""
    monkeypatch.setattr(processes, "may_fork", lambda: False)


@dataclass(frozen=True)
class Ground:
    """A disk with a home, a site that has changed since its backup, and its database beside it."""

    disk: Path
    plan: RestorePlan
    old: dict[str, bytes | str | None]
    new: dict[str, bytes | str | None]

    @property
    def home(self) -> Path:
        return self.disk / "home"

    @property
    def site(self) -> Path:
        return self.disk / "sites" / "site"

    def state(self) -> dict[str, bytes | str | None]:
        return {**content(self.site), "database": dump(self.disk / "sites" / "data.db")}

    def copied(self, to: Path) -> Ground:
        """Copy the disk, so that it can be cut again and again."""
        to.parent.mkdir(exist_ok=True)
        shutil.copytree(self.disk, to, symlinks=True)
        plan = RestorePlan.from_json(
            {
                **self.plan.to_json(),
                "archive": self.plan.archive.replace(str(self.disk), str(to)),
                "target": str(to / "sites" / "site"),
                "databases": dict.fromkeys(self.plan.databases, f"sqlite:///{to}/sites/data.db"),
            }
        )
        return Ground(to, plan, self.old, self.new)


def content(folder: Path) -> dict[str, bytes | str | None]:
    """Return what is in a folder: bytes of files, targets of links, None for folders."""
    found: dict[str, bytes | str | None] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        found[name] = str(path.readlink()) if path.is_symlink() else None if path.is_dir() else path.read_bytes()
    return found


def dump(path: Path) -> str:
    """Return all that is in a SQLite file."""
    with closing(sqlite3.connect(path)) as connection:
        return "\n".join(connection.iterdump())


@pytest.fixture(params=["whole", "merge"])
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Ground:
    strategy: Literal["whole", "merge"] = request.param
    disk = tmp_path / "disk"
    site = make_files(disk / "sites" / "site", count=8, size=300)
    (site / "folder").mkdir()
    (site / "folder" / "page.php").write_text("<?php // as backed up")
    (site / "page").symlink_to("folder/page.php")
    database = disk / "sites" / "data.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript("CREATE TABLE t (x); INSERT INTO t VALUES ('as backed up');")
    (disk / "home").mkdir(mode=0o700)
    with open_installation(disk / "home") as installation:
        backup = take(installation, site, f"sqlite:///{database}")
        archive = backup_files(installation, backup)[-1].path
    new = {**content(site), "database": dump(database)}
    (site / "folder" / "page.php").write_text("<?php // changed since")
    (site / "added.txt").write_text("added since")
    next(path for path in sorted(site.iterdir()) if path.is_file() and path.name != "added.txt").unlink()
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript("UPDATE t SET x = 'changed since'; CREATE TABLE u (y);")
    old = {**content(site), "database": dump(database)}
    if strategy == "merge":
        new = {**new, "added.txt": old["added.txt"]}
    plan = RestorePlan(
        str(archive), str(site), {"site.sql": f"sqlite:///{database}"}, strategy=strategy, existing="replace"
    )
    return Ground(disk, plan, old, new)


def ran(ground: Ground, do: Literal["restore", "resume", "undo", "confirm"], cut_at: int | None) -> int | None:
    """Do a step until the power is cut; return how many moments it had, or None where it was cut."""
    with open_installation(ground.home) as installation:
        disk = Disk(ground.disk, installation.home.catalogue)
        disk.cut_at = cut_at
        moments: int | None = None
        with pytest.MonkeyPatch.context() as patch:
            disk.install(patch)
            patch.setattr(staging, "sync_file_system", disk.sync_all)
            patch.setattr(os, "sync", disk.sync_all)
            with suppress(PowerCut):
                if do == "restore":
                    list(run_restore(begin_restore(installation, ground.plan), pytest.fail))
                elif pending_restores(installation):
                    begun = resume_restore(installation)
                    if do == "resume":
                        list(run_restore(begun, pytest.fail))
                    elif do == "undo":
                        undo_restore(installation, begun, pytest.fail)
                    else:
                        confirm_restore(begun)
                moments = disk.moments
    if moments is None:
        disk.come_back()
    disk.close()
    return moments


def is_pending(ground: Ground) -> bool:
    with open_installation(ground.home) as installation:
        return bool(pending_restores(installation))


def battery(ground: Ground, folder: Path, count: int) -> None:
    moments = ran(ground.copied(folder / "whole"), "restore", None)
    assert moments is not None
    assert moments > FEW
    chosen = sorted(random.Random(ground.plan.strategy).sample(range(1, moments + 1), min(count, moments)))
    for number, cut_at in enumerate(chosen):
        one = ground.copied(folder / str(cut_at))
        assert ran(one, "restore", cut_at) is None
        ending: Literal["resume", "undo"] = "undo" if number % 2 else "resume"
        begun = is_pending(one)
        # A second cut on the way, then to the end.
        ran(one, ending, max(1, cut_at // 3))
        ran(one, ending, None)
        if not begun:
            assert one.state() == one.old, f"cut at {cut_at} of {moments}, before anything was begun"
            continue
        assert one.state() == (one.new if ending == "resume" else one.old), f"cut at {cut_at} of {moments}, {ending}"
        ran(one, "confirm", 3)
        ran(one, "confirm", None)
        assert one.state() == (one.new if ending == "resume" else one.old), f"cut at {cut_at}, confirmed"
        assert not is_pending(one)
        assert sorted(path.name for path in (one.disk / "sites").iterdir()) == ["data.db", "site"]


def test_a_restore_survives_power_cuts(ground: Ground, tmp_path: Path) -> None:
    battery(ground, tmp_path / "copies", FEW)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_a_restore_survives_power_cuts_at_every_moment(ground: Ground, tmp_path: Path) -> None:
    battery(ground, tmp_path / "copies", MANY)
