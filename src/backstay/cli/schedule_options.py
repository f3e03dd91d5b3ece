"""The options of ``backstay schedule``, each declared once."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

Number = Annotated[int, typer.Argument(metavar="ID", help="Number of the schedule, as 'backstay schedule list' shows.")]
At = Annotated[
    str,
    typer.Option(
        "--at",
        metavar="TIME",
        help="Cron expression (minute, hour, day of the month, month, day of the week), or @hourly, @daily, @weekly, "
        "@monthly.",
    ),
]
NewAt = Annotated[str | None, typer.Option("--at", metavar="TIME", help="Another cron expression.")]
Zone = Annotated[
    str | None,
    typer.Option(
        "--time-zone",
        metavar="NAME",
        help="Zone in which the time is meant, for example Europe/Berlin.",
        show_default="jobs.time_zone of backstay.toml, else the machine's",
    ),
]
Spread = Annotated[
    str | None,
    typer.Option(
        "--spread",
        metavar="SPAN",
        help="Start later by a share of this span, which is the profile's own: 30m, 2h.",
        show_default="none",
    ),
]
CatchUp = Annotated[
    bool | None,
    typer.Option(
        "--catch-up/--no-catch-up", help="Make up a missed run, once, as soon as something runs.", show_default="yes"
    ),
]
Which = Annotated[
    Literal["newest", "rotating"] | None,
    typer.Option(
        "--which",
        help="Prove the newest backup, or in rotation those whose proof is oldest.",
        show_default="rotating to verify, newest to drill",
    ),
]
Storage = Annotated[
    str | None,
    typer.Option(
        "--storage",
        metavar="NAME",
        help="Prove the copies at this storage only.",
        show_default="the files here and every copy",
    ),
]
HereOnly = Annotated[
    bool | None, typer.Option("--here-only/--everywhere", help="Prove the files here only, and no copies.")
]
Within = Annotated[
    str | None,
    typer.Option(
        "--within",
        metavar="SPAN",
        help="Come round to each backup within this span: 30d, 4w.",
        show_default="the profile's proof_span",
    ),
]
