"""``backstay site report``: the month in a table and as JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from backstay.catalogue import Connection, Group, NewSite, Profile, Site
from backstay.jobs.installation import open_installation
from support.commands import backstay

NOW = datetime.now(UTC)


def test_a_report_is_a_table_or_json(home: Path) -> None:
    with open_installation(home) as installation:
        installation.catalogue.groups.create(Group(0, "clients", NOW))
        site = Site(0, "shop", "remote", 0, NOW - timedelta(days=3), group="clients")
        site = installation.catalogue.sites.create(NewSite(site, Connection("secret", {}), Profile(0, "shop")))
        backups = installation.catalogue.backups
        number = backups.create(profile_id=site.profile_id, backupstart=NOW, type="full").id
        backups.update(number, status="complete", backupend=NOW, total_size=5 << 20, filesexist=True)
    report = json.loads(backstay("site", "report", "--group", "clients", "--json").stdout)
    assert (report["group"], report["total"]["sites"], report["total"]["backups"]) == ("clients", 1, 1)
    (shop,) = report["sites"]
    assert (shop["site"], shop["state"], shop["size"], shop["kept"]) == ("shop", "good", 5 << 20, {"here": 5 << 20})
    assert list(shop["days"].values()) == [True]
    text = backstay("site", "report").stdout
    assert "All sites" in text
    assert "shop" in text
    assert "1 backups complete, 0 failed; 1 of 1 sites have one." in text
