"""Records of backups that lie at a storage, as the API answers them, and deleting over it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

from backstay.catalogue import Backup
from backstay.engine import refresh_remote_filename
from backstay.engine.sending import remote_filename
from server.driving import Driven, make_record
from support.destinations import Place
from support.stored import add_storage, store

FILES = {"site.j01": b"first part", "site.jpa": b"the rest"}


@pytest.fixture
def nas(tmp_path: Path) -> Path:
    (tmp_path / "nas").mkdir()
    return tmp_path / "nas"


@pytest.fixture
def record(server: Driven, nas: Path) -> Backup:
    """A backup of two parts that lies here and at a storage."""
    made = make_record(server.installation, FILES)
    parts = [{"name": name, "size": len(data), "blake3": blake3(data).hexdigest()} for name, data in FILES.items()]
    catalogue = server.installation.catalogue
    catalogue.backups.update(made.id, proof={"parts": parts})
    add_storage(server.installation, Place(f"folder://{nas}", {}))
    backup = catalogue.backups.get(made.id)
    assert backup is not None
    store(server.installation, backup, local=True)
    refresh_remote_filename(catalogue, made.id)
    return backup


def listed(server: Driven) -> dict[str, Any]:
    (only,) = server.v2("listBackups").data
    return dict(only)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_backup_that_lies_here_and_at_a_storage_is_ok_and_has_remote_files(
    server: Driven, record: Backup, nas: Path
) -> None:
    found = listed(server)
    assert (found["meta"], found["filesexist"], found["hasRemoteFiles"]) == ("ok", 1, True)
    assert found["remote_filename"] == f"folder://{nas}/site.jpa"
    information = server.v2("getBackupInfo", backup_id=record.id).data
    assert information["remote_filename"] == f"folder://{nas}/site.jpa"
    assert not {"meta", "hasRemoteFiles", "size"} & information.keys()


@pytest.mark.parametrize("version", ["v2", "v3"])
def test_deleting_the_files_leaves_the_stored_copy_and_the_record_is_remote(
    server: Driven, record: Backup, nas: Path, version: str
) -> None:
    assert getattr(server, version)("deleteFiles", backup_id=record.id).data is True
    assert list(server.installation.home.archives.iterdir()) == []
    assert names(nas) == ["site.j01", "site.jpa", "site.jpa.backstay.json"]
    found = listed(server)
    assert (found["meta"], found["filesexist"], found["hasRemoteFiles"]) == ("remote", 0, True)
    assert "size" not in found
    files = server.v2("getBackupInfo", backup_id=record.id).data["filenames"]
    assert [file["name"] for file in files] == list(FILES)


def test_deleting_the_files_again_changes_nothing(server: Driven, record: Backup, nas: Path) -> None:
    for _ in range(2):
        assert server.v2("deleteFiles", backup_id=record.id).pair == (200, True)
    assert listed(server)["meta"] == "remote"
    assert len(names(nas)) == 3


def test_deleting_a_record_leaves_the_stored_copy(server: Driven, record: Backup, nas: Path) -> None:
    assert server.v2("delete", backup_id=record.id).pair == (200, True)
    assert server.v2("listBackups").data == []
    assert list(server.installation.home.archives.iterdir()) == []
    assert names(nas) == ["site.j01", "site.jpa", "site.jpa.backstay.json"]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s3://Bucket/pre/fix?endpoint=https://s3.example.net", "amazons3://Bucket/pre/fix/x.jpa"),
        ("gs://bucket", "googlestoragejson://bucket/x.jpa"),
        ("az://container/a?account=me", "azure://container/a/x.jpa"),
        ("sftp://me:hidden@nas.example.net:2222/backups", "sftp://nas.example.net/backups/x.jpa"),
        ("webdavs://me:hidden@cloud.example.net/dav/", "webdav://cloud.example.net/dav/x.jpa"),
        ("ftps://me:hidden@example.net/", "ftp://example.net/x.jpa"),
        ("folder:///mnt/nas", "folder:///mnt/nas/x.jpa"),
        ("rclone:drive:backups", "rclone://drive/backups/x.jpa"),
    ],
)
def test_services_have_the_names_that_clients_know_and_nobody_s_password(url: str, said: str) -> None:
    assert remote_filename(url, "x.jpa") == said
