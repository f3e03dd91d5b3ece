"""The format is what its page says: a reader that was written from it alone reads what is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from backstay.repository import opened
from backstay.repository.pruning import prune
from repository.places import created, files_of, take
from repository.strict_reader import StrictReader


@pytest.mark.parametrize("passphrase", [None, "a päss phrase"])
def test_a_reader_written_from_the_page_reads_a_repository(
    tmp_path: Path, passphrase: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backstay.repository.packs.PACK_SIZE", 50_000)
    expected = {}
    with created(tmp_path, passphrase=passphrase) as repository:
        for seed in (1, 2, 3):
            snapshot = take(repository, files_of(seed, 300), {"number": seed})
            expected[snapshot.id] = seed
        repository.remove_snapshot(next(iter(expected)))
        prune(repository)
    folder = tmp_path / "place/repositories/site"
    found = {fields["record"]["number"]: files for fields, files in StrictReader(folder, passphrase).snapshots()}
    assert set(found) == {2, 3}
    for seed, files in found.items():
        assert {line["path"]: content for line, content in files if line["type"] == "file"} == files_of(seed, 300)
    names = {path.relative_to(folder).parts[0] for path in folder.rglob("*") if path.is_file()}
    assert names == {opened.DESCRIPTION, opened.COPY, "packs", "snapshots"}
