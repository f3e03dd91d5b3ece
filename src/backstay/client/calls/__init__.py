"""Every method of the API as a typed call: what the clients' methods are made from."""

from __future__ import annotations

from typing import Any

from backstay.client.messages import Call


def given(**parameters: Any) -> dict[str, Any]:
    """The parameters that were given: those that are not None."""
    return {name: value for name, value in parameters.items() if value is not None}


__all__ = ["Call", "given"]
