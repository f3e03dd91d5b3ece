"""A folder as a destination: what is particular to disks and mounts."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from backstay.errors import ConnectionFailedError, DiskFullError, NotFoundError, StorageError
from backstay.storage import PutOptions, open_destination
from backstay.storage.folder import PARTIAL, Folder
from support.destinations import send


def test_a_folder_that_is_missing_is_not_made(tmp_path: Path, source: Path) -> None:
    root = tmp_path / "not-mounted"
    with open_destination(f"folder://{root}") as destination:
        for act in (
            lambda: send(destination, "a", source),
            lambda: list(destination.list()),
            lambda: destination.head("a"),
        ):
            with pytest.raises(NotFoundError, match="mount"):
                act()
    assert not root.exists()


def test_a_mount_point_that_is_not_mounted_is_refused(tmp_path: Path, source: Path) -> None:
    with open_destination(f"folder://{tmp_path}?mount={tmp_path}") as destination:
        with pytest.raises(ConnectionFailedError, match="Nothing is mounted"):
            send(destination, "a", source)
        with pytest.raises(ConnectionFailedError, match="Nothing is mounted"):
            list(destination.list())


def test_a_cut_copy_goes_on_where_it_was(tmp_path: Path, source: Path) -> None:
    class CutError(Exception):
        pass

    def cut(done: int) -> None:
        if done > 3_000_000:
            raise CutError

    tokens: list[str] = []
    root = tmp_path / "destination"
    root.mkdir()
    with open_destination(f"folder://{root}") as destination:
        with pytest.raises(CutError):
            destination.put("x/a", source, options=PutOptions(), on_resume=tokens.append, on_progress=cut)
        (partial,) = (root / "x").iterdir()
        assert partial.name.endswith(PARTIAL)
        # As after a power cut: the file has its length and not all of its bytes.
        with partial.open("r+b") as file:
            file.seek(2_000_000)
            file.write(bytes(500_000))
        inode = partial.stat().st_ino
        send(destination, "x/a", source, resume=tokens[0])
        assert (root / "x" / "a").stat().st_ino == inode
        assert (root / "x" / "a").read_bytes() == source.read_bytes()
        assert [path.name for path in (root / "x").iterdir()] == ["a"]


@pytest.mark.parametrize(
    "token", ["nonsense", "{}", '{"partial": "../../x.backstay-partial"}', '{"partial": "a"}', "[1]"]
)
def test_a_token_that_is_not_one_begins_anew(tmp_path: Path, source: Path, token: str) -> None:
    root = tmp_path / "destination"
    root.mkdir()
    (root / "a").write_bytes(b"old")
    with open_destination(f"folder://{root}") as destination:
        destination.abandon("a", token)
        assert (root / "a").read_bytes() == b"old"
        assert send(destination, "a", source, resume=token).size == source.stat().st_size


def test_a_full_disk_is_reported(tmp_path: Path) -> None:
    error = Folder(tmp_path)._error("a", OSError(errno.ENOSPC, "No space left on device"))
    assert isinstance(error, DiskFullError)


def test_a_folder_of_somebody_else_is_reported(tmp_path: Path, source: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    root = tmp_path / "destination"
    root.mkdir(mode=0o500)
    with open_destination(f"folder://{root}") as destination, pytest.raises(StorageError, match="permissions"):
        send(destination, "a", source)


def test_links_and_partial_files_are_not_listed(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"1")
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / f".x{PARTIAL}").write_bytes(b"1")
    (tmp_path / "bad\nname").write_bytes(b"1")
    with open_destination(f"folder://{tmp_path}") as destination:
        assert [file.name for file in destination.list()] == ["real"]
        with pytest.raises(NotFoundError):
            destination.head("link")
