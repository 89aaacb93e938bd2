"""Shares of the selectors, also with the simulated learners of benchmarks/."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.curriculum_selectors import run
from curriculum.ability.estimates import CellEstimate
from curriculum.ability.rasch import Cell
from curriculum.issues import repeated_issues
from curriculum.selectors import SELECTORS
from curriculum.selectors.base import cell_shares, draw, make_selector
from curriculum.selectors.frontier import bounded
from curriculum.settings import CurriculumSettings, ReservedShares
from protocol.tasks.specs import SkillSettings
from tests.support.estimates import estimates_of

PLAIN = CellEstimate(
    cell=Cell("depth_order", 0), weight=1.0, seen=50, mean=0.5, sd=0.05, signal=0.25, predicted=0.5, trend=0.0,
    damping=1.0, feasible=1.0, seeing=1.0, learned=False, open=1.0, waiting=0,
)  # fmt: skip


def estimate(skill: str, level: int = 0, success: float = 0.5, **changes) -> CellEstimate:
    figures = {"mean": success, "signal": success * (1 - success), "learned": success > 0.75}
    return msgspec.structs.replace(PLAIN, cell=Cell(skill, level), **{**figures, **changes})


def shares(estimates: list[CellEstimate], selector: str = "frontier", **sizes: float) -> dict[str, float]:
    """Shares of questions with images, by cell."""
    made = make_selector(CurriculumSettings(selector=selector, shares=ReservedShares(**sizes)))
    all_shares = made.shares(estimates_of(estimates))
    assert sum(part.sum() for part in all_shares.values()) == pytest.approx(1.0)
    return {str(one.cell): share.item() for one, share in zip(estimates, cell_shares(all_shares))}


@pytest.mark.parametrize("selector", SELECTORS.built_in)
def test_shares_add_up_and_cover_every_cell(selector):
    estimates = [
        estimate("depth_order", 0, 0.99),
        estimate("depth_order", 1, 0.5),
        estimate("depth_order", 2, 0.0),
    ]
    found = shares(estimates, selector)
    assert set(found) == {"depth_order L0", "depth_order L1", "depth_order L2"}
    assert all(share > 0 for share in found.values())


def test_frontier_prefers_cells_with_variance_within_groups():
    found = shares(
        [estimate("depth_order", 0, 0.85), estimate("depth_order", 1, 0.5), estimate("depth_order", 2, 0.06)]
    )
    assert found["depth_order L1"] > 0.5
    assert found["depth_order L1"] > found["depth_order L0"] > found["depth_order L2"]


def test_frontier_has_a_minimum_share_per_cell():
    estimates = [estimate("depth_order", level, success) for level, success in enumerate((0.5, 0.0, 0.0, 1.0))]
    assert min(shares(estimates, coverage=0.2).values()) >= 0.2 / 4 * 0.96


def test_frontier_retests_learned_cells_with_lower_success_first():
    estimates = [estimate("object_color", 0, 0.99), estimate("object_count", 0, 0.8), estimate("depth_order", 0, 0.5)]
    selector = make_selector(CurriculumSettings(shares=ReservedShares(retest=0.3, coverage=0.1, blind=0.05)))
    made = selector.shares(estimates_of(estimates))
    assert made.keys() == {"frontier", "coverage", "retest", "blind"}
    color, count, depth = made["retest"]
    assert color + count == pytest.approx(0.3 * 0.95)
    assert count > color > 0 == depth


def test_frontier_opens_a_level_as_the_easier_one_is_learned():
    easy, other = estimate("view_direction", 0, 0.5), estimate("depth_order", 0, 0.5)
    guessing = shares([easy, estimate("view_direction", 1, 0.5, open=0.0), other], coverage=0.0)
    learned = shares([easy, estimate("view_direction", 1, 0.5, open=1.0), other], coverage=0.0)
    assert guessing["view_direction L1"] < 0.02 < 0.3 < learned["view_direction L1"]


def test_frontier_bounds_the_share_of_one_cell():
    estimates = [estimate(name, level, 0.02) for name in ("view_direction", "depth_order") for level in range(5)]
    found = shares([*estimates, estimate("relative_distance", 0, 0.5)], coverage=0.0)
    assert found["relative_distance L0"] == pytest.approx(0.2, abs=0.01)
    assert found["view_direction L0"] == pytest.approx(found["depth_order L3"])


@settings(deadline=None)
@given(st.lists(st.just(0.0) | st.floats(1e-9, 1), min_size=1, max_size=12), st.floats(0.05, 1))
def test_bounded_shares_are_proportional_below_the_bound(weights, largest):
    found = bounded(np.array(weights), largest).tolist()
    assert max(found) <= largest + 1e-9 and sum(found) <= 1 + 1e-9
    below = [(share, weight) for share, weight in zip(found, weights) if share < largest and weight > 0]
    assert all(share * below[0][1] == pytest.approx(weight * below[0][0]) for share, weight in below)


@pytest.mark.parametrize("changes", [{"damping": 0.1}, {"seeing": 0.2}, {"feasible": 0.1}], ids=str)
def test_frontier_lowers_shares_of_noisy_blind_and_infeasible_cells(changes):
    found = shares([estimate("depth_order"), estimate("view_direction", **changes)])
    assert found["view_direction L0"] < found["depth_order L0"] / 4


def test_learning_progress_follows_the_change_of_success_in_either_direction():
    names = ("depth_order", "view_direction", "object_color", "object_count")
    changes = (0.0, 0.1, -0.3, 0.0)
    found = shares([estimate(*row) for row in zip(names, (0,) * 4)], "learning_progress", blind=0.0)
    assert set(found.values()) == {0.25}, "without progress all cells equally"
    moving = [estimate(name, trend=change) for name, change in zip(names, changes)]
    found = shares(moving, "learning_progress", blind=0.0)
    assert found == {
        "depth_order L0": pytest.approx(0.05),
        "view_direction L0": pytest.approx(0.05 + 0.2),
        "object_color L0": pytest.approx(0.05 + 0.6),
        "object_count L0": pytest.approx(0.05),
    }
    assert (
        shares(estimates=[*moving[:2], estimate(names[2], trend=-0.3, feasible=0.5)], selector="learning_progress")[
            "object_color L0"
        ]
        < 0.6
    )


def test_uniform_follows_the_weights_of_skills():
    found = shares(
        [estimate("depth_order", success=0.5), estimate("object_color", success=1.0, weight=3.0)], "uniform", blind=0
    )
    assert found == {"depth_order L0": pytest.approx(0.25), "object_color L0": pytest.approx(0.75)}


def test_static_repeats_the_same_specs_in_another_order():
    worlds = CurriculumSettings().by_name
    cells = [Cell(skill, level) for skill in ("depth_order", "view_direction", "object_count") for level in range(5)]
    issues = repeated_issues(worlds, 1, cells, length=120, count=240, next_number=0)
    first, second = (
        [(issue.seq, issue.scene, str(issue.cell)) for issue in part] for part in (issues[:120], issues[120:])
    )
    assert first != second and sorted(first) == sorted(second)
    assert len({issue.lease_id for issue in issues}) == 240
    assert issues[100:140] == repeated_issues(worlds, 1, cells, length=120, count=40, next_number=100)
    assert all(len({issue.skill for issue in issues[start : start + 40]}) == 3 for start in range(0, 240, 40))
    assert (
        sum(one.scene == other.scene for one, other in zip(issues, issues[1:])) > 120
    )  # consecutive specs of one scene are cheap


def test_a_draw_is_within_one_of_its_shares_and_unbiased():
    cells = [Cell("depth_order", level) for level in range(3)]
    wanted = {"x": np.array([0.5, 0.33, 0.0]), "y": np.array([0.0, 0.15, 0.02])}
    counts = np.zeros((2000, 6))
    for seed, row in enumerate(counts):
        for cell, purpose in draw(cells, wanted, 10, np.random.default_rng(seed)):
            row["xy".index(purpose) * 3 + cell.level] += 1
    expected = np.concatenate(list(wanted.values())) * 10
    assert np.abs(counts - expected).max() < 1.0
    assert np.abs(counts.mean(axis=0) - expected).max() < 0.04
    assert (counts.sum(axis=1) == 10).all()


def test_every_built_in_selector_can_be_created():
    for selector in SELECTORS.built_in:
        assert make_selector(CurriculumSettings(selector=selector)).shares(estimates_of([PLAIN]))


def test_frontier_needs_fewer_questions_than_uniform_and_static():
    """Six or eight of 33 cells are learnable; one skill with three cells gives random rewards."""
    for seed in (0, 1):
        ours = run("frontier", seed)
        assert ours.reached and ours.mastered_fall <= 0.03
        assert ours.noise < 0.2
        for control in ("uniform", "static"):
            theirs = run(control, seed, budget=int(1.25 * ours.questions))
            assert not theirs.reached, f"{control} needs less than 1.25 x the questions of frontier"
            assert theirs.no_gradient > ours.no_gradient + 0.1


def test_frontier_follows_the_weights_of_skills():
    configured = CurriculumSettings(
        skills=(SkillSettings(name="depth_order", weight=4.0), SkillSettings(name="view_direction"))
    )
    estimates = [estimate(skill.name, weight=skill.weight) for skill in configured.skills]
    assert shares(estimates, blind=0.0)["depth_order L0"] == pytest.approx(0.8)
