"""The settings of a profile as a person sees and changes them, one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from backstay.catalogue import ROOT_KEY, Profile
from backstay.errors import BackstayError, ConfigurationError, UsageError
from backstay.jobs.installation import Installation
from backstay.jobs.profiles import site_root
from backstay.platforms import Site, find_site
from backstay.profiles import SettingFact, setting_facts, setting_groups, setting_problems


@dataclass(frozen=True, slots=True)
class SettingValue:
    """One setting of one profile.

    Attributes:
        fact: what is known of the setting.
        value: as it counts: the profile's, or the default; of a secret always empty.
        is_set: the profile says something else than the default; of a secret: there is one.
    """

    fact: SettingFact
    value: str
    is_set: bool

    @property
    def title(self) -> str:
        """Its name for a person."""
        return self.fact.name.replace("_", " ").capitalize()


def profile_settings(profile: Profile) -> list[tuple[str, list[SettingValue]]]:
    """Return every setting of a profile in groups, each with its title; secrets are not shown."""
    return [(title, [_value(profile, fact) for fact in facts]) for title, facts in setting_groups()]


def unknown_keys(profile: Profile) -> list[str]:
    """Return the keys of what a profile keeps for the server it came from, and Backstay does not honour."""
    return sorted(profile.configuration.keys() - {fact.key for fact in setting_facts()})


def setting_named(name: str) -> SettingFact:
    """Return a setting by its name or its dotted key.

    Raises:
        UsageError: there is none.
    """
    for fact in setting_facts():
        if name in (fact.name, fact.key):
            return fact
    raise UsageError(f"There is no setting {name[:80]!r}: see them with 'backstay profile settings 1'.")


def settings_problems(values: Mapping[str, str]) -> dict[str, str]:
    """Return why values can't be used: a sentence for each dotted key; empty where all can."""
    kept = {key: value for key, value in values.items() if value != ""}
    problems = setting_problems(kept)
    if root := kept.get(ROOT_KEY):
        try:
            site_root(Path(root))
        except BackstayError as error:
            problems[ROOT_KEY] = str(error)
    return problems


def save_settings(
    installation: Installation,
    profile: Profile,
    *,
    name: str,
    values: Mapping[str, str],
    quickicon: bool | None = None,
) -> Profile:
    """Change settings of a profile as it was read, unless somebody else changed it since.

    Args:
        installation: whose.
        profile: as it was read, with its revision.
        name: its name for a person.
        values: by dotted key; an empty one goes back to its default. What is not in it stays.
        quickicon: whether a client shows it as a button; None: as before.

    Raises:
        UsageError: it has no name.
        ConfigurationError: a value can't be used.
        ChangedMeanwhileError: somebody else was first.
    """
    if not name.strip():
        raise UsageError("A profile needs a name.")
    kept = {key: value for key, value in {**profile.configuration, **values}.items() if value != ""}
    if problems := settings_problems(kept):
        raise ConfigurationError(next(iter(problems.values())))
    if root := kept.get(ROOT_KEY):
        kept[ROOT_KEY] = str(site_root(Path(root)))
    shown_as_button = profile.quickicon if quickicon is None else quickicon
    edited = replace(profile, description=name.strip(), configuration=kept, quickicon=shown_as_button)
    installation.catalogue.profiles.save(edited, revision=profile.revision)
    return edited


def look_at_site(path: Path) -> tuple[Path, Site]:
    """Return the real path of a folder, and what is found there: Joomla, WordPress, its databases and its address.

    Raises:
        NotFoundError: the folder is not there.
        ConfigurationError: it is the root of the file system.
    """
    root = site_root(path)
    return root, find_site(root)


def _value(profile: Profile, fact: SettingFact) -> SettingValue:
    stored = profile.configuration.get(fact.key, "")
    if fact.kind == "secret":
        return SettingValue(fact, "", bool(stored))
    value = stored or fact.default
    if fact.kind == "bool":
        value = "1" if value.lower() in _TRUE else "0"
    return SettingValue(fact, value, value != fact.default)


# What pydantic reads as true: profiles of other servers hold more than 0 and 1.
_TRUE = ("1", "true", "on", "yes", "y", "t")
