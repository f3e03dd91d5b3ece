"""How a method of a client shows itself: with the name, text and signature of the function that describes its call."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


def show_as(method: Callable[..., Any], build: Callable[..., Any]) -> None:
    """Gives a method the name, docstring and signature of a function that returns a ``Call``.

    Args:
        method: the method; what it returns is what the call's reply is.
        build: the function; ``Call[X]`` is its return annotation.
    """
    described = inspect.signature(build)
    myself = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    reply = str(described.return_annotation).removeprefix("Call[").removesuffix("]")
    method.__name__ = build.__name__
    method.__doc__ = build.__doc__
    signature = described.replace(parameters=[myself, *described.parameters.values()], return_annotation=reply)
    method.__signature__ = signature  # type: ignore[attr-defined]  # the place where inspect looks for one
