"""Options that several commands have alike, declared once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any


def parameters_of(declared: Callable[..., Any]) -> list[inspect.Parameter]:
    """Return the parameters of a function or class, their annotations read."""
    return list(inspect.signature(declared, eval_str=True).parameters.values())


def declare(run: Callable[..., Any], parameters: Iterable[inspect.Parameter]) -> None:
    """Let Typer read these parameters as the options of a function that takes any."""
    named = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
    run.__signature__ = inspect.Signature(named)  # type: ignore[attr-defined]  # what Typer reads the options from
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in named}
