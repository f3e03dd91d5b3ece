"""Testing a storage, and finding the backups that lie there, in the background."""

from __future__ import annotations

from pathlib import Path

from backstay.catalogue import DestinationOptions
from backstay.jobs.installation import Installation, open_installation
from backstay.jobs.storage import add_destination, copy_backup
from backstay.jobs.tasks import begin_task
from backstay.steps import finished
from support.backups import make_files, take
from support.tasks import ended


def test_a_storage_is_tested_and_its_backups_are_found(installation: Installation, tmp_path: Path) -> None:
    place = tmp_path / "nas"
    place.mkdir()
    add_destination(installation, "nas", f"folder://{place}", {}, DestinationOptions())
    given = {"name": "nas"}
    tested = ended(installation, begin_task(installation, "test storage", "Test", given, started_by="anna"))
    assert (tested.state, "The storage nas works" in tested.message) == ("done", True)
    assert list(place.iterdir()) == []
    backup = take(installation, make_files(tmp_path / "site", 3))
    finished(copy_backup(installation, backup.id, "nas"))
    with open_installation(tmp_path / "other") as other:
        add_destination(other, "nas", f"folder://{place}", {}, DestinationOptions())
        found = ended(other, begin_task(other, "import storage", "Find", {**given, "password": ""}, started_by="anna"))
        assert (found.state, found.result["imported"]) == ("done", [1])
    place.rename(tmp_path / "gone")
    failed = ended(installation, begin_task(installation, "test storage", "Test", given, started_by="anna"))
    assert (failed.state, str(place) in failed.message) == ("failed", True)
