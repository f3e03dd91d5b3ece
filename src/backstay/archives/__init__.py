"""JPA, JPS and ZIP archives: reading, writing, checking.

The room stands on its own: it knows bytes and files, and nothing of sites, backups or HTTP.
"""

from backstay.archives.asynchronous import AsyncArchiveReader, open_archive_async
from backstay.archives.entries import (
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
from backstay.archives.pack import pack
from backstay.archives.part_stream import PartSource, find_parts
from backstay.archives.reader import ArchiveReader, open_archive, open_parts
from backstay.archives.writer import ArchiveWriter, create_archive, resume_archive

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
