"""What a file system keeps of an entry beside content, permissions and whole seconds: read, written down, given back.

No archive format has a place for it, so it goes into the manifest: fractions of a second, the owner, extended
attributes (access control lists and file capabilities are such: ``xattr(7)``, ``acl(5)``, ``capabilities(7)``), and
which files are one (hard links).
"""

from __future__ import annotations

import base64
import binascii
import errno
import functools
import os
import re
import stat
from json.encoder import encode_basestring_ascii as quoted
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

WhichXattrs = Literal["none", "harmless", "all"]
"""Which extended attributes are given back: those that give rights to programs are not harmless."""

LARGEST_XATTRS = 256 << 10
"""Bytes of the extended attributes of one entry that are kept: its line must stay one that readers take."""

_OWNER = re.compile(r"([0-9]{1,10}):([0-9]{1,10}):([^:\0]*):([^:\0]*)")
_LARGEST_ID = (1 << 32) - 2
_SECOND = 1_000_000_000
# Without the right to look, or on a file system without any, there are none.
_UNREADABLE = frozenset({errno.ENOTSUP, errno.ENODATA, errno.EPERM, errno.EACCES, errno.ENOENT, errno.EINVAL})


class Attributes(NamedTuple):
    """What is kept of one entry.

    Attributes:
        nanoseconds: the part of the modification time below a second.
        owner: ``uid:gid:user:group``, a name empty where the number has none; empty where it is not known.
        xattrs: names and values of the extended attributes, in order of the names.
        inode: the same for all names of one file, empty for a file with a single name.
    """

    nanoseconds: int = 0
    owner: str = ""
    xattrs: tuple[tuple[str, bytes], ...] = ()
    inode: str = ""


NO_ATTRIBUTES = Attributes()


class Owner(NamedTuple):
    """An owner and a group: numbers and, where they are known, names."""

    uid: int
    gid: int
    user: str
    group: str


def read_attributes(status: os.stat_result, place: int | str | bytes) -> tuple[Attributes, str | None]:
    """Read the attributes of something on disk.

    Args:
        status: its status.
        place: an open file, or a path; a symbolic link is not followed.

    Returns:
        The attributes; and why some are left out, as the end of a sentence that names the entry.
    """
    warning = None
    try:
        names = os.listxattr(place) if isinstance(place, int) else os.listxattr(place, follow_symlinks=False)
    except (OSError, AttributeError):
        names = []
    xattrs: tuple[tuple[str, bytes], ...] = ()
    if names:
        xattrs = tuple(sorted(_values(place, names)))
        if sum(len(name) + len(value) for name, value in xattrs) > LARGEST_XATTRS:
            xattrs = ()
            warning = f"has more than {LARGEST_XATTRS} bytes of extended attributes: they are not in the backup"
    inode = ""
    if status.st_nlink > 1 and stat.S_ISREG(status.st_mode):
        inode = f"{status.st_dev}:{status.st_ino}"
    owner = owner_text(status.st_uid, status.st_gid)
    return Attributes(status.st_mtime_ns % _SECOND, owner, xattrs, inode), warning


def _values(place: int | str | bytes, names: list[str]) -> Iterator[tuple[str, bytes]]:
    for name in names:
        try:
            if isinstance(place, int):
                yield name, os.getxattr(place, name)
            else:
                yield name, os.getxattr(place, name, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _UNREADABLE:
                raise


@functools.lru_cache(maxsize=1024)
def owner_text(uid: int, gid: int) -> str:
    """Write down an owner and a group, by number and name."""
    import grp
    import pwd

    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        user = ""
    try:
        group = grp.getgrgid(gid).gr_name
    except KeyError:
        group = ""
    return f"{uid}:{gid}:{'' if ':' in user else user}:{'' if ':' in group else group}"


@functools.lru_cache(maxsize=1024)
def parse_owner(text: str) -> Owner:
    """Read what `owner_text` wrote.

    Raises:
        ValueError: if it is something else.
    """
    match = _OWNER.fullmatch(text)
    if match is None or max(int(match[1]), int(match[2])) > _LARGEST_ID:
        raise ValueError(text)
    return Owner(int(match[1]), int(match[2]), match[3], match[4])


@functools.lru_cache(maxsize=1024)
def ids_here(text: str) -> tuple[int, int]:
    """Give the numbers of an owner and a group on this machine: by name where the name is known here, else as written.

    Raises:
        ValueError: if it is no owner.
    """
    import grp
    import pwd

    owner = parse_owner(text)
    uid, gid = owner.uid, owner.gid
    if owner.user:
        try:
            uid = pwd.getpwnam(owner.user).pw_uid
        except (KeyError, ValueError):
            uid = owner.uid
    if owner.group:
        try:
            gid = grp.getgrnam(owner.group).gr_gid
        except (KeyError, ValueError):
            gid = owner.gid
    return uid, gid


def pack_attributes(attributes: Attributes) -> str:
    """Write attributes as the fields of a JSON object, each with a comma before it; only what is not the default."""
    nanoseconds, owner, xattrs, inode = attributes
    text = f',"nanoseconds":{nanoseconds}' if nanoseconds else ""
    if owner:
        text += f',"owner":{quoted(owner)}'
    if xattrs:
        pairs = (f'{quoted(name)}:"{base64.b64encode(value).decode("ascii")}"' for name, value in xattrs)
        text += f',"xattrs":{{{",".join(pairs)}}}'
    if inode:
        text += f',"inode":{quoted(inode)}'
    return text


def parse_attributes(fields: Mapping[str, Any]) -> Attributes:
    """Read what `pack_attributes` wrote; what is missing has its default.

    Raises:
        ValueError: if a field is not what it should be.
    """
    nanoseconds, owner, inode = fields.get("nanoseconds", 0), fields.get("owner", ""), fields.get("inode", "")
    if type(nanoseconds) is not int or not 0 <= nanoseconds < _SECOND:
        raise ValueError(nanoseconds)
    if not isinstance(owner, str) or not isinstance(inode, str):
        raise ValueError(owner)  # noqa: TRY004 - the caller makes one error of all
    if owner:
        parse_owner(owner)
    given = fields.get("xattrs")
    xattrs: tuple[tuple[str, bytes], ...] = ()
    if given is not None:
        xattrs = tuple((_xattr_name(name), _decoded(value)) for name, value in given.items())
    return Attributes(nanoseconds, owner, xattrs, inode)


def _xattr_name(name: str) -> str:
    if not name or "\0" in name:
        raise ValueError(name)
    return name


def _decoded(value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, AttributeError) as error:
        raise ValueError(value) from error


def is_privileged(name: str) -> bool:
    """Say whether an extended attribute gives rights to programs, as a setuid bit does, or is the system's own."""
    return name.startswith(("security.", "trusted."))


def give_owner(descriptor: int, owner: str) -> str | None:
    """Give an open file or folder its owner.

    Returns:
        What it did not get back, as a part of a sentence; None if all is well.
    """
    try:
        os.fchown(descriptor, *ids_here(owner))
    except OSError as error:
        return f"the owner ({error.strerror})"
    return None


def give_xattrs(place: int | str, xattrs: tuple[tuple[str, bytes], ...], which: WhichXattrs) -> tuple[str, ...]:
    """Give a file, a folder or a link its extended attributes.

    Args:
        place: an open file or folder, or the path of a symbolic link.
        xattrs: names and values.
        which: ``harmless`` leaves those out that `is_privileged` names, with a warning; ``none`` all, without.

    Returns:
        What it did not get back, each as a part of a sentence.
    """
    lost = []
    for name, value in xattrs if which != "none" else ():
        if is_privileged(name) and which != "all":
            lost.append(f"the attribute {name}, which gives rights to programs")
            continue
        try:
            if isinstance(place, int):
                os.setxattr(place, name, value)
            else:
                os.setxattr(place, name, value, follow_symlinks=False)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not a name"
            kind = "the access control list" if name.startswith("system.posix_acl_") else "extended attributes"
            lost.append(f"{kind} ({reason})")
    return tuple(dict.fromkeys(lost))
