"""Records made of what lies in a repository, on a machine that knows nothing of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backstay.jobs.archive_of import parts_of
from backstay.jobs.installation import Installation, open_installation
from backstay.jobs.records import get_backup
from backstay.jobs.repositories import opened_repository
from backstay.jobs.repository_adoption import adopt_backups
from jobs.stored_commands import run
from support.backups import make_files, take
from support.commands import backstay
from support.repositories import add_sites, into_repository
from support.stored import tree


def test_a_bare_machine_takes_up_a_repository_and_restores_by_number(
    installation: Installation, tmp_path: Path
) -> None:
    (tmp_path / "nas").mkdir()
    url = f"folder://{tmp_path}/nas"
    run(installation, "storage", "add", "nas", url)
    add_sites(installation, storage="nas", passphrase="a passphrase")
    site = make_files(tmp_path / "site", 20, 5000)
    sizes = {"engine__archiver__common__part_size": "65536"}
    taken = take(installation, site, backstay__repository="sites", **sizes)
    put = into_repository(installation, take(installation, site, akeeba__advanced__archiver_engine="zip"))
    with open_installation(tmp_path / "bare") as bare:
        run(bare, "storage", "add", "nas", url)
        home = ("--home", str(bare.home.path))
        made = backstay("repository", "create", "sites", "--at", "nas", "--existing", *home, stdin="a passphrase\n")
        assert "repository adopt sites" in made.stderr
        found = json.loads(run(bare, "repository", "adopt", "sites", "--json"))
        assert (len(found["adopted"]), found["known"], found["refused"]) == (2, 0, [])
        again = json.loads(run(bare, "repository", "adopt", "sites", "--json"))
        assert (again["adopted"], again["known"]) == ([], 2)
        for before, one in zip((taken, put), found["adopted"], strict=True):
            backup = get_backup(bare, one["backup"])
            assert (backup.description, backup.type, backup.meta) == (before.description, "full", "ok")
            assert backup.archivename == before.archivename
            assert abs((backup.backupstart - before.backupstart).total_seconds()) < 2
            assert [(part.name, part.size) for part in parts_of(bare, backup)] == [
                (part.name, part.size) for part in parts_of(installation, before)
            ]
            target = tmp_path / f"back-{backup.id}"
            run(bare, "restore", str(backup.id), "--to", str(target), "--json")
            assert list(tree(target)) == list(tree(site))


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"archive": "../../etc/passwd", "format": "exe", "type": "<b>", "description": 7, "part_size": -1},
        {"archive": "a\nb.jpa", "format": ["zip"], "part_size": "1", "backupstart": "in the year 1", "comment": None},
        {"archive": "x" * 5000, "format": "zip", "part_size": 10, "description": "d" * 100_000, "backup_id": "1"},
    ],
)
def test_what_others_wrote_is_bounded(installation: Installation, tmp_path: Path, said: dict[str, Any]) -> None:
    add_sites(installation)
    take(installation, make_files(tmp_path / "site", 2), backstay__repository="sites")
    with opened_repository(installation, "sites") as repository:
        (whole,), _damaged = repository.snapshots()
        object.__setattr__(whole, "record", said)
        object.__setattr__(whole, "id", "0123456789abcdef")
        repository.put_snapshot(whole)
    (backup,) = adopt_backups(installation, "sites").adopted
    assert backup.type == "full"
    assert len(backup.description) <= 20_000
    assert Path(backup.absolute_path).is_relative_to(installation.home.repositories)
    assert ".." not in Path(backup.absolute_path).parts
    assert backup.archivename.isprintable()
    assert len(backup.archivename) < 200
    assert sum(part.size for part in parts_of(installation, backup)) == backup.total_size


def test_a_damaged_backup_is_left_out_and_one_that_is_being_taken_too(
    installation: Installation, tmp_path: Path
) -> None:
    add_sites(installation)
    site = make_files(tmp_path / "site", 2)
    first, second, third = (take(installation, site, backstay__repository="sites") for _ in range(3))
    rows = [installation.catalogue.snapshots.of(one.id) for one in (first, second, third)]
    assert rows[0] is not None
    path = installation.home.repositories / "sites/files/snapshots" / rows[0].snapshot
    path.write_bytes(path.read_bytes()[:-1])
    for backup in (first, second):
        installation.catalogue.snapshots.delete(backup.id)
    installation.catalogue.backups.update(second.id, status="run")
    found = adopt_backups(installation, "sites")
    assert (found.adopted, found.known) == ([], 2)
    assert rows[0].snapshot in found.refused[0]
