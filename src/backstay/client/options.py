"""The options that both clients take, checked."""

from __future__ import annotations

from backstay.api.envelope import Encapsulation
from backstay.client.endpoints import Address, Endpoint
from backstay.client.flows import Session
from backstay.client.messages import Envelope
from backstay.errors import UsageError


def session_of(
    url: str, secret: str, version: int | None, encapsulation: int | None, endpoint: Endpoint | None
) -> Session:
    """A session with a server that nothing is known of yet.

    Raises:
        UsageError: one of the options makes no sense; the message does not repeat the secret.
    """
    url = Address.parse(url).without_credentials()
    if not secret:
        raise UsageError("The secret is empty: give the secret word or a token of the server.")
    if any(ord(character) < 32 or ord(character) == 127 for character in secret):
        raise UsageError("The secret holds a line break or another control character: give it without.")
    if version not in (None, 1, 2, 3):
        raise UsageError(f"There is no version {version} of the API: take 1, 2 or 3.")
    if encapsulation is None:
        return Session(url, secret, version, endpoint=endpoint)
    if encapsulation not in tuple(Encapsulation):
        raise UsageError(f"There is no encapsulation {encapsulation}: take 1 to 5.")
    if version not in (None, 1):
        raise UsageError(f"Version {version} of the API knows no encapsulations: leave one of the two away.")
    return Session(url, secret, 1, Envelope(Encapsulation(encapsulation)), endpoint)
