"""Profiles from the command line."""

from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path

import pytest

from support.commands import backstay

PASSWORD_URL = "mysql://user:Geheim123@localhost/shop"


def run(*arguments: str, code: int = 0, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command line as a process of its own."""
    done = backstay(*arguments, stdin=stdin)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """An empty site."""
    (tmp_path / "site").mkdir()
    return tmp_path / "site"


@pytest.mark.usefixtures("home")
def test_a_profile_is_made_changed_listed_and_deleted(site: Path) -> None:
    made = json.loads(run("profile", "create", "--name", "Shop", "--root", str(site), "--json").stdout)
    assert made == {"id": 2, "name": "Shop", "configuration": {"akeeba.platform.newroot": str(site)}}
    changed = json.loads(run("profile", "edit", "2", "--set", "compression=small", "--name", "Store", "--json").stdout)
    assert (changed["name"], changed["configuration"]["backstay.archiver.compression"]) == ("Store", "small")
    back = json.loads(run("profile", "edit", "2", "--set", "compression=", "--json").stdout)
    assert "backstay.archiver.compression" not in back["configuration"]
    assert [item["id"] for item in json.loads(run("profile", "list", "--json").stdout)] == [1, 2]
    run("profile", "delete", "2")
    run("profile", "show", "2", code=3)


@pytest.mark.usefixtures("home")
def test_no_command_but_export_shows_a_secret(site: Path, tmp_path: Path) -> None:
    shown = run("profile", "create", "--name", "Shop", "--root", str(site), "--database", PASSWORD_URL, "--json").stdout
    for arguments in (["show", "2"], ["show", "2", "--json"], ["list"], ["list", "--json"]):
        shown += run("profile", *arguments).stdout
    assert "Geheim123" not in shown
    assert "(secret)" in shown
    exported = tmp_path / "theirs.json"
    theirs = {"engine": {"postproc": {"s3": {"privatekey": "Geheim123"}}}}
    exported.write_text(json.dumps({"description": "x", "configuration": json.dumps(theirs), "filters": "{}"}))
    run("profile", "import", str(exported))
    for arguments in (["show", "3", "--json"], ["list", "--json"], ["settings", "3"], ["settings", "3", "--json"]):
        assert "Geheim123" not in run("profile", *arguments).stdout
    exported = tmp_path / "shop.json"
    run("profile", "export", "2", "--to", str(exported))
    assert stat.S_IMODE(exported.stat().st_mode) == 0o600
    assert "Geheim123" in exported.read_text()
    assert "is there already" in run("profile", "export", "2", "--to", str(exported), code=2).stderr


@pytest.mark.usefixtures("home")
def test_an_exported_profile_comes_back_with_all_it_had(site: Path) -> None:
    run("profile", "create", "--name", "Shop", "--root", str(site), "--database", PASSWORD_URL, "--set", "count=9")
    exported = json.loads(run("profile", "export", "2").stdout)
    assert set(exported) == {"description", "configuration", "filters"}
    imported = json.loads(run("profile", "import", "-", "--json", stdin=json.dumps(exported)).stdout)
    assert (imported["id"], imported["name"], imported["not_honoured"]) == (3, "Shop", [])
    assert imported["configuration"]["akeeba.quota.count_quota"] == "9"


@pytest.mark.usefixtures("home")
def test_keys_that_are_not_honoured_are_kept_and_named() -> None:
    foreign = {
        "id": 7,
        "description": "Old site",
        "configuration": '[akeeba]\nbasic.log_level="2"\n[engine]\npostproc.box.directory="/x"\n',
        "filters": '{"files":{"[SITEROOT]":{"0":"a.txt"}}}',
    }
    reported = run("profile", "import", "-", stdin=json.dumps(foreign))
    assert "engine.postproc.box.directory" in reported.stderr
    assert "profile edit 2 --root" in reported.stderr
    again = json.loads(run("profile", "export", "2").stdout)
    assert json.loads(again["configuration"])["engine"]["postproc"]["box"]["directory"] == "/x"
    assert json.loads(again["filters"]) == {"files": {"[SITEROOT]": ["a.txt"]}}


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"description": "x"}', '{"description":"x","configuration":"###AES128###AAAA","filters":"{}"}'],
)
def test_what_is_no_exported_profile_is_refused_with_a_sentence(text: str) -> None:
    done = backstay("profile", "import", "-", stdin=text)
    assert done.returncode in (2, 9)
    assert len(done.stderr.strip().splitlines()) == 1
    assert json.loads(run("profile", "list", "--json").stdout)[-1]["id"] == 1
