"""Methods about which files and directories are left out (api-methods.md 5.3)."""

from __future__ import annotations

from pydantic import Field

from backstay.api.conversion import Boolean, PathText, Text
from backstay.api.methods.database_filters import FILTER_TYPE_MISSING, REGEX_MISSING
from backstay.api.methods.model import Failure, Method, Scope
from backstay.api.methods.profiles import ProfileParameters
from backstay.api.replies import FileEntities, FilterChange, FilterItems, Flag, RegexFilterItems, Roots

SITE_ROOT = "[SITEROOT]"

UNKNOWN_FILE_ROOT = Failure(500, "Unknown filesystem root", "`root` is empty or not known")
UNKNOWN_PATH = Failure(500, "Unknown path", "`path` is empty")
UNKNOWN_REGEX_ROOT = Failure(500, "Unknown database root", "`root` is empty or not known (the text is the vendor's)")


class FileRootParameters(ProfileParameters):
    """Parameters of methods about one root of files."""

    root: PathText = Field(default=SITE_ROOT, description="A root that getFSRoots named.")


class FileEntitiesParameters(FileRootParameters):
    """Parameters of getFSEntities."""

    subdirectory: PathText = Field(default="", description="Path in the root; empty: the root itself.")


class FileFilterParameters(FileRootParameters):
    """Parameters of setFSFilter."""

    path: PathText = Field(default="", description="Path in the root, without slashes at its ends.")
    type: Text = Field(default="", description="`directories`, `skipdirs`, `skipfiles` or `files`.")
    status: Boolean = Field(default=True, description="Whether the filter is to be set or taken away.")


class FileRegexParameters(FileRootParameters):
    """Parameters of setRegexFSFilter."""

    regex: Text = Field(default="", description="PCRE with delimiters; a leading `!` negates.")
    type: Text = Field(
        default="regexdirectories", description="`regexdirectories`, `regexskipdirs`, `regexskipfiles` or `regexfiles`."
    )
    status: Boolean = Field(default=True, description="Whether the filter is to be set or taken away.")


GET_FS_ROOTS: Method[ProfileParameters, Roots] = Method(
    name="getFSRoots",
    summary="Lists the folders that a profile backs up.",
    parameters=ProfileParameters,
    reply_type=Roots,
    scope=Scope.CONFIGURE,
    first_level=340,
    last_level=500,
    example={"profile": 1},
    example_reply=[{"value": SITE_ROOT, "text": "/srv/site"}],
)

GET_FS_FILTERS: Method[FileRootParameters, FilterItems] = Method(
    name="getFSFilters",
    summary="Lists the filters of files and directories.",
    parameters=FileRootParameters,
    reply_type=FilterItems,
    scope=Scope.CONFIGURE,
    first_level=340,
    last_level=500,
    failures=(UNKNOWN_FILE_ROOT,),
    example={"profile": 1, "root": SITE_ROOT},
    example_reply=[{"node": "media/huge", "type": "directories"}],
)

GET_FS_ENTITIES: Method[FileEntitiesParameters, FileEntities] = Method(
    name="getFSEntities",
    summary="Lists a directory of the site and how the filters see what is in it.",
    parameters=FileEntitiesParameters,
    reply_type=FileEntities,
    scope=Scope.CONFIGURE,
    first_level=340,
    last_level=500,
    failures=(UNKNOWN_FILE_ROOT,),
    example={"profile": 1, "subdirectory": "media"},
    example_reply={
        "folders": {"huge": {"directories": 1, "skipfiles": 0, "skipdirs": 0, "link": False}},
        "files": {"index.html": {"files": 0, "size": 44, "link": False}},
        "root": SITE_ROOT,
        "crumbs": ["media"],
    },
)

SET_FS_FILTER: Method[FileFilterParameters, FilterChange] = Method(
    name="setFSFilter",
    summary="Leaves a file or directory out of the backup, or takes it in again.",
    parameters=FileFilterParameters,
    reply_type=FilterChange,
    scope=Scope.CONFIGURE,
    first_level=340,
    last_level=500,
    failures=(UNKNOWN_FILE_ROOT, UNKNOWN_PATH, FILTER_TYPE_MISSING),
    example={"profile": 1, "path": "media/huge", "type": "directories", "status": 1},
    example_reply={"success": True, "newstate": True},
)

GET_REGEX_FS_FILTERS: Method[FileRootParameters, RegexFilterItems] = Method(
    name="getRegexFSFilters",
    summary="Lists the filters of files and directories that are regular expressions.",
    parameters=FileRootParameters,
    reply_type=RegexFilterItems,
    scope=Scope.CONFIGURE,
    first_level=340,
    last_level=500,
    failures=(UNKNOWN_REGEX_ROOT,),
    example={"profile": 1, "root": SITE_ROOT},
    example_reply=[{"type": "regexfiles", "item": "#\\.bak$#i"}],
)

SET_REGEX_FS_FILTER: Method[FileRegexParameters, Flag] = Method(
    name="setRegexFSFilter",
    summary="Sets or takes away a regular expression for files and directories.",
    parameters=FileRegexParameters,
    reply_type=Flag,
    scope=Scope.CONFIGURE,
    first_level=340,
    last_level=500,
    failures=(UNKNOWN_REGEX_ROOT, REGEX_MISSING, FILTER_TYPE_MISSING),
    example={"profile": 1, "root": SITE_ROOT, "regex": "#\\.bak$#i", "type": "regexfiles", "status": 1},
    example_reply=True,
)

METHODS = (
    GET_FS_ROOTS,
    GET_FS_FILTERS,
    GET_FS_ENTITIES,
    SET_FS_FILTER,
    GET_REGEX_FS_FILTERS,
    SET_REGEX_FS_FILTER,
)
