"""The words of a message, from an event: the same for every service that shows text."""

from __future__ import annotations

from datetime import datetime, tzinfo

from backstay.notifications.model import Event

_LONGEST_TITLE = 200
_LONGEST_TEXT = 12_000


def one_line(text: str) -> str:
    """Return a text on one line, without control characters: a name cannot begin a header or a line of its own."""
    return " ".join(_printable(text).split())


def several_lines(text: str) -> str:
    """Return a text without control characters but the ends of its lines."""
    return "\n".join(_printable(line).rstrip() for line in text.splitlines()).strip("\n")


def _printable(text: str) -> str:
    letters = text.encode("utf-8", "backslashreplace").decode()
    return "".join(letter if letter.isprintable() else " " for letter in letters)


def subject(event: Event) -> str:
    """Return the title of a message, with the name of the profile."""
    title, profile = one_line(event.title), one_line(event.profile)
    named = f"{title} ({profile})" if profile and profile not in title else title
    return f"Backstay: {_cut(named, _LONGEST_TITLE)}"


def body(event: Event, *, server: str, zone: tzinfo) -> str:
    """Return the text of a message.

    Args:
        event: what happened.
        server: name of this machine, so that messages of several can be distinguished.
        zone: time zone of the times in it.
    """
    facts = [
        ("Profile", f"{event.profile_id} ({one_line(event.profile)})" if event.profile_id is not None else ""),
        ("Site", one_line(event.site)),
        ("Backup", "" if event.backup_id is None else str(event.backup_id)),
        ("Since", _moment(event.since, zone)),
        ("Happened", _moment(event.at, zone) if event.at != event.since else ""),
        ("Server", one_line(server)),
    ]
    do = [
        ("What to do", one_line(event.advice)),
        ("See more", one_line(event.command)),
        ("Link", one_line(event.link)),
    ]
    blocks = [
        _cut(several_lines(event.message), _LONGEST_TEXT),
        "\n".join(f"{name}: {_cut(value, 1000)}" for name, value in facts if value),
        "\n".join(f"{name}: {_cut(value, 1000)}" for name, value in do if value),
    ]
    return "\n\n".join(block for block in blocks if block)


def _moment(value: datetime | None, zone: tzinfo) -> str:
    return value.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z") if value is not None else ""


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
