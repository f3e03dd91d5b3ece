"""What a page gives a browser to bring back: nobody can read or change it, and no other browser can use it."""

from __future__ import annotations

import base64
import binascii
import json
import time
from typing import TYPE_CHECKING

from backstay.errors import ConfigurationError

if TYPE_CHECKING:
    from backstay.web.visit import Visit


def seal(visit: Visit, purpose: str, text: str = "") -> str:
    """Return a text so that `unseal` gives it back to the same browser, in the same session, for the same purpose."""
    content = json.dumps([purpose, visit.token, time.time(), text])
    return base64.urlsafe_b64encode(visit.installation.catalogue.vault.encrypt(content)).decode().rstrip("=")


def unseal(visit: Visit, purpose: str, sealed: str, seconds: float) -> str | None:
    """Return what was sealed, or None where it is too old, was changed, or is another browser's or purpose's."""
    try:
        encrypted = base64.urlsafe_b64decode(sealed.encode("ascii") + b"=" * (-len(sealed) % 4))
        meant, token, begun, text = json.loads(visit.installation.catalogue.vault.decrypt(encrypted))
    except (ConfigurationError, UnicodeEncodeError, binascii.Error, ValueError, TypeError):
        return None
    good = meant == purpose and token == visit.token and 0 <= time.time() - begun <= seconds
    return str(text) if good else None
