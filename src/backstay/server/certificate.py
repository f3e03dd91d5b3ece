"""What the server shows of itself over TLS."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Certificate:
    """Files with the certificate chain and its private key, both PEM."""

    chain: Path
    key: Path
