"""Writing another content into a file of a staged site: nothing else about it changes."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from backstay.archives.attributes import give_xattrs, read_attributes


def write_in_place(path: Path, content: bytes) -> None:
    """Put a file with the same owner, mode and extended attributes in place of another.

    A hard link elsewhere keeps the old content.

    The folder keeps its modification time, for nothing in it came or went.
    """
    before = path.lstat()
    folder = path.parent.stat()
    temporary = path.with_name(path.name[:200] + ".backstay-new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        attributes, _warning = read_attributes(before, os.fspath(path))
        if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
            with suppress(PermissionError):
                os.fchown(file.fileno(), before.st_uid, before.st_gid)
        os.fchmod(file.fileno(), stat.S_IMODE(before.st_mode))
        give_xattrs(file.fileno(), attributes.xattrs, "harmless")
    temporary.replace(path)
    os.utime(path.parent, ns=(folder.st_atime_ns, folder.st_mtime_ns))
