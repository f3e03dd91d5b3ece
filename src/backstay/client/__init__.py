"""Calling any server of the API."""

from __future__ import annotations

from backstay.client.asynchronous import AsyncClient
from backstay.client.download import DownloadMethod, DownloadProgress
from backstay.client.endpoints import Credential, Endpoint, Verb
from backstay.client.messages import Call
from backstay.client.sync import Client
from backstay.client.transport import Exchange

__all__ = [
    "AsyncClient",
    "Call",
    "Client",
    "Credential",
    "DownloadMethod",
    "DownloadProgress",
    "Endpoint",
    "Exchange",
    "Verb",
]
