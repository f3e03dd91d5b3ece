"""Schedules: what is done for a profile by itself, and when; and their runs, one for each due time."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, get_args

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Row,
    bindparam,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from backstay.catalogue.schema import UtcDateTime, backups, profiles, remote_runs, runs, schedules, sites
from backstay.errors import NotFoundError

Work = Literal["backup", "verify", "drill"]
RunState = Literal["waiting", "running", "done", "failed", "skipped"]
WORKS: tuple[Work, ...] = get_args(Work)
KEPT_RUNS = 1000
"""As many runs of each schedule are kept, the newest."""


@dataclass(frozen=True, slots=True)
class ProofOptions:
    """Which backups a schedule proves.

    Attributes:
        which: the newest backup at each run, or those whose proof is oldest, so many that each comes round.
        storage: name of the destination whose copies are read; empty: the files here and the copies everywhere.
        here_only: read the files here and no copies.
        within: days within which each backup is read again; 0: as the profile says.
    """

    which: Literal["newest", "rotating"] = "newest"
    storage: str = ""
    here_only: bool = False
    within: int = 0


@dataclass(frozen=True, slots=True)
class Schedule:
    """One schedule.

    Attributes:
        id: its number; 0 in one that is not stored yet.
        profile_id: whose backups are taken or proven.
        what: ``backup``, ``verify`` or ``drill``.
        at: cron expression (``backstay.schedules``).
        time_zone: IANA name of the zone in which it is read.
        spread: seconds of which each profile waits a fixed share.
        catch_up: a run that was missed is made up once; else it is noted as skipped.
        paused: nothing is due until it is resumed.
        options: which backups are proven.
        created: moment it was added.
        handled: the newest due moment for which there is a run, or from which on it counts.
    """

    id: int
    profile_id: int
    what: Work
    at: str
    time_zone: str
    spread: int
    catch_up: bool
    paused: bool
    options: ProofOptions
    created: datetime
    handled: datetime


class Times(NamedTuple):
    """What of a schedule says when it is due; the attributes are those of ``Schedule``."""

    id: int
    profile_id: int
    at: str
    time_zone: str
    spread: int
    catch_up: bool
    handled: datetime
    what: Work
    created: datetime


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a schedule.

    Attributes:
        id: its number.
        schedule_id: of which schedule.
        due: moment for which it is; no schedule has two for one moment.
        state: ``waiting``, ``running``, then ``done``, ``failed`` or ``skipped``.
        backup_id: number of the record that it took; None where it took none.
        created: moment it was found due.
        started: moment it was first begun.
        ended: moment it ended.
        message: what came of it, for a person.
    """

    id: int
    schedule_id: int
    due: datetime
    state: RunState
    backup_id: int | None
    created: datetime
    started: datetime | None
    ended: datetime | None
    message: str


class DueRun(NamedTuple):
    """A run that nobody has begun, with what is to be done.

    Attributes:
        id: its number.
        schedule_id: of which schedule.
        due: moment for which it is.
        profile_id: whose backups are taken or proven.
        machine: on which the site of that profile is; empty: any.
        what: ``backup``, ``verify`` or ``drill``.
        remote: whether the profile is of a site on another server.
    """

    id: int
    schedule_id: int
    due: datetime
    profile_id: int
    machine: str
    what: Work
    remote: bool


_SCHEDULE_COLUMNS = [schedules.c[item.name] for item in fields(Schedule)]
_TIMES = [schedules.c[name] for name in Times._fields]
_NEVER = datetime.max.replace(tzinfo=UTC)
_RUN_COLUMNS = [runs.c[item.name] for item in fields(Run)]


def _run(row: Row[Any]) -> Run:
    return Run(**row._asdict())


def _schedule(row: Row[Any]) -> Schedule:
    values = row._asdict()
    return Schedule(options=ProofOptions(**values.pop("options")), **values)


class ScheduleTable:
    """Reads and writes schedules; they go with their profile."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = engine.execution_options(writes=True)

    def all(self, *, profile_id: int | None = None, offset: int = 0, limit: int | None = None) -> list[Schedule]:
        """Return schedules by number: all, or those of a profile; so many are skipped, so many returned at most."""
        query = select(*_SCHEDULE_COLUMNS).order_by(schedules.c.id).offset(offset).limit(limit)
        if profile_id is not None:
            query = query.where(schedules.c.profile_id == profile_id)
        with self._engine.connect() as connection:
            return [_schedule(row) for row in connection.execute(query)]

    def times(self) -> list[Times]:
        """Return when all schedules that are not paused are due: a thousand of them are read in milliseconds."""
        return self._times()

    def to_look_at(self, now: datetime, ahead: datetime) -> list[Times]:
        """Return those that may be due, as ``times`` does: few of many.

        Args:
            now: those that are due by then, as it was noted, and those of which it is not noted.
            ahead: those that are handled up to a later moment than this, too: a clock was wrong.
        """
        is_due = or_(schedules.c.next_due.is_(None), schedules.c.next_due <= now, schedules.c.handled > ahead)
        return self._times(is_due)

    def maybe_late(self, now: datetime) -> list[Times]:
        """Return those, as ``times`` does, that were due after the last good backup of their profile: few of many.

        A backup is late only where its time was handled after the last good one, or was not handled at all.
        """
        good = (
            select(backups.c.backupend)
            .where(backups.c.profile_id == schedules.c.profile_id, backups.c.status == "complete")
            .where(backups.c.backupend.is_not(None))
            .order_by(backups.c.backupend.desc())
            .limit(1)
            .correlate(schedules)
            .scalar_subquery()
        )
        is_open = or_(schedules.c.next_due.is_(None), schedules.c.next_due <= now, good.is_(None))
        return self._times(schedules.c.what == "backup", or_(is_open, schedules.c.handled > good))

    def scheduled(self) -> set[int]:
        """Return the numbers of the profiles whose backups a schedule takes that is not paused."""
        query = select(schedules.c.profile_id).where(~schedules.c.paused, schedules.c.what == "backup").distinct()
        with self._engine.connect() as connection:
            return set(connection.execute(query).scalars())

    def note_due(self, due: Iterable[tuple[Times, datetime | None]]) -> None:
        """Note when schedules are due next, None: never; of one that was changed since it was read nothing is noted."""
        rows = [
            {
                "of": one.id,
                "as_at": one.at,
                "as_zone": one.time_zone,
                "as_spread": one.spread,
                "as_handled": one.handled,
                "moment": moment or _NEVER,
            }
            for one, moment in due
        ]
        if not rows:
            return
        same = (
            schedules.c.id == bindparam("of"),
            schedules.c.at == bindparam("as_at"),
            schedules.c.time_zone == bindparam("as_zone"),
            schedules.c.spread == bindparam("as_spread"),
            schedules.c.handled == bindparam("as_handled"),
        )
        with self._writer.begin() as connection:
            connection.execute(update(schedules).where(*same).values(next_due=bindparam("moment")), rows)

    def _times(self, *conditions: ColumnElement[bool]) -> list[Times]:
        query = select(*_TIMES).where(~schedules.c.paused, *conditions).order_by(schedules.c.id)
        with self._engine.connect() as connection:
            return [Times(*row) for row in connection.execute(query)]

    def get(self, schedule_id: int) -> Schedule:
        """Return one schedule.

        Raises:
            NotFoundError: there is none with this number.
        """
        with self._engine.connect() as connection:
            row = connection.execute(select(*_SCHEDULE_COLUMNS).where(schedules.c.id == schedule_id)).one_or_none()
        if row is None:
            raise _unknown(schedule_id)
        return _schedule(row)

    def create(self, schedule: Schedule) -> Schedule:
        """Store a new schedule; return it with its number."""
        with self._writer.begin() as connection:
            return insert_schedule(connection, schedule)

    def update(self, schedule_id: int, *, options: ProofOptions | None = None, **values: Any) -> Schedule:
        """Change columns of a schedule; return it as it is now.

        Raises:
            NotFoundError: there is none with this number.
        """
        if options is not None:
            values["options"] = asdict(options)
        with self._writer.begin() as connection:
            # When it is due next is found anew.
            connection.execute(update(schedules).where(schedules.c.id == schedule_id).values(**values, next_due=None))
        return self.get(schedule_id)

    def delete(self, schedule_id: int) -> None:
        """Remove a schedule and its runs.

        Raises:
            NotFoundError: there is none with this number.
        """
        with self._writer.begin() as connection:
            if not connection.execute(delete(schedules).where(schedules.c.id == schedule_id)).rowcount:
                raise _unknown(schedule_id)


def insert_schedule(connection: Connection, schedule: Schedule) -> Schedule:
    """Store a new schedule in a transaction that is under way; return it with its number."""
    values = {name: value for name, value in asdict(schedule).items() if name != "id"}
    number = connection.execute(insert(schedules).returning(schedules.c.id), values).scalar_one()
    return replace(schedule, id=number)


def _unknown(schedule_id: int) -> NotFoundError:
    return NotFoundError(f"There is no schedule {schedule_id}: see them with 'backstay schedule list'.")


class RunTable:
    """Reads and writes runs."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = engine.execution_options(writes=True)

    def get(self, run_id: int) -> Run | None:
        """Return a run, or None."""
        found = self._found(runs.c.id == run_id)
        return found[0] if found else None

    def due(self, now: datetime) -> list[DueRun]:
        """Return the runs that nobody has begun and that may begin, the oldest due first.

        Backups of remote sites that are queued, put off or paused are not among them.
        """
        ready = sites.c.id.is_(None) | ~(sites.c.paused | (func.coalesce(sites.c.not_before, now) > now))
        queued = select(remote_runs.c.id).where(remote_runs.c.run_id == runs.c.id).exists()
        query = (
            select(runs.c.id, runs.c.schedule_id, runs.c.due, schedules.c.profile_id, profiles.c.machine)
            .add_columns(schedules.c.what, func.coalesce(sites.c.kind == "remote", literal(value=False)))
            .join(schedules, schedules.c.id == runs.c.schedule_id)
            .join(profiles, profiles.c.id == schedules.c.profile_id)
            .outerjoin(sites, (sites.c.profile_id == profiles.c.id) & (schedules.c.what == "backup"))
            .where(runs.c.state == "waiting", ready, ~queued)
            .order_by(runs.c.due, runs.c.id)
        )
        with self._engine.connect() as connection:
            return [DueRun(*row) for row in connection.execute(query)]

    def waiting(self) -> list[Run]:
        """Return the runs that nobody has begun, the oldest due first."""
        return self._found(runs.c.state == "waiting")

    def of(self, schedule_id: int, limit: int | None = None) -> list[Run]:
        """Return the runs of a schedule, the newest due first, at most so many."""
        query = select(*_RUN_COLUMNS).where(runs.c.schedule_id == schedule_id).order_by(runs.c.due.desc())
        with self._engine.connect() as connection:
            return [_run(row) for row in connection.execute(query.limit(limit) if limit is not None else query)]

    def newest(self, schedule_ids: Collection[int] | None = None) -> dict[int, Run]:
        """Return the newest due run of each schedule, or of some, that has any, by the schedule's number."""
        due = select(runs.c.schedule_id, func.max(runs.c.due).label("due")).group_by(runs.c.schedule_id)
        newest = (due if schedule_ids is None else due.where(runs.c.schedule_id.in_(schedule_ids))).subquery()
        query = select(*_RUN_COLUMNS).join(
            newest, (newest.c.schedule_id == runs.c.schedule_id) & (newest.c.due == runs.c.due)
        )
        with self._engine.connect() as connection:
            return {row.schedule_id: _run(row) for row in connection.execute(query)}

    def not_begun(self) -> dict[int, Run]:
        """Return, by profile, the newest run that was to take a backup and failed before it could begin one."""
        query = select(schedules.c.profile_id, *_RUN_COLUMNS).join(schedules, schedules.c.id == runs.c.schedule_id)
        query = query.where(schedules.c.what == "backup", runs.c.state == "failed", runs.c.backup_id.is_(None))
        with self._engine.connect() as connection:
            return {row[0]: Run(*row[1:]) for row in connection.execute(query.order_by(runs.c.ended))}

    def create_all(self, wanted: Iterable[tuple[Times, datetime, str]], now: datetime) -> list[Run | None]:
        """Make runs of due moments and note that these are handled, all at once or nothing.

        A run that nobody has begun yet makes another one of the same schedule needless: that is noted as skipped.

        Args:
            wanted: the times of each schedule as they were read, the due moment, and why it is not to be run; empty: it
                waits to be.
            now: this moment.

        Returns:
            The runs in the same order; None where there is one of this moment, or the schedule was changed since it was
            read.
        """
        with self._writer.begin() as connection:
            return [_made(connection, schedule, due, now, skipped) for schedule, due, skipped in wanted]

    def create_now(self, schedule_id: int, now: datetime) -> Run:
        """Make a run that is due now, whatever the schedule says; one that waits already is given back.

        Raises:
            NotFoundError: there is no such schedule.
        """
        with self._writer.begin() as connection:
            if connection.execute(select(schedules.c.id).where(schedules.c.id == schedule_id)).first() is None:
                raise _unknown(schedule_id)
            query = select(*_RUN_COLUMNS).where(runs.c.schedule_id == schedule_id)
            waiting = connection.execute(query.where((runs.c.state == "waiting") | (runs.c.due == now))).first()
            return _run(waiting) if waiting is not None else _insert(connection, schedule_id, now, now, "")

    def begin(self, run_id: int, now: datetime) -> bool:
        """Note that a run is begun, or gone on with; return False where it has ended, or is gone."""
        query = update(runs).where(runs.c.id == run_id, runs.c.state.in_(("waiting", "running")))
        with self._writer.begin() as connection:
            values = {"state": "running", "started": func.coalesce(runs.c.started, literal(now, UtcDateTime()))}
            return connection.execute(query.values(values)).rowcount > 0

    def end(self, run_id: int, state: RunState, message: str, now: datetime) -> bool:
        """Note how a run ended; return False where it had ended before, which stays as it is."""
        query = update(runs).where(runs.c.id == run_id, runs.c.state.in_(("waiting", "running")))
        with self._writer.begin() as connection:
            return connection.execute(query.values(state=state, message=message, ended=now)).rowcount > 0

    def _found(self, *conditions: Any) -> list[Run]:
        query = select(*_RUN_COLUMNS).where(*conditions).order_by(runs.c.due, runs.c.id)
        with self._engine.connect() as connection:
            return [_run(row) for row in connection.execute(query)]


def _made(connection: Connection, schedule: Times, due: datetime, now: datetime, skipped: str) -> Run | None:
    row = connection.execute(select(schedules).where(schedules.c.id == schedule.id)).one_or_none()
    if (
        row is None
        or row.paused
        or (row.at, row.time_zone, row.spread) != (schedule.at, schedule.time_zone, schedule.spread)
    ):
        return None
    handled = max(due, row.handled)
    connection.execute(update(schedules).where(schedules.c.id == schedule.id).values(handled=handled, next_due=None))
    mine = runs.c.schedule_id == schedule.id
    if connection.execute(select(runs.c.id).where(mine, runs.c.due == due)).first():
        return None
    first = connection.execute(
        select(runs.c.due).where(mine, runs.c.state == "waiting").order_by(runs.c.due).limit(1)
    ).scalar_one_or_none()
    if first is not None and not skipped:
        skipped = f"The run of {first:%Y-%m-%d %H:%M:%S} UTC had not begun yet."
    _forget_old(connection, schedule.id)
    return _insert(connection, schedule.id, due, now, skipped)


def _changed(read: Times, row: Row[Any]) -> bool:
    """Return whether a schedule is due at other moments than those that were computed when it was read."""
    return (row.at, row.time_zone, row.spread) != (read.at, read.time_zone, read.spread)


def _insert(connection: Connection, schedule_id: int, due: datetime, now: datetime, skipped: str) -> Run:
    values = {
        "schedule_id": schedule_id,
        "due": due,
        "state": "skipped" if skipped else "waiting",
        "created": now,
        "ended": now if skipped else None,
        "message": skipped,
    }
    return _run(connection.execute(insert(runs).values(values).returning(*_RUN_COLUMNS)).one())


def _forget_old(connection: Connection, schedule_id: int) -> None:
    mine = runs.c.schedule_id == schedule_id
    first = select(runs.c.id).where(mine).order_by(runs.c.id.desc()).offset(KEPT_RUNS).limit(1).scalar_subquery()
    connection.execute(delete(runs).where(mine, runs.c.id <= first, runs.c.state.in_(("done", "failed", "skipped"))))
