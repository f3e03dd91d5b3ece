"""Work that is done step by step is reported, comes to its result, and is closed where it is abandoned."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from backstay.steps import converted, finished


class Work:
    """Counts up, and remembers whether it was closed."""

    def __init__(self) -> None:
        self.is_closed = False

    def __call__(self, number: int) -> Generator[int, None, str]:
        try:
            yield from range(number)
            return "done"
        finally:
            self.is_closed = True


def test_each_step_is_converted_and_the_result_is_the_works() -> None:
    steps = converted(Work()(3), str)
    assert [next(steps), next(steps), next(steps)] == ["0", "1", "2"]
    with pytest.raises(StopIteration) as end:
        next(steps)
    assert end.value.value == "done"


def test_work_that_is_abandoned_is_closed() -> None:
    work = Work()
    steps = converted(work(3), str)
    next(steps)
    steps.close()
    assert work.is_closed


def test_work_is_done_to_its_end() -> None:
    seen: list[int] = []
    assert finished(Work()(3), seen.append) == "done"
    assert finished(Work()(0)) == "done"
    assert seen == [0, 1, 2]


def test_work_is_closed_where_the_receiver_wants_no_more() -> None:
    work = Work()

    def refuse(_step: int) -> None:
        raise KeyError

    with pytest.raises(KeyError):
        finished(work(3), refuse)
    assert work.is_closed
