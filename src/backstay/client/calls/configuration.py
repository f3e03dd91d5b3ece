"""Calls about profiles, their configuration and updates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backstay.api.methods import profiles, updates
from backstay.api.replies import FolderListing, ProfileExport
from backstay.client.calls import given
from backstay.client.messages import Call


def export_configuration(profile: int = 1) -> Call[ProfileExport]:
    """A profile with its configuration and filters."""
    return Call(profiles.EXPORT_CONFIGURATION, {"profile": profile})


def import_configuration(data: ProfileExport | Mapping[str, Any], profile: int = 0) -> Call[list[int]]:
    """Makes a profile from an exported one; gives a list of its number, empty where the server answers ``true``.

    Args:
        data: what ``export_configuration`` gave.
        profile: 0 makes a new one; otherwise the profile to overwrite (up to level 500).
    """
    exported = data.model_dump() if isinstance(data, ProfileExport) else dict(data)
    return Call(profiles.IMPORT_CONFIGURATION, {"profile": profile, "data": exported})


def get_gui_configuration(profile: int = 1) -> Call[str]:
    """Every setting, described, with its present value: a string that holds JSON."""
    return Call(profiles.GET_GUI_CONFIGURATION, {"profile": profile})


def save_configuration(engineconfig: Mapping[str, Any], profile: int = 1) -> Call[bool]:
    """Changes settings.

    Args:
        engineconfig: dotted keys and values; others stay as they are.
        profile: number of the profile.
    """
    return Call(profiles.SAVE_CONFIGURATION, {"profile": profile, "engineconfig": dict(engineconfig)})


def save_profile(
    profile: int = 0, description: str | None = None, *, quickicon: bool | None = None, source: int | None = None
) -> Call[bool]:
    """Makes, copies or renames a profile.

    Args:
        profile: the profile to change; 0: a new one.
        description: its title.
        quickicon: whether it is offered as a one-click backup.
        source: the profile to copy.
    """
    icon = None if quickicon is None else int(quickicon)
    data = given(profile=profile, description=description, quickicon=icon, source=source)
    return Call(profiles.SAVE_PROFILE, data)


def delete_profile(profile: int) -> Call[bool]:
    """Deletes a profile."""
    return Call(profiles.DELETE_PROFILE, {"profile": profile})


def browse(folder: str = "", *, processfolder: bool = False) -> Call[FolderListing]:
    """The folders in a folder of the server.

    Args:
        folder: absolute path; empty: the site's root.
        processfolder: replace variables such as [SITEROOT] in it.
    """
    return Call(profiles.BROWSE, {"folder": folder, "processfolder": int(processfolder)})


def update_get_information(*, force: bool = False) -> Call[dict[str, Any]]:
    """Whether there is a newer version of the backup software."""
    return Call(updates.UPDATE_GET_INFORMATION, {"force": int(force)})


def update_download() -> Call[bool]:
    """Makes the server download its newer version."""
    return Call(updates.UPDATE_DOWNLOAD)


def update_extract() -> Call[bool]:
    """Makes the server unpack the version it downloaded."""
    return Call(updates.UPDATE_EXTRACT)


def update_install() -> Call[bool]:
    """Makes the server finish the update."""
    return Call(updates.UPDATE_INSTALL)
