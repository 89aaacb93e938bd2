"""Estimates converge to the success rate, follow changes, and transfer to cells that were never asked."""

from __future__ import annotations

import numpy as np
import pytest

from curriculum.ability.rasch import BetaCounts, Cell, Rasch, effective_trials, posterior
from curriculum.record.state import State
from curriculum.settings import Estimation
from protocol.wire.messages import ConfidenceReport

EASY, MIDDLE, HARD = (Cell("depth_order", level) for level in (0, 1, 2))


def answers(cell: Cell, success: float, groups: int, seed: int = 0, size: int = 8):
    rng = np.random.default_rng(seed)
    for index in range(groups):
        rewards = tuple(map(float, rng.random(size) < success))
        yield ConfidenceReport(
            f"{cell} {seed} {index}", "s", "l", 1, "answered", cell.skill, cell.level,
            rewards=rewards, success_rate=float(np.mean(rewards)), had_gradient=len(set(rewards)) > 1,
        )  # fmt: skip


def state_after(*batches) -> State:
    state = State()
    for batch in batches:
        for report in batch:
            state._reported(report, Estimation())
    return state


@pytest.mark.parametrize("success", [0.02, 0.3, 0.55, 0.8, 0.99])
def test_the_posterior_converges_to_the_success_rate(success):
    state = state_after(answers(Cell("object_location", 0), success, 150))
    post = state.posterior(Cell("object_location", 0), Estimation())
    assert abs(post.mean - success) < max(0.08, 2.5 * post.sd)


def test_the_signal_is_the_variance_within_groups():
    mixed = Cell("depth_order", 0)
    half = [report for pair in zip(answers(mixed, 0.0, 40), answers(mixed, 1.0, 40, seed=1)) for report in pair]
    even = state_after(answers(mixed, 0.5, 80)).posterior(mixed, Estimation())
    split = state_after(half).posterior(mixed, Estimation())
    assert abs(even.mean - split.mean) < 0.15
    assert even.signal > 0.2
    assert split.signal < 0.05


def test_the_estimate_follows_an_improving_policy():
    cell = Cell("object_location", 0)
    state = state_after(answers(cell, 0.2, 100), answers(cell, 0.9, 60, seed=1))
    assert state.posterior(cell, Estimation()).mean > 0.8


def test_unasked_cells_are_predicted_from_others():
    good = state_after(answers(EASY, 0.95, 60))
    poor = state_after(answers(EASY, 0.52, 60))
    for state in (good, poor):
        assert state.rasch.predict(EASY) > state.rasch.predict(MIDDLE) > state.rasch.predict(HARD) > EASY.chance
    assert good.rasch.predict(MIDDLE) > poor.rasch.predict(MIDDLE) + 0.1
    relative = Cell("view_direction", 0)
    assert good.rasch.predict(relative) > poor.rasch.predict(relative) + 0.02, "some transfer to another skill"


def test_predictions_never_fall_below_chance():
    state = state_after(answers(EASY, 0.1, 200))
    assert state.rasch.predict(EASY) >= EASY.chance
    assert state.posterior(EASY, Estimation()).mean < 0.2, "the posterior of the cell may"


def test_predictions_recover_from_extremes():
    rasch = Rasch()
    cell = Cell("object_count", 0)
    for _ in range(300):
        rasch.update(cell, 0.0, 3.0)
    for _ in range(60):
        rasch.update(cell, 1.0, 3.0)
    assert rasch.predict(cell) > 0.7


def test_the_posterior_decays_to_the_prediction():
    evidence = BetaCounts()
    for _ in range(20):
        evidence.add(1.0, 3.0, 0.0, window_groups=24)
    fresh = posterior(evidence, 20, 0.5, 2.0, 1000.0)
    old = posterior(evidence, 20_000, 0.5, 2.0, 1000.0)
    assert fresh.mean > 0.9
    assert old.mean == pytest.approx(0.5, abs=0.01)
    assert old.sd > fresh.sd


def test_effective_trials_are_between_one_and_the_group_size():
    assert effective_trials(1) == 1.0
    assert 1.0 < effective_trials(8) < effective_trials(16) < 4.0
