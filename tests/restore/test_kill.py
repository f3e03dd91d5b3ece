"""Killed at any moment, a restore over an existing site ends wholly new or wholly old, as is asked."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from backstay.databases import DatabaseAddress
from backstay.demo.compare import compare_trees
from backstay.jobs.installation import Installation, open_installation
from backstay.jobs.records import backup_files
from backstay.jobs.restore import (
    begin_restore,
    confirm_restore,
    pending_restores,
    resume_restore,
    run_restore,
    undo_restore,
)
from backstay.restore import RestorePlan, RestoreReport
from support import compare
from support.backups import take
from support.cms_sites import make_wordpress
from support.mysql import MySQLServer
from support.repositories import add_sites, into_repository

# As many moments as a test run may take, and as many as are asked for by ``make test-slow``.
FEW, MANY = 4, 60
RESTORE = Path(__file__).parents[1] / "support" / "dying_restore.py"


@dataclass(frozen=True)
class State:
    """What a site is: its tree, and everything in its database."""

    tree: Path
    objects: dict[str, list[str]]
    definitions: dict[tuple[str, str], str]
    rows: dict[str, Any]


@dataclass(frozen=True)
class Ground:
    """Where the restores happen."""

    installation: Installation
    server: MySQLServer
    plan: RestorePlan
    target: Path
    database: str
    old: State
    new: State


def state_of(server: MySQLServer, database: str, target: Path, copy: Path) -> State:
    """Keep a copy of a site's tree, and read its database."""
    subprocess.run(["cp", "-a", target, copy], check=True)
    objects = compare.objects(server, database)
    tables = objects.get("BASE TABLE", [])
    rows = {table: sorted(map(repr, server.execute(f"SELECT * FROM `{table}`", database))) for table in tables}
    return State(copy, objects, compare.definitions(server, database), rows)


@pytest.fixture
def ground(
    request: pytest.FixtureRequest,
    home: Path,
    mysql_server: MySQLServer,
    mysql_database: DatabaseAddress,
    tmp_path: Path,
) -> Iterator[Ground]:
    """A site that was backed up and changed since, so that old and new differ everywhere."""
    target = tmp_path / "site"
    make_wordpress(target, mysql_server, mysql_database)
    for number in range(300):
        (target / f"wp-content/file-{number}.txt").write_text(f"as backed up {number}\n" * 50)
    address = replace(mysql_database, prefix="wp_")
    with open_installation(home) as installation:
        backup = take(installation, target, address.url())
        archive = backup_files(installation, backup)[-1].path
        new = state_of(mysql_server, address.name, target, tmp_path / "new")
        for number in range(0, 300, 3):
            (target / f"wp-content/file-{number}.txt").unlink()
        (target / "wp-content/added.txt").write_text("added since")
        mysql_server.execute(
            [
                "UPDATE wp_posts SET post_content = 'changed since'",
                "ALTER TABLE wp_comments ADD COLUMN added int",
                "DROP VIEW wp_a_v",
                "CREATE OR REPLACE VIEW wp_v AS SELECT guid FROM wp_posts",
                "DROP TRIGGER wp_trg",
                "CREATE TRIGGER wp_other BEFORE INSERT ON wp_comments FOR EACH ROW SET NEW.id = NEW.id + 1",
                "DROP PROCEDURE wp_proc",
                "CREATE PROCEDURE wp_proc() SELECT 'old'",
                "CREATE TABLE not_of_the_site (id int PRIMARY KEY)",
            ],
            address.name,
        )
        old = state_of(mysql_server, address.name, target, tmp_path / "old")
        plan = RestorePlan(str(archive), str(target), {"site.sql": address.url()})
        if getattr(request, "param", "") == "repository":
            add_sites(installation)
            row = installation.catalogue.snapshots.of(into_repository(installation, backup).id)
            assert row is not None
            plan = replace(plan, archive="a repository", repository="sites", snapshot=row.snapshot)
        yield Ground(installation, mysql_server, plan, target, address.name, old, new)


def run(ground: Ground, moment: int) -> subprocess.CompletedProcess[str]:
    """Restore in a process that is killed before a moment; 0: at none."""
    plan = json.dumps(ground.plan.to_json())
    command = [sys.executable, str(RESTORE), str(ground.installation.home.path), plan, str(moment)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def choose(count: int, last: int, swap: int, swapped: int) -> list[int]:
    """Choose moments, in order: every third before things change places, the others while they do and behind it."""
    ready = count // 3
    early = [1 + (swap - 1) * number // ready for number in range(ready)]
    late = [swap + 1 + (last - swap - 1) * number // (count - ready) for number in range(count - ready)]
    return [*early, *late, swapped]


def of_the_site(names: Iterable[str]) -> set[str]:
    """Leave out what the backup does not know of, which stays, and what is kept until a restore is confirmed."""
    return {name for name in names if name != "not_of_the_site" and not name.startswith("backstay_")}


def assert_is(ground: Ground, wanted: State, what: str) -> None:
    assert compare_trees(wanted.tree, ground.target).differences == [], what
    objects = compare.objects(ground.server, ground.database)
    assert "not_of_the_site" in objects["BASE TABLE"], what
    assert {kind: of_the_site(names) for kind, names in objects.items()} == {
        kind: of_the_site(names) for kind, names in wanted.objects.items()
    }, what
    definitions = compare.definitions(ground.server, ground.database)
    assert {key: text for key, text in definitions.items() if of_the_site([key[1]])} == {
        key: text for key, text in wanted.definitions.items() if of_the_site([key[1]])
    }, what
    for table, rows in wanted.rows.items():
        assert sorted(map(repr, ground.server.execute(f"SELECT * FROM `{table}`", ground.database))) == rows, what


def assert_nothing_is_left(ground: Ground, what: str) -> None:
    assert pending_restores(ground.installation) == [], what
    names = {path.name for path in ground.target.parent.iterdir()}
    assert not {name for name in names if "backstay" in name}, what
    # One that died before its first line may have left an empty folder.
    assert not list((ground.installation.home.path / "restores").glob("*/journal.jsonl")), what


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("ground", "moments"),
    [
        ("archive", FEW),
        ("repository", FEW),
        pytest.param("archive", MANY, marks=pytest.mark.slow),
        pytest.param("repository", MANY, marks=pytest.mark.slow),
    ],
    indirect=["ground"],
)
def test_a_restore_that_is_killed_is_finished_or_taken_back(ground: Ground, moments: int) -> None:
    whole = run(ground, 0)
    assert whole.returncode == 0, whole.stderr
    undo_restore(ground.installation, resume_restore(ground.installation), pytest.fail)
    assert_is(ground, ground.old, "an undo of a restore that was done")
    assert_nothing_is_left(ground, "an undo of a restore that was done")
    for number, moment in enumerate(choose(moments, *json.loads(whole.stdout))):
        what = f"killed before moment {moment} of {whole.stdout.strip()}"
        done = run(ground, moment)
        assert done.returncode == -signal.SIGKILL, f"{what}: {done.stderr}"
        if not pending_restores(ground.installation):
            assert_is(ground, ground.old, f"{what}, before it was begun")
            continue
        if number % 2 == 0:
            *_progress, report = run_restore(resume_restore(ground.installation), pytest.fail)
            assert isinstance(report, RestoreReport)
            assert_is(ground, ground.new, what)
        undo_restore(ground.installation, resume_restore(ground.installation), pytest.fail)
        assert_is(ground, ground.old, what)
        assert_nothing_is_left(ground, what)
    *_progress, _report = run_restore(begin_restore(ground.installation, ground.plan), pytest.fail)
    confirm_restore(resume_restore(ground.installation))
    assert_is(ground, ground.new, "a restore that was confirmed")
    assert_nothing_is_left(ground, "a restore that was confirmed")
    left = compare.objects(ground.server, ground.database)["BASE TABLE"]
    assert not [name for name in left if name.startswith("backstay_")]
