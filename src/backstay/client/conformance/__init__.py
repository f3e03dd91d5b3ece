"""Checks whether a server keeps the rules of the API."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import httpx2

from backstay.client.conformance import changing, records, routes, version_1, version_2, version_3
from backstay.client.conformance.probe import Check, Finding, Group, Outcome, Probe
from backstay.client.transport import Connection

CHECKS: tuple[Check, ...] = (
    *routes.checks,
    *version_1.checks,
    *version_2.checks,
    *version_3.checks,
    *records.checks,
    *changing.backup_checks,
    *changing.profile_checks,
)


def run_checks(
    url: str,
    secret: str,
    *,
    changes: bool = False,
    profile: int = 1,
    groups: Sequence[Group] = (),
    timeout: float = 60.0,
    verify: bool | str = True,
) -> Iterator[Finding]:
    """Puts a server to the checks and yields what came of each.

    Args:
        url: address of the site, or of its API.
        secret: secret word or token.
        changes: also run the checks that take a backup and change profiles; all of them clean up.
        profile: number of the profile to back up and to copy, for these.
        groups: only checks about these; empty: all.
        timeout: seconds to wait for the server.
        verify: False to accept any certificate, or the path of certificates to trust.

    Yields:
        Findings, in the order of ``CHECKS``.

    Raises:
        BackstayError: the server does not answer the API at all, or does not know the secret.
    """
    connection = Connection(secret, timeout, verify)
    with httpx2.Client(timeout=connection.timeouts(), verify=connection.trust(), follow_redirects=False) as http:
        probe = Probe(url, secret, http, timeout, verify, profile)
        probe.find_endpoints()
        for check in CHECKS:
            if (changes or not check.changes) and (not groups or check.group in groups):
                yield check.finding(probe)


__all__ = ["CHECKS", "Check", "Finding", "Group", "Outcome", "run_checks"]
