"""Schedules from the command line."""

from __future__ import annotations

import json
import sys
from typing import Protocol

import pytest

from backstay.cli import main


class Run(Protocol):
    """Runs a command of schedules; gives what it printed on standard output and on standard error."""

    def __call__(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        """Run it."""
        ...


@pytest.fixture
def run(home: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line, over a fresh home."""

    def run(*arguments: str, code: int = 0) -> tuple[str, str]:
        monkeypatch.setattr(sys, "argv", ["backstay", "schedule", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        assert ended.value.code == code, printed
        return printed.out, printed.err

    return run


def test_a_schedule_is_added_listed_shown_changed_paused_run_and_removed(run: Run) -> None:
    added = json.loads(
        run(
            *("add", "default backup profile", "--at", "17 3 * * *", "--time-zone", "Europe/Berlin"),
            *("--spread", "30m", "--json"),
        )[0]
    )
    assert (added["id"], added["profile_id"], added["what"], added["spread"]) == (1, 1, "backup", 1800)
    assert added["next"]
    proof = json.loads(run("add", "1", "--at", "@weekly", "--what", "verify", "--within", "4w", "--json")[0])
    assert proof["options"] == {"which": "rotating", "storage": "", "here_only": False, "within": 28}
    edited = json.loads(run("edit", "1", "--spread", "0", "--no-catch-up", "--json")[0])
    assert (edited["spread"], edited["catch_up"], edited["at"]) == (0, False, "17 3 * * *")
    assert "starts with the next 'backstay serve'" in run("run", "1")[0]
    run("pause", "2")
    listed = json.loads(run("list", "--json")[0])
    assert [(one["id"], one["paused"], bool(one["next"])) for one in listed] == [(1, False, True), (2, True, False)]
    assert listed[0]["last"]["state"] == "waiting"
    shown = json.loads(run("show", "1", "--json")[0])
    assert (len(shown["next_runs"]), len(shown["last_runs"])) == (10, 1)
    assert "03:17" in run("show", "1")[0]
    assert "paused" in run("show", "2")[0]
    assert "runs next" in run("resume", "2")[1]
    run("remove", "1")
    assert [one["id"] for one in json.loads(run("list", "--json")[0])] == [2]


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["add", "1", "--at", "61 * * * *"], 2, "The minute of a schedule"),
        (["add", "1", "--at", "@daily", "--time-zone", "Europe/Bern"], 2, "no time zone 'Europe/Bern'"),
        (["add", "1", "--at", "@daily", "--spread", "soon"], 2, "no span of time"),
        (["add", "1", "--at", "@daily", "--what", "verify", "--within", "12h"], 2, "whole days"),
        (["add", "1", "--at", "@daily", "--storage", "nas"], 2, "--what verify and drill"),
        (["add", "shop", "--at", "@daily"], 3, "no backup profile 'shop'"),
        (["show", "7"], 3, "no schedule 7"),
    ],
)
def test_what_cannot_be_is_one_sentence(run: Run, arguments: list[str], code: int, sentence: str) -> None:
    assert sentence in run(*arguments, code=code)[1]
