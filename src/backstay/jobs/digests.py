"""Digests: what was done in a day or a week, for those who asked for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Final

from backstay.catalogue import Recipient
from backstay.catalogue.activity import Activity, OpenAlarm
from backstay.jobs.installation import Installation
from backstay.jobs.publishing import publish_to
from backstay.jobs.schedules import default_time_zone
from backstay.notifications.model import Event
from backstay.schedules.zones import find_zone

_LISTED: Final = 40
_MONDAY: Final = 0


def publish_digests(installation: Installation, now: datetime) -> int:
    """Make the digests that are due; of several that were missed, one that covers their time.

    Returns:
        How many were made.
    """
    wanting = [one for one in installation.catalogue.recipients.all() if one.options.digest]
    if not wanting:
        return 0
    zone = find_zone(default_time_zone(installation))
    return sum(_publish_digest(installation, recipient, now, zone) for recipient in wanting)


def digest_due(digest: str, at: str, now: datetime, zone: tzinfo) -> datetime:
    """Return the last moment, not after now, at which a digest was due.

    Args:
        digest: ``daily``, or ``weekly``: on Mondays.
        at: local time, ``HH:MM``.
        now: this moment.
        zone: whose local time.
    """
    clock = time.fromisoformat(at)
    day = now.astimezone(zone).date()
    while True:
        due = datetime.combine(day, clock, zone).astimezone(UTC)
        if due <= now and (digest == "daily" or day.weekday() == _MONDAY):
            return due
        day -= timedelta(days=1)


def _publish_digest(installation: Installation, recipient: Recipient, now: datetime, zone: tzinfo) -> int:
    options = recipient.options
    due = digest_due(options.digest, options.digest_at, now, zone)
    key = f"digest-{recipient.id}:{options.digest}:{due:%Y-%m-%dT%H:%MZ}"
    if due <= datetime.fromisoformat(options.digest_from) or installation.catalogue.deliveries.has(recipient.id, key):
        return 0
    before = due - timedelta(days=7 if options.digest == "weekly" else 1)
    last = installation.catalogue.deliveries.last_of(recipient.id, f"digest-{recipient.id}:")
    since = min(before, last.created) if last is not None else before
    return publish_to(installation, [recipient], _event(installation, recipient, key, since, now, zone), now)


def _event(
    installation: Installation, recipient: Recipient, key: str, since: datetime, now: datetime, zone: tzinfo
) -> Event:
    table = installation.catalogue.activity
    chosen = recipient.options.profiles
    done = [one for one in table.between(since, now) if not chosen or one.profile_id in chosen]
    alarms = [one for one in table.open_alarms() if not chosen or one.profile_id in chosen or one.profile_id is None]
    taken, failed, is_open = sum(one.taken for one in done), sum(one.failed for one in done), len(alarms)
    counts = [
        f"{taken} backup{'' if taken == 1 else 's'}",
        f"{failed} failed",
        f"{is_open} alarm{'' if is_open == 1 else 's'} open",
    ]
    return Event(
        key=key,
        kind="digest",
        title=f"{recipient.options.digest.capitalize()} digest: {', '.join(counts)}",
        message=digest_text(done, alarms, since, now, zone),
        advice="Look at the open alarms." if alarms else "",
        command="backstay alarms" if alarms else "backstay list",
    )


def digest_text(
    done: Sequence[Activity], alarms: Sequence[OpenAlarm], since: datetime, now: datetime, zone: tzinfo
) -> str:
    """Return the text of a digest: the open alarms, then each profile, those with trouble first."""
    lines = [f"From {_moment(since, zone)} to {_moment(now, zone)}.", ""]
    names = {one.profile_id: one.name for one in done}
    if alarms:
        lines += [f"Open alarms: {len(alarms)}"]
        lines += [f"- {_alarm(one, names, zone)}" for one in alarms[:_LISTED]]
        lines += _more(len(alarms))
    else:
        lines += ["No alarm is open."]
    troubled = {one.profile_id for one in alarms}
    ordered = sorted(done, key=lambda one: (one.failed == 0 and one.profile_id not in troubled, one.profile_id))
    lines += ["", *(_profile(one) for one in ordered[:_LISTED]), *_more(len(ordered))]
    total: dict[str, int] = {}
    for one in done:
        for place, size in one.stored.items():
            total[place] = total.get(place, 0) + size
    lines += ["", f"Storage in all: {_places(total)}."]
    return "\n".join(lines)


def _alarm(alarm: OpenAlarm, names: dict[int, str], zone: tzinfo) -> str:
    where = "" if alarm.profile_id is None else f", {_name(alarm.profile_id, names.get(alarm.profile_id, ''))}"
    return f"{alarm.kind}{where}, since {_moment(alarm.since, zone)}: {alarm.message}"


def _profile(one: Activity) -> str:
    facts = {
        "backups": one.taken,
        "failed": one.failed,
        "late": one.late,
        "proofs passed": one.proven,
        "proofs failed": one.disproven,
        "kept here": one.kept,
        "storage": _places(one.stored),
    }
    always = {"backups", "failed"}
    told = ", ".join(f"{name}: {fact}" for name, fact in facts.items() if fact or name in always)
    return f"{_name(one.profile_id, one.name)}: {told}."


def _name(profile_id: int, name: str) -> str:
    return f"profile {profile_id} ({name or 'removed'})"


def _places(stored: dict[str, int]) -> str:
    return (
        ", ".join(f"{_size(size)} {f'at {place}' if place else 'here'}" for place, size in sorted(stored.items()))
        or "none"
    )


def _more(count: int) -> list[str]:
    return [f"and {count - _LISTED} more."] if count > _LISTED else []


def _moment(value: datetime, zone: tzinfo) -> str:
    return value.astimezone(zone).strftime("%Y-%m-%d %H:%M %Z")


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
