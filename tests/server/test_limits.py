"""What a stranger may send: sizes, times, forms, and what a proxy may say of others."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlencode

import pytest

from backstay.server import protocol, request
from server.driving import Driven, driven, json_reply


def connect(server: Driven) -> socket.socket:
    host, port = server.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=10)


def everything(connection: socket.socket) -> bytes:
    received = b""
    try:
        while piece := connection.recv(65536):
            received += piece
    except ConnectionError:
        pass
    return received


def test_a_body_that_is_too_large(home: Path) -> None:
    with driven(home, maximum_body=2000) as server:
        reply = json_reply(server.http.post(f"{server.url}/index.php", data={"method": "x" * 3000}))
        assert (reply.http, reply.status) == (413, 413)
        assert "2000 bytes" in reply.data
        assert server.v2("getVersion", verb="POST").status == 200


def test_a_body_that_is_too_large_and_does_not_say_so(home: Path) -> None:
    with driven(home, maximum_body=2000) as server:
        pieces = iter([b"method=getVersion&x=", *[b"y" * 1000] * 50])
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        response = server.http.post(f"{server.url}/index.php", content=pieces, headers=headers)
        assert response.status_code == 413


def test_a_head_that_is_too_large(server: Driven) -> None:
    response = server.http.get(f"{server.url}/index.php", headers={"X-Long": "y" * 70_000})
    assert response.status_code == 431
    with connect(server) as connection:
        connection.sendall(b"GET /index.php?method=" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        assert everything(connection).startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 431 "))


def test_a_head_without_end(server: Driven) -> None:
    with connect(server) as connection:
        connection.sendall(b"GET /index.php HTTP/1.1\r\nHost: x\r\nX-Long: ")
        try:
            for _ in range(200):
                connection.sendall(b"y" * 10_000)
        except ConnectionError:
            return
        answer = everything(connection)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 431 ")


def test_a_url_without_end(server: Driven) -> None:
    with connect(server) as connection:
        connection.sendall(b"GET /")
        try:
            for _ in range(200):
                connection.sendall(b"y" * 10_000)
        except ConnectionError:
            return
        answer = everything(connection)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 431 ")


def test_a_head_that_takes_too_long(server: Driven, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.3)
    for start in (b"", b"GET /index.php HTTP/1.1\r\nHost:"):
        with connect(server) as connection:
            connection.sendall(start)
            begun = time.monotonic()
            assert everything(connection) == b""
            assert time.monotonic() - begun < 5


def test_a_body_that_takes_too_long(server: Driven, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request, "BODY_SECONDS", 0.3)
    with connect(server) as connection:
        connection.sendall(
            b"POST /index.php HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\n\r\nmethod=getVer"
        )
        answer = everything(connection)
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_large_bodies_at_once_wait_for_their_turn(server: Driven) -> None:
    def post(_: int) -> int:
        return server.v2("getVersion", verb="POST", padding="x" * 400_000).status

    with ThreadPoolExecutor(24) as pool:
        assert list(pool.map(post, range(48))) == [200] * 48


def test_too_many_parameters(server: Driven) -> None:
    body = "&".join(f"p{number}=x" for number in range(10_001))
    headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Akeeba-Auth": server.secret}
    assert server.http.post(f"{server.url}/index.php", content=body, headers=headers).status_code == 413


def test_a_multipart_body_that_is_none(server: Driven) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    for body in (b"nonsense", b"--x\r\n\r\n", b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n', b""):
        response = server.http.post(f"{server.url}/index.php?method=getVersion", content=body, headers=headers)
        assert response.status_code in (200, 400)
        assert response.json()["status"] in (400, 503)


def test_files_are_not_taken(server: Driven) -> None:
    response = server.http.post(f"{server.url}/index.php?method=getVersion", files={"file": ("a.txt", b"x" * 100)})
    assert response.status_code == 400
    assert "without files" in response.json()["data"]


def test_a_body_of_another_kind_is_ignored(server: Driven) -> None:
    query = urlencode({"method": "getVersion", "_akeebaAuth": server.secret})
    response = server.http.post(f"{server.url}/index.php?{query}", json={"method": "nope"})
    assert json_reply(response).status == 200


@pytest.mark.parametrize("name", ["a[0][1][2]" * 40, "a" + "[x]" * 100, "[", "]", "a[", "a[]", "[]", "a[[]]"])
def test_brackets_of_any_kind(server: Driven, name: str) -> None:
    query = urlencode([("method", "getVersion"), (name, "1"), ("_akeebaAuth", server.secret)])
    assert json_reply(server.http.get(f"{server.url}/index.php?{query}")).status in (200, 500)


def test_json_that_nests_deep(server: Driven) -> None:
    for text in ("[" * 50_000, '{"a":' * 20_000, '{"body":' + "[" * 5000 + "]" * 5000 + "}"):
        assert server.v1_text(text).status in (401, 500)


def test_a_proxy_that_is_trusted_says_who_asks(server: Driven, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("WARNING")
    headers = {"X-Forwarded-For": "192.0.2.77", "X-Akeeba-Auth": "wrong"}
    server.http.get(f"{server.url}/index.php?method=getVersion", headers=headers)
    assert "192.0.2.77" in caplog.text


def test_a_proxy_that_is_not_trusted_says_nothing(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("WARNING")
    with driven(home, forwarded_allow_ips="192.0.2.1") as server:
        headers = {"X-Forwarded-For": "192.0.2.77", "X-Akeeba-Auth": "wrong"}
        server.http.get(f"{server.url}/index.php?method=getVersion", headers=headers)
    assert "192.0.2.77" not in caplog.text
    assert "127.0.0.1" in caplog.text


def test_requests_that_are_not_http(server: Driven) -> None:
    for text in (b"\x16\x03\x01\x00", b"HELLO\r\n\r\n", b"GET\r\n\r\n", b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n"):
        with connect(server) as connection:
            connection.sendall(text)
            connection.shutdown(socket.SHUT_WR)
            answer = everything(connection)
            assert answer == b"" or answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 404"))
    assert server.v2("getVersion").status == 200
