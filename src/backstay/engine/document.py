"""The small document that lies next to each stored backup and holds all that is known of it, without secrets.

It is JSON, named like the archive with ``.backstay.json`` behind it, and is written after every part: where it is, the
copy is whole. From it alone the record can be made again on another machine.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from backstay.catalogue import Backup
from backstay.errors import StorageError
from backstay.version import __version__

SUFFIX = ".backstay.json"
"""What stands behind the archive's name in the document's."""
VERSION = 1
LARGEST = 16 << 20
"""Bytes of the largest document that is read."""

_Text = Annotated[str, Field(max_length=1 << 20)]
_Size = Annotated[int, Field(ge=0, le=1 << 62)]


class _Model(BaseModel):
    # What a later version adds is passed over.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class DocumentPart(_Model):
    """One part of the archive.

    Attributes:
        name: base name.
        size: in bytes.
        blake3: of its content, 64 hexadecimal digits; empty where it was never computed.
    """

    name: Annotated[str, Field(min_length=1, max_length=255)]
    size: _Size
    blake3: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]

    @field_validator("name")
    @classmethod
    def _base_name(cls, value: str) -> str:
        if "/" in value or "\0" in value or value in (".", ".."):
            raise ValueError("is no base name")
        return value


class DocumentRecord(_Model):
    """The record of the backup, by the names of ``backstay.catalogue.Backup``."""

    description: _Text = ""
    comment: _Text = ""
    backupstart: datetime
    backupend: datetime | None = None
    origin: Annotated[str, Field(max_length=30)] = "backend"
    type: Annotated[str, Field(max_length=30)] = "full"
    archivename: Annotated[str, Field(max_length=255)]
    multipart: Annotated[int, Field(ge=0, le=1 << 31)] = 0
    tag: Annotated[str, Field(max_length=255)] | None = None
    backupid: Annotated[str, Field(max_length=255)] | None = None
    total_size: _Size = 0
    warning_count: Annotated[int, Field(ge=0, le=1 << 31)] = 0
    proof: dict[str, Any] = Field(default_factory=dict)

    @field_validator("backupstart", "backupend")
    @classmethod
    def _in_utc(cls, value: datetime | None) -> datetime | None:
        return value if value is None or value.tzinfo is not None else value.replace(tzinfo=UTC)


class DocumentProfile(_Model):
    """The profile: its number where it was taken, and its name for a person."""

    id: int = 0
    name: _Text = ""


class DocumentSite(_Model):
    """The site: its host name, what it runs on, and its folder."""

    host: _Text = ""
    platform: Annotated[str, Field(max_length=255)] = ""
    root: _Text = ""


class BackupDocument(_Model):
    """All that is known of one stored backup.

    Attributes:
        version: of this form; a later one may add names.
        written: moment it was written.
        by: version of Backstay that wrote it.
        record: of the backup.
        profile, site: whose backup it is.
        parts: in the order of the archive, the main file last.
    """

    format: Literal["backstay backup"] = "backstay backup"
    version: Annotated[int, Field(ge=1)] = VERSION
    written: datetime
    by: Annotated[str, Field(max_length=255)] = __version__
    record: DocumentRecord
    profile: DocumentProfile = DocumentProfile()
    site: DocumentSite = DocumentSite()
    parts: Annotated[tuple[DocumentPart, ...], Field(min_length=1, max_length=1_000_000)]


def document_name(archivename: str) -> str:
    """Return the name of the document of an archive."""
    return archivename + SUFFIX


def make_document(backup: Backup, *, profile: DocumentProfile, site: DocumentSite, now: datetime) -> BackupDocument:
    """Return the document of a backup that is proven.

    Args:
        backup: its record, with its proof.
        profile: whose backup it is.
        site: what was backed up.
        now: this moment.
    """
    names = set(DocumentRecord.model_fields) - {"proof"}
    kept = {name: value for name, value in backup.proof.items() if name not in ("parts", "drill", "verifications")}
    return BackupDocument(
        written=now,
        record=DocumentRecord(**{name: getattr(backup, name) for name in names}, proof=kept),
        profile=profile,
        site=site,
        parts=tuple(DocumentPart(**part) for part in backup.proof.get("parts", ())),
    )


def document_bytes(document: BackupDocument) -> bytes:
    """Return a document as it is stored."""
    return (json.dumps(document.model_dump(mode="json"), indent=2) + "\n").encode("ascii")


def read_document(content: bytes, name: str) -> BackupDocument:
    """Return the document that was stored; its bytes come from outside.

    Args:
        content: of the stored file.
        name: how it is called in messages.

    Raises:
        StorageError: it is no such document, or one of a form that this version does not know.
    """
    if len(content) > LARGEST:
        raise StorageError(f"{name} is too large for the document of a backup: {len(content)} bytes.")
    try:
        decoded = json.loads(content)
        # The version counts first: a later form may differ in everything else.
        if isinstance(decoded, dict) and isinstance(decoded.get("version"), int) and decoded["version"] > VERSION:
            raise StorageError(f"{name} was written by a newer version of Backstay: install that version.")
        return BackupDocument.model_validate(decoded)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(piece) for piece in first["loc"])
        raise StorageError(f"{name} is not the document of a backup ({where}: {first['msg']}).") from None
    except (ValueError, RecursionError) as error:
        raise StorageError(f"{name} is not the document of a backup: it holds no JSON object.") from error
