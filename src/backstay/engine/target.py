"""Where the entries of a backup go: what taking one asks of an archive, or of a repository."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

from backstay.archives import ArchiveSummary, PackProgress, PackWarning, Source
from backstay.catalogue import Backup, Catalogue, Home
from backstay.engine.archive_target import ArchiveTarget
from backstay.engine.contents import Survey
from backstay.engine.parts import WORK
from backstay.engine.plan import Plan
from backstay.engine.progress import Progress
from backstay.engine.scanner import Looking


class Target(Protocol):
    """Where the entries of one backup go. It is made anew for each process that works on the backup.

    Attributes:
        path: what the record says of the place of the main file.
        is_sent: it goes to the storages of the profile when it is whole.
    """

    path: Path
    is_sent: bool

    @property
    def counts_first(self) -> bool:
        """The site is counted before it is packed; else on the way."""

    @property
    def last_path(self) -> str | None:
        """The last path that is whole there; None before the first."""

    @property
    def finished_parts(self) -> Iterable[Path]:
        """Files that will not change any more, to be sent elsewhere."""

    def prepare(self) -> None:
        """Make the place for it."""

    def check_space(self, found: Survey) -> None:
        """Refuse a backup that cannot fit.

        Raises:
            DiskFullError: it can't.
        """

    def create(self) -> None:
        """Begin anew; what an earlier attempt has left is removed."""

    def resume(self, state: dict[str, Any]) -> ArchiveSummary | None:
        """Go on where another process has died.

        Args:
            state: what `checkpoint` gave.

        Returns:
            What was written, if it was whole already; None: it is to be written to its end.

        Raises:
            ArchiveError: it is to be begun anew.
        """

    def looking(self, tree: int) -> Looking | None:
        """Give what looks at each path of a tree on the walk; None: nothing needs to."""

    def pack(self, sources: Iterable[Source], on_warning: Callable[[PackWarning], None]) -> Iterator[PackProgress]:
        """Take sources, in their order; at every yield a checkpoint may be taken."""

    def checkpoint(self) -> dict[str, Any]:
        """Make what was packed so far safe; give what it takes to go on."""

    def close(self) -> ArchiveSummary:
        """Write the end: what was packed is whole then."""

    def release(self) -> None:
        """Let go of what is open, after an error."""

    def prove(self, summary: ArchiveSummary | None) -> Generator[Progress, None, dict[str, Any]]:
        """Prove what was written.

        Returns:
            Values for the record: ``multipart``, ``total_size``, and ``proof`` without moment and duration.

        Raises:
            BackupFailedError: what was read back is not what was written.
        """

    def remove(self) -> list[str]:
        """Remove what there is of a backup that comes to nothing; give a sentence for what could not be removed."""


def target_of(catalogue: Catalogue, home: Home, backup: Backup, plan: Plan) -> Target:
    """Give where a backup goes; nothing is opened or made yet.

    Args:
        catalogue: of the installation.
        home: of the installation.
        backup: its record.
        plan: of the backup.
    """
    if not plan.settings.repository:
        return ArchiveTarget(plan, home.job(backup.id) / WORK)
    # Imported here: most backups need nothing of it.
    from backstay.engine.repository_target import RepositoryTarget

    return RepositoryTarget(catalogue, home, backup, plan)


def discard(catalogue: Catalogue, home: Home, backup: Backup, plan: Plan) -> list[str]:
    """Remove what there is of a backup that will not be resumed, and its spools.

    Returns:
        A sentence for each thing that could not be removed.
    """
    shutil.rmtree(home.job(backup.id) / WORK, ignore_errors=True)
    return target_of(catalogue, home, backup, plan).remove()
