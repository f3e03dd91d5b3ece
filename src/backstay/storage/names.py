"""Names of stored files: the same rules for those that are sent and those that a service lists."""

from __future__ import annotations

from backstay.errors import StorageError

MOST_BYTES = 900
"""S3 and Azure take 1,024 bytes, prefix included."""


def is_safe_name(name: str) -> bool:
    """Return whether a name stays inside its destination and can be written everywhere.

    Slashes separate folders; none of them may be empty, ``.`` or ``..``.
    """
    if not name or "\\" in name or any(ord(character) < 32 or ord(character) == 127 for character in name):
        return False
    if any(part in {"", ".", ".."} for part in name.split("/")):
        return False
    try:
        return len(name.encode()) <= MOST_BYTES
    except UnicodeEncodeError:
        return False


def checked(name: str) -> str:
    """Return the name.

    Raises:
        StorageError: it is not one that may be stored.
    """
    if not is_safe_name(name):
        raise StorageError(f"{name[:200]!r} can't be the name of a stored file: rename it.")
    return name
