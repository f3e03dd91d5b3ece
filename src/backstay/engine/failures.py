"""Why a backup failed, as a sentence for its record."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from backstay.engine.progress import shown
from backstay.errors import BackstayError, DiskFullError, StorageError


def sentence_of(error: Exception) -> str:
    """Return one sentence that names what went wrong and says what to do."""
    if isinstance(error, BackstayError):
        return str(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"There is no space left on the disk ({error.filename or 'while writing'}): free some and start again."
    if isinstance(error, OSError) and error.filename:
        return f"{shown(os.fsdecode(error.filename))} can't be used ({error.strerror}): mend that and start again."
    if isinstance(error, OSError) and error.errno == errno.EIO:
        return f"A disk does not work ({error.strerror}): check the disks, and what the system's log says of them."
    return f"Something went wrong that Backstay did not expect ({type(error).__name__}: {error}); the log has the rest."


def of_writing(error: OSError, path: Path) -> StorageError:
    """Return the error of the tree for one that came while something was written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(f"There is no space left to write {path}: free some space there and start again.")
    return StorageError(f"{path} can't be written ({error.strerror}): check the disk.")
