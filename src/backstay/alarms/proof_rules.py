"""Rules over what proves that backups can be used: drills, verifications, copies."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from backstay.alarms.model import Facts, FailedProof, ProfileFacts
from backstay.alarms.wording import listed, moment, profile_name, without_stop
from backstay.catalogue import CompleteBackup, Finding


def drill_failed(facts: Facts) -> Iterator[Finding]:
    """Find profiles with backups whose last drill failed, or whose newest drill could not be made."""
    yield from _unproven(facts, "drill", "drill")


def verification_failed(facts: Facts) -> Iterator[Finding]:
    """Find profiles with backups whose last verification found damage."""
    yield from _unproven(facts, "verify", "verification")


def _unproven(facts: Facts, what: str, kind: str) -> Iterator[Finding]:
    for profile in facts.profiles:
        proofs = [one for one in profile.unproven if one.what == what]
        if not proofs:
            continue
        newest = proofs[0]
        storage = f" --storage {newest.storage}" if newest.storage else ""
        again = f"'backstay {what} {newest.backup_id}{storage}'"
        advice = (
            f"See why with {again}; take a new backup with 'backstay backup --profile {profile.id}', and delete the "
            "damaged one once the new one is proven."
            if newest.made
            else f"Mend what it names, and try again with {again}."
        )
        yield Finding(
            kind,
            f"profile:{profile.id}",
            f"Backups of {profile_name(profile)} are not proven: {listed([_sentence(one) for one in proofs])}.",
            advice,
            min(one.at for one in proofs),
            profile.id,
            newest.backup_id,
        )


def _sentence(one: FailedProof) -> str:
    at = f" at {one.storage}" if one.storage else ""
    name = "drill" if one.what == "drill" else "verification"
    ended = "failed" if one.made else "could not be made"
    problem = f" ({without_stop(one.problem)})" if one.problem else ""
    return f"the {name} of backup {one.backup_id}{at} {ended} on {moment(one.at)}{problem}"


def copy_missing(facts: Facts) -> Iterator[Finding]:
    """Find newest good backups that are not, proven, where their profile says that they should be."""
    for profile in facts.profiles:
        last = profile.last
        if last is None:
            continue
        for name in profile.storages:
            if not profile.stored.get(name, False):
                yield _missing_at(name, profile, last)
        # A record of a place that is no storage of this installation was imported: what is there cannot be known.
        imported = last.copied and not profile.stored
        if (profile.gone or not last.here) and not imported and not any(profile.stored.values()):
            yield _gone(profile, last, facts.now)


def _missing_at(storage: str, profile: ProfileFacts, last: CompleteBackup) -> Finding:
    arrived = "has arrived at" if storage not in profile.stored else "is proven to have arrived at"
    return Finding(
        "copy",
        f"profile:{profile.id}:{storage}",
        f"No copy of backup {last.id} of {profile_name(profile)}, the newest good one, {arrived} {storage}.",
        f"Try the storage with 'backstay storage test {storage}', and send the backup with "
        f"'backstay copy {last.id} --to {storage}'.",
        last.ended,
        profile.id,
        last.id,
    )


def _gone(profile: ProfileFacts, last: CompleteBackup, now: datetime) -> Finding:
    return Finding(
        "copy",
        f"profile:{profile.id}:",
        f"The archive of backup {last.id} of {profile_name(profile)}, the newest good one, is not whole on this "
        "machine any more, and no storage has a copy.",
        f"Put its files back, or take a new backup with 'backstay backup --profile {profile.id}'.",
        now,
        profile.id,
        last.id,
    )


def repository_damaged(facts: Facts) -> Iterator[Finding]:
    """Find repositories of which a check found something damaged, or which could not be checked."""
    for repository in facts.repositories:
        if not repository.problem:
            continue
        is_damaged = repository.problem == "damaged"
        what = "is damaged" if is_damaged else "could not be checked"
        yield Finding(
            "repository",
            f"repository:{repository.name}",
            f"The repository {repository.name} {what}: {without_stop(repository.reason)}.",
            f"See all of it with 'backstay repository check {repository.name}'. The next backup that still sees such a "
            "file stores it anew; all other files can be restored."
            if is_damaged
            else f"Mend what it names, and try again with 'backstay repository check {repository.name}'.",
            repository.since,
            aspects=repository.backups,
        )
