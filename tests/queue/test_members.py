"""The processes that share the work of a home, and what they store."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from backstay.jobs.installation import Installation
from backstay.queue import members
from backstay.queue.serializer import JsonSerializer, WorkflowError


def test_each_process_has_a_name_of_its_own_and_a_dead_one_s_is_free_again(installation: Installation) -> None:
    assert not members.anyone_lives(installation)
    first, second = members.join(installation.home), members.join(installation.home)
    assert (first.name, second.name) == ("member-1", "member-2")
    assert members.lives(installation.home, first.name)
    first.leave()
    assert not members.lives(installation.home, first.name)
    assert members.lives(installation.home, second.name)
    third = members.join(installation.home)
    assert third.name == first.name
    for member in (second, third):
        member.leave()
    assert not members.anyone_lives(installation)


@pytest.mark.parametrize("name", ["local", "", "member-1/../member-2", "../jobs/1"])
def test_a_name_that_is_not_a_process_s_does_not_live(installation: Installation, name: str) -> None:
    taken = [members.join(installation.home), members.join(installation.home)]
    assert not members.lives(installation.home, name)
    for member in taken:
        member.leave()


def test_arguments_results_and_errors_are_stored_as_json() -> None:
    moment = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    form = JsonSerializer()
    stored = form.serialize({"args": (moment, 7, None), "kwargs": {"text": "Käse"}})
    assert form.deserialize(stored) == {"args": [moment, 7, None], "kwargs": {"text": "Käse"}}
    error = form.deserialize(form.serialize(OSError("no space")))
    assert isinstance(error, WorkflowError)
    assert str(error) == "OSError: no space"
    with pytest.raises(TypeError, match="plain data"):
        form.serialize(object())
