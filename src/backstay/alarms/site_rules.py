"""Rules over the servers of remote sites: silent."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from backstay.alarms.model import Facts, ProfileFacts
from backstay.alarms.wording import moment, profile_name, without_stop
from backstay.catalogue import Finding


def silent(facts: Facts) -> Iterator[Finding]:
    """Find remote sites whose servers did not answer when their last backups were to be taken, nor since."""
    for profile in facts.profiles:
        if profile.site is None or profile.failed is None or profile.site.paused or not is_silent(profile):
            continue
        heard = profile.site.heard
        last = f"it last did at {moment(heard)}" if heard else "it never did"
        yield Finding(
            "silent",
            f"profile:{profile.id}",
            f"The server of {profile_name(profile)} does not answer; {last}: {without_stop(profile.failed.error)}.",
            "Open its address in a browser, and see with "
            f"'backstay site test {shlex.quote(profile.site.name)}' what it answers.",
            heard or profile.failed.begun,
            profile.id,
            profile.failed.id,
        )


def is_silent(profile: ProfileFacts) -> bool:
    """Return whether the site of a profile is remote, and answered nothing since its last backup began and failed."""
    site, failed = profile.site, profile.failed
    return site is not None and site.remote and failed is not None and (site.heard is None or site.heard < failed.begun)
