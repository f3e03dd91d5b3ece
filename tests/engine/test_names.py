"""Names of archives and progress as the API tells it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from backstay.engine import percent
from backstay.engine.names import archive_name, expand, variables
from backstay.version import __version__


def values(host: str = "www.example.com") -> dict[str, str]:
    moment = datetime(2026, 3, 1, 9, 5, 7, tzinfo=ZoneInfo("Europe/Zurich"))
    return variables(moment, host=host, site_name="Mein Café & Co", platform="joomla", platform_version="5.1")


def test_every_variable_of_the_reference_engine_is_replaced() -> None:
    found = expand(
        "[DATE] [YEAR] [MONTH] [DAY] [TIME] [TIME_TZ] [TZ] [TZ_RAW] [GMT_OFFSET] [WEEK] [WEEKDAY] [HOST] "
        "[PLATFORM_NAME] [PLATFORM_VERSION] [SITENAME] [NOTHING]",
        values(),
    )
    assert found == (
        "20260301 2026 03 01 090507 090507cet cet CET +0100 09 Sunday www.example.com joomla 5.1 mein-café-co [NOTHING]"
    )


def test_a_host_that_is_not_known_has_a_name_of_its_own() -> None:
    assert values("")["HOST"] == "unknown_host"


def test_days_of_the_week_and_a_moment_without_a_zone() -> None:
    days = [
        variables(datetime(2026, 3, day), host="", site_name="", platform="", platform_version="")  # noqa: DTZ001 - on purpose
        for day in range(2, 9)
    ]
    assert [found["WEEKDAY"] for found in days] == [
        "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday",
    ]  # fmt: skip
    assert [days[0][name] for name in ("TZ_RAW", "TZ", "TIME_TZ", "GMT_OFFSET", "VERSION")] == [
        "UTC", "utc", "000000utc", "+0000", __version__,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "shown"), [("(Café)", "café"), ("x" * 60, "x" * 50), (f"{'x' * 49} y", "x" * 49), ("a/../b", "a-..-b")]
)
def test_names_of_sites_are_short_and_safe(name: str, shown: str) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    assert variables(moment, host="", site_name=name, platform="", platform_version="")["SITENAME"] == shown


R = "RaNdOm0123456789"


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("Xsite-[RANDOM]", f"Xsite-{R}"),
        ("-.site-[RANDOM]", f"site-{R}"),
        ("[RANDOM]", R),
        ("siteX", f"siteX-{R}"),
        ("site-.", f"site-{R}"),
        ("X", f"X-{R}"),
        ("", R),
        ("..", R),
        ("a" * 184 + "[RANDOM]", "a" * 184 + R),
        ("a" * 185 + "[RANDOM]", f"{'a' * 183}-{R}"),
        ("a" * 400, f"{'a' * 183}-{R}"),
        ("a" * 182 + "-" + "b" * 100, f"{'a' * 182}-{R}"),
        ("a / b", f"a-b-{R}"),
    ],
)
def test_names_of_archives_have_their_random_piece_and_at_most_200_characters(template: str, name: str) -> None:
    assert archive_name(template, {"RANDOM": R}) == name


@pytest.mark.parametrize(
    "template", ["site-[HOST]-[RANDOM]", "[DATE]", "", "../../etc/passwd", "a" * 400, "-[RANDOM]", "[RANDOM]x" * 40]
)
def test_names_are_safe_as_file_names_and_cannot_be_guessed(template: str) -> None:
    found = values()
    name = archive_name(template, found)
    assert re.fullmatch(r"[\w@+][\w.@+-]{0,199}", name)
    assert found["RANDOM"].lstrip("-") in name


def test_two_names_of_the_same_moment_differ() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    names = {
        archive_name("x", variables(moment, host="h", site_name="s", platform="", platform_version=""))
        for _ in range(50)
    }
    assert len(names) == 50


@pytest.mark.parametrize(
    ("domain", "fraction", "expected"),
    [("init", 0.0, 0), ("installer", 0.0, 0), ("PackDB", 0.0, 25), ("Packing", 0.0, 50), ("Packing", 0.5, 62),
     ("finale", 0.0, 75), ("finale", 1.0, 100), ("finale", 7.0, 100)],
)  # fmt: skip
def test_progress_is_what_the_reference_engine_tells(domain: str, fraction: float, expected: int) -> None:
    assert percent("full", domain, fraction) == expected
