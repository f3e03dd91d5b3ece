# The public names of this package; each module is loaded when a name of it is first used.

from .asynchronous import AsyncArchiveReader, open_archive_async
from .entries import (
    ArchiveSummary,
    Compression,
    DeflatedFile,
    Entry,
    EntryType,
    ExtractProgress,
    ExtractReport,
    Limits,
    ManifestLine,
    PackProgress,
    PackWarning,
    Problem,
    Source,
    VerifyReport,
)
from .packing import pack
from .part_stream import PartSource, find_parts
from .reader import ArchiveReader, open_archive, open_parts
from .writer import ArchiveWriter, create_archive, resume_archive

__all__ = [
    "ArchiveReader",
    "ArchiveSummary",
    "ArchiveWriter",
    "AsyncArchiveReader",
    "Compression",
    "DeflatedFile",
    "Entry",
    "EntryType",
    "ExtractProgress",
    "ExtractReport",
    "Limits",
    "ManifestLine",
    "PackProgress",
    "PackWarning",
    "PartSource",
    "Problem",
    "Source",
    "VerifyReport",
    "create_archive",
    "find_parts",
    "open_archive",
    "open_archive_async",
    "open_parts",
    "pack",
    "resume_archive",
]
