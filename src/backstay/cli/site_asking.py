"""``backstay site test``: ask the servers of sites what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer
from rich.text import Text

from backstay.catalogue import Site
from backstay.cli import options, site_selection
from backstay.cli.output import console, print_json, shown, warn
from backstay.cli.site_output import found_lines
from backstay.errors import BackstayError, UsageError
from backstay.jobs.installation import Installation

if TYPE_CHECKING:
    from backstay.fleet.changing import Asked


def ask(
    names: site_selection.Names = None,
    groups: site_selection.Groups = None,
    tags: site_selection.Tags = None,
    states: site_selection.States = None,
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """Ask the servers of sites what they are, and say what has changed since; without a name those of all sites.

    A site that answers is tried again by itself at once, where it was put off because it failed.

    Examples:
        backstay site test shop.example

        backstay site test --state silent
    """
    from backstay.fleet.selection import selected_sites

    with options.opened(home) as installation:
        selected = selected_sites(installation, site_selection.selection_of(names, groups, tags, states))
        remote = [site for site in selected if site.kind == "remote"]
        if not remote:
            raise UsageError("There is no such site with a server: see 'backstay site list'.")
        failed = ask_all(installation, remote, json_output=json_output)
    if failed is not None:
        if len(remote) == 1:
            raise failed
        raise typer.Exit(1)


def ask_all(installation: Installation, sites: list[Site], *, json_output: bool) -> BackstayError | None:
    """Ask, print what comes, and return the last error."""
    from backstay.fleet.changing import ask_sites

    results: list[dict[str, Any]] = []
    failed: BackstayError | None = None
    for site, outcome in ask_sites(installation, sites):
        if isinstance(outcome, BackstayError):
            failed = outcome
            results.append({"name": site.name, "ok": False, "problem": shown(str(outcome))})
            if not json_output and len(sites) > 1:
                console.print(Text(f"{shown(site.name)}: ") + Text(shown(str(outcome).partition("\n")[0]), style="red"))
            continue
        found = outcome.detected.found.to_json()
        results.append({"name": site.name, "ok": True, "changes": list(outcome.changes), "found": found})
        if not json_output:
            _print_tested(installation, outcome, brief=len(sites) > 1)
    if json_output:
        print_json(sorted(results, key=lambda one: str(one["name"])))
    return failed


def _print_tested(installation: Installation, tested: Asked, *, brief: bool) -> None:
    site = tested.site
    if brief:
        console.print(f"{shown(site.name)}: {site.found.get('product')} {site.found.get('version')}", markup=False)
    else:
        console.print(f"{shown(site.name)} answers: {tested.detected.endpoint}", markup=False)
        for line in found_lines(site.found, installation.catalogue.sites.connection(site.id).profile):
            console.print(f"  {shown(line)}", markup=False)
    for sentence in tested.changes:
        warn(f"{site.name}: {sentence}")
