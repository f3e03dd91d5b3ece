"""Records made again from a storage on a machine that has nothing else, and documents that are not to be believed."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backstay.catalogue import Backup
from backstay.errors import NotFoundError
from backstay.jobs.archive_of import open_backup
from backstay.jobs.installation import Installation, open_installation
from backstay.jobs.storage_import import import_storage
from jobs.stored_commands import PASSWORD, run, settings_of
from support.backups import make_files, take
from support.destinations import Place
from support.stored import add_storage, store, tree


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "nas").mkdir()
    return Place(f"folder://{tmp_path / 'nas'}", {})


def make_site(root: Path) -> Path:
    make_files(root, 20)
    (root / "noise.bin").write_bytes(random.Random(1).randbytes(300_000))
    return root


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return make_site(tmp_path / "site")


@pytest.fixture
def stored(installation: Installation, site: Path, place: Place) -> Backup:
    """A split backup that lies at ``nas`` only."""
    add_storage(installation, place)
    return store(installation, take(installation, site, **settings_of("jpa", 1 << 16)), folder="site/")


def bare(tmp_path: Path, place: Place) -> Installation:
    """An installation that knows nothing but the storage."""
    fresh = open_installation(tmp_path / "bare")
    add_storage(fresh, place)
    return fresh


def test_a_bare_machine_restores_what_a_storage_holds(site: Path, place: Place, stored: Backup, tmp_path: Path) -> None:
    with bare(tmp_path, place) as fresh:
        reported = json.loads(run(fresh, "storage", "import", "nas", "--json"))
        assert [one["archive"] for one in reported["imported"]] == [stored.archivename]
        assert reported["refused"] == []
        number = reported["imported"][0]["id"]
        found = fresh.catalogue.backups.get(number)
        assert found is not None
        assert (found.meta, found.backupid, found.backupstart) == ("remote", stored.backupid, stored.backupstart)
        assert (found.total_size, found.multipart) == (stored.total_size, stored.multipart)
        again = json.loads(run(fresh, "storage", "import", "nas", "--json"))
        assert (again["imported"], again["known"]) == ([], 1)
        assert fresh.catalogue.backups.count() == 1
        run(fresh, "verify", str(number))
        run(fresh, "restore", str(number), "--to", str(tmp_path / "back"), "--json")
    assert list(tree(tmp_path / "back")) == list(tree(site))


@pytest.mark.parametrize("format_name", ["jpa", "jps", "zip"])
def test_an_archive_without_its_document_says_what_it_is(
    installation: Installation, site: Path, place: Place, tmp_path: Path, format_name: str
) -> None:
    add_storage(installation, place)
    stored = store(installation, take(installation, site, **settings_of(format_name, 1 << 16)))
    next((tmp_path / "nas").glob("*.backstay.json")).unlink()
    password = PASSWORD if format_name == "jps" else None
    with bare(tmp_path, place) as fresh:
        if password:
            assert "is encrypted" in import_storage(fresh, "nas").refused[0]
        (found,) = import_storage(fresh, "nas", password).imported
        assert found.archivename == stored.archivename
        assert abs((found.backupstart - stored.backupstart).total_seconds()) < 5
        with open_backup(fresh, found.id, "", password) as archive:
            assert archive.verify().ok
        report = import_storage(fresh, "nas", password)
        assert (report.imported, report.known) == ([], 1)


def test_what_is_known_is_not_doubled(installation: Installation, stored: Backup, place: Place, tmp_path: Path) -> None:
    report = import_storage(installation, "nas")
    assert (report.imported, report.known) == ([], 1)
    (copy,) = installation.catalogue.copies.of(stored.id)
    installation.catalogue.copies.delete(copy.id)
    (found,) = import_storage(installation, "nas").imported
    assert found.id == stored.id
    assert installation.catalogue.backups.count() == 1


def _change(*path: str | int, value: Any) -> Callable[[dict[str, Any]], object]:
    def change(document: dict[str, Any]) -> object:
        at: Any = document
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = value
        return document

    return change


HOSTILE: dict[str, Callable[[dict[str, Any]], object]] = {
    "no object": lambda _: [1, 2],
    "deep": lambda _: "[" * 100_000,
    "another archive": _change("record", "archivename", value="other.jpa"),
    "absolute part": _change("parts", 0, "name", value="/etc/passwd"),
    "part above": _change("parts", 0, "name", value="../secret"),
    "foreign part": _change("parts", 0, "name", value="notes.txt"),
    "part twice": lambda document: {**document, "parts": [document["parts"][0], *document["parts"]]},
    "no parts": _change("parts", value=[]),
    "longer part": _change("parts", 0, "size", value=1 << 40),
    "negative size": _change("parts", 0, "size", value=-1),
    "wrong hash": _change("parts", 0, "blake3", value="zz"),
    "number for a name": _change("record", "archivename", value=7),
    "text for a moment": _change("record", "backupstart", value="yesterday"),
    "year 1": _change("record", "backupstart", value="0001-01-01T00:00:00+14:00"),
    "odd identifier": _change("record", "backupid", value="id\n\x1b[2J"),
    "newer form": _change("version", value=99),
}


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds a split backup and its document."""
    root = tmp_path_factory.mktemp("example")
    (root / "nas").mkdir()
    with open_installation(root / "home") as installation:
        add_storage(installation, Place(f"folder://{root / 'nas'}"))
        backup = take(installation, make_site(root / "site"), **settings_of("jpa", 1 << 16))
        store(installation, backup, folder="site/")
    return root / "nas"


@pytest.mark.parametrize("kind", list(HOSTILE))
def test_a_hostile_document_is_refused_with_a_sentence_and_the_rest_imported(
    example: Path, tmp_path: Path, kind: str
) -> None:
    shutil.copytree(example, tmp_path / "nas")
    page = next((tmp_path / "nas" / "site").glob("*.backstay.json"))
    good = page.with_name("good.jpa")
    document = json.loads(page.read_text())
    good.write_bytes(b"content")
    (tmp_path / "nas" / "site" / "notes.txt").write_text("mine")
    fine = {
        **document,
        "record": {**document["record"], "archivename": "good.jpa", "backupid": "id-good", "multipart": 0},
        "parts": [{"name": "good.jpa", "size": 7, "blake3": ""}],
    }
    good.with_name("good.jpa.backstay.json").write_text(json.dumps(fine))
    changed = HOSTILE[kind](document)
    page.write_text(changed if isinstance(changed, str) else json.dumps(changed))
    with bare(tmp_path, Place(f"folder://{tmp_path / 'nas'}")) as fresh:
        report = import_storage(fresh, "nas")
        assert [backup.archivename for backup in report.imported] == ["good.jpa"]
        (sentence,) = report.refused
        assert sentence.endswith(".")
        assert page.name in sentence


def test_a_document_that_is_too_large_is_not_read(stored: Backup, place: Place, tmp_path: Path) -> None:
    page = next((tmp_path / "nas" / "site").glob("*.backstay.json"))
    with page.open("r+b") as file:
        file.truncate(1 << 33)
    with bare(tmp_path, place) as fresh:
        report = import_storage(fresh, "nas")
    assert report.imported == []
    assert "too large" in report.refused[0]


def test_what_a_document_proves_of_itself_is_not_kept_as_proven(stored: Backup, place: Place, tmp_path: Path) -> None:
    page = next((tmp_path / "nas" / "site").glob("*.backstay.json"))
    document = json.loads(page.read_text())
    document["record"]["proof"] = {"drill": {"verdict": "passed"}, "manifest": ["x"], "level": "content"}
    page.write_text(json.dumps(document))
    with bare(tmp_path, place) as fresh:
        (found,) = import_storage(fresh, "nas").imported
    assert found.proof.get("drill") is None
    assert "manifest" not in found.proof
    assert found.proof["imported"] == "nas"
    assert found.profile_id == 0


def test_a_part_that_is_missing_is_reported(stored: Backup, place: Place, tmp_path: Path) -> None:
    min((tmp_path / "nas" / "site").glob("*.j02")).unlink()
    with bare(tmp_path, place) as fresh:
        report = import_storage(fresh, "nas")
    assert report.imported == []
    assert "is not there: the copy is incomplete" in report.refused[0]


def test_a_storage_that_is_not_known_is_named(installation: Installation) -> None:
    with pytest.raises(NotFoundError, match="no storage named 'none'"):
        import_storage(installation, "none")
