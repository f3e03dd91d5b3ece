"""Catalogues in a database that several homes share."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from backstay.databases import DatabaseAddress

VARIABLE = "BACKSTAY_CATALOGUE"


def catalogue_url(address: DatabaseAddress) -> str:
    """Return the URL of a database as the setting of the catalogue takes it."""
    account = quote(address.user, safe="") + (f":{quote(address.password, safe='')}" if address.password else "")
    if address.socket:
        return f"postgresql://{account}@/{address.name}?host={quote(address.socket, safe='')}"
    port = f":{address.port}" if address.port else ""
    return f"postgresql://{account}@{address.host}{port}/{address.name}"


def use_database(monkeypatch: pytest.MonkeyPatch, address: DatabaseAddress) -> str:
    """Let all homes of a test, and the programs it starts, have their catalogue in a database; return its URL."""
    url = catalogue_url(address)
    monkeypatch.setenv(VARIABLE, url)
    return url
