"""Where finished parts are kept: on this machine, and at destinations elsewhere."""

from backstay.storage.address import (
    SCHEMES,
    Address,
    SecretField,
    parse_address,
    secret_fields,
    secrets_from_environment,
)
from backstay.storage.destinations import open_destination
from backstay.storage.local import StoredPart, free_space, read_back, remove, sync
from backstay.storage.model import Capabilities, Destination, PutOptions, StoredFile

__all__ = [
    "SCHEMES",
    "Address",
    "Capabilities",
    "Destination",
    "PutOptions",
    "SecretField",
    "StoredFile",
    "StoredPart",
    "free_space",
    "open_destination",
    "parse_address",
    "read_back",
    "remove",
    "secret_fields",
    "secrets_from_environment",
    "sync",
]
