"""The second factor of a user: one-time codes of an authenticator, and recovery codes for when it is lost."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from typing import Final

from backstay.catalogue.users import User
from backstay.errors import UsageError
from backstay.jobs.installation import Installation

STEP_SECONDS: Final = 30
"""How long a code is shown (RFC 6238); the one before and the one after are taken too, for clocks differ."""
RECOVERY_CODES: Final = 10


def new_secret() -> str:
    """Return a new secret for an authenticator, Base32."""
    import pyotp

    return pyotp.random_base32()


def address_of_secret(secret: str, name: str, host: str) -> str:
    """Return the ``otpauth://`` address that an authenticator reads from a QR code."""
    import pyotp

    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=f"Backstay {host}".strip())


def matching_step(secret: str, code: str, now: float | None = None) -> int | None:
    """Return the time step whose code this is, of the present one and its neighbours; None: it is of none.

    Args:
        secret: Base32.
        code: as typed; blanks do not count.
        now: seconds since 1970; None: this moment.
    """
    import pyotp

    offered = "".join(code.split())
    if len(offered) != 6 or not (offered.isascii() and offered.isdigit()):
        return None
    step, generator = int((time.time() if now is None else now) // STEP_SECONDS), pyotp.TOTP(secret)
    return next(
        (s for s in (step, step - 1, step + 1) if hmac.compare_digest(generator.generate_otp(s), offered)), None
    )


def use_code(installation: Installation, user: User, code: str) -> bool:
    """Return whether a code is a user's one-time code; it works once, and so do older ones from then on."""
    step = matching_step(user.second_factor, code) if user.second_factor else None
    return step is not None and installation.catalogue.users.use_step(user.id, step)


def use_recovery_code(installation: Installation, user: User, code: str) -> bool:
    """Return whether a code is one of a user's recovery codes; it works once."""
    return installation.catalogue.users.use_recovery_code(user.id, _hashed(code))


def turn_on(installation: Installation, user: User, secret: str, code: str) -> list[str]:
    """Ask for a code at signing in from now on; return new recovery codes, the only time.

    Raises:
        UsageError: the code is not the authenticator's.
    """
    step = matching_step(secret, code)
    if step is None:
        raise UsageError("This is not the code that the authenticator shows now: look at its clock, and try again.")
    installation.catalogue.users.update(user.id, second_factor=secret, factor_used=step)
    return new_recovery_codes(installation, user)


def turn_off(installation: Installation, user: User) -> None:
    """Ask for no code any more."""
    installation.catalogue.users.update(user.id, second_factor="", factor_used=0)


def new_recovery_codes(installation: Installation, user: User) -> list[str]:
    """Make a user's recovery codes anew; return them, the only time: their hashes are kept."""
    made = [base64.b32encode(secrets.token_bytes(10)).decode().lower() for _number in range(RECOVERY_CODES)]
    installation.catalogue.users.update(user.id, recovery_codes=[_hashed(code) for code in made])
    return ["-".join(code[start : start + 4] for start in range(0, 16, 4)) for code in made]


def _hashed(code: str) -> str:
    # 80 random bits: a plain hash is enough.
    cleaned = "".join(one for one in code.lower() if one.isalnum())
    return hashlib.sha256(cleaned.encode("utf-8", "replace")).hexdigest()
