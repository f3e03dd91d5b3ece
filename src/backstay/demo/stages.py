"""What was done, how long each stage took and how it ended, in one table."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.table import Table
from rich.text import Text

from backstay.cli.output import size


@dataclass(slots=True)
class Stage:
    """One row of the table.

    Attributes:
        name: what was done.
        what: with what, in words; filled in by the stage itself.
        size: how many bytes went through it, or None where that says nothing.
        seconds: how long it took.
        verdict: how it ended.
        passed: whether it ended well.
    """

    name: str
    what: str = ""
    size: int | None = None
    seconds: float = 0.0
    verdict: str = "ok"
    passed: bool = True


@dataclass(slots=True)
class Stages:
    """The stages so far, in the order they ran."""

    done: list[Stage] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        """Time a stage; one that raises is a row too, and the error goes on."""
        stage = Stage(name)
        self.done.append(stage)
        started = time.monotonic()
        try:
            yield stage
        except BaseException as error:
            stage.passed = False
            stage.verdict = "stopped" if isinstance(error, (KeyboardInterrupt, SystemExit)) else "failed"
            raise
        finally:
            stage.seconds = time.monotonic() - started

    @property
    def passed(self) -> bool:
        """Whether there were stages, and all ended well."""
        return bool(self.done) and all(stage.passed for stage in self.done)

    def table(self) -> Table:
        """Give the table for the terminal."""
        table = Table(title="Backstay's main job", title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for heading in ("Stage", "What"):
            table.add_column(heading, overflow="fold")
        for heading in ("Size", "Seconds"):
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("Verdict", no_wrap=True)
        for stage in self.done:
            verdict = Text(stage.verdict, style="green" if stage.passed else "bold red")
            table.add_row(Text(stage.name), Text(stage.what), size(stage.size), f"{stage.seconds:.2f}", verdict)
        return table


def counted(number: int, noun: str) -> str:
    """Give a number of things in words: ``1 file``, ``12,110 rows``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
