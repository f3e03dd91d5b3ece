"""``backstay worker``: do what is scheduled, without answering calls."""

from __future__ import annotations

import logging
import signal
import threading
import time
from pathlib import Path
from typing import Annotated

import typer

from backstay.cli import options
from backstay.cli.output import console, counted, say
from backstay.jobs.process_log import LogFormat, set_up_log
from backstay.jobs.supervision import supervisor
from backstay.version import __version__

_LOOK_SECONDS = 1.0

_log = logging.getLogger(__name__)


def worker(
    drain: Annotated[
        bool,
        typer.Option("--drain", help="Let the workers of this home take nothing new; wait until nothing is under way."),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Log warnings and errors only.")] = False,
    log_format: options.Log = None,
    home: options.Home = None,
) -> None:
    """Do what is scheduled, without answering calls: backups and proofs, alarms, notifications.

    'backstay serve' does the same beside answering calls. Several of both share the work of one home, and each goes on
    with what another that died had begun. Backups of sites of this machine run in processes of their own: they go on
    when this one ends. Those of sites on other servers run in it, and are gone on with by another, or by the next; to
    have none of them interrupted, drain before: until they are started anew, the workers begin no backup.

    Examples:
        backstay worker

        backstay worker --home /srv/backstay --quiet

        backstay worker --drain
    """
    if drain:
        _drain(home)
        return
    # Imported here because it is slow, and needed by this command only.
    from backstay.queue.executor import running

    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: ended.set())
    watching = supervisor()
    with options.opened(home) as installation:
        shown = log_format or installation.configuration.server.log_format
        set_up_log(logging.WARNING if quiet else logging.INFO, shown)
        with running(installation):
            line = f"Backstay {__version__} does what is scheduled in {installation.home.path}."
            if shown is LogFormat.JSON:
                _log.info(line)
            else:
                console.print(line, markup=False)
                console.file.flush()
            watching.ready()
            while not ended.wait(watching.pause):
                watching.alive()
            watching.stopping()


def _drain(home: Path | None) -> None:
    # Imported here: what works on the queue is not loaded to ask others.
    from backstay.queue import draining

    with options.opened(home) as installation:
        names = draining.drain(installation)
        if not names:
            say("No worker of this home runs.")
            return
        told = 0
        while left := draining.under_way(installation, names):
            if left != told:
                say(f"{counted(left, 'backup')} under way.")
                told = left
            time.sleep(_LOOK_SECONDS)
        say("Nothing is under way any more: the workers can be ended.")
