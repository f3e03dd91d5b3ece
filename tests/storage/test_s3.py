"""What is particular to S3: pieces that survive, signatures, locks, and errors in one sentence."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backstay.errors import AuthenticationError, BackstayError, NotFoundError, StorageError
from backstay.storage import PutOptions, open_destination
from backstay.storage.s3 import S3
from backstay.storage.s3_client import parse_xml
from backstay.storage.s3_signature import Credentials, encode_path, encode_query, signed_headers
from backstay.storage.s3_upload import PIECE
from support.destinations import Place, send
from support.s3 import SECRETS, S3Server


class CutError(Exception):
    """The process was killed here."""


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file of four pieces, the last one short."""
    path = tmp_path / "large.jpa"
    with path.open("wb") as file:
        for number in range(3):
            file.write(bytes([number + 1]) * PIECE)
        file.write(b"the end")
    return path


def open_uploads(place: Place) -> list[str]:
    with place.open() as destination:
        assert isinstance(destination, S3)
        root = parse_xml(destination._client.call("GET", "", {"uploads": ""})[1])
    return [element.findtext("UploadId", "") for element in root.iter("Upload")]


def cut_after(pieces: int, large: Path, place: Place) -> str:
    """Send a file and stop after some pieces; return the token."""

    def cut(done: int) -> None:
        if done >= pieces * PIECE:
            raise CutError

    tokens: list[str] = []
    with place.open() as destination, pytest.raises(CutError):
        destination.put("a", large, options=PutOptions(concurrency=1), on_resume=tokens.append, on_progress=cut)
    return tokens[0]


def test_a_large_file_is_proven_by_the_checksum_of_its_pieces(s3_server: S3Server, large: Path) -> None:
    place = s3_server.place()
    with place.open() as destination:
        stored = send(destination, "a", large)
        assert stored.proven == "sha256-composite"
        assert b"".join(destination.stream("a")) == large.read_bytes()
        assert destination.head("a").checksums == stored.checksums
    assert open_uploads(place) == []


def test_a_small_file_is_proven_by_its_checksum(s3_server: S3Server, source: Path) -> None:
    with s3_server.place().open() as destination:
        assert send(destination, "a", source).proven == "sha256"


def test_pieces_that_have_arrived_are_not_sent_twice(s3_server: S3Server, large: Path) -> None:
    place = s3_server.place()
    token = cut_after(2, large, place)
    assert open_uploads(place) == [json.loads(token)["upload"]]
    progress: list[int] = []
    with place.open() as destination:
        destination.put(
            "a", large, options=PutOptions(), resume=token, on_resume=lambda _token: None, on_progress=progress.append
        )
        assert progress[0] >= 2 * PIECE
        assert b"".join(destination.stream("a")) == large.read_bytes()
    assert open_uploads(place) == []


def test_pieces_of_a_file_that_has_changed_are_sent_again(s3_server: S3Server, large: Path) -> None:
    place = s3_server.place()
    token = cut_after(2, large, place)
    with large.open("r+b") as file:
        file.write(b"changed")
    with place.open() as destination:
        send(destination, "a", large, resume=token)
        assert b"".join(destination.stream("a")) == large.read_bytes()


def test_an_upload_that_was_complete_before_the_process_died_is_not_sent_again(
    s3_server: S3Server, large: Path
) -> None:
    place = s3_server.place()
    tokens: list[str] = []
    with place.open() as destination:
        destination.put("a", large, options=PutOptions(), on_resume=tokens.append, on_progress=lambda _done: None)
        again: list[str] = []
        stored = destination.put(
            "a", large, options=PutOptions(), resume=tokens[0], on_resume=again.append, on_progress=lambda _done: None
        )
        assert (again, stored.proven) == ([], "sha256-composite")


def test_an_upload_whose_token_was_lost_leaves_nothing(s3_server: S3Server, large: Path) -> None:
    place = s3_server.place()
    cut_after(1, large, place)
    with place.open() as destination:
        send(destination, "a", large)
    assert open_uploads(place) == []
    cut_after(1, large, place)
    with place.open() as destination:
        destination.abandon("a", "")
    assert open_uploads(place) == []


def test_a_locked_file_cannot_be_deleted_before_its_time(s3_server: S3Server, source: Path, large: Path) -> None:
    until = datetime.now(UTC) + timedelta(days=1)
    with s3_server.place(lock=True).open() as destination:
        for path in (source, large):
            send(destination, path.name, path, options=PutOptions(lock_until=until))
            with pytest.raises(StorageError, match="locked until"):
                destination.delete(path.name)
            assert destination.head(path.name).size == path.stat().st_size


@pytest.mark.parametrize(
    ("secrets", "kind", "words"),
    [
        ({**SECRETS, "access_key_id": "nobody"}, AuthenticationError, "access key id"),
        ({**SECRETS, "secret_access_key": "wrong-geheim"}, AuthenticationError, "secret access key is wrong"),
    ],
)
def test_wrong_credentials_are_one_sentence(
    s3_server: S3Server, source: Path, secrets: dict[str, str], kind: type[BackstayError], words: str
) -> None:
    with open_destination(s3_server.place().url, secrets) as destination, pytest.raises(kind, match=words) as caught:
        send(destination, "a", source)
    assert "geheim" not in str(caught.value)


def test_a_bucket_that_is_missing_is_one_sentence(s3_server: S3Server, source: Path, large: Path) -> None:
    place = Place(f"s3://no-such-bucket/x?endpoint={s3_server.endpoint}", SECRETS)
    with place.open() as destination:
        for act in (lambda: send(destination, "a", large), lambda: list(destination.list())):
            with pytest.raises(NotFoundError, match=r"The bucket of s3://no-such-bucket does not exist"):
                act()


def test_signatures_are_those_of_botocore() -> None:
    auth = pytest.importorskip("botocore.auth")
    request_of = pytest.importorskip("botocore.awsrequest").AWSRequest
    credentials_of = pytest.importorskip("botocore.credentials").Credentials
    query = {"uploadId": "a+b/=", "partNumber": "7", "uploads": ""}
    path = "/bucket/pre fix/ü+&~.jpa"
    url = f"https://host.example:9000{encode_path(path)}?{encode_query(query)}"
    request = request_of("PUT", url, headers={"x-amz-checksum-sha256": "abc="}, data=b"content")
    auth.S3SigV4Auth(credentials_of("id", "key", "token"), "s3", "eu-central-1").add_auth(request)
    ours = signed_headers(
        Credentials("id", "key", "token"),
        "eu-central-1",
        method="PUT",
        host="host.example:9000",
        path=encode_path(path),
        query=encode_query(query),
        headers={"x-amz-checksum-sha256": "abc="},
        payload_sha256=request.headers["X-Amz-Content-SHA256"],
        now=datetime.strptime(request.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC),
    )
    assert ours["authorization"] == request.headers["Authorization"]


@pytest.mark.parametrize(
    "answer", [b"", b"<html>", b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', b"\xff\xfe", b"<a><b></a>"]
)
def test_an_answer_that_is_not_s3_is_one_sentence(answer: bytes) -> None:
    with pytest.raises(StorageError, match="not S3"):
        parse_xml(answer)
