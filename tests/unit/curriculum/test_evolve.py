"""Worlds that evolve: edits, their bounds, when a world is derived and retired, and a run that replays the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from curriculum.evolve import describe, harder
from curriculum.record.events import WorldAddedEvent, WorldRetiredEvent
from curriculum.record.state import encode_state
from curriculum.settings import CurriculumSettings, Estimation, Evolve
from protocol.errors import VantageError
from protocol.run.config import section
from protocol.run.directory import read_jsonl
from protocol.tasks.specs import SkillSettings, World
from protocol.wire.messages import LeaseSpecs, SendReports, SpecBatch
from tests.support.curriculum import failure_on, report_on

BASE = World(name="base", categories=("chair", "table", "sofa", "bed", "lamp", "plant"))
SKILLS = (SkillSettings(name="depth_order"), SkillSettings(name="object_count"))
QUICK = {"most": 2, "trial_questions": 16, "least_signal": 0.05, "mastered": 0.8}


def edited(edit: str, world: World = BASE, **bounds) -> tuple[dict[str, Any], str]:
    """The keys that the edit changes, and its description."""
    found = harder(world, "new", Evolve(edits=(edit,), **bounds), [world], np.random.default_rng(0))
    assert found is not None
    after, before = found[0].model_dump(), world.model_dump()
    return {key: after[key] for key in after if after[key] != before[key] and key != "name"}, found[1]


@pytest.mark.parametrize(
    ("edit", "changes", "change"),
    [
        ("rooms", {"rooms": 2}, "rooms 1 to 2"),
        ("objects", {"min_objects": 5, "max_objects": 9}, "objects 3–6 to 5–9"),
        ("clutter", {"clutter": 0.25}, "clutter 0 to 0.25"),
        ("light", {"lights": ("overcast",)}, "light day to overcast"),
        ("lens", {"hfov_deg": 85.0}, "field of view 70 to 85 degrees"),
        ("camera", {"cameras": ("robot",)}, "camera lowered to that of a robot"),
    ],
)
def test_an_edit_changes_one_property(edit, changes, change):
    assert edited(edit) == (changes, change)


def test_look_alikes_come_from_fewer_categories():
    changes, change = edited("look-alikes")
    assert len(changes["categories"]) == 4 and set(changes["categories"]) < set(BASE.categories)
    assert change == "categories 6 to 4, for more look-alikes"


def test_ranges_are_edited_as_ranges():
    world = World(name="w", rooms=(1, 3), objects_per_room=(4, 8), clutter=(0.1, 0.9))
    assert edited("rooms", world)[0] == {"rooms": (2, 4)}
    assert edited("objects", world)[0] == {"objects_per_room": (6, 12)}
    assert edited("clutter", world)[0] == {"clutter": (0.35, 1.0)}


@pytest.mark.parametrize(
    ("edit", "bounds"),
    [
        ("rooms", {"most_rooms": 1}),
        ("objects", {"most_objects": 8}),
        ("clutter", {"most_clutter": 0.0}),
        ("lens", {"widest_deg": 80.0}),
        ("look-alikes", {"fewest_categories": 5}),
    ],
)
def test_bounds_forbid_an_edit(edit, bounds):
    assert harder(BASE, "new", Evolve(edits=(edit,), **bounds), [BASE], np.random.default_rng(0)) is None


def test_a_known_world_is_not_derived_again():
    bounds, rng = Evolve(edits=("rooms",)), np.random.default_rng(0)
    child, _ = harder(BASE, "new", bounds, [BASE], rng) or (None, "")
    assert child and harder(BASE, "newer", bounds, [BASE, child], rng) is None


def test_scenes_of_a_dataset_change_only_by_their_camera():
    world = World(name="w", assets=("a",), held_out_assets=("b",))
    found = [harder(world, "n", Evolve(), [world], np.random.default_rng(seed)) for seed in range(8)]
    assert {change for one in found if one for change in one[1:]} == {
        "field of view 70 to 85 degrees",
        "camera lowered to that of a robot",
    }


@pytest.mark.parametrize(
    ("evolve", "sentence"),
    [
        ({"most": 1, "most_rooms": 1}, r"evolve.most_rooms = 1 is below the 2 of world b; raise the bound"),
        ({"most": 1, "most_objects": 5}, r"evolve.most_objects = 5 is below the 6 of world a"),
        ({"most": 1, "edits": ["roms"]}, r"there is no edit roms, did you mean rooms"),
    ],
)
def test_a_bound_below_the_start_is_refused(evolve, sentence):
    tree = {"curriculum": {"worlds": [{"name": "a"}, {"name": "b", "rooms": 2}], "evolve": evolve}}
    with pytest.raises(VantageError, match=sentence) as caught:
        section(tree, "curriculum", CurriculumSettings)
    assert caught.value.code == "bad_config"


def test_evolving_needs_a_list():
    with pytest.raises(VantageError, match=r"evolve.most needs worlds to start from"):
        section({"curriculum": {"evolve": {"most": 1}}}, "curriculum", CurriculumSettings)


# ----------------------------------------------------------------------------- a run


def play(core, batches: int, first: int = 0) -> None:
    """Answer everything right; but counts in a second room are half right, and no scene can be darker."""
    for number in range(first, first + batches):
        batch = core.handle(LeaseSpecs("l", 32, number), b"l%d" % number)
        assert isinstance(batch, SpecBatch)
        reports = []
        for one in batch.specs:
            if one.spec.scene.light != "day":
                reports.append(failure_on(one, "infeasible"))
            elif one.spec.scene.rooms > 1 and one.spec.question.skill == "object_count" and not one.spec.scene.clutter:
                reports.append(report_on(one, (1.0, 0.0)))
            else:
                reports.append(report_on(one, (1.0, 1.0)))
        core.handle(SendReports(tuple(reports)), b"r%d" % number)


def test_worlds_are_derived_kept_and_retired_with_reasons_and_a_replay_gives_the_same(start, run):
    settings = {
        "selector": "frontier",
        "skills": SKILLS,
        "worlds": (BASE,),
        "evolve": Evolve(**QUICK, edits=("rooms", "light", "clutter"), most_rooms=2),
        "estimation": Estimation(patience_groups=10_000),  # the learner of this test makes no progress
    }
    core = start(**settings)
    play(core, 40)
    events = [event for _, event in core._store.events() if isinstance(event, (WorldAddedEvent, WorldRetiredEvent))]
    derived = [event for event in events if isinstance(event, WorldAddedEvent) and event.parent]
    retired = {event.name: event.reason for event in events if isinstance(event, WorldRetiredEvent)}
    assert derived and all("is mastered in every world (success at least 0.8)" in event.reason for event in derived)
    changes = {event.change: event.name for event in derived}
    kept = changes["rooms 1 to 2"]
    assert kept not in retired, "it has signal"
    assert "infeasible" in retired[changes["light day to overcast"]]
    assert "nothing left to learn" in retired[changes["clutter 0 to 0.25"]]
    assert [event.name for event in derived] == [f"base-{number}" for number in range(1, len(derived) + 1)]
    alive = {row.name for row in core.status.worlds if not row.retired}
    assert alive == {"base", kept} and {cell.world for cell in core._estimator.cells} == alive
    settings_of = {row.name: row.settings for row in core.status.worlds}
    assert not settings_of["base"] and World.model_validate_json(settings_of[kept]).rooms == 2
    share = {row.name: row.share for row in core.status.worlds}
    assert share[kept] > 0.5, "the curriculum moves to the world with signal"
    lines, _ = read_jsonl(run.metrics / "curriculum.jsonl", 0)
    written = [line for line in lines if line["event"] in ("world_added", "world_retired")]
    assert [line["name"] for line in written] == [event.name for event in events]
    assert "settings" not in written[0] and written[-1]["reason"]
    assert describe(derived[0]).startswith("world base-1 is derived from base (")

    state = encode_state(core._state)
    core.close()
    (run.path / "curriculum.snapshot").unlink()
    again = start(**settings)
    assert encode_state(again._state) == state
    play(again, 2, first=40)


def test_without_a_bound_on_their_number_no_world_is_derived(start):
    core = start(selector="frontier", skills=SKILLS, worlds=(BASE,))
    play(core, 10)
    assert [row.name for row in core.status.worlds] == ["base"]
