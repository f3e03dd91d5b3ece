"""How strong a secret word must be for a server to let the API be used (api-v1-encapsulation.md 9)."""

from __future__ import annotations

import math
from bisect import bisect_right
from functools import lru_cache
from importlib.resources import files

from backstay.errors import UsageError

SHORTEST = 8
ENOUGH = 66.0
"""A score must be greater than this: characters times the logarithm of the alphabet they seem to be drawn from."""

_ASCII_RANGES = ("  ", "09", "AZ", "az", "!/", ":@", "[`", "{~")

# First code points of the Unicode blocks; each block ends where the next begins. Gaps are entries of their own: a
# secret with characters of no block gains too little by them to distinguish them.
_BLOCK_STARTS = (
    *(0x0080, 0x0100, 0x0180, 0x0250, 0x02B0, 0x0300, 0x0370, 0x0400, 0x0500, 0x0530, 0x0590, 0x0600, 0x0700),
    *(0x0750, 0x0780, 0x07C0, 0x0800, 0x0840, 0x0860, 0x0870, 0x08A0, 0x0900, 0x0980, 0x0A00, 0x0A80, 0x0B00),
    *(0x0B80, 0x0C00, 0x0C80, 0x0D00, 0x0D80, 0x0E00, 0x0E80, 0x0F00, 0x1000, 0x10A0, 0x1100, 0x1200, 0x1380),
    *(0x13A0, 0x1400, 0x1680, 0x16A0, 0x1700, 0x1720, 0x1740, 0x1760, 0x1780, 0x1800, 0x18B0, 0x1900, 0x1950),
    *(0x1980, 0x19E0, 0x1A00, 0x1A20, 0x1AB0, 0x1B00, 0x1B80, 0x1BC0, 0x1C00, 0x1C50, 0x1C80, 0x1C90, 0x1CC0),
    *(0x1CD0, 0x1D00, 0x1D80, 0x1DC0, 0x1E00, 0x1F00, 0x2000, 0x2070, 0x20A0, 0x20D0, 0x2100, 0x2150, 0x2190),
    *(0x2200, 0x2300, 0x2400, 0x2440, 0x2460, 0x2500, 0x2580, 0x25A0, 0x2600, 0x2700, 0x27C0, 0x27F0, 0x2800),
    *(0x2900, 0x2980, 0x2A00, 0x2B00, 0x2C00, 0x2C60, 0x2C80, 0x2D00, 0x2D30, 0x2D80, 0x2DE0, 0x2E00, 0x2E80),
    *(0x2F00, 0x2FE0, 0x2FF0, 0x3000, 0x3040, 0x30A0, 0x3100, 0x3130, 0x3190, 0x31A0, 0x31C0, 0x31F0, 0x3200),
    *(0x3300, 0x3400, 0x4DC0, 0x4E00, 0xA000, 0xA490, 0xA4D0, 0xA500, 0xA640, 0xA6A0, 0xA700, 0xA720, 0xA800),
    *(0xA830, 0xA840, 0xA880, 0xA8E0, 0xA900, 0xA930, 0xA960, 0xA980, 0xA9E0, 0xAA00, 0xAA60, 0xAA80, 0xAAE0),
    *(0xAB00, 0xAB30, 0xAB70, 0xABC0, 0xAC00, 0xD7B0, 0xD800, 0xE000, 0xF900, 0xFB00, 0xFB50, 0xFE00, 0xFE10),
    *(0xFE20, 0xFE30, 0xFE50, 0xFE70, 0xFF00, 0xFFF0, 0x10000),
)
_BEYOND_THE_FIRST_PLANE = 0x100
"""Beyond the first plane blocks are counted in pieces of this size, which is what most of them have."""


@lru_cache(maxsize=1)
def common_passwords() -> tuple[str, ...]:
    """Passwords that everybody tries first, in lower case."""
    return tuple(files("backstay.api").joinpath("common_passwords.txt").read_text("utf-8").split())


def is_common(secret: str) -> bool:
    """Whether the secret is a common password, or a piece of one."""
    lowered = secret.lower()
    return any(lowered in word for word in common_passwords())


def alphabet_size(secret: str) -> int:
    """How many characters the ranges hold from which the secret takes at least one."""
    ranges = {_range_of(ord(character)) for character in secret}
    return sum(last - first + 1 for first, last in ranges if last >= first)


def _range_of(point: int) -> tuple[int, int]:
    if point < 0x80:
        for first, last in ((ord(pair[0]), ord(pair[1])) for pair in _ASCII_RANGES):
            if first <= point <= last:
                return first, last
        return 0, -1
    if point >= _BLOCK_STARTS[-1]:
        first = point - point % _BEYOND_THE_FIRST_PLANE
        return first, first + _BEYOND_THE_FIRST_PLANE - 1
    index = bisect_right(_BLOCK_STARTS, point)
    return _BLOCK_STARTS[index - 1], _BLOCK_STARTS[index] - 1


def score(secret: str) -> float:
    """Length times the natural logarithm of the alphabet's size; 0 for a common password."""
    size = alphabet_size(secret)
    return 0.0 if size < 2 or is_common(secret) else len(secret) * math.log(size)


def weakness(secret: str) -> str | None:
    """Why a secret is too weak, a sentence for its owner; None if it is strong enough."""
    if len(secret) < SHORTEST:
        return f"The secret is too short: take at least {SHORTEST} characters, better 24 or more."
    if is_common(secret):
        return "The secret is one that everybody tries first: take a random one."
    if score(secret) <= ENOUGH:
        return (
            "The secret is too simple: take a longer one, or mix capital and small letters, digits and signs "
            "(24 letters and digits at random are enough)."
        )
    return None


def require_strong(secret: str) -> None:
    """Refuses a weak secret.

    Raises:
        UsageError: the secret is too short, too simple or too common.
    """
    reason = weakness(secret)
    if reason:
        raise UsageError(reason)
