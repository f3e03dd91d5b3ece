"""The commands of the catalogue, as a person gives them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from backstay.databases import DatabaseAddress
from backstay.jobs.installation import open_installation
from backstay.queue import members
from support.backups import make_files, take
from support.catalogues import catalogue_url, use_database

pytestmark = pytest.mark.postgresql


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "backstay", "catalogue", *arguments], capture_output=True, text=True, check=False
    )


def test_a_home_is_moved_into_a_database(
    home: Path, postgresql_database: DatabaseAddress, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BACKSTAY_WORKER__NAME", "web1")
    url = catalogue_url(postgresql_database)
    with open_installation(home) as installation:
        backup = take(installation, make_files(tmp_path / "site", count=3))
        member = members.join(installation.home)
        refused = run("copy", "--to", url)
        assert (refused.returncode, "stop them first" in refused.stderr) == (2, True)
        member.leave()
    shown = run("show")
    assert str(home / "catalogue.sqlite") in shown.stdout.replace("\n", "")
    copied = run("copy", "--to", url, "--json")
    assert copied.stderr == ""
    told = json.loads(copied.stdout)
    assert told["rows"]["backups"] == 1
    assert told["to"].endswith(f"/{postgresql_database.name}")
    use_database(monkeypatch, postgresql_database)
    facts = json.loads(run("show", "--json").stdout)
    assert (facts["kind"], facts["machine"], facts["machines"], facts["workers"]) == (
        "postgresql",
        "web1",
        ["web1"],
        [],
    )
    assert facts["size"] > 0
    assert facts["rows"]["backups"] == 1
    assert facts["server"].startswith("PostgreSQL ")
    with open_installation(home) as installation:
        found = installation.catalogue.backups.get(backup.id)
        assert found is not None
        assert found.machine == "web1"
        again = take(installation, tmp_path / "site")
        assert (again.id, again.profile_id) == (backup.id + 1, backup.profile_id)
    assert run("copy", "--to", url).returncode == 2
