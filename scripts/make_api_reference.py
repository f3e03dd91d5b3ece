"""Write ``docs/reference/api.md`` from the method table; ``--check`` only checks that it is up to date."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from typing import Any

from backstay.api.methods import METHODS, REMOVED_METHODS, Method
from backstay.api.methods.model import CURRENT_LEVEL
from backstay.api.status import STATUS_MEANINGS
from backstay.api.wire import encode_parameters
from reference_page import write_or_check

HEAD = f"""# The API

Backstay answers the Akeeba Backup JSON API in its three versions, over one table of methods; this page is made from
that table. The level that is reported is {CURRENT_LEVEL}, unless `api_level` in `backstay.toml` says otherwise.

| Version | Route | Who is asking |
|---|---|---|
| 3 | `/api/v3/akeebabackup/METHOD`, `/api/index.php/v3/akeebabackup/METHOD` | a token or the secret word, in a header |
| 2 | `/index.php?view=api`, `/remote.php?view=api`, `/wp-admin/admin-ajax.php` | the secret word |
| 1 | the same with `view=json` | a challenge made from the secret word |

* Version 3 takes a token in `X-Joomla-Token` or `Authorization: Bearer`, or the secret word in `X-Akeeba-Auth`; never
  in the address. If both are sent, the secret word counts.
* Version 2 takes the secret word in `X-Akeeba-Auth` or in the parameter `_akeebaAuth`, and the name of the method in
  the parameter `method`. Versions 2 and 3 answer `{{"status":200,"data":…}}`.
* Version 1 takes one parameter, `json`, with an envelope, and answers
  `###{{"encapsulation":1,"body":{{"status":200,"data":"…"}}}}###`, where `data` is a string that holds JSON.
* The HTTP status is 200 whatever happens; the status of the API stands in the reply. Only `downloadDirect` answers
  with HTTP errors.
* GET and POST mean the same. Parameters are those of a query or a form; lists and objects are bracketed
  (`overrides[akeeba.basic.backup_type]=dbonly`), or JSON text.
* Method names are matched without regard to case, and unknown parameters are ignored. Numbers are read as PHP reads
  them: `12abc` is 12, `abc` is 0.
* A method needs a privilege, its scope. The secret word has all of them; a token has those it was made with.

In the examples, `$SITE` is the address of the server and `$SECRET` the secret word.

## Statuses

| Status | Meaning |
|---:|---|
"""


def main() -> int:
    """Write the page, or say whether it is up to date; gives the exit code."""
    return write_or_check("api.md", HEAD + "".join(f"{line}\n" for line in page()))


def page() -> Iterator[str]:
    """Give the lines after the head."""
    for status, meaning in STATUS_MEANINGS.items():
        yield f"| {int(status)} | {meaning} |"
    yield "\n## Methods\n\n| Method | Scope | Levels | What it does |\n|---|---|---|---|"
    for method in METHODS:
        link = f"[`{method.name}`](#{method.name.lower()})"
        yield f"| {link} | {method.scope or 'none'} | {levels(method)} | {cell(method.summary)} |"
    for method in METHODS:
        yield from section(method)
    yield "\n## Methods that are gone\n\n| Method | Last level |\n|---|---|"
    for name, level in REMOVED_METHODS.items():
        yield f"| `{name}` | {level} |"
    yield "\nThey are answered with status 405, as by every newer server."


def levels(method: Method[Any, Any]) -> str:
    """Give the API levels of a method in words."""
    return f"from {method.first_level}" if method.last_level is None else f"{method.first_level} to {method.last_level}"


def section(method: Method[Any, Any]) -> Iterator[str]:
    """Give the section of one method."""
    yield f"\n### {method.name}\n\n{method.summary}\n"
    scope = f"Scope: `{method.scope}`" if method.scope else "Scope: none, any known caller may call it"
    if "overrides" in method.parameters.model_fields:
        scope += "; with `overrides` also `configure`"
    yield f"{scope}. Levels: {levels(method)}.{gone(method)}\n"
    yield from parameters(method)
    yield from reply(method)
    for level, change in method.changes:
        yield f"* Level {level}: {change}"
    if method.changes:
        yield ""
    if method.failures:
        yield "| Status | Message | When |\n|---:|---|---|"
        yield from (f"| {failure.status} | {cell(failure.message)} | {failure.when} |" for failure in method.failures)
        yield ""
    yield f"```sh\n{example(method)}\n```"
    if method.example_reply is not None:
        shown = json.dumps({"status": 200, "data": method.example_reply}, indent=2, ensure_ascii=False)
        yield f"\n```json\n{shown}\n```"


def gone(method: Method[Any, Any]) -> str:
    """Give a sentence for a method that is not answered everywhere."""
    if not method.offered:
        return " Backstay answers 501: it is updated by the package manager that installed it."
    return "" if method.last_level is None else " At higher levels it is answered with 501."


def parameters(method: Method[Any, Any]) -> Iterator[str]:
    """Give the table of a method's parameters."""
    properties = method.parameters.model_json_schema(by_alias=True, mode="serialization").get("properties", {})
    if not properties:
        return
    yield "| Parameter | Type | Default | Meaning |\n|---|---|---|---|"
    for name, schema in properties.items():
        default = json.dumps(schema.get("default", {} if schema.get("type") == "object" else None))
        yield f"| `{name}` | {kind(schema)} | `{default}` | {cell(schema.get('description', ''))} |"
    yield ""


def kind(schema: dict[str, Any]) -> str:
    """Give the name of a JSON schema's type."""
    if "anyOf" in schema:
        return " or ".join(kind(choice) for choice in schema["anyOf"])
    if "$ref" in schema:
        return "object"
    return str(schema.get("type", "any"))


def reply(method: Method[Any, Any]) -> Iterator[str]:
    """Give what a method answers: a sentence, and a table where it is an object or a list of objects."""
    if method.reply_type is bytes:
        yield "Reply: the file itself.\n"
        return
    schema = method.reply.json_schema(by_alias=True, mode="serialization")
    definitions = schema.pop("$defs", {})
    words, item = "an object", schema
    if schema.get("type") == "array":
        words, item = "a list of objects", schema["items"]
    elif "$ref" not in schema and schema.get("type") != "object":
        words = f"a {schema.get('type', 'value')}"
    elif "additionalProperties" in schema and "properties" not in schema:
        item = schema["additionalProperties"] if isinstance(schema["additionalProperties"], dict) else {}
        words = "an object whose members are objects" if "$ref" in item else "an object"
    if "$ref" in item:
        item = definitions[item["$ref"].rpartition("/")[2]]
    yield f"Reply: {words}.\n"
    properties = item.get("properties", {})
    if properties:
        yield "| Key | Type | Meaning |\n|---|---|---|"
        for name, field in properties.items():
            yield f"| `{name}` | {kind(field)} | {cell(field.get('description', ''))} |"
        yield ""


def example(method: Method[Any, Any]) -> str:
    """Give a call with curl, over version 3."""
    pieces = ['curl --header "X-Akeeba-Auth: $SECRET"']
    pieces += [
        f"  --data-urlencode {shlex.quote(f'{name}={value}')}" for name, value in encode_parameters(method.example)
    ]
    if method.reply_type is bytes:
        pieces.append("  --output part --continue-at - --get")
    pieces.append(f'  "$SITE/api/v3/akeebabackup/{method.name}"')
    return " \\\n".join(pieces)


def cell(text: str) -> str:
    """Give a text as it may stand in a table."""
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    sys.exit(main())
