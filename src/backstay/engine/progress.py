"""How far a backup is, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Domain = Literal["init", "installer", "PackDB", "Packing", "finale"]

# The domains of each type of backup, in order (engine-behaviour, domains and backup types).
CHAINS: dict[str, tuple[Domain, ...]] = {
    "full": ("init", "installer", "PackDB", "Packing", "finale"),
    "dbonly": ("init", "PackDB", "finale"),
    "fileonly": ("init", "Packing", "finale"),
    "alldb": ("init", "installer", "PackDB", "finale"),
    "incfile": ("init", "Packing", "finale"),
    "incfull": ("init", "installer", "PackDB", "Packing", "finale"),
}


@dataclass(frozen=True, slots=True)
class Progress:
    """One report of a running backup.

    Attributes:
        domain: what is being worked on, by the name the API gives it.
        step, substep: for a person: a table and its rows, a folder, a task.
        fraction: how much of the domain is done, 0 to 1.
        files: entries that are in the archive.
        bytes_read: bytes of content that are in the archive, before compression.
        bytes_written: bytes of the archive so far.
        rows: rows that were dumped.
        bytes_expected: bytes of content that were counted before the start; 0 where nothing was.
    """

    domain: Domain
    step: str = ""
    substep: str = ""
    fraction: float = 0.0
    files: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    rows: int = 0
    bytes_expected: int = 0


def percent(backup_type: str, domain: str, fraction: float) -> int:
    """Return the progress for the API, 0 to 100.

    All domains but init weigh the same: trunc(100 × (1 − (R + 1)/C + L/C)), where C counts the domains without init
    and R those that have not begun (engine-behaviour, progress).
    """
    chain = CHAINS.get(backup_type, CHAINS["full"])
    if domain not in chain:
        return 0
    weights = len(chain) - 1
    waiting = len(chain) - 1 - chain.index(domain)
    share = 1 - (waiting + 1) / weights + min(max(fraction, 0.0), 1.0) / weights
    return max(0, min(100, int(100 * share + 1e-9)))


def shown(text: str) -> str:
    """Return a text in which every character can be shown: bytes of a path that are not UTF-8 are escaped."""
    return text.encode("utf-8", "backslashreplace").decode()
