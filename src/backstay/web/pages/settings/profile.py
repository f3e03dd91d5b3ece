"""The settings of a profile as one form, made from the table of settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.responses import Response

from backstay.catalogue import Profile
from backstay.errors import ChangedMeanwhileError
from backstay.jobs.profile_settings import (
    SettingValue,
    profile_settings,
    save_settings,
    settings_problems,
    unknown_keys,
)
from backstay.jobs.users import Role
from backstay.profiles import SettingFact, setting_facts
from backstay.web.rendering import shown
from backstay.web.routes import PageRoute
from backstay.web.visit import Visit

_LONG = ("backstay.scan.exclude",)


@dataclass(frozen=True, slots=True)
class _Field:
    """One setting as the form shows it.

    Attributes:
        setting: as it is stored.
        value: that stands in the form.
        problem: why what was typed can't be used.
        meanwhile: what somebody else stored since the form was opened; None: nothing.
    """

    setting: SettingValue
    value: str
    problem: str = ""
    meanwhile: str | None = None

    @property
    def is_long(self) -> bool:
        """Whether it is several lines."""
        return self.setting.fact.key in _LONG or "\n" in self.value


def _settings(visit: Visit) -> Response:
    return _page(visit, visit.installation.catalogue.profiles.get(visit.number()))


def _save(visit: Visit) -> Response:
    profile = visit.installation.catalogue.profiles.get(visit.number())
    changes, name = _changes(visit), visit.field("name")
    if visit.field("revision") != profile.revision:
        return _page(visit, profile, 409, changes=changes, name=name, meanwhile=True)
    problems = settings_problems({**profile.configuration, **changes})
    if problems or not name.strip():
        return _page(visit, profile, 400, changes=changes, name=name, problems=problems)
    try:
        save_settings(
            visit.installation, profile, name=name, values=changes, quickicon="1" in visit.fields("quickicon")
        )
    except ChangedMeanwhileError:
        profile = visit.installation.catalogue.profiles.get(profile.id)
        return _page(visit, profile, 409, changes=changes, name=name, meanwhile=True)
    visit.note("profile changed", f"profile {profile.id}", settings=", ".join(sorted(changes)))
    return visit.redirect(visit.to(f"/profiles/{profile.id}/settings", q=visit.asked("q")), "The profile is saved.")


def _page(
    visit: Visit,
    profile: Profile,
    status: int = 200,
    *,
    changes: Mapping[str, str] | None = None,
    name: str | None = None,
    problems: Mapping[str, str] | None = None,
    meanwhile: bool = False,
) -> Response:
    """Return the form: with what is stored, what the user changed over it, and what is wrong with that."""
    base = _base(visit) if meanwhile else None
    search = visit.asked("q").strip()
    groups = [
        (title, [_field(one, changes or {}, problems or {}, base) for one in values if _matches(one, search)])
        for title, values in profile_settings(profile)
    ]
    on_page = {field.setting.fact.key for _title, fields in groups for field in fields}
    elsewhere = {key: sentence for key, sentence in (problems or {}).items() if key not in on_page}
    return visit.page(
        "settings/profile.html",
        status,
        profile=profile,
        name=profile.description if name is None else name,
        name_problem="A profile needs a name." if name is not None and not name.strip() else "",
        groups=[(title, fields) for title, fields in groups if fields],
        problems=[field for _title, fields in groups for field in fields if field.problem],
        elsewhere=elsewhere,
        meanwhile=meanwhile,
        # What the form was made from: what the user did not touch is never stored over what others stored.
        base=json.dumps(_shown_values(profile)),
        search=search,
        unknown=unknown_keys(profile),
        storages=[one.name for one in visit.installation.catalogue.destinations.all()],
        schedules=len(visit.installation.catalogue.schedules.all(profile_id=profile.id)),
    )


def _field(
    setting: SettingValue, changes: Mapping[str, str], problems: Mapping[str, str], base: Mapping[str, str] | None
) -> _Field:
    fact = setting.fact
    is_secret = fact.kind == "secret"
    value = "" if is_secret else changes.get(fact.key, setting.value) or fact.default
    was = setting.value if base is None else base.get(fact.key, fact.default)
    meanwhile = setting.value if not is_secret and was != setting.value else None
    return _Field(setting, value, problems.get(fact.key, ""), meanwhile)


def _matches(setting: SettingValue, search: str) -> bool:
    text = f"{setting.title} {setting.fact.name} {setting.fact.key} {setting.fact.description}".casefold()
    return all(word in text for word in search.casefold().split())


def _shown_values(profile: Profile) -> dict[str, str]:
    """Return what the form shows of settings that differ from their defaults, secrets left out."""
    found = (one for _title, values in profile_settings(profile) for one in values)
    return {one.fact.key: one.value for one in found if one.fact.kind != "secret" and one.is_set}


def _base(visit: Visit) -> dict[str, str]:
    try:
        found = json.loads(visit.field("base", "{}"))
    except ValueError:
        return {}
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def _changes(visit: Visit) -> dict[str, str]:
    """Return what the user changed in the form, by dotted key; an empty value is one that goes back to its default."""
    base, changes = _base(visit), {}
    for fact in setting_facts():
        if fact.kind == "secret":
            change = _change_of_secret(visit, fact)
        elif visit.field(f"reset.{fact.name}"):
            change = ""
        else:
            change = _change(visit, fact, base.get(fact.key, fact.default))
        if change is not None:
            changes[fact.key] = change
    return changes


def _change(visit: Visit, fact: SettingFact, was: str) -> str | None:
    """Return the new value of a setting; None where it is not on the form, or nobody touched it."""
    sent = visit.fields(f"s.{fact.name}")
    if not sent:
        return None
    value = sent[-1].replace("\r\n", "\n")
    # The form shows a value with unseen characters escaped: so it comes back where nobody touched it.
    if value in (was, shown(was, kept="\n\t").replace("\r\n", "\n")):
        return None
    value = value.strip() if fact.key not in _LONG else value.strip("\n")
    return "" if value == fact.default else value


def _change_of_secret(visit: Visit, fact: SettingFact) -> str | None:
    if visit.field(f"remove.{fact.name}"):
        return ""
    return visit.field(f"s.{fact.name}") or None


ROUTES = (
    PageRoute("GET", "/profiles/{number:int}/settings", Role.VIEWER, _settings),
    PageRoute("POST", "/profiles/{number:int}/settings", Role.ADMINISTRATOR, _save),
)
