"""A restore straight from a server: staged while it downloads, and taken up where it broke off."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from backstay.client import Client
from backstay.demo.compare import compare_trees
from backstay.jobs.installation import open_installation
from backstay.jobs.restore import pending_restores
from server.driving import Driven, driven
from support.backups import make_files, take
from support.commands import backstay
from support.slow_link import SlowLink, slow_link

RATE = 5e6
PASSWORD = "of the archive"


@dataclass
class Ground:
    """A site with its backup on a server that is reached over a slow link, and a home of our own."""

    server: Driven
    link: SlowLink
    site: Path
    target: Path
    home: Path

    def back_up(self, **settings: Any) -> int:
        """Take a backup on the server; return the size of its archive."""
        backup = take(self.server.installation, self.site, **settings)
        return int(backup.total_size)

    def environment(self) -> dict[str, str]:
        """Return the variables of a restore."""
        return {
            "BACKSTAY_HOME": str(self.home),
            "BACKSTAY_SECRET": self.server.secret,
            "BACKSTAY_PASSWORD": PASSWORD,
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Run ``backstay restore``."""
        command = [sys.executable, "-m", "backstay", "restore", *arguments]
        return subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **self.environment()},
            stdin=subprocess.DEVNULL,
        )

    def restore(self, *arguments: str, code: int = 0) -> str:
        """Run ``backstay restore`` to its end; return what it prints, errors where they are expected."""
        done = backstay("restore", *arguments, environment=self.environment())
        assert done.returncode == code, done.stderr
        return done.stderr if code else done.stdout

    def staged(self) -> list[Path]:
        """Return the files that wait beside the target."""
        return [path for path in self.target.parent.glob(".target.backstay-*/new/target/**/*") if path.is_file()]

    def pending(self) -> list[str]:
        """Return the states of the restores that are not over."""
        with open_installation(self.home) as installation:
            return [one.state for one in pending_restores(installation)]


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    site = make_files(tmp_path / "site")
    chance = random.Random(7)
    for number in range(40):
        (site / f"picture-{number:02d}.jpg").write_bytes(chance.randbytes(150_000))
    (tmp_path / "there").mkdir()
    with driven(tmp_path / "there" / "home") as server, slow_link(server.url, RATE) as link:
        yield Ground(server, link, site, tmp_path / "target", tmp_path / "here")


def wait_for(condition: Any, running: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < until
        time.sleep(0.01)


def assert_is_there(ground: Ground) -> None:
    assert compare_trees(ground.site, ground.target).differences == []
    assert ground.pending() == []
    assert list((ground.home / "restores").iterdir()) == []
    assert not list(ground.target.parent.glob(".target*"))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"engine__archiver__common__part_size": str(1 << 20)},
        {"akeeba__advanced__archiver_engine": "jps", "engine__archiver__jps__key": PASSWORD},
    ],
    ids=["jpa", "split jpa", "jps"],
)
def test_files_are_staged_while_the_archive_arrives(ground: Ground, settings: dict[str, Any]) -> None:
    size = ground.back_up(**settings)
    running = ground.start(ground.link.url, "--to", str(ground.target), "--json")
    wait_for(lambda: len(ground.staged()) >= 10, running)
    assert ground.link.passed < size * 0.9
    early = {path.name: path.stat().st_ino for path in ground.staged()[:10]}
    out, err = running.communicate(timeout=120)
    assert running.returncode == 0, err
    report = json.loads(out)
    assert_is_there(ground)
    # They were kept, not written again.
    found = {path.name: path.stat().st_ino for path in ground.target.rglob("*")}
    assert early.items() <= found.items()
    archive = max(ground.server.installation.home.archives.glob("*.jp[as]"))
    here = json.loads(ground.restore(str(archive), "--to", str(ground.target.with_name("other")), "--json"))
    assert (report["files"], report["bytes"]) == (here["files"], here["bytes"])


@pytest.mark.parametrize("options", [(), ("--connections", "4"), ("--only", "picture-0*")], ids=str)
def test_what_cannot_be_staged_early_is_restored_all_the_same(ground: Ground, options: tuple[str, ...]) -> None:
    ground.back_up(akeeba__advanced__archiver_engine="zip", engine__archiver__common__part_size=str(2 << 20))
    ground.restore(ground.link.url, "--to", str(ground.target), *options)
    if "--only" not in options:
        assert_is_there(ground)
    else:
        assert {path.name for path in ground.target.iterdir()} == {f"picture-{number:02d}.jpg" for number in range(10)}


def test_a_download_that_breaks_off_goes_on_where_it_was(ground: Ground) -> None:
    size = ground.back_up()
    ground.link.cut(size // 2)
    reported = ground.restore(ground.link.url, "--to", str(ground.target), code=6)
    assert "Nothing was replaced: 'backstay restore --resume" in reported
    assert ground.pending() == ["staging"]
    assert not ground.target.exists()
    ground.link.cut(None)
    before = ground.link.passed
    ground.restore("--resume")
    assert ground.link.passed - before < size * 0.75
    assert_is_there(ground)


def test_a_restore_that_is_killed_while_it_downloads_goes_on_where_it_was(ground: Ground) -> None:
    ground.back_up()
    for _ in range(2):
        running = ground.start(*(("--resume",) if ground.pending() else (ground.link.url, "--to", str(ground.target))))
        begun = len(ground.staged()) if ground.pending() else 0
        wait_for(lambda: len(ground.staged()) > 5 and ground.link.passed > 2e6, running)
        running.send_signal(signal.SIGKILL)
        running.communicate()
        del begun
    assert not ground.target.exists()
    ground.restore("--resume")
    assert_is_there(ground)


def test_a_restore_that_is_killed_while_it_downloads_is_taken_back(ground: Ground) -> None:
    ground.back_up()
    ground.target.mkdir()
    (ground.target / "mine.txt").write_text("mine")
    running = ground.start(ground.link.url, "--to", str(ground.target), "--yes")
    wait_for(lambda: len(ground.staged()) > 5, running)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    ground.restore("--undo")
    assert [path.name for path in ground.target.iterdir()] == ["mine.txt"]
    assert ground.pending() == []
    assert not list(ground.target.parent.glob(".target*"))


def test_what_may_be_replaced_is_asked_about_before_anything_is_downloaded(ground: Ground) -> None:
    size = ground.back_up()
    ground.target.mkdir()
    (ground.target / "mine.txt").write_text("mine")
    reported = ground.restore(ground.link.url, "--to", str(ground.target), code=2)
    assert "replaces all that is in" in reported
    assert ground.link.passed < size / 10
    assert ground.pending() == []


def test_an_archive_that_was_damaged_on_the_server_changes_nothing(ground: Ground) -> None:
    ground.back_up()
    (archive,) = ground.server.installation.home.archives.glob("*.jpa")
    with archive.open("r+b") as file:
        file.seek(archive.stat().st_size // 2)
        file.write(bytes(64))
    reported = ground.restore(ground.link.url, "--to", str(ground.target), code=11)
    assert "picture-" in reported
    assert not ground.target.exists()
    assert ground.pending() == []


def test_a_dry_run_downloads_reports_and_leaves_nothing(ground: Ground) -> None:
    ground.back_up()
    assert "Nothing was changed." in ground.restore(ground.link.url, "--to", str(ground.target), "--dry-run")
    assert not ground.target.exists()
    assert list((ground.home / "restores").iterdir()) == []


def test_a_backup_that_is_gone_from_the_server_meanwhile_is_reported(ground: Ground) -> None:
    ground.back_up()
    running = ground.start(ground.link.url, "--to", str(ground.target))
    wait_for(lambda: len(ground.staged()) > 5, running)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    with Client(ground.server.url, ground.server.secret) as client:
        client.delete_files(1)
    reported = ground.restore("--resume", code=3)
    assert "--undo ends it" in reported
    ground.restore("--undo")
    assert ground.pending() == []
