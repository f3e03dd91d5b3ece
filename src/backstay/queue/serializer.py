"""How arguments and results of workflows are stored: as JSON, for nothing that is stored is ever unpickled."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from dbos import Serializer

_MOMENT, _ERROR = "$moment", "$error"


class WorkflowError(Exception):
    """What a step or workflow ended with, read back from the queue: the kind of error and its message."""


class JsonSerializer(Serializer):
    """Stores plain data, moments and errors (as their texts) as JSON."""

    def name(self) -> str:
        """Return by which name the queue's database knows this form."""
        return "backstay_json"

    def serialize(self, data: Any) -> str:
        """Return data as JSON; tuples become lists."""
        return json.dumps(data, default=_encode)

    def deserialize(self, serialized_data: str) -> Any:
        """Return what ``serialize`` was given, as plain data."""
        return json.loads(serialized_data, object_hook=_decode)


def _encode(value: object) -> object:
    if isinstance(value, datetime):
        return {_MOMENT: value.isoformat()}
    if isinstance(value, BaseException):
        return {_ERROR: f"{type(value).__name__}: {value}"}
    raise TypeError(f"{type(value).__name__} is not plain data")


def _decode(value: dict[str, Any]) -> object:
    if _MOMENT in value:
        return datetime.fromisoformat(value[_MOMENT])
    if _ERROR in value:
        return WorkflowError(value[_ERROR])
    return value
