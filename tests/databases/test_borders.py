"""Dumps whose borders are chosen by content: a row more or less leaves all others where they are."""

from __future__ import annotations

import io
import random

from hypothesis import given
from hypothesis import strategies as st

from backstay.databases.parts import PartWriter, ends_here, runs


class Kept:
    """A sink that keeps its parts."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def open(self, name: str) -> io.BytesIO:
        """Begin a part."""
        del name
        kept = self

        class Part(io.BytesIO):
            def close(self) -> None:
                kept.parts.append(self.getvalue())
                super().close()

        return Part()


def rows_of(count: int) -> list[bytes]:
    """Make rows of some hundred bytes."""
    chance = random.Random(5)
    return [
        b"(%d,'%s')" % (number, chance.randbytes(chance.randrange(50, 150)).hex().encode()) for number in range(count)
    ]


def parts_of(rows: list[bytes]) -> list[bytes]:
    """Write rows in statements and these in parts."""
    sink = Kept()
    with PartWriter(sink, "site.sql", 500_000, by_content=True) as parts:
        for run, _ends in runs(rows):
            parts.write(b"INSERT\n" + b",".join(run) + b";\n")
    return sink.parts


def test_one_row_more_changes_one_statement_and_one_part() -> None:
    rows = rows_of(20_000)
    more = [*rows[:9000], b"(8999,'one more')", *rows[9000:]]
    before, after = parts_of(rows), parts_of(more)
    assert len(before) > 10
    assert len(set(after) - set(before)) <= 2
    assert len({tuple(run) for run, _ in runs(more)} - {tuple(run) for run, _ in runs(rows)}) <= 2
    assert max(map(len, after)) <= 500_000


def test_statements_have_their_size_on_average() -> None:
    rows = rows_of(20_000)
    found = list(runs(rows))
    average = sum(map(len, rows)) / len(found)
    assert 16_000 < average < 64_000


@given(st.lists(st.binary(max_size=40)))
def test_no_row_is_lost(rows: list[bytes]) -> None:
    found = list(runs(rows))
    assert [row for run, _ in found for row in run] == rows
    assert all(ends for _, ends in found[:-1])


@given(st.binary(min_size=1, max_size=300))
def test_what_is_longer_than_the_average_always_ends(text: bytes) -> None:
    assert ends_here(text, len(text))
    assert ends_here(text, 1)
