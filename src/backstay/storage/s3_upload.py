"""Sending one file to S3, in pieces that survive a killed process: what has arrived is not sent twice.

A multipart upload is begun, its id given to the caller before the first byte, and the service asked on the way back
which pieces it has. Source: Amazon S3 API Reference, CreateMultipartUpload and its neighbours.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TypedDict, TypeVar

from backstay.errors import StorageError, VerificationError
from backstay.storage.model import OnProgress, OnResume, PutOptions, StoredFile
from backstay.storage.s3_client import S3Client, S3Error, parse_xml
from backstay.storage.throttle import Throttle

T = TypeVar("T")
PIECE = 8 << 20
_MOST_PIECES = 9_000
_READ = 256 << 10
_MOST_LISTED = 1_000
_NO_CHECKSUMS = {"NotImplemented", "InvalidArgument", "InvalidRequest", "BadRequest"}


@dataclass(frozen=True, slots=True)
class _Piece:
    number: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class _Sent:
    tag: str
    sha256: bytes


class _Body(TypedDict):
    body: Callable[[], Iterator[bytes]]
    size: int
    sha256: str


class Upload:
    """One file on its way.

    Attributes:
        size: of the file, in bytes.
    """

    def __init__(
        self,
        client: S3Client,
        key: str,
        source: Path,
        headers: Mapping[str, str],
        options: PutOptions,
        on_resume: OnResume,
        on_progress: OnProgress,
    ) -> None:
        self._client = client
        self._key = key
        self._source = source
        self._headers = headers
        self._options = options
        self._throttle = Throttle(options.bandwidth)
        self._on_resume = on_resume
        self._on_progress = on_progress
        self._checksums = True
        self._stopped = Event()
        try:
            self.size = source.stat().st_size
        except OSError as error:
            raise StorageError(f"{source} can't be read ({error.strerror}): check that it is there.") from error

    def run(self, resume: str, there: StoredFile | None) -> Callable[[str], str]:
        """Send the file, or what is missing of it.

        Args:
            resume: a token of an earlier attempt, or empty.
            there: what has the name now.

        Returns:
            What gives the checksum, by an algorithm, that the service must have computed; empty for unknown ones.

        Raises:
            S3Error: the service refuses.
            StorageError: the file cannot be read.
        """
        upload, piece_size = self._known(resume)
        if not upload and self.size <= PIECE:
            return self._send_whole()
        pieces = self._cut(piece_size)
        sent: dict[int, _Sent] = {}
        if upload:
            found = self._arrived(upload, pieces)
            if found is None:
                upload = ""
                expected = _Expected(self._source, pieces, {})
                if there is not None and there.size == self.size and _same(there, expected):
                    self._on_progress(self.size)
                    return expected
            else:
                sent = found
        if not upload:
            abort_uploads(self._client, self._key)
            upload = self._begin()
            # Where the answer to a first attempt was lost, there are two.
            abort_uploads(self._client, self._key, keep=upload)
        self._on_resume(json.dumps({"upload": upload, "piece": piece_size, "size": self.size}))
        self._send_missing(upload, pieces, sent)
        self._complete(upload, sent)
        return _Expected(self._source, pieces, {number: one.sha256 for number, one in sent.items()})

    def _known(self, resume: str) -> tuple[str, int]:
        piece_size = max(PIECE, math.ceil(self.size / _MOST_PIECES / PIECE) * PIECE)
        try:
            token = json.loads(resume) if resume else {}
            upload, piece, size = token["upload"], token["piece"], token["size"]
        except (ValueError, KeyError, TypeError):
            return "", piece_size
        fits = isinstance(upload, str) and upload and size == self.size and piece == piece_size
        return (upload, piece) if fits else ("", piece_size)

    def _cut(self, piece_size: int) -> list[_Piece]:
        starts = range(0, max(self.size, 1), piece_size)
        return [_Piece(number, at, min(piece_size, self.size - at)) for number, at in enumerate(starts, 1)]

    def _send_whole(self) -> Callable[[str], str]:
        whole = _Piece(1, 0, self.size)
        digest = _sha256(self._source, whole)
        self._with_or_without_checksums(
            lambda: self._client.call(
                "PUT", self._key, None, {**self._headers, **self._checksum(digest)}, **self._body(whole, digest)
            )
        )
        self._on_progress(self.size)
        return _Expected(self._source, [whole], {1: digest})

    def _begin(self) -> str:
        def create() -> bytes:
            headers = {**self._headers, **({"x-amz-checksum-algorithm": "SHA256"} if self._checksums else {})}
            return self._client.call("POST", self._key, {"uploads": ""}, headers)[1]

        upload = parse_xml(self._with_or_without_checksums(create)).findtext("UploadId", "")
        if not upload:
            raise StorageError(f"{self._client.bucket.label} gives no id for an upload: check the endpoint.")
        return upload

    def _with_or_without_checksums(self, act: Callable[[], T]) -> T:
        """Leave the checksums out where a service does not know them: the signature covers each body all the same."""
        try:
            return act()
        except S3Error as error:
            if not self._checksums or error.code not in _NO_CHECKSUMS:
                raise
            self._checksums = False
            return act()

    def _arrived(self, upload: str, pieces: list[_Piece]) -> dict[int, _Sent] | None:
        """Return the pieces that the service has, each compared with the file; None where it has no such upload."""
        by_number = {piece.number: piece for piece in pieces}
        arrived: dict[int, _Sent] = {}
        query = {"uploadId": upload, "max-parts": str(_MOST_LISTED)}
        while True:
            try:
                root = parse_xml(self._client.call("GET", self._key, query)[1])
            except S3Error as error:
                if error.status == 404 and error.code != "NoSuchBucket":
                    return None
                raise
            for element in root.iter("Part"):
                piece = by_number.get(int(element.findtext("PartNumber", "0")))
                if piece is None or element.findtext("Size") != str(piece.size):
                    continue
                digest = _sha256(self._source, piece)
                tag, checksum = element.findtext("ETag", ""), element.findtext("ChecksumSHA256", "")
                if (checksum and checksum == _base64(digest)) or (
                    not checksum and tag.strip('"') == _md5(self._source, piece).hex()
                ):
                    arrived[piece.number] = _Sent(tag, digest)
            marker = root.findtext("NextPartNumberMarker", "")
            if root.findtext("IsTruncated") != "true" or marker in {"", query.get("part-number-marker")}:
                return arrived
            query["part-number-marker"] = marker

    def _send_missing(self, upload: str, pieces: list[_Piece], sent: dict[int, _Sent]) -> None:
        done = sum(piece.size for piece in pieces if piece.number in sent)
        if done:
            self._on_progress(done)
        missing = iter([piece for piece in pieces if piece.number not in sent])
        running: dict[Future[_Sent], _Piece] = {}
        with ThreadPoolExecutor(max(1, self._options.concurrency), "s3-upload") as pool:
            try:
                while True:
                    while len(running) < max(1, self._options.concurrency) and (piece := next(missing, None)):
                        running[pool.submit(self._send_piece, upload, piece)] = piece
                    if not running:
                        return
                    for finished in wait(running, return_when=FIRST_COMPLETED).done:
                        piece = running.pop(finished)
                        sent[piece.number] = finished.result()
                        done += piece.size
                        self._on_progress(done)
            except BaseException:
                self._stopped.set()
                raise

    def _send_piece(self, upload: str, piece: _Piece) -> _Sent:
        digest = _sha256(self._source, piece)
        query = {"partNumber": str(piece.number), "uploadId": upload}
        headers, _ = self._client.call("PUT", self._key, query, self._checksum(digest), **self._body(piece, digest))
        return _Sent(headers.get("etag", ""), digest)

    def _complete(self, upload: str, sent: Mapping[int, _Sent]) -> None:
        root = ET.Element("CompleteMultipartUpload", xmlns="http://s3.amazonaws.com/doc/2006-03-01/")
        for number in sorted(sent):
            part = ET.SubElement(root, "Part")
            ET.SubElement(part, "PartNumber").text = str(number)
            ET.SubElement(part, "ETag").text = sent[number].tag
            if self._checksums:
                ET.SubElement(part, "ChecksumSHA256").text = _base64(sent[number].sha256)
        content = ET.tostring(root)
        try:
            self._client.call(
                "POST",
                self._key,
                {"uploadId": upload},
                body=lambda: [content],
                size=len(content),
                sha256=hashlib.sha256(content).hexdigest(),
            )
        except S3Error as error:
            # A second attempt after an answer that was lost: whether the file is whole is seen by its checksum next.
            if error.code != "NoSuchUpload":
                raise

    def _checksum(self, digest: bytes) -> dict[str, str]:
        return {"x-amz-checksum-sha256": _base64(digest)} if self._checksums else {}

    def _body(self, piece: _Piece, digest: bytes) -> _Body:
        def content() -> Iterator[bytes]:
            for block in _blocks(self._source, piece):
                if self._stopped.is_set():
                    raise StorageError(f"Sending {self._source.name} was stopped.")
                self._throttle.wait(len(block))
                yield block

        return {"body": content, "size": piece.size, "sha256": digest.hex()}


class _Expected:
    """Computes what the service must have computed, by algorithm."""

    def __init__(self, source: Path, pieces: list[_Piece], known: Mapping[int, bytes]) -> None:
        self._source, self._pieces, self._known = source, pieces, known

    def __call__(self, algorithm: str) -> str:
        if algorithm in {"sha256", "md5"}:
            whole = _Piece(1, 0, sum(piece.size for piece in self._pieces))
            if algorithm == "sha256" and len(self._pieces) == 1 and 1 in self._known:
                return self._known[1].hex()
            return (_sha256 if algorithm == "sha256" else _md5)(self._source, whole).hex()
        if algorithm == "sha256-composite":
            digests = [self._known.get(piece.number) or _sha256(self._source, piece) for piece in self._pieces]
            return hashlib.sha256(b"".join(digests)).hexdigest()
        if algorithm == "md5-composite":
            joined = b"".join(_md5(self._source, piece) for piece in self._pieces)
            return hashlib.md5(joined, usedforsecurity=False).hexdigest()
        return ""


def abort_uploads(client: S3Client, key: str, *, keep: str = "") -> None:
    """Abort every upload of a key, but the one to keep; credentials that may not list them leave them.

    Raises:
        S3Error: the service refuses.
    """
    try:
        root = parse_xml(client.call("GET", "", {"uploads": "", "prefix": key})[1])
    except S3Error as error:
        if error.code in {"AccessDenied", "NotImplemented"}:
            return
        raise
    for element in root.iter("Upload"):
        upload = element.findtext("UploadId")
        if element.findtext("Key") == key and upload and upload != keep:
            try:
                client.call("DELETE", key, {"uploadId": upload})
            except S3Error as error:
                if error.status != 404:
                    raise


def _same(there: StoredFile, expected: Callable[[str], str]) -> bool:
    algorithm = next(iter(there.checksums), "")
    return bool(algorithm) and expected(algorithm) == there.checksums[algorithm]


def _blocks(source: Path, piece: _Piece) -> Iterator[bytes]:
    try:
        with source.open("rb", buffering=0) as file:
            file.seek(piece.offset)
            left = piece.size
            while left and (block := file.read(min(_READ, left))):
                left -= len(block)
                yield block
    except OSError as error:
        raise StorageError(f"{source} can't be read ({error.strerror}): check the disk.") from error
    if left:
        raise VerificationError(f"{source} became shorter while it was sent: send it again.")


def _digest(source: Path, piece: _Piece, kind: str) -> bytes:
    digest = hashlib.new(kind, usedforsecurity=False)
    for block in _blocks(source, piece):
        digest.update(block)
    return digest.digest()


def _sha256(source: Path, piece: _Piece) -> bytes:
    return _digest(source, piece, "sha256")


def _md5(source: Path, piece: _Piece) -> bytes:
    return _digest(source, piece, "md5")


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode("ascii")
