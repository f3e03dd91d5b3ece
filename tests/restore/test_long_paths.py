"""Paths of more bytes than the system takes in one call are backed up, restored, merged, compared and extracted."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from backstay.archives import open_archive
from backstay.archives.deep_trees import remove_tree, walk
from backstay.archives.long_paths import make_folders, reachable
from backstay.jobs.installation import Installation
from backstay.jobs.records import backup_files
from support.backups import make_files, take
from support.restores import restore

FOLDER = "a folder with a name of some length, as they come " + "x" * 50
DEEP = "/".join([FOLDER] * 60)


def content(root: Path) -> dict[str, tuple[int, int, bytes | str]]:
    """Everything in a folder: mode, time in nanoseconds, and content or target."""
    found: dict[str, tuple[int, int, bytes | str]] = {}
    for folder in walk(root):
        for name in (*folder.folders, *folder.others):
            status = os.stat(name, dir_fd=folder.descriptor, follow_symlinks=False)
            what: bytes | str = ""
            if stat.S_ISLNK(status.st_mode):
                what = os.readlink(name, dir_fd=folder.descriptor)
            elif stat.S_ISREG(status.st_mode):
                with os.fdopen(os.open(name, os.O_RDONLY, dir_fd=folder.descriptor), "rb") as file:
                    what = file.read()
            found[f"{folder.path}/{name}"[len(str(root)) + 1 :]] = (status.st_mode, status.st_mtime_ns, what)
    return found


def write(path: str, data: bytes) -> None:
    with reachable(path) as short:
        Path(short).write_bytes(data)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A small site with files, folders and links behind a path of 6,000 bytes."""
    site = make_files(tmp_path / "site")
    deep = f"{site}/{DEEP}"
    make_folders(deep)
    write(f"{deep}/page.php", b"<?php // https://old.example.com")
    write(f"{deep}/large.bin", os.urandom(3_000_000))
    with reachable(f"{deep}/link") as short:
        Path(short).symlink_to("page.php")
    make_folders(f"{deep}/empty")
    return site


def archive_of(installation: Installation, site: Path) -> Path:
    return backup_files(installation, take(installation, site))[-1].path


def test_long_paths_are_backed_up_without_a_warning_and_restored(
    installation: Installation, site: Path, tmp_path: Path
) -> None:
    backup = take(installation, site)
    assert installation.catalogue.backups.warnings(backup.id) == []
    archive = backup_files(installation, backup)[-1].path
    target = tmp_path / "restored"
    restore(archive, target)
    assert content(target) == content(site)
    with open_archive(archive) as opened:
        assert opened.verify().ok


def test_long_paths_are_merged_into_what_is_there(installation: Installation, site: Path, tmp_path: Path) -> None:
    target = tmp_path / "restored"
    make_folders(f"{target}/{DEEP}/stays")
    write(f"{target}/{DEEP}/page.php", b"old")
    restore(archive_of(installation, site), target, strategy="merge")
    merged, expected = content(target), content(site)
    assert f"{DEEP}/stays" in merged
    assert {path: value[2] for path, value in expected.items()}.items() <= {
        path: value[2] for path, value in merged.items()
    }.items()


def test_texts_are_replaced_behind_long_paths(installation: Installation, site: Path, tmp_path: Path) -> None:
    target = tmp_path / "restored"
    texts = (("https://old.example.com", "https://new.example.com"),)
    restore(archive_of(installation, site), target, replacements=texts)
    assert content(target)[f"{DEEP}/page.php"][2] == b"<?php // https://new.example.com"


def test_a_database_behind_a_long_path_is_stored_as_it_lies(
    installation: Installation, site: Path, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "a.sqlite")) as connection:
        connection.execute("CREATE TABLE t (x)")
    write(f"{site}/{DEEP}/a.sqlite", (tmp_path / "a.sqlite").read_bytes())
    restore(archive_of(installation, site), tmp_path / "restored")
    assert content(tmp_path / "restored")[f"{DEEP}/a.sqlite"][2] == (tmp_path / "a.sqlite").read_bytes()


def test_hundreds_of_folders_in_each_other_are_restored_and_replaced(
    installation: Installation, tmp_path: Path
) -> None:
    site, target = tmp_path / "site", tmp_path / "restored"
    make_folders(str(site))
    deep = "/".join(["d"] * 600)
    make_folders(f"{site}/{deep}")
    write(f"{site}/{deep}/page.php", b"<?php // old")
    archive = archive_of(installation, site)
    for strategy in ("whole", "whole", "merge"):
        restore(archive, target, strategy=strategy, replacements=(("old", "new"),))
        assert content(target)[f"{deep}/page.php"][2] == b"<?php // new"
    # What cleans up behind the tests takes no tree as deep.
    remove_tree(site)
    remove_tree(target)
    assert not site.exists()
    assert not target.exists()
