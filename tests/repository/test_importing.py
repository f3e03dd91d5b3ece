"""Archives of every kind go into a repository and come out of it again, JPS among them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from archives.trees import REFERENCE, REFERENCE_PASSWORD, scan
from backstay.archives import Source, create_archive, open_archive, pack
from backstay.archives.entries import EntryType
from backstay.errors import BackstayError, DamagedArchiveError, EntryRefusedError
from backstay.repository.archive_bytes import hand_out
from backstay.repository.checking import check
from backstay.repository.entry_formats import Form
from backstay.repository.exporting import write_archive, write_jps
from backstay.repository.importing import import_archive
from backstay.repository.lines import lines
from backstay.repository.opened import Repository
from repository.places import created, files_of

PASSWORD = "of the archive"
VENDORS = sorted(path for path in REFERENCE.iterdir() if path.suffix in {".jpa", ".jps", ".zip"})


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Make a folder with files, links, folders, modes and extended attributes."""
    root = tmp_path / "site"
    for path, content in files_of(1, large=3_000_000).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    (root / "locked").mkdir(mode=0o700)
    (root / "locked/private.php").write_text("<?php")
    (root / "locked/private.php").chmod(0o600)
    (root / "link").symlink_to("empty")
    os.utime(root / "empty", ns=(1_700_000_000_123_456_789, 1_700_000_000_123_456_789))
    return root


def archived(site: Path, folder: Path, name: str, part_size: int = 0) -> Path:
    """Archive the site with the ordinary writer."""
    folder.mkdir(exist_ok=True)
    password = PASSWORD if name == "jps" else None
    writer = create_archive(
        folder / f"site.{name}", format=name, work_directory=folder / "work", part_size=part_size, password=password
    )
    for _ in pack(writer, scan(site), workers=1):
        pass
    return writer.close().parts[-1]


def everything(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Give mode, time and content of all that lies in a folder but the archive's own files."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if name.startswith("installation"):
            continue
        status = path.lstat()
        content = bytes(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        found[name] = (status.st_mode, 0 if path.is_symlink() else status.st_mtime_ns, content)
    return found


def put_in(repository: Repository, main: Path, password: str | None = None) -> Path:
    """Import an archive; export it as each of the formats; give the folder where they are."""
    with open_archive(main, password=password) as archive:
        snapshot = import_archive(repository, archive, {"archive": main.name})
    out = main.parent / "out"
    for name in ("jpa", "zip"):
        write_archive(hand_out(repository, snapshot, Form(name), "site"), out / name)
    write_jps(repository, snapshot, out / "jps/site.jps", PASSWORD)
    return out


@pytest.mark.parametrize(("name", "part_size"), [("jpa", 0), ("jpa", 100_000), ("zip", 0), ("zip", 65_536), ("jps", 0)])
def test_an_archive_of_ours_comes_out_equal_as_every_format(
    site: Path, tmp_path: Path, name: str, part_size: int
) -> None:
    main = archived(site, tmp_path / "in", name, part_size)
    with created(tmp_path, passphrase="secret") as repository:
        out = put_in(repository, main, PASSWORD if name == "jps" else None)
    with open_archive(main, password=PASSWORD if name == "jps" else None) as archive:
        archive.extract(tmp_path / "expected")
    expected = everything(tmp_path / "expected")
    assert {path: values[2] for path, values in expected.items()} == {
        path: values[2] for path, values in everything(site).items()
    }
    for given in ("jpa", "zip", "jps"):
        with open_archive(out / given / f"site.{given}", password=PASSWORD if given == "jps" else None) as archive:
            report = archive.verify()
            assert (report.problems, report.used_manifest) == ([], True)
            archive.extract(tmp_path / "back" / given)
        assert everything(tmp_path / "back" / given) == expected


@pytest.mark.parametrize(
    "main",
    sorted(path for path in REFERENCE.iterdir() if path.suffix in {".jpa", ".jps", ".zip"}),
    ids=lambda path: path.name,
)
def test_an_archive_of_the_vendor_comes_out_equal(main: Path, tmp_path: Path) -> None:
    password = REFERENCE_PASSWORD if main.suffix == ".jps" else None
    for part in REFERENCE.glob(f"{main.stem}.*"):
        (tmp_path / part.name).write_bytes(part.read_bytes())
    with created(tmp_path) as repository:
        out = put_in(repository, tmp_path / main.name, password)
        assert check(repository, read_data=1.0).ok
    with open_archive(main, password=password) as archive:
        archive.extract(tmp_path / "expected")
    for given in ("jpa", "zip", "jps"):
        with open_archive(out / given / f"site.{given}", password=PASSWORD if given == "jps" else None) as archive:
            assert archive.verify().problems == []
            archive.extract(tmp_path / "back" / given)
        back, expected = everything(tmp_path / "back" / given), everything(tmp_path / "expected")
        assert {path: values[2] for path, values in back.items()} == {
            path: values[2] for path, values in expected.items()
        }


def test_the_second_archive_of_a_site_costs_what_changed(site: Path, tmp_path: Path) -> None:
    first = archived(site, tmp_path / "one", "jpa")
    (site / "empty").write_text("not any more")
    second = archived(site, tmp_path / "two", "zip")
    with created(tmp_path) as repository, open_archive(first) as one, open_archive(second) as two:
        before = import_archive(repository, one, {})
        after = import_archive(repository, two, {})
        assert after.added < before.added / 100
        assert after.record == {}


def test_what_the_manifest_knows_is_kept(site: Path, tmp_path: Path) -> None:
    with created(tmp_path) as repository, open_archive(archived(site, tmp_path / "in", "jpa")) as archive:
        expected = {line.path: line for line in archive.manifest()}
        snapshot = import_archive(repository, archive, {})
        assert {line.line.path: line.line for line in lines(repository, snapshot)} == expected


@pytest.mark.parametrize("name", ["jpa", "zip"])
def test_a_damaged_archive_is_not_imported_at_all(site: Path, tmp_path: Path, name: str) -> None:
    main = archived(site, tmp_path / "in", name)
    content = bytearray(main.read_bytes())
    content[len(content) // 2] ^= 0x55
    main.write_bytes(content)
    with created(tmp_path) as repository, open_archive(main) as archive:
        with pytest.raises(DamagedArchiveError, match="large"):
            import_archive(repository, archive, {})
        assert repository.snapshot_ids() == []
        assert list(repository.work.iterdir()) == []


def test_nothing_is_written_over_an_archive_and_nothing_is_left_of_a_failed_one(site: Path, tmp_path: Path) -> None:
    with created(tmp_path) as repository, open_archive(archived(site, tmp_path / "in", "jpa")) as archive:
        snapshot = import_archive(repository, archive, {})
        out = tmp_path / "out"
        for _ in range(2):
            pack_file = next(iter((tmp_path / "place/repositories/site/packs").iterdir()))
            whole = pack_file.read_bytes()
            pack_file.write_bytes(bytes(len(whole)))
            with pytest.raises(BackstayError, match="damaged"):
                write_archive(hand_out(repository, snapshot, Form("jpa", 65_536), "site"), out)
            with pytest.raises(BackstayError, match="damaged"):
                write_jps(repository, snapshot, out / "site.jps", PASSWORD)
            assert not out.exists() or list(out.iterdir()) == []
            pack_file.write_bytes(whole)
        write_archive(hand_out(repository, snapshot, Form("jpa"), "site"), out)
        with pytest.raises(BackstayError, match="already"):
            write_archive(hand_out(repository, snapshot, Form("jpa"), "site"), out)


def test_what_jps_cannot_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backstay.archives.jps.writing.JpsWriter.largest", 10)
    folder = tmp_path / "in"
    folder.mkdir()
    writer = create_archive(folder / "site.jpa", format="jpa", work_directory=folder / "work")
    for _ in pack(writer, [Source("a", EntryType.FILE, 0o100644, 1, 20, data=b"x" * 20)], workers=1):
        pass
    main = writer.close().parts[-1]
    with created(tmp_path) as repository, open_archive(main) as archive:
        snapshot = import_archive(repository, archive, {})
        with pytest.raises(EntryRefusedError, match="JPS"):
            write_jps(repository, snapshot, tmp_path / "out/site.jps", PASSWORD)
        assert list((tmp_path / "out").iterdir()) == []
