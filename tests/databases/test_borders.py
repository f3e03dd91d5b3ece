"""Dumps whose borders are chosen by content: a row more or less leaves all others where they are."""

from __future__ import annotations

import io
import random

from hypothesis import given
from hypothesis import strategies as st

from backstay.databases.parts import PartWriter, ends_here, statements


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


def grouped(rows: list[bytes], at_once: int = 100, limit: int = 131_072) -> list[list[bytes]]:
    """Group rows that come in lists of some length."""
    return list(statements((rows[start : start + at_once] for start in range(0, len(rows), at_once)), limit))


def parts_of(rows: list[bytes]) -> list[bytes]:
    """Write rows in statements and these in parts."""
    sink = Kept()
    with PartWriter(sink, "site.sql", 500_000, by_content=True) as parts:
        for statement in grouped(rows):
            parts.write(b"INSERT\n" + b",".join(statement) + b";\n")
    return sink.parts


def test_one_row_more_changes_one_statement_and_one_part() -> None:
    rows = rows_of(20_000)
    more = [*rows[:9000], b"(8999,'one more')", *rows[9000:]]
    before, after = parts_of(rows), parts_of(more)
    assert len(before) > 10
    assert len(set(after) - set(before)) <= 2
    assert len(set(map(tuple, grouped(more))) - set(map(tuple, grouped(rows)))) <= 2
    assert max(map(len, after)) <= 500_000


def test_statements_have_their_size_on_average() -> None:
    rows = rows_of(20_000)
    average = sum(map(len, rows)) / len(grouped(rows))
    assert 16_000 < average < 64_000


@given(st.lists(st.binary(max_size=40)), st.integers(1, 20), st.integers(1, 20), st.integers(1, 100))
def test_no_row_is_lost_and_it_does_not_matter_in_what_lists_rows_come(
    rows: list[bytes], at_once: int, other: int, limit: int
) -> None:
    found = grouped(rows, at_once, limit)
    assert [row for statement in found for row in statement] == rows
    assert grouped(rows, other, limit) == found
    assert all(len(one) == 1 or sum(map(len, one)) + 2 * len(one) - 2 <= limit for one in found)


@given(st.binary(min_size=1, max_size=300))
def test_what_is_longer_than_the_average_always_ends(text: bytes) -> None:
    assert ends_here(text, len(text))
    assert ends_here(text, 1)
