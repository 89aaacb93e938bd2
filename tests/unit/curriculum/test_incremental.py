"""Estimates that follow the events equal those computed anew from the state, and those computed cell by cell."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curriculum.ability.estimates import CellEstimate, Estimates, Estimator
from curriculum.ability.rasch import Cell
from curriculum.record.events import Event, Issue, LeasedEvent, LeaseExpiredEvent, ReportedEvent
from curriculum.record.state import State, decode_state, encode_state
from curriculum.selectors import SELECTORS
from curriculum.settings import CurriculumSettings, Estimation
from protocol.tasks.specs import SkillSettings, World
from protocol.wire.messages import ConfidenceReport
from tests.support.reference_estimates import reference_estimate

SKILLS = ("depth_order", "object_count", "relative_distance")
# `object_color` and level 2 are not in the menu: a run may have been resumed with other skills.
ASKED = [
    Cell(skill, level, degradation)
    for skill in (*SKILLS, "object_color")
    for level in (0, 1, 2)
    for degradation in ("", "fog:1", "fog:3", "noise:2")
]
FAST = Estimation(window_groups=3.0, fade_groups=20.0, patience_groups=4)
QUESTIONS = st.tuples(
    st.integers(0, len(ASKED) - 1),
    st.sampled_from(["answered", "answered", "screened", "infeasible", "broken", "blind", "lost"]),
    st.sampled_from([(0.0, 0.0), (0.0, 0.0), (1.0, 1.0), (0.0, 1.0), (0.3,)]),
)
BATCHES = st.lists(st.lists(QUESTIONS, min_size=1, max_size=6), min_size=1, max_size=8)


MENUS = {
    degraded_share: CurriculumSettings(
        skills=tuple(SkillSettings(name=name, levels=(0, 1), weight=1.0 + len(name) % 3) for name in SKILLS),
        world=World(degradations=("fog:1", "fog:3", "noise:2"), degraded_share=degraded_share),
        estimation=FAST,
    )
    for degraded_share in (0.5, 1.0)
}


def events_of(batch: list[tuple[int, str, tuple[float, ...]]], first: int) -> list[Event]:
    """One batch: its lease, its reports, and the expiry of what was not reported."""
    issues, reports, lost = [], [], []
    for number, (index, outcome, rewards) in enumerate(batch, start=first):
        cell, blind = ASKED[index], outcome == "blind"
        degradation = "" if blind else cell.degradation
        issue = Issue(number, number, number, cell.skill, cell.level, "x", blind, degradation=degradation)
        issues.append(issue)
        if outcome == "lost":
            lost.append(issue.lease_id)
            continue
        shown = rewards if outcome in ("answered", "blind") else ()
        success = sum(rewards) / len(rewards)
        report = ConfidenceReport(
            issue.lease_id, issue.spec_id, issue.lease_id, 0, "answered" if blind else outcome, cell.skill, cell.level,
            blind=blind, rewards=shown, success_rate=success, degradation=degradation,
        )  # fmt: skip
        reports.append(report)
    events: list[Event] = [LeasedEvent(b"%d" % first, "l", 0, 0.0, tuple(issues))]
    events += [ReportedEvent(b"%d" % first, tuple(reports))] if reports else []
    return events + ([LeaseExpiredEvent(tuple(lost))] if lost else [])


def assert_equal(found: Estimates, wanted: Estimates | list[CellEstimate]) -> None:
    for name in CellEstimate.__struct_fields__[1:]:
        column = getattr(wanted, name) if isinstance(wanted, Estimates) else [getattr(one, name) for one in wanted]
        assert np.abs(np.subtract(getattr(found, name), column, dtype=float)).max() < 1e-9, name


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(batches=BATCHES, degraded_share=st.sampled_from(list(MENUS)))
def test_following_events_equals_a_full_computation(batches, degraded_share):
    configured = MENUS[degraded_share]
    used = [SELECTORS.load(name)(configured) for name in SELECTORS.built_in]
    state = State()
    follower, sparing = Estimator(state, configured), Estimator(state, configured)
    for batch in batches:
        for event in events_of(batch, state.next_number):
            state.apply(event, FAST)
            follower.follow(event)
            sparing.follow(event)  # estimates only at the end
        for selector in used:
            selector.shares(follower.estimates())
    found = follower.estimates()
    restarted = Estimator(decode_state(encode_state(state)), configured).estimates()
    assert_equal(found, [reference_estimate(state, configured, one.cell, one.weight) for one in restarted])
    assert_equal(found, sparing.estimates())
    for selector in used:
        ours, theirs = selector.shares(found), type(selector)(configured).shares(restarted)
        assert ours.keys() == theirs.keys()
        assert all((ours[purpose] == theirs[purpose]).all() for purpose in ours), "a restart changes nothing"
        assert sum(part.sum() for part in ours.values()) == pytest.approx(1.0, abs=1e-9)
