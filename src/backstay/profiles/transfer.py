"""Reading and writing profiles as other servers of the API store and export them (engine-behaviour 5).

The configuration is JSON text of nested objects, older INI text, either of them encrypted at rest; filters are JSON
text, older a serialized PHP array.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from backstay.errors import ConfigurationError
from backstay.profiles.facts import as_stored, setting_facts
from backstay.profiles.filters import Filters
from backstay.profiles.serialized import read_serialized

ENCRYPTED = ("###AES128###", "###CTR128###")
"""How a configuration begins that is encrypted at rest."""

_MOST_DEPTH = 16
_RETENTION = "akeeba.quota."
_NOT_STORED = "volatile"
_INI = re.compile(r"(?:;[^\n]*\s+)*\[[A-Za-z][^\[\]\n]*\]")
_SECTION = re.compile(r"\[([^\[\]]+)\]")
_LINE = re.compile(r"([^=\s]+)\s*=\s*(.*)", re.DOTALL)
_ESCAPES = {"\\n": "\n", "\\r": "\r", "\\t": "\t", '\\"': '"'}
_HEX_ESCAPED = {"<": "\\u003C", ">": "\\u003E", "'": "\\u0027", "&": "\\u0026"}
_RENAMED_VALUES = {("akeeba.advanced.archiver_engine", "zipnative"): "zip"}
"""Values of the reference engine that mean the same as another one here."""


def read_configuration(stored: object, *, decrypt: Callable[[str], str] | None = None) -> dict[str, str]:
    """Return the values of a configuration by dotted key.

    Args:
        stored: JSON or INI text, encrypted or not; or the decoded JSON object.
        decrypt: turns text that begins with one of ``ENCRYPTED`` into plain text; None: there is no key.

    Raises:
        ConfigurationError: it is none of these, or is encrypted and there is no key.
    """
    if isinstance(stored, Mapping):
        return _cleaned(flattened(stored))
    text = str(stored).strip()
    if text.startswith(ENCRYPTED):
        if decrypt is None:
            raise ConfigurationError(
                "The configuration of the profile is encrypted: name the key of the server it comes from."
            )
        text = decrypt(text).strip()
    if not text:
        return {}
    if _INI.match(text):
        return _cleaned(_read_ini(text))
    try:
        decoded = json.loads(text)
    except (ValueError, RecursionError):
        decoded = None
    if isinstance(decoded, Mapping):
        return _cleaned(flattened(decoded))
    if decoded == []:
        return {}
    raise ConfigurationError("The configuration of the profile is neither JSON nor INI: export it again.")


def read_filters(stored: object) -> Filters:
    """Return filters from JSON text, a serialized PHP array, or the decoded JSON object.

    Raises:
        ConfigurationError: it is none of these.
    """
    if isinstance(stored, Mapping | list):
        return Filters.from_stored(stored)
    text = str(stored).strip()
    if not text:
        return Filters()
    try:
        return Filters.from_stored(read_serialized(text) if text.startswith("a:") else json.loads(text))
    except (ValueError, RecursionError):
        raise ConfigurationError("The filters of the profile can't be read: export it again.") from None


def flattened(values: Mapping[str, Any], prefix: str = "", depth: int = 0) -> dict[str, str]:
    """Return values by dotted key from nested objects, dotted keys, or both mixed; nulls and lists are left out."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and depth < _MOST_DEPTH:
            flat |= flattened(value, f"{name}.", depth + 1)
        elif isinstance(value, str | int | float):
            flat[name] = as_stored(value)
    return flat


def with_retention(values: Mapping[str, str]) -> dict[str, str]:
    """Return values with every rule of retention written out.

    The defaults of other servers delete old backups, ours do not: a profile must mean the same there.
    """
    rules = {fact.key: fact.default for fact in setting_facts() if fact.key.startswith(_RETENTION)}
    return {**rules, **values}


def configuration_text(values: Mapping[str, str]) -> str:
    """Return values by dotted key as the JSON text that other servers store."""
    tree: dict[str, Any] = {}
    for key, value in values.items():
        *path, last = key.split(".")
        branch = tree
        for piece in path:
            below = branch.get(piece)
            branch[piece] = branch = below if isinstance(below, dict) else {}
        branch[last] = value
    return _json_text(tree)


def filters_text(filters: Filters) -> str:
    """Return filters as the JSON text that other servers store."""
    return _json_text(filters.to_stored())


def _json_text(value: Any) -> str:
    text = json.dumps(value, indent=4)
    # None of these stands outside a string in JSON, so that each can be escaped wherever it is.
    return "".join(_HEX_ESCAPED.get(character, character) for character in text)


def _cleaned(values: Mapping[str, str]) -> dict[str, str]:
    return {
        key: _RENAMED_VALUES.get((key, value), value)
        for key, value in values.items()
        if not key.startswith(f"{_NOT_STORED}.")
    }


def _read_ini(text: str) -> dict[str, str]:
    """Values of the older form: a section for the first piece of the key, ``rest.of.key="value"``."""
    values: dict[str, str] = {}
    section = ""
    for line in text.splitlines():
        stripped = line.strip()
        if match := _SECTION.fullmatch(stripped):
            section = match[1]
        elif stripped and not stripped.startswith(";") and (match := _LINE.fullmatch(stripped)):
            value = _unquoted(match[2])
            if not value.startswith("###"):
                values[f"{section}.{match[1]}"] = value
    return values


def _unquoted(text: str) -> str:
    if len(text) < 2 or not text.startswith('"') or not text.endswith('"'):
        return text
    # A backslash that begins none of these is one: the writer does not escape it.
    return re.sub(r'\\[nrt"]', lambda match: _ESCAPES[match[0]], text[1:-1])
