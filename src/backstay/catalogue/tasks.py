"""Tasks: long work that is no backup and goes on in a process of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Engine, delete, insert, select, update

from backstay.catalogue.schema import tasks
from backstay.catalogue.vault import Vault
from backstay.errors import NotFoundError

TaskState = Literal["running", "done", "failed", "stopped"]


@dataclass(frozen=True, slots=True)
class Task:
    """One piece of long work.

    Attributes:
        kind: what is done: ``verify``, ``drill``, ``copy`` and so on.
        title: for a person.
        state: ``running`` until its process has noted how it ended.
        started_by: name of the user, or of what else began it.
        profile_id, backup_id: what it is about; None: nothing of the kind.
        started: when its process was started; None: it is about to be.
        message: how it ended, in a sentence; empty while it runs.
        result: what it came to, as JSON.
        machine: name of the machine that does it; empty: the only one there is.
    """

    id: int
    kind: str
    title: str
    state: TaskState
    started_by: str
    created: datetime
    profile_id: int | None = None
    backup_id: int | None = None
    started: datetime | None = None
    ended: datetime | None = None
    message: str = ""
    result: Mapping[str, Any] = field(default_factory=dict)
    machine: str = ""


_COLUMNS = [tasks.c[item.name] for item in fields(Task)]


class TaskTable:
    """Reads and writes tasks; their arguments are kept encrypted and go with the end of the task."""

    def __init__(self, engine: Engine, vault: Vault, machine: str = "") -> None:
        self._machine = machine
        self._engine = engine
        self._writer = engine.execution_options(writes=True)
        self._vault = vault

    def create(
        self,
        kind: str,
        title: str,
        arguments: Mapping[str, Any],
        now: datetime,
        *,
        started_by: str,
        profile_id: int | None = None,
        backup_id: int | None = None,
    ) -> Task:
        """Make the row of a task that begins."""
        values = {
            "kind": kind,
            "title": title,
            "state": "running",
            "started_by": started_by,
            "created": now,
            "profile_id": profile_id,
            "backup_id": backup_id,
            "message": "",
            "result": {},
            "machine": self._machine,
        }
        encrypted = self._vault.encrypt(json.dumps(dict(arguments)))
        with self._writer.begin() as connection:
            made = insert(tasks).values(arguments=encrypted, **values).returning(*_COLUMNS)
            return Task(**connection.execute(made).one()._asdict())

    def find(self, task_id: int) -> Task | None:
        """Return a task, or None."""
        with self._engine.connect() as connection:
            row = connection.execute(select(*_COLUMNS).where(tasks.c.id == task_id)).one_or_none()
        return Task(**row._asdict()) if row else None

    def get(self, task_id: int) -> Task:
        """Return a task.

        Raises:
            NotFoundError: there is none of that number.
        """
        if (found := self.find(task_id)) is None:
            raise NotFoundError(f"There is no task {task_id}: see them with 'backstay task list'.")
        return found

    def arguments(self, task_id: int) -> dict[str, Any]:
        """Return what a task was begun with; nothing when it has ended."""
        with self._engine.connect() as connection:
            found = connection.execute(select(tasks.c.arguments).where(tasks.c.id == task_id)).scalar_one_or_none()
        known: dict[str, Any] = json.loads(self._vault.decrypt(found)) if found else {}
        return known

    def newest(
        self, offset: int = 0, limit: int | None = None, *, state: TaskState | None = None, backup_id: int | None = None
    ) -> list[Task]:
        """Return tasks, newest first.

        Args:
            offset: how many of the newest to pass over.
            limit: how many to return at most; None: all.
            state: only those in this state.
            backup_id: only those about this backup.
        """
        query = select(*_COLUMNS).order_by(tasks.c.id.desc())
        query = query if state is None else query.where(tasks.c.state == state)
        query = query if backup_id is None else query.where(tasks.c.backup_id == backup_id)
        query = query.offset(offset) if offset else query
        query = query if limit is None else query.limit(limit)
        with self._engine.connect() as connection:
            return [Task(**row._asdict()) for row in connection.execute(query)]

    def begin(self, task_id: int, now: datetime) -> None:
        """Note that the process of a task is started."""
        with self._writer.begin() as connection:
            connection.execute(update(tasks).where(tasks.c.id == task_id).values(started=now))

    def end(
        self, task_id: int, state: TaskState, now: datetime, message: str, result: Mapping[str, Any] | None = None
    ) -> bool:
        """Note how a task that runs has ended, and forget its arguments; return whether it ran."""
        values = {"state": state, "ended": now, "message": message, "result": dict(result or {}), "arguments": b""}
        query = update(tasks).where(tasks.c.id == task_id, tasks.c.state == "running").values(values)
        with self._writer.begin() as connection:
            return connection.execute(query).rowcount > 0

    def prune(self, before: datetime) -> list[int]:
        """Remove the tasks that ended before a moment; return their numbers."""
        gone = delete(tasks).where(tasks.c.state != "running", tasks.c.ended < before).returning(tasks.c.id)
        with self._writer.begin() as connection:
            return list(connection.execute(gone).scalars())
