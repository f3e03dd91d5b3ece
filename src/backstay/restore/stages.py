"""The databases of one restore, each as the journal knows it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from backstay.errors import RestoreError
from backstay.restore.databases import Stage, make_stage
from backstay.restore.journal import Journal
from backstay.restore.plan import RestorePlan


class Stages:
    """What is, or will be, staged of each dump.

    Args:
        journal: of the restore.
        plan: of the restore.
    """

    def __init__(self, journal: Journal, plan: RestorePlan) -> None:
        self._journal = journal
        self._plan = plan
        self._stages: dict[str, Stage] = {}

    def begun(self) -> list[str]:
        """Return the dumps whose staging was begun, in order."""
        return [line["dump"] for line in self._lines("database begun")]

    def ready(self) -> list[dict[str, Any]]:
        """Return the last line of the journal about each dump that was made ready."""
        return self._lines("database ready")

    def _lines(self, step: str) -> list[dict[str, Any]]:
        return list({line["dump"]: line for line in self._journal.lines if line["step"] == step}.values())

    def is_on_server(self, name: str) -> bool:
        """Return whether what is staged of a dump lies in the server, which keeps it safe, and not in files of ours."""
        address = self._plan.database(name)
        return address is not None and address.kind == "mysql"

    def refused(self) -> list[str]:
        """Return the warnings of what the servers refused to make."""
        return [warning for line in self.ready() for warning in self.of(line["dump"]).refused]

    def of(self, name: str) -> Stage:
        """Return the stage of a dump as the journal knows it; one that was not ready has nothing staged."""
        if name not in self._stages:
            ready = self._journal.last("database ready", dump=name)
            begun = self._journal.last("database begun", dump=name)
            prefix = str(begun["prefix"]) if begun else ""
            self._stages[name] = self._make(name, prefix, ready["state"] if ready else None)
        return self._stages[name]

    def anew(self, name: str, prefix: str) -> Stage:
        """Return the stage of a dump that is to be made ready."""
        self._refused_file(name).unlink(missing_ok=True)
        self._stages[name] = self._make(name, prefix, None)
        return self._stages[name]

    def _make(self, name: str, prefix: str, state: dict[str, Any] | None) -> Stage:
        address = self._plan.database(name)
        if address is None:
            raise RestoreError(f"The restore {self._journal.name} is damaged: it has no address for {name}.")
        folder = self._journal.folder / f"database-{list(self._plan.databases).index(name)}"
        return make_stage(replace(address, prefix=prefix), self._plan.policy, folder, self._refused_file(name), state)

    def _refused_file(self, name: str) -> Path:
        # Beside the journal's folder, which is removed with the restore.
        return self._journal.folder.with_name(f"{self._journal.name}.{Path(name).stem}.refused.sql")
