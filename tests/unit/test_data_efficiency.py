"""The arithmetic of benchmarks/data_efficiency.py: data until a score is reached, and records that grow."""

from __future__ import annotations

from typing import Any, Optional

import pytest

from benchmarks.data_efficiency import merge, needed, settings_of


def _curve(*scores: float) -> list[dict[str, Any]]:
    """Evaluations after 0, 100, 200 ... presented questions."""
    return [
        {"relations": score, **dict.fromkeys(("generated", "distinct", "presented", "answers", "cpu_s"), 100 * number)}
        for number, score in enumerate(scores)
    ]


@pytest.mark.parametrize(
    ("scores", "target", "presented"),
    [
        ((0.5, 0.6, 0.7, 0.8, 0.9), 0.65, 150),  # the smoothed scores of a line are those of the line
        ((0.5, 0.9, 0.5, 0.5, 0.5), 0.8, None),  # one good evaluation is not a score that is reached
    ],
)
def test_data_is_counted_until_the_smoothed_score_is_reached(
    scores: tuple[float, ...], target: float, presented: Optional[int]
) -> None:
    found = needed(_curve(*scores), "relations", target)
    assert (found and found["presented"]) == presented


def test_a_record_keeps_other_runs_and_refuses_another_menu() -> None:
    record = {
        "menu": "demo",
        "runs": [{"arm": "sft", "seed": 1, "steps": 9}, {"arm": "vantage", "seed": 1, "steps": 9}],
    }
    rows = merge(record, {"menu": "demo"}, [{"arm": "vantage", "seed": 1, "steps": 10}])
    assert [(row["arm"], row["steps"]) for row in rows] == [("vantage", 10), ("sft", 9)]
    with pytest.raises(ValueError, match="menu = 'demo', not 'wide'"):
        merge(record, {"menu": "wide"}, rows)


def test_an_unknown_arm_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown arm 'without-sense'"):
        settings_of("without-sense")
