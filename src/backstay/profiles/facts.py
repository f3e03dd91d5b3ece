"""What is known of each setting, for references and forms: made from the table of settings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Literal

from pydantic import SecretStr

from backstay.profiles.settings import Settings

_GROUPS = (
    ("What is backed up", "root"),
    ("How it is written", "output_directory"),
    ("Proof", "verify"),
    ("Databases", "dump_part_size"),
    ("Copies elsewhere", "destinations"),
    ("Retention here", "maximum_age_enabled"),
    ("Retention of copies", "remote_as_local"),
    ("Alarms", "alarms_expected_every"),
    ("How jobs run", "log_level"),
)
"""Title of each group and its first setting, in the order of the table."""


@dataclass(frozen=True, slots=True)
class SettingFact:
    """What is known of one setting, for the reference page and the forms of a client.

    Attributes:
        name: the setting's name in the code and in ``backstay.toml``.
        key: its dotted key in the API and in stored profiles.
        kind: ``bool``, ``int``, ``str``, ``enum`` or ``secret``.
        default: as a string, the form in which profiles store it.
        choices: of an ``enum``.
        minimum, maximum: of an ``int``, where there are any.
        description: one sentence for a person.
    """

    name: str
    key: str
    kind: Literal["bool", "int", "str", "enum", "secret"]
    default: str
    description: str
    choices: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None


def as_stored(value: object) -> str:
    """Return a setting's value as profiles store it: booleans as 0 and 1, secrets in clear, all else as text."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, bool):
        return "1" if value else "0"
    return str(value)


def setting_facts() -> list[SettingFact]:
    """Return every setting in the order of the table."""
    return list(_facts())


def setting_groups() -> list[tuple[str, list[SettingFact]]]:
    """Return every setting in groups, each with its title for a person."""
    facts = setting_facts()
    places = [next(n for n, fact in enumerate(facts) if fact.name == first) for _title, first in _GROUPS]
    titles = [title for title, _first in _GROUPS]
    return [(title, facts[a:b]) for title, (a, b) in zip(titles, pairwise([*places, len(facts)]), strict=True)]


@lru_cache(maxsize=1)
def _facts() -> tuple[SettingFact, ...]:
    return tuple(_fact(name, field) for name, field in Settings.model_fields.items())


def _fact(name: str, field: Any) -> SettingFact:
    annotation = field.annotation
    choices: tuple[str, ...] = tuple(getattr(annotation, "__args__", ()))
    kinds: dict[object, Literal["bool", "int", "str", "secret"]] = {
        bool: "bool",
        int: "int",
        str: "str",
        SecretStr: "secret",
    }
    limits = {type(limit).__name__: limit for limit in field.metadata}
    return SettingFact(
        name=name,
        key=field.alias or name,
        kind="enum" if choices else kinds[annotation],
        default=as_stored(field.default),
        description=field.description or "",
        choices=choices,
        minimum=getattr(limits.get("Ge"), "ge", None),
        maximum=getattr(limits.get("Le"), "le", None),
    )
