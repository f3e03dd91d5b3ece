"""Who writes to a repository at the moment, and what is about to be deleted: agreed on without a lock.

A writer registers itself before it looks which chunks are there, and looks whether it still is registered after it
has written its snapshot. Whoever deletes packs condemns them first, then looks who is registered, and deletes nothing
before all of those are gone. So a writer either sees that a pack is condemned, and does not refer to it, or is waited
for.
"""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass, field, replace
from typing import Any

from backstay.errors import BackstayError, NotFoundError
from backstay.repository.store import Store
from backstay.repository.work import WorkFolder

WRITERS = "writers"
BEATS = "beats"
MARKS = "marks"
STALE_SECONDS = 24 * 3600
"""A writer that has given no sign of life for so long is dead."""
BEAT_SECONDS = 300
"""How often a writer gives one."""


@dataclass(frozen=True, slots=True)
class Writer:
    """Somebody who writes to the repository.

    Attributes:
        id: 16 hexadecimal digits.
        task: ``backup`` or ``prune``.
        beat: its last sign of life, in Unix seconds by its own clock.
        started: when it registered itself, likewise.
    """

    id: str
    task: str
    beat: float
    started: float = 0.0

    def is_stale(self, now: float) -> bool:
        """Whether it is taken for dead."""
        return now - self.beat > STALE_SECONDS


@dataclass(frozen=True, slots=True)
class Mark:
    """What is not to be used any more.

    Attributes:
        id: 16 hexadecimal digits.
        packs: identities of packs that will be deleted.
        damaged: chunks that were found damaged: identities of their pack and of the chunk.
        waits_for: the writers that may not know of it; None where nobody has looked yet.
    """

    id: str
    packs: tuple[str, ...] = ()
    damaged: tuple[tuple[str, bytes], ...] = ()
    waits_for: tuple[str, ...] | None = field(default=None)


def new_id() -> str:
    """Give a new identity of a writer, a mark or a snapshot."""
    return secrets.token_hex(8)


def register(store: Store, writer: Writer) -> None:
    """Write that somebody writes. This is done once: who was taken off the list must not come back to it."""
    fields = {"task": writer.task, "beat": round(writer.beat, 3)}
    store.put(f"{WRITERS}/{writer.id}", json.dumps(fields).encode("ascii"))


def beat(store: Store, identity: str) -> None:
    """Write that a writer still lives."""
    store.put(f"{BEATS}/{identity}", json.dumps({"beat": round(time.time(), 3)}).encode("ascii"))


def is_registered(store: Store, identity: str) -> bool:
    """Say whether a writer is still registered."""
    return store.exists(f"{WRITERS}/{identity}")


def deregister(store: Store, identity: str) -> None:
    """Take a writer off the list."""
    store.delete(f"{WRITERS}/{identity}")
    store.delete(f"{BEATS}/{identity}")


def end(store: Store, identity: str, folder: WorkFolder) -> None:
    """Take a writer of this machine off the list and remove its folder; what can't be done now, others do later."""
    try:
        # In this order: as long as it is registered, the folder tells whether it lives.
        deregister(store, identity)
    except BackstayError:
        folder.leave()
    else:
        folder.remove()


def writers(store: Store) -> list[Writer]:
    """List who writes. What is unreadable counts as a writer that was seen just now."""
    found = []
    beating = {file.name for file in store.list(BEATS)}
    for file in store.list(WRITERS):
        fields = _read(store, f"{WRITERS}/{file.name}")
        if fields is None:
            continue
        moment = started = _moment(fields)
        if file.name in beating and (last := _read(store, f"{BEATS}/{file.name}")) is not None:
            moment = max(moment, _moment(last))
        found.append(Writer(file.name, str(fields.get("task", "backup")), moment, started))
    return found


def _read(store: Store, name: str) -> dict[str, Any] | None:
    """Read a small file; None where it is gone, nothing in it where it is unreadable."""
    try:
        fields = json.loads(store.read_all(name))
    except NotFoundError:
        return None
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _moment(fields: dict[str, Any]) -> float:
    value = fields.get("beat")
    return float(value) if isinstance(value, int | float) else time.time()


def put_mark(store: Store, mark: Mark) -> None:
    """Write a mark, in place of what it was before."""
    fields: dict[str, Any] = {
        "packs": list(mark.packs),
        "damaged": [[pack, identity.hex()] for pack, identity in mark.damaged],
        "waits_for": None if mark.waits_for is None else list(mark.waits_for),
    }
    store.put(f"{MARKS}/{mark.id}", json.dumps(fields).encode("ascii"))


def delete_mark(store: Store, mark: Mark) -> None:
    """Remove a mark."""
    store.delete(f"{MARKS}/{mark.id}")


def marks(store: Store) -> list[Mark]:
    """List the marks; one that is unreadable is left out: nothing is deleted for it."""
    found = []
    for file in store.list(MARKS):
        try:
            fields = json.loads(store.read_all(f"{MARKS}/{file.name}"))
            waits = fields["waits_for"]
            mark = Mark(
                file.name,
                tuple(str(name) for name in fields["packs"]),
                tuple((str(pack), bytes.fromhex(identity)) for pack, identity in fields["damaged"]),
                None if waits is None else tuple(str(name) for name in waits),
            )
        except NotFoundError:
            continue
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
        found.append(mark)
    return found


def waiting(store: Store, mark: Mark, others: list[Writer]) -> Mark:
    """Note in a mark whom it waits for, where that was not done."""
    if mark.waits_for is not None:
        return mark
    noted = replace(mark, waits_for=tuple(writer.id for writer in others))
    put_mark(store, noted)
    return noted
