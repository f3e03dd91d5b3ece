"""What commands print: results on standard output, progress and sentences on standard error."""

from __future__ import annotations

import io
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn
    from rich.table import Table

# Standard output may be closed, and a terminal may know fewer letters than a name has: neither stops a command.
sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115 - open as long as the program runs
sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115 - the same
for _stream in (sys.stdout, sys.stderr):
    if isinstance(_stream, io.TextIOWrapper):
        _stream.reconfigure(errors="backslashreplace")

# Where the output is no terminal, lines are not folded to the width of one.
_WIDE = 250

console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else _WIDE)
stderr = Console(stderr=True, highlight=False, soft_wrap=True)

_PLAIN_SECONDS = 5.0
_BAR_SECONDS = 0.1
_BAR_WIDTH = 20


def print_json(value: Any) -> None:
    """Print a value as JSON on standard output; what is not UTF-8 in it is shown escaped."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=True, default=str) + "\n")


def shown(text: str) -> str:
    """Return a text that any terminal takes: no control characters, no undecodable bytes."""
    printable = text.encode("utf-8", "backslashreplace").decode()
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in printable)


def say(text: str) -> None:
    """Print one sentence on standard error."""
    stderr.print(shown(text), markup=False)


def warn(text: str) -> None:
    """Print one warning on standard error."""
    stderr.print(Text("Warning: ", style="yellow") + Text(shown(text)))


def table(*columns: str, right: Sequence[str] = ()) -> Table:
    """Return an empty table with these headings.

    Args:
        columns: the headings, in order.
        right: those of columns of numbers.
    """
    from rich.table import Table

    made = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made


def size(count: float | None) -> str:
    """Return a number of bytes for a person, in binary units."""
    if count is None:
        return ""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(count) < 1024 or unit == "TiB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return ""


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return a count with its noun: ``1 file``, ``2 files``.

    Args:
        count: how many.
        noun: what one is called.
        plural: what several are called, where that is not the noun with an s.
    """
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


def moment(value: datetime | None) -> str:
    """Return a moment for a person, in UTC."""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") if value else ""


class Bar:
    """One line that shows how far long work is: a bar on a terminal, a plain line now and then elsewhere."""

    def __init__(self, title: str, progress: Progress | None) -> None:
        self._title = title
        self._progress = progress
        self._task = progress.add_task(title, total=None) if progress is not None else None
        self._printed = time.monotonic()

    def update(self, text: str, done: int, total: int | None, percent: float | None = None) -> None:
        """Show how far the work is.

        Args:
            text: what is being worked on.
            done: bytes done.
            total: bytes in all, None where that is not known.
            percent: shown elsewhere than on a terminal; computed from the bytes where it is None.
        """
        text = shown(text)
        now = time.monotonic()
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, description=_short(text), completed=done, total=total or None)
            if now - self._printed >= _BAR_SECONDS:
                self._progress.refresh()
                self._printed = now
            return
        if now - self._printed < _PLAIN_SECONDS:
            return
        self._printed = now
        share = percent if percent is not None else (100 * done / total if total else None)
        share_text = f" {share:.0f} %," if share is not None else ""
        stderr.print(f"{self._title}:{share_text} {size(done)}, {text}", markup=False)


@contextmanager
def bar(title: str, *, transfer: bool = False, quiet: bool = False) -> Iterator[Bar]:
    """Show a progress bar while the block runs.

    Args:
        title: what the work is called.
        transfer: the work is a download: show its speed.
        quiet: show nothing.
    """
    if quiet or not stderr.is_terminal:
        silent = Bar(title, None)
        if quiet:
            silent.update = lambda *_arguments, **_named: None  # type: ignore[method-assign]  # one bar, made mute
        yield silent
        return
    # Imported here: commands without a bar start faster.
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.table import Column

    columns: list[ProgressColumn] = [
        SpinnerColumn(),
        TextColumn(f"[bold]{title}", table_column=Column(no_wrap=True)),
        BarColumn(_BAR_WIDTH),
        DownloadColumn(binary_units=True, table_column=Column(no_wrap=True)),
    ]
    columns += [TransferSpeedColumn(table_column=Column(no_wrap=True))] if transfer else []
    # On a narrow terminal it is the name of what is in hand that is cut.
    named = Column(no_wrap=True, overflow="ellipsis", ratio=1)
    columns += [
        TimeRemainingColumn(table_column=Column(no_wrap=True)),
        TextColumn("{task.description}", markup=False, table_column=named),
    ]
    # Refreshed by hand: a thread that does it would keep the work from being shared among forked processes.
    with Progress(*columns, console=stderr, transient=True, auto_refresh=False, expand=True) as progress:
        yield Bar(title, progress)


def _short(text: str, length: int = 40) -> str:
    return text if len(text) <= length else "…" + text[-(length - 1) :]
