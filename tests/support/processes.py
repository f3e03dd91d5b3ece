"""Processes of this machine, as ``/proc`` shows them."""

from __future__ import annotations

import contextlib
from pathlib import Path


def of_session(session: int) -> dict[int, str]:
    """Return number and command line of every process of a session that is not dead.

    A backup's process begins a session, and what it starts is in it whoever has inherited it since.
    """
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            # Behind the name, which stands in brackets and may hold anything: state, parent, group, session.
            state, _parent, _group, belongs_to, *_rest = (folder / "stat").read_text().rpartition(")")[2].split()
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(belongs_to) == session and state not in "ZX":
            found[int(folder.name)] = command
    return found


def memory_of(session: int) -> int:
    """Return the bytes of memory of all processes of a session together; what several share counts once."""
    total = 0
    for number in of_session(session):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{number}/smaps_rollup").read_text().splitlines():
                total += int(line.split()[1]) << 10 if line.startswith("Pss:") else 0
    return total
