"""Whatever is sent, the API answers as the API: no other 500, no hang, no secret given away."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backstay.api.methods import METHODS
from backstay.api.methods.model import Method
from backstay.jobs import throttle
from backstay.jobs.installation import api_secret
from server.driving import Driven, challenge, driven

EXAMPLES = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
# Methods that take long, or change the credentials and settings that the next example needs, are tested elsewhere.
SAFE = [method for method in METHODS if method.name not in ("testDBConnection", "setIncludedDB")]
NAMES = st.sampled_from([method.name for method in SAFE]) | st.text(max_size=20)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driven]:
    """One server for all examples, that does not hold back its answers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("BACKSTAY_SECRET", raising=False)
        patch.setattr(throttle, "FREE_FAILURES", 10**9)
        with driven(tmp_path_factory.mktemp("properties") / "home") as running:
            yield running


def parameters_of(method: Method[Any, Any]) -> list[str]:
    return [
        field.alias or str(field.validation_alias or name) for name, field in method.parameters.model_fields.items()
    ]


def check_answer(server: Driven, text: str, http: int) -> None:
    """An answer of the API, or a page; never the secret."""
    assert server.secret not in text
    if http == 404 and text.startswith("<!DOCTYPE html>"):
        return
    if text.startswith("###"):
        body = json.loads(text[3:-3])["body"]
    else:
        assert "###" not in text
        body = json.loads(text)
    assert isinstance(body["status"], int)
    assert http == 200 or (http in (400, 404, 413, 431) and body["status"] == http)


@EXAMPLES
@given(name=NAMES, data=st.dictionaries(st.text(max_size=12), JSON, max_size=5))
def test_version_1(shared: Driven, name: str, data: dict[str, Any]) -> None:
    inner = json.dumps({"challenge": challenge("salt", shared.secret), "method": name, "data": data})
    response = shared.http.post(f"{shared.url}/index.php", data={"json": json.dumps({"body": inner})})
    if name.lower() != "downloaddirect":
        check_answer(shared, response.text, response.status_code)


@EXAMPLES
@given(text=st.text(max_size=60) | JSON.map(json.dumps))
def test_version_1_with_any_text(shared: Driven, text: str) -> None:
    response = shared.http.post(f"{shared.url}/index.php", content="view=json&json=" + quote(text), headers=FORM)
    check_answer(shared, response.text, response.status_code)


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@EXAMPLES
@given(data=st.data())
def test_version_2(shared: Driven, data: st.DataObject) -> None:
    method = data.draw(st.sampled_from(SAFE))
    values = st.text(max_size=20) | st.integers().map(str) | JSON.map(json.dumps)
    named = parameters_of(method)
    keys = st.text(max_size=12) if not named else st.sampled_from(named) | st.text(max_size=12)
    keys = keys.flatmap(lambda key: st.sampled_from(["", "[]", "[a]", "[0][b]", "["]).map(lambda end: key + end))
    fields = data.draw(st.lists(st.tuples(keys, values), max_size=5))
    encoded = urlencode([*fields, ("method", method.name)])
    response = shared.http.post(
        f"{shared.url}/index.php", content=encoded, headers=FORM | {"X-Akeeba-Auth": shared.secret}
    )
    if method.name != "downloadDirect":
        check_answer(shared, response.text, response.status_code)


@EXAMPLES
@given(raw=st.binary(max_size=80))
def test_version_2_with_any_bytes(shared: Driven, raw: bytes) -> None:
    response = shared.http.post(f"{shared.url}/index.php?view=api", content=raw, headers=FORM)
    check_answer(shared, response.text, response.status_code)


@EXAMPLES
@given(path=st.text(max_size=30), query=st.text(max_size=30))
def test_any_path(shared: Driven, path: str, query: str) -> None:
    response = shared.http.get(f"{shared.url}/{quote(path)}?{quote(query)}")
    assert response.status_code in (200, 404)
    assert shared.secret not in response.text


def test_nothing_of_all_this_was_unforeseen(shared: Driven, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "backstay")
    for method in SAFE:
        for value in ("", "0", "-1", "x", "9" * 30, "[]", "{}", "\0", "/", "[SITEROOT]", "../..", "\udcff"):
            data = dict.fromkeys(parameters_of(method), value)
            encoded = urlencode([*data.items(), ("method", method.name)], errors="surrogateescape")
            headers = FORM | {"X-Akeeba-Auth": shared.secret}
            response = shared.http.post(f"{shared.url}/index.php", content=encoded, headers=headers)
            if method.name != "downloadDirect":
                check_answer(shared, response.text, response.status_code)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
    assert api_secret(shared.installation) not in caplog.text
