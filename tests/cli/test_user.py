"""Users, made and changed by commands."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from backstay.jobs.installation import open_installation
from support.commands import backstay

PASSWORD = "a long enough password"


def user(*arguments: str, stdin: str = "", refused: str = "") -> str:
    """Run a command about users; give what it printed, or see that it was refused with a text."""
    done = backstay("user", *arguments, stdin=stdin)
    assert (done.returncode == 0) == (not refused), done.stderr
    assert refused in done.stderr
    return done.stdout


def listed() -> dict[str, dict[str, Any]]:
    """Return what the list says of each user."""
    return {one["name"]: one for one in json.loads(user("list", "--json"))}


def test_a_user_is_made_with_a_link_or_a_password(home: Path) -> None:
    assert "no users yet" in user("list")
    link = user("add", "anna", "--role", "administrator", "--url", "https://backup.example/").strip()
    assert link.startswith("https://backup.example/welcome/")
    user("add", "ben", "--role", "viewer", "--ask", stdin=PASSWORD + "\n")
    assert [(one["role"], one["state"]) for one in listed().values()] == [
        ("administrator", "invited"),
        ("viewer", "active"),
    ]
    assert json.loads(user("invite", "anna", "--json"))["link"].startswith("http://127.0.0.1:8117/welcome/")
    user("add", "ben", "--role", "viewer", refused="already")
    user("add", "cleo", "--role", "viewer", "--ask", stdin="short\n", refused="12 to 1000 characters")
    user("add", "cleo", "--role", "viewer", "--ask", refused="no password on standard input")
    user("add", "a\nb", "--role", "viewer", refused="printable")
    user("invite", refused="There are users already")
    user("show", "nobody", refused="no user named nobody")
    assert "viewer" in user("show", "ben")
    assert json.loads(user("show", "ben", "--json"))["passkeys"] == []


@pytest.mark.parametrize("command", [("remove", "anna"), ("disable", "anna"), ("role", "anna", "operator")])
def test_the_last_administrator_stays(home: Path, command: tuple[str, ...]) -> None:
    user("add", "anna", "--role", "administrator", "--ask", stdin=PASSWORD + "\n")
    user("add", "invited", "--role", "administrator")
    user(*command, refused="last administrator")
    assert (listed()["anna"]["role"], listed()["anna"]["state"]) == ("administrator", "active")
    user("add", "ben", "--role", "administrator", "--ask", stdin=PASSWORD + "\n")
    user(*command)


def test_a_change_ends_sessions_and_links(home: Path) -> None:
    user("add", "anna", "--role", "administrator", "--ask", stdin=PASSWORD + "\n")
    user("add", "ben", "--role", "viewer", "--ask", stdin=PASSWORD + "\n")
    with open_installation(home) as installation:

        def sign_in() -> None:
            for _twice in range(2):
                installation.catalogue.sessions.create(
                    installation.catalogue.users.get("ben").id, datetime.now(UTC), timedelta(days=1), "192.0.2.1", "x"
                )

        sign_in()
        sessions = json.loads(user("sessions", "ben", "--json"))
        assert [one["address"] for one in sessions] == ["192.0.2.1", "192.0.2.1"]
        assert "192.0.2.1" in user("sessions", "ben")
        user("revoke", "ben", "--session", str(sessions[0]["id"]))
        user("revoke", "ben", "--session", str(sessions[0]["id"]), refused="no session")
        assert listed()["ben"]["sessions"] == 1
        for command, given in (
            (("revoke", "ben"), ""),
            (("passwd", "ben"), PASSWORD + "!\n"),
            (("disable", "ben"), ""),
            (("reset-factors", "ben"), ""),
        ):
            sign_in()
            user(*command, stdin=given)
            assert listed()["ben"]["sessions"] == 0, command
    assert listed()["ben"]["state"] == "disabled"
    user("invite", "ben", refused="disabled")
    user("enable", "ben")
    assert listed()["ben"]["state"] == "active"
    user("remove", "ben")
    assert list(listed()) == ["anna"]
    assert "signed in nowhere" in user("sessions", "anna")
