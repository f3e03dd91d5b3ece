"""Closed parts that are sent early: each once, and anew where the archive was begun anew."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backstay.catalogue import Copy, NamedDestination
from backstay.engine import run, send_copy
from backstay.engine.document import BackupDocument, DocumentPart, DocumentRecord
from backstay.engine.early_sending import EarlySending
from backstay.engine.uploading import hash_of
from backstay.jobs.installation import Installation
from backstay.jobs.records import get_backup
from backstay.jobs.worker import run_job
from backstay.steps import finished
from support.backups import make_files_and_noise
from support.jobs import prepare

NOW = datetime.now(UTC)


@pytest.fixture
def nas(installation: Installation, tmp_path: Path) -> Path:
    """A folder that is the storage ``nas``."""
    (tmp_path / "nas").mkdir()
    installation.catalogue.destinations.create(NamedDestination(0, "nas", f"folder://{tmp_path}/nas", {}, NOW))
    return tmp_path / "nas"


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _document(parts: list[Path]) -> BackupDocument:
    return BackupDocument(
        written=NOW,
        record=DocumentRecord(backupstart=NOW, archivename=parts[-1].name),
        parts=tuple(DocumentPart(name=part.name, size=part.stat().st_size, blake3=hash_of(part)) for part in parts),
    )


def _send(installation: Installation, backup_id: int, folder: Path, parts: list[Path]) -> Copy:
    destination = installation.catalogue.destinations.get("nas")
    steps = send_copy(
        installation.catalogue, backup_id, destination, folder, _document(parts), folder / "work", patience=5
    )
    return finished(steps)


def test_what_was_sent_early_is_not_sent_again_and_what_changed_or_is_gone_is(
    installation: Installation, nas: Path, tmp_path: Path
) -> None:
    catalogue = installation.catalogue
    folder = tmp_path / "parts"
    folder.mkdir()
    parts = [folder / name for name in ("a.j01", "a.j02", "a.j03", "a.j04", "a.jpa")]
    for number, part in enumerate(parts):
        part.write_bytes(bytes([number]) * 1000)
    backup = catalogue.backups.create(profile_id=1, backupstart=NOW, type="full", archivename="a.jpa")
    early = EarlySending(installation.home, backup.id, ["nas", "unknown"])
    early.offer(parts[1:2])
    early.offer(parts[1:4])
    _wait(lambda: [bool(part.proof) for copy in catalogue.copies.of(backup.id) for part in copy.parts] == [True] * 3)
    early.end()
    early.offer(parts[4:])
    inodes = {part.name: (nas / part.name).stat().st_ino for part in parts[1:3]}
    # The archive was begun anew: one part is another, one is not there any more.
    parts[2].write_bytes(b"another" * 100)
    kept = [part for part in parts if part.name != "a.j04"]
    copy = _send(installation, backup.id, folder, kept)
    assert copy.state == "stored"
    assert [part.name for part in copy.parts] == [part.name for part in kept]
    assert sorted(path.name for path in nas.iterdir()) == ["a.j01", "a.j02", "a.j03", "a.jpa", "a.jpa.backstay.json"]
    assert (nas / "a.j02").stat().st_ino == inodes["a.j02"]
    for part in kept:
        assert (nas / part.name).read_bytes() == part.read_bytes()


def test_a_part_that_somebody_removed_from_the_storage_is_sent_again(
    installation: Installation, nas: Path, tmp_path: Path
) -> None:
    (tmp_path / "parts").mkdir()
    part = tmp_path / "parts/a.jpa"
    part.write_bytes(b"x" * 5000)
    backup = installation.catalogue.backups.create(profile_id=1, backupstart=NOW, type="full", archivename="a.jpa")
    early = EarlySending(installation.home, backup.id, ["nas"])
    early.offer([part])
    _wait(lambda: (nas / "a.jpa").exists() and bool(installation.catalogue.copies.of(backup.id)[0].parts[0].proof))
    early.end()
    (nas / "a.jpa").unlink()
    assert _send(installation, backup.id, part.parent, [part]).state == "stored"
    assert (nas / "a.jpa").read_bytes() == part.read_bytes()


def test_a_backup_sends_parts_while_it_is_packed(
    installation: Installation, nas: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "_CHECKPOINT_SECONDS", 0.0)
    offered: list[Path] = []
    real = EarlySending.offer

    def offer(sending: EarlySending, parts: list[Path]) -> None:
        offered.extend(parts)
        real(sending, parts)

    monkeypatch.setattr(EarlySending, "offer", offer)
    number = prepare(
        installation,
        make_files_and_noise(tmp_path / "site"),
        backstay__storage__destinations="nas",
        engine__postproc__common__after_part="1",
        engine__archiver__common__part_size="500000",
    )
    run_job(installation, number)
    backup = get_backup(installation, number)
    assert (backup.status, backup.warning_count) == ("complete", 0)
    assert len({path.name for path in offered}) > 3
    assert not any(path.name.endswith(("01", ".jpa")) for path in offered)
    (copy,) = installation.catalogue.copies.of(number)
    assert copy.state == "stored"
    for part in copy.parts:
        assert (nas / part.name).read_bytes() == (installation.home.archives / part.name).read_bytes()
