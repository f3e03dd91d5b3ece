"""Objects of a PostgreSQL dump that a server may refuse, for want of rights, while the rest is loaded."""

from __future__ import annotations

import re

from backstay.databases.model import SkippedObject

_KINDS = (
    rb"FOREIGN\s+DATA\s+WRAPPER|FOREIGN\s+TABLE|SERVER|USER\s+MAPPING|EVENT\s+TRIGGER|PUBLICATION|SUBSCRIPTION"
    rb"|EXTENSION"
)
_NAME = rb"((?:\"(?:[^\"]|\"\")+\"|[^\s(;\".]+)(?:\.(?:\"(?:[^\"]|\"\")+\"|[^\s(;\".]+))?)"
_OPTIONAL = re.compile(
    rb"(?:CREATE|ALTER|COMMENT\s+ON)\s+(?P<kind>" + _KINDS + rb")\s+(?:IF\s+NOT\s+EXISTS\s+|ONLY\s+|FOR\s+)?(?P<name>"
    + _NAME + rb")",
    re.IGNORECASE,
)  # fmt: skip
_SUBSCRIPTION = re.compile(rb"(?:CREATE|ALTER)\s+SUBSCRIPTION\s", re.IGNORECASE)


def is_optional(statement: bytes) -> bool:
    """Tell whether a statement makes, changes or comments an object that a load can do without."""
    return _OPTIONAL.match(statement) is not None


def is_subscription(statement: bytes) -> bool:
    """Tell whether a statement subscribes to another server."""
    return _SUBSCRIPTION.match(statement) is not None


def refused_object(statement: bytes, reason: str) -> SkippedObject:
    """Return what a server refused to make.

    Args:
        statement: for which ``is_optional`` is true.
        reason: in the server's words.
    """
    match = _OPTIONAL.match(statement)
    kind = " ".join(match["kind"].decode().lower().split()) if match else "object"
    name = match["name"].decode("utf-8", "surrogateescape").replace('"', "") if match else ""
    if statement[:7].upper() == b"COMMENT":
        kind = f"comment on the {kind}"
    text = statement.decode("utf-8", "surrogateescape").rstrip()
    return SkippedObject(kind, name.removeprefix("public."), reason, f"{text};")
