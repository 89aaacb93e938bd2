"""A policy that reasons learns the form of its answers from rewards, through the collector and TRL's step."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.reasoning import Reasoner, settings


@pytest.mark.timeout(300)
def test_a_policy_learns_the_form_of_reasoned_answers(tmp_path: Path) -> None:
    reasoner = Reasoner(settings(overlong_tokens=2, truncated="mask", likelihood_weight=0.1))
    loop = reasoner.loop(tmp_path)
    counts = reasoner.train(loop, tmp_path, 20)
    formed = [one.well_formed / one.rewarded for one in counts]
    readable = [one.readable / one.rewarded for one in counts]
    print("well formed:", " ".join(f"{value:.2f}" for value in formed))
    print("readable:   ", " ".join(f"{value:.2f}" for value in readable))
    assert sum(formed[:3]) / 3 < 0.5 and sum(formed[-3:]) / 3 > 0.75
    assert sum(readable[-3:]) > sum(readable[:3]) + 0.5
    reports = loop.reports()
    assert all(0 < report.truth_likelihood < 1 and report.answer_entropy <= 2.08 for report in reports)
