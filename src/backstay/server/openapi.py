"""The OpenAPI document of version 3, made from the method table."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from pydantic import BaseModel, TypeAdapter

from backstay.api.methods import METHODS, Method
from backstay.api.status import STATUS_MEANINGS
from backstay.version import __version__

_REFERENCE = "#/components/schemas/{model}"
_FILE = "downloadDirect"


def openapi_document(base: str, level: int) -> dict[str, Any]:
    """Return the document.

    Args:
        base: path in front of ``/api``, without a slash at its end.
        level: API level; methods that it does not answer are left out.
    """
    paths, schemas = _paths_and_schemas(level)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Akeeba Backup JSON API, version 3, as Backstay answers it",
            "version": __version__,
            "description": "GET and POST mean the same. Errors travel at HTTP 200 with the status inside: "
            + "; ".join(f"{int(status)}: {meaning}" for status, meaning in STATUS_MEANINGS.items()),
        },
        "servers": [{"url": f"{base}/api/v3/akeebabackup"}, {"url": f"{base}/api/index.php/v3/akeebabackup"}],
        "security": [{"token": []}, {"bearer": []}, {"secret": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {"type": "apiKey", "in": "header", "name": "X-Joomla-Token"},
                "bearer": {"type": "http", "scheme": "bearer"},
                "secret": {"type": "apiKey", "in": "header", "name": "X-Akeeba-Auth"},
            },
            "schemas": schemas,
        },
    }


@lru_cache(maxsize=4)
def _paths_and_schemas(level: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The two large members, made once: it takes a tenth of a second, and anyone may ask."""
    schemas: dict[str, Any] = {}
    paths = {
        f"/{method.name}": {verb: _operation(method, verb, schemas) for verb in ("get", "post")}
        for method in METHODS
        if method.answers_at(level)
    }
    return paths, schemas


def _operation(method: Method[Any, Any], verb: str, schemas: dict[str, Any]) -> dict[str, Any]:
    properties = _parameters(method.parameters, schemas)
    scopes = f"Needs the scope {method.scope}." if method.scope else "Needs no scope: any known caller may call it."
    operation: dict[str, Any] = {
        "operationId": f"{method.name}{'' if verb == 'get' else 'ByPost'}",
        "summary": method.summary,
        "description": " ".join(
            [scopes, *(f"{failure.status} {failure.message}: {failure.when}." for failure in method.failures)]
        ),
        "responses": {"200": _answer(method, schemas)},
    }
    if method.name == _FILE:
        operation["responses"] |= {
            "206": {"description": "A piece of the file, where Range asked for one."},
            "403": {"description": "The caller may not download."},
            "404": {"description": "There is no such record or part."},
            "416": {"description": "The range lies behind the end of the file."},
            "500": {"description": "The file cannot be read."},
        }
    if verb == "get":
        operation["parameters"] = [_in_query(name, schema) for name, schema in properties.items()]
    elif properties:
        form = {"type": "object", "properties": properties}
        content = {"schema": form, "encoding": {name: {"style": "deepObject", "explode": True} for name in properties}}
        operation["requestBody"] = {"content": {"application/x-www-form-urlencoded": content}}
    return operation


def _in_query(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    parameter: dict[str, Any] = {"name": name, "in": "query", "required": False, "schema": schema}
    if "description" in schema:
        parameter["description"] = schema["description"]
    if schema.get("type") == "object":
        parameter |= {"style": "deepObject", "explode": True}
    return parameter


def _parameters(model: type[BaseModel], schemas: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a method by their names on the wire."""
    schema = model.model_json_schema(by_alias=True, mode="serialization", ref_template=_REFERENCE)
    schemas.update(schema.pop("$defs", {}))
    properties: dict[str, Any] = schema.get("properties", {})
    return properties


def _answer(method: Method[Any, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    if method.name == _FILE:
        return {"description": "The whole file.", "content": {"application/octet-stream": {}, "application/zip": {}}}
    adapter: TypeAdapter[Any] = method.reply
    reply = adapter.json_schema(mode="serialization", by_alias=True, ref_template=_REFERENCE)
    schemas.update(_with_empty_lists(reply.pop("$defs", {})))
    reply = _with_empty_lists(reply)
    envelope = {
        "type": "object",
        "required": ["status", "data"],
        "properties": {
            "status": {"type": "integer"},
            "data": {"anyOf": [reply, {"type": "string", "description": "The message, where status is not 200."}]},
        },
    }
    content: dict[str, Any] = {"schema": envelope}
    if method.example_reply is not None:
        content["example"] = {"status": 200, "data": method.example_reply}
    return {"description": "The reply, or what went wrong.", "content": {"application/json": content}}


def _with_empty_lists(schema: Any) -> Any:
    """A schema in which an empty map may be an empty list, the way the reference writes it (api-methods.md 5.3)."""
    if isinstance(schema, list):
        return [_with_empty_lists(member) for member in schema]
    if not isinstance(schema, dict):
        return schema
    changed = {key: _with_empty_lists(member) for key, member in schema.items()}
    if changed.get("type") == "object" and "properties" not in changed and "additionalProperties" in changed:
        return {"anyOf": [changed, {"type": "array", "maxItems": 0}]}
    return changed
