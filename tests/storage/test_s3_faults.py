"""S3 where network or service fail: what is sent and read is whole, or the error says what to do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, tzinfo
from pathlib import Path

import httpx2
import pytest

from backstay.errors import AuthenticationError, ConnectionFailedError, NotFoundError, VerificationError
from backstay.storage import s3_client
from backstay.storage.s3_upload import PIECE
from support.destinations import Place, send
from support.faulty_front import Fault, FaultyFront, faulty_front
from support.s3 import S3Server


@pytest.fixture
def front(s3_server: S3Server) -> Iterator[FaultyFront]:
    with faulty_front(s3_server.endpoint) as running:
        yield running


@pytest.fixture
def place(s3_server: S3Server, front: FaultyFront) -> Place:
    """An empty place by way of the front."""
    return s3_server.place(endpoint=front.url)


@pytest.fixture
def two_pieces(tmp_path: Path) -> Path:
    path = tmp_path / "two.jpa"
    path.write_bytes(b"1" * PIECE + b"the end")
    return path


@pytest.mark.parametrize(
    ("fault", "method", "part"),
    [
        (Fault("refuse", 500), "PUT", "partNumber"),
        (Fault("refuse", 503, {"retry-after": "1"}), "POST", "uploads"),
        (Fault("refuse", 429), "HEAD", ""),
        (Fault("cut request"), "PUT", "partNumber=1"),
        (Fault("cut answer"), "PUT", "partNumber=1"),
        (Fault("cut answer"), "POST", "uploads"),
        (Fault("cut answer"), "POST", "uploadId"),
        (Fault("damage request"), "PUT", "partNumber=1"),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else str(value),
)
def test_a_file_arrives_whole_although_a_request_fails(
    s3_server: S3Server, front: FaultyFront, place: Place, two_pieces: Path, fault: Fault, method: str, part: str
) -> None:
    front.spoil(fault, method, part)
    with place.open() as destination:
        assert send(destination, "a", two_pieces).proven == "sha256-composite"
        assert b"".join(destination.stream("a")) == two_pieces.read_bytes()
    assert s3_server.unfinished_uploads(place) == []


def test_a_service_that_names_a_time_to_wait_is_left_alone_so_long(
    front: FaultyFront, place: Place, source: Path
) -> None:
    front.spoil(Fault("refuse", 503, {"retry-after": "2"}), "PUT")
    begun = time.monotonic()
    with place.open() as destination:
        send(destination, "a", source)
    assert time.monotonic() - begun >= 2


def test_a_service_that_fails_again_and_again_may_be_tried_later(
    front: FaultyFront, place: Place, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_client, "_PATIENCE", 1.0)
    for fault in (Fault("refuse", 503), Fault("refuse", 503, {"retry-after": "3600"}), Fault("cut request")):
        front.spoil(fault, "PUT", times=1000)
        with place.open() as destination, pytest.raises(ConnectionFailedError, match=r"try again later|check the"):
            send(destination, "a", source)


def test_an_answer_that_does_not_come_is_asked_for_again(
    front: FaultyFront, place: Place, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_client, "_TIMEOUT", httpx2.Timeout(10.0, read=1.0))
    front.spoil(Fault("delay", seconds=3), "PUT")
    with place.open() as destination:
        assert send(destination, "a", source).proven == "sha256"
    assert [method for method, _path in front.seen].count("PUT") > 1


def test_reading_goes_on_where_the_connection_was_cut(front: FaultyFront, place: Place, source: Path) -> None:
    with place.open() as destination:
        send(destination, "a", source)
        front.spoil(Fault("cut answer"), "GET", times=2)
        assert b"".join(destination.stream("a")) == source.read_bytes()
        front.spoil(Fault("cut answer"), "GET", times=2)
        assert destination.read("a", 0, 1_000_000) == source.read_bytes()[:1_000_000]


@pytest.mark.parametrize("size", [1000, PIECE + 7])
def test_bytes_that_change_on_each_way_up_are_refused_by_the_service(
    s3_server: S3Server,
    front: FaultyFront,
    place: Place,
    tmp_path: Path,
    size: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(s3_client, "_PATIENCE", 1.0)
    path = tmp_path / "some.jpa"
    path.write_bytes(bytes(size))
    front.spoil(Fault("damage request"), "PUT", times=1000)
    with place.open() as destination:
        with pytest.raises(VerificationError, match="other bytes than were sent"):
            send(destination, "a", path)
        with pytest.raises(NotFoundError):
            destination.head("a")
        destination.abandon("a", "")
    assert s3_server.unfinished_uploads(place) == []


def test_a_file_whose_checksum_is_another_is_removed(front: FaultyFront, place: Place, source: Path) -> None:
    other = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="  # of nothing
    front.spoil(Fault("headers", headers={"x-amz-checksum-sha256": other}), "HEAD")
    with place.open() as destination:
        with pytest.raises(VerificationError, match="send it again"):
            send(destination, "a", source)
        with pytest.raises(NotFoundError):
            destination.head("a")


def test_a_clock_that_is_too_far_off_is_one_sentence(
    place: Place, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Late(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Late:
            return cls.fromtimestamp(time.time() - 20 * 60, tz)

    monkeypatch.setattr(s3_client, "datetime", Late)
    with place.open() as destination, pytest.raises(AuthenticationError, match="set the clock"):
        send(destination, "a", source)
