"""Sending one event to real receivers on loopback."""

from __future__ import annotations

import json
import logging
import re
import shutil
import socket
import subprocess
from base64 import b64encode
from datetime import UTC, datetime
from email.header import decode_header, make_header
from pathlib import Path
from typing import Any

import pytest

from backstay.errors import ConnectionFailedError, UsageError
from backstay.notifications import apprise_message, request
from backstay.notifications.address import parse_recipient
from backstay.notifications.apprise_message import check_apprise, without_mentions
from backstay.notifications.model import (
    GROUPS,
    NEWS,
    PROBLEMS,
    Event,
)
from backstay.notifications.sending import Receiver, send
from backstay.notifications.webhook import new_secret, signing_key
from support.receivers import HttpReceiver, endless_receiver, mail_receiver

NOW = datetime(2026, 11, 26, 3, 17, tzinfo=UTC)
FAILED = Event(
    "backup:7:failed",
    "failed",
    "The backup of example.com failed",
    "The disk is full.",
    advice="Free some space, and run 'backstay backup --profile 2'.",
    since=NOW,
    profile_id=2,
    profile="example.com",
    backup_id=7,
    log_tail="ERROR |the disk is full: käse\n" * 1000,
    at=NOW,
)


def test_a_webhook_gets_a_document_whose_signature_openssl_computes_alike() -> None:
    secret = new_secret()
    with HttpReceiver().up() as receiver:
        address = f"webhook+http://{receiver.address}/hook?token=Geheim"
        send(Receiver(url=address, secret=secret, mark="ab12"), FAILED, NOW)
    (arrived,) = receiver.requests
    assert (arrived.path, arrived.headers["Content-Type"]) == ("/hook?token=Geheim", "application/json")
    document = json.loads(arrived.body)
    assert (document["type"], document["timestamp"]) == ("failed", "2026-11-26T03:17:00Z")
    assert document["data"]["event"] == "backup:7:failed"
    assert document["data"]["advice"].startswith("Free some space")
    assert document["data"]["server"] == socket.gethostname()
    headers = {name.lower(): value for name, value in arrived.headers.items()}
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("ab12:backup:7:failed", "1795663020")
    signed = b"ab12:backup:7:failed.1795663020." + arrived.body
    command = [
        "openssl",
        "dgst",
        "-sha256",
        "-mac",
        "HMAC",
        "-macopt",
        f"hexkey:{signing_key(secret).hex()}",
        "-binary",
    ]
    digest = subprocess.run(command, input=signed, capture_output=True, check=True).stdout
    assert headers["webhook-signature"] == "v1," + b64encode(digest).decode()


@pytest.mark.parametrize("secret", ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "a secret of our own, äöü"])
@pytest.mark.parametrize("language", ["python", "php"])
def test_the_examples_of_the_reference_tell_genuine_requests(secret: str, language: str) -> None:
    if language == "php" and shutil.which("php") is None:
        pytest.skip("php is not installed")
    now = datetime.now(UTC)
    with HttpReceiver().up() as receiver:
        send(Receiver(url=f"webhook+http://{receiver.address}", secret=secret, mark="ab12"), FAILED, now)
    headers = {name.lower(): value for name, value in receiver.requests[0].headers.items()}
    body = receiver.requests[0].body.decode()
    old = {**headers, "webhook-timestamp": str(int(now.timestamp()) - 301)}
    asked = [(headers, body), (headers, body + " "), (old, body), ({**headers, "webhook-id": "x"}, body)]
    assert _told_by_example(language, [[secret, *one] for one in asked]) == [True, False, False, False]


def _told_by_example(language: str, asked: list[list[Any]]) -> list[bool]:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "webhooks.md").read_text()
    (example,) = re.findall(rf"^```{language}\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    if language == "python":
        names: dict[str, Any] = {}
        exec(example, names)
        return [names["is_genuine"](secret, headers, body.encode()) for secret, headers, body in asked]
    program = example + "foreach (json_decode(stream_get_contents(STDIN), true) as $one) $told[] = is_genuine(...$one);"
    command = ["php", "-r", program + "echo json_encode($told);"]
    done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, check=True)
    told: list[bool] = json.loads(done.stdout)
    return told


def test_every_kind_of_event_is_in_the_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "be-notified.md").read_text()
    assert [kind for kind in (*PROBLEMS, *NEWS, *GROUPS) if f"`{kind}`" not in page] == []


def test_pings_tell_start_success_and_failure_with_the_end_of_the_log() -> None:
    with HttpReceiver().up() as receiver:
        check = Receiver(url=f"ping+http://{receiver.address}/{{profile}}-uuid?create=1")
        for kind in ("started", "succeeded", "failed"):
            send(check, Event(f"backup:7:{kind}", kind, "t", "m", profile_id=2, log_tail=FAILED.log_tail), NOW)
    assert [one.path for one in receiver.requests] == [
        "/2-uuid/start?create=1",
        "/2-uuid?create=1",
        "/2-uuid/fail?create=1",
    ]
    body = receiver.requests[2].body
    assert 9000 < len(body) <= 10_000
    assert body.startswith(b"t\nm\n\n")
    assert body.decode().endswith("ERROR |the disk is full: käse\n")


@pytest.mark.parametrize("service", ["webhook", "ping"])
def test_a_refusal_or_redirect_is_an_error_that_shows_no_secret(service: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with HttpReceiver() as receiver, HttpReceiver().up() as other:
        to = Receiver(url=f"{service}+http://user:Geheim1@{receiver.address}/Geheim2?q=Geheim3", secret="x" * 24)
        with pytest.raises(ConnectionFailedError, match="can't be reached") as down:
            send(to, FAILED, NOW)
        receiver.up()
        receiver.status = 500
        with pytest.raises(ConnectionFailedError, match="answered HTTP 500") as refused:
            send(to, FAILED, NOW)
        receiver.status = 302
        receiver.headers = {"Location": f"http://{other.address}/"}
        with pytest.raises(ConnectionFailedError, match="redirect") as redirected:
            send(to, FAILED, NOW)
    assert other.requests == []
    assert "Geheim" not in f"{down.value}{refused.value}{redirected.value}{caplog.text}{to}"
    assert f"{service}+http://{receiver.address} answered" in str(refused.value)


def test_a_receiver_that_never_comes_to_an_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request, "ALL_SECONDS", 0.5)
    monkeypatch.setattr(apprise_message, "ALL_SECONDS", 3)
    with endless_receiver() as port:
        for url in (f"ping+http://127.0.0.1:{port}/x", f"json://127.0.0.1:{port}/x"):
            with pytest.raises(ConnectionFailedError, match="did not answer within"):
                send(Receiver(url=url), FAILED, NOW)


def test_mail_carries_hostile_names_as_text() -> None:
    hostile = Event(
        "alarm:1:opened",
        "late",
        "No backup of x\r\nBcc: thief@example.com\n\n<script>",
        "The site <b>x</b>\r\n.\r\nis late. @everyone \x1b[31m",
        site="/var/www/x\nX-Header: y",
    )
    with mail_receiver() as (port, arrived):
        url = f"mailto://127.0.0.1:{port}?to=a@example.com&from=b@example.com&mode=insecure"
        assert check_apprise(parse_recipient(url)).shown == "mailto://127.0.0.1"
        send(Receiver(url=url), hostile, NOW)
    (message,) = arrived
    subject = str(make_header(decode_header(message["Subject"])))
    assert subject == "Backstay: No backup of x Bcc: thief@example.com <script>"
    assert (message["Bcc"], message["X-Header"]) == (None, None)
    contents = {part.get_content_type(): part.get_payload(decode=True) for part in message.walk()}
    content = contents["text/plain"]
    assert isinstance(content, bytes)
    assert b"Site: /var/www/x X-Header: y" in content
    assert b"\x1b" not in content
    assert without_mentions("@everyone <!here> u@127.0.0.1 <x>") == "@\u200beveryone <\u200b!here> u@127.0.0.1 <x>"


@pytest.mark.parametrize(
    "url",
    [
        "json://user:Geheim1@{}/Geheim2?+X-Token=Geheim3",
        "mailto://{}?user=Geheim1&pass=Geheim2&to=Geheim3@example.com&from=b@example.com",
    ],
)
def test_what_apprise_says_of_a_failure_holds_no_secret(url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with HttpReceiver() as receiver, pytest.raises(ConnectionFailedError, match="refused") as failed:
        send(Receiver(url=url.format(receiver.address)), FAILED, NOW)
    assert "Geheim" not in f"{failed.value}{caplog.text}"


def test_addresses_that_apprise_does_not_know_are_refused_and_tokens_in_them_are_not_shown() -> None:
    with pytest.raises(UsageError, match="is none that Apprise can use") as refused:
        check_apprise(parse_recipient("nothing://Geheim/x"))
    assert "Geheim" not in str(refused.value)
    assert check_apprise(parse_recipient("tgram://123456789:abcdefg_hijklmnop/12315544/")).shown == "tgram://…"
