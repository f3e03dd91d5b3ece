"""Writing into the journal what commands change: one place for all of them."""

from __future__ import annotations

import functools
import inspect
import os
import pwd
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import typer

from backstay.cli import options
from backstay.cli.output import warn
from backstay.errors import BackstayError, ConfigurationError, NotFoundError, UsageError

SUBJECTS: Final[dict[str, tuple[str, ...]]] = {
    "backup": ("path", "profile", "resume"),
    "verify": ("number",),
    "delete": ("number",),
    "freeze": ("number",),
    "copy": ("number", "to"),
    "restore": ("source", "to"),
    "drill": ("number",),
    "migrate": ("server", "to"),
    "alarms acknowledge": ("number",),
    "profile create": ("name", "root"),
    "profile edit": ("number",),
    "profile set": ("number", "name"),
    "profile copy": ("number", "name"),
    "profile export": ("number",),
    "profile import": ("file",),
    "profile delete": ("number",),
    "schedule add": ("profile", "groups", "tags", "at", "what"),
    "schedule edit": ("number",),
    "schedule pause": ("number",),
    "schedule resume": ("number",),
    "schedule remove": ("number",),
    "schedule run": ("number",),
    "group create": ("name",),
    "group edit": ("name",),
    "group remove": ("name",),
    "site add": ("address", "name"),
    "site edit": ("name",),
    "site export": ("to",),
    "site import": ("file",),
    "site pause": ("names", "groups", "tags", "states"),
    "site resume": ("names", "groups", "tags", "states"),
    "site remove": ("name",),
    "repository create": ("name", "at"),
    "repository prune": ("name",),
    "repository import": ("name", "archive"),
    "repository export": ("name", "backup", "to"),
    "repository remove": ("name", "backups"),
    "storage add": ("name",),
    "storage edit": ("name",),
    "storage remove": ("name",),
    "storage import": ("name",),
    "notify add": ("name",),
    "notify edit": ("name",),
    "notify remove": ("name",),
    "secret show": (),
    "secret rotate": (),
    "task stop": ("number",),
    "token create": ("name", "scope", "groups"),
    "token regenerate": ("name",),
    "token revoke": ("name",),
    "user add": ("name", "role", "groups"),
    "user bind": ("name", "groups"),
    "user passwd": ("name",),
    "user role": ("name", "new"),
    "user invite": ("name",),
    "user disable": ("name",),
    "user enable": ("name",),
    "user remove": ("name",),
    "user reset-factors": ("name",),
    "user revoke": ("name", "session"),
}
"""Parameters that say to what a command did something, none of them secret; of others the name alone is noted."""

READING: Final = frozenset(
    {
        "alarms",
        "archive cat",
        "archive extract",
        "archive list",
        "archive verify",
        "catalogue show",
        "conformance",
        "journal",
        "group list",
        "list",
        "log",
        "notify list",
        "notify show",
        "notify test",
        "profile list",
        "profile look",
        "profile settings",
        "profile show",
        "repository check",
        "repository list",
        "repository show",
        "schedule list",
        "schedule show",
        "serve",
        "show",
        "site list",
        "site show",
        "site test",
        "status",
        "storage list",
        "storage show",
        "storage test",
        "task list",
        "task show",
        "token list",
        "user list",
        "user sessions",
        "user show",
        "worker",
    }
)
"""Commands that change nothing in the home."""
_GROUPS_ELSEWHERE: Final = ("remote", "service")
"""Groups that change another server, which has a journal of its own, or this machine."""

# Of no interest afterwards.
_NOT_TOLD: Final = ("home", "json_output", "as_json", "yes", "context")


def note_changes(app: typer.Typer, path: str = "") -> None:
    """Have each command that may change something write itself into the journal of its home when it ends.

    Args:
        app: the command line, or a group of it.
        path: the words that the group is called by.
    """
    for command in app.registered_commands:
        if command.callback is not None and not hasattr(command.callback, "__wrapped__"):
            name = f"{path} {command.name or command.callback.__name__.replace('_', '-')}".lstrip()
            if is_noted(name):
                command.callback = _noted(name, command.callback)
    for group in app.registered_groups:
        if group.typer_instance is not None:
            note_changes(group.typer_instance, f"{path} {group.name}".lstrip())


def is_noted(path: str) -> bool:
    """Return whether a command, given by the words that it is called by, is written into the journal."""
    return path not in READING and path.split(maxsplit=1)[0] not in _GROUPS_ELSEWHERE


def _noted(path: str, callback: Callable[..., Any]) -> Callable[..., Any]:
    usual = {one.name: one.default for one in inspect.signature(callback).parameters.values()}

    @functools.wraps(callback)
    def noting(**given: Any) -> Any:
        end = "done"
        try:
            return callback(**given)
        except typer.Exit as leave:
            end = "done" if leave.exit_code == 0 else f"ended with {leave.exit_code}"
            raise
        except (typer.Abort, typer.BadParameter, UsageError, NotFoundError, ConfigurationError):
            # It has changed nothing.
            end = ""
            raise
        except BaseException as error:
            end = f"failed: {type(error).__name__}"
            raise
        finally:
            if end and "home" in usual and not given.get("dry_run") and not given.get("pending"):
                named = [name for name, value in given.items() if value != usual[name]]
                _note(path, given, {"end": "" if end == "done" else end, "options": " ".join(_told(path, named))})

    return noting


def _told(path: str, named: list[str]) -> list[str]:
    return [name.replace("_", "-") for name in named if name not in (*SUBJECTS.get(path, ()), *_NOT_TOLD)]


def _note(path: str, given: dict[str, Any], details: dict[str, str]) -> None:
    from backstay.jobs import journal

    if sudo := os.environ.get("SUDO_USER"):
        details["sudo_of"] = sudo
    # A group may have taken the option in the command's place.
    home = given.get("home") or getattr(given.get("context"), "obj", None)
    try:
        with options.opened(home) as installation:
            journal.note(installation, shell_user(), journal.COMMAND, path, _subject(path, given), details)
    except BackstayError as error:
        warn(f"The journal could not be written: {error}")


def shell_user() -> str:
    """Return who runs this program, as the journal names them."""
    try:
        return f"the shell user {pwd.getpwuid(os.getuid()).pw_name}"
    except KeyError:
        return f"the shell user {os.getuid()}"


def _subject(path: str, given: dict[str, Any]) -> str:
    return ", ".join(
        _shown(given[name]) for name in SUBJECTS.get(path, ()) if given.get(name) not in (None, "", [], ())
    )


def _shown(value: object) -> str:
    """Return a parameter; of an address neither the name and password nor the query, which may hold a secret."""
    if isinstance(value, list | tuple):
        return " ".join(_shown(one) for one in value)
    text = str(value)
    if "://" not in text or isinstance(value, Path):
        return text
    try:
        parts = urlsplit(text)
    except ValueError:
        return "an address"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
