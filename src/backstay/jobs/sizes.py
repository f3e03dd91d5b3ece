"""Sizes as a person writes them."""

from __future__ import annotations

from backstay.errors import UsageError


def parse_size(text: str) -> int:
    """Return the bytes that a size like ``50MiB``, ``2G`` or ``65536`` means; units are powers of 1024.

    Raises:
        UsageError: it is not a size.
    """
    units = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
    cleaned = text.strip().lower().removesuffix("ib").removesuffix("b")
    unit = cleaned[-1:] if cleaned[-1:].isalpha() else ""
    number = cleaned.removesuffix(unit).strip()
    try:
        size = int(float(number) * 1024 ** units[unit])
    except (KeyError, ValueError, OverflowError):
        size = -1
    if size < 0:
        raise UsageError(f"{text!r} is not a size: write 50MiB, 2GiB or a number of bytes.")
    return size
