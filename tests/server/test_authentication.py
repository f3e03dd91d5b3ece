"""Who is let in, how wrong credentials are slowed, and what the log says of them."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

import pytest

from backstay.jobs import throttle
from backstay.jobs.installation import set_secret
from server.driving import ALL, Driven, driven, json_reply

WEAK = "abcdefghijklmnopqrst"


def test_a_rotated_secret_counts_at_once(server: Driven) -> None:
    old = server.secret
    assert server.v2("getVersion").status == 200
    server.secret = set_secret(server.installation)
    assert server.v2("getVersion").status == 200
    assert server.v1("getVersion").status == 200
    server.secret = old
    assert server.v2("getVersion").status == 503
    assert server.v1("getVersion").status == 401


@pytest.mark.parametrize("call", ["v1", "v2", "v3"])
def test_a_secret_is_compared_in_all_its_bytes(server: Driven, call: str) -> None:
    right = server.secret
    other = "A" if right[-1] != "A" else "B"
    for wrong in (right[:8], right[:-1], right[:-1] + other, right[:8] + "x" * (len(right) - 8), right + other):
        server.secret = wrong
        reply = (
            server.v3("getVersion", {"X-Akeeba-Auth": wrong}) if call == "v3" else getattr(server, call)("getVersion")
        )
        assert reply.status in (401, 503), wrong
    server.secret = right
    assert server.v2("getVersion").status == 200


def test_the_secret_of_the_environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKSTAY_SECRET", "Pa$$w0rd!Pa$$w0r")
    with driven(home) as server:
        assert server.secret == "Pa$$w0rd!Pa$$w0r"
        assert [server.v1("getVersion").status, server.v2("getVersion").status] == [200, 200]


@pytest.mark.parametrize("secret", ["bar", "password123", WEAK])
def test_a_weak_secret_is_like_an_api_switched_off(home: Path, monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    monkeypatch.setenv("BACKSTAY_SECRET", secret)
    with driven(home) as server:
        assert server.v1("getVersion").pair == (503, "Access denied")
        assert server.v2("getVersion").pair == (503, "Access denied")
        assert server.v3("getVersion").pair == (503, "Access denied")
        assert server.v3("getVersion", {"X-Joomla-Token": server.token("read")}).status == 200


def test_a_secret_that_is_not_ascii(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKSTAY_SECRET", "Grüße an alle, die das lesen ☃")
    with driven(home) as server:
        assert server.v1("getVersion").status == 200
        assert server.v2("getVersion").status == 200
        headers = {b"X-Akeeba-Auth": server.secret.encode()}
        response = server.http.get(f"{server.url}/index.php?method=getVersion", headers=headers)
        assert json_reply(response).status == 200


def test_the_secret_word_switched_off(home: Path) -> None:
    with driven(home, secret_enabled=False) as server:
        assert server.v1("getVersion").pair == (503, "Access denied")
        assert server.v2("getVersion").pair == (503, "Access denied")
        token = server.token(*ALL)
        server.secret = token
        assert server.v2("getVersion").status == 200


def test_guesses_at_the_same_time_are_slowed_together(server: Driven, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "FREE_FAILURES", 0)
    monkeypatch.setattr(throttle, "DELAY", 0.1)
    monkeypatch.setattr(throttle, "LONGEST_QUEUE", 0.45)
    statuses: list[int] = []

    def guess() -> None:
        statuses.append(server.v3("getVersion", {"X-Akeeba-Auth": "wrong"}).status)

    threads = [threading.Thread(target=guess) for _ in range(30)]
    begun = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [503] * 30
    assert 0.4 < time.monotonic() - begun < 5, "beyond the queue nothing is read, and nobody waits"


def test_what_carries_no_credential_is_not_slowed(server: Driven, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "FREE_FAILURES", 0)
    begun = time.monotonic()
    for _ in range(5):
        assert server.v3("getVersion", {}).status == 503
    assert time.monotonic() - begun < 1


def test_wrong_challenges_are_slowed_too(server: Driven, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "FREE_FAILURES", 0)
    monkeypatch.setattr(throttle, "DELAY", 0.3)
    right, server.secret = server.secret, "wrong"
    begun = time.monotonic()
    assert server.v1("getVersion").status == 401
    assert time.monotonic() - begun > 0.25
    server.secret = right
    assert server.v1("getVersion").status == 200


def test_the_log_holds_failures_and_never_secrets(
    server: Driven, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "DELAY", 0.0)
    caplog.set_level(logging.DEBUG)
    guess, token = "a-guess-at-the-secret", server.token("read")
    server.v2("getVersion")
    server.v2("getVersion", verb="POST")
    server.v1("getVersion")
    server.v1_text('{"body":"' + guess + '"}', verb="GET")
    server.v3("getVersion", {"X-Joomla-Token": token})
    server.v3("delete", {"X-Joomla-Token": token})
    server.http.get(f"{server.url}/index.php?method=getVersion&_akeebaAuth={guess}")
    server.http.get(f"{server.url}/nothing?_akeebaAuth={server.secret}")
    server.http.get(f"{server.url}/index.php?method={guess}", headers={"X-Akeeba-Auth": server.secret})
    reported = [record.getMessage() for record in caplog.records if record.name.startswith(("backstay", "uvicorn"))]
    assert [line for line in reported if "log-in from 127.0.0.1 failed" in line]
    assert [line for line in reported if "delete by token" in line and "403" in line]
    for line in reported:
        for secret in (server.secret, guess, token, "_akeebaAuth"):
            assert secret not in line
