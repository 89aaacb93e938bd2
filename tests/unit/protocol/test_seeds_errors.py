"""Random streams are determined by seed and path on every machine; errors have a known code."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import CODES, RETRYABLE_CODES, Infeasible, VantageError
from protocol.seeds import rng_for
from protocol.wire.upstream import Backoff

PATHS = st.lists(st.one_of(st.text(max_size=8), st.integers(0, 2**64)), max_size=4).map(tuple)


@given(seed=st.integers(0, 2**32 - 1), first=PATHS, second=PATHS)
def test_streams_are_determined_by_seed_and_path(seed, first, second):
    draw = rng_for(seed, *first).integers(2**63, size=4).tolist()
    assert draw == rng_for(seed, *first).integers(2**63, size=4).tolist()
    assert draw != rng_for(seed + 1, *first).integers(2**63, size=4).tolist()
    if first != second:
        assert draw != rng_for(seed, *second).integers(2**63, size=4).tolist()


def test_a_trailing_zero_is_part_of_the_path():
    assert rng_for(7, "a").integers(2**63) != rng_for(7, "a", 0).integers(2**63)


def test_streams_never_change_between_releases():
    assert rng_for(7, "scene", 3).integers(1000, size=4).tolist() == [182, 522, 976, 686]


def test_errors_have_code_message_and_retryable_flag():
    for code in CODES:
        error = VantageError(code, "do this")
        assert (error.code, error.message, str(error)) == (code, "do this", "do this")
        assert error.retryable == (code in RETRYABLE_CODES)
    assert VantageError("internal", "x", retryable=True).retryable
    assert not VantageError("busy", "x", retryable=False).retryable
    with pytest.raises(AssertionError):
        VantageError("nonsense", "x")
    assert Infeasible("too dark").code == "infeasible"
    assert RETRYABLE_CODES <= CODES


def test_backoff_doubles_up_to_its_bound_and_can_be_reset():
    backoff = Backoff(1.0, 10.0)
    for bound in (1.0, 2.0, 4.0, 8.0, 10.0, 10.0):
        assert bound / 2 <= backoff.next_s() <= bound
    for _ in range(2000):  # no overflow
        assert backoff.next_s() <= 10.0
    assert len({backoff.next_s() for _ in range(10)}) > 1
    backoff.reset()
    assert backoff.next_s() <= 1.0
