"""AWS Signature Version 4: the header that proves a request to S3, and to all services that speak it.

Source: AWS General Reference, "Create a signed AWS API request". The tests compare it with botocore's.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who signs; the key and the token are in no ``repr``."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)


def encode_path(path: str) -> str:
    """Percent-encode a path as S3 signs it: everything but unreserved characters and slashes."""
    return quote(path, safe="/-_.~")


def encode_query(query: Mapping[str, str]) -> str:
    """Percent-encode query parameters as S3 signs them, in their order."""
    pairs = sorted((quote(key, safe="-_.~"), quote(value, safe="-_.~")) for key, value in query.items())
    return "&".join(f"{key}={value}" for key, value in pairs)


def signed_headers(
    credentials: Credentials,
    region: str,
    *,
    method: str,
    host: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    payload_sha256: str,
    now: datetime,
) -> dict[str, str]:
    """Return the headers of a signed request.

    Args:
        credentials: of the account.
        region: such as ``eu-central-1``.
        method: of HTTP.
        host: as the Host header says it, with a port that is not the usual one.
        path: from `encode_path`.
        query: from `encode_query`.
        headers: further headers, all of them signed; names in lower case.
        payload_sha256: hexadecimal SHA-256 of the body.
        now: the time, UTC.
    """
    moment, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    named = {**headers, "host": host, "x-amz-content-sha256": payload_sha256, "x-amz-date": moment}
    if credentials.session_token:
        named["x-amz-security-token"] = credentials.session_token
    names = ";".join(sorted(named))
    lines = "".join(f"{name}:{' '.join(named[name].split())}\n" for name in sorted(named))
    canonical = f"{method}\n{path}\n{query}\n{lines}\n{names}\n{payload_sha256}"
    scope = f"{day}/{region}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{credentials.secret_access_key}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    named["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credentials.access_key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return named
