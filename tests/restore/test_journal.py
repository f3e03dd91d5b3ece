"""The journal of a restore: on disk before the call returns, read again after a crash, held by one process."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import stat
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from backstay.errors import NotFoundError, RestoreError
from backstay.restore import journal
from backstay.restore.journal import Journal, new_journal, open_journals, read_lines, reopen_journal


@pytest.fixture
def restores(tmp_path: Path) -> Path:
    """The folder of all restores, which is not there yet."""
    return tmp_path / "restores"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def steps(folder: Path) -> list[str]:
    return [line["step"] for line in read_lines(folder)]


def test_a_line_is_on_disk_before_what_it_announces(restores: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, synced = os.fsync, []

    def fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced.append((path.name, steps(path.parent) if path.is_file() else names(path)))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with new_journal(restores) as made:
        assert synced == [("restores", [made.name])]
        synced.clear()
        made.append("begun", target="/srv/é")
        assert synced == [("journal.jsonl", ["begun"]), (made.name, ["journal.jsonl", "lock"])]
        synced.clear()
        made.append("swapped")
        assert synced == [("journal.jsonl", ["begun", "swapped"])]
        assert steps(made.folder) == [line["step"] for line in made.lines] == ["begun", "swapped"]
    (line, _) = read_lines(made.folder)
    assert line["target"] == "/srv/é"
    assert abs(datetime.fromisoformat(line["at"]) - datetime.now(UTC)) < timedelta(minutes=5)
    assert re.search(r"\.\d{3}\+00:00$", line["at"])


def test_the_last_line_of_a_step_is_found_by_what_it_holds(restores: Path) -> None:
    with new_journal(restores) as made:
        for number, database in enumerate(["a", "b", "a"]):
            made.append("loaded", database=database, number=number)
        made.append("swapped")
        found = [made.last("loaded"), made.last("loaded", database="b"), made.last("loaded", database="b", number=2)]
        assert [line and line["number"] for line in found] == [2, 1, None]
        assert made.last("undone") is None


def test_everything_is_private_and_named_by_its_moment(restores: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.umask(0)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        with new_journal(restores) as made, new_journal(restores) as other:
            made.append("begun")
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [restores, *restores.rglob("*")]}
            assert not os.get_inheritable(made.lock)
    finally:
        os.umask(before)
        monkeypatch.undo()
        time.tzset()
    both = [made.name, other.name]
    assert modes == {"restores": 0o700, "journal.jsonl": 0o600, "lock": 0o600} | dict.fromkeys(both, 0o700)
    assert all(re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]{8}", name) for name in both)
    moment = datetime.strptime(made.name[:15], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    assert abs(moment - datetime.now(UTC)) < timedelta(minutes=5)
    assert made.folder == restores / made.name


def test_a_torn_last_line_is_left_out_and_cut_off(restores: Path) -> None:
    with new_journal(restores) as made:
        made.append("begun")
        made.append("loaded")
    path = made.folder / "journal.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"step": "swap')
    assert steps(made.folder) == ["begun", "loaded"]
    with reopen_journal(restores, made.name) as again:
        assert path.read_bytes() == whole
        again.append("undone")
        assert [line["step"] for line in again.lines] == steps(made.folder) == ["begun", "loaded", "undone"]
    path.write_bytes(b'{"step": "be')
    with Journal(made.folder) as empty:
        assert (empty.lines, path.read_bytes()) == ([], b"")


def test_a_damaged_line_is_not_passed_over(restores: Path) -> None:
    with new_journal(restores) as made:
        made.append("begun")
    (made.folder / "journal.jsonl").write_bytes(b'{"step": \n{"step": "swapped"}\n')
    with pytest.raises(RestoreError, match=re.escape(str(made.folder))):
        read_lines(made.folder)


def test_a_line_that_the_disk_has_no_room_for_leaves_the_journal_whole(
    restores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with new_journal(restores) as made:
        made.append("begun")
        with monkeypatch.context() as patch:
            real = os.write
            patch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:5]))
            with pytest.raises(OSError, match="No space left") as caught:
                made.append("swapped")
            assert caught.value.errno == errno.ENOSPC
        assert steps(made.folder) == [line["step"] for line in made.lines] == ["begun"]
        made.append("undone")
        assert steps(made.folder) == ["begun", "undone"]


def test_one_process_holds_a_restore(restores: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, looked = 100.0, 0
    monkeypatch.setattr(time, "monotonic", lambda: now)

    def sleep(seconds: float) -> None:
        nonlocal now, looked
        now += seconds
        looked += 1

    monkeypatch.setattr(time, "sleep", sleep)
    with new_journal(restores) as made:
        made.append("begun")
        with pytest.raises(RestoreError, match=f"restore {made.name} is running"):
            reopen_journal(restores, made.name)
        assert looked > 10
        assert now == pytest.approx(103.0, abs=0.2), "processes of a killed restore get a moment to end"
        made.close()
        assert made.lock == -1
        with reopen_journal(restores, made.name) as again:
            assert again.lock >= 0
        made.close()


def test_a_lock_that_comes_free_in_time_is_taken(restores: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with new_journal(restores) as made:
        made.append("begun")
        monkeypatch.setattr(time, "sleep", lambda _seconds: made.close())
        with reopen_journal(restores, made.name) as again:
            assert again.lines == made.lines


def test_refused_locks_leave_no_file_open(restores: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_PATIENCE_SECONDS", -1.0)
    with new_journal(restores) as made:
        made.append("begun")
        before = names(Path("/proc/self/fd"))
        with pytest.raises(RestoreError, match="running"):
            reopen_journal(restores, made.name)
        assert names(Path("/proc/self/fd")) == before


def test_restores_that_are_not_over_are_listed_oldest_first(restores: Path) -> None:
    assert open_journals(restores) == []
    restores.mkdir()
    for name in ("20260102-000000-aaaaaaaa", "20260101-000000-bbbbbbbb", "20260103-000000-cccccccc"):
        (restores / name).mkdir()
        (restores / name / "journal.jsonl").touch()
    (restores / "20260104-000000-dddddddd").mkdir()
    assert [path.name[:8] for path in open_journals(restores)] == ["20260101", "20260102", "20260103"]


@pytest.mark.parametrize("name", ["nothing", "", "one/../one", "unfinished"])
def test_what_is_no_restore_is_not_opened(restores: Path, name: str) -> None:
    (restores / "one").mkdir(parents=True)
    (restores / "one" / "journal.jsonl").touch()
    (restores / "unfinished").mkdir()
    with pytest.raises(NotFoundError, match="no restore"):
        reopen_journal(restores, name)


def test_a_restore_that_is_over_leaves_nothing(restores: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = new_journal(restores)
    made.append("begun")
    (made.folder / "work").write_text("x")
    real: Any = shutil.rmtree

    def rmtree(path: Path, **options: Any) -> None:
        assert not (path / "journal.jsonl").exists(), "a folder that is half removed must not look unfinished"
        real(path, **options)

    monkeypatch.setattr(shutil, "rmtree", rmtree)
    made.remove()
    assert (names(restores), made.lock) == ([], -1)


def test_a_folder_that_cannot_be_removed_is_left(restores: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: Any, **_options: Any) -> None:
        raise PermissionError

    made = new_journal(restores)
    monkeypatch.setattr(os, "rmdir", refuse)
    made.remove()
    assert made.lock == -1
    os.utime(made.folder, (0, 0))
    with new_journal(restores) as other:
        assert sorted([made.name, other.name]) == names(restores)


def test_what_died_before_its_first_line_is_removed_after_an_hour(restores: Path) -> None:
    ages = {"20260101-000000-aaaaaaaa": 3700, "20260101-000001-bbbbbbbb": 3500, "20260101-000002-cccccccc": 9999,
            "other-files": 9999}  # fmt: skip
    for name, age in ages.items():
        (restores / name).mkdir(parents=True)
        if "cccc" in name:
            (restores / name / "journal.jsonl").write_text(json.dumps({"step": "begun"}) + "\n")
        then = datetime.now(UTC).timestamp() - age
        os.utime(restores / name, (then, then))
    with new_journal(restores) as made:
        assert names(restores) == sorted([made.name, *list(ages)[1:]])
