"""The index of an archive: what it says, where it lies, and what damaged archives and attackers do to it."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backstay.archives import open_archive
from backstay.catalogue import DestinationOptions, NamedDestination
from backstay.engine import main_file
from backstay.errors import ArchiveLimitError, NotFoundError, WrongPasswordError
from backstay.jobs import archive_index_making, browsing
from backstay.jobs.archive_index import ArchiveIndex
from backstay.jobs.browsing import globs_of, look_inside, remembered_index
from backstay.jobs.installation import Installation, open_installation
from backstay.jobs.records import get_backup
from backstay.jobs.storage import copy_backup
from backstay.jobs.stored_backups import StoredParts
from backstay.steps import finished
from support.backups import make_files, take
from support.s3 import S3Server

WORD = "a-word-for-the-archive"
JPS = {"engine.archiver.jps.key": WORD, "akeeba.advanced.archiver_engine": "jps"}


def _files(installation: Installation) -> list[Path]:
    return list((installation.home.cache / "archives").glob("*.sqlite"))


def _listed(archive: Path) -> ArchiveIndex:
    return browsing._in_memory(lambda: open_archive(archive), lambda _: None)


@pytest.mark.parametrize("form", ["jpa", "zip"])
def test_folders_have_the_sizes_of_all_beneath_them_and_files_their_content(
    installation: Installation, tmp_path: Path, form: str
) -> None:
    root = tmp_path / "site"
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "one").write_bytes(b"x" * 1000)
    (root / "a" / "b" / "two").write_bytes(b"y" * 234)
    (root / "link").symlink_to("a/one")
    backup = take(installation, root, **{"akeeba.advanced.archiver_engine": form})
    with look_inside(installation, backup.id) as inside:
        found = inside.index.find("a")
        assert (found.size, found.files, found.is_folder) == (1234, 2, True)
        assert inside.index.find("a/b").size == 234
        assert inside.index.find("link").target == "a/one"
        assert b"".join(inside.read(inside.index.find("a/b/two"))) == b"y" * 234
        assert inside.index.find("a/b/two").owner_name
        assert [one.path for one in inside.index.search("TWO").items] == ["a/b/two"]
        assert [one.path for one in inside.index.search("TWO", "a/b").items] == ["a/b/two"]
        assert inside.index.search("one", "a/b").items == ()
        with pytest.raises(NotFoundError):
            inside.index.find("a/two")
        with pytest.raises(NotFoundError):
            list(inside.read(found))
    assert [one.stat().st_mode & 0o777 for one in _files(installation)] == [0o600]


def test_an_index_is_made_once_and_again_when_it_is_gone_damaged_or_of_another_archive(
    installation: Installation, tmp_path: Path
) -> None:
    backup = take(installation, make_files(tmp_path / "site", 5))
    counts: list[int] = []
    with look_inside(installation, backup.id) as inside:
        entries = inside.index.entries
    (file,) = _files(installation)
    made = file.stat().st_ino
    with look_inside(installation, backup.id, on_count=counts.append) as inside:
        assert inside.index.entries == entries
    assert file.stat().st_ino == made
    file.write_bytes(b"no database" * 1000)
    with look_inside(installation, backup.id) as inside:
        assert inside.index.entries == entries
    shutil.rmtree(installation.home.cache)
    with look_inside(installation, backup.id) as inside:
        assert inside.index.entries == entries
    main = main_file(installation.home, backup)
    assert main is not None
    os.utime(main, (1, 1))
    with look_inside(installation, backup.id):
        assert len(_files(installation)) == 2


def _die_half_made(home: Path, number: int) -> None:
    with open_installation(home) as installation:
        archive_index_making._BATCH = 1  # type: ignore[misc]  # the process is this test's
        with look_inside(installation, number, on_count=lambda _: os._exit(9)):
            pass


def test_a_process_that_dies_half_way_leaves_nothing_that_is_used(installation: Installation, tmp_path: Path) -> None:
    backup = take(installation, make_files(tmp_path / "site", 5))
    process = multiprocessing.get_context("spawn").Process(
        target=_die_half_made, args=(installation.home.path, backup.id)
    )
    process.start()
    process.join()
    assert process.exitcode == 9
    assert _files(installation) == []
    assert len(list((installation.home.cache / "archives").glob("*.new*"))) == 1
    with look_inside(installation, backup.id) as inside:
        assert inside.index.entries > 5
    assert list((installation.home.cache / "archives").glob("*.new*")) == []


def test_the_oldest_indexes_are_removed(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browsing, "MOST_INDEXES", 2)
    site = make_files(tmp_path / "site", 3)
    for _ in range(3):
        with look_inside(installation, take(installation, site).id):
            pass
    assert len(_files(installation)) == 2


def test_names_of_an_encrypted_archive_lie_in_no_file_unless_its_profile_keeps_the_password(
    installation: Installation, tmp_path: Path
) -> None:
    root = make_files(tmp_path / "site", 3)
    (root / "a-telling-name").write_bytes(b"x")
    backup = take(installation, root, **JPS)
    with pytest.raises(WrongPasswordError), look_inside(installation, backup.id):
        pass
    with look_inside(installation, backup.id, password=WORD) as inside:
        assert inside.index.find("a-telling-name").size == 1
        assert b"".join(inside.read(inside.index.find("a-telling-name"))) == b"x"
    index = remembered_index(installation, backup.id, "", WORD, lambda _: None)
    assert index.find("a-telling-name").size == 1
    assert _files(installation) == []
    left = [path.read_bytes() for path in installation.home.cache.rglob("*") if path.is_file()]
    assert not [one for one in left if b"a-telling-name" in one]


def test_a_damaged_archive_is_listed_as_far_as_it_can_be(installation: Installation, tmp_path: Path) -> None:
    backup = take(installation, make_files(tmp_path / "site", 40))
    main = main_file(installation.home, get_backup(installation, backup.id))
    assert main is not None
    content = main.read_bytes()
    main.write_bytes(content[: len(content) // 2])
    with look_inside(installation, backup.id) as inside:
        assert inside.index.problem
        assert 0 < inside.index.entries < 45


def test_paths_of_attackers_are_names_in_a_tree_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "evil.zip"
    names = ["../../etc/passwd", "/etc/shadow", "a//b", "a/./c", "C:\\x", "dup", "dup", "x" * 65000, "nul\u202e.txt"]
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            information = zipfile.ZipInfo("x")
            information.filename = name
            with (
                pytest.warns(UserWarning, match="Duplicate")
                if name == "dup" and "dup" in archive.namelist()
                else (_nothing())
            ):
                archive.writestr(information, "content")
    index = _listed(path)
    assert [one.name for one in index.folder("").items if one.is_folder] == ["..", "a", "etc"]
    assert index.find("../../etc/passwd").warning == "has a path that leads out of its folder"
    assert index.find("etc/shadow").warning == "has an absolute path"
    assert index.find("a/b").warning
    assert len([one for one in index.folder("").items if one.name == "dup"]) == 2
    assert index.find("x" * 65000).size == 7
    with open_archive(path) as archive_reader:
        assert b"".join(archive_reader.checked(*index.find("../../etc/passwd").in_archive())) == b"content"


class _nothing:  # noqa: N801 - stands for a context that does nothing
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def test_an_archive_of_too_many_entries_is_refused_before_it_fills_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_index_making, "MOST_ENTRIES", 50)
    path = tmp_path / "many.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(60):
            archive.writestr(f"f{number}", "")
    with pytest.raises(ArchiveLimitError):
        _listed(path)
    path.unlink()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("/".join("d" * 60) + "/f", "")
    with pytest.raises(ArchiveLimitError):
        _listed(path)


def test_chosen_paths_are_patterns_for_themselves(installation: Installation, tmp_path: Path) -> None:
    root = tmp_path / "site"
    for name in ("a[1]", "a1", "b*", "bc", "plain"):
        (root / name).mkdir(parents=True)
        (root / name / "f").write_bytes(b"x")
    backup = take(installation, root)
    target = tmp_path / "out"
    with look_inside(installation, backup.id) as inside, inside.open() as archive:
        archive.extract(target, only=globs_of(["a[1]", "b*", "plain"]))
    found = sorted(str(one.relative_to(target)) for one in target.rglob("f"))
    assert found == ["a[1]/f", "b*/f", "plain/f"]


def test_of_a_copy_at_a_storage_only_what_is_shown_is_read(
    installation: Installation, tmp_path: Path, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_files(tmp_path / "site", 20)
    (root / "large.bin").write_bytes(os.urandom(24 << 20))
    (root / "small.txt").write_bytes(b"small")
    backup, place = take(installation, root), s3_server.place()
    wanted = NamedDestination(0, "away", place.url, place.secrets, datetime.now(UTC), DestinationOptions())
    installation.catalogue.destinations.create(wanted)
    finished(copy_backup(installation, backup.id, "away"), lambda _: None)
    read: list[int] = []
    real = StoredParts.read

    def counted(self: StoredParts, part: int, offset: int, size: int) -> bytes:
        read.append(size)
        return real(self, part, offset, size)

    monkeypatch.setattr(StoredParts, "read", counted)
    with look_inside(installation, backup.id, storage="away") as inside:
        assert inside.index.find("large.bin").size == 24 << 20
        assert b"".join(inside.read(inside.index.find("small.txt"))) == b"small"
    assert sum(read) < 4 << 20
    read.clear()
    with look_inside(installation, backup.id, storage="away") as inside:
        assert inside.index.folder("").total > 10
    assert read == []
