"""Work that is done step by step: a generator that yields how far it is, and returns what it has come to."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

Step = TypeVar("Step")
Converted = TypeVar("Converted")
Result = TypeVar("Result")


def converted(
    work: Generator[Step, None, Result], convert: Callable[[Step], Converted]
) -> Generator[Converted, None, Result]:
    """Run some work, with each step converted; work that is not finished is closed.

    Args:
        work: what is done.
        convert: makes of a step what is yielded for it.

    Yields:
        What ``convert`` gives, for each step.

    Returns:
        What the work returns.
    """
    with closing(work):
        while True:
            try:
                step = next(work)
            except StopIteration as end:
                result: Result = end.value
                return result
            yield convert(step)


def finished(work: Generator[Step, None, Result], on_step: Callable[[Step], object] = lambda _: None) -> Result:
    """Do some work to its end.

    Args:
        work: what is done; closed if ``on_step`` raises.
        on_step: called with each step.

    Returns:
        What the work returns.
    """
    steps = converted(work, on_step)
    with closing(steps):
        while True:
            try:
                next(steps)
            except StopIteration as end:
                result: Result = end.value
                return result
