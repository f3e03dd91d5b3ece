"""The texts that have to change in a site that moves from another server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from backstay.restore.plan import RestorePlan

_ENDINGS = ("/index.php", "/remote.php", "/wp-admin/admin-ajax.php")


def moving_texts(information: Mapping[str, Any], plan: RestorePlan) -> dict[str, str]:
    """Return old and new texts of a site that moves: its folder, and its address where it gets a new one.

    Args:
        information: what the backup says of itself: its ``root`` and ``host``.
        plan: of the restore; it tells the server, the new folder and the new address.
    """
    found: dict[str, str] = {}
    root = information.get("root")
    if isinstance(root, str) and len(root.rstrip("/")) > 1 and root.rstrip("/") != plan.target:
        found[root.rstrip("/")] = plan.target
    if plan.address:
        hosts = {_place_of(plan.moved_from)}
        if isinstance(host := information.get("host"), str) and host:
            hosts.add(host)
        for place in sorted(hosts):
            for scheme in ("https", "http"):
                if f"{scheme}://{place}" != plan.address:
                    found[f"{scheme}://{place}"] = plan.address
    return found


def _place_of(server: str) -> str:
    """Return host and path of a site from the address of its API."""
    parts = urlsplit(server if "//" in server else f"https://{server}")
    path = parts.path.rstrip("/")
    for ending in _ENDINGS:
        path = path.removesuffix(ending)
    return parts.netloc + path
