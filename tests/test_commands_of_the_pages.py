"""Every command that a page tells a reader to type exists, with the options it is given."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from backstay.cli import application

ROOT = Path(__file__).resolve().parent.parent
GENERATED = ROOT / "docs" / "reference" / "command-line.md"
PAGES = [ROOT / "README.md", *sorted(set((ROOT / "docs").rglob("*.md")) - {GENERATED})]
BLOCK = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
START = re.compile(r"(?:sudo |/opt/backstay/bin/)*backstay (?=[a-z])")


def commands(page: Path) -> Iterator[list[str]]:
    """Give the words of each line of a page's examples that begins with the command, without it."""
    for block in BLOCK.findall(page.read_text(encoding="utf-8").replace("\\\n", " ")):
        for line in block.splitlines():
            if match := START.match(line.strip()):
                yield shlex.split(line.strip()[match.end() :].split(" | ")[0], comments=True)


@pytest.fixture(scope="module")
def root() -> Any:
    """The command line as it is parsed."""
    return typer.main.get_command(application())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_a_page_exist(root: Any, page: Path) -> None:
    for words in commands(page):
        command, rest = root, list(words)
        while rest and rest[0] in getattr(command, "commands", {}):
            command = command.commands[rest.pop(0)]
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        known |= {"--help", "-h"}
        if "--" in rest:
            rest = rest[: rest.index("--")]
        is_whole = not hasattr(command, "commands") or (command is not root and (not rest or rest[0].startswith("-")))
        assert is_whole, f"there is no command {' '.join(words)}"
        unknown = {word.partition("=")[0] for word in rest if word.startswith("--")} - known
        assert not unknown, f"backstay {' '.join(words)}: {unknown}"
