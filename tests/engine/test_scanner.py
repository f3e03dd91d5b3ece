"""Walking over a site."""

from __future__ import annotations

import os
import socket
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backstay.archives import EntryType, Source
from backstay.engine.filters import FileRules
from backstay.engine.scanner import Scanner, Tree, position
from backstay.profiles import SITE_ROOT, Filters


def tree(root: Path, stored: dict[str, object] | None = None, **options: Any) -> Tree:
    """A tree over a folder, with stored filters."""
    rules = FileRules(Filters.from_stored(stored or {}), SITE_ROOT, on_warning=pytest.fail)
    return Tree(os.fsencode(root), str(options.pop("prefix", "")), rules, **options)


def scan(root: Path, warnings: list[str] | None = None, **options: Any) -> list[Source]:
    """Everything that a walk yields."""
    reported = warnings if warnings is not None else []
    return list(Scanner(tree(root, **options), on_warning=reported.append).sources())


def paths(sources: list[Source]) -> list[str]:
    return [source.path for source in sources]


def make(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)


def test_entries_come_in_the_order_of_the_bytes_of_their_paths(tmp_path: Path) -> None:
    make(tmp_path, "a/b", "a.txt", "a-b", "B", "é", "z/y/x", "empty/")
    found = scan(tmp_path)
    keys = [position(source).encode("utf-8", "surrogateescape") for source in found]
    assert keys == sorted(keys)
    assert paths(found) == ["B", "a-b", "a.txt", "a", "a/b", "empty", "z", "z/y", "z/y/x", "é"]


def test_only_folders_with_something_in_the_archive_are_implied(tmp_path: Path) -> None:
    make(tmp_path, "full/a", "empty/", "filtered/a.log")
    found = {source.path: source for source in scan(tmp_path, stored={"files": {SITE_ROOT: ["filtered/a.log"]}})}
    assert found["full"].implied
    assert not found["empty"].implied
    assert not found["filtered"].implied


def test_links_are_kept_with_their_targets_and_not_followed(tmp_path: Path) -> None:
    make(tmp_path, "dir/file")
    (tmp_path / "to-file").symlink_to("dir/file")
    (tmp_path / "to-dir").symlink_to("dir")
    (tmp_path / "dangling").symlink_to("/nowhere/at all")
    found = {source.path: source for source in scan(tmp_path)}
    assert {name: found[name].target for name in ("to-file", "to-dir", "dangling")} == {
        "to-file": "dir/file",
        "to-dir": "dir",
        "dangling": "/nowhere/at all",
    }
    assert all(found[name].type is EntryType.SYMLINK for name in ("to-file", "to-dir", "dangling"))


def test_a_loop_of_links_ends_when_links_are_followed(tmp_path: Path) -> None:
    make(tmp_path, "dir/file")
    (tmp_path / "dir/up").symlink_to("..")
    warnings: list[str] = []
    found = scan(tmp_path, warnings, follow_links=True)
    assert paths(found) == ["dir", "dir/file"]
    assert warnings == ["dir/up is a link to a folder that holds it: left out, or it would never end."]


def test_names_that_are_not_utf8_are_kept_byte_for_byte(tmp_path: Path) -> None:
    name = b"caf\xe9\n.txt"
    (tmp_path / os.fsdecode(name)).write_text("x")
    (source,) = scan(tmp_path)
    assert source.path.encode("utf-8", "surrogateescape") == name
    assert source.file is not None
    assert Path(source.file).read_text() == "x"


def test_pipes_and_sockets_are_left_out_with_a_warning_that_names_them(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "sock"))
        warnings: list[str] = []
        assert paths(scan(tmp_path, warnings)) == []
    assert warnings == ["pipe is a named pipe: it is not in the backup.", "sock is a socket: it is not in the backup."]


def test_a_folder_that_cannot_be_read_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "locked/a", "b")
    real = os.scandir

    def refuse(path: bytes) -> object:
        if path == os.fsencode(tmp_path / "locked"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    # Root may read everything: the refusal of the operating system is played.
    monkeypatch.setattr(os, "scandir", refuse)
    warnings: list[str] = []
    assert paths(scan(tmp_path, warnings)) == ["b"]
    assert warnings == ["locked can't be read (Permission denied): it is NOT in the backup."]


def test_skipped_files_leave_the_guards_of_the_folder(tmp_path: Path) -> None:
    make(tmp_path, "tmp/.htaccess", "tmp/index.html", "tmp/session", "tmp/sub/a")
    found = scan(tmp_path, stored={"skipfiles": {SITE_ROOT: ["tmp"]}, "skipdirs": {SITE_ROOT: ["tmp"]}})
    assert paths(found) == ["tmp", "tmp/.htaccess", "tmp/index.html"]


def test_files_that_did_not_change_are_left_out_of_an_incremental_backup(tmp_path: Path) -> None:
    make(tmp_path, "old", "new")
    os.utime(tmp_path / "old", (1000, 1000))
    os.utime(tmp_path / "new", (1001, 1001))
    assert paths(scan(tmp_path, newer_than=1000)) == ["new"]


def test_an_off_site_folder_goes_to_its_place_in_the_archive(tmp_path: Path) -> None:
    make(tmp_path, "a/b")
    found = scan(tmp_path, prefix="external_files/private")
    assert paths(found) == ["external_files/private", "external_files/private/a", "external_files/private/a/b"]


def test_a_live_database_is_copied_and_its_side_files_are_left_out(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    connection = sqlite3.connect(site / "data.db")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE t (x)")
    connection.execute("INSERT INTO t VALUES (1)")
    connection.commit()
    make(site, "notes.db-wal")
    copies: list[bytes] = []

    def copy(path: bytes) -> str:
        copies.append(path)
        target = tmp_path / "copy"
        target.write_bytes(b"a copy")
        return str(target)

    found = list(Scanner(tree(site), copy_database=copy, on_warning=pytest.fail).sources())
    connection.close()
    assert copies == [os.fsencode(site / "data.db")]
    assert {source.path: (source.file, source.size) for source in found} == {
        "data.db": (str(tmp_path / "copy"), 6),
        "notes.db-wal": (str(site / "notes.db-wal"), 12),
    }


def test_a_file_with_the_name_of_an_own_entry_is_a_warning(tmp_path: Path) -> None:
    make(tmp_path, "installation/extrainfo.json", "installation/x")
    warnings: list[str] = []
    scanner = Scanner(tree(tmp_path), on_warning=warnings.append, is_reserved="installation/extrainfo.json".__eq__)
    assert paths(list(scanner.sources())) == ["installation", "installation/x"]
    assert len(warnings) == 1
    assert "installation/extrainfo.json" in warnings[0]


NAMES = st.text("ab.-/", min_size=1, max_size=6).map(lambda name: name.strip("/.") or "x")


@settings(max_examples=40)
@given(names=st.sets(NAMES, max_size=12))
def test_a_walk_goes_on_behind_any_position_with_just_what_is_left(
    names: set[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("walk")
    for name in names:
        path = root / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("x")
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            continue
    scanner = Scanner(tree(root), on_warning=pytest.fail)
    everything = list(scanner.sources())
    for number, source in enumerate(everything):
        assert list(scanner.sources(position(source))) == everything[number + 1 :]
