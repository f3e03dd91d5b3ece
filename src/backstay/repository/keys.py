"""The description of a repository, and the keys that open it.

One secret of 32 random bytes opens an encrypted repository. It lies in the description, sealed with a key that argon2id
(RFC 9106) makes of the passphrase; from it three keys are derived, one for each use.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from blake3 import blake3

from backstay.errors import ConfigurationError, DamagedRepositoryError, WrongPasswordError
from backstay.repository.layout import FORMAT

SEAL = 28
"""Bytes that sealing adds: a nonce of 12 before, a tag of 16 behind."""
_NONCE = 12
_SECRET = 32
_ARGON = {"time": 3, "memory": 64 << 10, "lanes": 4}
# What a description may ask for: it comes from outside.
_MOST = {"time": 100, "memory": 4 << 20, "lanes": 64}

AVERAGE = 1 << 20
"""Bytes of a piece of a large file, on average."""


@dataclass(frozen=True, slots=True)
class Description:
    """What a repository says of itself.

    Attributes:
        id: 32 hexadecimal digits.
        created: when it was made.
        average: bytes of a piece of a large file, on average; pieces have a quarter of that to four times as many.
        key: how the secret is sealed; None where the repository is not encrypted.
    """

    id: str
    created: datetime
    average: int = AVERAGE
    key: dict[str, Any] | None = field(default=None, repr=False)

    @property
    def encrypted(self) -> bool:
        """Whether a passphrase is needed."""
        return self.key is not None


class Keys:
    """Names, seals and opens what a repository holds; safe to use from many threads.

    Args:
        secret: that of the repository; None where it is not encrypted.
    """

    def __init__(self, secret: bytes | None) -> None:
        self.secret = secret
        self.seal_size = 0 if secret is None else SEAL
        self.cutting_seed = 0
        self._identity_key: bytes | None = None
        if secret is not None:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM

            self._identity_key = _derived("chunk identity", secret)
            self._cipher = AESGCM(_derived("sealing", secret))
            # The library shifts it by one bit within 64.
            self.cutting_seed = int.from_bytes(_derived("cutting", secret)[:8], "little") >> 2 | 1

    def __repr__(self) -> str:
        return f"Keys(encrypted={self.secret is not None})"

    def identity(self, content: bytes) -> bytes:
        """Give the identity of a chunk."""
        if self._identity_key is None:
            return blake3(content).digest()
        return blake3(content, key=self._identity_key).digest()

    def seal(self, data: bytes, purpose: bytes) -> bytes:
        """Encrypt, where the repository is encrypted; what is given stays as it is elsewhere.

        Args:
            data: what is encrypted.
            purpose: must be the same when it is opened.
        """
        if self.secret is None:
            return data
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._cipher.encrypt(nonce, data, purpose)

    def open(self, sealed: bytes | memoryview, purpose: bytes) -> bytes | None:
        """Give what `seal` was given; None where it is not what was sealed."""
        if self.secret is None:
            return bytes(sealed)
        from cryptography.exceptions import InvalidTag

        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], purpose)
        except (InvalidTag, ValueError):
            return None


def _derived(purpose: str, secret: bytes) -> bytes:
    return blake3(secret, derive_key_context=f"backstay repository 1 {purpose}").digest()


def describe(passphrase: str | None, *, average: int = AVERAGE) -> tuple[Description, Keys]:
    """Make the description of a new repository.

    Args:
        passphrase: that opens it; None for one that is not encrypted.
        average: bytes of a piece of a large file.
    """
    identity = secrets.token_hex(16)
    created = datetime.now(UTC).replace(microsecond=0)
    if passphrase is None:
        return Description(identity, created, average), Keys(None)
    secret = secrets.token_bytes(_SECRET)
    salt = secrets.token_bytes(16)
    wrapping = _cipher_of(passphrase, salt, _ARGON)
    nonce = secrets.token_bytes(_NONCE)
    wrapped = nonce + wrapping.encrypt(nonce, secret, identity.encode())
    key = {"salt": salt.hex(), **_ARGON, "wrapped": wrapped.hex(), "proof": _proof(secret, identity)}
    return Description(identity, created, average, key), Keys(secret)


def _cipher_of(passphrase: str, salt: bytes, cost: dict[str, int]) -> Any:
    from argon2.low_level import Type, hash_secret_raw
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    made = hash_secret_raw(
        passphrase.encode("utf-8", "surrogateescape"), salt, cost["time"], cost["memory"], cost["lanes"], 32, Type.ID
    )
    return AESGCM(made)


def _proof(secret: bytes, identity: str) -> str:
    return blake3(identity.encode(), key=_derived("proof", secret)).hexdigest(length=16)


def unlock(description: Description, *, passphrase: str | None = None, secret: bytes | None = None) -> Keys:
    """Give the keys of a repository.

    Args:
        description: of the repository.
        passphrase: that it was made with.
        secret: instead of the passphrase, what `Keys.secret` was.

    Raises:
        WrongPasswordError: neither opens it.
    """
    key = description.key
    if key is None:
        return Keys(None)
    if secret is None:
        if passphrase is None:
            raise WrongPasswordError("The repository is encrypted: give its passphrase.")
        secret = _unwrapped(description.id, key, passphrase)
    if len(secret) != _SECRET or _proof(secret, description.id) != key["proof"]:
        raise WrongPasswordError("The passphrase does not open the repository: give the one that it was made with.")
    return Keys(secret)


def _unwrapped(identity: str, key: dict[str, Any], passphrase: str) -> bytes:
    from cryptography.exceptions import InvalidTag

    wrapped = bytes.fromhex(key["wrapped"])
    cipher = _cipher_of(passphrase, bytes.fromhex(key["salt"]), key)
    try:
        opened: bytes = cipher.decrypt(wrapped[:_NONCE], wrapped[_NONCE:], identity.encode())
    except (InvalidTag, ValueError) as error:
        raise WrongPasswordError(
            "The passphrase does not open the repository: give the one that it was made with."
        ) from error
    return opened


def pack_description(description: Description) -> bytes:
    """Write a description as a file."""
    fields: dict[str, Any] = {
        "format": FORMAT,
        "id": description.id,
        "created": description.created.isoformat(),
        "average": description.average,
        "encryption": "none" if description.key is None else "aes-256-gcm",
    }
    if description.key is not None:
        fields["key"] = description.key
    fields["check"] = _check(fields)
    return json.dumps(fields, indent=1).encode("ascii") + b"\n"


def _check(fields: dict[str, Any]) -> str:
    return blake3(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode("ascii")).hexdigest()


def parse_description(data: bytes) -> Description:
    """Read what `pack_description` wrote.

    Raises:
        DamagedRepositoryError: it is not what was written.
        ConfigurationError: a later version has made it.
    """
    problem = DamagedRepositoryError("The repository's description is damaged: put a good copy of it back.")
    try:
        fields = json.loads(data)
        check = fields.pop("check")
        whole = check == _check(fields)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise problem from error
    if not whole:
        raise problem
    if fields.get("format") != FORMAT:
        raise ConfigurationError("The repository was made by a newer version of Backstay: install that version.")
    try:
        key = fields["key"] if fields["encryption"] == "aes-256-gcm" else None
        description = Description(fields["id"], datetime.fromisoformat(fields["created"]), fields["average"], key)
        sound = len(bytes.fromhex(description.id)) == 16 and 1 << 10 <= description.average <= 64 << 20
        if key is not None:
            bytes.fromhex(key["wrapped"] + key["salt"])
            sound = sound and all(type(key[name]) is int and 0 < key[name] <= most for name, most in _MOST.items())
            sound = sound and isinstance(key["proof"], str)
    except (ValueError, KeyError, TypeError) as error:
        raise problem from error
    if not sound:
        raise problem
    return description
