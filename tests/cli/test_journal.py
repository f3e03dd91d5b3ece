"""What commands change stands in the journal, and what they only read does not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from backstay.cli import application
from backstay.cli.noting import READING, SUBJECTS, is_noted, shell_user
from support.commands import backstay


def _paths(app: typer.Typer, path: str = "") -> Iterator[str]:
    for command in app.registered_commands:
        assert command.callback is not None
        yield f"{path} {command.name or command.callback.__name__.replace('_', '-')}".lstrip()
    for group in app.registered_groups:
        assert group.typer_instance is not None
        yield from _paths(group.typer_instance, f"{path} {group.name}".lstrip())


def _entries(*arguments: str) -> list[dict[str, Any]]:
    done = backstay("journal", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_the_commands_that_are_not_noted_are_there_and_only_read() -> None:
    there = set(_paths(application()))
    assert set(SUBJECTS) <= there
    assert not {path for path in SUBJECTS if not is_noted(path)}
    verbs = (
        "add",
        "create",
        "edit",
        "remove",
        "delete",
        "set",
        "import",
        "restore",
        "backup",
        "rotate",
        "stop",
        "revoke",
    )
    assert not {path for path in READING if path.split()[-1] in verbs}


def test_a_change_is_noted_with_who_and_what_and_no_secret(home: Path, tmp_path: Path) -> None:
    secret = "hunter2hunter2"
    database = f"mysql://{secret}:{secret}@db/site"
    made = backstay("profile", "create", "--name", "shop", "--root", str(tmp_path), "--database", database)
    assert made.returncode == 0, made.stderr
    token = backstay("token", "create", "ci", "--scope", "read", "--scope", "backup", environment={"SUDO_USER": "ben"})
    newest, first = _entries()
    assert (first["who"], first["through"], first["action"]) == (shell_user(), "command", "profile create")
    assert (first["subject"], first["details"]) == (f"shop, {tmp_path}", {"options": "database"})
    assert (newest["subject"], newest["details"]) == ("ci, read backup", {"sudo_of": "ben"})
    stored = (home / "catalogue.sqlite").read_bytes()
    assert secret.encode() not in stored
    assert token.stdout.strip().encode() not in stored


def test_what_changed_nothing_is_not_noted(home: Path, tmp_path: Path) -> None:
    assert backstay("profile", "list").returncode == 0
    assert backstay("profile", "delete", "99").returncode != 0
    assert backstay("backup", str(tmp_path), "--dry-run").returncode == 0
    assert backstay("token", "create", "a/b").returncode == 2
    assert _entries() == []
    assert "no such entry" in backstay("journal").stdout


def test_what_failed_halfway_is_noted_as_that(home: Path, tmp_path: Path) -> None:
    failed = backstay("backup", str(tmp_path), "--database", "sqlite:////nowhere/at/all.sqlite")
    assert failed.returncode not in (0, 2), failed.stderr
    (entry,) = _entries("--action", "backup")
    assert entry["subject"] == str(tmp_path)
    assert entry["details"]["end"].startswith(("failed: ", "ended with "))


@pytest.mark.parametrize(
    ("address", "shown"),
    [("https://anna:word@host.example/api?secret=word", "https://host.example/api"), ("https://[", "an address")],
)
def test_an_address_is_noted_without_what_may_be_secret(home: Path, address: str, shown: str) -> None:
    backstay("restore", address, "--to", "/nowhere/at/all", "--yes", environment={"BACKSTAY_SECRET": "word"})
    for entry in _entries():
        assert (entry["subject"].split(",")[0], "word" in json.dumps(entry)) == (shown, False)


def test_the_journal_is_searched_and_paged(home: Path) -> None:
    for name in ("one", "two", "three"):
        assert backstay("token", "create", name).returncode == 0
    assert [one["subject"] for one in _entries("--limit", "2")] == ["three", "two"]
    assert [one["subject"] for one in _entries("--limit", "2", "--page", "2")] == ["one"]
    assert [one["subject"] for one in _entries("--search", "TW")] == ["two"]
    assert _entries("--through", "api") == []
    assert len(_entries("--since", "1h", "--who", shell_user())) == 3
    assert _entries("--until", "2020-01-01") == []
    assert backstay("journal", "--through", "window").returncode == 2
    assert "token create" in backstay("journal").stdout
