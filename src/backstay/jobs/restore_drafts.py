"""A restore that somebody plans in several steps: kept in the home between them, encrypted, for a day.

What is asked for holds passwords of databases and archives, and secret words of servers: none of them leaves the server
again.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from backstay.catalogue.vault import Vault
from backstay.errors import NotFoundError
from backstay.jobs.installation import Installation
from backstay.jobs.restore_sources import RestoreSource, source_of_archive, source_of_backup, source_opener
from backstay.restore import MAIN_DUMP, Layout, RemoteArchive, read_layout

_KEPT_SECONDS: Final = 86400.0
_WORD: Final = re.compile(r"[\w-]{22}", re.ASCII)


@dataclass(slots=True)
class RestoreDraft:
    """What somebody has said of a restore so far.

    Attributes:
        word: names the draft; nobody can guess it.
        user_id: whose it is; nobody else sees it.
        source: the archive: ``{"backup": 12}``, ``{"archive": path}`` or ``{"url", "secret", "profile" or "number"}``.
        fields: what was filled in.
        held: what the archive holds, as `look_into` found it; empty where it is not here yet.
    """

    word: str
    user_id: int
    source: dict[str, Any] = field(repr=False)
    fields: dict[str, Any] = field(default_factory=dict, repr=False)
    held: dict[str, Any] = field(default_factory=dict)


def new_draft(user_id: int, source: Mapping[str, Any]) -> RestoreDraft:
    """Return a draft that is not kept yet."""
    return RestoreDraft(secrets.token_urlsafe(16), user_id, dict(source))


def keep_draft(installation: Installation, draft: RestoreDraft) -> None:
    """Keep a draft, in the place of what was kept of it; forget those that are too old."""
    folder = _folder(installation)
    folder.mkdir(mode=0o700, exist_ok=True)
    for path in folder.iterdir():
        if time.time() - path.stat().st_mtime > _KEPT_SECONDS:
            path.unlink(missing_ok=True)
    values = {"user_id": draft.user_id, "source": draft.source, "fields": draft.fields, "held": draft.held}
    content = Vault(installation.home.key).encrypt(json.dumps(values))
    temporary = folder / f".{draft.word}.{secrets.token_hex(4)}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    temporary.replace(folder / draft.word)


def find_draft(installation: Installation, word: str, user_id: int) -> RestoreDraft:
    """Return a draft.

    Raises:
        NotFoundError: it was begun, or is too old, or is somebody else's.
    """
    gone = NotFoundError("This plan of a restore was begun already, or is older than a day: plan it anew.")
    path = _folder(installation) / word
    if not _WORD.fullmatch(word):
        raise gone
    try:
        is_old = time.time() - path.stat().st_mtime > _KEPT_SECONDS
        values = json.loads(Vault(installation.home.key).decrypt(path.read_bytes()))
    except FileNotFoundError:
        raise gone from None
    if is_old or values["user_id"] != user_id:
        raise gone
    return RestoreDraft(word, **values)


def forget_draft(installation: Installation, draft: RestoreDraft) -> None:
    """Forget a draft: it was begun."""
    (_folder(installation) / draft.word).unlink(missing_ok=True)


def source_of_draft(installation: Installation, draft: RestoreDraft) -> RestoreSource:
    """Return the archive of a draft; of one that a server is still to make, all but what is in it.

    Raises:
        NotFoundError: it is gone.
    """
    password = draft.fields.get("password") or None
    if "backup" in draft.source:
        return source_of_backup(installation, draft.source["backup"], password, draft.fields.get("storage", ""))
    if "archive" in draft.source:
        return source_of_archive(Path(draft.source["archive"]), password)
    remote = RemoteArchive(draft.source["url"], draft.source["secret"], 0, ())
    return RestoreSource(Path(draft.source["url"]), password, remote=remote)


def look_into(installation: Installation, source: RestoreSource) -> dict[str, Any]:
    """Return what an archive holds, for the choice of what comes back: ``dumps``, ``top``, ``files``, ``bytes``.

    Raises:
        ArchiveError: it cannot be read, or needs another password.
    """
    if source.remote is not None and not source.remote.storage:
        return {"dumps": [{"name": MAIN_DUMP, "size": 0, "tables": []}], "top": [], "files": 0, "bytes": 0, "root": ""}
    with source_opener(installation, source)() as archive:
        layout = read_layout(archive)
        top: dict[str, int] = {}
        for entry in archive:
            if not layout.is_own(entry.path):
                name = entry.path.partition("/")[0]
                top[name] = top.get(name, 0) + entry.size
    root = layout.information.get("root")
    return {
        "dumps": _dumps(layout),
        "top": sorted(top.items()),
        "files": layout.files,
        "bytes": layout.size,
        "root": root if isinstance(root, str) else "",
    }


def _dumps(layout: Layout) -> list[dict[str, Any]]:
    found = []
    # The site's own is what most people mean: it comes first.
    for one in reversed(layout.databases):
        listed = one.metadata.get("tables")
        kinds = list(listed.values()) if isinstance(listed, dict) else [listed]
        tables = [str(name) for kind in kinds if isinstance(kind, list) for name in kind]
        prefix = str(one.metadata.get("prefix") or "")
        kind = str(one.metadata.get("dbtech") or "mysql")
        found.append({"name": one.dump_file, "size": one.size, "tables": tables, "prefix": prefix, "kind": kind})
    return found


def _folder(installation: Installation) -> Path:
    return installation.home.path / "drafts"
