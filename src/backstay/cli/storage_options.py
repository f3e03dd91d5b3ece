"""What ``backstay storage add`` and ``edit`` are given of a storage: how it is used, and its secrets."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from backstay.catalogue.destinations import DestinationOptions
from backstay.cli.shared_options import declare, parameters_of
from backstay.errors import UsageError
from backstay.jobs.sizes import parse_size
from backstay.jobs.storage import environment_secrets
from backstay.storage import parse_address, secret_fields


@dataclass(frozen=True)
class StorageOptions:
    """The options of a storage, as they were given; None: not given."""

    secret_file: Annotated[
        list[str] | None,
        typer.Option(
            "--secret-file",
            metavar="SECRET=PATH",
            help="Read a secret from a file, for example password=/etc/backstay/nas.txt; give it several times.",
        ),
    ] = None
    ask: Annotated[bool, typer.Option("--ask", help="Ask for each secret, or read them from standard input.")] = False
    bandwidth: Annotated[
        str | None,
        typer.Option("--bandwidth", metavar="SIZE", help="Bytes a second at most, for example 5MiB; 0: no limit."),
    ] = None
    parts_at_once: Annotated[
        int | None,
        typer.Option("--parts-at-once", min=1, max=32, help="Parts sent at the same time.", show_default="2"),
    ] = None
    lock_days: Annotated[
        int | None,
        typer.Option(
            "--lock-days", min=0, max=3650, help="Days for which nothing can be deleted there (S3 object lock)."
        ),
    ] = None
    read_back: Annotated[
        bool | None,
        typer.Option(
            "--read-back/--checksum", help="Prove each part by reading it back, not by the service's checksum."
        ),
    ] = None

    def over(self, used: DestinationOptions) -> DestinationOptions:
        """Return how a storage is used: as before, but for what was given."""
        given = {
            "bandwidth": None if self.bandwidth is None else parse_size(self.bandwidth),
            "parts_at_once": self.parts_at_once,
            "lock_days": self.lock_days,
            "read_back": self.read_back,
        }
        return replace(used, **{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]  # by name

    def secrets(self, url: str, *, known: Collection[str] = (), environment: bool = True) -> dict[str, str]:
        """Return the secrets that were given: of files first, then of a prompt, then of the environment.

        Args:
            url: of the storage.
            known: names of those that need not be asked for.
            environment: look for them in the usual variables.
        """
        address, in_url = parse_address(url)
        fields = {field.name: field for field in secret_fields(address)}
        given = self._of_files(fields)
        found = environment_secrets(url) if environment else {}
        for field in fields.values():
            if field.name in given:
                continue
            if self.ask:
                value = _asked(field.label)
                given.update({field.name: value} if value else {})
            elif field.name in found and field.name not in in_url:
                given[field.name] = found[field.name]
            elif field.required and field.name not in in_url and field.name not in known and sys.stdin.isatty():
                given[field.name] = _asked(field.label)
        return given

    def _of_files(self, names: Collection[str]) -> dict[str, str]:
        given: dict[str, str] = {}
        for text in self.secret_file or []:
            name, separator, path = text.partition("=")
            if not separator or name not in names:
                known = ", ".join(names) or "none"
                raise UsageError(f"--secret-file takes SECRET=PATH with one of these secrets: {known}.")
            try:
                given[name] = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as error:
                raise UsageError(f"{path} can't be read: check its path.") from error
        return given


def with_storage_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a storage in the place of its parameter ``given``."""
    shared = parameters_of(StorageOptions)

    @functools.wraps(command)
    def run(**values: Any) -> None:
        given = StorageOptions(**{parameter.name: values.pop(parameter.name) for parameter in shared})
        command(**values, given=given)

    own = parameters_of(command)
    place = next(number for number, parameter in enumerate(own) if parameter.name == "given")
    declare(run, [*own[:place], *shared, *own[place + 1 :]])
    return run


def _asked(label: str) -> str:
    if sys.stdin.isatty():
        return str(typer.prompt(label, hide_input=True, default="", show_default=False))
    return sys.stdin.readline().rstrip("\r\n")
