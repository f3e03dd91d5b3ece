"""One-time codes are those of RFC 6238, each works once, and what is turned off is asked for no more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from backstay.catalogue.users import User
from backstay.jobs.installation import Installation, open_installation
from backstay.jobs.second_factor import (
    matching_step,
    new_recovery_codes,
    turn_off,
    turn_on,
    use_code,
    use_recovery_code,
)

# RFC 6238 appendix B, the vectors of SHA-1, cut to the six digits that authenticators show.
SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
VECTORS = ((1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130"))


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Installation]:
    with open_installation(tmp_path / "home") as installation:
        yield installation


def user_of(installation: Installation) -> User:
    found = installation.catalogue.users.find("anna")
    assert found is not None
    return found


@pytest.mark.parametrize(("moment", "code"), VECTORS)
def test_a_code_is_taken_in_its_own_half_minute_and_its_neighbours(moment: int, code: str) -> None:
    step = moment // 30
    begin = step * 30
    assert matching_step(SECRET, f" {code[:3]} {code[3:]} ", moment) == step
    taken = [matching_step(SECRET, code, now) for now in (begin - 31, begin - 30, begin + 59, begin + 60)]
    assert taken == [None, step, step, None]


@pytest.mark.parametrize("code", ["", "28708", "2870820", "28708x", "२८७०८२", "２８７０８２", "-28708"])
def test_what_is_not_six_digits_is_no_code(code: str) -> None:
    assert matching_step(SECRET, code, 59) is None


def test_what_is_turned_off_is_asked_for_no_more(opened: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    opened.catalogue.users.create("anna", "viewer", opened.now())
    monkeypatch.setattr("time.time", lambda: 59.0)
    recovery = turn_on(opened, user_of(opened), SECRET, "287082")
    assert not use_code(opened, user_of(opened), "287082")
    monkeypatch.setattr("time.time", lambda: 1111111109.0)
    assert use_code(opened, user_of(opened), "081804")
    assert not use_code(opened, user_of(opened), "081804")
    assert use_recovery_code(opened, user_of(opened), recovery[0])
    turn_off(opened, user_of(opened))
    assert user_of(opened).second_factor == ""
    # The same authenticator may be set up again at once, with the code that it shows.
    turn_on(opened, user_of(opened), SECRET, "081804")


def test_recovery_codes_are_four_groups_of_four(opened: Installation) -> None:
    opened.catalogue.users.create("anna", "viewer", opened.now())
    made = new_recovery_codes(opened, user_of(opened))
    assert len(set(made)) == 10
    assert all(re.fullmatch(r"[a-z2-7]{4}(-[a-z2-7]{4}){3}", code) for code in made)
    assert all(use_recovery_code(opened, user_of(opened), code) for code in made)
