"""A site's own configuration gets its new place, and every other byte stays."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.databases import DatabaseAddress
from backstay.restore import Move, rewrite_configuration
from backstay.restore.configuration import php
from support.missing import skip_or_fail

NASTY = "p'w\\ $x \"q\" \\' ?> é"
DATABASE = DatabaseAddress("mysql", host="db.example", port=3307, user="new", password=NASTY, name="newdb")
MOVE = Move(DATABASE, "abc_", "/var/www/old", "/srv/new", "https://new.example")

JOOMLA = rb"""<?php
// public $host = 'a comment';
# $db = "another";
class JConfig {
	public $offline = false;
	public $dbtype = 'mysqli';   /* public $db = 'x'; */
	public $host = 'localhost'; public $user = "o\"ld";
	public $password = 'p\'w';
	public $db = 'olddb';
	public $dbprefix = 'jos_';
	public $sitename = 'Joe\'s $host = \'x\'; site';
	public $log_path = '/var/www/old/administrator/logs';
	public $tmp_path = '/var/www/older/tmp';
	public $live_site = 'http://old.example';
	public $secret = 'public $db = 1;';
}
"""
WORDPRESS = rb"""<html>define('DB_NAME', 'html');
<?php
/* define('DB_NAME', 'x'); */
define( 'DB_NAME', 'olddb' );
define("DB_USER", "old\x41");
define('DB_PASSWORD','old');
define('DB_HOST', 'localhost:/run/s');
define('WP_HOME', 'http://old.example/blog'); define('WP_SITEURL', 'http://old.example/blog/wp');
define('AUTH_KEY', 'define("DB_NAME", "y")');
$table_prefix  = 'wp_';
$text = <<<EOT
define('DB_NAME', 'heredoc');
EOT;
if ( ! defined( 'ABSPATH' ) ) { define( 'ABSPATH', __DIR__ . '/' ); }
define('WP_CONTENT_DIR', '/var/www/old/content');
"""


def rewritten(tmp_path: Path, name: str, source: bytes, move: Move = MOVE) -> tuple[bytes, list[str]]:
    """Rewrite one file and return it with the warnings."""
    path = tmp_path / name
    path.write_bytes(source)
    path.chmod(0o440)
    warnings: list[str] = []
    rewrite_configuration(tmp_path, move, on_warning=warnings.append)
    assert stat.S_IMODE(path.stat().st_mode) == 0o440
    assert [entry.name for entry in tmp_path.iterdir()] == [name]
    return path.read_bytes(), warnings


def test_joomla_gets_its_new_place_and_all_else_stays(tmp_path: Path) -> None:
    expected = JOOMLA
    for old, new in (
        (b"= 'localhost'", b"= 'db.example:3307'"),
        (rb'= "o\"ld"', b"= 'new'"),
        (rb"= 'p\'w'", b"= " + php.quoted(NASTY.encode())),
        (b"= 'olddb'", b"= 'newdb'"),
        (b"= 'jos_'", b"= 'abc_'"),
        (b"'/var/www/old/administrator/logs'", b"'/srv/new/administrator/logs'"),
        (b"'http://old.example'", b"'https://new.example'"),
    ):
        assert expected.count(old) == 1
        expected = expected.replace(old, new)
    assert rewritten(tmp_path, "configuration.php", JOOMLA) == (expected, [])


def test_wordpress_gets_its_new_place_and_all_else_stays(tmp_path: Path) -> None:
    expected = WORDPRESS
    for old, new in (
        (b"'olddb'", b"'newdb'"),
        (rb'"old\x41"', b"'new'"),
        (b"'DB_PASSWORD','old'", b"'DB_PASSWORD'," + php.quoted(NASTY.encode())),
        (b"'localhost:/run/s'", b"'db.example:3307'"),
        (b"'http://old.example/blog')", b"'https://new.example')"),
        (b"'http://old.example/blog/wp'", b"'https://new.example/wp'"),
        (b"'wp_'", b"'abc_'"),
        (b"'/var/www/old/content'", b"'/srv/new/content'"),
    ):
        assert expected.count(old) == 1
        expected = expected.replace(old, new)
    assert rewritten(tmp_path, "wp-config.php", WORDPRESS) == (expected, [])


def test_php_reads_the_new_values(tmp_path: Path) -> None:
    program = shutil.which("php")
    if program is None:
        skip_or_fail("no PHP: install php-cli")
    rewritten(tmp_path, "configuration.php", JOOMLA)
    show = "require 'configuration.php'; $c = new JConfig; echo json_encode([$c->host, $c->user, $c->password, $c->db, "
    show += "$c->dbprefix, $c->sitename]);"
    joomla = subprocess.run([program, "-r", show], cwd=tmp_path, capture_output=True, check=True).stdout
    assert json.loads(joomla) == ["db.example:3307", "new", NASTY, "newdb", "abc_", "Joe's $host = 'x'; site"]


def test_an_expression_is_left_alone_and_reported(tmp_path: Path) -> None:
    source = b"<?php define('DB_NAME', getenv('DB') ?: 'x'); define('DB_USER', \"u$x\");"
    after, warnings = rewritten(tmp_path, "wp-config.php", source)
    assert after == source
    assert [warning.split(" to a ")[0] for warning in warnings] == [
        "wp-config.php does not set DB_NAME",
        "wp-config.php does not set DB_USER",
    ]


def test_a_site_that_stays_where_it_is_keeps_its_file_untouched(tmp_path: Path) -> None:
    path = tmp_path / "configuration.php"
    path.write_bytes(JOOMLA)
    before = path.stat()
    same = Move(None, "jos_", "/var/www/old", "/var/www/old")
    assert rewrite_configuration(tmp_path, same, on_warning=pytest.fail) == []
    assert path.stat() == before


def test_dotenv_values_are_replaced_and_quoted_as_they_need(tmp_path: Path) -> None:
    source = (
        b"# DB_HOST=comment\r\nDB_HOST=localhost\r\nexport DB_PORT=3306 # port\n"
        b"DB_DATABASE=\"olddb\"\nDB_USERNAME='u'\n"
        b"DB_PASSWORD=secret\nAPP_URL=http://old.example\nAPP_KEY=base64:DB_HOST=x\nLOG=/var/www/old/log\n"
        b"DATABASE_URL=postgres://u:p@h/d?serverVersion=8\nEMPTY=\n"
    )
    simple = Move(
        DatabaseAddress("mysql", host="db", user="new", password="a b#c", name="newdb"), None, "/var/www/old", "/n"
    )
    after, warnings = rewritten(tmp_path, ".env", source, simple)
    assert warnings == []
    assert after == (
        b"# DB_HOST=comment\r\nDB_HOST=db\r\nexport DB_PORT=3306 # port\nDB_DATABASE=\"newdb\"\nDB_USERNAME='new'\n"
        b'DB_PASSWORD="a b#c"\nAPP_URL=http://old.example\nAPP_KEY=base64:DB_HOST=x\nLOG=/n/log\n'
        b"DATABASE_URL=postgres://new:a%20b%23c@db/newdb?serverVersion=8\nEMPTY=\n"
    )


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside.php"
    outside.write_bytes(JOOMLA)
    site = tmp_path / "site"
    site.mkdir()
    (site / "configuration.php").symlink_to(outside)
    assert rewrite_configuration(site, MOVE, on_warning=pytest.fail) == []
    assert outside.read_bytes() == JOOMLA


@given(st.binary(max_size=60))
def test_what_is_quoted_means_what_was_meant(value: bytes) -> None:
    (setting,) = php.assignments(b"<?php $x = " + php.quoted(value) + b";")
    assert setting.value == value


@given(st.binary(max_size=200))
def test_any_source_is_read_without_a_crash(source: bytes) -> None:
    code = b"<?php " + source
    for setting in (*php.constants(code), *php.assignments(code)):
        assert 0 <= setting.start <= setting.end <= len(code)
