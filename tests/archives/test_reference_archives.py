"""What the vendor's own engine wrote is read, and gives back the site it was made of."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from archives.trees import REFERENCE, REFERENCE_PASSWORD
from backstay.archives import EntryType, open_archive
from backstay.errors import WrongPasswordError

WANTED: list[dict[str, Any]] = json.loads((REFERENCE / "tiny-files.json").read_text(encoding="utf-8"))
OWN_FOLDERS = {"sql", "installation"}


def compare(root: Path, *, modes: bool) -> None:
    expected = {item["path"]: item for item in WANTED}
    for path, item in expected.items():
        found = root / path
        status = found.lstat()
        if item["type"] == "symlink":
            assert str(found.readlink()) == item["target"]
        elif item["type"] == "directory":
            assert found.is_dir()
            if modes and "mode" in item:
                assert status.st_mode & 0o7777 == int(item["mode"], 8)
        else:
            assert hashlib.sha256(found.read_bytes()).hexdigest() == item["sha256"]
            assert status.st_size == item["size"]
            if modes:
                assert status.st_mode & 0o7777 == int(item["mode"], 8)
                assert int(status.st_mtime) == item["mtime"]
    names = {str(path.relative_to(root)) for path in root.rglob("*")}
    assert {name for name in names if name.split("/")[0] not in OWN_FOLDERS} == set(expected)


@pytest.mark.parametrize("name", ["tiny.jpa", "tiny-split.jpa", "tiny-layout.jpa", "tiny.zip", "tiny-split.zip"])
def test_an_archive_of_the_vendor_gives_the_site_back(tmp_path: Path, name: str) -> None:
    with open_archive(REFERENCE / name) as archive:
        assert (archive.format, archive.has_manifest) == (Path(name).suffix[1:], False)
        assert len(archive.parts) == (7 if "split" in name else 1)
        report = archive.verify()
        assert (report.problems, report.used_manifest) == ([], False)
        done = archive.extract(tmp_path / "out")
    assert done.refused == 0
    compare(tmp_path / "out", modes=name.endswith("jpa"))


def test_the_encrypted_archive_of_the_vendor_is_read() -> None:
    with pytest.raises(WrongPasswordError):
        open_archive(REFERENCE / "tiny.jps", password="correct horse battery stable")
    by_name = {Path(item["path"]).name: item for item in WANTED}
    with open_archive(REFERENCE / "tiny.jps", password=REFERENCE_PASSWORD) as archive:
        assert archive.verify().ok
        entries = list(archive)
        assert len(entries) == 4
        for entry in entries:
            content = b"".join(archive.read(entry))
            assert hashlib.sha256(content).hexdigest() == by_name[entry.path]["sha256"]
            assert (entry.size, entry.mtime) == (by_name[entry.path]["size"], by_name[entry.path]["mtime"])


def test_virtual_files_of_the_vendor_get_a_mode(tmp_path: Path) -> None:
    with open_archive(REFERENCE / "tiny-layout.jpa") as archive:
        virtual = archive.entry("installation/sql/databases.json")
        assert (virtual.type, virtual.mode) == (EntryType.FILE, 0o644)
        archive.extract(tmp_path, only=["installation/sql/databases.json"])
    assert (tmp_path / "installation/sql/databases.json").stat().st_mode & 0o777 == 0o644
