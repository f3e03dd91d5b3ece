"""The main job, end to end: a site backed up over the API, downloaded, restored, and found identical."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from backstay.archives import open_archive
from backstay.client import Client
from backstay.databases import DatabaseAddress
from backstay.demo.compare import compare_trees
from support.compare import assert_same_database
from support.mysql import MySQLServer, find_program

BACKSTAY = [sys.executable, "-m", "backstay"]
MAKE_SITE = Path(__file__).parent / "fixtures" / "make_site.py"
SECRET = "a-secret-word-for-Tests-2026"


@contextmanager
def serving(*arguments: str) -> Iterator[str]:
    """Run the server on a free port; give its address."""
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port = chosen.getsockname()[1]
    environment = {**os.environ, "BACKSTAY_SECRET": SECRET}
    command = [*BACKSTAY, "serve", "--port", str(port), *arguments]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        for _attempt in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        output, _none = process.communicate(timeout=30)
    assert SECRET not in output
    assert "Traceback" not in output


def run(*arguments: str) -> str:
    """Run the command line; it must succeed."""
    done = subprocess.run([*BACKSTAY, *arguments], capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def make_site(server: MySQLServer, database: str, root: Path, files: int, rows: int) -> None:
    """Make the project's test site: files, and a database with every column type and nasty values."""
    client = find_program("mariadb", "mysql")
    if client is None:
        pytest.skip("no mariadb client: install mariadb-client")
    sql = root.with_suffix(".sql")
    subprocess.run(
        [sys.executable, str(MAKE_SITE), "--root", str(root), "--files", str(files), "--big", "3000000",
         "--db", database, "--rows", str(rows), "--sql-out", str(sql)],
        check=True,
    )  # fmt: skip
    with sql.open("rb") as script:
        subprocess.run(
            [client, *server.client_arguments(), "--default-character-set=utf8mb4"], stdin=script, check=True
        )


@pytest.mark.mysql
@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("part_size", [0, 1 << 20])
def test_a_site_comes_back_identical_over_the_api(
    mysql_server: MySQLServer, mysql_database: DatabaseAddress, tmp_path: Path, part_size: int
) -> None:
    source = f"{mysql_database.name}_src"
    site = tmp_path / "site"
    make_site(mysql_server, source, site, files=250, rows=3000)
    url = mysql_server.url(source) + ("&" if "?" in mysql_server.url(source) else "?") + "prefix=tst_"
    run("profile", "edit", "1", "--root", str(site), "--database", url, "--set", f"part_size={part_size}")
    try:
        with serving() as address, Client(address, SECRET) as client:
            replies = list(client.backup(description="Over the API"))
            assert replies[-1].progress == 100
            (record,) = client.list_backups()
            assert (record.status, record.description) == ("complete", "Over the API")
            parts = client.download(record.id, tmp_path / "downloaded")
        with open_archive(parts[-1]) as archive:
            report = archive.verify()
        assert report.problems == []
        assert report.used_manifest
        target = mysql_server.url(mysql_database.name)
        target += ("&" if "?" in target else "?") + "prefix=tst_"
        run("restore", str(parts[-1]), "--to", str(tmp_path / "back"), "--database", target, "--yes")
        comparison = compare_trees(site, tmp_path / "back")
        assert comparison.differences == []
        assert comparison.files == 250
        assert_same_database(mysql_server, source, mysql_database.name)
    finally:
        mysql_server.drop(source)


@pytest.mark.mysql
@pytest.mark.usefixtures("home")
def test_a_database_that_refuses_fails_the_backup_and_leaves_nothing(mysql_server: MySQLServer, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.php").write_text("<?php")
    url = re.sub(r"//[^@/]*@", "//nobody:Wr0ng-Passw0rd@", mysql_server.url("nothing"))
    done = subprocess.run(
        [*BACKSTAY, "backup", str(site), "--database", url], capture_output=True, text=True, check=False
    )
    assert done.returncode == 40, done.stdout + done.stderr
    assert "nobody" in done.stderr
    assert "Wr0ng-Passw0rd" not in done.stderr + done.stdout
    home = Path(os.environ["BACKSTAY_HOME"])
    assert list((home / "archives").iterdir()) == []
    assert "fail" in run("list")


@pytest.mark.usefixtures("home")
def test_the_session_of_plain_curl_in_the_readme_works(tmp_path: Path) -> None:
    """What the README shows is run here, word by word, but for the address."""
    if shutil.which("curl") is None:
        pytest.skip("no curl: install curl")
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    session = re.search(r"<!-- session -->\n```sh\n(.*?)```", readme, flags=re.DOTALL)
    assert session is not None
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.php").write_text("<?php")
    run("profile", "edit", "1", "--root", str(site), "--database", "none")
    with serving() as address:
        script = session[1].replace("http://127.0.0.1:8117", address)
        done = subprocess.run(
            ["sh", "-eu", "-c", script],
            cwd=tmp_path,
            env={**os.environ, "SECRET": SECRET, "BACKSTAY_SECRET": SECRET},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    with open_archive(tmp_path / "site.jpa") as archive:
        assert "index.php" in [entry.path for entry in archive]
