"""Wilson confidence intervals."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from protocol.intervals import wilson


def test_wilson_agrees_with_published_values() -> None:
    low, high = wilson(8, 10)
    assert (round(low, 4), round(high, 4)) == (0.4902, 0.9433)
    assert wilson(0, 20)[0] == 0.0
    assert wilson(20, 20)[1] == 1.0
    assert wilson(0, 0) == (0.0, 1.0)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_contains_the_proportion_and_narrows_with_more_questions(counts: tuple[int, int]) -> None:
    right, asked = counts
    low, high = wilson(right, asked)
    assert 0.0 <= low <= right / asked + 1e-12
    assert right / asked - 1e-12 <= high <= 1.0
    wider = high - low
    low, high = wilson(4 * right, 4 * asked)
    assert high - low < wider
