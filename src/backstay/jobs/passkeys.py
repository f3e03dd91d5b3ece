"""Passkeys: keys on a user's device that prove who they are (Web Authentication, level 3)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from backstay.catalogue.passkeys import Passkey
from backstay.catalogue.users import User
from backstay.errors import UsageError
from backstay.jobs.installation import Installation

MOST_PASSKEYS = 20


class PasskeyRefusedError(Exception):
    """A passkey that was not accepted; the text says so to its user."""


def options_to_create(user: User, known: list[Passkey], host: str, challenge: bytes) -> str:
    """Return what a browser needs to make a passkey, as JSON.

    Args:
        user: whose.
        known: that the user has already.
        host: that the browser names.
        challenge: to be signed.
    """
    from webauthn import generate_registration_options, options_to_json
    from webauthn.helpers.structs import (
        AuthenticatorSelectionCriteria,
        PublicKeyCredentialDescriptor,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

    return options_to_json(
        generate_registration_options(
            rp_id=host,
            rp_name="Backstay",
            user_name=user.name,
            user_id=f"backstay-{user.id}".encode(),
            challenge=challenge,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=[PublicKeyCredentialDescriptor(id=one.credential) for one in known],
        )
    )


def add_passkey(
    installation: Installation, user: User, name: str, answer: str, challenge: bytes, host: str, origin: str
) -> None:
    """Keep the passkey that a browser made.

    Args:
        installation: whose.
        user: whose passkey.
        name: that the user gave it.
        answer: of the browser, JSON.
        challenge: that the browser was given.
        host: that the browser names.
        origin: of the page.

    Raises:
        PasskeyRefusedError: the answer does not belong to the challenge, the host or the origin.
        UsageError: the user has too many, or it is known already.
    """
    from webauthn import verify_registration_response

    if len(installation.catalogue.passkeys.of_user(user.id)) >= MOST_PASSKEYS:
        raise UsageError(f"A user has {MOST_PASSKEYS} passkeys at most: remove one first.")
    try:
        made = verify_registration_response(
            credential=_read(answer),
            expected_challenge=challenge,
            expected_rp_id=host,
            expected_origin=origin,
            require_user_verification=True,
        )
    except Exception as error:
        raise _refused() from error
    installation.catalogue.passkeys.add(
        user.id,
        name.strip()[:100] or "A passkey",
        made.credential_id,
        made.credential_public_key,
        made.sign_count,
        datetime.now(UTC),
    )


def options_to_prove(host: str, challenge: bytes, known: list[Passkey] | None = None) -> str:
    """Return what a browser needs to prove a passkey, as JSON.

    Args:
        host: that the browser names.
        challenge: to be signed.
        known: those that are accepted; None: any that the device has for this host.
    """
    from webauthn import generate_authentication_options, options_to_json
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor, UserVerificationRequirement

    return options_to_json(
        generate_authentication_options(
            rp_id=host,
            challenge=challenge,
            allow_credentials=[PublicKeyCredentialDescriptor(id=one.credential) for one in known or []],
            user_verification=UserVerificationRequirement.REQUIRED,
        )
    )


def proven_user(installation: Installation, answer: str, challenge: bytes, host: str, origin: str) -> User:
    """Return whose passkey signed a challenge, with the device having made sure of its owner.

    Raises:
        PasskeyRefusedError: nobody's did, or its user is disabled.
    """
    from webauthn import verify_authentication_response
    from webauthn.helpers import base64url_to_bytes

    catalogue = installation.catalogue
    try:
        credential = _read(answer)
        passkey = catalogue.passkeys.find(base64url_to_bytes(str(credential["id"])))
    except (ValueError, TypeError, KeyError) as error:
        raise _refused() from error
    if passkey is None:
        raise _refused()
    try:
        proof = verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=host,
            expected_origin=origin,
            credential_public_key=passkey.public_key,
            credential_current_sign_count=passkey.signatures,
            require_user_verification=True,
        )
    except Exception as error:
        raise _refused() from error
    user = catalogue.users.of_id(passkey.user_id)
    if user is None or user.disabled:
        raise _refused()
    catalogue.passkeys.used(passkey.id, proof.new_sign_count, datetime.now(UTC))
    return user


def _read(answer: str) -> dict[str, Any]:
    found = json.loads(answer)
    if not isinstance(found, dict):
        raise TypeError("no object")
    return found


def _refused() -> PasskeyRefusedError:
    return PasskeyRefusedError("The passkey was not accepted: try again, or sign in another way.")
