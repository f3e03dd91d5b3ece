"""A server of Google Cloud Storage for tests: Google's XML API in front of the tests' S3 server.

There is no emulator that speaks the XML API whole. It is S3's with another signature: this front checks the token that
the key of a service account has signed, signs each request anew, and hands it on.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

import httpx2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from backstay.storage.s3_signature import Credentials, encode_path, encode_query, signed_headers
from support.destinations import Place
from support.s3 import ACCESS_KEY, SECRET_KEY, S3Server

ACCOUNT = "backup@tests.iam.gserviceaccount.com"
_HANDED_ON = ("content-type", "range", "if-match", "if-none-match")
_SHORT_OF = ("connection", "transfer-encoding", "date", "server")


class GoogleServer:
    """A running server."""

    def __init__(self, s3_server: S3Server) -> None:
        self._s3 = s3_server
        key = generate_private_key(65537, 2048)
        self._key = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        self._client = httpx2.Client(timeout=60)
        handler = _handler(s3_server.endpoint, key.public_key(), self._client)
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def secrets(self, **changes: str) -> dict[str, str]:
        """Return the key of a service account, as Google hands it out, but for the address of the server."""
        document = {
            "type": "service_account",
            "private_key_id": "1",
            "private_key": self._key,
            "client_email": ACCOUNT,
            "gcs_base_url": self.endpoint,
        }
        return {"service_account": json.dumps(document | changes)}

    def place(self) -> Place:
        """Return an empty place in a bucket of its own."""
        bucket = urlsplit(self._s3.place().url).netloc
        return Place(f"gs://{bucket}/pre/fix", self.secrets())

    def close(self) -> None:
        """Stop the server."""
        self._http.shutdown()
        self._http.server_close()
        self._client.close()


def _handler(endpoint: str, key: RSAPublicKey, client: httpx2.Client) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60

        def serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            if not _is_signed(self.headers.get("authorization", ""), key):
                self.answer(401, {}, b"<Error><Code>AuthenticationRequired</Code></Error>")
                return
            parts = urlsplit(self.path)
            path, query = encode_path(unquote(parts.path)), encode_query(dict(parse_qsl(parts.query, True)))
            headers = signed_headers(
                Credentials(ACCESS_KEY, SECRET_KEY),
                "us-east-1",
                method=self.command,
                host=urlsplit(endpoint).netloc,
                path=path,
                query=query,
                headers={name: value for name in _HANDED_ON if (value := self.headers.get(name))},
                payload_sha256=hashlib.sha256(body).hexdigest(),
                now=datetime.now(UTC),
            )
            found = client.request(self.command, f"{endpoint}{path}?{query}", headers=headers, content=body)
            self.answer(found.status_code, dict(found.headers), found.content)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = serve  # noqa: N815  names that the base class looks for

        def answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
            self.send_response(status)
            length = headers.get("content-length", "0") if self.command == "HEAD" else str(len(content))
            for name, value in {**headers, "content-length": length}.items():
                if name not in _SHORT_OF:
                    self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    return Handler


def _is_signed(authorization: str, key: RSAPublicKey) -> bool:
    """Tell whether a token is signed by the service account (RFC 7519; Google, "Self-signed JWTs")."""
    try:
        signed, _, signature = authorization.removeprefix("Bearer ").rpartition(".")
        key.verify(_decoded(signature), signed.encode(), PKCS1v15(), SHA256())
        claims = json.loads(_decoded(signed.partition(".")[2]))
    except (ValueError, InvalidSignature):
        return False
    return bool(claims["iss"] == ACCOUNT and claims["exp"] > time.time())


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
