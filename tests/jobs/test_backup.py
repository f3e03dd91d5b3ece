"""Taking backups: from the start to the end, stopped, killed and resumed."""

from __future__ import annotations

import json
import logging
import os
import random
import signal
import stat
import time
from pathlib import Path

import pytest

from backstay.archives import open_archive
from backstay.errors import BackupRunningError, ConfigurationError, NotFoundError
from backstay.jobs import lock
from backstay.jobs.backup import acknowledge, start_backup, step_backup
from backstay.jobs.installation import Installation
from backstay.jobs.launch import stop
from backstay.jobs.records import backup_files, delete_backup, get_backup, list_backups, read_log
from backstay.jobs.waiting import resume_unfinished
from support.backups import assert_gives_back, begin, finish, kill, make_files, take


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A small site of files."""
    return make_files(tmp_path / "site")


def job_process(installation: Installation, backup_id: int) -> int:
    """Return the number of a job's process, once it has told it."""
    while (number := lock.process_number(installation.home.job(backup_id))) is None:
        assert lock.is_alive(installation.home.job(backup_id))
        time.sleep(0.005)
    return number


def test_a_backup_comes_to_a_good_end_and_gives_the_site_back(
    installation: Installation, site: Path, tmp_path: Path
) -> None:
    backup = take(installation, site)
    assert (backup.status, backup.meta, backup.error, backup.warning_count) == ("complete", "ok", "", 0)
    assert backup.proof["level"] == "content"
    (file,) = backup_files(installation, backup)
    assert backup.total_size == file.size == backup.proof["parts"][0]["size"]
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert_gives_back(installation, backup.id, site, tmp_path / "back")


@pytest.mark.parametrize("archive_format", ["jpa", "zip"])
def test_a_backup_in_parts_numbers_them_with_the_main_file_last(
    installation: Installation, site: Path, tmp_path: Path, archive_format: str
) -> None:
    (site / "noise").write_bytes(random.Random(1).randbytes(300_000))
    backup = take(
        installation,
        site,
        akeeba__advanced__archiver_engine=archive_format,
        engine__archiver__common__part_size="65536",
    )
    files = backup_files(installation, backup)
    assert [file.part for file in files] == list(range(1, len(files) + 1))
    assert backup.multipart == len(files) > 4
    letter = archive_format[0]
    endings = [file.path.suffix for file in files]
    assert endings == [f".{letter}{number:02d}" for number in range(1, len(files))] + [f".{archive_format}"]
    assert_gives_back(installation, backup.id, site, tmp_path / "back")


def test_nothing_of_the_backup_is_left_in_the_jobs_folder_but_its_report(
    installation: Installation, site: Path
) -> None:
    backup = finish(installation, begin(installation, site))
    # Its process tidies up behind the moment at which the backup is complete.
    while lock.is_alive(installation.home.job(backup.backup_id)):
        time.sleep(0.005)
    job = installation.catalogue.jobs.get(backup.backup_id)
    assert job is not None
    assert job.plan == {}
    assert sorted(path.name for path in installation.home.job(backup.backup_id).iterdir()) == [
        "lock",
        "output",
        "progress.json",
    ]
    assert (installation.home.job(backup.backup_id) / "output").read_bytes() == b""


def test_everything_in_the_home_is_private(installation: Installation, site: Path) -> None:
    finish(installation, begin(installation, site))
    modes = {path: stat.S_IMODE(path.stat().st_mode) & 0o077 for path in installation.home.path.iterdir()}
    assert {path.name for path in modes} >= {"catalogue.sqlite", "key", "archives", "logs", "jobs"}
    assert [str(path) for path, mode in modes.items() if mode and path.is_dir()] == []
    assert stat.S_IMODE(installation.home.path.stat().st_mode) == 0o700


def test_warnings_are_reported_until_a_reply_was_sent_and_kept_in_the_record(
    installation: Installation, site: Path
) -> None:
    os.mkfifo(site / "pipe")
    state = begin(installation, site)
    while not state.warnings:
        state = step_backup(installation, state.backupid)
    # The reply before was not acknowledged: what it told comes again.
    again = step_backup(installation, state.backupid)
    assert set(state.warnings) <= set(again.warnings)
    acknowledge(installation, again)
    final = finish(installation, step_backup(installation, again.backupid))
    assert final.warnings == ()
    assert [message for _n, message in installation.catalogue.backups.warnings(final.backup_id)] == [
        "pipe is a named pipe: it is not in the backup."
    ]
    assert list_backups(installation)[0].backup.warning_count == 1


def test_a_step_after_the_end_says_so_again(installation: Installation, site: Path) -> None:
    state = finish(installation, begin(installation, site))
    again = step_backup(installation, state.backupid)
    assert (again.has_run, again.progress, again.domain, again.step_state) == (False, 100, "finale", "finished")
    assert again.step_number == state.step_number + 1


def test_a_profile_without_a_root_says_what_to_set(installation: Installation) -> None:
    with pytest.raises(ConfigurationError, match=r"Profile 1 has no site yet.*akeeba\.platform\.newroot"):
        start_backup(installation)
    assert list_backups(installation) == []


def test_a_site_that_is_gone_is_named(installation: Installation, site: Path) -> None:
    backup = take(installation, site)
    site.rename(site.with_name("moved"))
    with pytest.raises(NotFoundError, match=str(site)):
        start_backup(installation, profile_id=backup.profile_id)


def test_unknown_profiles_and_backups_are_named(installation: Installation) -> None:
    with pytest.raises(NotFoundError, match="profile 77"):
        start_backup(installation, profile_id=77)
    with pytest.raises(NotFoundError, match="id-1"):
        step_backup(installation, "id-1")


def big_site(tmp_path: Path, size: int = 40_000_000) -> Path:
    """A site whose backup takes long enough to be interrupted."""
    site = make_files(tmp_path / "big")
    noise = random.Random(2)
    for number in range(4):
        (site / f"video-{number}.bin").write_bytes(noise.randbytes(size // 4))
    return site


def test_a_second_backup_of_the_same_profile_is_refused_while_one_runs(
    installation: Installation, tmp_path: Path
) -> None:
    site = big_site(tmp_path)
    state = begin(installation, site)
    pid = job_process(installation, state.backup_id)
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(
            BackupRunningError, match=f"Backup {state.backup_id} of profile {state.profile_id} is running"
        ):
            begin(installation, site)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert finish(installation, state).error == ""


def kill_after(installation: Installation, backup_id: int, seconds: float) -> bool:
    """Kill the process of a job some time after now; return whether there was one."""
    time.sleep(seconds)
    return kill(installation, backup_id)


@pytest.mark.parametrize(
    "archive_format", ["jpa", pytest.param("zip", marks=pytest.mark.slow), pytest.param("jps", marks=pytest.mark.slow)]
)
def test_a_backup_that_is_killed_again_and_again_comes_to_a_good_end(
    installation: Installation, tmp_path: Path, archive_format: str
) -> None:
    site = big_site(tmp_path)
    state = begin(
        installation,
        site,
        akeeba__advanced__archiver_engine=archive_format,
        engine__archiver__jps__key="secret" if archive_format == "jps" else "",
        engine__archiver__common__part_size="10000000",
        backstay__job__attempts="50",
    )
    chance = random.Random(3)
    kills = 0
    for _attempt in range(4):
        kills += kill_after(installation, state.backup_id, chance.uniform(0.0, 0.3))
        resume_unfinished(installation)
    state = finish(installation, state)
    assert state.error == ""
    assert kills > 0
    backup = get_backup(installation, state.backup_id)
    files = backup_files(installation, backup)
    password = "secret" if archive_format == "jps" else None
    assert_gives_back(installation, state.backup_id, site, tmp_path / "back", password)
    assert sorted(path.name for path in installation.home.archives.iterdir()) == sorted(file.name for file in files)


def test_the_server_resumes_dead_backups_when_it_starts(installation: Installation, tmp_path: Path) -> None:
    site = big_site(tmp_path)
    state = begin(installation, site)
    assert kill_after(installation, state.backup_id, 0.0)
    assert resume_unfinished(installation) == [state.backup_id]
    assert resume_unfinished(installation) == []
    assert finish(installation, state).error == ""


def test_a_backup_that_dies_too_often_is_marked_failed_with_the_reason(
    installation: Installation, tmp_path: Path
) -> None:
    site = big_site(tmp_path)
    state = begin(installation, site, backstay__job__attempts="2")
    assert kill_after(installation, state.backup_id, 0.0)
    state = step_backup(installation, state.backupid)
    assert kill_after(installation, state.backup_id, 0.0)
    state = finish(installation, state)
    assert state.error == "Its process died 2 times: see the log, and the system's own."
    backup = get_backup(installation, state.backup_id)
    assert (backup.status, backup.filesexist) == ("fail", False)
    assert list(installation.home.archives.iterdir()) == []


def test_a_backup_that_was_stopped_goes_on_where_it_was(installation: Installation, tmp_path: Path) -> None:
    site = big_site(tmp_path)
    state = begin(installation, site)
    assert stop(installation, state.backup_id)
    assert get_backup(installation, state.backup_id).status == "run"
    assert not stop(installation, state.backup_id)
    assert finish(installation, state).error == ""
    assert_gives_back(installation, state.backup_id, site, tmp_path / "back")


def test_a_running_backup_that_is_deleted_is_stopped_and_leaves_nothing(
    installation: Installation, tmp_path: Path
) -> None:
    state = begin(installation, big_site(tmp_path))
    delete_backup(installation, state.backup_id)
    assert installation.catalogue.backups.get(state.backup_id) is None
    assert list(installation.home.archives.iterdir()) == []
    assert list(installation.home.logs.iterdir()) == []
    assert not installation.home.job(state.backup_id).exists()


def test_an_output_folder_under_the_root_is_left_out_with_a_warning(installation: Installation, site: Path) -> None:
    output = site / "backups"
    backup = take(installation, site, akeeba__basic__output_directory=str(output))
    (file,) = backup_files(installation, backup)
    assert file.path.parent == output
    with open_archive(file.path) as archive:
        assert not [entry.path for entry in archive if entry.path.startswith("backups")]
    ((_number, warning),) = installation.catalogue.backups.warnings(backup.id)
    assert warning.startswith("backups lies under the site's root")


def test_excluded_paths_are_not_in_the_archive(installation: Installation, site: Path) -> None:
    backup = take(installation, site, backstay__scan__exclude="folder 1/\n*.php")
    with open_archive(backup_files(installation, backup)[0].path) as archive:
        paths = {entry.path for entry in archive}
    assert not [path for path in paths if path.startswith("folder 1") or path.endswith(".php")]
    assert "folder 2/file-2.txt" in paths


def test_a_file_only_backup_holds_no_pages_of_a_restoration(installation: Installation, site: Path) -> None:
    backup = take(installation, site, akeeba__basic__backup_type="fileonly")
    with open_archive(backup_files(installation, backup)[0].path) as archive:
        own = {entry.path for entry in archive if entry.path.startswith("installation/")}
    assert {path for path in own if not path.startswith("installation/backstay/")} == set()


def test_the_log_has_the_lines_of_the_reference_engine_and_no_secret(
    installation: Installation, site: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    backup = take(
        installation, site, akeeba__advanced__archiver_engine="jps", engine__archiver__jps__key="S3cret-of-the-archive"
    )
    lines = read_log(installation, backup).split("\r\n")
    assert all(line[8] == "|" and line[26] == "|" for line in lines if line)
    everything = caplog.text + json.dumps(lines)
    for path in installation.home.path.rglob("*"):
        if path.is_file() and path.suffix != ".jps":
            everything += path.read_bytes().decode("utf-8", "replace")
    assert "S3cret-of-the-archive" not in everything


def test_a_full_disk_is_reported_at_the_start(
    installation: Installation, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (site / "huge").open("wb") as file:
        file.truncate(1 << 43)
    state = finish(installation, begin(installation, site))
    assert "MiB free" in state.error
    assert get_backup(installation, state.backup_id).status == "fail"
    assert list(installation.home.archives.iterdir()) == []
