"""Unfinished downloads on a disk that may lose power at any moment."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from backstay.client import part_file
from backstay.client.part_file import PartFile


def test_nothing_is_named_before_it_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal never counts bytes, and the target never has a name, that a power cut could take away."""
    monkeypatch.setattr(part_file, "SYNC_EVERY_BYTES", 1000)
    synced: dict[int, bytes] = {}
    real, replace, rename = os.fsync, os.replace, os.rename
    moments: list[str] = []

    def fsync(descriptor: int) -> None:
        real(descriptor)
        facts = os.fstat(descriptor)
        if (tmp_path.stat().st_ino) == facts.st_ino:
            moments.append("folder")
        else:
            synced[facts.st_ino] = Path(f"/proc/self/fd/{descriptor}").read_bytes()

    def checked_replace(source: Any, target: Any, **options: Any) -> None:
        stored = json.loads(synced[Path(source).stat().st_ino])
        part = synced[(tmp_path / "site.jpa.part").stat().st_ino]
        for start, position, _end in stored["runs"]:
            assert part[start:position] == content[start:position]
        moments.append("journal")
        replace(source, target, **options)

    def checked_rename(source: Any, target: Any, **options: Any) -> None:
        assert synced[Path(source).stat().st_ino] == content
        moments.append("name")
        rename(source, target, **options)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", checked_replace)
    monkeypatch.setattr(os, "rename", checked_rename)
    content = os.urandom(2500)
    with PartFile(tmp_path / "site.jpa", len(content), {"record": 1}, lambda _count: None) as file:
        (run,) = file.runs
        for start in range(0, len(content), 500):
            file.write(run, content[start : start + 500])
        file.finish()
    assert moments == ["journal", "journal", "name", "folder"]
