"""``backstay notify``: who is notified when something happens."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from backstay.catalogue import Delivery, Recipient
from backstay.catalogue.recipients import DeliveryCounts
from backstay.cli import options
from backstay.cli.output import console, moment, print_json, say, shown, table
from backstay.errors import BackstayError, UsageError
from backstay.jobs.recipients import Digest, Wishes, add_recipient, edit_recipient, send_test
from backstay.notifications.address import parse_recipient

app = typer.Typer(
    help="Choose who is notified when a backup fails or is late: mail, chat, webhook, health check.",
    no_args_is_help=True,
)
_URL_VARIABLE = "BACKSTAY_NOTIFY_URL"
_SECRET_VARIABLE = "BACKSTAY_NOTIFY_SECRET"  # noqa: S105 - the name of a variable, not a secret

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the recipient, for example ops or me.")]
On = Annotated[
    str | None,
    typer.Option(
        "--on",
        metavar="EVENTS",
        help="What it is notified of, separated by commas: failed, late, suspicious … (see the reference), started, "
        "succeeded, closed; problems for all that is wrong, all for everything.",
        show_default="problems,closed; a health check: started,succeeded,failed",
    ),
]
Profiles = Annotated[
    list[str] | None,
    typer.Option(
        "--profile",
        "-p",
        metavar="PROFILE",
        help="Only what is about this profile (its number or name); give it several times.",
    ),
]
DigestOption = Annotated[
    Digest | None,
    typer.Option("--digest", help="Send a summary: daily, weekly (on Mondays), or none.", show_default="none"),
]
At = Annotated[
    str | None,
    typer.Option(
        "--at", metavar="HH:MM", help="Local time of the summary, in the time_zone of [jobs].", show_default="08:00"
    ),
]
UrlFile = Annotated[
    Path | None, typer.Option("--url-file", metavar="FILE", help="File whose first line is the URL, with its secrets.")
]
SecretFile = Annotated[
    Path | None,
    typer.Option("--secret-file", metavar="FILE", help="File whose first line is the secret that signs a webhook."),
]
Ask = Annotated[bool, typer.Option("--ask", help="Ask for the secret of a webhook, or read it from standard input.")]


@app.command()
def add(
    name: Name,
    url: Annotated[
        str | None,
        typer.Argument(
            metavar="[URL]",
            help="mailto://…, slack://… and all else that Apprise knows; webhook+https://…; ping+https://…. Other "
            "users can see command lines: leave it out to be asked, or use --url-file or BACKSTAY_NOTIFY_URL.",
            show_default=False,
        ),
    ] = None,
    *,
    on: On = None,
    profile: Profiles = None,
    digest: DigestOption = None,
    at: At = None,
    url_file: UrlFile = None,
    secret_file: SecretFile = None,
    ask: Ask = False,
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """Add a recipient. Nothing is sent to it yet.

    A webhook gets a secret that is shown once, if none is given by --secret-file, --ask or BACKSTAY_NOTIFY_SECRET.

    Examples:
        backstay notify add me --url-file /etc/backstay/mail-url --digest weekly

        backstay notify add ops webhook+https://ops.example.com/backstay --on all

        backstay notify add check ping+https://hc-ping.com/d7a5bd5e-3e8a-4f0b-a1f4-1d8d3f5ad6b8 --profile shop
    """
    address = url or _given_url(url_file) or _asked("URL")
    secret = _given_secret(secret_file, ask=ask, environment=address.startswith("webhook+"))
    wishes = Wishes(address, secret, _kinds(on), profile, digest, at)
    with options.opened(home) as installation:
        made = add_recipient(installation, name, wishes, datetime.now(UTC))
    new_secret = made.secret if secret is None else ""
    if json_output:
        print_json({**_json(made, DeliveryCounts()), **({"secret": new_secret} if new_secret else {})})
        return
    console.print(
        f"The recipient {name} is added: {shown(made.options.shown)}, notified of {_events(made)}.", markup=False
    )
    _show_secret(new_secret)
    say(f"See that it works with 'backstay notify test {name}'.")


@app.command("list")
def list_command(home: options.Home = None, json_output: options.Json = False) -> None:
    """List the recipients, and how many messages each got, waits for, or did not get.

    Examples:
        backstay notify list

        backstay notify list --json
    """
    with options.opened(home) as installation:
        counts = installation.catalogue.deliveries.counts()
        found = [(one, counts.get(one.id, DeliveryCounts())) for one in installation.catalogue.recipients.all()]
    if json_output:
        print_json([_json(recipient, count) for recipient, count in found])
        return
    if not found:
        console.print("Nobody is notified yet: add a recipient with 'backstay notify add NAME'.")
        return
    rows = table(
        "Name", "Address", "Notified of", "Profiles", "Delivered", "Waiting", "Given up", "Last error",
        right=["Delivered", "Waiting", "Given up"],
    )  # fmt: skip
    for recipient, count in found:
        rows.add_row(
            recipient.name,
            Text(shown(recipient.options.shown)),
            _events(recipient),
            _profiles(recipient),
            str(count.delivered),
            str(count.waiting),
            str(count.given_up),
            Text(shown(count.error)),
        )
    console.print(rows)


@app.command()
def show(name: Name, home: options.Home = None, json_output: options.Json = False) -> None:
    """Show a recipient and its newest messages; secrets are not shown.

    Example:
        backstay notify show ops
    """
    with options.opened(home) as installation:
        recipient = installation.catalogue.recipients.get(name)
        messages = installation.catalogue.deliveries.of(recipient.id)
        count = installation.catalogue.deliveries.counts().get(recipient.id, DeliveryCounts())
    if json_output:
        print_json({**_json(recipient, count), "messages": [_message_json(one) for one in messages]})
        return
    console.print(Text(f"{recipient.name}: {shown(recipient.options.shown)}", style="bold"))
    console.print(
        f"Notified of {_events(recipient)}; profiles: {_profiles(recipient)}; {count.delivered} delivered, "
        f"{count.waiting} waiting, {count.given_up} given up.",
        markup=False,
    )
    rows = table("Made (UTC)", "Event", "Title", "State", "Attempts", "Next attempt (UTC)", "Error", right=["Attempts"])
    for one in messages:
        rows.add_row(
            moment(one.created),
            one.event,
            Text(shown(str(one.content.get("title", "")))),
            one.state,
            str(one.attempts),
            moment(one.next_attempt),
            Text(shown(one.error)),
        )
    if messages:
        console.print(rows)


@app.command()
def edit(
    name: Name,
    url: Annotated[
        str | None,
        typer.Option("--url", metavar="URL", help="Another address. Prefer --url-file where it has secrets."),
    ] = None,
    *,
    on: On = None,
    profile: Profiles = None,
    all_profiles: Annotated[bool, typer.Option("--all-profiles", help="What is about any profile.")] = False,
    digest: DigestOption = None,
    at: At = None,
    url_file: UrlFile = None,
    secret_file: SecretFile = None,
    ask: Ask = False,
    new_secret: Annotated[
        bool, typer.Option("--new-secret", help="Make a new secret for a webhook, and show it once.")
    ] = False,
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """Change a recipient; what is not given stays. What waits for it is tried at once at a new address.

    Examples:
        backstay notify edit ops --on failed,late,closed --digest daily --at 07:30

        backstay notify edit ops --new-secret
    """
    secret = "" if new_secret else _given_secret(secret_file, ask=ask, environment=False)
    chosen = [] if all_profiles else profile
    wishes = Wishes(url or _given_url(url_file, environment=False) or None, secret, _kinds(on), chosen, digest, at)
    with options.opened(home) as installation:
        before = installation.catalogue.recipients.get(name).secret
        edited = edit_recipient(installation, name, wishes, datetime.now(UTC))
        count = installation.catalogue.deliveries.counts().get(edited.id, DeliveryCounts())
    made = edited.secret if edited.secret != before and not secret else ""
    if json_output:
        print_json({**_json(edited, count), **({"secret": made} if made else {})})
        return
    console.print(
        f"The recipient {name} is changed: {shown(edited.options.shown)}, notified of {_events(edited)}.", markup=False
    )
    _show_secret(made)


@app.command("test")
def check(name: Name, home: options.Home = None, json_output: options.Json = False) -> None:
    """Send a recipient a test message now. A health check gets it at its URL with /log, which changes no state.

    Example:
        backstay notify test ops
    """
    with options.opened(home) as installation:
        recipient = installation.catalogue.recipients.get(name)
        try:
            send_test(installation, name, datetime.now(UTC))
        except BackstayError as error:
            if json_output:
                print_json({"name": name, "ok": False, "error": str(error)})
            raise
    if json_output:
        print_json({"name": name, "ok": True, "error": ""})
    else:
        console.print(f"{shown(recipient.options.shown)} took the test message for {name}.", markup=False)


@app.command()
def remove(name: Name, home: options.Home = None) -> None:
    """Remove a recipient, with the messages that wait for it.

    Example:
        backstay notify remove ops
    """
    with options.opened(home) as installation:
        installation.catalogue.recipients.delete(name)
    console.print(f"The recipient {name} is removed.", markup=False)


def _kinds(given: str | None) -> list[str] | None:
    return None if given is None else [kind.strip() for kind in given.split(",") if kind.strip()]


def _events(recipient: Recipient) -> str:
    kinds = [kind for kind in recipient.events if kind != "digest"]
    digest = recipient.options.digest
    return ", ".join([*kinds, *([f"{digest} digest at {recipient.options.digest_at}"] if digest else [])])


def _profiles(recipient: Recipient) -> str:
    return ", ".join(map(str, recipient.options.profiles)) or "all"


def _show_secret(secret: str) -> None:
    if secret:
        typer.echo(secret)
        say("This secret signs what the webhook gets. Keep it now: it is not shown again.")


def _given_url(file: Path | None, *, environment: bool = True) -> str:
    return _first_line(file) if file else os.environ.get(_URL_VARIABLE, "") if environment else ""


def _given_secret(file: Path | None, *, ask: bool, environment: bool) -> str | None:
    if file:
        return _first_line(file)
    if ask:
        return _asked("Secret of the webhook") or None
    return (os.environ.get(_SECRET_VARIABLE) or None) if environment else None


def _first_line(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} can't be read: check its path.") from error
    if not lines or not lines[0].strip():
        raise UsageError(f"{path} holds nothing in its first line: write it there.")
    return lines[0].strip()


def _asked(label: str) -> str:
    if sys.stdin.isatty():
        return str(typer.prompt(label, hide_input=True, default="", show_default=False))
    return sys.stdin.readline().strip()


def _json(recipient: Recipient, count: DeliveryCounts) -> dict[str, Any]:
    used = recipient.options
    return {
        "name": recipient.name,
        "service": parse_recipient(recipient.url).service,
        "address": used.shown,
        "on": list(recipient.events),
        "profiles": list(used.profiles),
        "digest": used.digest or None,
        "digest_at": used.digest_at,
        "created": moment(recipient.created),
        "delivered": count.delivered,
        "waiting": count.waiting,
        "given_up": count.given_up,
        "last_delivered": moment(count.last_delivered) or None,
        "error": count.error,
    }


def _message_json(one: Delivery) -> dict[str, Any]:
    return {
        "event": one.event,
        "title": one.content.get("title", ""),
        "state": one.state,
        "created": moment(one.created),
        "attempts": one.attempts,
        "next_attempt": moment(one.next_attempt) or None,
        "delivered": moment(one.delivered) or None,
        "error": one.error,
    }
