"""Who is asking, without a server: what headers carry, the secret word, tokens, and what failures cost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from starlette.datastructures import Headers

from backstay.api.methods import Scope
from backstay.catalogue.tokens import PREFIX
from backstay.jobs.installation import Installation, open_installation, set_secret
from backstay.jobs.throttle import FORGIVEN_AFTER, FREE_FAILURES, LONGEST_QUEUE
from backstay.server import authentication
from backstay.server.authentication import SECRET_HOLDER, Authenticator, Credentials, Identity

SECRET = "correct-Horse7-battery.Staple"
GUESSER, OTHER = "192.0.2.1", "192.0.2.2"
WRONG = Credentials(secret=b"wrong")


class Asked:
    """An authenticator whose clock is set by hand and whose waits are noted instead of waited for."""

    def __init__(self, installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
        self.installation = installation
        self.now = 1000.0
        self.waits: list[float] = []
        self.authenticator = Authenticator(installation, lambda: self.now)

        async def sleep(seconds: float) -> None:
            self.waits.append(seconds)

        monkeypatch.setattr(asyncio, "sleep", sleep)

    def who(self, credentials: Credentials, address: str = GUESSER, *, token_as_secret: bool = False) -> str | None:
        """The name of who asks, or None."""
        asking = self.authenticator.identify(credentials, address, token_as_secret=token_as_secret)
        found = asyncio.run(asking)
        return found.name if found else None

    def token(self, *scopes: str, expires: datetime | None = None) -> str:
        """Make a token named ``monitor``."""
        return self.installation.catalogue.tokens.create("monitor", scopes, datetime.now(UTC), expires)


@pytest.fixture
def asked(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    """An authenticator of a home with a known secret word."""
    with open_installation(home) as installation:
        set_secret(installation, SECRET)
        yield Asked(installation, monkeypatch)


@pytest.mark.parametrize(
    ("headers", "secret", "token"),
    [
        ({}, None, None),
        ({"X-Akeeba-Auth": "word"}, b"word", None),
        ({"X-Akeeba-Auth": ""}, b"", None),
        ({"X-Akeeba-Auth": "gr\xfcn"}, b"gr\xfcn", None),
        ({"X-Joomla-Token": "j", "X-Panopticon-Token": "p", "Authorization": "Bearer b"}, None, "j"),
        ({"X-Panopticon-Token": "p", "Authorization": "Bearer b"}, None, "p"),
        ({"X-Joomla-Token": "", "Authorization": "bEARER  b "}, None, "b"),
        ({"Authorization": "Bearer a b"}, None, "a b"),
        ({"Authorization": "Bearer"}, None, None),
        ({"Authorization": "Bearer  "}, None, None),
        ({"Authorization": "Basic b"}, None, None),
        ({"X-Akeeba-Auth": "word", "X-Joomla-Token": "j"}, b"word", "j"),
    ],
)
def test_headers_that_carry_credentials(headers: dict[str, str], secret: bytes | None, token: str | None) -> None:
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    assert Credentials.of_headers(Headers(raw=raw)) == Credentials(secret, token)
    assert "word" not in repr(Credentials(b"word", "word"))


def test_only_the_whole_secret_word_opens(asked: Asked) -> None:
    right = SECRET.encode()
    for wrong in (b"", right[:8], right[:-1], right[:-1] + b"x", right[:8] + b"x" * (len(right) - 8), b"x" + right[1:],
                  right + b"x", right + b"\0", right.upper(), b" " + right):  # fmt: skip
        assert asked.who(Credentials(secret=wrong)) is None, wrong
    assert asked.who(Credentials(secret=right)) == "secret"
    assert asked.who(Credentials()) is None
    assert set(Scope) == SECRET_HOLDER.scopes


def test_a_secret_that_is_not_utf8_is_compared_byte_by_byte(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKSTAY_SECRET", "Gr\udcfcsse-an-alle-42-da-draussen")
    assert asked.who(Credentials(secret=b"Gr\xfcsse-an-alle-42-da-draussen")) == "secret"
    assert asked.who(Credentials(secret="Grüsse-an-alle-42-da-draussen".encode())) is None


def test_a_token_opens_what_it_may_until_it_expires(asked: Asked) -> None:
    token = asked.token("read", "backup", "of-a-later-version")
    found = asyncio.run(asked.authenticator.identify(Credentials(token=token), GUESSER))
    assert found == Identity("token monitor", frozenset({Scope.READ, Scope.BACKUP}))
    assert asked.who(Credentials(token=token[:-1])) is None
    assert asked.who(Credentials(token=token.removeprefix(PREFIX))) is None
    asked.installation.catalogue.tokens.revoke("monitor")
    assert asked.who(Credentials(token=token)) is None
    assert asked.who(Credentials(token=asked.token("read", expires=datetime.now(UTC) - timedelta(seconds=1)))) is None


def test_the_secret_word_counts_before_the_token(asked: Asked) -> None:
    token = asked.token("read")
    assert asked.who(Credentials(SECRET.encode(), token)) == "secret"
    assert asked.who(Credentials(b"wrong", token)) is None


def test_a_token_stands_for_the_secret_word_only_where_that_is_allowed(asked: Asked) -> None:
    token = asked.token("read")
    offered = Credentials(secret=token.encode())
    assert asyncio.run(asked.authenticator.identify(offered, GUESSER)) is None
    assert asked.who(offered, token_as_secret=True) == "token monitor"
    assert asked.who(Credentials(secret=PREFIX.encode() + b"\xff"), token_as_secret=True) is None
    assert asked.who(Credentials(secret=SECRET.encode()), token_as_secret=True) == "secret"
    assert asked.who(Credentials(secret=b"x" + token.encode()), token_as_secret=True) is None


def test_failures_wait_and_only_the_secret_word_ends_that(asked: Asked) -> None:
    token = Credentials(token=asked.token("read"))
    for _ in range(FREE_FAILURES + 2):
        asked.who(WRONG)
    assert asked.waits == [1.0, 2.0]
    asked.who(token)
    asked.who(Credentials())
    asked.who(WRONG, OTHER)
    assert asked.waits == [1.0, 2.0], "neither right credentials nor none nor another address wait"
    asked.who(Credentials(token="wrong"))
    assert asked.waits == [1.0, 2.0, 3.0], "a token clears nothing, a wrong one counts"
    assert asked.who(Credentials(secret=SECRET.encode())) == "secret"
    asked.who(WRONG)
    assert asked.waits == [1.0, 2.0, 3.0]


def test_a_flood_is_not_listened_to(asked: Asked) -> None:
    while not asked.authenticator.is_flooding(GUESSER):
        asked.who(WRONG)
    noted = len(asked.waits)
    assert asked.who(Credentials(secret=SECRET.encode())) is None
    assert asked.who(WRONG) is None
    assert len(asked.waits) == noted
    assert not asked.authenticator.is_flooding(OTHER)
    assert asked.who(Credentials(secret=SECRET.encode()), OTHER) == "secret"
    asked.now += LONGEST_QUEUE + FORGIVEN_AFTER
    assert asked.who(Credentials(secret=SECRET.encode())) == "secret"


def test_a_secret_word_that_cannot_be_used_opens_nothing(
    home: Path, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    for unusable in ("", "short", "password123"):
        asked.installation.home.secret.write_text(unusable)
        assert asked.authenticator.secret() is None
        assert asked.who(Credentials(secret=unusable.encode())) is None
    set_secret(asked.installation, SECRET)
    assert asked.authenticator.secret() == SECRET
    monkeypatch.setenv("BACKSTAY_SECRET", SECRET + "2")
    assert asked.authenticator.secret() == SECRET + "2"
    asked.installation.home.secret.unlink()
    assert asked.authenticator.secret() == SECRET + "2"
    (home / "backstay.toml").write_text("[server]\nsecret_enabled = false\n")
    with open_installation(home) as switched_off:
        assert Authenticator(switched_off).secret() is None


def test_the_secret_word_is_read_when_it_changes_and_not_at_every_call(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def counted(installation: Installation) -> str:
        read.append(installation.home.secret.read_text().strip())
        return read[-1]

    monkeypatch.setattr(authentication, "api_secret", counted)
    assert [asked.authenticator.secret() for _ in range(3)] == [SECRET] * 3
    assert read == [SECRET]
    newer = SECRET[:-1] + "X"
    set_secret(asked.installation, newer)
    assert asked.authenticator.secret() == newer
