"""Copies of backups at storages, as several commands print them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from backstay.catalogue import Copy
from backstay.cli.output import moment, shown


def copy_json(copy: Copy) -> dict[str, Any]:
    """Return a copy as commands print it with ``--json``; what resumes an upload is left out."""
    record = asdict(copy)
    record["parts"] = [
        {name: part[name] for name in ("name", "size", "blake3", "checksums", "proof")} for part in record["parts"]
    ]
    for name in ("created", "sent_at", "proven_at", "locked_until"):
        record[name] = moment(record[name])
    return record


def copy_line(copy: Copy) -> str:
    """Return one line for a person: where a copy lies, since when, and how that was proven."""
    where = f"Copy at {copy.destination}"
    if copy.state == "stored":
        lock = f", locked until {moment(copy.locked_until)} UTC" if copy.locked_until else ""
        if copy.error:
            return f"{where}: damaged: {shown(copy.error)}"
        return f"{where}: arrived {moment(copy.sent_at)} UTC, proven by {copy.proven_how}{lock}"
    states = {"sending": "on its way", "failed": "failed", "deleting": "is to be deleted"}
    return f"{where}: {states[copy.state]}{': ' + shown(copy.error) if copy.error else ''}"
