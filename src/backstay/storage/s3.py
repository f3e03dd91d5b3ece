"""A destination that is a bucket of S3, or of any service that speaks its language."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import unquote_plus

import httpx2

from backstay.errors import StorageError, UsageError, VerificationError
from backstay.storage.address import Address
from backstay.storage.back_end import BackEnd
from backstay.storage.model import Capabilities, OnProgress, OnResume, PutOptions, StoredFile
from backstay.storage.names import checked, is_safe_name
from backstay.storage.ranges import read_ahead
from backstay.storage.s3_client import Bucket, S3Client, S3Error, parse_xml, read_pieces
from backstay.storage.s3_signature import Credentials
from backstay.storage.s3_upload import Upload, abort_uploads

_LOCK_MODES = ("GOVERNANCE", "COMPLIANCE")


def open_address(address: Address, secrets: Mapping[str, str]) -> S3:
    """Open the bucket of an address.

    Its options: ``endpoint`` (else Amazon's), ``region``, ``style`` (``path`` or ``virtual``), ``class`` (storage
    class), ``lock_mode`` (``compliance``, the default, or ``governance``).
    """
    options = address.options
    region = options.get("region") or "us-east-1"
    endpoint = httpx2.URL(options.get("endpoint") or f"https://s3.{region}.amazonaws.com")
    if endpoint.scheme not in {"http", "https"} or not endpoint.host or endpoint.userinfo:
        raise UsageError(f"The endpoint of {address.scheme}://{address.host} is no http or https address: correct it.")
    style = options.get("style") or ("path" if options.get("endpoint") or "." in address.host else "virtual")
    lock_mode = (options.get("lock_mode") or "compliance").upper()
    if style not in {"path", "virtual"} or lock_mode not in _LOCK_MODES:
        raise UsageError("The s3 URL knows style=path or virtual, and lock_mode=compliance or governance: correct it.")
    credentials = Credentials(secrets["access_key_id"], secrets["secret_access_key"], secrets.get("session_token", ""))
    bucket = Bucket(endpoint, address.host, region, style == "path", f"s3://{address.host}")
    return S3(
        S3Client(bucket, credentials),
        url=address.url,
        prefix=address.path,
        lock_mode=lock_mode,
        storage_class=options.get("class", ""),
    )


class S3(BackEnd):
    """Implements `backstay.storage.model.Destination`."""

    def __init__(self, client: S3Client, *, url: str, prefix: str, lock_mode: str, storage_class: str = "") -> None:
        self._client = client
        super().__init__(url)
        self._prefix = prefix + "/" if prefix else ""
        self._lock_mode = lock_mode
        self._class = storage_class

    @property
    def capabilities(self) -> Capabilities:
        """What S3 promises; services that lack a checksum answer with less, and the file's ``proven`` says so."""
        return Capabilities(("sha256", "sha256-composite", "md5", "md5-composite"), resumes=True, locks=True)

    def put(
        self,
        name: str,
        source: Path,
        *,
        options: PutOptions,
        resume: str = "",
        on_resume: OnResume,
        on_progress: OnProgress,
    ) -> StoredFile:
        """Send a file: in one request where it is small, else in pieces that survive."""
        headers = {"x-amz-storage-class": self._class} if self._class else {}
        if options.lock_until is not None:
            until = options.lock_until.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            headers |= {"x-amz-object-lock-mode": self._lock_mode, "x-amz-object-lock-retain-until-date": until}
        with self._errors(name):
            upload = Upload(self._client, self._key(name), source, headers, options, on_resume, on_progress)
            expected = upload.run(resume, self._head_or_none(name) if resume else None)
            found = self._head(name)
            if found.size != upload.size:
                raise VerificationError(f"{name} has another size in {self._url} than here: send it again.")
            for algorithm in found.checksums:
                if wanted := expected(algorithm):
                    if wanted != found.checksums[algorithm]:
                        self._client.call("DELETE", self._key(name))
                        raise VerificationError(f"{name} has other bytes in {self._url} than here: send it again.")
                    return replace(found, proven=algorithm)
            return found

    def abandon(self, name: str, resume: str) -> None:  # noqa: ARG002  uploads are found by the name
        """Abort every upload of the name that was begun and not completed."""
        with self._errors(name):
            abort_uploads(self._client, self._key(name))

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Read a range."""
        if length <= 0:
            checked(name)
            return b""
        with self._errors(name):
            try:
                return b"".join(self._range(self._key(name), offset, length))
            except S3Error as error:
                if error.status == 416:
                    return b""
                raise

    def stream(self, name: str, offset: int = 0) -> Iterator[bytes]:
        """Read from an offset to the end, in several ranges at once; each is tried again where it breaks off."""
        key = self._key(name)
        with self._errors(name):
            headers, _ = self._client.call("HEAD", key)
        tag = headers.get("etag", "")

        def read(start: int, length: int) -> list[bytes]:
            with self._errors(name):
                found = self._range(key, start, length, {"if-match": tag} if tag else {})
            if sum(map(len, found)) != length:
                raise StorageError(f"{name} in {self._url} became shorter while it was read: read it again.")
            return found

        return read_ahead(read, offset, _number(headers.get("content-length")))

    def _range(self, key: str, offset: int, length: int, headers: Mapping[str, str] | None = None) -> list[bytes]:
        """Return the pieces of a range, as they arrived: to join them takes as long as to receive them."""
        wanted = {"range": f"bytes={offset}-{offset + length - 1}", **(headers or {})}

        def attempt() -> list[bytes]:
            with self._client.open(key, wanted) as response:
                self._check_range(response, offset)
                return read_pieces(response, length)

        return self._client.trying(attempt)

    def list(self, prefix: str = "") -> Iterator[StoredFile]:
        """List objects; names that would leave the destination are left out."""
        query = {"list-type": "2", "prefix": self._prefix + prefix, "encoding-type": "url"}
        while True:
            with self._errors(""):
                root = parse_xml(self._client.call("GET", "", query)[1])
            encoded = root.findtext("EncodingType") == "url"
            for element in root.iter("Contents"):
                key = element.findtext("Key", "")
                name = (unquote_plus(key) if encoded else key).removeprefix(self._prefix)
                if is_safe_name(name) and name.startswith(prefix):
                    yield StoredFile(name, _number(element.findtext("Size")), _moment(element.findtext("LastModified")))
            token = root.findtext("NextContinuationToken", "")
            if root.findtext("IsTruncated") != "true" or not token or token == query.get("continuation-token"):
                return
            query["continuation-token"] = token

    def head(self, name: str) -> StoredFile:
        """Return size, time and checksums."""
        with self._errors(name):
            return self._head(name)

    def delete(self, name: str) -> None:
        """Delete an object; one that was locked is deleted with its version, so that its space is free."""
        key = self._key(name)
        with self._errors(name):
            try:
                headers, _ = self._client.call("HEAD", key)
            except S3Error as error:
                if error.status == 404 and error.code != "NoSuchBucket":
                    return
                raise
            until = _moment(headers.get("x-amz-object-lock-retain-until-date"))
            if until is not None and until > datetime.now(UTC):
                raise StorageError(f"{name} in {self._url} is locked until {until:%Y-%m-%d %H:%M} UTC: delete it then.")
            version = headers.get("x-amz-version-id", "") if until is not None else ""
            self._client.call("DELETE", key, {"versionId": version} if version else None)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _key(self, name: str) -> str:
        return self._prefix + checked(name)

    def _head(self, name: str) -> StoredFile:
        headers, _ = self._client.call("HEAD", self._key(name), headers={"x-amz-checksum-mode": "ENABLED"})
        modified = None
        if date := headers.get("last-modified"):
            try:
                modified = parsedate_to_datetime(date)
            except ValueError:
                modified = None
        return StoredFile(name, _number(headers.get("content-length")), modified, _checksums(headers))

    def _head_or_none(self, name: str) -> StoredFile | None:
        try:
            return self._head(name)
        except S3Error:
            return None

    def _check_range(self, response: httpx2.Response, offset: int) -> None:
        if response.status_code != 206 or not response.headers.get("content-range", "").startswith(f"bytes {offset}-"):
            raise StorageError(f"{self._url} does not give ranges of files: check the endpoint.")

    @contextmanager
    def _errors(self, name: str) -> Iterator[None]:
        try:
            yield
        except S3Error as error:
            raise self._client.sentence(error, name) from None


def _checksums(headers: httpx2.Headers) -> dict[str, str]:
    found = {}
    text, dash, _count = headers.get("x-amz-checksum-sha256", "").partition("-")
    try:
        if text:
            found["sha256-composite" if dash else "sha256"] = base64.b64decode(text, validate=True).hex()
    except binascii.Error:
        found = {}
    digest, dash, _count = headers.get("etag", "").strip('"').lower().partition("-")
    if len(digest) == 32 and all(letter in "0123456789abcdef" for letter in digest):
        found["md5-composite" if dash else "md5"] = digest
    return found


def _number(text: str | None) -> int:
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 18:
        raise StorageError("The service does not report the size of a file: check the endpoint.")
    return int(text)


def _moment(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)
