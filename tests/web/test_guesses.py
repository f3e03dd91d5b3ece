"""Those who guess are slowed; owners are not locked out, and others are not held up."""

from __future__ import annotations

import threading
import time

import pytest

from backstay.jobs.users import Role
from backstay.web.guesses import FREE_CODES, Guesses
from web.driving import PASSWORD, Visitor


class Clock:
    """A clock that stands until it is moved."""

    now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def test_a_name_that_many_addresses_guess_is_refused_to_unknown_browsers_alone() -> None:
    guesses = Guesses(Clock())
    for number in range(60):
        guesses.failed(f"192.0.2.{number}", "anna")
    assert guesses.is_refused("198.51.100.1", "anna")
    assert not guesses.is_refused("198.51.100.1", "anna", known=True)
    assert not guesses.is_refused("198.51.100.1", "ben")


def test_an_address_that_guesses_is_slowed_and_then_refused() -> None:
    guesses = Guesses(Clock())
    delays = [guesses.failed("192.0.2.1", f"name {number}") for number in range(45)]
    assert (delays[0], delays[30] > 5) == (0.0, True)
    assert guesses.is_refused("192.0.2.1", "anyone", known=True)
    guesses.succeeded("192.0.2.1")
    assert not guesses.is_refused("192.0.2.1", "anyone")


def test_wrong_codes_wait_twice_as_long_each_time_and_never_for_ever() -> None:
    clock = Clock()
    guesses = Guesses(clock)
    waits = []
    for _attempt in range(FREE_CODES + 20):
        guesses.code_failed(1)
        waits.append(guesses.code_wait(1))
    assert FREE_CODES == 5
    assert waits[FREE_CODES - 1 : FREE_CODES + 3] == [0.0, 2.0, 4.0, 8.0]
    assert waits[-1] == 3600.0
    assert guesses.code_wait(2) == 0.0
    clock.now += 3601
    assert guesses.code_wait(1) == 0.0
    guesses.code_right(1)
    guesses.code_failed(1)
    assert guesses.code_wait(1) == 0.0


def test_a_word_works_once() -> None:
    guesses = Guesses()
    assert [guesses.is_first_use("a"), guesses.is_first_use("a"), guesses.is_first_use("b")] == [True, False, True]


def test_what_is_remembered_is_bounded_and_the_oldest_is_forgotten_first() -> None:
    guesses = Guesses(Clock())
    for number in range(10_001):
        assert guesses.is_first_use(f"word {number}")
    assert not guesses.is_first_use("word 1")
    assert guesses.is_first_use("word 0")
    for _attempt in range(6):
        guesses.code_failed(0)
    for number in range(1, 10_001):
        guesses.code_failed(number)
    assert guesses.code_wait(0) == 0.0
    for _attempt in range(5):
        guesses.code_failed(1)
    assert guesses.code_wait(1) == 2.0


def test_a_known_browser_signs_in_while_others_guess_the_name(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor.signed_in(Role.VIEWER)
    monkeypatch.setattr(Guesses, "failed", lambda *_given: 0.0)
    monkeypatch.setattr(Guesses, "is_refused", lambda *_given, known=False: not known)
    visitor.post("/sign-out")
    fields = {"name": "viewer", "password": PASSWORD}
    assert "Sign out" in visitor.post("/sign-in", dict(fields), form_at="/sign-in").text
    visitor.client.cookies.clear()
    assert visitor.post("/sign-in", dict(fields), form_at="/sign-in").status_code == 429


def test_answers_that_are_held_back_hold_no_thread(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty guessers wait, more than there are threads, and a page is answered before the first of them."""
    visitor.signed_in(Role.VIEWER)
    token = visitor.token()
    monkeypatch.setattr(Guesses, "failed", lambda *_given: 15.0)
    ended: list[float] = []

    def guess() -> None:
        fields = {"old": "wrong", "password": "x", "password_again": "x", "from_here": token}
        visitor.client.post("/account/password", data=fields)
        ended.append(time.monotonic())

    with visitor.client:
        threads = [threading.Thread(target=guess) for _number in range(30)]
        for thread in threads:
            thread.start()
        assert visitor.get("/account").status_code == 200
        answered = time.monotonic()
        for thread in threads:
            thread.join()
    assert len(ended) == 30
    assert answered < min(ended)
