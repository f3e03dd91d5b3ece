"""Which files and folders of one root a backup leaves out, and by which filter.

The rules are those of the reference engine (engine-behaviour, filters): plain nodes are paths relative to the root,
regular expressions are written with delimiters as in PCRE, a leading ``!`` turns one round, and any filter that says
so leaves the thing out. Besides these, patterns in the syntax of ``.gitignore`` come from ``--exclude``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pathspec

from backstay.errors import ConfigurationError
from backstay.profiles import Filters

# Kept although the files of their folder are left out: they guard the folder on the web.
KEPT_FILES = frozenset({".htaccess", "web.config", "index.html", "index.htm", "robots.txt"})

OWN = "backstay's own"
"""The name of the filter that leaves out what Backstay itself writes."""

_CLOSING = {"(": ")", "[": "]", "{": "}", "<": ">"}
_FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL, "x": re.VERBOSE}
# PCRE flags that change nothing for the texts that are matched here: UTF-8, dollar at the end only, study.
_IGNORED_FLAGS = frozenset("uDS")


@dataclass(frozen=True, slots=True)
class Regex:
    """A regular expression of a filter.

    Attributes:
        text: as it was written, with delimiters.
        pattern: compiled.
        negated: it excludes what does not match.
    """

    text: str
    pattern: re.Pattern[str]
    negated: bool

    def excludes(self, path: str) -> bool:
        """Return whether this filter leaves out a path."""
        return (self.pattern.search(path) is None) == self.negated


def parse_regex(text: str) -> Regex:
    r"""Read a PCRE with delimiters, for example ``#\.bak$#i`` or ``!/^images/``.

    Raises:
        ConfigurationError: it is not one, or it uses what Python's ``re`` does not know.
    """
    negated = text.startswith("!")
    body = text[1:] if negated else text
    delimiter = body[:1]
    end = body.rfind(_CLOSING.get(delimiter, delimiter))
    if not delimiter or delimiter.isalnum() or delimiter in "\\ " or end < 1:
        raise ConfigurationError(
            f"The filter {text!r} is not a regular expression between delimiters, as in #\\.bak$#i."
        )
    flags = re.NOFLAG
    for letter in body[end + 1 :]:
        if letter in _FLAGS:
            flags |= _FLAGS[letter]
        elif letter not in _IGNORED_FLAGS:
            raise ConfigurationError(f"The filter {text!r} has the flag {letter!r}, which Backstay does not know.")
    try:
        return Regex(text, re.compile(body[1:end], flags), negated)
    except re.error as error:
        raise ConfigurationError(f"The filter {text!r} is not a regular expression: {error}.") from None


class FileRules:
    """What is left out beneath one root.

    Paths are relative to the root, with ``/``, without a slash at either end; the root itself is the empty path.
    """

    def __init__(
        self,
        filters: Filters,
        root: str,
        *,
        patterns: Iterable[str] = (),
        folders: Iterable[str] = (),
        own_files: str = "",
        on_warning: Callable[[str], None],
    ) -> None:
        """Compile the filters of one root.

        Args:
            filters: of the profile.
            root: name of the root in the filters.
            patterns: in the syntax of ``.gitignore``.
            folders: relative paths of folders that are left out always, such as the one the archive goes to.
            own_files: files in the root itself whose names begin so are left out always: those of an archive that is
                written there.
            on_warning: called with one sentence for a filter that cannot be used; what it should leave out is
                backed up then.
        """
        self._plain = {
            name: frozenset(node.strip("/") for node in filters.nodes(name, root))
            for name in ("directories", "files", "skipdirs", "skipfiles")
        }
        self._regex = {
            name: [regex for text in filters.nodes(f"regex{name}", root) if (regex := _try(text, on_warning))]
            for name in self._plain
        }
        self._folders = frozenset(folders)
        self._own_files = own_files
        lines = [line for line in patterns if line.strip()]
        try:
            self._patterns = pathspec.GitIgnoreSpec.from_lines(lines) if lines else None
        except ValueError as error:
            raise ConfigurationError(f"A pattern of what to leave out can't be used: {error}.") from None

    def directory(self, path: str) -> str | None:
        """Return the name of the filter that leaves out a folder with all that is in it, or None."""
        if path in self._folders:
            return OWN
        return self._excluded("directories", path) or self._pattern(path + "/")

    def file(self, path: str) -> str | None:
        """Return the name of the filter that leaves out a file or link, or None."""
        if self._own_files and path.startswith(self._own_files) and "/" not in path:
            return OWN
        return self._excluded("files", path) or self._pattern(path)

    def subdirectories(self, path: str) -> str | None:
        """Return the name of the filter that leaves out the folders in a folder, or None."""
        return self._excluded("skipdirs", path)

    def files(self, path: str) -> str | None:
        """Return the name of the filter that leaves out the files in a folder (but ``KEPT_FILES``), or None."""
        return self._excluded("skipfiles", path)

    def _excluded(self, name: str, path: str) -> str | None:
        if path in self._plain[name]:
            return name
        if not self._regex[name]:
            return None
        return next((f"regex{name} {regex.text}" for regex in self._regex[name] if regex.excludes(path)), None)

    def _pattern(self, path: str) -> str | None:
        return "exclude" if self._patterns is not None and self._patterns.match_file(path) else None


def _try(text: str, on_warning: Callable[[str], None]) -> Regex | None:
    try:
        return parse_regex(text)
    except ConfigurationError as error:
        on_warning(f"{error} It leaves out nothing.")
        return None
