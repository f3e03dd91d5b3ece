"""The encryption of JPS: keys made of a password, and blocks (format notes, sections 2.6 and 2.7).

AES-128 in CBC mode without any authentication: a changed byte shows up as garbage at best. What proves content is the
manifest.
"""

from __future__ import annotations

import functools
import hashlib
import os

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from backstay.errors import DamagedArchiveError

HASHES = ("sha1", "sha256", "sha512")
"""By the number that stands for them in a header."""

KEY_SIZE = 16
SALT_SIZE = 64
_BLOCK = 16
_VECTOR_MARK = b"JPIV"
_SALT_MARK = b"JPST"
_LENGTH = 4
_VECTOR_ROOM = len(_VECTOR_MARK) + _BLOCK + _LENGTH
_SALT_ROOM = len(_SALT_MARK) + SALT_SIZE


def legacy_key(password: bytes) -> bytes:
    """Make the key of 1.9 and 1.10, which is their initial vector too (section 2.7)."""
    start = password[:KEY_SIZE].ljust(KEY_SIZE, b"\0")
    encryptor = Cipher(algorithms.AES(start), modes.ECB()).encryptor()  # noqa: S305 - one block, as the format has it
    return encryptor.update(start) + encryptor.finalize()


@functools.lru_cache(maxsize=64)
def derived_key(password: bytes, salt: bytes, hash_name: str, iterations: int) -> bytes:
    """Make a key of 2.0."""
    return hashlib.pbkdf2_hmac(hash_name, password, salt, iterations, KEY_SIZE)


def encrypt(key: bytes, content: bytes | bytearray) -> bytes:
    """Make a block with a vector of its own, padded as the vendor's 2.0 writer pads (section 2.6)."""
    vector = os.urandom(_BLOCK)
    size = len(content)
    padding = _BLOCK - size if size <= _BLOCK else _BLOCK - size % _BLOCK
    encryptor = Cipher(algorithms.AES(key), modes.CBC(vector)).encryptor()
    body = encryptor.update(content) + encryptor.update(bytes(padding)) + encryptor.finalize()
    return b"".join((body, _VECTOR_MARK, vector, size.to_bytes(_LENGTH, "little")))


def encrypted_size(size: int) -> int:
    """Give the size of the block that `encrypt` makes of so many bytes."""
    padding = _BLOCK - size if size <= _BLOCK else _BLOCK - size % _BLOCK
    return size + padding + _VECTOR_ROOM


class Decryptor:
    """Decrypts the blocks of one archive.

    Args:
        password: the password.
        static_salt: the salt of the archive's header, None where each block has its own or there is none.
        hash_name: for derived keys.
        iterations: likewise.
    """

    def __init__(self, password: str, static_salt: bytes | None, hash_name: str, iterations: int) -> None:
        self._password = password.encode("utf-8", "surrogateescape")
        self._hash_name = hash_name
        self._iterations = iterations
        self._legacy = legacy_key(self._password)
        self._key = self._derived(static_salt) if static_salt is not None else self._legacy

    def __repr__(self) -> str:
        return "Decryptor()"

    def _derived(self, salt: bytes) -> bytes:
        return derived_key(self._password, salt, self._hash_name, self._iterations)

    def decrypt(self, block: bytes, size: int) -> bytes:
        """Give the content of a block.

        Args:
            block: the block with all that trails it.
            size: bytes of content, as the header in front of the block says.

        Raises:
            DamagedArchiveError: if it cannot be such a block, or the key is wrong; the message is part of a sentence.
        """
        key, vector = self._key, self._legacy
        body = block[:-_LENGTH]
        if block[-_VECTOR_ROOM : -_VECTOR_ROOM + len(_VECTOR_MARK)] == _VECTOR_MARK:
            vector = block[-_BLOCK - _LENGTH : -_LENGTH]
            body = block[:-_VECTOR_ROOM]
            if body[-_SALT_ROOM:-SALT_SIZE] == _SALT_MARK:
                key = self._derived(body[-SALT_SIZE:])
                body = body[:-_SALT_ROOM]
        if int.from_bytes(block[-_LENGTH:], "little") != size or len(body) % _BLOCK or size > len(body):
            raise DamagedArchiveError("an encrypted block has an impossible length")
        decryptor = Cipher(algorithms.AES(key), modes.CBC(vector)).decryptor()
        content = decryptor.update(body) + decryptor.finalize()
        if content[size:].strip(b"\0"):
            raise DamagedArchiveError("an encrypted block is damaged")
        return content[:size]
