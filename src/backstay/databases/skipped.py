"""Objects that a server does not give to a dump, or refuses to make in a load: one of them never fails the whole."""

from __future__ import annotations

import os
from pathlib import Path

from backstay.databases.model import OnWarning, SkippedObject
from backstay.errors import DumpError


class Omissions:
    """What is not in a dump because the server does not give it: a warning each, or the end of a strict dump.

    Args:
        on_warning: receives one sentence for each object.
        strict: raise instead.

    Attributes:
        objects: what was added so far.
    """

    def __init__(self, on_warning: OnWarning, *, strict: bool) -> None:
        self._warn = on_warning
        self._strict = strict
        self.objects: list[SkippedObject] = []

    def add(self, kind: str, name: str, reason: str) -> None:
        """Note that an object is not in the dump; the parameters are those of ``SkippedObject``.

        Raises:
            DumpError: the dump is strict.
        """
        sentence = f"The {kind} {name} could not be dumped: {reason}."
        if self._strict:
            raise DumpError(sentence)
        self.objects.append(SkippedObject(kind, name, reason))
        self._warn(sentence)

    def to_json(self) -> list[dict[str, str]]:
        """Return the objects as the metadata of a dump lists them."""
        return [{"kind": one.kind, "name": one.name, "reason": one.reason} for one in self.objects]


def refused_warning(refused: SkippedObject, file: Path | None) -> str:
    """Return the warning of an object that a server refused to make."""
    sentence = f"The {refused.kind} {refused.name} could not be made: {refused.reason}."
    return f"{sentence} Its statement is kept in {file}." if file is not None and refused.statement else sentence


class Refusals:
    """What a server refuses to make in a load: a warning each, and the statement kept in a file that the warning names.

    Args:
        on_warning: receives one sentence for each object.
        file: where the statements go; made with the first of them, readable by its owner only. None: they are only in
            ``objects``.

    Attributes:
        objects: what was added so far.
        warnings: the sentences.
    """

    def __init__(self, on_warning: OnWarning, file: Path | None = None) -> None:
        self._warn = on_warning
        self._file = file
        self.objects: list[SkippedObject] = []
        self.warnings: list[str] = []

    def add(self, refused: SkippedObject) -> None:
        """Keep the statement of an object, on disk when the call returns, and warn of it.

        Raises:
            OSError: the statement could not be written.
        """
        self.keep(refused)
        sentence = refused_warning(refused, self._file)
        self.objects.append(refused)
        self.warnings.append(sentence)
        self._warn(sentence)

    def keep(self, refused: SkippedObject) -> None:
        """Keep the statement of an object, without a warning: what it belongs to was warned of.

        Raises:
            OSError: the statement could not be written.
        """
        if self._file is not None and refused.statement:
            self._append(self._file, refused)

    def replaced(self, sentence: str) -> None:
        """Warn of what the server does not know and is given another form of; nothing is left out."""
        self.warnings.append(sentence)
        self._warn(sentence)

    @staticmethod
    def _append(file: Path, refused: SkippedObject) -> None:
        # A name or message with a line break must not become a statement of its own.
        heading = " ".join(f"The {refused.kind} {refused.name}: {refused.reason}.".split())
        text = f"-- {heading}\n{refused.statement.rstrip()}\n\n".encode("utf-8", "surrogateescape")
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "ab") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(opened.fileno())
