"""An archive with the packages of a PHP restoration script: they are in it, and no part of the site."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
from pathlib import Path

import pytest

from backstay.archives import open_archive
from backstay.demo.compare import compare_trees
from backstay.engine.installer import find_packages, read_files
from backstay.errors import ConfigurationError
from support.backups import make_files
from support.commands import backstay
from support.installers import make_package


def run(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the command line as a process of its own."""
    done = backstay(*arguments)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def archived(path: str | Path) -> dict[str, bytes]:
    """Return the files of an archive that lie in ``installation/``, but for its manifest."""
    with open_archive(path) as archive:
        entries = [entry for entry in archive if entry.path.startswith("installation/")]
        return {entry.path: b"".join(archive.read(entry)) for entry in entries if "manifest-" not in entry.path}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A small site of files, one of them in a folder of the installer's name."""
    site = make_files(tmp_path / "site")
    (site / "installation").mkdir()
    (site / "installation" / "notes.txt").write_text("of the site")
    return site


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("archive_format", ["jpa", "zip"])
def test_the_script_is_in_the_archive_and_the_restored_site_is_without_it(
    site: Path, tmp_path: Path, archive_format: str
) -> None:
    database = tmp_path / "site.sqlite"
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("create table t (a)")
    pages = {"installation/sql/databases.json": b"theirs", "installation/README.html": b"theirs"}
    first = make_package(
        tmp_path / "brs.jpa", {"installation/index.php": b"old", "installation/lib/a.php": b"<?php 1;", **pages}
    )
    second = make_package(tmp_path / "brs-generic.jpa", {"installation/index.php": b"<?php new;"})
    options = ("--installer", str(first), "--installer", str(second), "--format", archive_format)
    backup = json.loads(run("backup", str(site), "--database", f"sqlite:///{database}", *options, "--json").stdout)
    assert backup["warnings"] == []
    found = archived(backup["archive"])
    assert found["installation/index.php"] == b"<?php new;"
    assert found["installation/lib/a.php"] == b"<?php 1;"
    assert found["installation/notes.txt"] == b"of the site"
    assert "site.sql" in json.loads(found["installation/sql/databases.json"])
    assert found["installation/README.html"] != b"theirs"
    run("drill", "1")
    run("restore", "1", "--to", str(tmp_path / "back"), "--database", f"sqlite:///{tmp_path}/back.sqlite", "--json")
    assert compare_trees(site, tmp_path / "back").differences == []
    run("archive", "extract", backup["archive"], "--to", str(tmp_path / "all"))
    assert (tmp_path / "all" / "installation" / "index.php").read_bytes() == b"<?php new;"


def test_a_package_in_the_home_is_named_without_its_folder(home: Path, site: Path) -> None:
    make_package(home / "installers" / "brs.jpa", {"installation/index.php": b"<?php 1;"})
    backup = json.loads(run("backup", str(site), "--installer", "brs.jpa", "--json").stdout)
    assert "installation/index.php" in archived(backup["archive"])


@pytest.mark.usefixtures("home")
def test_a_script_that_an_imported_profile_names_and_that_is_absent_is_a_warning(site: Path) -> None:
    (warning,) = json.loads(run("backup", str(site), "--installer", "brs", "--json").stdout)["warnings"]
    assert "'brs'" in warning
    assert "brs.jpa is not there" in warning


@pytest.mark.usefixtures("home")
def test_a_package_that_cannot_be_used_is_refused_before_anything_is_done(site: Path, tmp_path: Path) -> None:
    def refused(path: Path) -> str:
        done = run("backup", str(site), "--installer", str(path), code=9)
        assert json.loads(run("list", "--json").stdout) == []
        return done.stderr

    assert "missing.jpa is not there" in refused(tmp_path / "missing.jpa")
    (tmp_path / "text.jpa").write_text("no archive")
    assert "can't be used" in refused(tmp_path / "text.jpa")
    assert "no files in installation/" in refused(make_package(tmp_path / "x.jpa", {"a.php": b""}))
    large = tmp_path / "large.jpa"
    with large.open("wb") as file:
        file.truncate((64 << 20) + 1)
    assert "64 MiB" in refused(large)
    for name in ("../x", "/x", "installation/../../x"):
        hostile = make_package(tmp_path / "hostile.jpa", {"installation/index.php": b"", name: b"hostile"})
        assert f"its entry {name} has a" in refused(hostile)


@pytest.mark.usefixtures("home")
def test_what_lies_elsewhere_in_a_package_or_hides_the_backups_own_folders_is_left_out(
    site: Path, tmp_path: Path
) -> None:
    files = {"installation/index.php": b"<?php 1;", "index.php": b"hostile", "installation/sql": b"hostile"}
    path = make_package(tmp_path / "odd.jpa", files, link="installation/etc")
    backup = json.loads(run("backup", str(site), "--installer", str(path), "--json").stdout)
    (warning,) = backup["warnings"]
    assert "2 entries" in warning
    found = archived(backup["archive"])
    assert "installation/index.php" in found
    assert found.keys().isdisjoint({"installation/sql", "installation/etc"})
    run("restore", "1", "--to", str(tmp_path / "back"), "--json")
    assert compare_trees(site, tmp_path / "back").differences == []


@pytest.mark.usefixtures("home")
def test_a_file_of_the_site_with_a_name_of_the_script_is_a_warning(site: Path, tmp_path: Path) -> None:
    path = make_package(tmp_path / "brs.jpa", {"installation/notes.txt": b"of the script"})
    backup = json.loads(run("backup", str(site), "--installer", str(path), "--json").stdout)
    (warning,) = backup["warnings"]
    assert "installation/notes.txt has the name of an entry of the backup itself" in warning
    assert archived(backup["archive"])["installation/notes.txt"] == b"of the script"


def test_a_package_that_changed_since_the_backup_was_planned_is_refused(tmp_path: Path) -> None:
    path = make_package(tmp_path / "brs.jpa", {"installation/index.php": b"<?php 1;"})
    packages = find_packages(str(path), tmp_path)
    make_package(path, {"installation/index.php": b"<?php 2;"})
    with pytest.raises(ConfigurationError, match=r"brs\.jpa was changed while the backup ran"):
        read_files(packages, is_own=lambda _path: False, on_warning=pytest.fail)
