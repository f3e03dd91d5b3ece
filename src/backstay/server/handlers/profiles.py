"""Answers about profiles as a whole: save, delete, export, import (api-methods.md 4 and 5.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from backstay.api.methods.profiles import (
    DEFAULT_PROFILE,
    IMPORT_INCOMPLETE,
    INVALID_PROFILE,
    ImportParameters,
    NamedProfileParameters,
    ProfileParameters,
    SaveProfileParameters,
)
from backstay.api.replies import ProfileExport
from backstay.catalogue import Profile
from backstay.jobs.encrypted_settings import decrypted_settings
from backstay.profiles.transfer import (
    configuration_text,
    filters_text,
    read_configuration,
    read_filters,
    with_retention,
)
from backstay.server.handlers.editing import change_profile, found_profile
from backstay.server.handlers.model import Call, Handler

_IMPORTS_OVERWRITE_UP_TO = 500


def save(call: Call, parameters: SaveProfileParameters) -> bool:
    """Make, copy, overwrite or rename a profile, by which of profile and source are given."""
    table = call.installation.catalogue.profiles
    number, source, description = parameters.profile, parameters.source, parameters.description
    if number <= 0 and source <= 0 and not description:
        raise INVALID_PROFILE.error()
    start = found_profile(call, source) if source > 0 else None
    if number <= 0:
        base = start or Profile(id=0, description=description)
        table.create(_named(base, parameters))
    else:
        change_profile(call, number, lambda profile: _named(replace(start or profile, id=number), parameters))
    return True


def delete(call: Call, parameters: NamedProfileParameters) -> bool:
    """Delete a profile; its records stay."""
    if parameters.profile <= 0:
        raise INVALID_PROFILE.error()
    if parameters.profile == 1:
        raise DEFAULT_PROFILE.error()
    if not call.installation.catalogue.profiles.delete(parameters.profile):
        raise INVALID_PROFILE.error()
    return True


def export(call: Call, parameters: ProfileParameters) -> ProfileExport:
    """Return a profile with everything in it, decrypted."""
    profile = found_profile(call, parameters.profile)
    return ProfileExport(
        description=profile.description,
        configuration=configuration_text(with_retention(profile.configuration)),
        filters=filters_text(profile.filters),
    )


def import_(call: Call, parameters: ImportParameters) -> list[int]:
    """Store an exported profile: as a new one, or up to level 500 in the place of the one that is named.

    Returns:
        A list of the profile's number. Documentation and old servers say ``true``, on which the vendor's PHP client
        dies after the import succeeded; every known client takes the list as success (clients.md, replies).
    """
    data: Mapping[str, object] = parameters.data
    if any(data.get(key) is None for key in ("description", "configuration", "filters")):
        raise IMPORT_INCOMPLETE.error()
    server_key = call.installation.configuration.server.import_key.get_secret_value()
    profile = Profile(
        id=parameters.profile,
        description=str(data["description"]),
        configuration=read_configuration(
            data["configuration"], decrypt=lambda text: decrypted_settings(text, server_key)
        ),
        filters=read_filters(data["filters"]),
    )
    if parameters.profile > 0 and call.level <= _IMPORTS_OVERWRITE_UP_TO:
        change_profile(call, parameters.profile, lambda _old: profile)
        return [parameters.profile]
    return [call.installation.catalogue.profiles.create(profile).id]


def _named(profile: Profile, parameters: SaveProfileParameters) -> Profile:
    return replace(
        profile,
        description=parameters.description or profile.description,
        quickicon=profile.quickicon if parameters.quickicon is None else parameters.quickicon,
    )


HANDLERS = {
    "saveProfile": Handler(save),
    "deleteProfile": Handler(delete),
    "exportConfiguration": Handler(export),
    "importConfiguration": Handler(import_),
}
