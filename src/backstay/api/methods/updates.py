"""Methods about updates of the backup software (api-methods.md 6)."""

from __future__ import annotations

from pydantic import Field

from backstay.api.conversion import Boolean
from backstay.api.methods.model import Method, NoParameters, Parameters, Scope
from backstay.api.replies import Flag, UpdateInformation


class UpdateInformationParameters(Parameters):
    """Parameters of updateGetInformation."""

    force: Boolean = Field(default=False, description="Look again instead of answering what is known.")


UPDATE_GET_INFORMATION: Method[UpdateInformationParameters, UpdateInformation] = Method(
    name="updateGetInformation",
    summary="Returns whether there is a newer version of the backup software.",
    parameters=UpdateInformationParameters,
    reply_type=UpdateInformation,
    scope=Scope.READ,
    first_level=319,
    last_level=400,
    changes=((320, "Not answered at this level."), (330, "Answered again; the flag is called `hasUpdate`.")),
    example={"force": 0},
    example_reply={"stuck": 0, "hasUpdate": False, "version": "8.2.6", "link": "", "infoURL": ""},
)


def _step(name: str, summary: str) -> Method[NoParameters, Flag]:
    return Method(
        name=name,
        summary=summary,
        parameters=NoParameters,
        reply_type=Flag,
        scope=Scope.CONFIGURE,
        first_level=319,
        last_level=400,
        offered=False,
        example_reply=True,
        repeatable=False,
    )


UPDATE_DOWNLOAD = _step("updateDownload", "Makes the server download the newer version of its backup software.")
UPDATE_EXTRACT = _step("updateExtract", "Makes the server unpack the version it downloaded.")
UPDATE_INSTALL = _step("updateInstall", "Makes the server finish the update.")

METHODS = (UPDATE_GET_INFORMATION, UPDATE_DOWNLOAD, UPDATE_EXTRACT, UPDATE_INSTALL)
