"""Processes that are started before it is known which backup they take."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backstay.jobs import job_process, lock
from backstay.jobs.installation import Installation
from support.backups import assert_gives_back, begin, finish, make_files, make_files_and_noise


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    """Let no test leave a process to the next."""
    yield
    assert job_process._prepared == []


def test_a_process_that_was_started_beforehand_takes_the_backup(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_files_and_noise(tmp_path / "site")
    monkeypatch.setenv("BACKSTAY_SECRET", "0123456789-secret-word")
    job_process.prepare()
    ((process, _),) = job_process._prepared
    assert b"0123456789-secret-word" not in Path(f"/proc/{process.pid}/environ").read_bytes()
    state = begin(installation, site)
    folder = installation.home.job(state.backup_id)
    assert lock.process_number(folder) in (process.pid, None)  # it may have ended
    assert finish(installation, state).error == ""
    assert process.wait(100) == 0
    assert_gives_back(installation, state.backup_id, site, tmp_path / "back")


def test_where_it_died_meanwhile_another_takes_the_backup(installation: Installation, tmp_path: Path) -> None:
    job_process.prepare()
    ((process, _),) = job_process._prepared
    process.kill()
    process.wait()
    assert finish(installation, begin(installation, make_files(tmp_path / "site", count=3))).error == ""


def test_it_ends_with_whoever_started_it_and_took_no_backup() -> None:
    program = "from backstay.jobs import job_process as j; j.prepare(); print(j._prepared[0][0].pid)"
    started = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    deadline = time.monotonic() + 100
    while _is_a_worker(int(started.stdout)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _is_a_worker(number: int) -> bool:
    try:
        return b"backstay.jobs.worker" in Path(f"/proc/{number}/cmdline").read_bytes()
    except OSError:
        return False
