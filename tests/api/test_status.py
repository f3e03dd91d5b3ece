"""Statuses become the errors that users meet."""

from __future__ import annotations

import pytest

from backstay.api.status import STATUS_MEANINGS, Status, error_of_status, not_supported, unknown_method
from backstay.errors import AuthenticationError, BackstayError, NotFoundError, PermissionDeniedError, RemoteError


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, AuthenticationError),
        (503, AuthenticationError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (0, RemoteError),
        (402, RemoteError),
        (405, RemoteError),
        (500, RemoteError),
        (501, RemoteError),
        (600, RemoteError),
        (999, RemoteError),
    ],
)
def test_who_are_you_and_you_may_not_are_different_errors(status: int, kind: type[BackstayError]) -> None:
    error = error_of_status(status, "the message")
    assert type(error) is kind
    assert "the message" in str(error)
    assert getattr(error, "status", status) == status


def test_a_status_without_a_message_is_explained() -> None:
    assert "no method of this name" in str(error_of_status(405, ""))


def test_every_status_has_a_meaning() -> None:
    assert set(STATUS_MEANINGS) == set(Status)


def test_the_errors_every_call_may_meet() -> None:
    assert (unknown_method("nOpe").status, unknown_method("nOpe").message) == (405, "Invalid method nOpe")
    assert not_supported().status == 501
    assert not_supported().message == "This method is no longer supported by the Akeeba Remote JSON API"
