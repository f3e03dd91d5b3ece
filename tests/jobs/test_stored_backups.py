"""Backups that lie at a destination only: listed, verified, drilled, restored and taken apart from there."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from backstay.catalogue import Backup
from backstay.errors import NotFoundError, VerificationError
from backstay.jobs.archive_of import open_backup
from backstay.jobs.installation import Installation
from backstay.jobs.stored_backups import choose_copy
from backstay.storage.folder import Folder
from jobs.stored_commands import PASSWORD, run, settings_of
from support.backups import make_files, take
from support.destinations import Place
from support.faulty_front import Fault, faulty_front
from support.s3 import S3Server
from support.stored import add_storage, restore_stored, store, tree


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A folder to send backups to."""
    (tmp_path / "nas").mkdir()
    return Place(f"folder://{tmp_path / 'nas'}", {})


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A small site with some noise in it."""
    root = make_files(tmp_path / "site", 60, 2000)
    for number in range(8):
        (root / f"noise-{number}.bin").write_bytes(random.Random(number).randbytes(150_000))
    return root


def stored(installation: Installation, site: Path, format_name: str, split: int, **options: Any) -> Backup:
    """Take a backup and leave nothing of it but its copy at ``nas``."""
    return store(installation, take(installation, site, **settings_of(format_name, split)), **options)


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param((name, split), marks=[] if (name, split) in {("jpa", 0), ("jps", 1 << 16)} else pytest.mark.slow)
        for name in ("jpa", "jps", "zip")
        for split in (0, 1 << 16)
    ],
    ids=str,
)
def test_a_backup_at_a_storage_is_listed_verified_drilled_and_restored(
    installation: Installation, site: Path, place: Place, tmp_path: Path, kind: tuple[str, int]
) -> None:
    add_storage(installation, place)
    backup = stored(installation, site, *kind, folder="site one/")
    number, password = str(backup.id), ("--password", PASSWORD) if kind[0] == "jps" else ()
    (listed,) = json.loads(run(installation, "list", "--json"))
    assert listed["meta"] == "remote"
    assert json.loads(run(installation, "verify", number, *password, "--json"))["ok"]
    entries = json.loads(run(installation, "archive", "list", number, *password, "--json"))
    name = next(entry["path"] for entry in entries if entry["type"] == "file" and not entry["path"].startswith("inst"))
    assert (backup.multipart > 2) == bool(kind[1])
    main = f"nas:site one/{backup.archivename}"
    run(installation, "archive", "extract", main, "--to", str(tmp_path / "some"), "--only", name, *password)
    assert (tmp_path / "some" / name).read_bytes() == (site / name).read_bytes()
    assert json.loads(run(installation, "drill", number, *password, "--json"))["verdict"] == "passed"
    run(installation, "restore", number, "--to", str(tmp_path / "back"), *password, "--json")
    assert list(tree(tmp_path / "back")) == list(tree(site))
    assert not list((installation.home.path / "restores").glob("*/archive/*"))


def test_a_dry_run_knows_what_a_stored_backup_holds(
    installation: Installation, site: Path, place: Place, tmp_path: Path
) -> None:
    add_storage(installation, place)
    backup = stored(installation, site, "jpa", 0)
    reported = json.loads(
        run(installation, "restore", str(backup.id), "--to", str(tmp_path / "back"), "--dry-run", "--json")
    )
    assert reported["files"] >= 60
    assert not (tmp_path / "back").exists()


def test_the_local_files_are_used_where_they_are_and_a_copy_where_it_is_asked_for(
    installation: Installation, site: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_storage(installation, place)
    backup = store(installation, take(installation, site), local=True)
    reads: list[str] = []
    read = Folder.read

    def counted(self: Folder, name: str, offset: int, length: int) -> bytes:
        reads.append(name)
        return read(self, name, offset, length)

    monkeypatch.setattr(Folder, "read", counted)
    with open_backup(installation, backup.id, "", None) as archive:
        assert archive.verify().ok
    assert reads == []
    with open_backup(installation, backup.id, "nas", None) as archive:
        assert archive.verify().ok
    assert reads


def test_a_damaged_local_file_names_the_copy(installation: Installation, site: Path, place: Place) -> None:
    add_storage(installation, place)
    backup = store(installation, take(installation, site), local=True)
    path = Path(backup.absolute_path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    assert "use it with --storage nas" in run(installation, "verify", str(backup.id), code=1)
    run(installation, "verify", str(backup.id), "--storage", "nas")


def test_which_copy_is_read(installation: Installation, site: Path, place: Place, tmp_path: Path) -> None:
    add_storage(installation, place)
    (tmp_path / "other").mkdir()
    add_storage(installation, Place(f"folder://{tmp_path / 'other'}", {}), "other")
    add_storage(installation, Place(f"folder://{tmp_path / 'none'}", {}), "empty")
    backup = store(installation, take(installation, site), local=True)
    backup = store(installation, backup, "other")
    assert choose_copy(installation, backup).destination == "other"
    assert choose_copy(installation, backup, "nas").destination == "nas"
    with pytest.raises(NotFoundError, match="no copy at empty: choose other or nas"):
        choose_copy(installation, backup, "empty")
    with pytest.raises(NotFoundError, match="no storage named 'unknown'"):
        choose_copy(installation, backup, "unknown")


def test_a_storage_that_breaks_in_the_middle_of_a_restore_replaces_nothing_and_is_gone_on_with(
    installation: Installation, site: Path, place: Place, tmp_path: Path
) -> None:
    add_storage(installation, place)
    backup = stored(installation, site, "jpa", 1 << 16)
    target = tmp_path / "back"
    target.mkdir()
    (target / "old.txt").write_text("old")
    nas = tmp_path / "nas"
    middle = min(nas.glob("*.j08"))
    middle.rename(tmp_path / "away")
    said = run(installation, "restore", str(backup.id), "--to", str(target), "--yes", code=1)
    assert "Nothing was replaced: 'backstay restore --resume " in said
    assert [path.name for path in target.iterdir()] == ["old.txt"]
    (tmp_path / "away").rename(middle)
    first = min(nas.glob("*.j01"))
    first.unlink()
    run(installation, "restore", "--resume", "--json")
    assert list(tree(target)) == list(tree(site))


def test_what_is_not_what_was_sent_is_not_restored(
    installation: Installation, site: Path, place: Place, tmp_path: Path
) -> None:
    add_storage(installation, place)
    backup = stored(installation, site, "jpa", 0)
    path = tmp_path / "nas" / backup.archivename
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    said = run(installation, "restore", str(backup.id), "--to", str(tmp_path / "back"), code=1)
    assert "is not what was sent there" in said
    assert not (tmp_path / "back").exists()


def test_bytes_that_change_on_the_way_down_are_noticed(
    installation: Installation, site: Path, s3_server: S3Server, tmp_path: Path
) -> None:
    with faulty_front(s3_server.endpoint) as front:
        add_storage(installation, s3_server.place(endpoint=front.url))
        backup = stored(installation, site, "jpa", 1 << 18)
        front.spoil(Fault("damage answer"), "GET", ".j01")
        with open_backup(installation, backup.id, "", None) as archive:
            assert not archive.verify().ok
        front.spoil(Fault("damage answer"), "GET", ".j01")
        with pytest.raises(VerificationError, match="is not what was sent there"):
            restore_stored(installation, backup.id, tmp_path / "back")
        assert not (tmp_path / "back").exists()
        restore_stored(installation, backup.id, tmp_path / "another")
    assert list(tree(tmp_path / "another")) == list(tree(site))
