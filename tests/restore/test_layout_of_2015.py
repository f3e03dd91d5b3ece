"""An archive as the engine of 2015 laid it out comes back: INI pages about itself, and dumps without markers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from archives.trees import TIME
from backstay.archives import EntryType, open_archive
from backstay.archives.formats import STORED, Content, Head, Totals
from backstay.archives.jpa.writing import JpaWriter
from backstay.archives.parts import PartWriter
from backstay.databases import DatabaseAddress
from support.mysql import MySQLServer
from support.restores import restore

# Sections 8.1 and 8.2 of the notes on the engine's behaviour: one statement a line, rows separated by ", ".
DUMP = (
    "DROP TABLE IF EXISTS `#__articles`;\n"
    "CREATE TABLE `#__articles` ( `id` int(11) NOT NULL AUTO_INCREMENT, `text` mediumtext, PRIMARY KEY (`id`) ) "
    "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;\n"
    "INSERT INTO `#__articles` VALUES ('1', 'a line\\nand another; with #__no prefix'), ('2', 'it''s \\'quoted\\'');\n"
)
MORE = "INSERT INTO `#__articles` VALUES ('3', NULL);\n"
DATABASES = """[site.sql]
dbtype = "mysqli"
dbtech = "mysql"
dbname = "old"
sqlfile = "site.sql"
dbhost = "localhost"
dbuser = "old"
dbpass = "with \\"quotes\\" and \\\\"
prefix = "jos_"
parts = "2"
"""
EXTRA = """; Akeeba Backup information file
host="www.example.com"
backup_date="2015-03-01 10:00:00"
akeeba_version="1.5.0"
php_version="5.4.3"
"""
FILES = {
    "index.php": "<?php echo 1;",
    "configuration.php": (
        "<?php\nclass JConfig {\n\tpublic $dbtype = 'mysqli';\n\tpublic $host = 'localhost';\n\tpublic $user = 'old';\n"
        "\tpublic $password = 'old';\n\tpublic $db = 'old';\n\tpublic $dbprefix = 'jos_';\n}\n"
    ),
    "images/empty.txt": "",
    "installation/extrainfo.ini": EXTRA,
    "installation/index.php": "<?php // the restoration script of that time",
    "installation/sql/databases.ini": DATABASES,
    "installation/sql/site.sql": DUMP,
    "installation/sql/site.s01": MORE,
}


def archive_of_2015(folder: Path) -> Path:
    """Write the archive: a JPA without a manifest, entries stored as they are."""
    parts = PartWriter(folder / "site.jpa", 0)
    writer = JpaWriter()
    parts.create()
    writer.begin(parts)
    totals = Totals()
    for name, text in FILES.items():
        data = text.encode()
        head = Head(name.encode(), EntryType.FILE, 0o644, TIME)
        parts.write(writer.header(head, Content(STORED, len(data), len(data), 0), len(data)) + data)
        totals = Totals(totals.entries + 1, totals.size + len(data), totals.compressed_size + len(data))
    writer.finish(parts, totals)
    return parts.finish()[-1]


def test_an_archive_of_2015_comes_back_under_another_prefix(
    mysql_server: MySQLServer, mysql_database: DatabaseAddress, tmp_path: Path
) -> None:
    archive = archive_of_2015(tmp_path)
    with open_archive(archive) as opened:
        assert opened.verify().problems == []
    report = restore(archive, tmp_path / "site", databases={"site.sql": replace(mysql_database, prefix="new_").url()})
    made = {str(path.relative_to(tmp_path / "site")) for path in (tmp_path / "site").rglob("*") if path.is_file()}
    assert made == {"index.php", "configuration.php", "images/empty.txt"}
    configuration = (tmp_path / "site/configuration.php").read_text()
    assert "$dbprefix = 'new_'" in configuration
    assert f"$db = '{mysql_database.name}'" in configuration
    assert report.databases["site.sql"].rows == 3
    found = mysql_server.execute("SELECT id, text FROM new_articles ORDER BY id", mysql_database.name)
    assert [tuple(row) for row in found] == [
        (1, "a line\nand another; with #__no prefix"),
        (2, "it's 'quoted'"),
        (3, None),
    ]
