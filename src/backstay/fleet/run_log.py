"""The log of one run, in the form of every backup's log."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path
from types import TracebackType
from typing import Self

from backstay.catalogue import Catalogue
from backstay.engine import open_log
from backstay.engine.warnings import Warnings


class RunLog:
    """Writes the lines of one run, whatever else the process does; a log that cannot be written stops nothing."""

    def __init__(self, path: Path, level: int) -> None:
        # No logger of the process: several runs go on in it at once.
        self._logger = logging.Logger("backstay.run", logging.DEBUG)  # noqa: LOG001
        with contextlib.suppress(OSError):
            self._logger.addHandler(open_log(path, level))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handler in self._logger.handlers:
            handler.close()

    def note(self, message: str) -> None:
        """Note what was done."""
        self._logger.info("%s", message)

    def warning(self, message: str) -> None:
        """Note what is to be looked at."""
        self._logger.warning("%s", message)

    def error(self, message: str) -> None:
        """Note why the run failed."""
        self._logger.error("%s", message)


class LoggedWarnings(Warnings):
    """The warnings of a run: in its record, and in its log."""

    def __init__(self, catalogue: Catalogue, backup_id: int, log: RunLog) -> None:
        super().__init__(catalogue, backup_id)
        self._log_of_run = log

    def add(self, message: str) -> None:
        """Take one warning."""
        super().add(message)
        self._log_of_run.warning(message)
