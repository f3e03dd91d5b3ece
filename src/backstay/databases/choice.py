"""Some tables of a dump: which of its names a load takes."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

_ABSTRACT = "#__"


class TableChoice:
    """Decides whether a table, view, sequence or routine of a dump is loaded.

    Args:
        patterns: shell patterns of names; none: everything. A name fits as it stands in the dump, with the prefix
            written ``#__``, with the prefix it will have in the database, and without prefix (``#__users``,
            ``abc_users`` and ``users`` mean the same table). PostgreSQL's names carry their schema unless that is
            ``public``, where they may (``shop.orders``, ``users``, ``public.users``).
        dumped_prefix: prefix of the site in a dump that has real names; empty where it writes ``#__`` itself.
        prefix: prefix that the names will have in the database.
    """

    def __init__(self, patterns: Sequence[str], *, dumped_prefix: str = "", prefix: str = "") -> None:
        self._patterns = tuple(patterns)
        self._prefixes = tuple(one for one in (_ABSTRACT, dumped_prefix) if one)
        self._prefix = prefix or dumped_prefix

    def __bool__(self) -> bool:
        """Whether anything may be left out."""
        return bool(self._patterns)

    def wants(self, name: str, schema: str = "") -> bool:
        """Whether a name of the dump is to be loaded.

        Args:
            name: the name as it stands in the dump.
            schema: PostgreSQL's schema of it; empty for servers that know none.
        """
        if not self._patterns:
            return True
        names = {name}
        for prefix in self._prefixes:
            if name.startswith(prefix):
                bare = name[len(prefix) :]
                names |= {bare, _ABSTRACT + bare, self._prefix + bare}
        if schema:
            qualified = {f"{schema}.{one}" for one in names}
            names = names | qualified if schema == "public" else qualified
        return any(fnmatch.fnmatchcase(one, pattern) for one in names for pattern in self._patterns)


__all__ = ["TableChoice"]
