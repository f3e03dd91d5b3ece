"""The lock of a job's folder: who holds it, what is told of the holder, and what is left when it is gone."""

from __future__ import annotations

import fcntl
import os
import stat
import threading
from pathlib import Path

import pytest

from backstay.jobs import lock


def test_one_holds_the_lock_until_the_file_is_closed(tmp_path: Path) -> None:
    folder = tmp_path / "jobs" / "7"
    assert not lock.is_alive(folder)
    assert lock.noted_at(folder) == 0.0
    descriptor = lock.take(folder)
    assert descriptor is not None
    assert [lock.is_alive(folder), lock.take(folder)] == [True, None]
    assert lock.noted_at(folder) == (folder / "lock").stat().st_mtime
    os.close(descriptor)
    assert not lock.is_alive(folder)
    again = lock.take(folder)
    assert again is not None
    os.close(again)


def test_the_lock_is_private_and_no_program_inherits_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        descriptor = lock.take(tmp_path / "job")
        with lock.exclusive(tmp_path / "other"):
            pass
    finally:
        os.umask(before)
    assert descriptor is not None
    assert not os.get_inheritable(descriptor)
    os.close(descriptor)
    assert stat.S_IMODE((tmp_path / "job").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "job" / "lock", tmp_path / "other")} == {0o600}


def test_the_number_of_the_holder_is_told_while_it_holds(tmp_path: Path) -> None:
    assert lock.process_number(tmp_path) is None
    descriptor = lock.take(tmp_path)
    assert descriptor is not None
    assert lock.process_number(tmp_path) is None, "it has not told it yet"
    lock.note_process(descriptor)
    assert lock.process_number(tmp_path) == os.getpid()
    os.close(descriptor)
    assert lock.process_number(tmp_path) is None, "it is gone, and the number may be another's"
    descriptor = lock.take(tmp_path)
    assert descriptor is not None
    assert lock.process_number(tmp_path) is None, "the next holder is not the one before"
    os.close(descriptor)


def test_what_is_no_number_is_no_process(tmp_path: Path) -> None:
    descriptor = lock.take(tmp_path)
    assert descriptor is not None
    for content in (b"", b"-1", b"12 ", b"x"):
        (tmp_path / "lock").write_bytes(content)
        assert lock.process_number(tmp_path) is None
    os.close(descriptor)


def test_asking_takes_nothing_from_whoever_asks_at_the_same_moment(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    with (tmp_path / "lock").open("rb") as asker:
        fcntl.flock(asker, fcntl.LOCK_SH)
        assert not lock.is_alive(tmp_path)


def test_trying_tells_whether_it_could_be_had_and_gives_it_back(tmp_path: Path) -> None:
    with lock.tried(tmp_path) as first:
        assert first
        with lock.tried(tmp_path) as second:
            assert not second
        assert lock.is_alive(tmp_path), "who did not get it has nothing to give back"
    assert not lock.is_alive(tmp_path)
    with pytest.raises(ValueError, match="on the way"), lock.tried(tmp_path):
        raise ValueError("on the way")
    assert not lock.is_alive(tmp_path)


def test_an_exclusive_lock_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    order: list[str] = []

    def second() -> None:
        with lock.exclusive(path):
            order.append("second")

    with lock.exclusive(path):
        waiting = threading.Thread(target=second)
        waiting.start()
        waiting.join(0.1)
        order.append("first")
    waiting.join(30)
    assert order == ["first", "second"]
