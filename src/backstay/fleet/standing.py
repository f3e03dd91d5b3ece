"""How sites stand: the state of each in one word, since when, and what to do first over all of them. Pure rules."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, NamedTuple, get_args

SiteState = Literal["failing", "silent", "late", "never", "paused", "good"]
NeedKind = Literal["silent", "failing", "late", "never", "alarms", "unscheduled"]
Tone = Literal["good", "warn", "bad", "quiet"]


class Meaning(NamedTuple):
    """What a state means: how good it is, and a sentence for a person."""

    tone: Tone
    sentence: str


STATES: Final[Mapping[SiteState, Meaning]] = {
    "failing": Meaning("bad", "The last backup failed, and no good one was taken since."),
    "silent": Meaning("bad", "The site did not answer when its last backup was to be taken, nor since."),
    "late": Meaning("bad", "A good backup was expected by now, and there is none."),
    "never": Meaning("warn", "No good backup of it was ever taken."),
    "paused": Meaning("quiet", "A person has paused it: nothing is taken by itself."),
    "good": Meaning("good", "The last backup is good, and no other was expected since."),
}
"""Every state a site can be in, the one that needs a person most first."""

ORDER: Final = {state: place for place, state in enumerate(get_args(SiteState))}
MOST_NEEDS: Final = 3
_NAMED: Final = 3
_LONGEST_REASON: Final = 300
_MOST_COUNTED: Final = timedelta(days=30)
_LAST_OF_ALL: Final = datetime.max.replace(tzinfo=UTC)


class SiteFacts(NamedTuple):
    """What the rules look at, of one site at one moment.

    Attributes:
        id, name, kind, group, host, paused, created: as in ``catalogue.Site``.
        profile_id: of the profile that it stands on.
        heard: moment of its server's last answer; None: it never answered, or the site is local.
        running: a backup of it runs or waits.
        scheduled: a schedule that is not paused takes its backups.
        expected: moment by which a good backup was expected after the last one, its grace included; None: at none.
        good: end of its last good backup; None: there is none.
        failed_begun, failed: beginning and end of its last failed backup; None: none failed.
        failing_since: end of the first that failed after the last good one; None: none did.
        reason: why that one failed.
        alarms: how many alarms about it are open that no person has acknowledged.
        tags: words to select it by.
        backup_id, size: number and bytes of its last good backup.
    """

    id: int
    name: str
    kind: Literal["local", "remote"]
    profile_id: int
    group: str
    host: str
    paused: bool
    created: datetime
    heard: datetime | None = None
    running: bool = False
    scheduled: bool = True
    expected: datetime | None = None
    good: datetime | None = None
    failed_begun: datetime | None = None
    failed: datetime | None = None
    failing_since: datetime | None = None
    reason: str = ""
    alarms: int = 0
    tags: tuple[str, ...] = ()
    backup_id: int | None = None
    size: int | None = None


class SiteStanding(NamedTuple):
    """How a site stands.

    Attributes:
        site: what is known of it.
        state: a key of `STATES`.
        since: from when on it has been so, as far as it is known; of a good one the end of its last backup.
    """

    site: SiteFacts
    state: SiteState
    since: datetime | None

    @property
    def meaning(self) -> Meaning:
        """Tone and sentence of its state."""
        return STATES[self.state]


class Need(NamedTuple):
    """One thing to do, for all the sites that it is likely to help.

    Attributes:
        kind: what is with the sites.
        message: what is wrong, in a sentence.
        advice: what to do, in a sentence.
        sites: their numbers.
        since: when it began with the first of them; None: not known.
    """

    kind: NeedKind
    message: str
    advice: str
    sites: tuple[int, ...]
    since: datetime | None


def standing_of(site: SiteFacts, now: datetime) -> SiteStanding:
    """Return how a site stands at a moment."""
    state, since = _judged(site, now)
    # A clock that was wrong may have written moments that have not come yet.
    return SiteStanding(site, state, min(since, now) if since is not None else None)


def _judged(site: SiteFacts, now: datetime) -> tuple[SiteState, datetime | None]:
    if site.paused:
        return "paused", None
    if site.failed is not None and (site.good is None or site.failed > site.good):
        if _is_silent(site):
            return "silent", site.heard or site.created
        return "failing", site.failing_since or site.failed
    if site.expected is not None and now > site.expected:
        return "late", site.expected
    return ("never", site.created) if site.good is None else ("good", site.good)


def _is_silent(site: SiteFacts) -> bool:
    """Return whether a remote site has answered nothing since the beginning of the backup that failed last."""
    return (
        site.kind == "remote"
        and site.failed_begun is not None
        and (site.heard is None or site.heard < site.failed_begun)
    )


def needs_of(standings: Iterable[SiteStanding], now: datetime, most: int = MOST_NEEDS) -> list[Need]:
    """Return what to do first.

    Sites with one likely cause are one thing to do: those that are silent at one host, those that fail for one reason.
    First comes what leaves sites without a good backup, by the time that they have been without one, added up (each
    counts for 30 days at most); then what is open about good ones, then those that no schedule takes.

    Args:
        standings: of all sites.
        now: this moment.
        most: how many things to return at most.
    """
    causes: dict[tuple[NeedKind, str], list[SiteStanding]] = {}
    for one in standings:
        if (cause := _cause(one)) is not None:
            causes.setdefault(cause, []).append(one)
    ranked = sorted(causes.items(), key=lambda item: _rank(item[0][0], item[1], now))
    return [_need(kind, cause, sites) for (kind, cause), sites in ranked[:most]]


def advice_for(standing: SiteStanding) -> Need | None:
    """Return what to do about one site; None: nothing."""
    cause = _cause(standing)
    return None if cause is None else _need(*cause, [standing])


def _cause(one: SiteStanding) -> tuple[NeedKind, str] | None:
    """Return what is to be done about a site, and a text that is the same for sites with the same cause."""
    match one.state:
        case "silent":
            return "silent", one.site.host or one.site.name
        case "failing":
            return "failing", one.site.reason or one.site.name
        case "late" | "never" as state if not one.site.running:
            return state, ""
        case "good" if one.site.alarms:
            return "alarms", ""
        case "good" if not one.site.scheduled:
            return "unscheduled", ""
    return None


def _rank(kind: NeedKind, sites: Sequence[SiteStanding], now: datetime) -> tuple[int, float, str]:
    group = {"alarms": 1, "unscheduled": 2}.get(kind, 0)
    without = (min(now - (one.site.good or one.site.created), _MOST_COUNTED) for one in sites)
    weight = float(len(sites)) if group else sum(span.total_seconds() for span in without)
    return group, -weight, sites[0].site.name


def _need(kind: NeedKind, cause: str, sites: Sequence[SiteStanding]) -> Need:
    # Named are those that have been so for the longest time.
    ordered = sorted(sites, key=lambda one: (one.since or _LAST_OF_ALL, one.site.id))
    facts = [one.site for one in ordered]
    message, advice = _WORDS[kind](facts, cause)
    since = ordered[0].since if kind not in ("alarms", "unscheduled") else None
    return Need(kind, message, advice, tuple(one.id for one in facts), since)


def _silent(sites: Sequence[SiteFacts], cause: str) -> tuple[str, str]:
    if len(sites) == 1:
        reason = f": {_clause(sites[0].reason)}" if sites[0].reason else ""
        return (
            f"{_named(sites)} does not answer{reason}.",
            f"Open its address in a browser, and see with 'backstay site test {_word(sites[0])}' what it answers.",
        )
    return (
        f"{_named(sites)} do not answer; all are at {cause}.",
        f"One cause is likely: see whether {cause} is up, and whether its firewall lets this machine in.",
    )


def _failing(sites: Sequence[SiteFacts], cause: str) -> tuple[str, str]:
    reason = _clause(cause) if sites[0].reason else "no reason is known"
    if len(sites) == 1:
        return (
            f"The last backup of {_named(sites)} failed: {reason}.",
            f"Mend what it names, then take one with 'backstay backup --site {_word(sites[0])}'.",
        )
    return (
        f"The last backups of {_named(sites)} failed for one reason: {reason}.",
        "Mend what it names; those that are scheduled are taken again by themselves.",
    )


def _late(sites: Sequence[SiteFacts], _cause: str) -> tuple[str, str]:
    if len(sites) == 1:
        return (
            f"A backup of {_named(sites)} was expected, and there is none.",
            f"See that 'backstay worker' runs, and take one now with 'backstay backup --site {_word(sites[0])}'.",
        )
    return (
        f"Backups of {_named(sites)} were expected, and there are none.",
        "See that 'backstay serve' or 'backstay worker' runs, and that enough of them do.",
    )


def _never(sites: Sequence[SiteFacts], _cause: str) -> tuple[str, str]:
    schedules = "it has a schedule" if len(sites) == 1 else "each has a schedule"
    return (
        f"There is no backup of {_named(sites)} yet.",
        f"Take one with 'backstay backup --site {_word(sites[0])}', and see that {schedules}.",
    )


def _alarms(sites: Sequence[SiteFacts], _cause: str) -> tuple[str, str]:
    verb = "has" if len(sites) == 1 else "have"
    return (
        f"{_named(sites)} {verb} good backups, but alarms are open about them.",
        "Read them with 'backstay alarms'.",
    )


def _unscheduled(sites: Sequence[SiteFacts], _cause: str) -> tuple[str, str]:
    verb = "has" if len(sites) == 1 else "have"
    return (
        f"{_named(sites)} {verb} no schedule: no further backup is taken by itself.",
        f"Add one with 'backstay schedule add {_word(sites[0])} --at \"0 3 * * *\"'.",
    )


_WORDS: Final[Mapping[NeedKind, Callable[[Sequence[SiteFacts], str], tuple[str, str]]]] = {
    "silent": _silent,
    "failing": _failing,
    "late": _late,
    "never": _never,
    "alarms": _alarms,
    "unscheduled": _unscheduled,
}


def _clause(sentence: str) -> str:
    """Return a sentence as the end of another, without its full stop."""
    return sentence.strip().rstrip(".")[:_LONGEST_REASON]


def _named(sites: Sequence[SiteFacts]) -> str:
    names = ", ".join(one.name for one in sites[:_NAMED])
    if len(sites) == 1:
        return names
    more = f" and {len(sites) - _NAMED:,} more" if len(sites) > _NAMED else ""
    return f"{len(sites):,} sites ({names}{more})"


def _word(site: SiteFacts) -> str:
    """Return a site's name as a word of a command line."""
    return shlex.quote(site.name)
