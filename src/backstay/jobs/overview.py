"""How every profile stands: its state in one word, its last good backup, its proofs, its copies, its next run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple, get_args

from backstay.catalogue.overview import PastBackup, ProfileLine
from backstay.catalogue.profiles import ROOT_KEY
from backstay.catalogue.schedules import Times
from backstay.errors import NotFoundError
from backstay.jobs import lock
from backstay.jobs.installation import Installation
from backstay.jobs.schedules import next_run

State = Literal["failed", "late", "never", "warning", "stopped", "running", "waiting", "paused", "no site", "good"]


class Meaning(NamedTuple):
    """What a state means: how good it is (``good warn bad busy quiet``), and a sentence for a person."""

    tone: Literal["good", "warn", "bad", "busy", "quiet"]
    sentence: str


STATES: Final[Mapping[State, Meaning]] = {
    "failed": Meaning("bad", "The last backup failed, and no good one was taken since."),
    "late": Meaning("bad", "A good backup was expected by now, and there is none."),
    "never": Meaning("warn", "There is a site, but no good backup of it yet."),
    "warning": Meaning("warn", "There is a good backup, but an alarm is open about it or its copies."),
    "stopped": Meaning("warn", "A backup was stopped, and waits until it is resumed or deleted."),
    "running": Meaning("busy", "A backup is being taken."),
    "waiting": Meaning("busy", "A backup is due, and begins when others have ended."),
    "paused": Meaning("quiet", "All schedules of the profile are paused."),
    "no site": Meaning("quiet", "The profile names no folder: there is nothing to back up yet."),
    "good": Meaning("good", "The last backup is good, and no other was expected since."),
}
"""Every state a profile can be in, the one that needs a person most first."""

ORDER: Final = {state: place for place, state in enumerate(get_args(State))}
Sort = Literal["state", "name", "last", "size", "next"]
SORTS: Final[tuple[Sort, ...]] = get_args(Sort)
HISTORY: Final = 12
"""So many of a profile's newest backups are in its detail."""
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_FAR = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Standing:
    """How one profile stands.

    Attributes:
        id, name: of the profile.
        state: a key of `STATES`.
        alarms: how many are open about it.
        running: number of the record of its backup that has not ended; None: there is none.
        backup_id, ended, size: number, end and bytes of its last good backup; None: there is none.
        here: that backup's archive lies on this machine.
        failed: end of its last failed backup; None: none failed.
    """

    id: int
    name: str
    state: State
    alarms: int
    running: int | None
    backup_id: int | None
    ended: datetime | None
    size: int | None
    here: bool
    failed: datetime | None = None

    @property
    def meaning(self) -> Meaning:
        """Tone and sentence of its state."""
        return STATES[self.state]


@dataclass(frozen=True, slots=True)
class Overview:
    """All profiles at one moment.

    Attributes:
        at: the moment.
        standings: by number.
        counts: how many profiles are in each state; those that none is in are left out.
        version: a number that is another one, in this process, where something of it is, or of the open alarms.
    """

    at: datetime
    standings: Sequence[Standing]
    counts: Mapping[State, int]
    version: int = 0


class Proof(NamedTuple):
    """A proof that a backup can be relied on: which kind, its moment, whether it passed, and of which backup."""

    what: Literal["drill", "verify"]
    at: datetime
    passed: bool
    backup_id: int


class Place(NamedTuple):
    """Where a backup lies: name of the storage, empty for this machine, and whether it is proven to have arrived."""

    name: str
    proven: bool


@dataclass(frozen=True, slots=True)
class Detail:
    """What is read for the profiles that are looked at, and not for all.

    Attributes:
        standing: how it stands.
        next_run: when its schedules want the next backup; past where nothing looks what is due; None: never.
        proof: the latest drill or verification among its newest backups; None: there was none.
        places: where its last good backup lies.
        history: its newest backups that have ended, the newest first, at most `HISTORY`.
    """

    standing: Standing
    next_run: datetime | None
    proof: Proof | None
    places: tuple[Place, ...]
    history: Sequence[PastBackup] = field(default=(), repr=False)

    @property
    def failure(self) -> str:
        """Why the last backup failed; empty where it did not."""
        return "" if not self.history or self.history[0].good else self.history[0].error


def read_overview(installation: Installation) -> Overview:
    """Return how all profiles stand now."""
    table = installation.catalogue.overview
    found = table.open_alarms()
    open_alarms: dict[int | None, list[tuple[str, bool]]] = {}
    for number, kind, acknowledged in found:
        open_alarms.setdefault(number, []).append((kind, acknowledged))
    busy = _busy(installation)
    waiting = table.waiting()
    active: dict[int, int] = {}
    for number, paused, count in table.schedule_counts():
        active[number] = active.get(number, 0) + (0 if paused else count)
    lines = table.lines()
    siteless = _siteless(installation, {one.id for one in lines if one.backup_id is None and one.failed is None})
    standings = []
    for line in lines:
        alarms = open_alarms.get(line.id, ())
        running, doing = busy.get(line.id, (None, None))
        state = doing or ("waiting" if line.id in waiting else None) or _state(line, alarms, active, siteless)
        last = (line.backup_id, line.ended, line.size, bool(line.here))
        standings.append(Standing(line.id, line.name, state, len(alarms), running, *last, line.failed))
    version = hash((tuple(standings), tuple(found)))
    return Overview(datetime.now(UTC), standings, Counter(one.state for one in standings), version)


def of_profiles(overview: Overview, profiles: Collection[int]) -> Overview:
    """Return an overview of some profiles alone, by their numbers."""
    standings = [one for one in overview.standings if one.id in profiles]
    return replace(overview, standings=standings, counts=Counter(one.state for one in standings))


def find_standings(
    overview: Overview,
    *,
    text: str = "",
    state: str = "",
    sort: Sort = "state",
    due: Mapping[int, datetime] | None = None,
) -> list[Standing]:
    """Return the profiles of an overview that are looked for, sorted.

    Args:
        overview: all of them.
        text: in the name, or the number; upper and lower case are the same.
        state: only those in this state; empty: in any.
        sort: ``state``: the one that needs a person most first; ``last``: the oldest good backup first, those without
            one before it; ``size``: the largest first; ``next``: the soonest run first; ``name``.
        due: the next run of each profile, where that sorts.
    """
    wanted = text.strip().casefold()
    found = [
        one
        for one in overview.standings
        if (not state or one.state == state) and (not wanted or wanted in one.name.casefold() or wanted == str(one.id))
    ]
    keys: dict[Sort, Callable[[Standing], Any]] = {
        "state": lambda one: (ORDER[one.state], one.name.casefold()),
        "name": lambda one: one.name.casefold(),
        "last": lambda one: one.ended or _LONG_AGO,
        "size": lambda one: -(one.size or 0),
        "next": lambda one: (due or {}).get(one.id, _FAR),
    }
    return sorted(found, key=keys[sort])


def read_details(installation: Installation, standings: Sequence[Standing]) -> list[Detail]:
    """Return more of some profiles, in the same order, with a few queries for all of them."""
    table = installation.catalogue.overview
    numbers = [one.id for one in standings]
    due = next_runs(table.times(numbers))
    histories = table.histories(numbers, HISTORY)
    places: dict[int, list[Place]] = {
        one.backup_id: [Place("", True)] if one.here else [] for one in standings if one.backup_id is not None
    }
    for copy in table.stored(list(places)):
        places[copy.backup_id].append(Place(copy.place, copy.proven is not None))
    return [
        Detail(
            one,
            due.get(one.id),
            last_proof(histories[one.id]),
            tuple(places.get(one.backup_id or 0, ())),
            histories[one.id],
        )
        for one in standings
    ]


def standing_of(overview: Overview, profile_id: int) -> Standing:
    """Return how one profile stands.

    Raises:
        NotFoundError: there is none with this number.
    """
    for one in overview.standings:
        if one.id == profile_id:
            return one
    raise NotFoundError(f"There is no backup profile {profile_id}: see them with 'backstay profile list'.")


def next_runs(times: Iterable[Times]) -> dict[int, datetime]:
    """Return when the schedules of each profile want its next backup."""
    found: dict[int, datetime] = {}
    for one in times:
        due = next_run(one) if one.what == "backup" else None
        if due is not None and (one.profile_id not in found or due < found[one.profile_id]):
            found[one.profile_id] = due
    return found


def last_proof(history: Iterable[PastBackup]) -> Proof | None:
    """Return the latest drill or verification of some backups."""
    proofs = [one for backup in history for one in proofs_of(backup)]
    return max(proofs, key=lambda one: one.at, default=None)


def proofs_of(backup: PastBackup) -> list[Proof]:
    """Return the latest drill of a backup, and its latest verification at each place."""
    found = []
    if drill := backup.proof.get("drill"):
        found.append(Proof("drill", _moment(drill), drill.get("verdict") == "passed", backup.id))
    verified = backup.proof.get("verifications", {}).values()
    return [*found, *(Proof("verify", _moment(one), bool(one.get("ok")), backup.id) for one in verified)]


def _busy(installation: Installation) -> dict[int, tuple[int, State]]:
    """Return the profiles of which a backup has not ended: number of its record, and what is with it."""
    unfinished = installation.catalogue.overview.unfinished()
    stopped = installation.catalogue.jobs.paused() if unfinished else set()
    held = {run.backup_id for run in installation.catalogue.remote_runs.open() if run.holder} if unfinished else set()
    found: dict[int, tuple[int, State]] = {}
    for profile_id, number in unfinished:
        state: State = "waiting"
        if number in held or lock.is_alive(installation.home.job(number)):
            state = "running"
        elif number in stopped:
            state = "stopped"
        if profile_id not in found or state == "running":
            found[profile_id] = (number, state)
    return found


def _state(
    line: ProfileLine, alarms: Iterable[tuple[str, bool]], active: Mapping[int, int], siteless: set[int]
) -> State:
    """Return the state of a profile of which no backup is running or waiting."""
    kinds = {kind for kind, _acknowledged in alarms}
    if "failed" in kinds or (line.failed is not None and (line.ended is None or line.failed > line.ended)):
        return "failed"
    if "late" in kinds:
        return "late"
    if line.backup_id is None:
        return "no site" if line.id in siteless else "never"
    if any(not acknowledged for _kind, acknowledged in alarms):
        return "warning"
    return "paused" if active.get(line.id) == 0 else "good"


def _siteless(installation: Installation, numbers: set[int]) -> set[int]:
    """Return those of some profiles that name no folder of a site, and are not a remote site's."""
    configurations = installation.catalogue.profiles.configurations_of(numbers)
    siteless = {number for number, values in configurations.items() if not values.get(ROOT_KEY)}
    return siteless - installation.catalogue.site_lines.remote() if siteless else siteless


def _moment(proof: Mapping[str, object]) -> datetime:
    moment = datetime.fromisoformat(str(proof["at"]))
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
