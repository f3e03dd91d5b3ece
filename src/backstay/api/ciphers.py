"""The ciphers of encapsulations 2 to 5: AES-CTR strings and AES-CBC blocks, in every generation.

Layouts, legacy key expansion and test vectors: archive-formats.md 2.6, 2.7 and 4; which server wrote which
generation: api-v1-encapsulation.md 4.1. None of them carries a check of integrity: what was garbled decrypts to
garbage, which the caller finds by decoding it.
"""

from __future__ import annotations

import base64
import binascii
import os
import struct
import time
from dataclasses import dataclass
from enum import StrEnum

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from backstay.archives import cipher
from backstay.archives.cipher import BLOCK, SALT_SIZE, decrypt_cbc, derived_key, encrypt_cbc, joined_block, split_block

PBKDF2_ITERATIONS = 1000
PBKDF2_HASH = "sha1"
NONCE_LENGTH = 8
_SHORTEST_BLOCK = 4


class BlockForm(StrEnum):
    """The generation of an AES-CBC block.

    LEGACY is ``ciphertext ‖ u32 length``, RANDOM_IV adds the initialisation vector (both with the legacy key), SALTED
    is AES-128 with a PBKDF2 key and carries salt and vector.
    """

    LEGACY = "legacy"
    RANDOM_IV = "random-iv"
    SALTED = "salted"


class UndecryptableError(ValueError):
    """A text or block cannot be one that the ciphers wrote."""


@dataclass(frozen=True, slots=True)
class OpenedBlock:
    """A decrypted block: the plain bytes, and the generation it was written in."""

    plain: bytes
    form: BlockForm


def legacy_key(password: str, bits: int) -> bytes:
    """The key that old generations derive from a password (archive-formats.md 2.7).

    Args:
        password: any text; its first ``bits / 8`` bytes in UTF-8 count.
        bits: 128, 192 or 256.

    Returns:
        ``bits / 8`` bytes. With 128 bits it is the legacy initialisation vector as well.
    """
    return cipher.legacy_key(password.encode("utf-8", "surrogateescape"), bits)


def _salted_key(password: str, salt: bytes) -> bytes:
    return derived_key(password.encode("utf-8", "surrogateescape"), salt, PBKDF2_HASH, PBKDF2_ITERATIONS)


def encrypt_block(plain: bytes, password: str, bits: int, form: BlockForm) -> bytes:
    """A block of AES-CBC.

    Args:
        plain: what to encrypt.
        password: the secret word, or the key for replies.
        bits: 128 or 256; SALTED blocks are AES-128 whatever it says.
        form: the generation to write.

    Returns:
        The block: ciphertext padded with NULs, trailer, length.
    """
    padded = plain + b"\0" * (-len(plain) % BLOCK)
    if form is BlockForm.LEGACY:
        return joined_block(encrypt_cbc(legacy_key(password, bits), legacy_key(password, 128), padded), len(plain))
    vector = os.urandom(BLOCK)
    if form is BlockForm.RANDOM_IV:
        return joined_block(encrypt_cbc(legacy_key(password, bits), vector, padded), len(plain), vector)
    salt = os.urandom(SALT_SIZE)
    return joined_block(encrypt_cbc(_salted_key(password, salt), vector, padded), len(plain), vector, salt)


def decrypt_block(block: bytes, password: str, bits: int) -> OpenedBlock:
    """The plain bytes of a block of any generation; the marks in its trailer say which one it is.

    Raises:
        UndecryptableError: the block is cut, or its length does not fit it.
    """
    if len(block) < _SHORTEST_BLOCK:
        raise UndecryptableError("The block is cut short.")
    found = split_block(block)
    if not found.possible:
        raise UndecryptableError("The length of the block does not fit it.")
    if found.salt is not None:
        key, form = _salted_key(password, found.salt), BlockForm.SALTED
    else:
        key = legacy_key(password, bits)
        form = BlockForm.LEGACY if found.vector is None else BlockForm.RANDOM_IV
    plain = decrypt_cbc(key, found.vector or legacy_key(password, 128), found.body)
    return OpenedBlock(plain[: found.size], form)


def encrypt_counter_text(plain: bytes, password: str, bits: int, *, nonce: bytes | None = None) -> str:
    """Base64 of ``nonce ‖ ciphertext`` of AES-CTR with the legacy key (archive-formats.md 4.4).

    Args:
        plain: what to encrypt.
        password: the secret word, or the key for replies.
        bits: 128 or 256.
        nonce: 8 bytes; None: the present second and four random bytes, so that none comes twice.
    """
    start = nonce if nonce is not None else struct.pack("<I", int(time.time()) & 0xFFFFFFFF) + os.urandom(4)
    return base64.b64encode(start + _counter(plain, legacy_key(password, bits), start)).decode("ascii")


def decrypt_counter_text(text: str, password: str, bits: int) -> bytes:
    """The plain bytes of what ``encrypt_counter_text`` wrote; any nonce.

    Raises:
        UndecryptableError: it is not base64, or too short.
    """
    raw = base64_bytes(text)
    if len(raw) < NONCE_LENGTH:
        raise UndecryptableError("The encrypted text is cut short.")
    return _counter(raw[NONCE_LENGTH:], legacy_key(password, bits), raw[:NONCE_LENGTH])


def _counter(data: bytes, key: bytes, nonce: bytes) -> bytes:
    context = Cipher(algorithms.AES(key), modes.CTR(nonce + bytes(BLOCK - NONCE_LENGTH))).encryptor()
    return context.update(data) + context.finalize()


def base64_bytes(text: str) -> bytes:
    """The bytes of base64 text; blanks that a form turned plus signs into, and line breaks, are put right.

    Raises:
        UndecryptableError: it is not base64.
    """
    repaired = text.strip().replace(" ", "+").translate({10: None, 13: None})
    try:
        return base64.b64decode(repaired + "=" * (-len(repaired) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise UndecryptableError("The text is not base64.") from None
