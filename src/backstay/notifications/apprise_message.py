"""Messages to the services that Apprise knows: mail, chats, telephones."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from datetime import tzinfo
from typing import Any

from backstay.errors import ConnectionFailedError, UsageError
from backstay.notifications import text
from backstay.notifications.address import Address, blanked
from backstay.notifications.model import Event
from backstay.notifications.request import ALL_SECONDS

# What chats take for a call to everybody; a name in a message is none.
_MENTION = re.compile(r"@(?=everyone|here|channel|all|room|[&!]?\d{15})|<(?=[!@#/])")
_INVISIBLE = "\u200b"


def check_apprise(address: Address) -> Address:
    """Return an address with the host that may be shown of it; nothing is sent.

    Raises:
        UsageError: Apprise knows no such service, or the address lacks something.
    """
    answer = _run(address, {"url": address.url})
    if answer["error"]:
        raise UsageError(
            f"The {address.scheme} URL is none that Apprise can use: see how it is written at "
            "https://appriseit.com/services/. For a plain webhook write webhook+https://host/path."
        )
    return replace(address, host=text.one_line(str(answer["host"])))


def send_apprise(address: Address, event: Event, *, server: str, zone: tzinfo) -> None:
    """Send an event as a message for people.

    Args:
        address: of the service.
        event: what happened.
        server: name of this machine.
        zone: time zone of the times in the text.

    Raises:
        ConnectionFailedError: it was not taken. The sentence holds no secret.
    """
    kind = "failure" if event.is_problem else "success" if event.kind in {"closed", "succeeded"} else "info"
    asked = {
        "url": address.url,
        "title": without_mentions(text.subject(event)),
        "body": without_mentions(text.body(event, server=server, zone=zone)),
        "type": kind,
    }
    if reason := _run(address, asked)["error"]:
        shown = blanked(text.one_line(str(reason)), address)[:500].rstrip(". ")
        raise ConnectionFailedError(f"The message to {address.shown} was not taken: {shown}.")


def without_mentions(words: str) -> str:
    """Return a text in which nothing calls a whole channel: ``@everyone``, ``<!here>``."""
    return _MENTION.sub(lambda found: found[0] + _INVISIBLE, words)


def _run(address: Address, asked: dict[str, Any]) -> dict[str, Any]:
    # The URL goes through standard input: command lines can be read by everybody.
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "backstay.notifications.apprise_process"],
            input=json.dumps(asked).encode(),
            cwd="/",
            capture_output=True,
            timeout=ALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ConnectionFailedError(
            f"{address.shown} did not answer within {ALL_SECONDS:.0f} seconds: check that it is up."
        ) from None
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise ConnectionFailedError(
            f"The program that sends to {address.shown} ended with {done.returncode}: check memory and disk."
        ) from None
    return answer
