"""The document next to a stored backup: it comes back as it was written, and bad ones are refused in one sentence."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.catalogue import Backup
from backstay.engine.document import DocumentProfile, DocumentSite, document_bytes, make_document, read_document
from backstay.errors import StorageError

NOW = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


def _backup() -> Backup:
    parts = [{"name": "a.j01", "size": 5, "blake3": "0" * 64}, {"name": "a.jpa", "size": 2, "blake3": "f" * 64}]
    return Backup(
        id=7, description="Käse\nx", comment="", backupstart=NOW, backupend=NOW, status="complete", origin="json",
        type="full", profile_id=3, archivename="a.jpa", absolute_path="/x/a.jpa", multipart=2, tag="json",
        backupid="id-1", filesexist=True, remote_filename=None, total_size=7, frozen=False, instep=False,
        proof={"level": "content", "ok": True, "manifest": "m", "entries": 4, "parts": parts},
    )  # fmt: skip


def _stored() -> dict[str, Any]:
    site = DocumentSite(host="example.org", platform="joomla", root="/var/www")
    document = make_document(_backup(), profile=DocumentProfile(id=3, name="Shop"), site=site, now=NOW)
    decoded: dict[str, Any] = json.loads(document_bytes(document))
    assert read_document(document_bytes(document), "x") == document
    return decoded


def test_a_document_holds_the_record_its_parts_and_whose_backup_it_is() -> None:
    stored = _stored()
    assert stored["record"]["description"] == "Käse\nx"
    assert stored["record"]["proof"] == {"level": "content", "ok": True, "manifest": "m", "entries": 4}
    assert [part["name"] for part in stored["parts"]] == ["a.j01", "a.jpa"]
    assert stored["profile"] == {"id": 3, "name": "Shop"}
    assert stored["site"]["host"] == "example.org"


def test_what_a_later_version_adds_is_passed_over_and_a_later_form_is_refused() -> None:
    stored = _stored()
    stored["more"] = stored["record"]["more"] = 1
    assert read_document(json.dumps(stored).encode(), "x").record.tag == "json"
    stored["version"] = 2
    with pytest.raises(StorageError, match="newer version"):
        read_document(json.dumps(stored).encode(), "x")


@pytest.mark.parametrize("name", ["../a.jpa", "a/b", "", "..", "a\0b"])
def test_a_part_whose_name_leads_elsewhere_is_refused(name: str) -> None:
    stored = _stored()
    stored["parts"][0]["name"] = name
    with pytest.raises(StorageError, match="not the document of a backup"):
        read_document(json.dumps(stored).encode(), "x")


@given(st.binary(max_size=200) | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(str).map(str.encode))
def test_other_bytes_are_refused_in_one_sentence(content: bytes) -> None:
    with pytest.raises(StorageError, match="not the document of a backup"):
        read_document(content, "x")
