"""Looking whether a repository is whole, and naming the backups and files that are not."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from backstay.archives.names import shown
from backstay.errors import ConfigurationError, DamagedRepositoryError, NotFoundError
from backstay.repository import marks
from backstay.repository.keys import pack_description, parse_description
from backstay.repository.layout import ChunkRef, Row, Snapshot
from backstay.repository.lines import Line, all_chunks_of, lines_of, segments
from backstay.repository.marks import Mark
from backstay.repository.opened import COPY, DESCRIPTION, Repository
from backstay.repository.packs import pack_name, read_table
from backstay.repository.store import Found

_MOST_PROBLEMS = 1000


@dataclass(frozen=True, slots=True)
class Damage:
    """Something that is wrong with a repository.

    Attributes:
        backup: identity of the backup that it hits; None where it hits none.
        path: of the file, None where it is more than one, or none.
        message: one sentence.
    """

    backup: str | None
    path: str | None
    message: str


@dataclass(slots=True)
class CheckReport:
    """What a check has found.

    Attributes:
        backups: that were looked at.
        packs: that are there.
        read: bytes of packs that were read and held to their hashes.
        damages: what is wrong; at most a thousand are listed.
    """

    backups: int = 0
    packs: int = 0
    read: int = 0
    damages: list[Damage] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """True if nothing is wrong."""
        return not self.damages

    def add(self, backup: str | None, path: str | None, message: str) -> None:
        """Note something that is wrong."""
        if len(self.damages) < _MOST_PROBLEMS:
            self.damages.append(Damage(backup, path, message))


def check(
    repository: Repository, *, read_data: float = 0.0, on_step: Callable[[str, int, int], None] = lambda *_: None
) -> CheckReport:
    """Look whether everything that the snapshots refer to is there, and read a share of it.

    Chunks that are found damaged are noted in the repository: they are not referred to any more, so that the next
    backup that still sees their content stores it anew.

    Args:
        repository: whose.
        read_data: the share of all packs that is read, from 0 to 1: those that were not read for longest.
        on_step: called with what is being done, and the bytes done and in all.

    Raises:
        BackstayError: the destination cannot be read.
    """
    report = CheckReport()
    _check_descriptions(repository, report)
    repository.refresh()
    for name in repository.unreadable:
        report.add(None, None, f"The tables of the pack {name} are unreadable.")
    report.packs = len(repository.index.packs())
    _read_packs(repository, read_data, report, on_step)
    _Walk(repository, report, on_step).run()
    return report


def _check_descriptions(repository: Repository, report: CheckReport) -> None:
    for name in (DESCRIPTION, COPY):
        try:
            whole = parse_description(repository.store.read_all(name)).id == repository.description.id
        except (NotFoundError, DamagedRepositoryError, ConfigurationError):
            whole = False
        if not whole:
            report.add(None, None, f"{name} was damaged or missing: it was written anew from what is known.")
            repository.store.put(name, pack_description(repository.description), locked=True)


def _read_packs(
    repository: Repository, share: float, report: CheckReport, on_step: Callable[[str, int, int], None]
) -> None:
    packs = repository.index.least_recently_read()
    wanted = round(min(max(share, 0.0), 1.0) * sum(size for _, size in packs))
    damaged: set[tuple[str, bytes]] = set()
    _, known = repository.index.marked()
    for name, size in packs:
        if report.read >= wanted:
            break
        bad = _damaged_of(repository, name, _rows_of(repository, name, size, report))
        report.read += size
        on_step("reading packs", report.read, wanted)
        if not bad:
            repository.index.note_read(name, time.time())
        damaged.update((name, identity) for identity in bad)
    if new := damaged - known:
        marks.put_mark(repository.store, Mark(marks.new_id(), damaged=tuple(sorted(new)), waits_for=()))
        repository.refresh()
    for name, identity in sorted(damaged):
        report.add(None, None, f"The chunk {identity.hex()} in the pack {name} is damaged.")


def _rows_of(repository: Repository, name: str, size: int, report: CheckReport) -> list[Row]:
    """Give the chunks of a pack by its own table, which takes no look through the whole index."""
    try:
        return read_table(repository.store, repository.keys, Found(name, size))
    except DamagedRepositoryError:
        report.add(None, None, f"The tables of the pack {name} are unreadable.")
    except NotFoundError:
        pass
    return repository.index.rows(name)


def _damaged_of(repository: Repository, name: str, rows: list[Row]) -> list[bytes]:
    """Read a pack; give those of its chunks that are damaged, however often they are read."""
    seal = repository.keys.seal_size
    for _ in range(2):
        try:
            data = repository.store.read_all(pack_name(name))
        except NotFoundError:
            data = b""
        rows = [
            row
            for row in rows
            if not repository.is_whole(row.ref, data[row.offset : row.offset + row.ref.deflated + seal])
        ]
        if not rows:
            break
    return [row.ref.identity for row in rows]


class _Walk:
    """Goes over the snapshots; what several of them share is looked at once."""

    def __init__(self, repository: Repository, report: CheckReport, on_step: Callable[[str, int, int], None]) -> None:
        self._repository = repository
        self._report = report
        self._on_step = on_step
        self._problems: dict[ChunkRef, list[tuple[str | None, str]]] = {}

    def run(self) -> None:
        identities = self._repository.snapshot_ids()
        for number, identity in enumerate(identities):
            self._on_step("looking at backups", number, len(identities))
            try:
                snapshot = self._repository.snapshot(identity)
                self._snapshot(snapshot)
            except NotFoundError:
                continue
            except DamagedRepositoryError as error:
                self._report.add(identity, None, f"The backup {identity} is damaged: {error}")
            self._report.backups += 1

    def _snapshot(self, snapshot: Snapshot) -> None:
        for ref in segments(self._repository, snapshot):
            if ref not in self._problems:
                self._problems[ref] = self._segment(ref)
            for path, problem in self._problems[ref]:
                where = "some files can't be listed" if path is None else f"{shown(path)} is damaged"
                self._report.add(snapshot.id, path, f"In the backup {snapshot.id}, {where}: {problem}.")

    def _segment(self, ref: ChunkRef) -> list[tuple[str | None, str]]:
        try:
            content = next(self._repository.contents([ref]))
            chunks = all_chunks_of(content)
            usable = self._repository.index.usable([chunk.identity for chunk in chunks])
            if all(chunk in usable.get(chunk.identity, ()) for chunk in chunks):
                return []
            found = lines_of(content)
        except DamagedRepositoryError:
            return [(None, f"the chunk {ref.identity.hex()}, a part of its list of files, is damaged or missing")]
        return [(line.line.path, problem) for line in found if (problem := _problem(line, usable)) is not None]


def _problem(line: Line, usable: dict[bytes, list[ChunkRef]]) -> str | None:
    for chunk in line.chunks:
        if chunk not in usable.get(chunk.identity, ()):
            return f"its chunk {chunk.identity.hex()} is damaged or missing"
    return None
