"""A drill passes what is good, and finds each thing that a backup can lose."""

from __future__ import annotations

import json
import random
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backstay.archives import EntryType, Source, create_archive, open_archive, pack
from backstay.catalogue import Backup
from backstay.databases import DatabaseAddress
from backstay.jobs.drill import drill_backup
from backstay.jobs.installation import Installation
from backstay.jobs.records import backup_files, get_backup
from backstay.restore import DrillReport
from support.backups import take
from support.cms_sites import make_joomla
from support.mysql import MySQLServer
from support.postgresql import PostgreSQLServer
from support.restores import restore


@pytest.fixture
def site(mysql_server: MySQLServer, mysql_database: DatabaseAddress, tmp_path: Path) -> Path:
    """A site of Joomla's shape."""
    root = tmp_path / "site"
    make_joomla(root, mysql_server, mysql_database)
    (root / "images/large.bin").write_bytes(bytes(range(256)) * 2000)
    return root


def drilled(installation: Installation, backup: Backup) -> DrillReport:
    """Drill a backup and hold the record to the report."""
    *_progress, report = drill_backup(installation, backup.id)
    assert isinstance(report, DrillReport)
    assert get_backup(installation, backup.id).proof["drill"] == json.loads(json.dumps(report.to_json()))
    assert get_backup(installation, backup.id).proof["level"] == "content"
    return report


def scratch_names(server: MySQLServer) -> set[str]:
    return {str(row[0]) for row in server.execute("SHOW DATABASES") if "drill" in str(row[0])}


def refuse(warning: object) -> None:
    pytest.fail(f"a warning: {warning}")


def rewrite(archive: Path, change: dict[str, Any], work: Path) -> None:
    """Write an archive anew, good in itself, with other contents of some entries."""
    work.mkdir()
    sources = []
    with open_archive(archive) as reader:
        lines = {line.path: line for line in reader.manifest()}
        for entry in reader:
            if entry.path.startswith("installation/backstay/manifest"):
                continue
            line = lines[entry.path]
            data = b"".join(reader.read(entry)) if entry.type is EntryType.FILE else None
            if entry.path in change and data is not None:
                data = change[entry.path](data)
            size = len(data) if data is not None else 0
            sources.append(Source(entry.path, entry.type, line.mode, line.mtime, size, data=data, target=entry.target))
        implied = [line for line in lines.values() if line.implied]
    sources += [Source(line.path, line.type, line.mode, line.mtime, 0, implied=True) for line in implied]
    new = work / archive.name
    writer = create_archive(new, format="jpa", work_directory=work)
    for _progress in pack(writer, sources, workers=1, on_warning=refuse):
        pass
    writer.close()
    new.replace(archive)


def test_a_good_backup_passes_and_leaves_nothing_behind(
    installation: Installation, site: Path, mysql_server: MySQLServer, mysql_database: DatabaseAddress
) -> None:
    backup = take(installation, site, replace(mysql_database, prefix="jos_").url())
    report = drilled(installation, backup)
    assert (report.verdict, report.problems, report.tables, report.rows) == ("passed", (), 2, 4)
    assert report.files >= 10
    assert scratch_names(mysql_server) == set()
    assert list((installation.home.path / "drills").iterdir()) == []


def test_a_flipped_byte_is_found(installation: Installation, site: Path, mysql_database: DatabaseAddress) -> None:
    backup = take(installation, site, replace(mysql_database, prefix="jos_").url(), backstay__compression="fast")
    (file,) = backup_files(installation, backup)
    content = bytearray(file.path.read_bytes())
    content[len(content) // 3] ^= 1
    file.path.write_bytes(content)
    report = drilled(installation, backup)
    assert report.verdict == "failed"
    assert report.problems


def test_a_missing_part_is_found(installation: Installation, site: Path, mysql_database: DatabaseAddress) -> None:
    (site / "images/noise.bin").write_bytes(random.Random(7).randbytes(400_000))
    url = replace(mysql_database, prefix="jos_").url()
    backup = take(installation, site, url, engine__archiver__common__part_size="65536")
    parts = backup_files(installation, backup)
    assert len(parts) > 2
    parts[1].path.unlink()
    report = drilled(installation, backup)
    assert report.verdict == "failed"
    assert any(parts[1].name in problem for problem in report.problems)


def test_a_row_less_is_found(
    installation: Installation, site: Path, mysql_server: MySQLServer, mysql_database: DatabaseAddress, tmp_path: Path
) -> None:
    backup = take(installation, site, replace(mysql_database, prefix="jos_").url())
    (file,) = backup_files(installation, backup)

    def without_last_row(sql: bytes) -> bytes:
        start = sql.index(b"INSERT INTO `#__content`")
        end = sql.index(b";\n", start)
        return sql[: sql.rindex(b",\n", start, end)] + sql[end:]

    rewrite(file.path, {"installation/sql/site.sql": without_last_row}, tmp_path / "work")
    report = drilled(installation, backup)
    assert report.verdict == "failed"
    assert "site.sql: the table #__content has 1 rows, not 2." in report.problems


def test_a_changed_value_is_found(
    installation: Installation, site: Path, mysql_database: DatabaseAddress, tmp_path: Path
) -> None:
    backup = take(installation, site, replace(mysql_database, prefix="jos_").url())
    (file,) = backup_files(installation, backup)
    change = {"installation/sql/site.sql": lambda sql: sql.replace(b"see http://old", b"see http://new")}
    rewrite(file.path, change, tmp_path / "work")
    report = drilled(installation, backup)
    assert report.problems[-1] == "site.sql: rows of the table #__content are not what they were."


def test_a_dump_that_does_not_load_is_found(
    installation: Installation, site: Path, mysql_server: MySQLServer, mysql_database: DatabaseAddress, tmp_path: Path
) -> None:
    backup = take(installation, site, replace(mysql_database, prefix="jos_").url())
    (file,) = backup_files(installation, backup)
    change = {
        "installation/sql/site.sql": lambda sql: sql.replace(b"INSERT INTO `#__users`", b"INSERT INTO `#__nobody`")
    }
    rewrite(file.path, change, tmp_path / "work")
    report = drilled(installation, backup)
    assert report.verdict == "failed"
    assert any("rows for the table jos_nobody" in problem for problem in report.problems)
    assert scratch_names(mysql_server) == set()


def test_a_server_that_is_gone_makes_the_drill_impossible_and_not_the_backup_bad(
    installation: Installation, site: Path, mysql_database: DatabaseAddress, tmp_path: Path
) -> None:
    backup = take(installation, site, replace(mysql_database, prefix="jos_").url())
    nobody = DatabaseAddress("mysql", socket=str(tmp_path / "nobody"), user="root", name="x").url()
    *_progress, report = drill_backup(installation, backup.id, server=nobody)
    assert isinstance(report, DrillReport)
    assert report.verdict == "impossible"


def test_a_profile_drills_after_each_backup(
    installation: Installation, site: Path, mysql_database: DatabaseAddress
) -> None:
    backup = take(installation, site, replace(mysql_database, prefix="jos_").url(), backstay__drill="1")
    deadline = time.monotonic() + 60
    while "drill" not in get_backup(installation, backup.id).proof and time.monotonic() < deadline:
        time.sleep(0.1)
    assert get_backup(installation, backup.id).proof["drill"]["verdict"] == "passed"


@pytest.mark.postgresql
def test_a_postgresql_backup_without_some_rows_passes_and_the_drill_names_them(
    installation: Installation,
    postgresql_server: PostgreSQLServer,
    postgresql_database: DatabaseAddress,
    tmp_path: Path,
) -> None:
    root = tmp_path / "site"
    root.mkdir()
    (root / "index.html").write_text("hello")
    limited = replace(postgresql_database, user=f"{postgresql_database.name}_limited", password="word")
    postgresql_server.execute(f"CREATE ROLE {limited.user} LOGIN PASSWORD 'word'")
    try:
        statements = [
            "CREATE TABLE secret (id integer PRIMARY KEY)",
            "INSERT INTO secret VALUES (1)",
            "CREATE TABLE kept (id integer REFERENCES secret (id))",
            "INSERT INTO kept VALUES (1)",
            "CREATE VIEW shown AS SELECT id FROM secret",
            f"GRANT SELECT ON kept TO {limited.user}",
        ]
        postgresql_server.execute(statements, postgresql_database.name)
        backup = take(installation, root, limited.url())
        assert backup.proof["skipped_objects"] == 1
        *_progress, report = drill_backup(installation, backup.id, server=postgresql_database.url())
    finally:
        postgresql_server.drop(postgresql_database.name)
        postgresql_server.execute(f"DROP ROLE {limited.user}")
    assert isinstance(report, DrillReport)
    assert (report.verdict, report.problems) == ("passed", ())
    # The table without its rows is restored, and counts as it does in a restore.
    assert (report.tables, report.rows) == (2, 1)
    assert [note.partition(":")[0] for note in report.notes] == [
        "The check of present rows by the foreign key kept_id_fkey could not be made",
        "site.sql lacks the rows of the table secret",
    ]


def test_a_drill_counts_what_a_restore_counts(
    installation: Installation, site: Path, mysql_server: MySQLServer, mysql_database: DatabaseAddress
) -> None:
    tables = len(mysql_server.execute("SHOW TABLES", mysql_database.name))
    mysql_server.execute(
        [
            "CREATE TABLE jos_part (a int) ENGINE=MyISAM",
            "INSERT INTO jos_part VALUES (1)",
            "CREATE TABLE jos_united (a int) ENGINE=MERGE UNION=(jos_part)",
            "CREATE SEQUENCE jos_seq",
        ],
        mysql_database.name,
    )
    backup = take(installation, site, mysql_database.url())
    report = drilled(installation, backup)
    copy = mysql_server.create(mysql_database.name + "_copy")
    (file,) = backup_files(installation, backup)
    loaded = restore(file.path, site.parent / "copy", databases={"site.sql": copy.url()}).databases["site.sql"]
    mysql_server.drop(copy.name)
    assert (report.verdict, report.tables, report.rows) == ("passed", len(loaded.tables), loaded.rows)
    assert report.tables == tables + 2
    assert "jos_seq" in loaded.entities
