"""Answers about the settings of a profile, and the folders of the server (api-methods.md 5.1)."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backstay.api.methods.profiles import (
    INVALID_PROFILE,
    BrowseParameters,
    ProfileParameters,
    SaveConfigurationParameters,
)
from backstay.api.replies import Crumb, FolderListing
from backstay.catalogue import Profile
from backstay.engine.installer import NONE, selectable
from backstay.profiles import SITE_ROOT, SettingFact, as_stored, setting_facts
from backstay.profiles.transfer import flattened
from backstay.server.handlers.editing import change_profile, found_profile
from backstay.server.handlers.model import Call, Handler

_INSTALLER_KEY = "akeeba.advanced.embedded_installer"
_OUTPUT_KEY = "akeeba.basic.output_directory"
_DEFAULT_OUTPUT = "[DEFAULT_OUTPUT]"

_ENGINES = (
    ("archiver", "jpa", "JPA", "The format of the reference engine.", ("engine.archiver.common.",)),
    ("archiver", "jps", "JPS", "JPA, encrypted.", ("engine.archiver.common.", "engine.archiver.jps.")),
    ("archiver", "zip", "ZIP", "Opens everywhere.", ("engine.archiver.common.",)),
    ("dump", "native", "Databases", "Databases as SQL.", ("engine.dump.",)),
    ("scan", "smart", "Files", "Files in the order of their paths.", ("backstay.scan.",)),
)
_GROUPS = {
    "basic": ("akeeba.basic.",),
    "advanced": ("akeeba.advanced.", "backstay.archiver.", "backstay.verify"),
    "site": ("akeeba.platform.", "backstay.site."),
    "quota": ("akeeba.quota.",),
    "tuning": ("akeeba.tuning.",),
    "filters": ("core.filters.", "backstay.filters."),
}
_FORM_TYPES = {"bool": "bool", "int": "integer", "str": "string", "enum": "enum", "secret": "password"}


def describe(call: Call, parameters: ProfileParameters) -> str:
    """Return a description of every setting with its present value, as JSON text."""
    stored = found_profile(call, parameters.profile).configuration
    facts = setting_facts()
    engines: dict[str, Any] = {}
    for kind, name, title, description, prefixes in _ENGINES:
        engines.setdefault(kind, {})[name] = {
            "information": {"title": title, "description": description},
            "parameters": _form(facts, prefixes, stored),
        }
    groups = {title: _form(facts, prefixes, stored) for title, prefixes in _GROUPS.items()}
    grouped = json.dumps([engines, groups])
    groups["other"] = _form([fact for fact in facts if f'"{fact.key}"' not in grouped], ("",), stored)
    installers = _installers(stored.get(_INSTALLER_KEY, ""), call.installation.home.installers)
    return json.dumps({"engines": engines, "installers": installers, "gui": groups})


def save(call: Call, parameters: SaveConfigurationParameters) -> bool:
    """Merge values into a profile; unknown keys are kept, values that can't be used are refused."""
    if parameters.profile == 0:
        raise INVALID_PROFILE.error()
    values = flattened(parameters.engineconfig)

    def with_them(profile: Profile) -> Profile:
        changed = profile.with_values(values)
        if values.get(_OUTPUT_KEY) in (SITE_ROOT, changed.settings().root or SITE_ROOT):
            changed = changed.with_values({_OUTPUT_KEY: _DEFAULT_OUTPUT})
        return changed

    change_profile(call, max(1, parameters.profile), with_them)
    return True


def browse(call: Call, parameters: BrowseParameters) -> FolderListing:
    """List the folders in a folder; the empty one is the root of the first profile's site."""
    root = found_profile(call, 1).settings().root or str(Path.home())
    folder = os.path.normpath(_replaced(call, root, parameters) or root)
    if not folder.startswith("/"):
        folder = os.path.normpath(os.path.join(root, folder))  # noqa: PTH118 - the bytes of the name must survive
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
        restricted = False
    except PermissionError:
        names, restricted = [], True
    except OSError:
        names, restricted = [], False
    return FolderListing(
        folder=folder,
        folder_raw=parameters.folder,
        parent=os.path.dirname(folder),  # noqa: PTH120 - as above
        exists=Path(folder).is_dir(),
        in_root=Path(folder).is_relative_to(root),
        openbasedir_restricted=restricted,
        writable=os.access(folder, os.W_OK),
        subfolders=names,
        breadcrumbs=_crumbs(folder),
    )


def _replaced(call: Call, root: str, parameters: BrowseParameters) -> str:
    if not parameters.processfolder:
        return parameters.folder
    variables = {
        SITE_ROOT: root,
        "[ROOTPARENT]": str(Path(root).parent),
        "[SITETMP]": tempfile.gettempdir(),
        _DEFAULT_OUTPUT: str(call.installation.home.archives),
    }
    folder = parameters.folder
    for variable, value in variables.items():
        folder = folder.replace(variable, value)
    return folder


def _crumbs(folder: str) -> list[Crumb]:
    pieces = [piece for piece in folder.split("/") if piece]
    return [Crumb(label=piece, folder="/" + "/".join(pieces[: number + 1])) for number, piece in enumerate(pieces)]


def _installers(setting: str, folder: Path) -> dict[str, dict[str, str]]:
    """Return what a profile can embed, by the value of its setting."""
    described = {name: f"The PHP restoration script {name}." for name in selectable(setting, folder)}
    described[NONE] = "No restoration script: Backstay restores by itself."
    return {name: {"name": name, "description": description} for name, description in described.items()}


def _form(facts: list[SettingFact], prefixes: tuple[str, ...], stored: Mapping[str, str]) -> dict[str, Any]:
    return {fact.key: _field(fact, stored) for fact in facts if fact.key.startswith(prefixes)}


def _field(fact: SettingFact, stored: Mapping[str, str]) -> dict[str, Any]:
    field: dict[str, Any] = {
        "default": as_stored(stored.get(fact.key, fact.default)),
        "type": _FORM_TYPES[fact.kind],
        "title": fact.name.replace("_", " ").capitalize(),
        "description": fact.description,
    }
    if fact.kind == "enum":
        field |= {"enumkeys": "|".join(fact.choices), "enumvalues": "|".join(fact.choices)}
    if fact.minimum is not None:
        field["min"] = fact.minimum
    if fact.maximum is not None:
        field["max"] = fact.maximum
    return field


HANDLERS = {
    "getGUIConfiguration": Handler(describe),
    "saveConfiguration": Handler(save),
    "browse": Handler(browse),
}
