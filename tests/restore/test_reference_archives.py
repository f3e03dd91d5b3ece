"""What the reference engine wrote comes back as the site it was made of."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backstay.databases import DatabaseAddress
from backstay.jobs.installation import Installation
from backstay.jobs.repository_records import import_as_backup
from backstay.jobs.restore import begin_restore, run_restore
from backstay.jobs.restore_plan import RestoreOptions, make_plan
from backstay.jobs.restore_sources import source_of_backup
from backstay.restore import RestoreReport
from support import compare
from support.mysql import MySQLServer
from support.repositories import add_sites
from support.restores import restore

ARCHIVES = Path(__file__).resolve().parents[1] / "fixtures" / "reference-archives"
FILES: list[dict[str, Any]] = json.loads((ARCHIVES / "tiny-files.json").read_text())
LOST = "tst_numbers"


@pytest.fixture
def original(mysql_server: MySQLServer) -> Iterator[DatabaseAddress]:
    """The database that the archives were made of."""
    address = mysql_server.create("sitetiny")
    statements = gzip.decompress((ARCHIVES / "tiny-source.sql.gz").read_bytes()).decode()
    run_script(mysql_server, statements)
    yield address
    mysql_server.drop("sitetiny")


def run_script(server: MySQLServer, text: str) -> None:
    """Run a script through the server's own client."""
    import subprocess

    from support.mysql import find_program

    client = find_program("mariadb", "mysql")
    assert client is not None
    subprocess.run([client, *server.client_arguments()], input=text.encode(), check=True)


def differences(target: Path, *, modes: bool, times: bool) -> list[str]:
    """Say in what a tree is not the site; links and folders have no times of their own in these archives."""
    found = []
    for item in FILES:
        path = target / item["path"]
        if not os.path.lexists(path):
            found.append(f"{item['path']} is missing")
            continue
        status = path.lstat()
        if item["type"] == "symlink":
            if str(path.readlink()) != item["target"]:
                found.append(f"{item['path']} leads elsewhere")
        elif item["type"] == "file":
            if hashlib.sha256(path.read_bytes()).hexdigest() != item["sha256"]:
                found.append(f"{item['path']} has another content")
            if modes and stat.S_IMODE(status.st_mode) != int(item["mode"], 8) & 0o777:
                found.append(f"{item['path']} has another mode")
            if times and int(status.st_mtime) != item["mtime"]:
                found.append(f"{item['path']} has another time")
        elif not stat.S_ISDIR(status.st_mode):
            found.append(f"{item['path']} is no folder")
    known = {item["path"] for item in FILES}
    parents = {str(parent) for path in known for parent in Path(path).parents}
    for path in target.rglob("*"):
        name = str(path.relative_to(target))
        if name not in known | parents:
            found.append(f"{name} is new")
    return found


@pytest.mark.parametrize("name", ["tiny.jpa", "tiny-layout.jpa", "tiny-split.jpa", "tiny.zip", "tiny-split.zip"])
def test_the_files_come_back_as_they_were(tmp_path: Path, name: str) -> None:
    report = restore(ARCHIVES / name, tmp_path / "site")
    jpa = name.endswith(".jpa")
    assert differences(tmp_path / "site", modes=jpa, times=jpa) == []
    assert report.not_restored == ("site.sql",)
    assert report.window is None


def test_an_encrypted_archive_comes_back(tmp_path: Path) -> None:
    restore(ARCHIVES / "tiny.jps", tmp_path / "site", password="correct horse battery staple")
    by_name = {Path(item["path"]).name: item for item in FILES if item["type"] == "file"}
    found = sorted((tmp_path / "site").iterdir())
    assert len(found) == 4
    for path in found:
        assert hashlib.sha256(path.read_bytes()).hexdigest() == by_name[path.name]["sha256"]


@pytest.mark.parametrize(
    ("name", "prefix"), [("tiny-layout.jpa", ""), ("tiny.jpa", "tst_"), ("tiny-split.zip", "tst_")]
)
def test_the_tables_come_back_but_for_what_the_dump_had_lost(
    mysql_server: MySQLServer,
    mysql_database: DatabaseAddress,
    original: DatabaseAddress,
    tmp_path: Path,
    name: str,
    prefix: str,
) -> None:
    warnings: list[str] = []
    report = restore(
        ARCHIVES / name,
        tmp_path / "site",
        warnings.append,
        databases={"site.sql": replace(mysql_database, prefix=prefix).url()},
    )
    # The dump wrote BIT values as decimal texts, which no server takes for what they were.
    assert all(LOST in warning for warning in warnings)
    before, after = (compare.objects(mysql_server, one.name) for one in (original, mysql_database))
    assert after == before
    assert report.databases["site.sql"].rows == 2500
    for table in before["BASE TABLE"]:
        if table != LOST:
            assert rows(mysql_server, mysql_database.name, table) == rows(mysql_server, original.name, table), table


def rows(server: MySQLServer, database: str, table: str) -> list[str]:
    """Return a table's rows, each as text, every value exact."""
    shown = ", ".join(expression for _name, expression in compare.columns(server, database, table))
    return sorted(map(repr, server.execute(f"SELECT {shown} FROM `{table}`", database)))


def test_another_prefix_names_every_table_anew(
    mysql_server: MySQLServer, mysql_database: DatabaseAddress, tmp_path: Path
) -> None:
    address = replace(mysql_database, prefix="new_")
    restore(ARCHIVES / "tiny.jpa", tmp_path / "site", lambda _: None, databases={"site.sql": address.url()})
    objects = compare.objects(mysql_server, mysql_database.name)
    assert {name for name in objects["BASE TABLE"] if not name.startswith("new_")} == {"other_table"}
    assert b"'new_'" in (tmp_path / "site/configuration.php").read_bytes()


def test_server_files_are_renamed_where_it_is_asked_for(tmp_path: Path) -> None:
    restore(ARCHIVES / "tiny.jpa", tmp_path / "site", rename_server_files=True)
    assert (tmp_path / "site/htaccess.bak").is_file()
    assert not (tmp_path / "site/.htaccess").exists()


@pytest.mark.parametrize("name", ["tiny.jpa", "tiny-layout.jpa", "tiny-split.jpa", "tiny.zip", "tiny-split.zip"])
def test_the_files_come_back_from_a_repository(installation: Installation, tmp_path: Path, name: str) -> None:
    add_sites(installation)
    _snapshot, backup = import_as_backup(installation, "sites", str(ARCHIVES / name))
    plan = make_plan(source_of_backup(installation, backup.id), RestoreOptions(to=tmp_path / "site"))
    *_progress, report = run_restore(begin_restore(installation, plan), pytest.fail)
    assert isinstance(report, RestoreReport)
    assert differences(tmp_path / "site", modes=name.startswith("tiny.j"), times=False) == []
