"""Statuses of replies as the errors a client's user meets."""

from __future__ import annotations

import pytest

from backstay.api.status import UNKNOWN_ENCAPSULATION, error_of_status
from backstay.errors import AuthenticationError, BackstayError, NotFoundError, PermissionDeniedError, RemoteError


@pytest.mark.parametrize(
    ("status", "message", "kind", "said"),
    [
        (401, "Authentication failed", AuthenticationError, "Authentication failed"),
        (503, "Access denied", AuthenticationError, "Access denied"),
        (503, UNKNOWN_ENCAPSULATION, RemoteError, "use encapsulation 1 over HTTPS"),
        (403, "No", PermissionDeniedError, "does not allow"),
        (404, "Invalid backup part", NotFoundError, "Invalid backup part"),
        (500, "A backup error has occurred: x", RemoteError, "A backup error has occurred: x"),
        (600, "", RemoteError, "600"),
        (0, "", RemoteError, "0"),
    ],
)
def test_each_status_is_an_error_of_its_own_kind(
    status: int, message: str, kind: type[BackstayError], said: str
) -> None:
    error = error_of_status(status, message)
    assert type(error) is kind
    assert said in str(error)
