"""Backups that are snapshots of a repository: used, proven, restored, kept and deleted like those with an archive."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backstay.archives import open_archive
from backstay.catalogue import DestinationOptions, NamedDestination
from backstay.databases import DatabaseAddress
from backstay.errors import DamagedArchiveError, NotFoundError, StorageError, UsageError
from backstay.jobs.archive_of import open_backup, parts_of
from backstay.jobs.browsing import is_ready, look_inside
from backstay.jobs.comparing import compare_backups
from backstay.jobs.drill import drill_backup
from backstay.jobs.installation import Installation
from backstay.jobs.records import (
    delete_backup,
    delete_backup_files,
    freeze_backup,
    get_backup,
)
from backstay.jobs.repositories import delete_repository, opened_repository, remove_backups
from backstay.jobs.repository_records import import_as_backup, import_parts
from backstay.jobs.restore import begin_restore, pending_restores, resume_restore, run_restore
from backstay.jobs.restore_plan import RestoreOptions, make_plan
from backstay.jobs.restore_sources import source_of_backup
from backstay.jobs.storage import copy_backup
from backstay.jobs.verification import verify_backup
from backstay.repository.checking import check
from backstay.repository.pruning import prune
from backstay.restore import DrillReport, RestoreReport
from backstay.steps import finished
from jobs.stored_commands import PASSWORD, run, settings_of
from support.backups import make_files, take
from support.cms_sites import make_joomla
from support.mysql import MySQLServer
from support.repositories import add_sites, damage, into_repository, packs_of
from support.s3 import S3Server
from support.stored import tree


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A small site with some noise in it."""
    root = make_files(tmp_path / "site", 30, 2000)
    (root / "a-first.bin").write_bytes(random.Random(1).randbytes(50_000))
    (root / "noise.bin").write_bytes(random.Random(2).randbytes(300_000))
    return root


def snapshots(installation: Installation) -> list[str]:
    with opened_repository(installation, "sites") as repository:
        return repository.snapshot_ids()


@pytest.mark.parametrize("kind", [("taken", 1 << 16), ("jpa", 1 << 16), ("zip", 0), ("jps", 0)], ids=str)
def test_it_is_listed_shown_verified_drilled_restored_and_looked_into(
    installation: Installation, site: Path, tmp_path: Path, kind: tuple[str, int]
) -> None:
    add_sites(installation)
    password = PASSWORD if kind[0] == "jps" else None
    if kind[0] == "taken":
        backup = take(installation, site, backstay__repository="sites", **settings_of("jpa", kind[1]))
    else:
        backup = into_repository(installation, take(installation, site, **settings_of(*kind)), password)
    number = str(backup.id)
    (listed,) = json.loads(run(installation, "list", "--json"))
    assert (listed["meta"], listed["size"]) == ("ok", backup.total_size)
    shown = json.loads(run(installation, "show", number, "--json"))
    assert [part["name"] for part in shown["filenames"]][-1] == backup.archivename
    assert (len(shown["filenames"]) > 3) == bool(kind[1])
    assert shown["repository"]["name"] == "sites"
    assert "of the repository sites" in run(installation, "show", number)
    assert backup.archivename.endswith(".zip" if kind[0] == "zip" else ".jpa")
    assert json.loads(run(installation, "verify", number, "--json"))["ok"]
    assert get_backup(installation, backup.id).proof["verifications"][""]["ok"]
    assert json.loads(run(installation, "drill", number, "--json"))["verdict"] == "passed"
    entries = json.loads(run(installation, "archive", "list", number, "--json"))
    assert "noise.bin" in {entry["path"] for entry in entries}
    assert "is good" in run(installation, "archive", "verify", number)
    run(installation, "archive", "extract", number, "--to", str(tmp_path / "some"), "--only", "noise.bin")
    assert (tmp_path / "some/noise.bin").read_bytes() == (site / "noise.bin").read_bytes()
    text = next(path for path in sorted(site.rglob("*.txt")))
    assert run(installation, "archive", "cat", number, str(text.relative_to(site))) == text.read_text()
    run(installation, "restore", number, "--to", str(tmp_path / "back"), "--json")
    assert list(tree(tmp_path / "back")) == list(tree(site))


def test_a_site_with_a_database_passes_its_drill_and_comes_back(
    installation: Installation,
    tmp_path: Path,
    mysql_server: MySQLServer,
    mysql_database: DatabaseAddress,
) -> None:
    make_joomla(tmp_path / "site", mysql_server, mysql_database)
    add_sites(installation, passphrase="a passphrase")
    url = replace(mysql_database, prefix="jos_").url()
    backup = take(installation, tmp_path / "site", url, backstay__repository="sites")
    *_progress, report = drill_backup(installation, backup.id)
    assert isinstance(report, DrillReport)
    assert (report.verdict, report.problems, report.tables, report.rows) == ("passed", (), 2, 4)
    mysql_server.execute("DELETE FROM jos_content", mysql_database.name)
    run(installation, "restore", str(backup.id), "--yes")
    assert mysql_server.execute("SELECT COUNT(*) FROM jos_content", mysql_database.name)[0][0] > 0


def test_its_files_are_found_and_compared_as_those_of_an_archive(installation: Installation, site: Path) -> None:
    add_sites(installation)
    first = into_repository(installation, take(installation, site))
    (site / "noise.bin").unlink()
    (site / "new.txt").write_text("new")
    second = take(installation, site)
    found = finished(compare_backups(installation, first.id, second.id))
    assert (found.added.paths, found.changed.paths, found.removed.paths) == (["new.txt"], [], ["noise.bin"])
    assert not is_ready(installation, first)
    with look_inside(installation, first.id) as inside:
        item = inside.index.find("noise.bin")
        assert b"".join(inside.read(item)) == random.Random(2).randbytes(300_000)
    assert is_ready(installation, first)


def test_a_restore_that_stops_on_its_way_goes_on(installation: Installation, site: Path, tmp_path: Path) -> None:
    add_sites(installation)
    backup = take(installation, site, backstay__repository="sites")
    source = source_of_backup(installation, backup.id)
    plan = make_plan(source, RestoreOptions(to=tmp_path / "back"))
    steps = run_restore(begin_restore(installation, plan), pytest.fail)
    next(steps)
    steps.close()
    (pending,) = pending_restores(installation)
    assert pending.archive == f"backup {backup.id} in the repository sites"
    assert not (tmp_path / "back").exists()
    *_progress, report = run_restore(resume_restore(installation, pending.name), pytest.fail)
    assert isinstance(report, RestoreReport)
    assert list(tree(tmp_path / "back")) == list(tree(site))


def test_damage_is_named_and_all_other_files_come_back(installation: Installation, site: Path, tmp_path: Path) -> None:
    add_sites(installation)
    backup = into_repository(installation, take(installation, site))
    first = "a-first.bin"
    damage(installation, (site / first).read_bytes())
    found = finished(verify_backup(installation, backup.id))
    assert len(found.problems) == 1
    assert first in found.problems[0]
    assert not get_backup(installation, backup.id).proof["verifications"][""]["ok"]
    said = run(installation, "archive", "extract", str(backup.id), "--to", str(tmp_path / "some"), code=11)
    assert first in " ".join(said.split())
    back = {path for path, *_ in tree(tmp_path / "some")}
    assert {path for path, *_ in tree(site)} - {first} <= back
    assert first not in back
    assert (tmp_path / "some/noise.bin").read_bytes() == (site / "noise.bin").read_bytes()
    *_progress, report = drill_backup(installation, backup.id)
    assert isinstance(report, DrillReport)
    assert report.verdict == "failed"
    assert first in " ".join(report.problems)
    run(installation, "restore", str(backup.id), "--to", str(tmp_path / "back"), "--only", "noise.bin", "--json")
    assert (tmp_path / "back/noise.bin").read_bytes() == (site / "noise.bin").read_bytes()
    with open_backup(installation, backup.id, "", None) as archive, pytest.raises(DamagedArchiveError, match="damaged"):
        list(archive.read_path(first))


def test_deleting_lets_go_of_the_snapshot_and_a_prune_gives_the_space_back(
    installation: Installation, site: Path
) -> None:
    add_sites(installation)
    first, second = (into_repository(installation, take(installation, site)) for _ in range(2))
    delete_backup_files(installation, first.id)
    assert (get_backup(installation, first.id).meta, len(snapshots(installation))) == ("obsolete", 1)
    assert parts_of(installation, get_backup(installation, first.id)) == []
    with pytest.raises(NotFoundError, match="no files"):
        open_backup(installation, first.id, "", None)
    delete_backup(installation, second.id)
    assert snapshots(installation) == []
    with opened_repository(installation, "sites") as repository:
        prune(repository)
    assert packs_of(installation) == []


def test_what_a_profile_keeps_is_what_its_backups_have_added(installation: Installation, site: Path) -> None:
    add_sites(installation)
    first, second = (take(installation, site, backstay__repository="sites") for _ in range(2))
    whole = take(installation, site)
    rows = installation.catalogue.snapshots.of_many([first.id, second.id])
    now = datetime.now(UTC)
    (found,) = [
        one
        for one in installation.catalogue.activity.between(now - timedelta(days=1), now)
        if one.profile_id == first.profile_id
    ]
    assert found.stored == {"": whole.total_size + sum(row.added for row in rows.values())}
    assert rows[second.id].added < first.total_size


def test_retention_lets_go_of_snapshots(installation: Installation, site: Path) -> None:
    add_sites(installation)
    first = into_repository(installation, take(installation, site))
    frozen = into_repository(installation, take(installation, site))
    freeze_backup(installation, frozen.id, frozen=True)
    take(installation, site, akeeba__quota__enable_count_quota="1", akeeba__quota__count_quota="1")
    assert [get_backup(installation, one.id).meta for one in (first, frozen)] == ["obsolete", "ok"]
    assert len(snapshots(installation)) == 1
    assert finished(verify_backup(installation, frozen.id)).problems == ()


def test_a_frozen_backup_stays_whoever_deletes(installation: Installation, site: Path) -> None:
    add_sites(installation)
    backup = into_repository(installation, take(installation, site))
    freeze_backup(installation, backup.id, frozen=True)
    row = installation.catalogue.snapshots.of(backup.id)
    assert row is not None
    for remove in (
        lambda: delete_backup(installation, backup.id),
        lambda: delete_backup_files(installation, backup.id),
        lambda: remove_backups(installation, "sites", [row.snapshot[:6]]),
        lambda: delete_repository(installation, "sites"),
    ):
        with pytest.raises(UsageError, match=f"Backup {backup.id} is frozen"):
            remove()
    with opened_repository(installation, "sites") as repository:
        prune(repository)
        assert check(repository, read_data=1.0).ok
    assert finished(verify_backup(installation, backup.id)).problems == ()
    freeze_backup(installation, backup.id, frozen=False)
    assert remove_backups(installation, "sites", [row.snapshot[:6]]) == [row.snapshot]
    assert get_backup(installation, backup.id).meta == "obsolete"


def test_a_locked_snapshot_outlives_whoever_deletes_it(
    installation: Installation, site: Path, s3_server: S3Server
) -> None:
    place = s3_server.place(lock=True)
    options = DestinationOptions(lock_days=1)
    made = NamedDestination(0, "vault", place.url, place.secrets, datetime.now(UTC), options)
    installation.catalogue.destinations.create(made)
    add_sites(installation, storage="vault", passphrase="a passphrase")
    backup = into_repository(installation, take(installation, site))
    row = installation.catalogue.snapshots.of(backup.id)
    assert row is not None
    with pytest.raises(StorageError):
        delete_backup(installation, backup.id)
    with pytest.raises(StorageError):
        remove_backups(installation, "sites", [row.snapshot])
    assert get_backup(installation, backup.id).meta == "ok"
    with opened_repository(installation, "sites") as repository:
        assert prune(repository).deleted == 0
    assert finished(verify_backup(installation, backup.id)).problems == ()


def test_no_archive_of_it_is_sent(installation: Installation, site: Path, tmp_path: Path) -> None:
    (tmp_path / "nas").mkdir()
    run(installation, "storage", "add", "nas", f"folder://{tmp_path}/nas")
    add_sites(installation)
    backup = into_repository(installation, take(installation, site))
    with pytest.raises(UsageError, match="lies in the repository sites"):
        finished(copy_backup(installation, backup.id, "nas"))


def test_an_archive_becomes_a_backup_of_a_profile(installation: Installation, site: Path, tmp_path: Path) -> None:
    (tmp_path / "nas").mkdir()
    run(installation, "storage", "add", "nas", f"folder://{tmp_path}/nas")
    taken = take(installation, site, engine__archiver__common__part_size="65536")
    finished(copy_backup(installation, taken.id, "nas"))
    add_sites(installation)
    made = json.loads(
        run(installation, "repository", "import", "sites", f"nas:{taken.archivename}", "--record", "--profile",
            str(taken.profile_id), "--description", "Before", "--json")
    )  # fmt: skip
    backup = get_backup(installation, made["backup"])
    assert (backup.description, backup.profile_id, backup.archivename) == (
        "Before",
        taken.profile_id,
        taken.archivename,
    )
    assert abs((backup.backupstart - taken.backupstart).total_seconds()) < 2
    assert max(part.size for part in parts_of(installation, backup)) <= 65536
    shown = json.loads(run(installation, "repository", "show", "sites", "--json"))
    assert [one["backup"] for one in shown["backups"]] == [backup.id]
    with pytest.raises(NotFoundError):
        import_as_backup(installation, "sites", str(tmp_path / "nas" / taken.archivename), profile_id=99)
    assert len(snapshots(installation)) == 1
    run(installation, "repository", "import", "sites", "x.jpa", "--profile", "1", code=2)


def test_parts_that_arrived_become_the_archive_of_a_record(installation: Installation, site: Path) -> None:
    add_sites(installation)
    taken = take(installation, site, engine__archiver__common__part_size="65536")
    parts = [part.path for part in parts_of(installation, taken) if hasattr(part, "path")]
    made = installation.catalogue.backups.create(
        profile_id=taken.profile_id, backupstart=taken.backupstart, type="full", description="of another site"
    )
    snapshot = import_parts(installation, "sites", parts, made.id)
    installation.catalogue.backups.update(made.id, status="complete")
    backup = get_backup(installation, made.id)
    assert (backup.archivename, backup.meta) == (taken.archivename, "ok")
    assert snapshot.record["description"] == "of another site"
    with open_backup(installation, backup.id, "", None) as ours, open_archive(parts[-1]) as theirs:
        assert {line.path: line.blake3 for line in ours.manifest()} == {
            line.path: line.blake3 for line in theirs.manifest()
        }
    with pytest.raises(UsageError, match="already"):
        import_parts(installation, "sites", parts, made.id)


def test_without_its_repository_a_record_has_no_files(installation: Installation, site: Path) -> None:
    add_sites(installation)
    backup = into_repository(installation, take(installation, site))
    run(installation, "repository", "remove", "sites", "--everything", "--yes")
    assert get_backup(installation, backup.id).meta == "obsolete"
    with pytest.raises(NotFoundError):
        open_backup(installation, backup.id, "", None)
