"""Sites shaped as Joomla's and WordPress's are, with their databases: what a restore has to move."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from backstay.databases import DatabaseAddress
from support.mysql import MySQLServer

OLD_ADDRESS = "http://old.example"
ENCODED = base64.b64encode(b"http://old.example is encoded here \x00\xff" * 3).decode()


def serialized(*items: str) -> str:
    """Return a list of texts as PHP serialises it."""
    parts = "".join(f'i:{index};s:{len(item.encode())}:"{item}";' for index, item in enumerate(items))
    return f"a:{len(items)}:{{{parts}}}"


def make_wordpress(root: Path, server: MySQLServer, address: DatabaseAddress, prefix: str = "wp_") -> None:
    """Make a site of WordPress's shape and fill its database."""
    for folder in ("wp-includes", "wp-content/uploads/2024", "wp-content/plugins", "wp-admin"):
        (root / folder).mkdir(parents=True)
    host = f"localhost:{address.socket}" if address.socket else f"{address.host}:{address.port or 3306}"
    (root / "wp-config.php").write_text(
        "<?php\n/** The name of the database */\n"
        f"define( 'DB_NAME', '{address.name}' );\ndefine( 'DB_USER', '{address.user}' );\n"
        f"define( 'DB_PASSWORD', '{address.password}' );\ndefine( 'DB_HOST', '{host}' );\n"
        "define( 'DB_CHARSET', 'utf8mb4' );\n"
        f"define( 'WP_CONTENT_DIR', '{root}/wp-content' );\n$table_prefix = '{prefix}';\n"
        "require_once __DIR__ . '/wp-settings.php';\n"
    )
    (root / "wp-settings.php").write_text("<?php\n")
    (root / "wp-includes/version.php").write_text("<?php\n$wp_version = '6.5';\n")
    (root / "wp-content/uploads/2024/picture.bin").write_bytes(bytes(range(256)) * 20 + OLD_ADDRESS.encode())
    (root / "wp-content/cache.css").write_text(f"a {{ background: url({OLD_ADDRESS}/a.png) }}\n")
    (root / ".htaccess").write_text("RewriteEngine On\n")
    widget = serialized(f"{OLD_ADDRESS}/é", serialized(f"{OLD_ADDRESS}/inner", str(root)))
    options = [
        ("siteurl", OLD_ADDRESS),
        ("home", OLD_ADDRESS),
        ("widget_text", widget),
        ("elementor", json.dumps({"url": f"{OLD_ADDRESS}/x", "n": 1}).replace("/", "\\/")),
        ("encoded", ENCODED),
        ("upload_path", f"{root}/wp-content/uploads"),
        (f"{prefix}user_roles", serialized("administrator")),
    ]
    server.execute(
        [
            (
                f"CREATE TABLE {prefix}options (option_id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY, "
                "option_name varchar(191) NOT NULL UNIQUE, option_value longtext NOT NULL) ENGINE=InnoDB"
            ),
            (
                f"CREATE TABLE {prefix}usermeta (umeta_id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, user_id bigint, "
                "meta_key varchar(255), meta_value longtext) ENGINE=InnoDB"
            ),
            (
                f"CREATE TABLE {prefix}posts (ID bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, post_content longtext, "
                "guid varchar(40), raw blob, edited timestamp NULL DEFAULT '2001-02-03 04:05:06' "
                "ON UPDATE CURRENT_TIMESTAMP, KEY guid (guid)) ENGINE=InnoDB"
            ),
            f"CREATE TABLE {prefix}nokey (note varchar(200), other int) ENGINE=InnoDB",
            (
                f"CREATE TABLE {prefix}comments (id int PRIMARY KEY, post bigint, "
                f"CONSTRAINT {prefix}fk FOREIGN KEY (post) REFERENCES {prefix}posts (ID)) ENGINE=InnoDB"
            ),
        ],
        address.name,
    )
    connection = server.connect(address.name)
    with connection, connection.cursor() as cursor:
        cursor.executemany(f"INSERT INTO {prefix}options (option_name, option_value) VALUES (%s, %s)", options)
        cursor.executemany(
            f"INSERT INTO {prefix}usermeta (user_id, meta_key, meta_value) VALUES (1, %s, %s)",
            [(f"{prefix}capabilities", serialized("administrator")), ("nickname", "wp_fan")],
        )
        cursor.executemany(
            f"INSERT INTO {prefix}posts (post_content, guid, raw) VALUES (%s, %s, %s)",
            [(f"<a href='{OLD_ADDRESS}/{n}'>", f"{OLD_ADDRESS}/?p={n}", OLD_ADDRESS.encode()) for n in range(300)],
        )
        cursor.executemany(f"INSERT INTO {prefix}nokey VALUES (%s, %s)", [(OLD_ADDRESS, 1), (OLD_ADDRESS, 2), ("x", 3)])
        cursor.execute(f"INSERT INTO {prefix}comments VALUES (1, 1), (2, 300)")
        cursor.execute(f"CREATE VIEW {prefix}v AS SELECT ID, guid FROM {prefix}posts")
        cursor.execute(f"CREATE VIEW {prefix}a_v AS SELECT ID FROM {prefix}v")
        cursor.execute(
            f"CREATE TRIGGER {prefix}trg BEFORE INSERT ON {prefix}comments FOR EACH ROW SET NEW.id = NEW.id + 0"
        )
        cursor.execute(f"CREATE PROCEDURE {prefix}proc() SELECT COUNT(*) FROM {prefix}posts")


def make_joomla(root: Path, server: MySQLServer, address: DatabaseAddress, prefix: str = "jos_") -> None:
    """Make a site of Joomla's shape and fill its database."""
    for folder in ("administrator/logs", "libraries/src", "tmp", "images", "language"):
        (root / folder).mkdir(parents=True)
    host = f"localhost:{address.socket}" if address.socket else f"{address.host}:{address.port or 3306}"
    (root / "configuration.php").write_text(
        "<?php\nclass JConfig {\n\tpublic $offline = false;\n\tpublic $sitename = 'A \\'site\\'';\n"
        f"\tpublic $dbtype = 'mysqli';\n\tpublic $host = '{host}';\n\tpublic $user = '{address.user}';\n"
        f"\tpublic $password = '{address.password}';\n\tpublic $db = '{address.name}';\n"
        f"\tpublic $dbprefix = '{prefix}';\n\tpublic $live_site = '';\n"
        f"\tpublic $log_path = '{root}/administrator/logs';\n\tpublic $tmp_path = '{root}/tmp';\n}}\n"
    )
    (root / "configuration.php").chmod(0o444)
    (root / "index.php").write_text("<?php define('_JEXEC', 1);\n")
    (root / "images/a.png").write_bytes(b"\x89PNG\x00" + bytes(1000))
    server.execute(
        [
            (
                f"CREATE TABLE {prefix}users (id int NOT NULL AUTO_INCREMENT PRIMARY KEY, name varchar(400), "
                "params text) ENGINE=InnoDB"
            ),
            (
                f"INSERT INTO {prefix}users (name, params) VALUES ('Müller \U0001f600', "
                f'\'{{"u":"http:\\\\/\\\\/old.example"}}\'), '
                "('wp', NULL)"
            ),
            (
                f"CREATE TABLE {prefix}content (id int PRIMARY KEY, owner int, body mediumtext, "
                f"CONSTRAINT {prefix}owner FOREIGN KEY (owner) REFERENCES {prefix}users (id)) ENGINE=InnoDB"
            ),
            f"INSERT INTO {prefix}content VALUES (1, 1, 'see {OLD_ADDRESS}/a'), (2, 2, '')",
        ],
        address.name,
    )
