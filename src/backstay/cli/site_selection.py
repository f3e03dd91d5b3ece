"""The options by which commands choose sites, each declared once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from backstay.fleet.selection import Selection

Sites = Annotated[
    list[str] | None, typer.Option("--site", metavar="NAME", help="This site; give it several times for several.")
]
Groups = Annotated[
    list[str] | None,
    typer.Option("--group", metavar="NAME", help="The sites of this group; may be given several times."),
]
Tags = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="WORD", help="The sites that have this tag; may be given several times."),
]


def selection_of(sites: list[str] | None, groups: list[str] | None, tags: list[str] | None) -> Selection:
    """Return which sites these options mean; what is not given does not narrow."""
    from backstay.fleet.selection import Selection

    return Selection(tuple(sites or ()), tuple(groups or ()), tuple(tags or ()))
