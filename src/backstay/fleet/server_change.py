"""Whether the server of a site is the one it was: its certificate where nobody vouches for that, and its address."""

from __future__ import annotations

import hashlib
import socket
import ssl
from typing import Final
from urllib.parse import urlsplit

from backstay.catalogue import Connection, Site
from backstay.client import Client
from backstay.errors import ConnectionFailedError, VerificationError

_SECONDS: Final = 15.0


def refuse_changed(site: Site, connection: Connection) -> None:
    """Refuse a server with another certificate than it had, where certificates are not checked otherwise.

    Nothing secret is sent for it. Where an authority vouches for the certificate, a new one is what is to be expected.

    Raises:
        VerificationError: it is another one.
        ConnectionFailedError: the server cannot be reached.
    """
    known = site.found.get("certificate")
    address = urlsplit(str(connection.endpoint.get("url") or site.address))
    if connection.verify_tls or not known or address.scheme != "https" or not address.hostname:
        return
    if certificate_at(address.hostname, address.port or 443) != known:
        raise VerificationError(
            f"The server of the site {site.name} shows another certificate than when it was added, and was not sent "
            f"the secret: if that is right, say so with 'backstay site test {site.name}'."
        )


def certificate_at(host: str, port: int) -> str:
    """Return the SHA-256 of the certificate that a server shows, in hexadecimal.

    Raises:
        ConnectionFailedError: it cannot be reached.
    """
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, port), timeout=_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=host) as encrypted,
        ):
            shown = encrypted.getpeercert(binary_form=True) or b""
    except OSError as error:
        raise ConnectionFailedError(f"The server {host} cannot be reached: {error}.") from error
    return hashlib.sha256(shown).hexdigest()


def changes_of(site: Site, client: Client | None, host: str) -> str:
    """Return in a sentence what of a server is not as it was when it last answered; nothing where all is.

    Args:
        site: as it was known.
        client: that called it; None: it was not called.
        host: where its name leads now.
    """
    changes = []
    if site.host and host and host != site.host:
        changes.append(f"its address has changed from {site.host} to {host}")
    known = site.found.get("certificate")
    if known and client is not None and client.certificate and client.certificate != known:
        changes.append("it shows another certificate")
    return f"Since it was last looked at, {' and '.join(changes)}." if changes else ""
