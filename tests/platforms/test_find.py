"""A site's configuration is read as text, in the forms people write it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.errors import NotFoundError
from backstay.platforms import find_site
from backstay.platforms.dotenv import read_dotenv
from backstay.platforms.php import read_php

JOOMLA = r"""<?php
// public $db = 'not this one';
/* public $password = 'nor this'; */
class JConfig {
	public $dbtype = 'mysqli';
	public $host = 'db.example.org:3307';
	public $user = 'it\'s';
	public $password = 'back\\slash \n $not "that" # no comment';
	public $db = 'joomla';
	public $dbprefix = 'abc_';
	public $sitename = 'My "Site" ünï';
	public $live_site = 'https://www.example.org/sub';
	public $dbencryption = 0;
	public $dbsslca = '/not/used.pem';
	var $offset = 'UTC';
}
"""

WORDPRESS = r"""<?php
define( 'DB_NAME', 'wp' );
define("DB_USER", "us\"er\x41\u{1F389}\$");
# define('DB_PASSWORD', 'old');
define('DB_PASSWORD', 'a' . "b\tc" . 'd' /* joined */ );
if (!defined('DB_HOST')) { define('DB_HOST', 'localhost:/run/mysqld/mysqld.sock'); }
define('DB_HOST', 'the second is ignored');
define( 'WP_HOME', 'https://blog.example.net' );
$table_prefix  = 'wp7_'; // prefix
require_once ABSPATH . 'wp-settings.php';
"""


def test_joomla(tmp_path: Path) -> None:
    (tmp_path / "configuration.php").write_text(JOOMLA)
    manifest = tmp_path / "administrator/manifests/files/joomla.xml"
    manifest.parent.mkdir(parents=True)
    manifest.write_text("<extension><version>5.2.1</version></extension>")
    site = find_site(tmp_path)
    assert (site.kind, site.name, site.host, site.version) == ("joomla", 'My "Site" ünï', "www.example.org", "5.2.1")
    assert site.prefix == "abc_"
    assert site.warnings == []
    [found] = site.databases
    assert found.source == "configuration.php"
    address = found.address
    assert (address.kind, address.host, address.port, address.name) == ("mysql", "db.example.org", 3307, "joomla")
    assert (address.user, address.password) == ("it's", 'back\\slash \\n $not "that" # no comment')
    assert address.prefix == "abc_"
    assert address.options == {}


@pytest.mark.parametrize(
    ("live_site", "host"),
    [
        ("www.example.org/sub", "www.example.org"),
        ("localhost:8080", "localhost"),
        ("//Shop.example.org", "shop.example.org"),
        ("http://[::1/", ""),
        ("", ""),
    ],
)
def test_the_host_of_an_address_as_people_write_it(tmp_path: Path, live_site: str, host: str) -> None:
    (tmp_path / "configuration.php").write_text(f"<?php class JConfig {{ public $live_site = '{live_site}'; }}")
    assert find_site(tmp_path).host == host


def test_wordpress(tmp_path: Path) -> None:
    (tmp_path / "wp-config.php").write_text(WORDPRESS)
    (tmp_path / "wp-includes").mkdir()
    (tmp_path / "wp-includes/version.php").write_text("<?php\n$wp_version = '6.8.1';\n")
    site = find_site(tmp_path)
    assert (site.kind, site.host, site.version, site.prefix) == ("wordpress", "blog.example.net", "6.8.1", "wp7_")
    address = site.databases[0].address
    assert (address.name, address.user, address.password) == ("wp", 'us"erA🎉$', "ab\tcd")
    assert (address.socket, address.host, address.prefix) == ("/run/mysqld/mysqld.sock", "", "wp7_")


def test_wordpress_with_its_configuration_one_folder_up(tmp_path: Path) -> None:
    root = tmp_path / "public"
    (root / "wp-includes").mkdir(parents=True)
    (tmp_path / "wp-config.php").write_text(WORDPRESS)
    assert find_site(root).databases[0].source == "../wp-config.php"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", ("localhost", None, "")),
        ("10.0.0.1:3307", ("10.0.0.1", 3307, "")),
        ("[::1]:3307", ("::1", 3307, "")),
        ("::1", ("::1", None, "")),
        ("localhost:/tmp/my.sock", ("", None, "/tmp/my.sock")),
        (":/tmp/my.sock", ("", None, "/tmp/my.sock")),
        ("localhost:3306:/tmp/my.sock", ("", None, "/tmp/my.sock")),
        ("unix:/tmp/my.sock", ("", None, "/tmp/my.sock")),
        ("p:db.example.org", ("db.example.org", None, "")),
    ],
)
def test_ports_and_sockets_in_the_host(tmp_path: Path, host: str, expected: tuple[str, int | None, str]) -> None:
    (tmp_path / "wp-config.php").write_text(f"<?php define('DB_NAME','n'); define('DB_HOST', '{host}');")
    address = find_site(tmp_path).databases[0].address
    assert (address.host, address.port, address.socket) == expected


@pytest.mark.parametrize(
    "value", ["getenv('DB_PASSWORD')", "getenv_docker('X', 'y')", '"a$b"', "$secret", "'a' . file_get_contents('/x')"]
)
def test_what_a_file_computes_is_reported_and_not_guessed(tmp_path: Path, value: str) -> None:
    (tmp_path / "wp-config.php").write_text(f"<?php define('DB_NAME', 'n'); define('DB_PASSWORD', {value});")
    site = find_site(tmp_path)
    assert site.databases == []
    assert site.warnings == [
        "wp-config.php computes DB_PASSWORD, and nothing in it is executed: name the database yourself."
    ]


def test_dotenv_database_url(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "APP_NAME=\"My Shop\"\n# DATABASE_URL=mysql://x@y/z\nexport DB_PASS='s#cret'\nAPP_URL=https://shop.example.org/\n"
        'DATABASE_URL="postgres://me:p%40ss@db:5433/shop?serverVersion=16" # the one\n'
    )
    site = find_site(tmp_path)
    assert (site.kind, site.name, site.host) == ("plain", "My Shop", "shop.example.org")
    address = site.databases[0].address
    assert (address.kind, address.host, address.port, address.name) == ("postgresql", "db", 5433, "shop")
    assert (address.user, address.password) == ("me", "p@ss")


def test_laravel(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "DB_CONNECTION=mysql\nDB_HOST=127.0.0.1\nDB_PORT=3308\nDB_DATABASE=lara\nDB_USERNAME=u # who\n"
        'DB_PASSWORD="p#\\"q ${DB_USERNAME}"\nDB_PREFIX=l_\n'
    )
    address = find_site(tmp_path).databases[0].address
    assert (address.kind, address.host, address.port, address.name) == ("mysql", "127.0.0.1", 3308, "lara")
    assert (address.user, address.password, address.prefix) == ("u", 'p#"q u', "l_")


def test_sqlite_paths_are_the_sites_own(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DB_CONNECTION=sqlite\n")
    assert find_site(tmp_path).databases[0].address.name == str(tmp_path / "database/database.sqlite")
    (tmp_path / ".env").write_text("DATABASE_URL=sqlite:///var/data.db\n")
    (tmp_path / "var").mkdir()
    name = find_site(tmp_path).databases[0].address.name
    assert name in {str(tmp_path / "var/data.db"), "/var/data.db"}


def test_an_unreadable_url_is_reported_without_its_password(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DATABASE_URL=oracle://u:hidden@h/x\n")
    site = find_site(tmp_path)
    assert site.databases == []
    assert "DATABASE_URL" in site.warnings[0]
    assert "hidden" not in site.warnings[0]


def test_a_plain_folder_and_none_at_all(tmp_path: Path) -> None:
    assert find_site(tmp_path).kind == "plain"
    with pytest.raises(NotFoundError, match="missing"):
        find_site(tmp_path / "missing")


@given(st.text(max_size=300))
def test_any_text_is_read_without_a_crash(text: str) -> None:
    read_php(text)
    read_dotenv(text)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_a_quoted_string_is_read_as_php_means_it(value: str) -> None:
    single = value.replace("\\", "\\\\").replace("'", "\\'")
    double = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    values = read_php(f'<?php $a = \'{single}\'; define("B", "{double}");')
    assert (values.variables["a"], values.constants["B"]) == (value, value)


@pytest.mark.skipif(shutil.which("php") is None, reason="php is not installed, whose answer is compared")
def test_php_itself_reads_the_same(tmp_path: Path) -> None:
    (tmp_path / "configuration.php").write_text(JOOMLA)
    code = "include $argv[1]; $c = new JConfig; echo json_encode([$c->user, $c->password, $c->db, $c->sitename]);"
    command = ["php", "-r", code, str(tmp_path / "configuration.php")]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    values = read_php(JOOMLA).variables
    import json

    assert json.loads(answer) == [values["user"], values["password"], values["db"], values["sitename"]]
