"""``backstay status``: the states of the overview, for a shell."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from backstay.catalogue import Profile
from backstay.jobs.installation import open_installation
from support.commands import backstay


def test_every_profile_has_a_state(home: Path) -> None:
    with open_installation(home) as installation:
        made = installation.catalogue.profiles.create(Profile(0, "shop", {"akeeba.platform.newroot": "/srv/shop"}))
        begun = datetime.now(UTC) - timedelta(hours=1)
        backup = installation.catalogue.backups.create(profile_id=made.id, backupstart=begun, type="full")
        ended = begun + timedelta(minutes=1)
        proof = {"drill": {"verdict": "passed", "at": ended.isoformat()}}
        installation.catalogue.backups.update(
            backup.id, status="complete", backupend=ended, total_size=2048, proof=proof
        )
    found = {one["name"]: one for one in json.loads(backstay("status", "--json").stdout)}
    assert found["Default Backup Profile"]["state"] == "no site"
    shop = found["shop"]
    assert (shop["state"], shop["size"], shop["backup"], shop["running"]) == ("good", 2048, backup.id, None)
    assert (shop["proof"]["what"], shop["proof"]["passed"]) == ("drill", True)
    assert shop["places"] == [{"storage": "", "proven": True}]
    assert "2.0 KiB" in backstay("status", "shop").stdout
    assert json.loads(backstay("status", "--state", "late", "--json").stdout) == []
