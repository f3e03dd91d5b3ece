"""An object that a database server does not give is counted in the record, or ends a strict backup."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from backstay.databases import DatabaseAddress
from backstay.jobs.installation import Installation
from support.backups import begin, finish, take
from support.cms_sites import make_joomla
from support.mysql import MySQLServer


def test_what_a_server_does_not_give_is_counted_in_the_record_or_fails_a_strict_backup(
    installation: Installation, mysql_server: MySQLServer, mysql_database: DatabaseAddress, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    make_joomla(site, mysql_server, mysql_database)
    mysql_server.execute(
        [
            "CREATE TABLE part (a int) ENGINE=MyISAM",
            "CREATE TABLE united (a int) ENGINE=MERGE UNION=(part)",
            "DROP TABLE part",
        ],
        mysql_database.name,
    )
    url = mysql_database.url()
    backup = take(installation, site, url)
    warnings = [message for _number, message in installation.catalogue.backups.warnings(backup.id)]
    assert backup.proof["skipped_objects"] == 1
    assert any("united could not be dumped" in message for message in warnings)
    command = [sys.executable, "-m", "backstay", "show", str(backup.id)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert re.search(r"Left out +1 database object", shown), shown
    strict = finish(installation, begin(installation, site, url, **{"backstay.database.strict": True}))
    assert "united could not be dumped" in strict.error
