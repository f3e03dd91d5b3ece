"""What every destination does alike."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from backstay.errors import NotFoundError, StorageError
from backstay.storage import Destination, PutOptions
from support.destinations import Place, send


def names(destination: Destination, prefix: str = "") -> list[str]:
    return sorted(file.name for file in destination.list(prefix))


def test_a_file_is_sent_and_read_back(place: Place, source: Path) -> None:
    content = source.read_bytes()
    progress: list[int] = []
    with place.open() as destination:
        stored = destination.put(
            "site/a.jpa",
            source,
            options=PutOptions(),
            on_resume=lambda _token: None,
            on_progress=progress.append,
        )
        assert stored.name == "site/a.jpa"
        assert stored.size == len(content)
        assert progress[-1] == len(content)
        assert progress == sorted(progress)
        assert b"".join(destination.stream("site/a.jpa")) == content
        assert b"".join(destination.stream("site/a.jpa", 4_000_000)) == content[4_000_000:]
        assert destination.read("site/a.jpa", 1_234_567, 1000) == content[1_234_567:1_235_567]
        assert destination.read("site/a.jpa", len(content) - 5, 100) == content[-5:]
        assert destination.read("site/a.jpa", len(content) + 5, 100) == b""
        assert destination.read("site/a.jpa", 10, 0) == b""
        head = destination.head("site/a.jpa")
        assert (head.size, dict(head.checksums)) == (stored.size, dict(stored.checksums))
        assert not stored.proven or stored.proven in stored.checksums


@pytest.mark.parametrize("content", [b"", b"x"])
def test_the_smallest_files_are_sent_too(place: Place, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "small"
    path.write_bytes(content)
    with place.open() as destination:
        assert send(destination, "small", path).size == len(content)
        assert b"".join(destination.stream("small")) == content


def test_files_are_listed_by_prefix(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "small"
    path.write_bytes(b"12345")
    with place.open() as destination:
        assert names(destination) == []
        for name in ("a/one.jpa", "a/one.j01", "a/two.jpa", "b/one.jpa", "top ü&+%25 .json"):
            send(destination, name, path)
        assert names(destination) == sorted(["a/one.j01", "a/one.jpa", "a/two.jpa", "b/one.jpa", "top ü&+%25 .json"])
        assert names(destination, "a/") == ["a/one.j01", "a/one.jpa", "a/two.jpa"]
        assert names(destination, "a/one") == ["a/one.j01", "a/one.jpa"]
        assert names(destination, "nothing/here") == []
        assert {file.size for file in destination.list()} == {5}


def test_a_deleted_file_is_gone_and_can_be_deleted_again(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "small"
    path.write_bytes(b"12345")
    with place.open() as destination:
        send(destination, "folder/a", path)
        send(destination, "folder/b", path)
        destination.delete("folder/a")
        destination.delete("folder/a")
        assert names(destination) == ["folder/b"]
        with pytest.raises(NotFoundError, match="folder/a"):
            destination.head("folder/a")
        with pytest.raises(NotFoundError, match="folder/a"):
            destination.read("folder/a", 0, 5)
        with pytest.raises(NotFoundError, match="folder/a"):
            list(destination.stream("folder/a"))


def test_a_file_replaces_what_had_its_name(place: Place, source: Path, tmp_path: Path) -> None:
    path = tmp_path / "small"
    path.write_bytes(b"12345")
    with place.open() as destination:
        send(destination, "a", source)
        send(destination, "a", path)
        assert b"".join(destination.stream("a")) == b"12345"
        assert names(destination) == ["a"]


def test_many_threads_use_one_destination(place: Place, tmp_path: Path) -> None:
    problems: list[Exception] = []

    def work(number: int) -> None:
        try:
            path = tmp_path / f"source{number}"
            path.write_bytes(bytes([number]) * 300_000)
            send(destination, f"t/{number}", path)
            assert destination.read(f"t/{number}", 1000, 10) == bytes([number]) * 10
        except Exception as error:  # noqa: BLE001  shown by the assertion below
            problems.append(error)

    with place.open() as destination:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert problems == []
        assert names(destination) == ["t/0", "t/1", "t/2", "t/3"]


@pytest.mark.parametrize("name", ["", "../a", "/a", "a/../b", "a//b", "a\nb", "a\\b", "x" * 1000])
def test_names_that_leave_the_destination_are_refused(place: Place, source: Path, name: str) -> None:
    with place.open() as destination:
        for act in (
            lambda: send(destination, name, source),
            lambda: destination.read(name, 0, 1),
            lambda: destination.delete(name),
            lambda: destination.head(name),
        ):
            with pytest.raises(StorageError):
                act()


def test_what_a_cut_upload_left_can_be_removed(place: Place, tmp_path: Path) -> None:
    source = tmp_path / "large"
    source.write_bytes(b"0123456789abcdef" * 1_300_000)

    class CutError(Exception):
        pass

    def cut(_done: int) -> None:
        raise CutError

    tokens: list[str] = []
    with place.open() as destination:
        with pytest.raises(CutError):
            destination.put("a", source, options=PutOptions(), on_resume=tokens.append, on_progress=cut)
        assert names(destination) == []
        destination.abandon("a", tokens[0])
        destination.abandon("a", tokens[0])
        destination.abandon("a", "")
        assert names(destination) == []
        assert send(destination, "a", source, resume=tokens[0]).size == source.stat().st_size
        assert b"".join(destination.stream("a")) == source.read_bytes()


def test_a_bandwidth_limit_is_kept(place: Place, tmp_path: Path) -> None:
    import time

    path = tmp_path / "source"
    path.write_bytes(bytes(3_000_000))
    with place.open() as destination:
        started = time.monotonic()
        send(destination, "a", path, options=PutOptions(bandwidth=2_000_000))
        assert 0.5 < time.monotonic() - started < 5
