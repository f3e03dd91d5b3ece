"""Bytes that nobody of us has written are refused by name, whatever they are."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.archives import EntryType, ManifestLine, open_parts
from backstay.errors import BackstayError
from backstay.repository import keys, layout, lines
from backstay.repository.archive_bytes import hand_out
from backstay.repository.entry_formats import Form
from backstay.repository.layout import ChunkRef, Row, Snapshot
from backstay.repository.writing import SnapshotWriter
from repository.places import TIME, created

REF = ChunkRef(bytes(range(32)), 10, 12, b"formform")
LINE = lines.pack(lines.file_line(ManifestLine("a/b", EntryType.FILE, 10, 0o100644, TIME, "0" * 64), 5, (REF,)))
SNAPSHOT = Snapshot("0" * 16, datetime(2026, 1, 2, tzinfo=UTC), {"description": "d"}, 1, 2, 3, 4, [REF])
DESCRIPTION = keys.Description("ab" * 16, datetime(2026, 1, 2, tzinfo=UTC), 4096)


def spoiled(data: bytes) -> st.SearchStrategy[bytes]:
    """Give bytes that look like some others."""
    return st.one_of(
        st.binary(max_size=300),
        st.tuples(st.integers(0, len(data)), st.binary(max_size=8)).map(
            lambda change: data[: change[0]] + change[1] + data[change[0] + len(change[1]) :]
        ),
        st.integers(0, len(data)).map(lambda end: data[:end]),
    )


@pytest.mark.parametrize(
    ("data", "parse"),
    [
        (LINE, lines.parse),
        (layout.snapshot_body(SNAPSHOT), lambda data: layout.parse_snapshot_body("0" * 16, data)),
        (layout.pack_snapshot("0" * 16, b"body"), lambda data: layout.unpack_snapshot("0" * 16, data)),
        (keys.pack_description(DESCRIPTION), keys.parse_description),
        (layout.pack_refs([REF]), layout.parse_refs),
        (layout.pack_rows([Row(REF, 24, 0)]), lambda data: layout.parse_rows(data, 1)),
        (layout.pack_trailers(b"table", 1), layout.parse_trailers),
    ],
    ids=["line", "body", "snapshot", "description", "references", "rows", "trailers"],
)
def test_bytes_that_make_no_sense_are_an_error_with_a_name(data: bytes, parse: Callable[[bytes], Any]) -> None:
    @given(spoiled(data))
    def parsed(given_data: bytes) -> None:
        with contextlib.suppress(BackstayError):
            parse(given_data)

    parse(data)
    parsed()


@pytest.mark.parametrize(
    "field",
    [{"time": 10**9}, {"memory": 1 << 30}, {"lanes": 0}, {"salt": "no digits"}, {"proof": 5}, {"wrapped": None}],
    ids=str,
)
def test_a_description_that_asks_for_the_impossible_is_refused(field: dict[str, Any]) -> None:
    description, _ = keys.describe("secret")
    fields = json.loads(keys.pack_description(description))
    del fields["check"]
    fields["key"].update(field)
    fields["check"] = keys._check(fields)
    with pytest.raises(BackstayError):
        keys.unlock(keys.parse_description(json.dumps(fields).encode()), passphrase="secret")


@pytest.mark.parametrize("path", ["../outside", "/absolute", "a/../../outside", ""])
def test_a_path_that_leads_out_is_not_written(tmp_path: Path, path: str) -> None:
    with created(tmp_path) as repository:
        writer = SnapshotWriter(repository)
        writer.add_file(ManifestLine(path, EntryType.FILE, 0, 0o100644, TIME), iter((b"content",)))
        snapshot = writer.finish({})
        archive = open_parts(hand_out(repository, snapshot, Form("jpa"), "site"))
        with archive, pytest.raises(BackstayError):
            archive.extract(tmp_path / "deep/target")
    assert not (tmp_path / "deep/outside").exists()
    assert not list(tmp_path.rglob("outside"))
