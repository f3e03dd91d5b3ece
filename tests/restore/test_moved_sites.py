"""Sites of Joomla's and WordPress's shape, backed up, and restored under another path, prefix, database and address."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from backstay.databases import DatabaseAddress
from backstay.jobs.installation import Installation
from backstay.jobs.records import backup_files
from backstay.restore import RestoreReport
from support.backups import take
from support.cms_sites import ENCODED, OLD_ADDRESS, make_joomla, make_wordpress, serialized
from support.missing import skip_or_fail
from support.mysql import MySQLServer
from support.restores import restore

NEW_ADDRESS = "https://www.new.example.org"


@dataclass(frozen=True)
class Move:
    """A site that is backed up in one place and restored in another, where a database waits.

    Attributes:
        site, target: folders of the site.
        old, new: its databases, without a prefix.
    """

    installation: Installation
    server: MySQLServer
    site: Path
    target: Path
    old: DatabaseAddress
    new: DatabaseAddress

    def back_up(self, prefix: str) -> Path:
        """Back the site up; return its archive."""
        return backed_up(self.installation, self.site, replace(self.old, prefix=prefix))

    def restore(
        self,
        archive: Path,
        prefix: str,
        on_warning: Callable[[str], None] = pytest.fail,
        **options: Any,
    ) -> RestoreReport:
        """Restore the site in its new place."""
        databases = {"site.sql": replace(self.new, prefix=prefix).url()}
        return restore(archive, self.target, on_warning, databases=databases, **options)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the database of the new place."""
        return [tuple(row) for row in self.server.execute(query, self.new.name)]

    def options(self) -> dict[str, str]:
        """Return WordPress's options in the new place, whose prefix is ``new_``."""
        return {str(name): str(value) for name, value in self.rows("SELECT option_name, option_value FROM new_options")}


@pytest.fixture
def move(
    installation: Installation, mysql_server: MySQLServer, mysql_database: DatabaseAddress, tmp_path: Path
) -> Iterator[Move]:
    """A move, of a site that is yet to be made."""
    new = mysql_server.create("backstay_test_moved")
    yield Move(
        installation, mysql_server, tmp_path / "old" / "site", tmp_path / "somewhere" / "new", mysql_database, new
    )
    mysql_server.drop(new.name)


def backed_up(installation: Installation, site: Path, address: DatabaseAddress) -> Path:
    backup = take(installation, site, address.url())
    return backup_files(installation, backup)[-1].path


def test_a_wordpress_site_works_at_its_new_place(move: Move) -> None:
    make_wordpress(move.site, move.server, move.old)
    archive = move.back_up("wp_")
    target = move.target
    binary = (move.site / "wp-content/uploads/2024/picture.bin").read_bytes()
    shutil.rmtree(move.site.parent)
    report = move.restore(archive, "new_", replacements=((OLD_ADDRESS, NEW_ADDRESS), (str(move.site), str(target))))
    options = move.options()
    assert options["siteurl"] == options["home"] == NEW_ADDRESS
    assert options["widget_text"] == serialized(f"{NEW_ADDRESS}/é", serialized(f"{NEW_ADDRESS}/inner", str(target)))
    assert options["elementor"] == json.dumps({"url": f"{NEW_ADDRESS}/x", "n": 1}).replace("/", "\\/")
    assert options["encoded"] == ENCODED
    assert options["upload_path"] == f"{target}/wp-content/uploads"
    assert options["new_user_roles"] == serialized("administrator")
    assert "wp_user_roles" not in options
    assert move.rows("SELECT meta_key, meta_value FROM new_usermeta ORDER BY umeta_id") == [
        ("new_capabilities", serialized("administrator")),
        ("nickname", "wp_fan"),
    ]
    ((content, guid, raw, edited),) = move.rows("SELECT post_content, guid, raw, edited FROM new_posts WHERE ID = 7")
    assert (content, guid) == (f"<a href='{NEW_ADDRESS}/6'>", f"{NEW_ADDRESS}/?p=6")
    assert raw == OLD_ADDRESS.encode()
    assert str(edited) == "2001-02-03 04:05:06"
    assert move.rows("SELECT note FROM new_nokey ORDER BY other") == [(NEW_ADDRESS,), (NEW_ADDRESS,), ("x",)]
    assert report.replaced_in_databases["site.sql"] == {
        "new_options.option_name": 1,
        "new_usermeta.meta_key": 1,
        "new_options.option_value": 5,
        "new_posts.post_content": 300,
        "new_posts.guid": 300,
        "new_nokey.note": 2,
    }
    assert set(report.replaced_in_files) == {"wp-content/cache.css"}
    assert (target / "wp-content/uploads/2024/picture.bin").read_bytes() == binary
    check_wordpress_with_php(target, move.new, options)


def check_wordpress_with_php(target: Path, database: DatabaseAddress, options: dict[str, str]) -> None:
    """Let PHP read the configuration and unserialise the options."""
    php = shutil.which("php")
    if php is None:
        skip_or_fail("no PHP: install php-cli")
    program = (
        "require 'wp-config.php'; $o = json_decode(stream_get_contents(STDIN), true); "
        "$w = unserialize($o['widget_text']); $i = unserialize($w[1]); "
        "echo json_encode([DB_NAME, DB_USER, $table_prefix, WP_CONTENT_DIR, $w[0], $i[0], "
        "json_decode($o['elementor'])->url, unserialize($o['new_user_roles'])[0]]);"
    )
    read = subprocess.run(
        [php, "-r", program], cwd=target, input=json.dumps(options).encode(), capture_output=True, check=True
    ).stdout
    assert json.loads(read) == [
        database.name,
        database.user,
        "new_",
        f"{target}/wp-content",
        f"{NEW_ADDRESS}/é",
        f"{NEW_ADDRESS}/inner",
        f"{NEW_ADDRESS}/x",
        "administrator",
    ]


def test_a_joomla_site_works_at_its_new_place(move: Move) -> None:
    site, target = move.site, move.target
    make_joomla(site, move.server, move.old)
    report = move.restore(move.back_up("jos_"), "abc_", replacements=((OLD_ADDRESS, NEW_ADDRESS),))
    before = (site / "configuration.php").read_text()
    after = (target / "configuration.php").read_text()
    expected = before.replace(move.old.name, move.new.name).replace("'jos_'", "'abc_'")
    assert after == expected.replace(str(site), str(target))
    assert (target / "configuration.php").stat().st_mode & 0o777 == 0o444
    (rewritten,) = report.configuration
    assert (rewritten.path, set(rewritten.names)) == ("configuration.php", {"db", "dbprefix", "log_path", "tmp_path"})
    assert move.rows("SELECT name, params FROM abc_users ORDER BY id") == [
        ("Müller \U0001f600", '{"u":"https:\\/\\/www.new.example.org"}'),
        ("wp", None),
    ]
    assert move.rows("SELECT body FROM abc_content ORDER BY id") == [(f"see {NEW_ADDRESS}/a",), ("",)]


def test_some_tables_alone_come_back(
    installation: Installation, mysql_server: MySQLServer, mysql_database: DatabaseAddress, tmp_path: Path
) -> None:
    site = tmp_path / "old"
    make_joomla(site, mysql_server, mysql_database)
    address = replace(mysql_database, prefix="jos_")
    archive = backed_up(installation, site, address)
    mysql_server.execute(
        ["UPDATE jos_users SET name = 'changed'", "UPDATE jos_content SET body = 'changed'"], mysql_database.name
    )
    report = restore(archive, site, databases={"site.sql": address.url()}, files=False, only_tables=("#__content",))
    assert report.databases["site.sql"].tables == ("jos_content",)
    bodies = mysql_server.execute("SELECT body FROM jos_content ORDER BY id", mysql_database.name)
    assert [row[0] for row in bodies] == [f"see {OLD_ADDRESS}/a", ""]
    assert {row[0] for row in mysql_server.execute("SELECT name FROM jos_users", mysql_database.name)} == {"changed"}
    with pytest.raises(Exception, match="foreign key constraint fails"):
        mysql_server.execute("INSERT INTO jos_content VALUES (9, 99, '')", mysql_database.name)


def test_the_same_place_gives_back_every_byte(
    installation: Installation, mysql_server: MySQLServer, mysql_database: DatabaseAddress, tmp_path: Path
) -> None:
    site = tmp_path / "old"
    make_wordpress(site, mysql_server, mysql_database)
    address = replace(mysql_database, prefix="wp_")
    archive = backed_up(installation, site, address)
    before = (site / "wp-config.php").stat()
    report = restore(archive, site, databases={"site.sql": address.url()})
    assert report.configuration == ()
    assert (site / "wp-config.php").stat().st_mtime_ns == before.st_mtime_ns
    assert report.window is not None


@pytest.mark.parametrize("told_by", ["WP_HOME", "the options", "the option of the restore", "nothing"])
def test_a_new_address_moves_a_wordpress_site_as_a_whole(move: Move, told_by: str) -> None:
    site, target = move.site, move.target
    make_wordpress(site, move.server, move.old)
    configuration = site / "wp-config.php"
    if told_by == "WP_HOME":
        configuration.write_text(f"{configuration.read_text()}define('WP_HOME', '{OLD_ADDRESS}');\n")
    if told_by in ("WP_HOME", "the option of the restore", "nothing"):
        move.server.execute("DELETE FROM wp_options WHERE option_name IN ('siteurl', 'home')", move.old.name)
    others = f"http://my{OLD_ADDRESS[7:]} {OLD_ADDRESS}.other.org me@{OLD_ADDRESS[7:]}"
    move.server.execute(f"INSERT INTO wp_nokey VALUES ('{others} //{OLD_ADDRESS[7:]}/', 4)", move.old.name)
    warnings: list[str] = []
    old_addresses = (OLD_ADDRESS,) if told_by == "the option of the restore" else ()
    move.restore(move.back_up("wp_"), "new_", warnings.append, address=NEW_ADDRESS, old_addresses=old_addresses)
    options = move.options()
    assert options["upload_path"] == f"{target}/wp-content/uploads"
    if told_by == "nothing":
        (warning,) = warnings
        assert "--old-address" in warning
        return
    assert warnings == []
    assert options["widget_text"] == serialized(f"{NEW_ADDRESS}/é", serialized(f"{NEW_ADDRESS}/inner", str(target)))
    assert options["elementor"] == json.dumps({"url": f"{NEW_ADDRESS}/x", "n": 1}).replace("/", "\\/")
    assert options["encoded"] == ENCODED
    ((note,),) = move.rows("SELECT note FROM new_nokey WHERE other = 4")
    assert note == f"{others} {NEW_ADDRESS[6:]}/"
    assert NEW_ADDRESS in (target / "wp-content/cache.css").read_text()
    if told_by == "the options":
        assert options["siteurl"] == options["home"] == NEW_ADDRESS
    if told_by == "WP_HOME":
        assert f"'WP_HOME', '{NEW_ADDRESS}'" in (target / "wp-config.php").read_text()


def test_a_joomla_site_names_its_old_address(move: Move) -> None:
    make_joomla(move.site, move.server, move.old)
    configuration = move.site / "configuration.php"
    configuration.chmod(0o644)
    configuration.write_text(configuration.read_text().replace("$live_site = ''", f"$live_site = '{OLD_ADDRESS}'"))
    move.restore(move.back_up("jos_"), "abc_", address=NEW_ADDRESS)
    assert f"$live_site = '{NEW_ADDRESS}'" in (move.target / "configuration.php").read_text()
    assert move.rows("SELECT body FROM abc_content ORDER BY id") == [(f"see {NEW_ADDRESS}/a",), ("",)]


def test_an_own_address_that_is_not_among_the_old_ones_given_is_named(move: Move) -> None:
    make_wordpress(move.site, move.server, move.old)
    archive = move.back_up("wp_")
    warnings: list[str] = []
    for number, (given, untouched) in enumerate((("https://other.example", 1), (OLD_ADDRESS, 0), ("", 0))):
        warnings.clear()
        report = replace(move, target=move.target / str(number)).restore(
            archive,
            "wp_",
            warnings.append,
            existing="replace",
            address=NEW_ADDRESS,
            old_addresses=(given,) if given else (),
        )
        assert len(warnings) == untouched
        assert all(f"{OLD_ADDRESS[7:]} as its own address, which stays" in warning for warning in warnings)
        assert report.addresses == (((given or OLD_ADDRESS).partition("//")[2], NEW_ADDRESS),)
