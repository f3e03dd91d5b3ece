"""Backups with databases: the site's own, included ones, and what filters leave out of each."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from backstay.archives import open_archive
from backstay.databases import DatabaseAddress
from backstay.jobs.backup import start_backup
from backstay.jobs.installation import open_installation
from backstay.jobs.profiles import profile_of_site
from backstay.jobs.records import backup_files, get_backup
from backstay.profiles import ExtraDatabase, Filters
from support.backups import finish, make_files, take
from support.cms_sites import make_wordpress
from support.mysql import MySQLServer

pytestmark = pytest.mark.mysql


def make_tables(server: MySQLServer, database: str, prefix: str, *names: str) -> None:
    """Make tables of two rows each."""
    for name in names:
        server.execute(f"CREATE TABLE `{prefix}{name}` (id INT PRIMARY KEY, v TEXT)", database)
        server.execute(f"INSERT INTO `{prefix}{name}` VALUES (1, 'first of {name}'), (2, 'second of {name}')", database)


def test_included_databases_are_dumped_with_their_own_filters(
    mysql_server: MySQLServer, mysql_database: DatabaseAddress, home: Path, tmp_path: Path
) -> None:
    forum = f"{mysql_database.name}_forum"
    mysql_server.create(forum)
    make_tables(mysql_server, mysql_database.name, "site_", "users", "session")
    make_tables(mysql_server, forum, "f_", "posts", "log", "secret")
    filters = (
        Filters()
        .with_node("tabledata", "[SITEDB]", "#__session")
        .with_node("tables", "the forum", "#__secret")
        .with_node("regextabledata", "the forum", "/log$/")
    )
    extra = ExtraDatabase(
        host=f"localhost:{mysql_server.socket}", username="root", database=forum, prefix="f_", dump_file="forum.sql"
    )
    with open_installation(home) as installation:
        site = make_files(tmp_path / "site", 3)
        url = replace(mysql_server.address(mysql_database.name), prefix="site_").url()
        profile = profile_of_site(installation, site, url)
        filters = replace(filters, extra_databases={"the forum": extra})
        installation.catalogue.profiles.save(replace(profile, filters=filters))
        state = finish(installation, start_backup(installation, profile_id=profile.id))
        assert state.error == ""
        (file,) = backup_files(installation, get_backup(installation, state.backup_id))
    mysql_server.drop(forum)
    with open_archive(file.path) as archive:
        content = {entry.path: b"".join(archive.read(entry)).decode() for entry in archive if "sql" in entry.path}
    assert sorted(content) == [f"installation/sql/{name}" for name in ("databases.json", "forum.sql", "site.sql")]
    listed = json.loads(content["installation/sql/databases.json"])
    assert list(listed) == ["forum.sql", "site.sql"]
    assert (listed["forum.sql"]["dbname"], listed["forum.sql"]["prefix"]) == (forum, "f_")
    assert "first of users" in content["installation/sql/site.sql"]
    assert "CREATE TABLE `#__session`" in content["installation/sql/site.sql"]
    assert "first of session" not in content["installation/sql/site.sql"]
    dumped = content["installation/sql/forum.sql"]
    assert "second of posts" in dumped
    assert "CREATE TABLE `#__log`" in dumped
    assert "of log" not in dumped
    assert "secret" not in dumped


def test_a_database_only_backup_is_one_plain_file_with_real_names(
    mysql_server: MySQLServer, mysql_database: DatabaseAddress, home: Path, tmp_path: Path
) -> None:
    make_tables(mysql_server, mysql_database.name, "site_", "users")
    with open_installation(home) as installation:
        site = make_files(tmp_path / "site", 3)
        url = replace(mysql_server.address(mysql_database.name), prefix="site_").url()
        profile = profile_of_site(installation, site, url)
        state = finish(
            installation,
            start_backup(installation, profile_id=profile.id, overrides={"akeeba.basic.backup_type": "dbonly"}),
        )
        assert state.error == ""
        (file,) = backup_files(installation, get_backup(installation, state.backup_id))
    text = file.path.read_text()
    assert file.path.suffix == ".sql"
    assert "DROP TABLE IF EXISTS `site_users`" in text
    assert "#__" not in text


def test_an_archive_has_the_host_that_only_the_database_of_wordpress_knows(
    mysql_server: MySQLServer, mysql_database: DatabaseAddress, home: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    make_wordpress(site, mysql_server, mysql_database)
    mysql_server.execute(
        "UPDATE wp_options SET option_value = 'https://www.example.org:8443/blog' WHERE option_name = 'home'",
        mysql_database.name,
    )
    with open_installation(home) as installation:
        assert take(installation, site, "").archivename.startswith("site-www.example.org-")
        # Nothing is asked of a database that is not to be used, and none that cannot answer is in the way.
        assert take(installation, site, "none").archivename.startswith("site-unknown_host-")
        mysql_server.execute("DROP TABLE wp_options", mysql_database.name)
        assert take(installation, site, "").archivename.startswith("site-unknown_host-")
