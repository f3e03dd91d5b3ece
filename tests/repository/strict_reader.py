"""Reads repositories by docs/reference/repository.md alone: nothing of the product is used, and nothing is forgiven."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from argon2.low_level import Type, hash_secret_raw
from blake3 import blake3
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def number(data: bytes) -> int:
    return int.from_bytes(data, "little")


class StrictReader:
    """A repository in a folder."""

    def __init__(self, folder: Path, passphrase: str | None) -> None:
        self.folder = folder
        self.description = self._described(folder / "backstay-repository.json")
        assert self.description == self._described(folder / "backstay-repository-copy.json")
        assert self.description["format"] == 1
        assert self.description["encryption"] == ("none" if passphrase is None else "aes-256-gcm")
        self.secret = None if passphrase is None else self._unlocked(passphrase)
        self.chunks: dict[bytes, tuple[Path, int, int]] = {}
        for pack in sorted((folder / "packs").iterdir()):
            self._read_pack(pack)

    @staticmethod
    def _described(path: Path) -> dict[str, Any]:
        fields: dict[str, Any] = json.loads(path.read_text("ascii"))
        check = fields.pop("check")
        text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
        assert blake3(text.encode("ascii")).hexdigest() == check
        return fields

    def _unlocked(self, passphrase: str) -> bytes:
        key, identity = self.description["key"], self.description["id"].encode("ascii")
        wrapping = hash_secret_raw(
            passphrase.encode(), bytes.fromhex(key["salt"]), key["time"], key["memory"], key["lanes"], 32, Type.ID
        )
        wrapped = bytes.fromhex(key["wrapped"])
        secret = AESGCM(wrapping).decrypt(wrapped[:12], wrapped[12:], identity)
        assert len(secret) == 32
        proof = blake3(secret, derive_key_context="backstay repository 1 proof").digest()
        assert blake3(identity, key=proof).digest(length=16).hex() == key["proof"]
        return secret

    def _key(self, use: str) -> bytes:
        return blake3(self.secret or b"", derive_key_context=f"backstay repository 1 {use}").digest()

    def _open(self, data: bytes, additional: bytes) -> bytes:
        if self.secret is None:
            return data
        return AESGCM(self._key("sealing")).decrypt(data[:12], data[12:], additional)

    def _read_pack(self, path: Path) -> None:
        data = path.read_bytes()
        assert data[:8] == b"BSTYPAK1"
        assert data[8:24].hex() == path.name
        assert data[-56:] == data[-112:-56]
        trailer = data[-56:]
        assert trailer[:8] == b"BSTYEND1"
        assert blake3(trailer[:48]).digest(length=8) == trailer[48:]
        length, rows = number(trailer[8:12]), number(trailer[12:16])
        table = data[-112 - length : -112]
        assert table == data[-112 - 2 * length : -112 - length]
        assert blake3(table).digest() == trailer[16:48]
        plain = self._open(table, b"table" + data[8:24])
        assert len(plain) == 56 * rows
        end = 24
        for start in range(0, len(plain), 56):
            row = plain[start : start + 56]
            offset = number(row[48:52])
            assert offset == end
            assert row[52] in {0, 1, 2}
            assert row[53:] == bytes(3)
            end = offset + number(row[36:40]) + (0 if self.secret is None else 28)
            self.chunks[row[:48]] = (path, offset, end)
        assert end == len(data) - 112 - 2 * length

    def deflated(self, reference: bytes) -> bytes:
        path, start, end = self.chunks[reference]
        data = self._open(path.read_bytes()[start:end], reference[:32])
        assert len(data) == number(reference[36:40])
        assert blake3(data).digest(length=8) == reference[40:]
        return data

    def content(self, reference: bytes) -> bytes:
        inflater = zlib.decompressobj(-15)
        content = inflater.decompress(self.deflated(reference) + b"\x03\x00")
        assert inflater.eof
        assert inflater.unused_data == b""
        assert len(content) == number(reference[32:36])
        named = blake3(content) if self.secret is None else blake3(content, key=self._key("chunk identity"))
        assert named.digest() == reference[:32]
        return content

    def snapshots(self) -> Iterator[tuple[dict[str, Any], list[tuple[dict[str, Any], bytes]]]]:
        """Give each snapshot's object, and its lines with the content of the files."""
        for path in sorted((self.folder / "snapshots").iterdir()):
            data = path.read_bytes()
            assert data[:8] == b"BSTYSNP1"
            assert data[8:16].hex() == path.name
            assert blake3(data[:-32]).digest() == data[-32:]
            body = self._open(data[16:-32], b"snapshot" + data[8:16])
            length = number(body[:4])
            fields = json.loads(body[4 : 4 + length].decode("ascii"))
            lines = [
                line
                for lists in references(body[4 + length :])
                for segment in references(self.content(lists))
                for line in self.content(segment).split(b"\n")[:-1]
            ]
            files = [self._file(json.loads(line.decode("ascii"))) for line in lines]
            assert fields["entries"] == len(files)
            assert fields["size"] == sum(len(content) for _, content in files)
            yield fields, files

    def _file(self, line: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        if line["type"] != "file":
            assert "chunks" not in line
            return line, b""
        assert list(line)[-2:] == ["crc", "chunks"]
        found = list(references(base64.b64decode(line["chunks"], validate=True)))
        content = b"".join(self.content(reference) for reference in found)
        stream = b"".join(self.deflated(reference) for reference in found) + b"\x03\x00"
        assert zlib.decompress(stream, -15) == content
        assert len(content) == line["size"]
        assert zlib.crc32(content) == line["crc"]
        assert blake3(content).hexdigest() == line["blake3"]
        return line, content


def references(data: bytes) -> Iterator[bytes]:
    assert len(data) % 48 == 0
    for start in range(0, len(data), 48):
        yield data[start : start + 48]
