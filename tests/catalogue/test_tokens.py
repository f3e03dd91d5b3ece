"""Tokens: made, replaced and revoked, worth nothing from one moment to the next, and kept as digests."""

from __future__ import annotations

import re
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from backstay.catalogue import Catalogue, Home, open_catalogue
from backstay.catalogue.tokens import Token
from backstay.errors import NotFoundError, UsageError

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def names(catalogue: Catalogue) -> list[str]:
    return [token.name for token in catalogue.tokens.all()]


def test_a_token_is_kept_as_it_was_made_and_listed_by_name(catalogue: Catalogue) -> None:
    expires = NOW + timedelta(days=1)
    catalogue.tokens.create("zeta", ["read", "backup"], NOW, expires)
    catalogue.tokens.create("alpha", [], NOW + SECOND)
    assert catalogue.tokens.all() == [
        Token(2, "alpha", frozenset(), NOW + SECOND, None, None),
        Token(1, "zeta", frozenset({"read", "backup"}), NOW, expires, None),
    ]


def test_a_token_opens_until_the_moment_it_expires(catalogue: Catalogue) -> None:
    expires = NOW + timedelta(days=1)
    token = catalogue.tokens.create("monitor", ["read", "backup"], NOW, expires)
    found = catalogue.tokens.authenticate(token, expires - SECOND)
    assert found is not None
    assert (found.name, found.scopes) == ("monitor", frozenset({"read", "backup"}))
    assert catalogue.tokens.authenticate(token, expires) is None
    assert catalogue.tokens.authenticate(token, expires + SECOND) is None
    for wrong in ("", token[:-1], token + "x", token.lower(), "\udce9", "?"):
        assert catalogue.tokens.authenticate(wrong, NOW) is None


def test_tokens_cannot_be_guessed_and_are_kept_as_digests(own_home: Home) -> None:
    catalogue = open_catalogue(own_home)
    made = [catalogue.tokens.create("a", [], NOW), catalogue.tokens.create("b", [], NOW)]
    made.append(catalogue.tokens.regenerate("a", NOW))
    assert len(set(made)) == 3
    content = b"".join(path.read_bytes() for path in own_home.path.glob("catalogue.sqlite*"))
    catalogue.close()
    for token in made:
        assert re.fullmatch(r"bst_[\w-]{43}", token), "256 random bits"
        assert token.encode() not in content


def test_names_are_unique(catalogue: Catalogue) -> None:
    token = catalogue.tokens.create("a", ["read"], NOW)
    with pytest.raises(UsageError, match="named a already"):
        catalogue.tokens.create("a", ["backup"], NOW)
    catalogue.tokens.create("A", ["backup"], NOW)
    found = catalogue.tokens.authenticate(token, NOW)
    assert found is not None
    assert found.scopes == {"read"}


def test_a_new_token_takes_the_place_of_the_old_one_and_of_no_other(catalogue: Catalogue) -> None:
    expires = NOW + timedelta(days=30)
    other = catalogue.tokens.create("other", ["read"], NOW)
    old = catalogue.tokens.create("monitor", ["backup"], NOW, expires)
    catalogue.tokens.authenticate(old, NOW)
    later = NOW + timedelta(hours=1)
    new = catalogue.tokens.regenerate("monitor", later)
    assert catalogue.tokens.authenticate(old, later) is None
    assert catalogue.tokens.all()[0] == Token(2, "monitor", frozenset({"backup"}), later, expires, None)
    for token, name in ((new, "monitor"), (other, "other")):
        found = catalogue.tokens.authenticate(token, later)
        assert found is not None
        assert found.name == name


def test_a_revoked_token_is_worth_nothing(catalogue: Catalogue) -> None:
    kept, gone = (catalogue.tokens.create(name, ["read"], NOW) for name in ("kept", "gone"))
    catalogue.tokens.revoke("gone")
    assert catalogue.tokens.authenticate(gone, NOW) is None
    assert catalogue.tokens.authenticate(kept, NOW) is not None
    assert names(catalogue) == ["kept"]
    for refused in (catalogue.tokens.revoke, lambda name: catalogue.tokens.regenerate(name, NOW)):
        with pytest.raises(NotFoundError, match="no token named gone"):
            refused("gone")


def test_the_last_use_is_noted_once_a_minute_and_of_the_token_that_was_used(catalogue: Catalogue) -> None:
    token = catalogue.tokens.create("a", ["read"], NOW)
    catalogue.tokens.create("b", ["read"], NOW)
    for seconds, noted in ((0, 0), (59, 0), (60, 60), (61, 60), (300, 300)):
        assert catalogue.tokens.authenticate(token, NOW + seconds * SECOND) is not None
        assert [found.last_used for found in catalogue.tokens.all()] == [NOW + noted * SECOND, None]


def test_whoever_makes_a_token_waits_for_who_writes_and_sees_what_was_written(
    own_home: Home,
) -> None:
    catalogue = open_catalogue(own_home)
    refused: list[Exception] = []

    def second() -> None:
        try:
            catalogue.tokens.create("a", ["read"], NOW)
        except UsageError as error:
            refused.append(error)

    with closing(sqlite3.connect(own_home.catalogue, isolation_level=None)) as first:
        first.execute("BEGIN IMMEDIATE")
        waiting = threading.Thread(target=second)
        waiting.start()
        waiting.join(0.1)
        first.execute("INSERT INTO tokens (name, digest, scopes, created) VALUES ('a', x'00', '', '2026-01-01 00:00')")
        first.execute("COMMIT")
    waiting.join(60)
    catalogue.close()
    assert len(refused) == 1
