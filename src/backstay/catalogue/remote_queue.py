"""What says which runs of remote sites begin next: those that have not ended, with their sites and groups."""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import Engine, func, literal, select

from backstay.catalogue.schema import groups, remote_runs, sites

PER_HOST_WITHOUT_GROUP: Final = 2
"""As many runs at the same time at one host a site in no group allows."""


class OpenRun(NamedTuple):
    """A run that has not ended.

    Attributes:
        id: its number.
        run_id: number of the schedule's run that it is for; None: a person or a client asked for it.
        holder: a word for the worker that performs it; empty: none does.
        host: where it takes a place among those that run at once.
        group: name of its site's group; empty: none.
        per_host: as many runs the group allows at one host at the same time.
        priority: higher ones are begun earlier.
        created: moment it was asked for.
        begun: moment a worker first took it up; None: none did.
        not_before: moment before which its site is not tried again by itself.
        paused: whether its site is not backed up by itself.
    """

    id: int
    run_id: int | None
    holder: str
    host: str
    group: str
    per_host: int
    priority: int
    created: datetime
    begun: datetime | None
    not_before: datetime | None
    paused: bool


class RemoteQueueTable:
    """Reads the queue of runs of remote sites."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def open(self) -> list[OpenRun]:
        """Return the runs that have not ended; where there are none, that is one look into a small index."""
        run, none = remote_runs.c, PER_HOST_WITHOUT_GROUP
        query = (
            select(
                *(run[name] for name in ("id", "run_id", "holder", "host")),
                func.coalesce(groups.c.name, ""),
                func.coalesce(groups.c.per_host, literal(none)),
                *(run[name] for name in ("priority", "created", "begun")),
                sites.c.not_before,
                sites.c.paused,
            )
            .join(sites, sites.c.id == run.site_id)
            .outerjoin(groups, groups.c.id == sites.c.group_id)
            .where(run.ended.is_(None))
        )
        with self._engine.connect() as connection:
            return [OpenRun(*row) for row in connection.execute(query)]
