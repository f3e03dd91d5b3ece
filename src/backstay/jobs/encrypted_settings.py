"""Opening settings that another server encrypted at rest (engine-behaviour 5)."""

from __future__ import annotations

import base64
import binascii

from backstay.api.ciphers import UndecryptableError, base64_bytes, decrypt_block, decrypt_counter_text
from backstay.errors import ConfigurationError
from backstay.profiles.transfer import ENCRYPTED

_BLOCK_PREFIX, _COUNTER_PREFIX = ENCRYPTED


def decrypted_settings(text: str, server_key: str) -> str:
    """Return the plain text of encrypted settings.

    Args:
        text: begins with ``###AES128###`` or ``###CTR128###``.
        server_key: in Base64, as the other server's ``serverkey.php`` holds it.

    Raises:
        ConfigurationError: there is no key, or it does not open the text.
    """
    if not server_key:
        raise ConfigurationError(
            "The configuration of the profile is encrypted: set server.import_key to the key of the server it is from."
        )
    try:
        key = base64.b64decode(server_key, validate=True).decode("utf-8", "surrogateescape")
    except (binascii.Error, ValueError):
        raise ConfigurationError("The key in server.import_key is not Base64: copy it whole.") from None
    try:
        if text.startswith(_BLOCK_PREFIX):
            plain = decrypt_block(base64_bytes(text.removeprefix(_BLOCK_PREFIX)), key, 128).plain
        else:
            plain = decrypt_counter_text(text.removeprefix(_COUNTER_PREFIX), key, 128)
        return plain.rstrip(b"\0").decode("utf-8")
    except (UndecryptableError, UnicodeDecodeError):
        raise ConfigurationError(
            "The key in server.import_key does not open the configuration of the profile."
        ) from None
