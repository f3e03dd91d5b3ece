"""The settings of the server: table ``[server]`` of ``backstay.toml``, each with its default and what it is for."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from backstay.jobs.process_log import LogFormat


class ServerConfiguration(BaseModel):
    """How ``backstay serve`` listens, whom it lets in, and which API it speaks."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    host: str = Field(default="127.0.0.1", description="Address to listen on; --host wins.")
    port: int = Field(default=8117, ge=0, le=65535, description="Port to listen on, 0 for a free one; --port wins.")
    worker: bool = Field(
        default=True,
        description="Whether the server does what is scheduled, beside answering; false where 'backstay worker' does.",
    )
    public_url: str = Field(
        default="",
        description="Address under which clients reach the server, for example https://example.com/backup; empty: "
        "what each request names. It is reported to site monitors, and linked in notifications.",
    )
    forwarded_allow_ips: str = Field(
        default="127.0.0.1",
        description="Addresses of reverse proxies, separated by commas, whose X-Forwarded-For and X-Forwarded-Proto "
        "headers are believed; * believes everyone.",
    )
    api_level: Literal[400, 600] = Field(
        default=400,
        description="Level of the API that is reported: 400 has every method, 600 answers 501 for those that the "
        "newest servers dropped.",
    )
    secret_enabled: bool = Field(
        default=True,
        description="Whether the secret word opens the API; version 1 needs it. Tokens work either way.",
    )
    encrypted_encapsulations: bool = Field(
        default=False,
        description="Answer encapsulations 2 to 5 of version 1. Their ciphers date from 2011 and carry no proof "
        "against tampering: use HTTPS, and switch them on only for a client that knows nothing else.",
    )
    refuse_replayed_salts: bool = Field(
        default=False,
        description="Refuse a version 1 challenge whose salt was used before, for calls that change something. "
        "Off by default, because scripts with a fixed salt exist.",
    )
    import_key: SecretStr = Field(
        default=SecretStr(""),
        description="Key of the server that encrypted settings come from (AKEEBA_SERVERKEY of its serverkey.php, "
        "Base64), so that they can be imported.",
    )
    maximum_body: int = Field(
        default=16 << 20, ge=1 << 10, le=1 << 30, description="Largest body of a request in bytes."
    )
    maximum_head: int = Field(
        default=64 << 10, ge=1 << 13, le=1 << 24, description="Largest head of a request in bytes, its URL included."
    )
    maximum_connections: int = Field(
        default=1000, ge=10, description="Connections open at once; further ones are answered with HTTP 503."
    )
    log_format: LogFormat = Field(
        default=LogFormat.TEXT,
        description="How the log of 'backstay serve' and 'backstay worker' looks: text for a person, json for a "
        "program that collects logs, one object a line; --log-format wins.",
    )
    newest_version: str = Field(
        default="",
        description="Newest version of Backstay, set by whoever looks after this server; where it is not the one "
        "installed, updateGetInformation says that there is an update.",
    )
    newest_version_url: str = Field(default="", description="Where the newest version is to be had.")
