"""The formats by name, and by what an archive begins and ends with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstay.archives.jpa.reading import JpaReader, find_jpa
from backstay.archives.jpa.writing import JpaWriter
from backstay.errors import UnknownFormatError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from backstay.archives.formats import FormatReader, FormatWriter
    from backstay.archives.part_stream import PartStream

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
    return JpaWriter()


def make_reader(stream: PartStream, password: str | None) -> FormatReader:
    """Find the format of an archive by its content and make its reader.

    Raises:
        UnknownFormatError: if it is of no format that is known.
        WrongPasswordError: if the password does not open it.
        DamagedArchiveError: if it is of a known format but damaged.
    """
    start = find_jpa(stream)
    if start is not None:
        return JpaReader(stream, start)
    raise UnknownFormatError(f"{stream.paths[-1]} is not a JPA, JPS or ZIP archive.")
