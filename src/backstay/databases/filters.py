"""Which tables and rows a dump leaves out: what the user asked for, and what the vendor never dumps (spec, 6.1-6.2)."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

from backstay.databases.model import DumpOptions
from backstay.errors import ConfigurationError

_PCRE_PAIRS = {"(": ")", "[": "]", "{": "}", "<": ">"}
_PCRE_FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL, "x": re.VERBOSE, "u": re.NOFLAG}
_ROWLESS_ENGINES = frozenset({"FEDERATED", "BLACKHOLE", "MRG_MYISAM"})
_ROWLESS_NAMES = frozenset({"bf_core_hashes", "bf_files", "bf_files_last", "bf_folders", "bf_folders_to_scan"})
# What an unfinished load of Backstay's own leaves beside the tables of the site.
STAGING_NAME = re.compile(r"backstay_[0-9a-f]{8}_(?:new|old)_\d+\Z")


@cache
def compile_pcre(pattern: str) -> tuple[re.Pattern[str], bool]:
    """Compile a PCRE with delimiters, such as ``/^#__tmp_/i``; a leading ``!`` negates.

    Returns:
        The pattern, and whether it is negated.

    Raises:
        ConfigurationError: the pattern cannot be read.
    """
    text = pattern.strip()
    negated = text.startswith("!")
    text = text[1:] if negated else text
    if len(text) < 2 or text[0].isalnum() or text[0] == "\\":
        raise ConfigurationError(f"The filter {pattern!r} needs delimiters around its expression, as in /…/.")
    closing = _PCRE_PAIRS.get(text[0], text[0])
    body, found, flags = text[1:].rpartition(closing)
    if not found or not set(flags) <= set(_PCRE_FLAGS):
        raise ConfigurationError(f"The filter {pattern!r} has no end or unknown flags; write it as /…/ or /…/i.")
    value = re.NOFLAG
    for flag in flags:
        value |= _PCRE_FLAGS[flag]
    try:
        return re.compile(body, value), negated
    except re.error as problem:
        raise ConfigurationError(f"The filter {pattern!r} is no regular expression: {problem}.") from problem


def matches_pcre(pattern: str, name: str) -> bool:
    """Whether a filter's expression picks a name."""
    compiled, negated = compile_pcre(pattern)
    return (compiled.search(name) is None) if negated else (compiled.search(name) is not None)


class TableFilter:
    """Answers, for each name in a database, whether it and its rows are dumped."""

    def __init__(self, options: DumpOptions, abstract: Callable[[str], str]) -> None:
        self._options = options
        self._abstract = abstract
        for pattern in (*options.skip_tables_regex, *options.skip_table_data_regex):
            compile_pcre(pattern)

    def reason_to_skip(self, name: str) -> str | None:
        """Return why a table or entity is left out: empty if the user asked for it, ``None`` if it is dumped."""
        if name.startswith("bak_"):
            return f"The table {name} is not dumped: names that begin with bak_ are backups of an earlier restore."
        if name.startswith("#__"):
            return f"The table {name} is not dumped: its name begins with #__, which stands for the prefix in a dump."
        if "\n" in name or "\r" in name:
            return f"The table {name!r} is not dumped: its name holds a line break."
        if STAGING_NAME.match(name):
            return ""
        if self._picked(name, self._options.skip_tables, self._options.skip_tables_regex):
            return ""
        return None

    def has_rows(self, name: str, engine: str) -> bool:
        """Whether a table's rows are dumped."""
        if engine.upper() in _ROWLESS_ENGINES or self._abstract(name).removeprefix("#__") in _ROWLESS_NAMES:
            return False
        return not self._picked(name, self._options.skip_table_data, self._options.skip_table_data_regex)

    def _picked(self, name: str, names: frozenset[str], patterns: tuple[str, ...]) -> bool:
        abstract = self._abstract(name)
        if name in names or abstract in names:
            return True
        return any(matches_pcre(pattern, abstract) for pattern in patterns)
