"""Methods about profiles, their configuration and their transfer (api-methods.md 4 and 5.1)."""

from __future__ import annotations

from pydantic import Field

from backstay.api.conversion import Boolean, Integer, Mapping, PathText, ProfileId, Text
from backstay.api.methods.model import Failure, Method, Parameters, Scope
from backstay.api.replies import Document, Flag, FolderListing, Imported, ProfileExport

INVALID_PROFILE = Failure(404, "Invalid profile ID", "there is no such profile, or none was named")
DEFAULT_PROFILE = Failure(404, "You cannot delete the default backup profile", "`profile` is 1")
IMPORT_INCOMPLETE = Failure(
    0,
    "Invalid profile data: description, configuration and filters are all required.",
    "`data` lacks one of its three keys",
)


class ProfileParameters(Parameters):
    """Parameters of methods that only name a profile."""

    profile: ProfileId = Field(default=1, description="Number of the profile; 0 means 1.")


class ImportParameters(Parameters):
    """Parameters of importConfiguration."""

    profile: Integer = Field(default=0, description="0: make a new profile; otherwise the profile to overwrite.")
    data: Mapping = Field(
        default_factory=dict, description="An object with `description`, `configuration` and `filters`."
    )


class SaveConfigurationParameters(Parameters):
    """Parameters of saveConfiguration."""

    profile: Integer = Field(default=-1, description="Number of the profile.")
    engineconfig: Mapping = Field(
        default_factory=dict, description="Dotted configuration keys and their values; others stay as they are."
    )


class SaveProfileParameters(Parameters):
    """Parameters of saveProfile."""

    profile: Integer = Field(default=0, description="Profile to change; 0: make a new one.")
    description: Text = Field(default="", description="Title; needed for a new profile that is not a copy.")
    quickicon: Boolean | None = Field(default=None, description="Whether it is offered as a one-click backup.")
    source: Integer = Field(default=0, description="Profile to copy.")


class NamedProfileParameters(Parameters):
    """Parameters of deleteProfile."""

    profile: Integer = Field(default=0, description="Number of the profile.")


class BrowseParameters(Parameters):
    """Parameters of browse."""

    folder: PathText = Field(default="", description="Absolute path; empty: the site's root.")
    processfolder: Boolean = Field(default=False, description="Replace variables such as [SITEROOT] in it.")


EXPORT_CONFIGURATION: Method[ProfileParameters, ProfileExport] = Method(
    name="exportConfiguration",
    summary="Answers a profile with its configuration and filters, for importConfiguration.",
    parameters=ProfileParameters,
    reply_type=ProfileExport,
    scope=Scope.CONFIGURE,
    first_level=341,
    failures=(INVALID_PROFILE,),
    example={"profile": 1},
    example_reply={"description": "Default Backup Profile", "configuration": "{}", "filters": "{}"},
)

IMPORT_CONFIGURATION: Method[ImportParameters, list[int]] = Method(
    name="importConfiguration",
    summary="Makes a profile from what exportConfiguration answered; answers a list of its number (others: true).",
    parameters=ImportParameters,
    reply_type=Imported,
    scope=Scope.CONFIGURE,
    first_level=341,
    changes=((600, "`profile` is ignored: a new profile is always made."),),
    failures=(IMPORT_INCOMPLETE, INVALID_PROFILE),
    example={"profile": 0, "data": {"description": "A copy", "configuration": "{}", "filters": "{}"}},
    example_reply=[2],
    repeatable=False,
)

GET_GUI_CONFIGURATION: Method[ProfileParameters, Document] = Method(
    name="getGUIConfiguration",
    summary="Answers a description of every setting and its present value, as a string that holds JSON.",
    parameters=ProfileParameters,
    reply_type=Document,
    scope=Scope.CONFIGURE,
    first_level=340,
    last_level=500,
    failures=(INVALID_PROFILE,),
    example={"profile": 1},
    example_reply='{"engines":{},"installers":{},"gui":{}}',
)

SAVE_CONFIGURATION: Method[SaveConfigurationParameters, Flag] = Method(
    name="saveConfiguration",
    summary="Changes settings of a profile.",
    parameters=SaveConfigurationParameters,
    reply_type=Flag,
    scope=Scope.CONFIGURE,
    first_level=340,
    last_level=500,
    failures=(INVALID_PROFILE,),
    example={"profile": 1, "engineconfig": {"akeeba.basic.backup_type": "fileonly"}},
    example_reply=True,
)

SAVE_PROFILE: Method[SaveProfileParameters, Flag] = Method(
    name="saveProfile",
    summary="Makes, copies or renames a profile.",
    parameters=SaveProfileParameters,
    reply_type=Flag,
    scope=Scope.CONFIGURE,
    first_level=340,
    last_level=500,
    failures=(INVALID_PROFILE,),
    example={"profile": 0, "description": "Files only", "source": 1},
    example_reply=True,
    repeatable=False,
)

DELETE_PROFILE: Method[NamedProfileParameters, Flag] = Method(
    name="deleteProfile",
    summary="Deletes a profile.",
    parameters=NamedProfileParameters,
    reply_type=Flag,
    scope=Scope.CONFIGURE,
    first_level=340,
    last_level=500,
    failures=(INVALID_PROFILE, DEFAULT_PROFILE),
    example={"profile": 2},
    example_reply=True,
)

BROWSE: Method[BrowseParameters, FolderListing] = Method(
    name="browse",
    summary="Lists the folders in a folder of the server.",
    parameters=BrowseParameters,
    reply_type=FolderListing,
    scope=Scope.CONFIGURE,
    first_level=340,
    last_level=500,
    example={"folder": "/srv/site"},
    example_reply={
        "folder": "/srv/site",
        "folder_raw": "/srv/site",
        "parent": "/srv",
        "exists": True,
        "inRoot": True,
        "openbasedirRestricted": False,
        "writable": True,
        "subfolders": ["images"],
        "breadcrumbs": [{"label": "srv", "folder": "/srv"}, {"label": "site", "folder": "/srv/site"}],
    },
)

METHODS = (
    EXPORT_CONFIGURATION,
    IMPORT_CONFIGURATION,
    GET_GUI_CONFIGURATION,
    SAVE_CONFIGURATION,
    SAVE_PROFILE,
    DELETE_PROFILE,
    BROWSE,
)
