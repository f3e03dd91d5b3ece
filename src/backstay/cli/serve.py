"""``backstay serve``: answer clients of the Akeeba Backup JSON API."""

from __future__ import annotations

import contextlib
import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from backstay.cli import options
from backstay.cli.output import console
from backstay.errors import NotFoundError, UsageError
from backstay.jobs.installation import Installation
from backstay.jobs.process_log import LogFormat, set_up_log
from backstay.jobs.supervision import supervisor
from backstay.jobs.users import invite, welcome_address
from backstay.jobs.waiting import resume_unfinished
from backstay.server.certificate import Certificate
from backstay.version import __version__

_log = logging.getLogger(__name__)


def serve(
    host: Annotated[
        str | None,
        typer.Option("--host", metavar="ADDRESS", help="Address to listen on.", show_default="127.0.0.1"),
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="Port; 0: a free one.", show_default="8117")
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option("--tls-certificate", metavar="FILE", help="Certificate chain (PEM), for HTTPS.")
    ] = None,
    key: Annotated[Path | None, typer.Option("--tls-key", metavar="FILE", help="Its private key (PEM).")] = None,
    no_worker: Annotated[
        bool, typer.Option("--no-worker", help="Only answer: leave what is scheduled to 'backstay worker'.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Log warnings and errors only.")] = False,
    log_format: options.Log = None,
    home: options.Home = None,
) -> None:
    """Answer clients of the Akeeba Backup JSON API, versions 1, 2 and 3.

    Scheduled backups and proofs, alarms and notifications are done beside answering, as by 'backstay worker'.

    Backups run in processes of their own: they go on when the server ends, and one that died is resumed when
    it starts.

    Examples:
        backstay serve

        backstay serve --host 0.0.0.0 --port 443 --tls-certificate chain.pem --tls-key key.pem
    """
    # Imported here because it is slow, and needed by this command only.
    from backstay.queue.executor import running as queued_work
    from backstay.server import running
    from backstay.web import create_pages

    tls, watching = _certificate(certificate, key), supervisor()
    with options.opened(home) as installation:
        running.require_strong_secret(installation)
        configuration = installation.configuration.server
        listening = running.listening_socket(
            configuration.host if host is None else host, configuration.port if port is None else port
        )
        shown = log_format or configuration.log_format
        set_up_log(logging.WARNING if quiet else logging.INFO, shown)
        for number in resume_unfinished(installation):
            _log.info("Backup %d had not ended: it goes on.", number)
        if tls is None and not running.is_loopback(listening):
            _log.warning(
                "Other machines can reach this server, and without TLS everyone on the way reads the secret word: give "
                "--tls-certificate and --tls-key, or listen on 127.0.0.1 behind a reverse proxy."
            )
        url = running.url_of(listening, encrypted=tls is not None)
        pages = create_pages(installation)
        works = configuration.worker and not no_worker
        with queued_work(installation) if works else contextlib.nullcontext():
            running.run(
                installation,
                listening,
                tls,
                supervisor=watching,
                pages=pages,
                on_end=pages.end_streams,
                announce=lambda: _announce(installation, url, shown),
            )


def _announce(installation: Installation, url: str, log_format: LogFormat) -> None:
    line = f"Backstay {__version__} listens on {url}; 'backstay secret show' prints the secret word."
    link = (
        "" if installation.catalogue.users.count() else welcome_address(installation, invite(installation, None), url)
    )
    if log_format is LogFormat.JSON:
        _log.info(line, extra={"fields": {"url": url}})
        if link and not sys.stdout.isatty():
            # What is collected is read by many, and kept: the link opens everything.
            _log.info("The page has no user yet: 'backstay user invite' prints a link to make the first.")
            return
    else:
        console.print(line)
    if link:
        console.print(f"Make the first user of the page within a day: {link}", soft_wrap=True, markup=False)
    console.file.flush()


def _certificate(chain: Path | None, key: Path | None) -> Certificate | None:
    if chain is None and key is None:
        return None
    if chain is None or key is None:
        raise UsageError("HTTPS needs both a certificate and its key: give --tls-certificate and --tls-key.")
    for path in (chain, key):
        if not path.is_file():
            raise NotFoundError(f"There is no file {path}: give the path of a PEM file.")
    return Certificate(chain, key)
