"""``python -m backstay.demo``: run the demonstration."""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
from pathlib import Path

from rich.console import Console

from backstay.cli.output import say
from backstay.demo.run import run_demo
from backstay.errors import BackstayError


def main() -> int:
    """Run the demonstration as the command line says; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m backstay.demo", description="Show Backstay's main job.")
    parser.add_argument("--site", type=Path, metavar="PATH", help="a site of yours, which is only read")
    parser.add_argument("--keep", action="store_true", help="leave what was made where it is")
    options = parser.parse_args()
    # The server is on the loopback interface: a proxy of the user's must not come between.
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: sys.exit(128 + received))
    try:
        return run_demo(options.site, keep=options.keep, console=Console())
    except BackstayError as error:
        say(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        say("Stopped.")
        return 130


if __name__ == "__main__":
    sys.exit(main())
