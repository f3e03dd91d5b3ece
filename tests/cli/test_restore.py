"""Restores, drills and moves from the command line, as a person does them."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backstay.databases import DatabaseAddress
from backstay.demo.compare import compare_trees
from backstay.jobs.profiles import create_profile
from server.driving import Driven, driven
from support.backups import make_files
from support.cms_sites import OLD_ADDRESS, make_wordpress
from support.commands import backstay
from support.mysql import MySQLServer

ARCHIVES = Path(__file__).resolve().parents[1] / "fixtures" / "reference-archives"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A small site of files."""
    return make_files(tmp_path / "site")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Driven]:
    """A server over a home of its own."""
    with driven(tmp_path / "server-home") as running:
        yield running


def run(*arguments: str, code: int = 0, secret: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command line as a process of its own."""
    done = backstay(*arguments, environment={"BACKSTAY_SECRET": secret} if secret else {})
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def read_json(*arguments: str, secret: str = "") -> Any:
    return json.loads(run(*arguments, "--json", secret=secret).stdout)


def backed_up(site: Path) -> str:
    return str(read_json("backup", str(site), "--database", "none")["id"])


@pytest.mark.usefixtures("home")
def test_a_site_is_replaced_taken_back_replaced_again_and_confirmed(site: Path, tmp_path: Path) -> None:
    number = backed_up(site)
    backup = tmp_path / "as-it-was"
    subprocess.run(["cp", "-a", site, backup], check=True)
    (site / "added.txt").write_text("since")
    shutil.rmtree(site / "folder 3")
    changed = tmp_path / "changed"
    subprocess.run(["cp", "-a", site, changed], check=True)
    refused = run("restore", number, code=2)
    assert f"replaces all that is in {site}" in refused.stderr
    assert compare_trees(changed, site).differences == []
    report = read_json("restore", number, "--yes")
    assert report["target"] == str(site)
    assert 0 < report["window"] < 10
    assert compare_trees(backup, site).differences == []
    (pending,) = read_json("restore", "--pending")
    assert (pending["state"], pending["target"], pending["name"]) == ("in place", str(site), report["name"])
    assert read_json("restore", "--undo", report["name"]) == {
        "name": report["name"],
        "target": str(site),
        "undone": True,
        "confirmed": False,
    }
    assert compare_trees(changed, site).differences == []
    run("restore", number, "--yes")
    run("restore", "--confirm")
    assert compare_trees(backup, site).differences == []
    assert read_json("restore", "--pending") == []
    assert not [path for path in tmp_path.iterdir() if "backstay" in path.name]


@pytest.mark.usefixtures("home")
def test_what_was_kept_long_enough_is_removed_by_the_next_restore(site: Path, tmp_path: Path) -> None:
    number = backed_up(site)
    run("restore", number, "--yes", "--keep-days", "0")
    reported = run("restore", number, "--to", str(tmp_path / "else"))
    assert "kept long enough" in reported.stderr
    assert read_json("restore", "--pending") == []


@pytest.mark.usefixtures("home")
def test_a_dry_run_says_what_would_change_and_changes_nothing(site: Path, tmp_path: Path) -> None:
    number = backed_up(site)
    before = site.stat()
    looked = read_json("restore", number, "--dry-run", "--replace", "a=b")
    assert (looked["occupied"], looked["replacements"]) == (True, [["a", "b"]])
    assert looked["files"] > 40
    assert "Nothing was changed." in run("restore", number, "--dry-run").stdout
    assert site.stat() == before
    assert read_json("restore", "--pending") == []
    assert {path.name for path in tmp_path.iterdir()} == {"site", "home"}


@pytest.mark.usefixtures("home")
def test_some_files_come_back_over_others_and_nothing_else_changes(site: Path) -> None:
    number = backed_up(site)
    (site / "folder 1/file-1.txt").write_text("changed")
    (site / "folder 1/added.txt").write_text("since")
    (site / "folder 2/file-2.txt").write_text("changed")
    report = read_json("restore", number, "--only", "folder 1", "--yes")
    assert "line 1 of" in (site / "folder 1/file-1.txt").read_text()
    assert (site / "folder 1/added.txt").read_text() == "since"
    assert (site / "folder 2/file-2.txt").read_text() == "changed"
    run("restore", "--undo", report["name"])
    assert (site / "folder 1/file-1.txt").read_text() == "changed"
    assert (site / "folder 1/added.txt").read_text() == "since"


@pytest.mark.usefixtures("home")
def test_files_that_the_backup_does_not_hold_stay_where_that_is_asked_for(site: Path) -> None:
    number = backed_up(site)
    (site / "added.txt").write_text("since")
    (site / "folder 2/file-2.txt").write_text("changed")
    run("restore", number, "--merge", "--yes")
    assert (site / "added.txt").read_text() == "since"
    assert "line 2 of" in (site / "folder 2/file-2.txt").read_text()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.usefixtures("home")
def test_a_folder_whose_parent_is_not_ours_is_replaced_from_within(site: Path, tmp_path: Path) -> None:
    number = backed_up(site)
    (site / "added.txt").write_text("since")
    tmp_path.chmod(0o500)
    try:
        run("restore", number, "--yes")
        assert not (site / "added.txt").exists()
        run("restore", "--undo")
        assert (site / "added.txt").exists()
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.usefixtures("home")
def test_a_restore_that_fails_leaves_everything_as_it_was(site: Path, tmp_path: Path) -> None:
    archive = tmp_path / "damaged.jpa"
    content = bytearray((ARCHIVES / "tiny.jpa").read_bytes())
    archive.write_bytes(content[: len(content) // 2])
    before = tmp_path / "before"
    subprocess.run(["cp", "-a", site, before], check=True)
    run("restore", str(archive), "--to", str(site), "--yes", code=11)
    assert compare_trees(before, site).differences == []
    assert read_json("restore", "--pending") == []
    assert {path.name for path in tmp_path.iterdir()} == {"before", "damaged.jpa", "home", "site"}


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Say what to restore"),
        (("nothing.jpa", "--to", "x"), "There is no archive nothing.jpa"),
        ((str(ARCHIVES / "tiny.jpa"),), "Say where the files go with --to"),
        ((str(ARCHIVES / "tiny.jpa"), "--to", "x", "--replace", "no-equals"), "--replace takes OLD=NEW"),
        ((str(ARCHIVES / "tiny.jpa"), "--to", "x", "--existing-tables", "eat"), "--existing-tables takes"),
        ((str(ARCHIVES / "tiny.jpa"), "--to", "x", "--database", "ftp://x/y"), "A database URL begins with"),
        (("--undo", "--confirm"), "Give one of"),
        (("--undo",), "There is no restore to resume"),
        (("--undo", "../../etc"), "There is no restore ../../etc"),
    ],
)
def test_what_makes_no_sense_gets_a_clear_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = backstay("restore", *arguments)
    assert done.returncode in (2, 3)
    assert said in done.stderr
    assert not (tmp_path / "x").exists()


def test_what_a_restore_needs_is_not_replaced_by_it(site: Path, home: Path, tmp_path: Path) -> None:
    del home
    inside = site / "tiny.jpa"
    shutil.copyfile(ARCHIVES / "tiny.jpa", inside)
    reported = run("restore", str(inside), "--to", str(site), "--yes", code=50)
    assert "lies in the folder that would be replaced" in reported.stderr
    assert inside.exists()


@pytest.mark.usefixtures("home")
def test_texts_are_replaced_in_files_and_in_sqlite_databases(site: Path, tmp_path: Path) -> None:
    (site / "page.html").write_text(f"<a href='{OLD_ADDRESS}/x'>")
    (site / "picture.bin").write_bytes(b"\0" + OLD_ADDRESS.encode())
    with closing(sqlite3.connect(site / "data.sqlite")) as database:
        database.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, b BLOB)")
        database.execute(
            "INSERT INTO t (v, b) VALUES (?, ?)", (f'a:1:{{i:0;s:18:"{OLD_ADDRESS}";}}', OLD_ADDRESS.encode())
        )
        database.commit()
    number = backed_up(site)
    report = read_json(
        "restore", number, "--to", str(tmp_path / "moved"), "--replace", f"{OLD_ADDRESS}=https://new.example.org"
    )
    assert report["replaced"]["files"] == {"data.sqlite": 1, "page.html": 1}
    moved = tmp_path / "moved"
    assert (moved / "page.html").read_text() == "<a href='https://new.example.org/x'>"
    assert (moved / "picture.bin").read_bytes() == b"\0" + OLD_ADDRESS.encode()
    with closing(sqlite3.connect(moved / "data.sqlite")) as database:
        rows = database.execute("SELECT v, b FROM t").fetchall()
    assert rows == [('a:1:{i:0;s:23:"https://new.example.org";}', OLD_ADDRESS.encode())]


@pytest.mark.usefixtures("home")
def test_tables_that_are_there_are_asked_about(
    mysql_server: MySQLServer, mysql_database: DatabaseAddress, tmp_path: Path
) -> None:
    mysql_server.execute(["CREATE TABLE tst_users (mine int)", "INSERT INTO tst_users VALUES (7)"], mysql_database.name)
    archive, target, url = str(ARCHIVES / "tiny-layout.jpa"), str(tmp_path / "site"), mysql_database.url()
    refused = run("restore", archive, "--to", target, "--database", url, code=2)
    assert "replaces the table tst_users of mysql://" in refused.stderr
    run("restore", archive, "--to", target, "--database", url, "--existing-tables", "refuse", "--yes", code=24)
    assert not Path(target).exists()
    kept = read_json("restore", archive, "--to", target, "--database", url, "--yes")
    assert mysql_server.execute("SELECT COUNT(*) FROM tst_users", mysql_database.name)[0][0] > 1
    run("restore", "--undo", kept["name"])
    assert [tuple(row) for row in mysql_server.execute("SELECT * FROM tst_users", mysql_database.name)] == [(7,)]
    report = read_json("restore", archive, "--to", target, "--database", url, "--existing-tables", "backup", "--yes")
    assert report["databases"]["site.sql"]["backups"] == {"tst_users": "bak_users"}
    run("restore", "--confirm")
    assert [tuple(row) for row in mysql_server.execute("SELECT * FROM bak_users", mysql_database.name)] == [(7,)]


@pytest.mark.usefixtures("home")
def test_a_dump_without_a_known_prefix_asks_for_one(mysql_database: DatabaseAddress, tmp_path: Path) -> None:
    arguments = ("restore", str(ARCHIVES / "tiny.jpa"), "--to", str(tmp_path / "s"), "--database", mysql_database.url())
    reported = run(*arguments, "--no-files", code=23)
    assert "add ?prefix=" in reported.stderr


@pytest.mark.usefixtures("home")
def test_a_drill_is_reported_and_listed(site: Path) -> None:
    number = backed_up(site)
    assert "passed its drill" in run("drill", number).stdout
    assert read_json("list")[0]["proof"]["drill"]["verdict"] == "passed"
    assert "passed" in run("list").stdout
    assert "passed at" in run("show", number).stdout


@pytest.mark.usefixtures("home")
def test_a_site_is_restored_straight_from_a_server(server: Driven, site: Path, tmp_path: Path) -> None:
    profile = create_profile(
        server.installation,
        name="site",
        values={"akeeba.platform.newroot": str(site), "backstay.site.database": "none"},
    )
    run("remote", "backup", "--url", server.url, "--profile", str(profile.id), secret=server.secret)
    target = tmp_path / "back"
    read_json("restore", server.url, "--to", str(target), secret=server.secret)
    assert compare_trees(site, target).differences == []
    home = Path(os.environ["BACKSTAY_HOME"])
    assert list((home / "restores").iterdir()) == []


@pytest.mark.usefixtures("home")
def test_the_verdict_of_a_drill_is_reported_over_the_api(server: Driven, site: Path) -> None:
    values = {"akeeba.platform.newroot": str(site), "backstay.site.database": "none"}
    profile = create_profile(server.installation, name="site", values=values)
    ours = ("--url", server.url)
    run("remote", "backup", *ours, "--profile", str(profile.id), secret=server.secret)
    assert "drill" not in read_json("remote", "show", "1", *ours, secret=server.secret)
    run("drill", "1", "--home", str(server.installation.home.path))
    assert read_json("remote", "show", "1", *ours, secret=server.secret)["drill"]["verdict"] == "passed"


@pytest.mark.usefixtures("home")
def test_a_site_moves_here_in_one_command(
    server: Driven, mysql_server: MySQLServer, mysql_database: DatabaseAddress, tmp_path: Path
) -> None:
    old, target = tmp_path / "old-place", tmp_path / "new-place"
    make_wordpress(old, mysql_server, mysql_database)
    mysql_server.execute(
        f"UPDATE wp_options SET option_value = '{server.url}' WHERE option_name = 'home'", mysql_database.name
    )
    values = {
        "akeeba.platform.newroot": str(old),
        "backstay.site.database": replace(mysql_database, prefix="wp_").url(),
    }
    profile = create_profile(server.installation, name="site", values=values)
    second = mysql_server.create("backstay_test_migrated")
    report = read_json(
        *(
            "migrate",
            "--from",
            server.url,
            "--profile",
            str(profile.id),
            "--to",
            str(target),
            "--database",
            second.url(),
        ),
        *("--address", "https://here.example", "--replace", f"{OLD_ADDRESS}=https://here.example"),
        secret=server.secret,
    )
    rows = mysql_server.execute("SELECT option_name, option_value FROM wp_options", second.name)
    options = {str(name): str(value) for name, value in rows}
    mysql_server.drop(second.name)
    assert options["home"] == options["siteurl"] == "https://here.example"
    assert options["upload_path"] == f"{target}/wp-content/uploads"
    assert report["configuration"]["wp-config.php"] == ["DB_NAME", "WP_CONTENT_DIR"]
    assert f"'{second.name}'" in (target / "wp-config.php").read_text()


@pytest.mark.usefixtures("home")
def test_restores_of_several_sites_are_ended_by_name_and_in_turn(tmp_path: Path) -> None:
    archive = str(ARCHIVES / "tiny.jpa")
    names = []
    for place in ("a", "a", "b"):
        target = tmp_path / place
        target.mkdir(exist_ok=True)
        (target / "mine.txt").write_text(place)
        names.append(read_json("restore", archive, "--to", str(target), "--yes")["name"])
    first, second, other = names
    assert "name the one that is meant" in run("restore", "--undo", code=2).stderr
    assert f"--undo {second}" in run("restore", "--undo", first, code=2).stderr
    run("restore", "--confirm", other)
    run("restore", "--undo")
    assert (tmp_path / "a/mine.txt").exists()
    assert (tmp_path / "a/index.php").exists()
    run("restore", "--undo")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["mine.txt"]


@pytest.mark.usefixtures("home")
def test_restores_into_one_database_are_taken_back_in_turn(mysql_database: DatabaseAddress, tmp_path: Path) -> None:
    archive, url = str(ARCHIVES / "tiny-layout.jpa"), mysql_database.url()
    names = [
        read_json("restore", archive, "--to", str(tmp_path / place), "--database", url, "--yes")["name"]
        for place in ("a", "b", "c")
    ]
    assert names[0] == ""
    assert "came after" in run("restore", "--undo", names[1], code=2).stderr
    run("restore", "--undo", names[2])
    run("restore", "--undo", names[1])


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("arguments", "code", "reported"),
    [
        (("tiny.jpa", "--only", "nothing*"), 3, "Nothing in the archive fits --only nothing*"),
        (("tiny-dbonly.sql",), 2, "is a dump and no archive"),
        (("tiny.jps", "--database", "sqlite:///x.db"), 3, "leave --database out"),
    ],
)
def test_what_cannot_be_restored_is_reported_in_a_sentence(
    arguments: tuple[str, ...], code: int, reported: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKSTAY_PASSWORD", "correct horse battery staple")
    archive, *rest = arguments
    assert reported in run("restore", str(ARCHIVES / archive), "--to", str(tmp_path / "s"), *rest, code=code).stderr
    assert not list(tmp_path.glob("*s"))


@pytest.mark.usefixtures("home")
def test_tables_that_no_name_fits_are_reported(mysql_database: DatabaseAddress, tmp_path: Path) -> None:
    where = ("--to", str(tmp_path / "s"), "--no-files", "--database", mysql_database.url(), "--only-tables", "none*")
    assert "fits --only-tables none*" in run("restore", str(ARCHIVES / "tiny-layout.jpa"), *where, code=3).stderr


@pytest.mark.usefixtures("home")
def test_special_modes_come_back_where_they_are_asked_for(tmp_path: Path) -> None:
    site = tmp_path / "special"
    site.mkdir()
    (site / "tool").write_text("#!/bin/sh\n")
    (site / "tool").chmod(0o4755)
    number = backed_up(site)
    reported = run("restore", number, "--to", str(tmp_path / "plain"))
    assert "tool lost its setuid" in reported.stderr
    run("restore", number, "--to", str(tmp_path / "back"), "--special-modes")
    assert (tmp_path / "plain/tool").stat().st_mode & 0o7777 == 0o755
    assert (tmp_path / "back/tool").stat().st_mode & 0o7777 == 0o4755


@pytest.mark.usefixtures("home")
def test_the_sites_own_database_comes_back_with_its_own_place_and_never_otherwise(
    mysql_server: MySQLServer, mysql_database: DatabaseAddress, tmp_path: Path
) -> None:
    site, copy = tmp_path / "blog", tmp_path / "copy"
    make_wordpress(site, mysql_server, mysql_database)
    number = str(read_json("backup", str(site))["id"])

    def nickname(*, changed: bool = False) -> str:
        if changed:
            mysql_server.execute(
                "UPDATE wp_usermeta SET meta_value = 'since' WHERE meta_key = 'nickname'", mysql_database.name
            )
        row = mysql_server.execute(
            "SELECT meta_value FROM wp_usermeta WHERE meta_key = 'nickname'", mysql_database.name
        )
        return str(row[0][0])

    nickname(changed=True)
    left = run("restore", number, "--to", str(copy), "--yes").stderr
    assert "does not load site.sql: no database is given for it" in left
    assert read_json("restore", number, "--yes", "--only", "wp-content")["not_restored"] == ["site.sql"]
    assert read_json("restore", number, "--yes", "--database", "none")["not_restored"] == ["site.sql"]
    assert nickname() == "since"
    assert "of mysql://" in run("restore", number, "--to", str(site), code=2).stderr
    report = read_json("restore", number, "--to", f"{site.parent}/./blog", "--yes")
    assert (list(report["databases"]), report["not_restored"]) == (["site.sql"], [])
    assert nickname() == "wp_fan"
    nickname(changed=True)
    report = read_json("restore", number, "--yes", "--no-files", "--only-tables", "#__usermeta")
    assert (report["files"], report["databases"]["site.sql"]["tables"], nickname()) == (0, 1, "wp_fan")
    # Where the site is lost, its configuration in the backup says which database it had.
    nickname(changed=True)
    shutil.rmtree(site)
    assert read_json("restore", number, "--yes")["not_restored"] == []
    assert nickname() == "wp_fan"


@pytest.mark.usefixtures("home")
def test_a_backup_without_a_dump_leaves_the_sites_database_alone(
    mysql_server: MySQLServer, mysql_database: DatabaseAddress, tmp_path: Path
) -> None:
    site = tmp_path / "blog"
    make_wordpress(site, mysql_server, mysql_database)
    number = str(read_json("backup", str(site), "--type", "fileonly")["id"])
    assert read_json("restore", number, "--yes")["databases"] == {}
    assert len(mysql_server.execute("SELECT * FROM wp_options", mysql_database.name)) == 7


@pytest.mark.usefixtures("home")
def test_a_restore_in_the_background_is_done_and_taken_back_by_tasks(site: Path) -> None:
    number = backed_up(site)
    (site / "added.txt").write_text("since")
    (site / "folder 1/file-1.txt").write_text("changed")
    looked = read_json("restore", number, "--dry-run")["difference"]
    assert (looked["removed"]["examples"], looked["replaced"]["examples"]) == (["added.txt"], ["folder 1/file-1.txt"])
    assert looked["added"]["count"] == 0
    assert looked["same"]["count"] > 30
    begun = read_json("restore", number, "--background", "--yes")
    done = wait_for_task(begun["task"])
    assert (done["state"], done["result"]["restore"], done["backup"]) == ("done", begun["name"], int(number))
    assert not (site / "added.txt").exists()
    assert wait_for_task(read_json("restore", "--undo", "--background")["task"])["state"] == "done"
    assert (site / "added.txt").read_text() == "since"
    assert read_json("restore", "--pending") == []


def wait_for_task(number: int) -> Any:
    """Wait for the end of a task."""
    until = time.monotonic() + 60
    while (task := read_json("task", "show", str(number)))["state"] == "running":
        assert time.monotonic() < until, task
        time.sleep(0.1)
    return task
