"""Whatever happens to the files of a repository: right content or a named error, and no harm to what is not hit."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from backstay.archives import open_parts
from backstay.errors import BackstayError, DamagedRepositoryError
from backstay.repository import marks
from backstay.repository.archive_bytes import hand_out
from backstay.repository.checking import check
from backstay.repository.entry_formats import Form
from backstay.repository.layout import Snapshot
from backstay.repository.lines import lines
from backstay.repository.opened import Repository, open_repository
from backstay.repository.pruning import prune
from repository.places import all_files, content_of, created, files_of, pack_files, store_in, take

FILES = {"a": b"the first file " * 30, "b": b"the second", "c/d": bytes(range(256)) * 30, "e": b""}
PASSPHRASE = "secret"
Small = tuple[Path, bytes | None, Snapshot]


@pytest.fixture(scope="module", params=[None, PASSPHRASE], ids=["plain", "encrypted"])
def small(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, bytes | None, Snapshot]:
    """Make a small repository; give its folder, its secret, and its snapshot."""
    folder = tmp_path_factory.mktemp("small")
    with created(folder, passphrase=request.param) as repository:
        snapshot = take(repository, FILES)
        return folder, repository.keys.secret, snapshot


def reopened(folder: Path, secret: bytes | None, state: Path) -> Repository:
    """Open a repository with an index that is made anew."""
    shutil.rmtree(state, ignore_errors=True)
    return open_repository(store_in(folder / "place"), state, secret=secret)


def read(folder: Path, secret: bytes | None, snapshot: Snapshot, state: Path) -> tuple[dict[str, bytes], bool]:
    """Read what can be read of a repository: files that are right, and whether there was a named error."""
    found: dict[str, bytes] = {}
    try:
        with reopened(folder, secret, state) as repository:
            failed = False
            for line in lines(repository, repository.snapshot(snapshot.id)):
                try:
                    found[line.line.path] = b"".join(repository.contents(line.chunks))
                except DamagedRepositoryError:
                    failed = True
            return found, failed
    except BackstayError:
        return found, True


@pytest.mark.parametrize("step", [13, pytest.param(1, marks=pytest.mark.slow)])
def test_every_byte_flipped_gives_right_content_or_a_named_error(small: Small, tmp_path: Path, step: int) -> None:
    folder, secret, snapshot = small
    expected, failed = read(folder, secret, snapshot, tmp_path / "state")
    assert not failed
    hit = 0
    for path in all_files(folder):
        whole = path.read_bytes()
        try:
            for number in range(len(path.name) % step, len(whole), step):
                path.write_bytes(whole[:number] + bytes([whole[number] ^ 0x10]) + whole[number + 1 :])
                found, failed = read(folder, secret, snapshot, tmp_path / "state")
                assert all(expected[name] == content for name, content in found.items()), (path.name, number)
                assert failed or found == expected, (path.name, number)
                hit += failed
                if path.parent.name == "packs":
                    # A byte of a pack is in one chunk: of one file, or of a list of files, of which there are two.
                    assert len(found) in {len(expected), len(expected) - 1, 1, 0}, (path.name, number)
        finally:
            path.write_bytes(whole)
    assert hit > 500 / step


@pytest.mark.parametrize("harm", ["cut", "emptied", "missing"])
def test_files_cut_or_missing_give_a_named_error(small: Small, tmp_path: Path, harm: str) -> None:
    folder, secret, snapshot = small
    expected, _ = read(folder, secret, snapshot, tmp_path / "state")
    for path in all_files(folder):
        whole = path.read_bytes()
        try:
            if harm == "missing":
                path.unlink()
            else:
                path.write_bytes(whole[: len(whole) // 2] if harm == "cut" else b"")
            found, failed = read(folder, secret, snapshot, tmp_path / "state")
            assert all(expected[name] == content for name, content in found.items())
            # Of the description there are two.
            assert failed or path.suffix == ".json"
            with reopened(folder, secret, tmp_path / "state") as repository:
                report = check(repository, read_data=1.0)
            lost_whole = harm == "missing" and path.parent.name == "snapshots"
            assert report.ok == lost_whole
        finally:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(whole)
            shutil.rmtree(folder / "place/repositories/site/marks", ignore_errors=True)


def damage(repository: Repository, snapshot: Snapshot, path: str, folder: Path) -> bytes:
    """Spoil the first chunk of a file where it lies; give its identity."""
    chunk = next(line.chunks[0] for line in lines(repository, snapshot) if line.line.path == path)
    place = repository.index.places_of([chunk.identity])[chunk.identity][0]
    pack = folder / "place/repositories/site/packs" / place.pack
    content = bytearray(pack.read_bytes())
    content[place.offset + chunk.deflated // 2] ^= 0x40
    pack.write_bytes(content)
    return chunk.identity


def test_a_check_names_the_backups_and_files_that_a_damaged_chunk_hits(tmp_path: Path) -> None:
    files = files_of(1)
    other = {name: content for name, content in files.items() if name != "folder 1/file-001.txt"}
    with created(tmp_path) as repository:
        hit, also_hit, unharmed = take(repository, files), take(repository, files), take(repository, other)
        damage(repository, hit, "folder 1/file-001.txt", tmp_path)
        assert check(repository).ok
        report = check(repository, read_data=1.0)
        named = {(found.backup, found.path) for found in report.damages if found.backup}
        assert named == {(hit.id, "folder 1/file-001.txt"), (also_hit.id, "folder 1/file-001.txt")}
        # It is known from now on, without reading.
        assert {(found.backup, found.path) for found in check(repository).damages} == named
        assert content_of(repository, unharmed) == other


def test_the_next_backup_that_sees_the_content_stores_it_anew_and_heals_the_others(tmp_path: Path) -> None:
    files = files_of(1)
    with created(tmp_path, passphrase=PASSPHRASE) as repository:
        first = take(repository, files)
        identity = damage(repository, first, "images/large.bin", tmp_path)
        assert not check(repository, read_data=1.0).ok
        second = take(repository, files)
        assert 0 < second.added < first.added / 5
        assert content_of(repository, first) == content_of(repository, second) == files
        assert check(repository).ok
        prune(repository)
        assert check(repository, read_data=1.0).ok
        assert marks.marks(repository.store) == []
        assert identity in {
            row.ref.identity for pack in repository.index.packs() for row in repository.index.rows(pack)
        }


def test_a_pack_with_a_damaged_chunk_that_is_needed_is_kept(tmp_path: Path) -> None:
    files = files_of(1)
    with created(tmp_path) as repository:
        first = take(repository, files)
        damage(repository, first, "images/large.bin", tmp_path)
        check(repository, read_data=1.0)
        before = [path.name for path in pack_files(tmp_path)]
        assert prune(repository).kept == before
        assert [path.name for path in pack_files(tmp_path)] == before


def test_the_rest_of_a_damaged_backup_is_extracted(tmp_path: Path) -> None:
    files = files_of(1)
    with created(tmp_path) as repository:
        snapshot = take(repository, files)
        damage(repository, snapshot, "folder 1/file-001.txt", tmp_path)
        strict = hand_out(repository, snapshot, Form("jpa"), "site")
        with pytest.raises(DamagedRepositoryError, match="chunk"):
            list(strict.stream(0, strict.layout.length))
        with open_parts(hand_out(repository, snapshot, Form("jpa"), "site", damaged=True)) as archive:
            with pytest.raises(BackstayError, match="file-001"):
                archive.extract(tmp_path / "back")
            assert [problem.path for problem in archive.verify().problems] == ["folder 1/file-001.txt"]
    for path, content in files.items():
        assert (tmp_path / "back" / path).exists() == (path != "folder 1/file-001.txt")
        if path != "folder 1/file-001.txt":
            assert (tmp_path / "back" / path).read_bytes() == content


def test_a_damaged_list_of_files_leaves_the_other_lists(tmp_path: Path) -> None:
    files = files_of(1, 300)
    with created(tmp_path) as repository:
        snapshot = take(repository, files)
        spoiled = _list_of(repository, snapshot)
        place = repository.index.places_of([spoiled])[spoiled][0]
        pack = tmp_path / "place/repositories/site/packs" / place.pack
        content = bytearray(pack.read_bytes())
        content[place.offset + 5] ^= 1
        pack.write_bytes(content)
        with pytest.raises(DamagedRepositoryError):
            hand_out(repository, snapshot, Form("jpa"), "site")
        with open_parts(hand_out(repository, snapshot, Form("jpa"), "site", damaged=True)) as archive:
            archive.extract(tmp_path / "back")
        report = check(repository)
    assert [found.backup for found in report.damages] == [snapshot.id]
    back = [path for path in files if (tmp_path / "back" / path).exists()]
    assert len(files) - 260 < len(back) < len(files)
    assert all((tmp_path / "back" / path).read_bytes() == files[path] for path in back)


def _list_of(repository: Repository, snapshot: Snapshot) -> bytes:
    from backstay.repository.lines import segments

    return list(segments(repository, snapshot))[1].identity


def test_a_share_of_the_packs_is_read_and_all_come_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backstay.repository.packs.PACK_SIZE", 20_000)
    with created(tmp_path) as repository:
        snapshot = take(repository, files_of(1))
        damage(repository, snapshot, "images/large.bin", tmp_path)
        assert len(pack_files(tmp_path)) >= 4
        found = [check(repository, read_data=0.25) for _ in range(6)]
        total = sum(path.stat().st_size for path in pack_files(tmp_path))
        assert all(0 < report.read < total for report in found)
        assert not found[-1].ok
