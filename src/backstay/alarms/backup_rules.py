"""Rules over the newest backups of each profile: failed, late, with more warnings, suspicious."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from datetime import datetime, timedelta

from backstay.alarms.model import Facts, ProfileFacts
from backstay.alarms.site_rules import is_silent
from backstay.alarms.wording import amount, listed, moment, profile_name, without_stop
from backstay.catalogue import CompleteBackup, Counts, Emptied, Finding, Usual

# A site that is being built grows fast: what is more than usual is known after so many backups.
_LEAST_FOR_GROWTH = 3


def failed(facts: Facts) -> Iterator[Finding]:
    """Find profiles whose last backup failed, or could not begin."""
    for profile in facts.profiles:
        if (not_begun := _not_begun(profile)) is not None:
            yield not_begun
            continue
        if (backup := profile.failed) is None or is_silent(profile):
            continue
        reason = without_stop(backup.error) or "no reason is known"
        good = f"; the last good one is of {moment(profile.last.started)}" if profile.last else "; there is no good one"
        yield Finding(
            "failed",
            f"profile:{profile.id}",
            f"Backup {backup.id} of {profile_name(profile)} failed at {moment(backup.ended)}: {reason}{good}.",
            f"Mend what it names, read 'backstay log {backup.id}', and take the backup again with {_again(profile)}."
            f"{_put_off(profile, facts.now)}",
            backup.ended,
            profile.id,
            backup.id,
        )


def _again(profile: ProfileFacts) -> str:
    """Return the command that takes a backup of a profile."""
    remote = profile.site if profile.site is not None and profile.site.remote else None
    return (
        f"'backstay backup --site {shlex.quote(remote.name)}'"
        if remote
        else f"'backstay backup --profile {profile.id}'"
    )


def _put_off(profile: ProfileFacts, now: datetime) -> str:
    """Return until when a site that failed again and again is not tried by itself, in a sentence; empty: it is."""
    not_before = profile.site.not_before if profile.site is not None else None
    return (
        f" By itself it is not tried before {moment(not_before)}."
        if not_before is not None and not_before > now
        else ""
    )


def _not_begun(profile: ProfileFacts) -> Finding | None:
    """Return what is wrong where the last that happened is that a scheduled backup could not begin."""
    run = profile.not_begun
    later = [one.ended for one in (profile.last, profile.failed) if one is not None]
    if run is None or run.ended is None or any(ended > run.ended for ended in later):
        return None
    return Finding(
        "failed",
        f"profile:{profile.id}",
        f"The backup of {profile_name(profile)} that was due at {moment(run.due)} could not begin: "
        f"{without_stop(run.message)}.",
        f"Mend what it names, and run it with 'backstay schedule run {run.schedule_id}'.",
        run.ended,
        profile.id,
    )


def late(facts: Facts) -> Iterator[Finding]:
    """Find profiles without a good backup within the expected interval and its grace; of a paused site none is."""
    for profile in facts.profiles:
        expected = _expected(profile, facts.now)
        if expected is None or (profile.site is not None and profile.site.paused):
            continue
        since = f"since {moment(profile.last.started)}" if profile.last else "yet"
        yield Finding(
            "late",
            f"profile:{profile.id}",
            f"There is no good backup of {profile_name(profile)} {since}; one was expected by {moment(expected)}.",
            "See that 'backstay serve', 'backstay worker' or the cron job that takes it runs, and take one now with "
            f"'backstay backup --profile {profile.id}'.",
            expected,
            profile.id,
            profile.last.id if profile.last else None,
        )


def _expected(profile: ProfileFacts, now: datetime) -> datetime | None:
    """Return when the first backup was expected that is not there; None where none is late."""
    moments = [profile.due] if profile.due is not None else []
    if every := profile.thresholds.expected_every:
        if profile.last is None:
            return min([now, *moments])
        moments.append(profile.last.started + timedelta(hours=every))
    first = min(moments, default=now)
    return first if now > first + timedelta(hours=profile.thresholds.grace) else None


def more_warnings(facts: Facts) -> Iterator[Finding]:
    """Find profiles whose last good backup gave more warnings than those before it."""
    for profile in facts.profiles:
        last, more = profile.last, profile.thresholds.warnings
        if last is None or not more or last.counts is None or last.counts.usual is None:
            continue
        usual = last.counts.usual.warnings
        if last.warnings < usual + more:
            continue
        gave = amount(last.warnings, "warnings" if last.warnings != 1 else "warning")
        yield Finding(
            "warnings",
            f"profile:{profile.id}",
            f"Backup {last.id} of {profile_name(profile)} ended at {moment(last.ended)} with {gave}; those before it "
            f"gave {usual} at most.",
            f"Read them with 'backstay show {last.id}' and mend what they name; where they are no matter, acknowledge "
            "this alarm.",
            last.ended,
            profile.id,
            last.id,
        )


def suspicious(facts: Facts) -> Iterator[Finding]:
    """Find profiles whose last good backup is not what its site should have given."""
    for profile in facts.profiles:
        last = profile.last
        if last is None or last.counts is None:
            continue
        reasons = dict(_reasons(profile, last.counts))
        if not reasons:
            continue
        yield Finding(
            "suspicious",
            f"profile:{profile.id}",
            f"Backup {last.id} of {profile_name(profile)} of {moment(last.started)} is whole, but hardly what it "
            f"should be: {listed(list(reasons.values()))}.",
            _advice(last, reasons),
            last.ended,
            profile.id,
            last.id,
            tuple(reasons),
        )


def _reasons(profile: ProfileFacts, counts: Counts) -> Iterator[tuple[str, str]]:
    """Give what is suspicious: a name for it, and the sentence."""
    thresholds = profile.thresholds
    if thresholds.emptied:
        for one in counts.emptied:
            yield f"{one.kind}:{one.name}", _emptied(one)
    if thresholds.factor and counts.usual is not None and not counts.type.startswith("inc"):
        yield from _unusual(counts, counts.usual, thresholds.factor)
    if thresholds.unchanged and counts.unchanged >= thresholds.unchanged:
        yield "unchanged", f"no file and no row has changed in {counts.unchanged + 1} backups, one after the other"


def _emptied(one: Emptied) -> str:
    unit = "files" if one.kind == "folder" else "rows"
    name = f"the {one.kind} {one.name}" if one.name else "the site's folder"
    return f"{name} holds nothing, and held {amount(one.before, unit)} in backup {one.backup_id}"


def _unusual(counts: Counts, usual: Usual, factor: int) -> Iterator[tuple[str, str]]:
    found = (("entries", counts.entries, usual.entries), ("bytes", counts.bytes, usual.bytes))
    for unit, now, before in (*found, ("rows", counts.rows, usual.rows)):
        if now * factor < before:
            yield f"less {unit}", f"it holds {amount(now, unit)}, and {amount(before, unit)} were usual"
        elif now > before * factor and before and usual.backups >= _LEAST_FOR_GROWTH:
            yield f"more {unit}", f"it holds {amount(now, unit)}, and {amount(before, unit)} were usual"


def _advice(last: CompleteBackup, reasons: dict[str, str]) -> str:
    if any(name.startswith("folder:") for name in reasons):
        return (
            f"See whether the folder's disk or share is mounted and its files are there; backups before {last.id} hold "
            "what is missing. Where it is meant to be so, acknowledge this alarm."
        )
    if any(name.startswith(("database:", "table:")) for name in reasons):
        return (
            f"Look into the database; backups before {last.id} hold what is missing. Where it is meant to be so, "
            "acknowledge this alarm."
        )
    if "unchanged" in reasons:
        return (
            "See whether the profile's folder and database are those of the living site. Where the site rests, "
            "acknowledge this alarm, or raise backstay.alarms.unchanged."
        )
    return (
        f"Compare the site with 'backstay show {last.id}' and the profile's filters; where it is meant to be so, "
        "acknowledge this alarm."
    )
