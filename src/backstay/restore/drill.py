"""The drill: a backup restored where nobody needs it, and every file and row compared with what was backed up."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Collection, Generator, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Literal

from blake3 import blake3

from backstay.archives import ArchiveReader, EntryType, ManifestLine, open_archive
from backstay.archives.deep_trees import walk
from backstay.archives.long_paths import reachable
from backstay.catalogue.vault import Vault
from backstay.databases import (
    DatabaseAddress,
    DumpOptions,
    DumpProgress,
    DumpSummary,
    ExistingTables,
    TableSummary,
    dump,
)
from backstay.databases.metadata import skipped_objects, table_summaries
from backstay.errors import (
    ArchiveError,
    BackstayError,
    DatabaseConnectionError,
    DiskFullError,
    LoadError,
    NotFoundError,
)
from backstay.restore.databases import scratch_database
from backstay.restore.layout import Layout, read_layout
from backstay.restore.plan import RemoteArchive, RestorePlan, RestoreProgress, RestoreReport
from backstay.restore.preparation import Fetch, OpenArchive
from backstay.restore.run import begin
from backstay.steps import converted

_SHOWN_PROBLEMS = 20
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class DrillReport:
    """What a drill found.

    Attributes:
        verdict: ``passed``; ``failed``; ``impossible`` where the proof could not be made and nothing is known.
        at: moment of its end, ISO 8601 in UTC.
        seconds: how long it took.
        problems: what is wrong, a sentence each; the first twenty.
        problem_count: how many there are.
        files: entries compared with the manifest.
        tables: tables restored; those with rows were compared with the counts and checksums of the dump's snapshot.
        rows: rows in them.
        notes: what the scratch server refused to make, and what the backup itself says to lack; no loss.
    """

    verdict: Literal["passed", "failed", "impossible"]
    at: str
    seconds: float
    problems: tuple[str, ...]
    problem_count: int
    files: int
    tables: int
    rows: int
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the report as it is kept in a backup's record."""
        return {
            "verdict": self.verdict,
            "at": self.at,
            "seconds": round(self.seconds, 3),
            "problems": list(self.problems),
            "problem_count": self.problem_count,
            "files": self.files,
            "tables": self.tables,
            "rows": self.rows,
            **({"notes": list(self.notes)} if self.notes else {}),
        }


@dataclass(slots=True)
class _Findings:
    problems: list[str] = field(default_factory=list)
    files: int = 0
    tables: int = 0
    rows: int = 0
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    impossible: bool = False


@dataclass(frozen=True, slots=True)
class ArchiveElsewhere:
    """An archive that is no file of this machine.

    Attributes:
        name: of it, for a person.
        open: opens it where it lies; in a forked process, too.
        remote: where it lies, where a restore fetches it first; None: it is read where it lies.
        fetch: fetches it for a restore.
    """

    name: str
    open: OpenArchive
    remote: RemoteArchive | None = None
    fetch: Fetch | None = None


def drill(
    archive: Path | ArchiveElsewhere, password: str | None, servers: Mapping[str, DatabaseAddress], scratch: Path
) -> Iterator[RestoreProgress | DrillReport]:
    """Restore a backup into a scratch folder and scratch databases, compare, and remove them again.

    Args:
        archive: main file, or where it lies else.
        password: of the archive, where it needs one.
        servers: kind of database (``mysql`` …) → any database of a server where scratch ones may be made.
        scratch: an empty folder, private, with space for the site.

    Yields:
        The progress, and last a ``DrillReport``; what is wrong with the backup is reported there, and not raised.
    """
    started = time.monotonic()
    findings = _Findings()
    try:
        yield from _Drill(archive, password, servers, scratch, findings).run()
    except (DatabaseConnectionError, DiskFullError) as error:
        findings.problems.append(str(error))
        findings.impossible = True
    except (ArchiveError, LoadError, NotFoundError) as error:
        findings.problems.append(str(error))
    except BackstayError as error:
        findings.problems.append(str(error))
        findings.impossible = True
    verdict: Literal["passed", "failed", "impossible"] = "failed" if findings.problems else "passed"
    yield DrillReport(
        "impossible" if findings.impossible else verdict,
        datetime.now(UTC).isoformat(),
        time.monotonic() - started,
        tuple(findings.problems[:_SHOWN_PROBLEMS]),
        len(findings.problems),
        findings.files,
        findings.tables,
        findings.rows,
        tuple(findings.notes[:_SHOWN_PROBLEMS]),
    )


class _Drill:
    """One drill under way."""

    def __init__(
        self,
        archive: Path | ArchiveElsewhere,
        password: str | None,
        servers: Mapping[str, DatabaseAddress],
        scratch: Path,
        findings: _Findings,
    ) -> None:
        self._archive = archive
        self._password = password
        self._servers = servers
        self._scratch = scratch
        self._findings = findings

    def _open(self) -> ArchiveReader:
        if isinstance(self._archive, ArchiveElsewhere):
            return self._archive.open()
        return open_archive(self._archive, password=self._password)

    def run(self) -> Iterator[RestoreProgress]:
        elsewhere = self._archive if isinstance(self._archive, ArchiveElsewhere) else None
        with self._open() as archive:
            layout = read_layout(archive)
        with ExitStack() as stack:
            databases = self._scratch_databases(layout, stack)
            plan = RestorePlan(
                elsewhere.name if elsewhere else str(self._archive),
                str(self._scratch / "site"),
                {name: address.url() for name, address in databases.items()},
                self._password,
                existing=ExistingTables.REFUSE.value,
                configuration=False,
                remote=elsewhere.remote if elsewhere else None,
                # The drill's folder may be on a file system that has none, and its user may be another.
                xattrs="none",
            )
            run = begin(self._scratch / "restores", Vault(self._scratch / "key"), plan)
            run.layout = layout
            if elsewhere is not None:
                run.fetch = elsewhere.fetch
                run.opener = elsewhere.open if elsewhere.remote is None else None
            with run.journal:
                for step in run.run(self._warned):
                    if not isinstance(step, RestoreReport):
                        yield step
                        continue
                    self._sort_warnings(step.refused)
                    # The same figures as the restore's own: what holds no rows of its own counts as a table too.
                    self._findings.tables = sum(len(one.tables) for one in step.databases.values())
                    self._findings.rows = sum(one.rows for one in step.databases.values())
            yield from self._compare_files(layout)
            for name, address in databases.items():
                yield from self._compare_tables(layout, name, address)

    def _warned(self, message: str) -> None:
        self._findings.warnings.append(message)

    def _sort_warnings(self, refused: Collection[str]) -> None:
        """Note what only the scratch server refuses: its statement is in the backup. Other warnings are problems."""
        for message in self._findings.warnings:
            if message in refused:
                # The file with the statement is gone with the scratch folder, and needed by nobody.
                self._findings.notes.append(message.partition(" Its statement is kept in ")[0])
            else:
                self._findings.problems.append(f"The restore warned: {message}")

    def _scratch_databases(self, layout: Layout, stack: ExitStack) -> dict[str, DatabaseAddress]:
        made: dict[str, DatabaseAddress] = {}
        for database in layout.databases:
            kind = str(database.metadata.get("dbtech") or "mysql")
            server = self._servers.get(kind)
            if server is None and kind == "sqlite":
                server = DatabaseAddress("sqlite")
            if server is None:
                self._findings.problems.append(
                    f"The dump {database.dump_file} was not tried: no {kind} server is given, name one with --database."
                )
                self._findings.impossible = True
                continue
            folder = self._scratch / f"database-{len(made)}"
            folder.mkdir(mode=0o700)
            prefix = str(database.metadata.get("prefix") or "")
            scratch = stack.enter_context(scratch_database(replace(server, prefix=prefix), folder))
            made[database.dump_file] = scratch
        return made

    def _compare_files(self, layout: Layout) -> Iterator[RestoreProgress]:
        root = self._scratch / "site"
        known = set()
        done = 0
        with self._open() as archive:
            if not archive.has_manifest:
                self._findings.problems.append(
                    "The archive has no manifest: its files came back, and there is nothing to compare them with."
                )
                self._findings.impossible = True
                return
            for line in archive.manifest():
                if layout.is_own(line.path):
                    continue
                known.add(line.path)
                self._findings.files += 1
                done += line.size
                yield RestoreProgress("files", f"compare {line.path}", done, layout.size)
                try:
                    with reachable(os.fspath(root / line.path)) as path:
                        self._findings.problems += _differences(Path(path), line)
                except FileNotFoundError:
                    self._findings.problems.append(f"{line.path} did not come back.")
        for found in walk(root):
            for name in (*found.folders, *found.others):
                path = f"{found.path}/{name}"[len(os.fspath(root)) + 1 :]
                if path not in known:
                    self._findings.problems.append(f"{path} is there, and not in the manifest.")

    def _compare_tables(self, layout: Layout, name: str, address: DatabaseAddress) -> Iterator[RestoreProgress]:
        database = next(one for one in layout.databases if one.dump_file == name)
        for one in skipped_objects(database.metadata):
            self._findings.notes.append(f"{name} lacks the {one.kind} {one.name}: {one.reason}.")
        expected = table_summaries(database.metadata)
        if not expected:
            self._findings.problems.append(
                f"{name} names no counts of rows: it loads, and nothing more could be checked."
            )
            self._findings.impossible = True
            return
        options = DumpOptions(entities=False)
        found = yield from _counted(dump(address, _Discard(), name=name, options=options, on_warning=_ignored))
        for table, before in expected.items():
            after = found.get(table)
            if after is None:
                self._findings.problems.append(f"{name}: the table {table} did not come back.")
            elif after.rows != before.rows:
                self._findings.problems.append(f"{name}: the table {table} has {after.rows} rows, not {before.rows}.")
            elif after.checksum != before.checksum:
                self._findings.problems.append(f"{name}: rows of the table {table} are not what they were.")


def _counted(
    work: Generator[DumpProgress, None, DumpSummary],
) -> Generator[RestoreProgress, None, Mapping[str, TableSummary]]:
    summary = yield from converted(
        work,
        lambda step: RestoreProgress("database", f"compare {step.table}", step.rows_done, step.rows_total),
    )
    return summary.tables


def _ignored(message: str) -> None:
    del message


class _Discard:
    """A sink whose parts nobody keeps: a dump into it only counts and sums."""

    def open(self, name: str) -> BinaryIO:
        """Begin a part."""
        del name
        return Path(os.devnull).open("wb")


def _differences(path: Path, line: ManifestLine) -> list[str]:
    """Say in what a restored file is not what the manifest says.

    Raises:
        FileNotFoundError: it is not there.
    """
    status = path.lstat()
    found = []
    kinds = {EntryType.FILE: stat.S_ISREG, EntryType.DIRECTORY: stat.S_ISDIR, EntryType.SYMLINK: stat.S_ISLNK}
    if not kinds[line.type](status.st_mode):
        return [f"{line.path} came back as something else than a {line.type.value}."]
    if line.type is EntryType.SYMLINK:
        if str(path.readlink()) != line.target:
            found.append(f"{line.path} leads elsewhere than it did.")
    elif stat.S_IMODE(status.st_mode) & 0o777 != line.mode & 0o777:
        found.append(f"{line.path} has the permissions {status.st_mode & 0o777:o}, not {line.mode & 0o777:o}.")
    if int(status.st_mtime // 1) != line.mtime:
        found.append(f"{line.path} has another modification time than it had.")
    if line.type is EntryType.FILE and (status.st_size != line.size or _hash(path) != line.blake3):
        found.append(f"The content of {line.path} is not what it was.")
    return found


def _hash(path: Path) -> str:
    digest = blake3()
    with path.open("rb") as file:
        while block := file.read(_CHUNK):
            digest.update(block)
    return digest.hexdigest()
