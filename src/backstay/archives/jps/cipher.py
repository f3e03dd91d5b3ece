"""The encryption of JPS: keys made of a password, and blocks (format notes, sections 2.6 and 2.7).

AES-128 in CBC mode without any authentication: a changed byte shows up as garbage at best. What proves content is the
manifest.
"""

from __future__ import annotations

import os

from backstay.archives.cipher import (
    BLOCK,
    SALT_SIZE,
    VECTOR_TRAILER,
    decrypt_cbc,
    derived_key,
    encrypt_cbc,
    joined_block,
    legacy_key,
    split_block,
)
from backstay.errors import DamagedArchiveError

__all__ = ["HASHES", "SALT_SIZE", "Decryptor", "derived_key", "encrypt", "encrypted_size", "legacy_key"]

HASHES = ("sha1", "sha256", "sha512")
"""By the number that stands for them in a header."""


def _padding(size: int) -> int:
    return BLOCK - size if size <= BLOCK else BLOCK - size % BLOCK


def encrypt(key: bytes, content: bytes | bytearray) -> bytes:
    """Make a block with a vector of its own, padded as the vendor's 2.0 writer pads (section 2.6)."""
    vector = os.urandom(BLOCK)
    size = len(content)
    return joined_block(encrypt_cbc(key, vector, content, bytes(_padding(size))), size, vector)


def encrypted_size(size: int) -> int:
    """Give the size of the block that `encrypt` makes of so many bytes."""
    return size + _padding(size) + VECTOR_TRAILER


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
        found = split_block(block)
        if found.size != size or not found.possible:
            raise DamagedArchiveError("an encrypted block has an impossible length")
        key = self._key if found.salt is None else self._derived(found.salt)
        content = decrypt_cbc(key, found.vector or self._legacy, found.body)
        if content[size:].strip(b"\0"):
            raise DamagedArchiveError("an encrypted block is damaged")
        return content[:size]
