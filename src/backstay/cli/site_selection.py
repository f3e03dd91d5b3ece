"""The options by which commands choose sites, each declared once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from backstay.fleet.selection import Selection

Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Names of sites.", show_default=False)]
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
States = Annotated[
    list[str] | None,
    typer.Option(
        "--state",
        metavar="STATE",
        help="The sites that are failing, silent, late, never (backed up), paused, good, or running; may be given "
        "several times.",
    ),
]


def selection_of(
    sites: Sequence[str] | None,
    groups: Sequence[str] | None,
    tags: Sequence[str] | None,
    states: Sequence[str] | None = None,
) -> Selection:
    """Return which sites these options mean; what is not given does not narrow.

    Raises:
        UsageError: a state is none.
    """
    from backstay.fleet.selection import Selection, checked_state

    return Selection(
        tuple(sites or ()), tuple(groups or ()), tuple(tags or ()), tuple(map(checked_state, states or ()))
    )
