"""States of backups in words and colours, and what a record's proof says, as several pages show them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from backstay.catalogue import Backup, Copy

STATES = {
    "ok": ("here", "good"),
    "remote": ("elsewhere", "good"),
    "obsolete": ("files are gone", "quiet"),
    "pending": ("running", "busy"),
    "fail": ("failed", "bad"),
}
"""Word and colour of each state of a record."""


def proof_of(backup: Backup) -> tuple[str, str]:
    """Return in a word, with its colour, how a backup is proven."""
    if backup.status != "complete":
        return "", "quiet"
    found = list(backup.proof.get("verifications", {}).values())
    drill = backup.proof.get("drill", {}).get("verdict", "")
    if any(not one["ok"] for one in found) or drill == "failed":
        return "damaged", "bad"
    if drill == "passed":
        return "restored and compared", "good"
    if found or backup.proof.get("level") == "content":
        return "read and compared", "good"
    levels = {"structure": ("structure checked", "quiet"), "new": ("what is new was read back", "quiet")}
    return levels.get(str(backup.proof.get("level")), ("not proven", "warn"))


def moment_of(text: object) -> datetime | None:
    """Return the moment that a proof names."""
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None


def verifications(backup: Backup) -> list[dict[str, Any]]:
    """Return the latest reading of each place, as a page shows it."""
    return [
        {"place": place or "here", "at": moment_of(one["at"]), "ok": one["ok"], "problems": one.get("problems", [])}
        for place, one in sorted(backup.proof.get("verifications", {}).items())
    ]


def copy_state(copy: Copy) -> tuple[str, str]:
    """Return the state of a copy in a word, with its colour."""
    if copy.state == "stored":
        return ("damaged", "bad") if copy.error else ("stored", "good")
    return {"sending": ("on its way", "busy"), "failed": ("failed", "bad"), "deleting": ("to be deleted", "warn")}[
        copy.state
    ]
