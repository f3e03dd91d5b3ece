"""``backstay site import`` and ``export``: many sites as a list in CSV."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from backstay.catalogue import write_private
from backstay.cli import options, site_selection
from backstay.cli.output import console, counted, print_json, say, shown, warn
from backstay.cli.remote_connection import read_secret
from backstay.cli.site_asking import ask_all
from backstay.errors import NotFoundError, UsageError


def import_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A list in CSV; - for standard input.")],
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Add the others where lines can't be used; else nothing is added.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what is wrong with the list, and add nothing.")
    ] = False,
    secret: options.Secret = None,
    secret_file: options.SecretFile = None,
    no_test: Annotated[bool, typer.Option("--no-test", help="Do not ask the servers afterwards.")] = False,
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """Add the sites of a list in CSV, all or none, and ask the servers then, eight at a time.

    The first line names the columns: address alone is needed, the others may be left out: name, group, tags, notes,
    paused, profile, keep_there, verify_tls, storages, keep, schedule, time_zone, spread, secret, database. Groups that
    are not there are made. A line without a secret has the one of BACKSTAY_SECRET or --secret-file.

    Examples:
        backstay site import sites.csv --dry-run

        backstay site import sites.csv --skip-bad
    """
    from backstay.fleet.site_list import import_sites

    content = _content(file)
    common = _common_secret(secret, secret_file)
    with options.opened(home) as installation:
        done = import_sites(installation, content, secret=common, skip_bad=skip_bad, dry_run=dry_run)
        if json_output:
            print_json({"added": [one.name for one in done.sites], "refused": [asdict(one) for one in done.refused]})
        else:
            for one in done.refused:
                warn(f"Line {one.line} ({one.name or 'no name'}): {one.reason}")
            _print_imported(len(done.sites), len(done.refused), done.groups, dry_run=dry_run)
        remote = [site for site in done.sites if site.kind == "remote"]
        if remote and not no_test and not json_output:
            say(f"Asking {counted(len(remote), 'server')} …")
            if ask_all(installation, remote, json_output=False) is not None:
                say("Those in red are added, too: mend what is said, and see 'backstay site test --state never'.")
    if done.refused and not skip_bad:
        raise typer.Exit(UsageError.exit_code)


def _print_imported(added: int, refused: int, groups: tuple[str, ...], *, dry_run: bool) -> None:
    if groups:
        console.print(f"Groups made: {', '.join(map(shown, groups))}.", markup=False)
    if dry_run:
        said = f"{counted(refused, 'line')} can't be used." if refused else "All lines can be used."
        console.print(f"{said} Nothing was added: it was a dry run.", markup=False)
    elif refused and not added:
        console.print(f"Nothing was added: {counted(refused, 'line')} can't be used. Mend them, or give --skip-bad.")
    else:
        left = f", {counted(refused, 'line')} left out" if refused else ""
        console.print(f"{counted(added, 'site')} added{left}.", markup=False)


def _content(file: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise NotFoundError(f"{file} can't be read: {error.strerror}.") from error


def _common_secret(secret: str | None, secret_file: Path | None) -> str:
    """Return the secret of lines without one; empty where none is given, for then each line has its own."""
    if secret is None and secret_file is None and not os.environ.get("BACKSTAY_SECRET"):
        return ""
    return read_secret(secret, secret_file)


def export(
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="File to write.", show_default="standard output")
    ] = None,
    with_secrets: Annotated[
        bool, typer.Option("--with-secrets", help="With the secrets of servers and databases, in clear.")
    ] = False,
    groups: site_selection.Groups = None,
    tags: site_selection.Tags = None,
    states: site_selection.States = None,
    home: options.Home = None,
) -> None:
    """Write the sites as a list in CSV, which 'site import' reads; without secrets, unless they are asked for.

    Examples:
        backstay site export --group clients --to clients.csv

        backstay site export --with-secrets --to all.csv
    """
    from backstay.fleet.selection import selected_sites
    from backstay.fleet.site_list import export_sites

    with options.opened(home) as installation:
        chosen = selected_sites(installation, site_selection.selection_of(None, groups, tags, states))
        text = export_sites(installation, chosen, with_secrets=with_secrets)
    if to is None:
        sys.stdout.write(text)
        return
    if not write_private(to, text.encode("utf-8", "backslashreplace")):
        raise UsageError(f"{to} is there already: choose another name.")
    held = " It holds secrets in clear." if with_secrets else ""
    console.print(f"{counted(len(chosen), 'site')} written to {to}; only you can read it.{held}", markup=False)
