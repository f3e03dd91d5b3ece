"""The files of a site, made ready in a folder beside the one they are for."""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backstay.archives import ArchiveReader, Entry
from backstay.archives.attributes import give_owner, give_xattrs
from backstay.archives.deep_trees import walk
from backstay.errors import DiskFullError, NotFoundError
from backstay.restore.background import Reporter
from backstay.restore.configuration import Move, rewrite_configuration
from backstay.restore.early_staging import EarlyStaging, settle
from backstay.restore.layout import Layout
from backstay.restore.moving import SiteMove
from backstay.restore.plan import SERVER_FILES, RestorePlan
from backstay.restore.replacement import replace_in_files

_CAPABILITY = "security.capability"


@dataclass(frozen=True, slots=True)
class FilesRequest:
    """What files are made ready, and where.

    Attributes:
        open: opens the archive.
        layout: of the archive.
        plan: of the restore.
        folder: where they go; whatever is there that was not staged early is removed first.
        move: where the site goes.
        root_mode: permissions of the folder where the archive does not hold them.
        early: what was staged while the archive arrived.
        changes: what is replaced in the files.
    """

    open: Callable[[], ArchiveReader]
    layout: Layout
    plan: RestorePlan
    folder: Path
    move: Move
    root_mode: int
    early: EarlyStaging = field(default_factory=EarlyStaging)
    changes: SiteMove = field(default_factory=SiteMove)


def stage_files(request: FilesRequest, reporter: Reporter) -> dict[str, Any]:
    """Extract the site into a folder, change in it what its new place asks for, and bring it to the disk.

    Args:
        request: what, and where.
        reporter: receives the progress, and a warning for all that could not be given back as it was.

    Returns:
        Entries and bytes written, what was changed in which files of the configuration, and in how many places texts
        were replaced: as the journal keeps it.

    Raises:
        ArchiveError: the archive is damaged or unsafe.
        DiskFullError: there is no space.
    """
    plan, folder = request.plan, request.folder
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    files, size, has_owners = _extract(request, reporter)
    changed, replaced = [], {}
    if plan.configuration:
        changed = rewrite_configuration(folder, request.move, on_warning=reporter.warn)
    replacer = request.changes.replacer()
    if replacer:
        replaced = replace_in_files(folder, replacer, on_warning=reporter.warn)
    from_archive = plan.owners_of_archive and has_owners
    if plan.owner is not None and not from_archive:
        _give_to(folder, *plan.owner)
    _give_root_back(folder, request, with_owner=from_archive)
    sync_file_system(folder)
    configuration = [{"path": item.path, "names": list(item.names)} for item in changed]
    return {"files": files, "bytes": size, "configuration": configuration, "replaced": replaced}


def _extract(request: FilesRequest, reporter: Reporter) -> tuple[int, int, bool]:
    plan, layout = request.plan, request.layout
    with request.open() as archive:
        early = settle(request.early, archive, request.folder, owners=plan.owners_of_archive)

        def is_left(entry: Entry) -> bool:
            return not layout.is_own(entry.path) and not early.holds(entry)

        try:
            report = archive.extract(
                request.folder,
                only=plan.only,
                select=is_left,
                rename=_renamed if plan.rename_server_files else None,
                special_modes=plan.special_modes,
                xattrs="all" if plan.special_modes else plan.xattrs,
                owners=plan.owners_of_archive,
                on_warning=reporter.warn,
                on_progress=lambda progress: reporter.progress(
                    progress.path, early.bytes + progress.bytes, layout.size
                ),
            )
        except DiskFullError as error:
            # The hidden folder means nothing to anybody.
            raise DiskFullError(str(error).replace(str(request.folder), plan.target)) from error
    if plan.only and not report.entries:
        wanted = " or ".join(plan.only)
        raise NotFoundError(
            f"Nothing in the archive fits --only {wanted}: see what it holds with 'backstay archive list'."
        )
    return early.files + report.entries, early.bytes + report.bytes, report.has_owners


def _renamed(path: str) -> str:
    return SERVER_FILES.get(path, path)


def _give_root_back(folder: Path, request: FilesRequest, *, with_owner: bool) -> None:
    layout = request.layout
    attributes = layout.root_attributes
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if with_owner and attributes.owner and os.geteuid() == 0:
            give_owner(descriptor, attributes.owner)
        # Bits beyond the permissions (setuid, say) are dropped as they are for every other folder.
        os.fchmod(descriptor, request.root_mode if layout.root_mode is None else layout.root_mode & 0o3777)
        give_xattrs(descriptor, attributes.xattrs, request.plan.xattrs)
        if layout.root_mtime is not None:
            time = layout.root_mtime * 1_000_000_000 + attributes.nanoseconds
            os.utime(descriptor, ns=(time, time))
    finally:
        os.close(descriptor)


def _give_to(folder: Path, user: int, group: int) -> None:
    os.chown(folder, user, group)
    for found in walk(folder):
        descriptor = found.descriptor
        for name in (*found.folders, *found.others):
            mode = os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode
            place = f"/proc/self/fd/{descriptor}/{name}"
            capability = _capability(place) if stat.S_ISREG(mode) else None
            os.chown(name, user, group, dir_fd=descriptor, follow_symlinks=False)
            # A change of owner takes these bits away, and capabilities.
            if mode & (stat.S_ISUID | stat.S_ISGID) and not stat.S_ISLNK(mode):
                os.chmod(name, stat.S_IMODE(mode), dir_fd=descriptor)
            if capability is not None:
                os.setxattr(place, _CAPABILITY, capability, follow_symlinks=False)


def _capability(place: str) -> bytes | None:
    try:
        return os.getxattr(place, _CAPABILITY, follow_symlinks=False)
    except OSError:
        return None


def sync_file_system(folder: Path) -> None:
    """Bring all that was written to a folder's file system to the disk: cheaper than file by file.

    Raises:
        OSError: some of it could not be written.
    """
    try:
        syncfs = ctypes.CDLL(None, use_errno=True).syncfs
    except AttributeError:
        os.sync()
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if syncfs(descriptor) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), os.fspath(folder))
    finally:
        os.close(descriptor)
