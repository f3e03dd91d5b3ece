"""Backups that are sent to storages: what arrives, what the record says, and what is left after faults."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backstay.catalogue import DestinationOptions, NamedDestination
from backstay.engine.document import read_document
from backstay.jobs.installation import Installation
from backstay.jobs.records import backup_files, get_backup
from support.backups import begin, finish, make_files, take

SPLIT = {"engine__archiver__common__part_size": "65536"}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site whose archive has several parts."""
    root = make_files(tmp_path / "site", count=10)
    (root / "noise.bin").write_bytes(random.Random(1).randbytes(400_000))
    return root


@pytest.fixture
def nas(installation: Installation, tmp_path: Path) -> Path:
    """A folder that is the storage ``nas``."""
    return add(installation, tmp_path / "nas")


def add(installation: Installation, folder: Path, **options: object) -> Path:
    folder.mkdir()
    installation.catalogue.destinations.create(
        NamedDestination(
            0,
            folder.name,
            f"folder://{folder}",
            {},
            datetime.now(UTC),
            DestinationOptions(**options),  # type: ignore[arg-type]  # by name
        )
    )
    return folder


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


def test_a_backup_arrives_whole_with_its_document_and_the_record_says_how_that_was_proven(
    installation: Installation, site: Path, nas: Path
) -> None:
    backup = take(installation, site, backstay__storage__destinations="nas", **SPLIT)
    files = backup_files(installation, backup)
    assert len(files) > 4
    document = nas / f"{backup.archivename}.backstay.json"
    assert names(nas) == {file.name for file in files} | {document.name}
    for file in files:
        assert (nas / file.name).read_bytes() == file.path.read_bytes()
    assert (backup.meta, backup.warning_count) == ("ok", 0)
    assert backup.remote_filename == f"folder://{nas}/{backup.archivename}"
    (copy,) = installation.catalogue.copies.of(backup.id)
    assert (copy.state, copy.proven_how, copy.error) == ("stored", "reading it back", "")
    assert [part.blake3 for part in copy.parts] == [part["blake3"] for part in backup.proof["parts"]]
    assert copy.proven_at is not None
    read = read_document(document.read_bytes(), "x")
    assert [part.name for part in read.parts] == [file.name for file in files]
    assert read.site.root == str(site)
    assert "url" not in json.loads(document.read_bytes())["record"]


def test_the_local_archive_goes_once_it_is_stored_everywhere(
    installation: Installation, site: Path, nas: Path, tmp_path: Path
) -> None:
    other = add(installation, tmp_path / "other")
    backup = take(
        installation, site, backstay__storage__destinations="nas, other", engine__postproc__common__delete_after="1"
    )
    assert (backup.status, backup.meta, backup.filesexist) == ("complete", "remote", False)
    assert backup_files(installation, backup) == []
    assert list(installation.home.archives.iterdir()) == []
    assert len(names(nas)) == len(names(other)) == 2


def test_a_storage_that_is_gone_is_a_warning_and_keeps_the_local_archive(
    installation: Installation, site: Path, nas: Path, tmp_path: Path
) -> None:
    gone = add(installation, tmp_path / "gone")
    gone.rmdir()
    backup = take(
        installation, site, backstay__storage__destinations="gone,nas", engine__postproc__common__delete_after="1"
    )
    assert (backup.status, backup.meta, backup.warning_count) == ("complete", "ok", 1)
    assert backup_files(installation, backup)
    assert len(names(nas)) == 2
    ((_number, warning),) = installation.catalogue.backups.warnings(backup.id)
    assert "was not stored at gone" in warning
    assert f"backstay copy {backup.id} --to gone" in warning
    assert {copy.destination: copy.state for copy in installation.catalogue.copies.of(backup.id)} == {
        "gone": "failed",
        "nas": "stored",
    }


def test_a_backup_that_must_be_stored_fails_with_its_storage_and_leaves_nothing(
    installation: Installation, site: Path, nas: Path
) -> None:
    state = finish(
        installation,
        begin(
            installation,
            site,
            backstay__storage__destinations="nas,unknown",
            engine__postproc__common__abort_on_fail="1",
        ),
    )
    assert "unknown" in state.error
    assert get_backup(installation, state.backup_id).meta == "fail"
    assert names(nas) == set()
    assert list(installation.home.archives.iterdir()) == []
    assert installation.catalogue.copies.of(state.backup_id) == []
