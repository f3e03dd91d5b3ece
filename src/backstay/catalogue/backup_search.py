"""What a person looks for in the list of backups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import ColumnElement, or_, select

from backstay.catalogue.schema import backups, copies, destinations, sites

FoundState = Literal["", "running", "here", "elsewhere", "gone", "failed", "frozen"]


@dataclass(frozen=True, slots=True)
class BackupSearch:
    """Which backups are meant; what is empty leaves all.

    Attributes:
        text: part of the description or the comment, or the number of a backup.
        profile_id: whose.
        state: ``running``: it has not ended; ``here``: its files are on this machine; ``elsewhere``: they are at
            storages only; ``gone``: they are nowhere; ``failed``; ``frozen``: it is protected.
        storage: name of a storage that has a copy.
        groups: numbers of groups of sites: only backups of sites in them; None: of anything.
    """

    text: str = ""
    profile_id: int | None = None
    state: FoundState = ""
    storage: str = ""
    groups: tuple[int, ...] | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return it as conditions of a query of records."""
        found = list(self._state())
        if self.text:
            part = [
                column.icontains(self.text, autoescape=True) for column in (backups.c.description, backups.c.comment)
            ]
            digits = self.text.removeprefix("#")
            is_number = digits.isascii() and digits.isdigit() and len(digits) < 19
            found.append(or_(*part, backups.c.id == int(digits)) if is_number else or_(*part))
        if self.profile_id is not None:
            found.append(backups.c.profile_id == self.profile_id)
        if self.groups is not None:
            own = select(sites.c.profile_id).where(sites.c.group_id.in_(self.groups))
            found.append(backups.c.profile_id.in_(own))
        if self.storage:
            stored = select(copies.c.backup_id).join(destinations, destinations.c.id == copies.c.destination_id)
            stored = stored.where(destinations.c.name == self.storage, copies.c.state == "stored")
            found.append(backups.c.id.in_(stored))
        return found

    def _state(self) -> list[ColumnElement[bool]]:
        complete, here = backups.c.status == "complete", backups.c.filesexist
        remote = backups.c.remote_filename.is_not(None) & (backups.c.remote_filename != "")
        states: dict[str, list[ColumnElement[bool]]] = {
            "running": [backups.c.status == "run"],
            "failed": [backups.c.status == "fail"],
            "here": [complete, here],
            "elsewhere": [complete, ~here, remote],
            "gone": [complete, ~here, ~remote],
            "frozen": [backups.c.frozen.is_(True)],
        }
        return states.get(self.state, [])
