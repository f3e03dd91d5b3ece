"""``backstay alarms``: what it prints, and its exit code."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from backstay.cli import application
from backstay.jobs.installation import open_installation
from backstay.jobs.profiles import create_profile


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(application("alarms"), ["alarms", *arguments])
    return result.exit_code, result.output


def test_the_exit_code_is_one_while_an_alarm_is_open_that_nobody_acknowledged(home: Path) -> None:
    assert run() == (0, "There is no alarm.\n")
    with open_installation(home) as installation:
        profile = create_profile(installation, name="Shop", values={"backstay.alarms.expected_every": "24"})
    code, shown = run()
    assert code == 1
    assert "no good backup of Shop" in shown
    code, listed = run("--json")
    [alarm] = json.loads(listed)
    assert (code, alarm["kind"], alarm["state"], alarm["profile"]) == (1, "late", "open", profile.id)
    assert run("--profile", "1")[0] == 0
    assert run("acknowledge", str(alarm["id"]))[0] == 0
    code, listed = run("--json")
    assert (code, json.loads(listed)[0]["state"]) == (0, "acknowledged")
    with open_installation(home) as installation:
        installation.catalogue.profiles.delete(profile.id)
    assert run() == (0, "There is no alarm.\n")
    assert [one["state"] for one in json.loads(run("--all", "--json")[1])] == ["closed"]
