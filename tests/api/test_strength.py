"""The table of api-v1-encapsulation.md 9."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.api.strength import alphabet_size, common_passwords, require_strong, score, weakness
from backstay.errors import UsageError


@pytest.mark.parametrize(
    ("secret", "valid"),
    [
        ("abcdefghijklmnopqrst", False),
        ("abcdefghijklmnopqrstu", True),
        ("abcdefghij01234567", False),
        ("abcdefghij012345678", True),
        ("Abcdefghij01234", False),
        ("Abcdefghij012345", True),
        ("4815162342481516234248151623", False),
        ("48151623424815162342481516234", True),
        ("Pa$$w0rd!Pa$$w0r", True),
        ("password123", False),
        ("bar", False),
        ("1234", False),
        ("secret", False),
        ("qwertyui", False),
        ("QWERTYUI", False),
        ("", False),
        ("password123 and much more than that", True),
        ("żółw-ßtraße-øre", True),
    ],
)
def test_secrets_are_judged_as_documented(secret: str, valid: bool) -> None:
    assert (weakness(secret) is None) is valid


@pytest.mark.parametrize(
    ("secret", "size"),
    [
        (" ", 1),
        ("5", 10),
        ("Q", 26),
        ("q", 26),
        ("!", 15),
        ("@", 7),
        ("[", 6),
        ("~", 4),
        ("é", 128),
        ("ő", 128),
        ("\t", 0),
    ],
)
def test_each_range_adds_its_size(secret: str, size: int) -> None:
    assert alphabet_size(secret) == size
    assert alphabet_size(secret + secret) == size


def test_a_common_password_scores_nothing() -> None:
    assert score("password123") == 0.0


def test_a_weak_secret_is_refused_with_a_sentence() -> None:
    with pytest.raises(UsageError, match="too short"):
        require_strong("bar")


def test_there_are_some_hundreds_of_common_passwords_in_lower_case() -> None:
    words = common_passwords()
    assert len(words) > 400
    assert all(word == word.lower() for word in words)


@given(st.text())
def test_any_text_can_be_judged(secret: str) -> None:
    assert score(secret) >= 0.0
