"""Worlds of cells: the same specs as before for one world; predictions, leases, reports, restarts for several."""

from __future__ import annotations

import hashlib
import json
import math

import msgspec
import numpy as np
import pytest

from curriculum.ability.estimates import Estimator
from curriculum.ability.properties import properties_of
from curriculum.ability.rasch import Cell, Rasch
from curriculum.record.events import ReportedEvent, WorldAddedEvent, WorldRetiredEvent
from curriculum.record.state import State, decode_state, encode_state
from curriculum.replay import replay
from curriculum.settings import CurriculumSettings
from curriculum.worlds import all_worlds
from protocol.errors import VantageError
from protocol.tasks.specs import SkillSettings, World, held_out_specs
from protocol.wire.messages import ConfidenceReport, LeaseSpecs, SendReports, SpecBatch
from tests.support.curriculum import failure_on, report_on
from tests.unit.curriculum.test_incremental import assert_equal, reference_estimate

SKILLS = tuple(SkillSettings(name=name, levels=(0, 1)) for name in ("depth_order", "object_count", "relative_distance"))
WORLDS = (
    World(name="sparse"),
    World(name="night", lights=("night",)),
    World(name="cluttered", clutter=0.5),
    World(name="far", backend="", rooms=4, degradations=("fog:3",)),
)
ONE = World(
    rooms=(1, 3),
    clutter=(0.1, 0.9),
    lights=("day", "night"),
    cameras=("phone", "robot"),
    degradations=("fog:3", "noise:1"),
)


def digest(specs) -> str:
    total = hashlib.sha256()
    for spec in specs:
        tree = msgspec.to_builtins(spec)
        assert (tree.pop("world"), tree["scene"].pop("backend")) == ("", "")
        assert not tree["scene"].pop("wishes")
        total.update(json.dumps(tree, sort_keys=True).encode())
    return total.hexdigest()[:16]


def lease(core, count: int, name: str) -> SpecBatch:
    batch = core.handle(LeaseSpecs("l", count, 0), name.encode())
    assert isinstance(batch, SpecBatch)
    return batch


@pytest.mark.parametrize(
    ("selector", "specs", "prediction"),
    [
        ("uniform", "ed5604ada31023cc", "0x1.3e83d0518bf52p-1"),
        ("static", "aeb79799284c0ac5", "0x1.488cd48e1ab8cp-1"),
    ],
)
def test_a_run_with_one_world_gets_the_specs_of_earlier_versions(start, selector, specs, prediction):
    core, found = start(selector=selector, skills=SKILLS, world=ONE), []
    for number in range(3):
        batch = lease(core, 24, f"l{number}")
        found += [one.spec for one in batch.specs]
        reports = (report_on(one, (1.0, float(index % 3 == 0))) for index, one in enumerate(batch.specs))
        core.handle(SendReports(tuple(reports)), b"r%d" % number)
    assert digest(found) == specs
    assert core._state.rasch.predict(core._estimator.cells[3]).hex() == prediction
    assert not core.status.worlds


def test_held_out_specs_of_one_world_are_those_of_earlier_versions():
    specs = held_out_specs(ONE, 7, {("depth_order", 0): 6, ("object_count", 1): 4})
    assert digest(specs) == "ed74a7588158a23f"


# ----------------------------------------------------------------------------- the ability model


def truth(cell: Cell, worlds: dict[str, World]) -> float:
    """Success rate: darkness costs 1.2 logits, clutter 0.8 per unit, each doubling of the rooms 0.5."""
    found = properties_of(worlds[cell.world])
    cost = 1.2 * found.get("dark", 0.0) + 0.8 * found.get("clutter", 0.0) + 0.5 * found.get("rooms", 0.0)
    logit = 2.2 - 0.9 * cell.level - cost
    return cell.chance + (1 - cell.chance) / (1 + math.exp(-logit))


def test_a_world_is_predicted_from_its_properties_before_its_first_question():
    worlds = {
        "plain": World(name="plain"),
        "dim": World(name="dim", lights=("evening",)),
        "night": World(name="night", lights=("night",)),
        "messy": World(name="messy", clutter=0.4),
        "large": World(name="large", rooms=4),
        "dim-messy": World(name="dim-messy", lights=("evening",), clutter=0.3),
        "unseen": World(name="unseen", lights=("night",), clutter=0.4, rooms=2),
    }
    rasch = Rasch(properties={name: properties_of(world) for name, world in worlds.items()})
    rng = np.random.default_rng(0)
    pairs = [(skill.name, level) for skill in SKILLS for level in (0, 1)]
    asked = [Cell(skill, level, world=name) for name in worlds if name != "unseen" for skill, level in pairs]
    for number in range(1500):
        cell = asked[number % len(asked)]
        rasch.update(cell, float(rng.binomial(8, truth(cell, worlds))) / 8, 2.6)
    unseen = [Cell(skill, level, world="unseen") for skill, level in pairs]
    errors = [abs(rasch.predict(cell) - truth(cell, worlds)) for cell in unseen]
    assert max(errors) < 0.15 and np.mean(errors) < 0.1, errors
    blind = [abs(rasch.predict(Cell(cell.skill, cell.level, world="unknown")) - truth(cell, worlds)) for cell in unseen]
    assert np.mean(blind) > 2 * np.mean(errors), "without properties it would be predicted like an average world"


def test_properties_of_a_scene_of_a_dataset_are_those_of_the_camera():
    asset = World(assets=("a",), held_out_assets=("b",), rooms=4, hfov_deg=100.0)
    assert properties_of(asset) == {"wide lens": 1.0} and not properties_of(World())


# ----------------------------------------------------------------------------- the service


def test_a_run_asks_all_worlds_and_counts_them_apart(start):
    core = start(selector="uniform", skills=SKILLS, worlds=WORLDS)
    batch = lease(core, 96, "1")
    specs = [one.spec for one in batch.specs]
    assert {spec.world for spec in specs} == {world.name for world in WORLDS}
    assert all(spec.scene.light == "night" for spec in specs if spec.world == "night")
    assert {spec.scene.rooms for spec in specs if spec.world == "far"} == {4}
    assert {str(one) for spec in specs for one in spec.degradations} == {"fog:3"}
    assert all(spec.world == "far" for spec in specs if spec.degradations)
    core.handle(SendReports(tuple(report_on(one) for one in batch.specs)), b"2")
    asked = {world.name: sum(row.asked for row in core.status.cells if row.world == world.name) for world in WORLDS}
    seeing = [one.spec.world for one in batch.specs if not one.blind]
    assert asked == {world.name: seeing.count(world.name) for world in WORLDS}
    assert {row.name: row.asked for row in core.status.worlds} == asked
    with pytest.raises(VantageError, match="another skill, level, world"):
        again = lease(core, 1, "3").specs[0]
        core.handle(SendReports((report_on(again, world="elsewhere"),)), b"4")


def test_a_restart_gives_the_same_state_estimates_and_specs(start, run):
    settings = {"selector": "frontier", "skills": SKILLS, "worlds": WORLDS}
    core = start(**settings)
    first = lease(core, 32, "1")
    core.handle(SendReports(tuple(report_on(one) for one in first.specs[:20])), b"2")
    state, estimates = encode_state(core._state), core._estimator.estimates()
    core.close()
    (run.path / "curriculum.snapshot").unlink()
    again = start(**settings)
    assert encode_state(again._state) == state
    assert_equal(again._estimator.estimates(), estimates)
    assert lease(again, 32, "1").specs == first.specs, "a repeated request, after the restart"
    assert [span.last for span in replay(again._store, again._settings, "uniform")] == [1]


def test_estimates_follow_events_about_worlds():
    settings = CurriculumSettings(skills=SKILLS, worlds=WORLDS)
    state = State()
    follower = Estimator(state, settings)
    derived = World(name="sparse-1", rooms=3, clutter=0.7)
    events = [WorldAddedEvent(world.name, world.model_dump_json()) for world in WORLDS]
    events += [WorldAddedEvent("sparse-1", derived.model_dump_json(), "sparse", "rooms 1 to 3", "mastered")]

    def answered(world: str, number: int) -> ReportedEvent:
        cell = Cell("depth_order", number % 2, world=world)
        lent = f"s{number:08d}"
        report = ConfidenceReport(
            lent, lent, f"{lent}.0", 0, "answered", cell.skill, cell.level,
            rewards=(1.0, 0.0), success_rate=0.5, world=world,
        )  # fmt: skip
        return ReportedEvent(lent.encode(), (report,))

    events += [answered(name, number) for number, name in enumerate(("sparse", "sparse-1", "night", "sparse-1", "far"))]
    found = follower.estimates()
    for event in [*events, WorldRetiredEvent("sparse-1", "nothing left")]:
        state.apply(event, settings.estimation)
        follower.follow(event)
        found = follower.estimates()
        restarted = Estimator(decode_state(encode_state(state)), settings).estimates()
        assert found.cells == restarted.cells
        assert_equal(found, [reference_estimate(state, settings, one.cell, one.weight) for one in restarted])
    assert "sparse-1" not in {cell.world for cell in found.cells}
    assert all_worlds(state, settings)["sparse-1"] == derived, "its specs can be built again"


# ----------------------------------------------------------------------------- worlds that no simulator makes


def test_specs_of_a_missing_backend_return_and_the_others_go_on(start):
    worlds = (World(name="a", backend="rooms"), World(name="b", backend="habitat"))
    core = start(selector="uniform", skills=SKILLS, worlds=worlds)
    batch = lease(core, 64, "1")
    missing = [one for one in batch.specs if one.spec.world == "b"]
    assert {one.spec.scene.backend for one in missing} == {"habitat"}
    reports = [failure_on(one, "returned") if one.spec.world == "b" else report_on(one) for one in batch.specs]
    core.handle(SendReports(tuple(reports)), b"2")
    (waiting,) = [row for row in core.status.worlds if row.waiting]
    assert (waiting.name, waiting.waiting) == ("b", "a test") and waiting.share < 0.1
    meanwhile = lease(core, 64, "3")
    assert sum(one.spec.world == "a" for one in meanwhile.specs) > 55, "the other world goes on"
    assert any(one.spec.world == "b" for one in meanwhile.specs), "the missing one is tried now and then"
    core.handle(SendReports(tuple(map(report_on, meanwhile.specs))), b"4")  # the backend is back
    assert not any(row.waiting for row in core.status.worlds)
    returned = lease(core, len(missing), "5")
    assert [one.spec for one in returned.specs] == [one.spec for one in missing], "nothing is lost"
    core.handle(SendReports(tuple(map(report_on, returned.specs))), b"6")
    assert not core._state.returned
