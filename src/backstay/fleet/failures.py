"""Why a run failed, in one sentence or two: what the server said, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from backstay.errors import (
    AuthenticationError,
    BackstayError,
    ConnectionFailedError,
    PermissionDeniedError,
    ProtocolError,
)
from backstay.fleet.detection import plain_text

_LONGEST: Final = 1500
_WHAT_TO_DO: Final[tuple[tuple[type[BackstayError], str], ...]] = (
    (AuthenticationError, "Give the site the secret that its server knows."),
    (PermissionDeniedError, "Let the secret take and download backups, in the settings of the server."),
    (ProtocolError, "Look at the site in a browser, and try it with 'backstay site test'."),
)


def why(error: BackstayError, checkpoint: Mapping[str, object], changes: str = "") -> str:
    """Return why a run failed.

    Args:
        error: what was raised; what a server said in it is cut and made printable.
        checkpoint: of the run; says which backup was taken on the server.
        changes: what has changed of the server since it last answered.
    """
    sentences = [plain_text(str(error), _LONGEST)]
    if not sentences[0].endswith((".", "!", "?")):
        sentences[0] += "."
    if isinstance(error, ConnectionFailedError) and "ertificate" in sentences[0]:
        sentences.append("Renew the certificate of the site.")
    elif isinstance(error, ConnectionFailedError):
        sentences.append("Look whether the site is up.")
    sentences += [hint for kind, hint in _WHAT_TO_DO if type(error) is kind and hint not in sentences[0]]
    if changes:
        sentences.append(changes)
    if checkpoint.get("taken"):
        sentences.append(f"Backup {checkpoint.get('record')} is whole on the server.")
    return " ".join(sentences)
