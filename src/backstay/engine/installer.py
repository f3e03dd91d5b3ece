"""A restoration script that goes into an archive: the files of its packages, laid over ``installation/``.

With it an archive restores on a host that has PHP only. Backstay ships none: a profile names the packages (JPA
archives, also of version 1.0, whose content lies in ``installation/``; format notes, section 1.7).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from backstay.archives import Entry, EntryType, Limits, open_archive
from backstay.archives.names import shown, why_odd, why_unsafe
from backstay.errors import ArchiveError, ConfigurationError

NONE = "none"
_FOLDER = "installation/"
_EXTENSION = ".jpa"
# Folders of the backup's own entries: a file of such a name would take their place.
_OWN_FOLDERS = frozenset({"installation", "installation/sql", "installation/backstay"})
# A restoration script with all its companions is some megabytes; it is held in memory while it is packed.
_LARGEST = 64 << 20
_MOST_ENTRIES = 20_000


@dataclass(frozen=True, slots=True)
class Package:
    """One package of a restoration script, as it was when the backup was planned.

    Attributes:
        path: the file, absolute.
        sha256: of its bytes, 64 hexadecimal digits.
    """

    path: str
    sha256: str


def find_packages(setting: str, folder: Path) -> tuple[Package, ...]:
    """Return the packages that a setting names, each read and checked.

    A name without a slash and without an extension, like ``brs`` of a profile of the reference engine, is taken only if
    its package is there.

    Args:
        setting: ``none``, or absolute paths or names of packages, separated by commas; later ones win.
        folder: where packages given by name lie.

    Raises:
        ConfigurationError: a package is missing, cannot be used, or holds no restoration script.
    """
    packages = []
    for name in filter(None, (part.strip() for part in setting.split(","))):
        if name == NONE or _is_absent(name, folder):
            continue
        path = Path(name) if "/" in name else folder / _with_extension(name)
        if not path.is_absolute():
            raise ConfigurationError(
                f"The installer package {name} is a relative path: give an absolute one, or the name of a file in "
                f"{folder}."
            )
        package = Package(str(path), hashlib.sha256(_content(path)).hexdigest())
        read_files([package], is_own=lambda _path: False, on_warning=lambda _message: None)
        packages.append(package)
    return tuple(packages)


def absent_names(setting: str, folder: Path) -> list[str]:
    """Return the names of restoration scripts in a setting that are not there, as an imported profile may hold them."""
    names = filter(None, (part.strip() for part in setting.split(",")))
    return [name for name in names if name != NONE and _is_absent(name, folder)]


def selectable(setting: str, folder: Path) -> list[str]:
    """Return what the setting may be: ``none``, each package in a folder by its name, and what it is now.

    Args:
        setting: of a profile, as :func:`find_packages` reads it.
        folder: where packages given by name lie; it need not exist.
    """
    packages = sorted(path.stem for path in folder.glob(f"*{_EXTENSION}") if "." not in path.stem and path.is_file())
    return list(dict.fromkeys([NONE, *packages, setting.strip() or NONE]))


def read_files(
    packages: Iterable[Package], *, is_own: Callable[[str], bool], on_warning: Callable[[str], None]
) -> dict[str, bytes]:
    """Return the files of a restoration script, sorted by their path in the archive.

    Args:
        packages: later ones win over earlier ones.
        is_own: whether a path is one of the backup's own: these are never laid over.
        on_warning: called with one sentence for each package of which something is left out.

    Raises:
        ConfigurationError: a package is missing, was changed since it was checked, cannot be read or is too large.
    """
    files: dict[str, bytes] = {}
    for package in packages:
        found, left_out = _read(package)
        if left_out:
            on_warning(
                f"The installer package {package.path} holds {len(left_out)} entries that are no files in "
                f"{_FOLDER}, the first of them {shown(left_out[0])}: they are left out."
            )
        files |= found
    folders = _OWN_FOLDERS.union(*(map(str, PurePosixPath(path).parents) for path in files))
    return {path: files[path] for path in sorted(files) if path not in folders and not is_own(path)}


def _is_absent(name: str, folder: Path) -> bool:
    return "/" not in name and "." not in name and not (folder / _with_extension(name)).is_file()


def _with_extension(name: str) -> str:
    return name if "." in name else name + _EXTENSION


def _content(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise ConfigurationError(f"The installer package {path} is not there: correct its path, or leave it out.")
        if path.stat().st_size > _LARGEST:
            raise ConfigurationError(_too_large(path))
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"The installer package {path} can't be read ({error.strerror}).") from error


def _read(package: Package) -> tuple[dict[str, bytes], list[str]]:
    """Return the files of a package by path, and the paths of what is left out."""
    path = Path(package.path)
    if hashlib.sha256(_content(path)).hexdigest() != package.sha256:
        raise ConfigurationError(f"The installer package {path} was changed while the backup ran: start a new one.")
    files: dict[str, bytes] = {}
    left_out = []
    try:
        with open_archive(path, limits=Limits(total_size=_LARGEST, entries=_MOST_ENTRIES)) as archive:
            entries = [entry for number, entry in enumerate(archive) if number < _MOST_ENTRIES]
            for entry in entries:
                if why := why_unsafe(entry.path) or why_odd(entry.path):
                    raise ConfigurationError(
                        f"The installer package {path} can't be used: its entry {shown(entry.path)} {why}."
                    )
            wanted = [entry for entry in entries if _is_wanted(entry)]
            if sum(entry.size for entry in wanted) > _LARGEST or len(entries) == _MOST_ENTRIES:
                raise ConfigurationError(_too_large(path))
            left_out = [
                entry.path for entry in entries if entry.type is not EntryType.DIRECTORY and not _is_wanted(entry)
            ]
            for entry in wanted:
                files[entry.path] = b"".join(archive.read(entry))
    except ArchiveError as error:
        raise ConfigurationError(f"The installer package {path} can't be used: {error}") from error
    if not files:
        raise ConfigurationError(f"The installer package {path} holds no files in {_FOLDER}: it is no such package.")
    return files, left_out


def _is_wanted(entry: Entry) -> bool:
    return entry.type is EntryType.FILE and entry.path.startswith(_FOLDER)


def _too_large(path: Path) -> str:
    return f"The installer package {path} holds more than {_LARGEST >> 20} MiB or {_MOST_ENTRIES} entries: use another."
