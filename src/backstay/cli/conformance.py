"""``backstay conformance``: which rules of the API a server keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from backstay.cli.output import console, print_json, shown
from backstay.cli.remote_connection import read_secret
from backstay.client.conformance import Finding, Group, Outcome, run_checks
from backstay.errors import VerificationError

_MARKS = {Outcome.HOLDS: ("yes", "green"), Outcome.FAILS: ("NO", "bold red"), Outcome.NOT_OFFERED: ("-", "dim")}


def conformance(
    url: Annotated[str, typer.Argument(metavar="URL", help="Address of the site, or of its API.")],
    secret: Annotated[
        str | None,
        typer.Option(
            "--secret",
            metavar="TEXT",
            help="Secret word or token. Other users can see command lines: prefer the variable BACKSTAY_SECRET.",
        ),
    ] = None,
    secret_file: Annotated[
        Path | None, typer.Option("--secret-file", metavar="FILE", help="File whose first line is the secret.")
    ] = None,
    changes: Annotated[
        bool, typer.Option("--changes", help="Also take a backup and make a profile; both are deleted again.")
    ] = False,
    profile: Annotated[
        int, typer.Option("--profile", min=1, help="Profile to back up and to copy, for --changes.")
    ] = 1,
    only: Annotated[
        list[Group] | None, typer.Option("--only", help="Only checks about this; may be given often.")
    ] = None,
    timeout: Annotated[float, typer.Option("--timeout", min=1.0, help="Seconds to wait for the server.")] = 60.0,
    insecure: Annotated[bool, typer.Option("--insecure", help="Accept any certificate.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON, for scripts.")] = False,
) -> None:
    """Check a server against the API's rules; without --changes, only by reading.

    Example:
        backstay conformance https://example.com

        backstay conformance http://127.0.0.1:8117 --changes --json
    """
    findings: list[Finding] = []
    given = read_secret(secret, secret_file)
    for finding in run_checks(
        url, given, changes=changes, profile=profile, groups=only or (), timeout=timeout, verify=not insecure
    ):
        if not as_json:
            _print(finding, new_group=not findings or findings[-1].group is not finding.group)
        findings.append(finding)
    counts = {outcome: sum(finding.outcome is outcome for finding in findings) for outcome in Outcome}
    if as_json:
        print_json(
            {
                "ok": not counts[Outcome.FAILS],
                "checks": [
                    {"group": one.group, "name": one.name, "outcome": one.outcome, "message": one.message}
                    for one in findings
                ],
            }
        )
    else:
        console.print(", ".join(f"{count} {outcome}" for outcome, count in counts.items()), markup=False)
    if counts[Outcome.FAILS]:
        raise VerificationError(f"The server breaks {counts[Outcome.FAILS]} of {len(findings)} rules.")


def _print(finding: Finding, *, new_group: bool) -> None:
    if new_group:
        console.print(Text(finding.group.capitalize(), style="bold"))
    mark, style = _MARKS[finding.outcome]
    line = Text(f"  {mark:<4}", style=style) + Text(finding.name, style="")
    console.print(line + Text(f": {shown(finding.message)}" if finding.message else "", style="dim"))
