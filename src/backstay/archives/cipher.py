"""AES-CBC blocks and their keys, as JPS archives and the encrypted envelopes of the API have them.

Layouts, key derivations and test vectors: format notes, sections 2.6, 2.7 and 4. There is no check of integrity: what
was changed decrypts to garbage, which the caller has to notice.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

BLOCK = 16
SALT_SIZE = 64
_LENGTH = 4
_VECTOR_MARK = b"JPIV"
_SALT_MARK = b"JPST"
_SALT_TRAILER = len(_SALT_MARK) + SALT_SIZE

VECTOR_TRAILER = len(_VECTOR_MARK) + BLOCK + _LENGTH
"""Bytes of the trailer that holds the initial vector and the length."""


@functools.lru_cache(maxsize=64)
def legacy_key(password: bytes, bits: int = 128) -> bytes:
    """Make the key that old generations derive from a password (section 2.7).

    Args:
        password: its first ``bits / 8`` bytes count.
        bits: 128, 192 or 256.

    Returns:
        ``bits / 8`` bytes. With 128 bits it is the initial vector of those generations as well.
    """
    length = bits // 8
    start = password[:length].ljust(length, b"\0")
    encryptor = Cipher(algorithms.AES(start), modes.ECB()).encryptor()  # noqa: S305 - one block, as the format has it
    encrypted = encryptor.update(start[:BLOCK]) + encryptor.finalize()
    return encrypted + encrypted[: length - BLOCK]


@functools.lru_cache(maxsize=64)
def derived_key(password: bytes, salt: bytes, hash_name: str, iterations: int) -> bytes:
    """Make a key of 16 bytes by PBKDF2 (RFC 8018)."""
    return hashlib.pbkdf2_hmac(hash_name, password, salt, iterations, BLOCK)


@dataclass(frozen=True, slots=True)
class Block:
    """A block in its parts.

    Attributes:
        body: the ciphertext.
        size: bytes of the content, as the trailer says.
        vector: initial vector; None: that of the old generations.
        salt: of the key; None: it is not in the block.
    """

    body: bytes
    size: int
    vector: bytes | None
    salt: bytes | None

    @property
    def possible(self) -> bool:
        """Whether the lengths fit each other."""
        return len(self.body) % BLOCK == 0 and self.size <= len(self.body)


def split_block(block: bytes) -> Block:
    """Find the trailer of a block of any generation, by the marks in it (section 2.6)."""
    size = int.from_bytes(block[-_LENGTH:], "little")
    if block[-VECTOR_TRAILER : -VECTOR_TRAILER + len(_VECTOR_MARK)] != _VECTOR_MARK:
        return Block(block[:-_LENGTH], size, None, None)
    vector, body = block[-BLOCK - _LENGTH : -_LENGTH], block[:-VECTOR_TRAILER]
    if len(body) >= _SALT_TRAILER and body[-_SALT_TRAILER:-SALT_SIZE] == _SALT_MARK:
        return Block(body[:-_SALT_TRAILER], size, vector, body[-SALT_SIZE:])
    return Block(body, size, vector, None)


def joined_block(body: bytes, size: int, vector: bytes | None = None, salt: bytes | None = None) -> bytes:
    """Return a ciphertext with its trailer: what `split_block` splits."""
    salted = _SALT_MARK + salt if salt is not None else b""
    initial = _VECTOR_MARK + vector if vector is not None else b""
    return b"".join((body, salted, initial, size.to_bytes(_LENGTH, "little")))


def encrypt_cbc(key: bytes, vector: bytes, *pieces: bytes | bytearray) -> bytes:
    """Encrypt whole blocks of plain bytes, given in any pieces."""
    encryptor = Cipher(algorithms.AES(key), modes.CBC(vector)).encryptor()
    return b"".join((*(encryptor.update(piece) for piece in pieces), encryptor.finalize()))


def decrypt_cbc(key: bytes, vector: bytes, body: bytes) -> bytes:
    """Decrypt whole blocks."""
    decryptor = Cipher(algorithms.AES(key), modes.CBC(vector)).decryptor()
    return decryptor.update(body) + decryptor.finalize()
