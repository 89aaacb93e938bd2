"""Degradations of cells: estimates, predictions, selection, reports, and events of older stores."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from curriculum.ability.estimates import Estimates, Estimator
from curriculum.ability.rasch import Cell, Rasch
from curriculum.issues import leased
from curriculum.record.events import Issue, LeasedEvent, ReportedEvent, decode_event, encode_event
from curriculum.record.state import State
from curriculum.settings import CurriculumSettings, Estimation
from protocol.errors import VantageError
from protocol.tasks.specs import SkillSettings, World, task_spec, training_scene
from protocol.wire.messages import LeaseSpecs, SendReports, SpecBatch
from tests.support.curriculum import report_on

SKILLS = ("depth_order", "view_direction", "object_color", "relative_distance")
WORLD = World(degradations=("fog:3", "noise:1"), degraded_share=0.5)
SETTINGS = {"skills": tuple(SkillSettings(name=name, levels=(0, 1)) for name in SKILLS), "world": WORLD}


def truth(cell: Cell) -> float:
    """Success rate: fog at severity 3 costs every skill 1.6 logits, noise 0.2."""
    cost = {"": 0.0, "fog:1": 0.7, "fog:3": 1.6, "noise:1": 0.2}[cell.degradation]
    logit = 1.2 + 0.4 * SKILLS.index(cell.skill) - 0.9 * cell.level - cost
    return cell.chance + (1 - cell.chance) / (1 + math.exp(-logit))


def fitted(cells: list[Cell], groups: int) -> Rasch:
    rasch, rng = Rasch(), np.random.default_rng(0)
    for number in range(groups):
        cell = cells[number % len(cells)]
        rasch.update(cell, float(rng.binomial(8, truth(cell))) / 8, 2.6)
    return rasch


def test_unasked_degraded_cells_are_predicted_from_other_skills() -> None:
    clear = [Cell(name, level) for name in SKILLS for level in (0, 1)]
    foggy = [Cell(name, level, "fog:3") for name in SKILLS[:3] for level in (0, 1)]
    unseen = [Cell(SKILLS[3], level, degradation) for level in (0, 1) for degradation in ("fog:3", "fog:1")]
    separate = fitted(clear + foggy, 600)
    error = max(abs(separate.predict(cell) - truth(cell)) for cell in unseen)
    merged = fitted([*clear, *(cell.undegraded for cell in foggy)], 600)  # one cell for undegraded and foggy images
    assert error < 0.1
    assert max(abs(merged.predict(cell.undegraded) - truth(cell)) for cell in unseen) > 0.15


def test_each_severity_is_expected_to_be_harder_than_the_previous() -> None:
    values = [Rasch().predict(Cell("depth_order", 0, text)) for text in ("", "fog:0", "fog:1", "fog:4")]
    assert values == sorted(values, reverse=True) and len(set(values)) == 4


def first_estimates(settings: CurriculumSettings) -> Estimates:
    return Estimator(State(), settings).estimates()


def test_the_weight_of_a_skill_is_split_between_undegraded_and_degraded_images() -> None:
    estimates = first_estimates(CurriculumSettings(**SETTINGS))
    cells = [one for one in estimates if one.cell.skill == "depth_order" and one.cell.level == 1]
    assert {str(one.cell): one.weight for one in cells} == {
        "depth_order L1": 0.5,
        "depth_order L1 fog:3": 0.25,
        "depth_order L1 noise:1": 0.25,
    }
    degraded = CurriculumSettings(**{**SETTINGS, "world": World(degradations=("fog:3",), degraded_share=1.0)})
    assert {one.cell.degradation for one in first_estimates(degraded)} == {"fog:3"}


def test_a_skill_that_cannot_be_asked_in_fog_has_no_such_cell() -> None:
    settings = CurriculumSettings(skills=(SkillSettings(name="fits"),), world=WORLD)
    assert [one.cell.degradation for one in first_estimates(settings)] == ["", "noise:1"]


@pytest.mark.parametrize(("selector", "clear"), [("frontier", 1 / 2), ("uniform", 1 / 2), ("static", 1 / 3)])
def test_chosen_degradations_are_leased_and_counted(start, selector: str, clear: float) -> None:
    core = start(selector=selector, **SETTINGS)  # `static` asks all cells equally often
    batch = core.handle(LeaseSpecs("l", 256, 0), b"1")
    assert isinstance(batch, SpecBatch)
    sighted = [one for one in batch.specs if not one.blind]
    labels = [report_on(one).degradation for one in sighted]
    assert set(labels) == {"", "fog:3", "noise:1"}
    assert labels.count("") == pytest.approx(len(labels) * clear, abs=len(labels) / 8)
    core.handle(SendReports(tuple(report_on(one, (1.0, 0.0)) for one in batch.specs)), b"2")
    rows = {(row.skill, row.level, row.degradation): row.asked for row in core.status.cells}
    for name, level, degradation in rows:
        asked = [
            report_on(one) for one in sighted if (one.spec.question.skill, one.spec.question.level) == (name, level)
        ]
        assert rows[name, level, degradation] == sum(report.degradation == degradation for report in asked)


def test_blind_questions_count_in_the_undegraded_cell() -> None:
    state = State()
    issue = Issue(0, 0, 0, "depth_order", 0, "frontier", degradation="fog:3")
    (one,) = leased({"": WORLD}, 0, (issue,))
    report = report_on(one, blind=True)
    state.apply(LeasedEvent(b"1", "l", 0, 9.0, (issue,)), Estimation())
    state.apply(ReportedEvent(b"2", (report,)), Estimation())
    assert state.cells["depth_order L0"].blind_asked == 1
    assert state.blind_success(Cell("depth_order", 0, "fog:3")) == state.blind_success(Cell("depth_order", 0)) == 0.5


def test_events_of_an_older_store_give_the_same_specs_and_counts() -> None:
    now = LeasedEvent(b"1", "l", 0, 9.0, (Issue(3, 3, 0, "depth_order", 0, "frontier"),))
    tree = msgspec.json.decode(encode_event(now))
    tree["issues"][0] = tree["issues"][0][:8]
    event = decode_event(msgspec.json.encode(tree))
    assert isinstance(event, LeasedEvent) and event.issues[0].degradation is None
    (one,) = leased({"": WORLD}, 5, event.issues)
    scene = training_scene(WORLD, 5, 0)
    assert one.spec == task_spec(WORLD, 5, scene, spec_id=one.spec.spec_id, seq=3, skill="depth_order", level=0)

    body = msgspec.json.decode(encode_event(ReportedEvent(b"2", (report_on(one, degradation="fog:3"),))))
    del body["reports"][0]["degradation"]
    state = State()
    state.apply(event, Estimation())
    state.apply(decode_event(msgspec.json.encode(body)), Estimation())
    assert state.cells["depth_order L0"].asked == 1 and not state.leases


def test_a_report_with_an_unknown_degradation_is_rejected(start) -> None:
    core = start(**SETTINGS)
    batch = core.handle(LeaseSpecs("l", 1, 0), b"1")
    assert isinstance(batch, SpecBatch)
    with pytest.raises(VantageError, match="not a degradation like fog:3"):
        core.handle(SendReports((report_on(batch.specs[0], degradation="mist"),)), b"2")
