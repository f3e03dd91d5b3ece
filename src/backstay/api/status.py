"""Status numbers of the API and what they mean.

The status stands inside the JSON of a reply; the HTTP status is 200 whatever happens (clients.md, replies;
api-v1-encapsulation.md 6). ``downloadDirect`` alone uses the HTTP status.
"""

from __future__ import annotations

from enum import IntEnum
from http import HTTPStatus

from backstay.errors import (
    AuthenticationError,
    BackstayError,
    NotFoundError,
    PermissionDeniedError,
    RemoteError,
)


class Status(IntEnum):
    """Every status that servers of the API are known to answer."""

    NO_CODE = 0
    OK = 200
    CONFLICTING_INSTALLATION = 400
    AUTHENTICATION_FAILED = 401
    VERSION_TOO_OLD = 402
    NOT_ALLOWED = 403
    NOT_FOUND = 404
    UNKNOWN_METHOD = 405
    ERROR = 500
    NOT_SUPPORTED = 501
    ACCESS_DENIED = 503
    VERSION_1_REFUSED = 600


STATUS_MEANINGS: dict[Status, str] = {
    Status.NO_CODE: "The method failed and gave no number of its own.",
    Status.OK: "The call succeeded.",
    Status.CONFLICTING_INSTALLATION: "Two installations of the backup software are in each other's way.",
    Status.AUTHENTICATION_FAILED: "The secret is wrong, or the request could not be decoded (version 1).",
    Status.VERSION_TOO_OLD: "The backup software of the site is too old.",
    Status.NOT_ALLOWED: "The caller is known, and may not call this method.",
    Status.NOT_FOUND: "The record, part, segment or profile does not exist.",
    Status.UNKNOWN_METHOD: "There is no method of this name.",
    Status.ERROR: "The request could not be decoded, or the method failed.",
    Status.NOT_SUPPORTED: "The method is no longer supported at this API level.",
    Status.ACCESS_DENIED: "The API is switched off, or the secret or token is missing or wrong (versions 2 and 3).",
    Status.VERSION_1_REFUSED: "The server no longer answers version 1 of the API.",
}

ACCESS_DENIED = "Access denied"
AUTHENTICATION_FAILED = "Authentication failed"
NOT_ALLOWED = "Your credentials do not allow this method"
JSON_ERROR = "JSON decoding error"
UNKNOWN_ENCAPSULATION = "The requested encapsulation type is not supported"
NOT_ENCODABLE = "Empty data cannot be encapsulated"
NO_LONGER_SUPPORTED = "This method is no longer supported by the Akeeba Remote JSON API"


class ApiError(BackstayError):
    """A call of the API ended with a status other than 200.

    Attributes:
        status: the status for the reply, an integer; 0 where the API documents "no code".
        message: the text for the reply's ``data``.
    """

    exit_code = 61

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = int(status)
        self.message = message


def unknown_method(name: str) -> ApiError:
    """The error for a method that does not exist; ``name`` exactly as it was sent."""
    return ApiError(Status.UNKNOWN_METHOD, f"Invalid method {name}")


def not_supported() -> ApiError:
    """The error for a method that exists no longer at the level the server reports."""
    return ApiError(Status.NOT_SUPPORTED, NO_LONGER_SUPPORTED)


def error_of_status(status: int, message: str) -> BackstayError:
    """The error to raise for a reply whose status is not 200, as a client's user meets it.

    Args:
        status: status of the reply.
        message: its message, already free of secrets.

    Returns:
        An error, not raised: 401 and 503 mean "who are you", 403 "you may not" (api-v3.md).
    """
    said = message or STATUS_MEANINGS.get(_known(status), f"status {status}")
    if status == Status.ACCESS_DENIED and message == UNKNOWN_ENCAPSULATION:
        # The one 503 that says nothing of the secret (api-v1-encapsulation.md 6, check 3).
        return RemoteError("The server does not take encrypted requests: use encapsulation 1 over HTTPS.", status)
    if status in (Status.AUTHENTICATION_FAILED, Status.ACCESS_DENIED):
        return AuthenticationError(f"The server did not accept the secret or token: {said}")
    if status == Status.NOT_ALLOWED:
        return PermissionDeniedError(f"The secret or token does not allow this: {said}")
    if status == Status.NOT_FOUND:
        return NotFoundError(f"The server did not find it: {said}")
    return RemoteError(f"The server answered with an error: {said} (status {status})", status)


def _known(status: int) -> Status:
    try:
        return Status(status)
    except ValueError:
        return Status.ERROR


def http_phrase(status: int) -> str:
    """The standard phrase of an HTTP status, or an empty string for a number that has none."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
