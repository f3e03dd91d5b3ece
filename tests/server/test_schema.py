"""Schemathesis drives version 3 from its own OpenAPI document: answers are as it says, and nothing breaks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from backstay.server.openapi import openapi_document
from server.driving import Driven, driven

# Tried in their own tests: they would open connections to hosts that are made up here.
_LEFT_OUT = ("testDBConnection", "setIncludedDB")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driven]:
    """One server for all calls."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("BACKSTAY_SECRET", raising=False)
        with driven(tmp_path_factory.mktemp("schema") / "home") as running:
            yield running


def _document() -> dict[str, Any]:
    document = openapi_document("", 400)
    document["paths"] = {path: verbs for path, verbs in document["paths"].items() if path[1:] not in _LEFT_OUT}
    return document


schema = schemathesis.openapi.from_dict(_document())


@schema.parametrize()
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_call_is_answered_as_the_document_says(shared: Driven, case: schemathesis.Case[Any]) -> None:
    base = f"{shared.url}/api/v3/akeebabackup"
    case.call_and_validate(
        base_url=base,
        headers={"X-Akeeba-Auth": shared.secret},
        checks=[
            schemathesis.checks.not_a_server_error,
            schemathesis.checks.status_code_conformance,
            schemathesis.checks.content_type_conformance,
            schemathesis.checks.response_schema_conformance,
        ],
    )
