"""Opening a destination, of whatever kind it is."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Protocol, cast

from backstay.storage.address import SCHEMES, Address, parse_address, require_secrets
from backstay.storage.model import Destination


class _BackEnd(Protocol):
    def open_address(self, address: Address, secrets: Mapping[str, str]) -> Destination: ...


def open_destination(url: str, secrets: Mapping[str, str] | None = None) -> Destination:
    """Open a destination; nothing is sent yet.

    Args:
        url: see `backstay.storage.address.SCHEMES`.
        secrets: by the names that `backstay.storage.address.secret_fields` gives; they win over those in the URL.

    Raises:
        UsageError: the URL names no destination.
        ConfigurationError: a secret or program is missing that the service cannot be used without.
    """
    address, in_url = parse_address(url)
    known = {**in_url, **(secrets or {})}
    require_secrets(address, known)
    # Back ends load libraries that most runs do not need, so each is imported when it is asked for.
    module = cast("_BackEnd", import_module(f"backstay.storage.{SCHEMES[address.scheme].module}"))
    return module.open_address(address, known)
