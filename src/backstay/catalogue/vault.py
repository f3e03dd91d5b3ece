"""Encryption of the secrets that the catalogue holds: database URLs, archive passwords.

AES-256-GCM (NIST SP 800-38D) with a random nonce for each value; the key lies in a file of its own, so that a copy
of the catalogue alone gives nothing away.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from backstay.errors import ConfigurationError

_NONCE = 12
_KEY = 32


def write_private(path: Path, content: bytes) -> bool:
    """Write a new file that only its owner can read, whole or not at all, and never over one that is there.

    Returns:
        True if this call made the file, False if it was there already.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # A hard link, unlike a rename, fails where the name is taken: two first starts agree on one key.
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return True


class Vault:
    """Encrypts and decrypts texts with the key of one home."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            write_private(path, secrets.token_bytes(_KEY))
        key = path.read_bytes()
        if len(key) != _KEY:
            raise ConfigurationError(f"The key file {path} is damaged: put its copy back, or set the secrets anew.")
        self._path = path
        self._cipher = AESGCM(key)

    def encrypt(self, text: str) -> bytes:
        """Return a text encrypted."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._cipher.encrypt(nonce, text.encode("utf-8", "surrogateescape"), None)

    def decrypt(self, encrypted: bytes) -> str:
        """Return the text that ``encrypt`` encrypted.

        Raises:
            ConfigurationError: the value was not encrypted with this key.
        """
        try:
            content = self._cipher.decrypt(encrypted[:_NONCE], encrypted[_NONCE:], None)
        except (InvalidTag, ValueError) as error:
            raise ConfigurationError(
                f"The catalogue was encrypted with another key than {self._path}: put the right key file back."
            ) from error
        return content.decode("utf-8", "surrogateescape")
