"""Recipients from the command line: adding, testing, changing, and never showing what is secret."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from backstay.cli import application
from backstay.errors import BackstayError, ConnectionFailedError, NotFoundError, UsageError
from backstay.jobs.installation import Installation
from support.receivers import HttpReceiver

SHOWN: list[str] = []


def run(*arguments: str, stdin: str = "") -> str:
    """Run ``backstay notify``; return what it printed. Errors of users are raised."""
    done = CliRunner().invoke(application("notify"), ["notify", *arguments], input=stdin)
    SHOWN.append(done.output + str(done.exception or ""))
    if isinstance(done.exception, BackstayError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.usefixtures("home")
def test_a_webhook_is_added_tested_listed_changed_and_removed(tmp_path: Path) -> None:
    with HttpReceiver().up() as receiver:
        (tmp_path / "url").write_text(f"webhook+http://{receiver.address}/Geheim\n")
        made = json.loads(run("add", "ops", "--url-file", str(tmp_path / "url"), "--on", "all", "--json"))
        assert made["secret"].startswith("whsec_")
        assert (made["address"], made["on"]) == (f"webhook+http://{receiver.address}", ["all"])
        SHOWN.clear()  # where the secret was shown, once
        with pytest.raises(UsageError, match="named ops already"):
            run("add", "ops", "--url-file", str(tmp_path / "url"))
        assert "took the test message" in run("test", "ops")
        assert receiver.requests[0].path == "/Geheim"
        receiver.status = 500
        with pytest.raises(ConnectionFailedError, match="HTTP 500"):
            run("test", "ops")
    edited = json.loads(
        run("edit", "ops", "--on", "late,closed", "--digest", "weekly", "--profile", "default backup profile", "--json")
    )
    assert (edited["on"], edited["profiles"], edited["digest"]) == (["late", "closed"], [1], "weekly")
    assert "secret" not in edited
    assert "late, closed, weekly digest at 08:00" in run("list")
    assert json.loads(run("show", "ops", "--json"))["messages"] == []
    assert made["secret"] not in "".join(SHOWN)
    assert "Geheim" not in "".join(SHOWN)
    assert run("edit", "ops", "--new-secret").count("whsec_") == 1
    run("remove", "ops")
    with pytest.raises(NotFoundError, match="'ops'"):
        run("show", "ops")


@pytest.mark.usefixtures("home")
def test_a_health_check_is_of_one_profile_and_tested_without_changing_its_state() -> None:
    with HttpReceiver().up() as receiver:
        url = f"ping+http://{receiver.address}/uuid"
        for wrong, says in (
            ([], "about one profile"),
            (["-p", "1", "--on", "late"], "pinged"),
            (["-p", "1", "--digest", "daily"], "no digest"),
            (["-p", "1", "--ask"], "Only webhooks"),
        ):
            with pytest.raises(UsageError, match=says):
                run("add", "check", url, *wrong, stdin="a secret of a webhook\n")
        with pytest.raises(NotFoundError, match="profile '9'"):
            run("add", "check", url, "--profile", "9")
        run("add", "check", url, "--profile", "1")
        run("test", "check")
        assert [one.path for one in receiver.requests] == ["/uuid/log"]
        run("add", "each", f"ping+http://{receiver.address}/{{profile}}")


def test_an_address_is_read_from_standard_input_kept_encrypted_and_shown_masked(
    installation: Installation, home: Path
) -> None:
    assert json.loads(run("add", "me", "--json", stdin="mailto://joe:Geheim@example.com\n"))["address"] == (
        "mailto://example.com"
    )
    with pytest.raises(UsageError, match="none of them"):
        run("edit", "me", "--on", "Late")
    with pytest.raises(UsageError, match="no time of day"):
        run("edit", "me", "--digest", "daily", "--at", "24:00")
    run("list")
    assert "Geheim" not in "".join(SHOWN)
    assert b"Geheim" not in b"".join(path.read_bytes() for path in home.glob("catalogue.sqlite*"))
    assert installation.catalogue.recipients.get("me").url == "mailto://joe:Geheim@example.com"


@pytest.mark.usefixtures("home")
def test_address_and_secret_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKSTAY_NOTIFY_URL", "webhook+https://example.com/Geheim")
    monkeypatch.setenv("BACKSTAY_NOTIFY_SECRET", "kurz")
    with pytest.raises(UsageError, match="too short"):
        run("add", "hook")
    monkeypatch.setenv("BACKSTAY_NOTIFY_SECRET", "a secret of enough bytes")
    assert "a secret" not in run("add", "hook")
