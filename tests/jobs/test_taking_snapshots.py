"""Backups into a repository: what is in them, what is read for them, what they cost."""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from backstay.archives.content import FileContent, read_file
from backstay.databases import DatabaseAddress
from backstay.errors import ConfigurationError, NotFoundError
from backstay.jobs.installation import Installation
from backstay.jobs.records import get_backup
from backstay.jobs.repositories import opened_repository
from backstay.jobs.worker import run_job
from backstay.repository import seen, taking
from backstay.repository.checking import check
from backstay.repository.pruning import prune
from support.backups import make_files
from support.jobs import prepare
from support.mysql import MySQLServer
from support.restores import restore
from support.snapshots import (
    NAME,
    assert_snapshot_gives_back,
    assert_sound,
    exported,
    make_repository,
    row_of,
    take_into,
)

OLD = 1_700_000_000


class Reads:
    """The files that were read, by name."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: list[str] = []

        def counted(path: str, expected: int, mtime: int) -> FileContent | None:
            self.names.append(Path(path).name)
            return read_file(path, expected, mtime)

        monkeypatch.setattr(taking, "read_file", counted)

    def taken(self) -> list[str]:
        """Give the names since this was asked last."""
        names, self.names = sorted(self.names), []
        return names


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    """What is read of the site."""
    return Reads(monkeypatch)


@pytest.fixture
def _aged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of this very moment count as old: nobody touches them in the same tick."""
    monkeypatch.setattr(taking, "may_change_unseen", lambda _status, _now: False)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A small site with some of everything, one large file, and one that is cut."""
    root = make_files(tmp_path / "site", count=30)
    (root / "large.bin").write_bytes(random.Random(1).randbytes(6_000_000))
    (root / "cut.bin").write_bytes(random.Random(2).randbytes(2_500_000))
    (root / ".htaccess").write_bytes(b"deny\n")
    (root / "none.txt").write_bytes(b"")
    return root


@pytest.fixture(params=[None, "a long passphrase"], ids=["plain", "encrypted"])
def house(request: pytest.FixtureRequest, installation: Installation) -> str:
    """The repository, not encrypted and encrypted."""
    return make_repository(installation, passphrase=request.param)


@pytest.fixture
def plain_house(installation: Installation) -> str:
    """The repository, not encrypted."""
    return make_repository(installation)


@pytest.mark.usefixtures("_aged", "house")
@pytest.mark.parametrize("settings", [{}, {"akeeba__advanced__archiver_engine": "zip"}], ids=["jpa", "zip"])
def test_what_has_not_changed_is_not_read_and_comes_back_equal(
    installation: Installation, site: Path, tmp_path: Path, reads: Reads, settings: dict[str, Any]
) -> None:
    first = take_into(installation, site, **settings)
    assert len(reads.taken()) == 34
    again = take_into(installation, site, **settings)
    assert reads.taken() == []
    (site / "folder 1/file-1.txt").write_bytes(b"changed")
    (site / "folder 1/file-1.txt").chmod(0o600)
    (site / "new").mkdir()
    (site / "new/file").write_bytes(b"new")
    (site / "folder 2/file-2.txt").unlink()
    third = take_into(installation, site, **settings)
    assert reads.taken() == ["file", "file-1.txt"]
    for backup in (first, again, third):
        row = row_of(installation, backup.id)
        assert backup.filesexist
        assert backup.total_size == sum(part.size for part in row.parts) > 8_000_000
        assert row.parts[-1].name == backup.archivename
    assert row_of(installation, again.id).added < row_of(installation, first.id).added / 500
    assert_snapshot_gives_back(installation, third.id, site, tmp_path / "back")
    assert_sound(installation, {row_of(installation, one.id).snapshot for one in (first, again, third)})


@pytest.mark.usefixtures("plain_house")
def test_parts_are_those_of_the_profile(installation: Installation, site: Path, tmp_path: Path) -> None:
    backup = take_into(installation, site, engine__archiver__common__part_size=2_000_000)
    row = row_of(installation, backup.id)
    assert backup.multipart == len(row.parts) > 3
    assert all(part.size <= 2_000_000 for part in row.parts)
    assert (row.form["format"], row.form["part_size"]) == ("jpa", 2_000_000)
    assert backup.proof["repository"] == NAME
    assert list(installation.home.archives.iterdir()) == []
    assert_snapshot_gives_back(installation, backup.id, site, tmp_path / "back")


# ---------------------------------------------------------------------- what a change is known by


def _in_place(path: Path) -> None:
    """Write other content of the same length into the same file, and give it its old time back."""
    times = path.stat()
    path.write_bytes(path.read_bytes()[::-1])
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def _renamed_over(path: Path) -> None:
    """Put another file of the same size and time in its place."""
    times, content = path.stat(), path.read_bytes()[::-1]
    beside = path.with_name("beside")
    beside.write_bytes(content)
    os.utime(beside, ns=(times.st_atime_ns, times.st_mtime_ns))
    beside.replace(path)


def _made_anew(path: Path) -> None:
    """Delete it and make another, which gets the same inode on many file systems, with the same size and time."""
    times, content = path.stat(), path.read_bytes()[::-1]
    path.unlink()
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def _restored_older(path: Path) -> None:
    """Put an older version of the same size back, with its older time."""
    path.write_bytes(path.read_bytes()[::-1])
    os.utime(path, (OLD - 5000, OLD - 5000))


def _swapped(path: Path) -> None:
    """Exchange it with another of the same size and time."""
    other = path.with_name("other.txt")
    path.rename(path.with_name("aside"))
    other.rename(path)
    path.with_name("aside").rename(other)


@pytest.mark.usefixtures("_aged", "plain_house")
@pytest.mark.parametrize("change", [_in_place, _renamed_over, _made_anew, _restored_older, _swapped])
def test_content_that_changes_behind_the_same_size_and_time_is_noticed(
    installation: Installation, site: Path, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    path = site / "folder 3/file-3.txt"
    (site / "folder 3/other.txt").write_bytes(path.read_bytes()[::-1])
    for one in path.parent.iterdir():
        os.utime(one, (OLD, OLD))
    take_into(installation, site)
    before = path.read_bytes()
    change(path)
    assert path.read_bytes() == before[::-1] != before
    backup = take_into(installation, site)
    assert_snapshot_gives_back(installation, backup.id, site, tmp_path / "back")


@pytest.mark.usefixtures("plain_house")
def test_a_file_touched_just_before_the_last_backup_is_read_until_its_time_is_past(
    installation: Installation, site: Path, reads: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = max(path.lstat().st_ctime_ns for path in site.rglob("*"))
    monkeypatch.setattr(time, "time_ns", lambda: made + 1_000_000)
    take_into(installation, site)
    reads.taken()
    # All files were made a moment ago: whatever was written in the same tick would not show.
    take_into(installation, site)
    assert len(reads.taken()) == 34
    monkeypatch.setattr(time, "time_ns", lambda: made + 60_000_000_000)
    take_into(installation, site)
    assert len(reads.taken()) == 34
    take_into(installation, site)
    assert reads.taken() == []


def test_a_moment_is_fresh_for_two_seconds_and_a_time_in_the_future_is_not(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"")
    changed = path.stat().st_ctime_ns
    os.utime(path, (OLD, OLD))
    changed = path.stat().st_ctime_ns
    assert seen.may_change_unseen(path.stat(), changed)
    assert seen.may_change_unseen(path.stat(), changed + 1_900_000_000)
    assert not seen.may_change_unseen(path.stat(), changed + 2_100_000_000)
    assert seen.may_change_unseen(path.stat(), changed - 9_000_000_000)
    os.utime(path, (4 * OLD // 2, 4 * OLD // 2))
    assert not seen.may_change_unseen(path.stat(), changed + 5_000_000_000)


@pytest.mark.usefixtures("_aged", "plain_house")
def test_links_folders_modes_and_times_that_change_are_noticed(
    installation: Installation, site: Path, tmp_path: Path
) -> None:
    (site / "target.txt").write_bytes(b"x")
    (site / "to-file").symlink_to("target.txt")
    (site / "emptied").mkdir()
    (site / "emptied/only").write_bytes(b"1")
    take_into(installation, site)
    (site / "target.txt").chmod(0o600)
    (site / "link").unlink()
    (site / "link").symlink_to("folder 2")
    (site / "emptied/only").unlink()
    (site / "empty/first").write_bytes(b"2")
    (site / "folder 4").chmod(0o711)
    os.utime(site / "folder 5", (OLD, OLD))
    os.setxattr(site / "none.txt", "user.note", b"kept")
    backup = take_into(installation, site)
    assert_snapshot_gives_back(installation, backup.id, site, tmp_path / "back")


@pytest.mark.usefixtures("_aged", "plain_house")
def test_a_live_sqlite_database_is_copied_each_time(installation: Installation, site: Path, reads: Reads) -> None:
    with closing(sqlite3.connect(site / "data.db")) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE t (x)")
        database.commit()
        take_into(installation, site)
        database.execute("INSERT INTO t VALUES (1)")
        database.commit()
        reads.taken()
        backup = take_into(installation, site)
        assert len(reads.taken()) == 1
    row = row_of(installation, backup.id)
    assert row.added > 0


@pytest.mark.usefixtures("_aged", "plain_house")
def test_all_is_read_where_that_is_asked_for_and_a_share_each_day_in_any_case(
    installation: Installation, site: Path, tmp_path: Path, reads: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_into(installation, site)
    reads.taken()
    take_into(installation, site, backstay__repository_read_all=1)
    names = reads.taken()
    assert len(names) == 34
    day = seen.today()
    read: list[str] = []
    shares = []
    for later in range(1, 8):
        monkeypatch.setattr(seen, "today", lambda later=later: day + later)
        for turn in range(2):
            take_into(installation, site, backstay__repository_reread_days=7)
            found = reads.taken()
            assert not (turn and found)
            read += found
            shares.append(len(found))
    assert sorted(read) == names
    assert max(shares) < 20
    backup = take_into(installation, site)
    assert_snapshot_gives_back(installation, backup.id, site, tmp_path / "back")


@pytest.mark.usefixtures("_aged", "plain_house")
@pytest.mark.parametrize("harm", ["cut", "flipped", "gone", "of another repository", "empty"])
def test_notes_of_the_last_backup_that_are_damaged_are_not_believed(
    installation: Installation, site: Path, tmp_path: Path, reads: Reads, harm: str
) -> None:
    take_into(installation, site)
    (notes,) = [
        path
        for path in (installation.home.repositories / NAME / "seen").iterdir()
        if path.suffix != ".packs" and not path.name.startswith(".")
    ]
    content = bytearray(notes.read_bytes())
    if harm == "gone":
        notes.unlink()
    elif harm == "of another repository":
        notes.write_bytes(content.replace(content[8 + 24 : 8 + 24 + 30], bytes(30), 1))
    elif harm == "flipped":
        content[-40] ^= 1
        notes.write_bytes(content)
    else:
        notes.write_bytes(content[: -(len(content) // 3)] if harm == "cut" else b"")
    reads.taken()
    backup = take_into(installation, site)
    assert len(reads.taken()) == 34
    assert_snapshot_gives_back(installation, backup.id, site, tmp_path / "back")


@pytest.mark.usefixtures("_aged", "plain_house")
def test_a_chunk_that_is_damaged_is_stored_anew_from_a_file_that_did_not_change(
    installation: Installation, site: Path, tmp_path: Path, reads: Reads
) -> None:
    take_into(installation, site)
    pack = max((installation.home.repositories / NAME / "files/packs").iterdir(), key=lambda path: path.stat().st_size)
    content = bytearray(pack.read_bytes())
    content[len(content) // 2] ^= 1
    pack.write_bytes(content)
    with opened_repository(installation, NAME) as repository:
        assert not check(repository, read_data=1.0).ok
    reads.taken()
    backup = take_into(installation, site)
    assert len(reads.taken()) <= 1
    with opened_repository(installation, NAME) as repository:
        check(repository, read_data=1.0)
    assert_snapshot_gives_back(installation, backup.id, site, tmp_path / "back")


@pytest.mark.usefixtures("_aged", "plain_house")
def test_what_is_not_in_the_repository_any_more_is_read_again(
    installation: Installation, site: Path, tmp_path: Path, reads: Reads
) -> None:
    first = take_into(installation, site)
    (site / "large.bin").unlink()
    take_into(installation, site)
    with opened_repository(installation, NAME) as repository:
        # A prune moves what is needed into new packs.
        repository.remove_snapshot(row_of(installation, first.id).snapshot)
        for _ in range(2):
            prune(repository)
    installation.catalogue.snapshots.delete(first.id)
    reads.taken()
    moved = take_into(installation, site)
    assert reads.taken() == []
    assert_snapshot_gives_back(installation, moved.id, site, tmp_path / "back")
    for path in (installation.home.repositories / NAME / "files/packs").iterdir():
        path.unlink()
    lost = take_into(installation, site)
    assert len(reads.taken()) == 33
    assert_snapshot_gives_back(installation, lost.id, site, tmp_path / "back")


# ---------------------------------------------------------------------- databases


def _fill(server: MySQLServer, name: str, rows: int) -> None:
    noise = random.Random(3)
    server.execute("CREATE TABLE posts (id INT PRIMARY KEY, title VARCHAR(80), body TEXT) ENGINE=InnoDB", name)
    with server.connect(name) as connection, connection.cursor() as cursor:
        values = [(number * 2, f"title {noise.random()}", f"text {noise.random()} " * 6) for number in range(rows)]
        cursor.executemany("INSERT INTO posts VALUES (%s, %s, %s)", values)
        connection.commit()


def _rows(server: MySQLServer, name: str) -> list[tuple[Any, ...]]:
    with server.connect(name) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT * FROM posts ORDER BY id")
        return list(cursor.fetchall())


@pytest.mark.mysql
@pytest.mark.usefixtures("plain_house")
def test_a_site_with_its_database_comes_back_as_it_was_at_each_backup_and_a_changed_row_costs_little(
    installation: Installation, site: Path, tmp_path: Path, mysql_server: MySQLServer, mysql_database: DatabaseAddress
) -> None:
    _fill(mysql_server, mysql_database.name, 40_000)
    first = take_into(installation, site, mysql_database.url())
    before = mysql_server.create("backstay_test_before")
    restored = mysql_server.create("backstay_test_restored")
    try:
        restore(
            exported(installation, first.id, tmp_path / "a"), tmp_path / "back 1", databases={"site.sql": before.url()}
        )
        assert _rows(mysql_server, before.name) == _rows(mysql_server, mysql_database.name)
        mysql_server.execute("INSERT INTO posts VALUES (31, 'between', 'one row more')", mysql_database.name)
        (site / "folder 1/file-1.txt").write_bytes(b"changed")
        second = take_into(installation, site, mysql_database.url())
        row = row_of(installation, second.id)
        restore(
            exported(installation, second.id, tmp_path / "b"),
            tmp_path / "back 2",
            databases={"site.sql": restored.url()},
        )
        assert _rows(mysql_server, restored.name) == _rows(mysql_server, mysql_database.name)
        assert row.added < 60_000
    finally:
        mysql_server.drop(before.name)
        mysql_server.drop(restored.name)


# ---------------------------------------------------------------------- what does not fit


@pytest.mark.usefixtures("plain_house")
@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"akeeba__basic__backup_type": "dbonly", "backstay__site__database": "mysql://u@h/d"}, "one plain SQL file"),
        ({"akeeba__advanced__archiver_engine": "jps", "engine__archiver__jps__key": "x"}, "hands out JPA or ZIP"),
    ],
)
def test_what_no_repository_can_hold_is_refused_before_it_begins(
    installation: Installation, site: Path, settings: dict[str, str], reason: str
) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        prepare(installation, site, backstay__repository=NAME, **settings)


@pytest.mark.usefixtures("plain_house")
def test_storages_of_the_profile_are_passed_over_with_a_warning(installation: Installation, site: Path) -> None:
    backup = take_into(installation, site, backstay__storage__destinations="nas")
    (_, message) = installation.catalogue.backups.warnings(backup.id)[-1]
    assert "lies in a repository" in message


def test_a_repository_that_is_not_there_fails_the_backup_with_its_name(installation: Installation, site: Path) -> None:
    backup_id = prepare(installation, site, backstay__repository="nowhere")
    with pytest.raises(NotFoundError, match="nowhere"):
        run_job(installation, backup_id)
    assert "nowhere" in get_backup(installation, backup_id).error


@pytest.mark.usefixtures("plain_house")
def test_retention_lets_go_of_snapshots_and_gives_their_space_back_once_a_day(
    installation: Installation, site: Path
) -> None:
    keep: dict[str, Any] = {"akeeba__quota__enable_count_quota": 1, "akeeba__quota__count_quota": 2}
    packs = installation.home.repositories / NAME / "files/packs"
    backups = [take_into(installation, site, **keep) for _ in range(2)]
    before = sum(path.stat().st_size for path in packs.iterdir())
    (site / "large.bin").unlink()
    backups += [take_into(installation, site, **keep) for _ in range(2)]
    # The first that was let go of had the large file in common with the second: it went with the prune after the third.
    assert before - sum(path.stat().st_size for path in packs.iterdir()) < 1_000_000
    stamp = installation.home.repositories / NAME / "pruned"
    os.utime(stamp, (OLD, OLD))
    for _ in range(2):
        os.utime(stamp, (OLD, OLD))
        backups.append(take_into(installation, site, **keep))
    assert before - sum(path.stat().st_size for path in packs.iterdir()) > 5_000_000
    backups = backups[-4:]
    assert [get_backup(installation, one.id).filesexist for one in backups] == [False, False, True, True]
    assert_sound(installation, {row_of(installation, one.id).snapshot for one in backups[2:]})
