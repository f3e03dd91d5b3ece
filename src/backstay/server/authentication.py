"""Who is asking: the secret word or a token, checked in constant time, wrong ones slowed."""

from __future__ import annotations

import asyncio
import hmac
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import anyio.to_thread
from starlette.datastructures import Headers

from backstay.api.methods import Scope
from backstay.api.strength import weakness
from backstay.catalogue.tokens import PREFIX as TOKEN_PREFIX
from backstay.errors import ConfigurationError
from backstay.jobs.environment import SECRET_VARIABLE
from backstay.jobs.installation import Installation, api_secret
from backstay.jobs.tenants import Groups
from backstay.jobs.throttle import Throttle
from backstay.jobs.tokens import UNBOUND_SCOPES

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who makes a call, and what they may do.

    Attributes:
        name: for the log: ``secret`` or ``token NAME``.
        scopes: the privileges.
        groups: numbers of the groups of sites beyond which they see nothing; None: they see everything.
    """

    name: str
    scopes: frozenset[Scope]
    groups: Groups = None


ALL_SCOPES = frozenset(Scope)
API_SCOPES = ALL_SCOPES - {Scope.METRICS}
"""What the whole of the API needs."""
SECRET_HOLDER = Identity("secret", ALL_SCOPES)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request carries to identify itself.

    Attributes:
        secret: offered as the secret word; None: nothing was.
        token: offered as a token; None: nothing was.
    """

    secret: bytes | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)

    @classmethod
    def of_headers(cls, headers: Headers) -> Credentials:
        """Return what the headers of a request carry (api-v3.md, credentials)."""
        secret = headers.get("x-akeeba-auth")
        token = headers.get("x-joomla-token") or headers.get("x-panopticon-token") or _bearer(headers)
        return cls(None if secret is None else secret.encode("latin-1"), token)


def _bearer(headers: Headers) -> str | None:
    kind, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" and token.strip() else None


class Authenticator:
    """Finds out who is asking.

    Args:
        installation: whose secret and tokens are accepted.
        clock: returns seconds that never go back.

    Attributes:
        failures: how many log-ins have failed.
    """

    def __init__(self, installation: Installation, clock: Callable[[], float] = time.monotonic) -> None:
        self._installation = installation
        self._throttle = Throttle(clock)
        self.failures = 0
        self._known: str | None = None
        self._known_by: tuple[object, ...] | None = None

    def secret(self) -> str | None:
        """Return the secret word, or None where it is switched off or too weak to be let stand (encapsulation, 9).

        It is read anew whenever it changes, so that a rotated secret counts at once.
        """
        if not self._installation.configuration.server.secret_enabled:
            return None
        stamp = self._stamp()
        if stamp != self._known_by:
            # The stamp of before: a secret that changes while it is read is read again at the next call.
            self._known, self._known_by = self._read_secret(), stamp
        return self._known

    def _stamp(self) -> tuple[object, ...]:
        """Something that changes whenever the secret does; a look at the file costs a tenth of reading it."""
        try:
            facts = os.stat(self._installation.home.secret)  # noqa: PTH116 - asked at each call: a Path would cost more
        except OSError:
            return (os.environ.get(SECRET_VARIABLE),)
        return (os.environ.get(SECRET_VARIABLE), facts.st_ino, facts.st_mtime_ns, facts.st_size)

    def _read_secret(self) -> str | None:
        try:
            secret = api_secret(self._installation)
        except ConfigurationError:
            _log.exception("The secret word can't be read, so it opens nothing.")
            return None
        if weakness(secret) is not None:
            _log.error("The secret word is too weak, so it opens nothing: make a new one.")
            return None
        return secret

    async def identify(
        self, credentials: Credentials, address: str, *, token_as_secret: bool = False
    ) -> Identity | None:
        """Return who is asking, or None; a wrong credential is answered the later the more often it comes.

        Where both are offered the secret word counts and the token is ignored (api-v3.md).

        Args:
            credentials: what was offered.
            address: of the client.
            token_as_secret: whether a token is taken in the place of the secret word too: version 2 has no other.
        """
        if credentials.secret is None and credentials.token is None:
            return None
        if self._throttle.is_flooding(address):
            return None
        identity = await self._find(credentials, token_as_secret=token_as_secret)
        if identity is None:
            await self.refuse(address)
        elif identity is SECRET_HOLDER:
            return self.accept(address)
        return identity

    def accept(self, address: str) -> Identity:
        """Return who knows the secret word, and forget the failures of their address."""
        self._throttle.forget(address)
        return SECRET_HOLDER

    async def refuse(self, address: str) -> None:
        """Note a failed log-in and hold its answer back."""
        self.failures += 1
        delay = self._throttle.delay_after_failure(address)
        _log.warning("A log-in from %s failed; answered after %.1f s.", address, delay)
        if delay:
            await asyncio.sleep(delay)

    def is_flooding(self, address: str) -> bool:
        """Return whether so many failed log-ins of an address wait for their answer that it is not listened to."""
        return self._throttle.is_flooding(address)

    async def _find(self, credentials: Credentials, *, token_as_secret: bool) -> Identity | None:
        offered = credentials.secret
        if offered is None:
            return await self._holder(credentials.token or "")
        expected = self.secret()
        if expected is not None and hmac.compare_digest(offered, expected.encode("utf-8", "surrogateescape")):
            return SECRET_HOLDER
        if token_as_secret and offered.startswith(TOKEN_PREFIX.encode()):
            return await self._holder(offered.decode("utf-8", "replace"))
        return None

    async def _holder(self, token: str) -> Identity | None:
        if not token.startswith(TOKEN_PREFIX):
            return None
        found = await anyio.to_thread.run_sync(
            self._installation.catalogue.tokens.authenticate, token, datetime.now(UTC)
        )
        if found is None:
            return None
        scopes = frozenset(Scope(name) for name in found.scopes if name in ALL_SCOPES)
        if not found.groups:
            return Identity(f"token {found.name}", scopes)
        return Identity(f"token {found.name}", scopes - UNBOUND_SCOPES, found.groups)
