"""A folder that cannot change places as a whole is replaced from within, and other kinds of database are staged too."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from backstay.databases import DatabaseAddress
from backstay.demo.compare import compare_trees
from backstay.errors import LoadError, RestoreError
from backstay.jobs.installation import Installation
from backstay.jobs.records import backup_files
from backstay.restore import RestoreReport, RestoreRun
from support.backups import make_files, take
from support.postgresql import PostgreSQLServer
from support.restores import begin_in, restore


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A small site of files."""
    return make_files(tmp_path / "site")


def archive_of(installation: Installation, site: Path, database: str = "none") -> Path:
    return backup_files(installation, take(installation, site, database))[-1].path


def done(run: RestoreRun) -> RestoreReport:
    *_progress, report = run.run(pytest.fail)
    assert isinstance(report, RestoreReport)
    return report


def test_the_content_of_a_mount_point_changes_places(
    installation: Installation, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = archive_of(installation, site)
    target = tmp_path / "mounted"
    target.mkdir(mode=0o711)
    (target / "index.php").write_text("old")
    (target / "folder 1").mkdir()
    (target / "folder 1/old.txt").write_text("old")
    os.utime(target, (1_600_000_000, 1_600_000_000))
    before = tmp_path / "before"
    subprocess.run(["cp", "-a", target, before], check=True)
    inode = target.stat().st_ino
    monkeypatch.setattr(os.path, "ismount", lambda path: str(path) == str(target))
    run = begin_in(tmp_path / "state", archive, target)
    with run.journal:
        assert done(run).name
        assert target.stat().st_ino == inode
        names = {path.name for path in target.iterdir()}
        assert names - {path.name for path in site.iterdir()} == {f".backstay-{run.journal.name}"}
        run.undo(pytest.fail)
    assert compare_trees(before, target).differences == []
    restore(archive, target)
    assert compare_trees(site, target).differences == []
    assert target.stat().st_ino == inode


def test_a_link_to_the_site_stays_a_link(installation: Installation, site: Path, tmp_path: Path) -> None:
    archive = archive_of(installation, site)
    real = tmp_path / "releases" / "1"
    real.mkdir(parents=True)
    (real / "old.txt").write_text("old")
    (tmp_path / "current").symlink_to(real)
    restore(archive, tmp_path / "current")
    assert (tmp_path / "current").is_symlink()
    assert compare_trees(site, real).differences == []


def test_a_file_is_no_place_for_a_site(installation: Installation, site: Path, tmp_path: Path) -> None:
    archive = archive_of(installation, site)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RestoreError, match="is no folder"):
        restore(archive, tmp_path / "file")


def test_the_plan_in_the_journal_gives_no_password_away(installation: Installation, site: Path, tmp_path: Path) -> None:
    archive = archive_of(installation, site)
    url = "mysql://user:hunter2@nowhere.invalid/x"
    run = begin_in(tmp_path / "state", archive, tmp_path / "new", databases={"site.sql": url}, password="hunter3")
    with run.journal:
        written = (run.journal.folder / "journal.jsonl").read_text()
        assert "hunter" not in written + repr(run.plan)
        assert stat.S_IMODE(run.journal.folder.stat().st_mode) == 0o700


def test_a_torn_last_line_of_the_journal_is_as_if_it_was_never_written(
    installation: Installation, site: Path, tmp_path: Path
) -> None:
    archive = archive_of(installation, site)
    target = tmp_path / "target"
    target.mkdir()
    (target / "old.txt").write_text("old")
    run = begin_in(tmp_path / "state", archive, target)
    with run.journal:
        done(run)
    path = run.journal.folder / "journal.jsonl"
    with path.open("a") as file:
        file.write('{"step": "confir')
    from backstay.catalogue.vault import Vault
    from backstay.restore import reopen_journal

    again = RestoreRun(
        reopen_journal(tmp_path / "state" / "restores", run.journal.name), Vault(tmp_path / "state" / "key")
    )
    with again.journal:
        again.undo(pytest.fail)
    assert [entry.name for entry in target.iterdir()] == ["old.txt"]


def test_a_sqlite_database_changes_places_and_comes_back(
    installation: Installation, site: Path, tmp_path: Path
) -> None:
    source = tmp_path / "source.db"
    with closing(sqlite3.connect(source)) as database:
        database.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)")
        database.executemany("INSERT INTO t (v) VALUES (?)", [("http://old.example",), ("x",)])
        database.commit()
    archive = archive_of(installation, site, f"sqlite:///{source}")
    live = tmp_path / "live.db"
    with closing(sqlite3.connect(live)) as database:
        database.execute("CREATE TABLE mine (v TEXT)")
        database.commit()
    before = live.read_bytes()
    run = begin_in(
        tmp_path / "state",
        archive,
        tmp_path / "unused",
        databases={"site.sql": DatabaseAddress("sqlite", name=str(live)).url()},
        files=False,
        replacements=(("http://old.example", "https://new.example"),),
    )
    with run.journal:
        report = done(run)
        assert report.replaced_in_databases == {"site.sql": {"t.v": 1}}
        with closing(sqlite3.connect(live)) as database:
            assert database.execute("SELECT v FROM t").fetchall() == [("https://new.example",), ("x",)]
        run.undo(pytest.fail)
    assert live.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"home", "live.db", "site", "source.db", "state"}


def test_each_sqlite_database_that_is_kept_as_a_backup_has_a_name_of_its_own(
    installation: Installation, site: Path, tmp_path: Path
) -> None:
    source, live = tmp_path / "source.db", tmp_path / "live.db"
    for path, table in ((source, "fresh"), (live, "mine")):
        with closing(sqlite3.connect(path)) as database:
            database.execute(f"CREATE TABLE {table} (v TEXT)")
            database.commit()
    archive = archive_of(installation, site, f"sqlite:///{source}")
    mine = live.read_bytes()
    for number in (1, 2):
        run = begin_in(
            tmp_path / f"state-{number}",
            archive,
            tmp_path / "unused",
            databases={"site.sql": DatabaseAddress("sqlite", name=str(live)).url()},
            files=False,
            existing="back up",
        )
        with run.journal:
            done(run)
            run.confirm()
    assert (tmp_path / "live.db.bak").read_bytes() == mine
    with closing(sqlite3.connect(tmp_path / "live.db.bak2")) as database:
        assert database.execute("SELECT name FROM sqlite_master").fetchall() == [("fresh",)]


def test_a_postgresql_database_is_replaced_and_comes_back(
    installation: Installation,
    site: Path,
    tmp_path: Path,
    postgresql_server: PostgreSQLServer,
    postgresql_database: DatabaseAddress,
) -> None:
    address = postgresql_database
    postgresql_server.execute(
        [
            "CREATE TABLE t (id int PRIMARY KEY, v text, b bytea)",
            r"INSERT INTO t VALUES (1, E'a:1:{i:0;s:18:\"http://old.example\";}\ttab', 'http://old.example')",
            "INSERT INTO t VALUES (2, NULL, NULL)",
        ],
        address.name,
    )
    archive = archive_of(installation, site, address.url())
    postgresql_server.execute(
        ["UPDATE t SET v = 'changed'", "CREATE TABLE added (id int)", "INSERT INTO added VALUES (5)"], address.name
    )
    run = begin_in(
        tmp_path / "state",
        archive,
        tmp_path / "unused",
        databases={"site.sql": address.url()},
        files=False,
        replacements=(("http://old.example", "https://new.example"),),
    )
    with run.journal:
        done(run)
        rows = postgresql_server.execute("SELECT v, b FROM t ORDER BY id", address.name)
        assert [tuple(row) for row in rows] == [
            ('a:1:{i:0;s:19:"https://new.example";}\ttab', b"http://old.example"),
            (None, None),
        ]
        run.undo(pytest.fail)
    assert [tuple(row) for row in postgresql_server.execute("SELECT v FROM t", address.name)] == [("changed",)] * 2
    assert [tuple(row) for row in postgresql_server.execute("SELECT id FROM added", address.name)] == [(5,)]


def test_a_dump_that_is_refused_leaves_the_old_site(
    installation: Installation, site: Path, tmp_path: Path, mysql_database: DatabaseAddress
) -> None:
    archive = Path(__file__).resolve().parents[1] / "fixtures/reference-archives/tiny.jpa"
    target = tmp_path / "target"
    target.mkdir()
    (target / "old.txt").write_text("old")
    with pytest.raises(LoadError, match=r"add \?prefix="):
        restore(archive, target, databases={"site.sql": replace(mysql_database, prefix="").url()}, only=("at0",))
    assert [entry.name for entry in target.iterdir()] == ["old.txt"]


def test_what_died_before_its_first_line_is_cleared_away_later(
    installation: Installation, site: Path, tmp_path: Path
) -> None:
    archive = archive_of(installation, site)
    stillborn = tmp_path / "state" / "restores" / "20200101-000000-0123abcd"
    stillborn.mkdir(parents=True)
    os.utime(stillborn, (1_600_000_000, 1_600_000_000))
    run = begin_in(tmp_path / "state", archive, tmp_path / "new")
    with run.journal:
        assert not stillborn.exists()


def test_some_tables_of_a_sqlite_database_change_and_the_rest_stays(
    installation: Installation, site: Path, tmp_path: Path
) -> None:
    live = tmp_path / "live.db"
    with closing(sqlite3.connect(live)) as database:
        database.executescript(
            "CREATE TABLE a (v TEXT); CREATE TABLE b (v TEXT); INSERT INTO a VALUES ('old.example');"
        )
    url = DatabaseAddress("sqlite", name=str(live)).url()
    archive = archive_of(installation, site, url)
    with closing(sqlite3.connect(live)) as database:
        database.executescript("DELETE FROM a; INSERT INTO b VALUES ('old.example');")
    before = live.read_bytes()
    options = {"files": False, "only_tables": ("a",), "replacements": (("old.example", "new.example"),)}
    run = begin_in(tmp_path / "state", archive, tmp_path / "unused", databases={"site.sql": url}, **options)
    with run.journal:
        report = done(run)
        assert report.databases["site.sql"].tables == ("a",)
        with closing(sqlite3.connect(live)) as database:
            assert database.execute("SELECT v FROM a").fetchall() == [("new.example",)]
            assert database.execute("SELECT v FROM b").fetchall() == [("old.example",)]
        run.undo(pytest.fail)
    assert live.read_bytes() == before


def test_some_tables_of_a_postgresql_database_change_and_come_back(
    installation: Installation,
    site: Path,
    tmp_path: Path,
    postgresql_server: PostgreSQLServer,
    postgresql_database: DatabaseAddress,
) -> None:
    address = postgresql_database
    postgresql_server.execute(
        ["CREATE TABLE a (v text)", "CREATE TABLE b (v text)", "INSERT INTO a VALUES ('x'), ('y')"], address.name
    )
    archive = archive_of(installation, site, address.url())
    postgresql_server.execute(["DELETE FROM a", "INSERT INTO b VALUES ('later')"], address.name)
    options = {"files": False, "only_tables": ("a",), "databases": {"site.sql": address.url()}}
    run = begin_in(tmp_path / "state", archive, tmp_path / "unused", **options)
    with run.journal:
        report = done(run)
        assert (report.databases["site.sql"].tables, report.databases["site.sql"].rows) == (("a",), 2)
        assert postgresql_server.execute("SELECT v FROM a ORDER BY v", address.name) == [("x",), ("y",)]
        assert postgresql_server.execute("SELECT v FROM b", address.name) == [("later",)]
        run.undo(pytest.fail)
    assert postgresql_server.execute("SELECT v FROM a", address.name) == []
    assert postgresql_server.execute("SELECT v FROM b", address.name) == [("later",)]


@pytest.mark.postgresql
def test_a_postgresql_database_that_cannot_be_read_whole_is_not_replaced(
    installation: Installation,
    site: Path,
    tmp_path: Path,
    postgresql_server: PostgreSQLServer,
    postgresql_database: DatabaseAddress,
) -> None:
    address = postgresql_database
    limited = replace(address, user=f"{address.name}_limited", password="word")
    postgresql_server.execute("CREATE TABLE t (id integer)", address.name)
    archive = archive_of(installation, site, address.url())
    postgresql_server.execute(f"CREATE ROLE {limited.user} LOGIN PASSWORD 'word'")
    try:
        run = begin_in(
            tmp_path / "work", archive, tmp_path / "new", databases={"site.sql": limited.url()}, existing="replace"
        )
        with run.journal, pytest.raises(LoadError, match=r"was not touched.* table t could not be dumped.* empty data"):
            done(run)
        assert postgresql_server.execute("SELECT count(*) FROM t", address.name) == [(0,)]
    finally:
        postgresql_server.drop(address.name)
        postgresql_server.execute(f"DROP ROLE {limited.user}")
