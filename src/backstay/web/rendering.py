"""Templates into HTML: the one place that knows Jinja2."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from typing import Any
from urllib.parse import quote, unquote

import jinja2
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse

from backstay.web.security import FORGERY_FIELD

NAVIGATION = (
    ("/", "Overview", "viewer"),
    ("/sites", "Sites", "viewer"),
    ("/backups", "Backups", "viewer"),
    ("/profiles", "Profiles", "viewer"),
    ("/schedules", "Schedules", "viewer"),
    ("/storage", "Storage", "viewer"),
    ("/notifications", "Notifications", "viewer"),
    ("/restores", "Restores", "viewer"),
    ("/settings", "Settings", "administrator"),
)
"""Path, label and least role of each entry of the navigation, in order."""

BOUND_NAVIGATION = ("/", "/backups", "/profiles", "/sites")
"""Paths of those that are there for users who are bound to groups of sites."""

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_JOINERS = "\u200c\u200d"
"""Unseen, but Persian, Indic scripts and emoji need them, and they change no direction."""


def html(template: str, values: Mapping[str, Any], status: int = 200) -> HTMLResponse:
    """Return a page made from a template of ``web/templates``."""
    return HTMLResponse(_environment().get_template(template).render(values), status)


def shown(text: object, *, kept: str = "") -> str:
    """Return a text of somebody else's so that it shows what it is: what is unseen or turns directions as escapes.

    Args:
        text: anything.
        kept: control characters that stay what they are.
    """
    printable = str(text).encode("utf-8", "backslashreplace").decode()
    if printable.isprintable():
        return printable
    allowed = _JOINERS + kept
    return "".join(one if one.isprintable() or one in allowed else ascii(one)[1:-1] for one in printable)


def quoted(text: str) -> str:
    """Return a name of any bytes so that it passes unharmed through a link or a form; `unquoted` gives it back."""
    return quote(text, safe="/", errors="surrogateescape")


def unquoted(text: str) -> str:
    """Return what `quoted` was given."""
    return unquote(text, errors="surrogateescape")


def name(text: object) -> Markup:
    """Return a name of somebody else's as markup: escaped, and set apart so that its direction changes nothing else."""
    return Markup("<bdi>{}</bdi>").format(escape(shown(text)))


def shortened(text: str, length: int = 200) -> str:
    """Return a text of somebody else's that may be of any length, cut in its middle."""
    return text if len(text) <= length else f"{text[: length // 2]}…{text[-(length // 2) :]}"


def size(count: float | None) -> str:
    """Return a number of bytes for a person."""
    if count is None:
        return "–"
    value, unit = float(count), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{int(value)} B" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"


def moment(when: datetime | None) -> Markup:
    """Return a moment in UTC as markup that scripts show in the browser's own time zone."""
    if when is None:
        return Markup("–")
    utc = when.astimezone(UTC)
    return Markup('<time datetime="{}">{} UTC</time>').format(
        utc.strftime("%Y-%m-%dT%H:%M:%SZ"), utc.strftime("%Y-%m-%d %H:%M")
    )


def ago(when: datetime | None) -> Markup:
    """Return how long ago a moment was, or how far ahead it is, as markup that tells the moment too."""
    if when is None:
        return Markup("never")
    utc = when.astimezone(UTC)
    seconds = (datetime.now(UTC) - utc).total_seconds()
    text = f"{span(abs(seconds))} ago" if seconds >= 0 else f"in {span(-seconds)}"
    return Markup('<time class="ago" datetime="{}" title="{} UTC">{}</time>').format(
        utc.strftime("%Y-%m-%dT%H:%M:%SZ"), utc.strftime("%Y-%m-%d %H:%M"), text
    )


def span(seconds: float | timedelta) -> str:
    """Return a span of time for a person, in its largest unit."""
    count = seconds.total_seconds() if isinstance(seconds, timedelta) else seconds
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if count >= length:
            whole = int(count // length)
            return f"{whole} {unit}{'s' if whole != 1 else ''}"
    return f"{int(count)} s"


def counted(count: int, one: str, many: str = "") -> str:
    """Return a number with the word for what it counts."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def asset(file: str) -> str:
    """Return the address of a file of ``web/static``, another one whenever its content changes."""
    return f"/static/{file}?{asset_hash(file)}"


@lru_cache(maxsize=64)
def asset_hash(file: str) -> str:
    """Return a short hash of a file of ``web/static``."""
    return hashlib.sha256(asset_content(file)).hexdigest()[:12]


@lru_cache(maxsize=64)
def asset_content(file: str) -> bytes:
    """Return the content of a file of ``web/static``.

    Raises:
        FileNotFoundError: there is none of that name.
    """
    if "/" in file or file.startswith("."):
        raise FileNotFoundError(file)
    return files("backstay.web").joinpath("static", file).read_bytes()


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("backstay.web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        # What a template prints of somebody else's is never a surprise: see `shown`.
        finalize=_finalized,
    )
    environment.filters.update(
        size=size, moment=moment, ago=ago, span=span, counted=counted, name=name, quoted=quoted, shortened=shortened
    )
    environment.filters["from_iso"] = datetime.fromisoformat
    environment.globals.update(asset=asset, forgery_field=FORGERY_FIELD, main_pages=NAVIGATION, here=_is_here)
    environment.globals["bound_pages"] = BOUND_NAVIGATION
    environment.globals["m"] = environment.get_template("macros.html").module
    return environment


def _is_here(visit: Any, path: str) -> bool:
    here = str(visit.request.url.path)
    if path == "/":
        return here in ("/", "/overview")
    return here == path or here.startswith(path + "/")


def _finalized(value: object) -> object:
    if isinstance(value, str) and not isinstance(value, Markup):
        return shown(value, kept="\n\t")
    return value
