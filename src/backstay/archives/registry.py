"""The formats by name, and by what an archive begins and ends with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from backstay.archives.buffered_stream import BufferedStream
from backstay.archives.jpa.layout import SIGNATURE as JPA_SIGNATURE
from backstay.archives.jpa.reading import JpaReader, find_jpa
from backstay.archives.jpa.writing import JpaWriter
from backstay.archives.jps.layout import SIGNATURE as JPS_SIGNATURE
from backstay.archives.jps.reading import JpsReader
from backstay.archives.jps.writing import JpsWriter
from backstay.archives.part_stream import PartSource, PartStream
from backstay.archives.zip.ending import has_directory, has_ending
from backstay.archives.zip.layout import BEGINNINGS
from backstay.archives.zip.reading import ZipReader
from backstay.archives.zip.writing import ZipWriter
from backstay.errors import UnknownFormatError, UsageError

if TYPE_CHECKING:
    from backstay.archives.formats import FormatReader, FormatWriter

FORMATS = ("jpa", "jps", "zip")
"""The formats that are written; they are read as well."""


def make_writer(
    settings: dict[str, Any], state: dict[str, Any] | None, password: str | None, work_directory: Path
) -> FormatWriter:
    """Make the writer of a format.

    Args:
        settings: those of `create_archive`, by name.
        state: None for a new archive, else what the format's writer gave at the checkpoint.
        password: for JPS.
        work_directory: where to keep what is needed beside the archive.

    Raises:
        UsageError: if there is no such format, or a password is given for one that has none.
    """
    name = settings["format"]
    if name not in FORMATS:
        raise UsageError(f"There is no archive format {name}: choose one of {', '.join(FORMATS)}.")
    if password and name != "jps":
        raise UsageError(f"{name.upper()} archives are not encrypted: choose jps, or give no password.")
    if name == "zip":
        return ZipWriter(spool_path(settings, work_directory, "directory"), settings["comment"], state)
    if name == "jps":
        if password is None:
            raise UsageError("JPS archives are encrypted: give a password, or choose another format.")
        return JpsWriter(password, settings["part_size"], state)
    return JpaWriter()


def spool_path(settings: dict[str, Any], work_directory: Path, kind: str) -> Path:
    """Name a file to be kept beside an archive while it is written, unlike that of any other archive."""
    path = Path(settings["path"])
    return work_directory / f"{path.name[:100]}.{blake3(bytes(path)).hexdigest(length=6)}.{kind}"


def make_stream(source: PartSource) -> PartStream:
    """Make a stream of parts, as suits where they lie."""
    # Where forks share the work there must be no threads before they begin.
    return BufferedStream(source) if source.is_remote and not source.may_fork else PartStream(source)


def make_reader(stream: PartStream, password: str | None) -> FormatReader:
    """Find the format of an archive by its content and make its reader.

    Raises:
        UnknownFormatError: if it is of no format that is known.
        WrongPasswordError: if the password does not open it.
        DamagedArchiveError: if it is of a known format but damaged.
    """
    first = stream.read(0, 4)
    if first in BEGINNINGS:
        return ZipReader(stream)
    if first[:3] == JPS_SIGNATURE:
        return JpsReader(stream, password)
    if first[:3] != JPA_SIGNATURE and has_ending(stream):
        # A program that unpacks itself.
        return ZipReader(stream)
    start = find_jpa(stream)
    if start is not None:
        return JpaReader(stream, start)
    if has_directory(stream):
        # The same with bytes behind it: programs are signed there.
        return ZipReader(stream)
    raise UnknownFormatError(
        f"{stream.paths[-1]} is not a JPA, JPS or ZIP archive, or its first part is missing: put all parts together."
    )
