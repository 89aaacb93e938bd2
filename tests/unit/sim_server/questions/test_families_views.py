"""Families about several views and small things: each margin holds in every candidate, and only because it is checked.

Views are drawn and rendered once; candidates are judged on every pair or triple of them, without placing cameras.
"""

from __future__ import annotations

import math
from functools import cache
from itertools import combinations
from types import ModuleType
from typing import Any, Callable

import numpy as np
import pytest
from fake_scene import FakeScene

from protocol.errors import Infeasible
from protocol.scene import Camera, SceneSpec
from protocol.skills import CATALOGUE
from sim_server.backends.base import Frames
from sim_server.questions import coverage
from sim_server.questions.audit import oracles_views
from sim_server.questions.audit.oracles import agrees
from sim_server.questions.audit.oracles_views import projected_distance_m
from sim_server.questions.coverage import draw_poses_around
from sim_server.questions.evaluator import run
from sim_server.questions.evidence import World
from sim_server.questions.families import (
    FAMILIES,
    across,
    cameras,
    match,
    pairs,
    rooms,
    rules,
    scene,
    sectors,
    small,
    space,
)
from sim_server.questions.family import Candidate, Proposals, ask, draw_evenly, render_text
from sim_server.questions.viewpoints import draw_pose

CAMERA = Camera(48, 48)
SENSORS = ("depth", "ids", "amodal")
Measure = Callable[[World, Candidate], float]


@cache
def worlds(count: int, two_rooms: bool = False) -> tuple[tuple[World, Frames], ...]:
    """Worlds of `count` views each, with their frames: combinations of a scene's views, which are rendered once."""
    found: list[tuple[World, Frames]] = []
    for seed in range(8):
        fake = FakeScene(SceneSpec(seed=seed, min_objects=5, max_objects=6, rooms=2 if two_rooms else 1))
        rng = np.random.default_rng(seed)
        frames = fake.render(draw_poses_around(fake, rng)[::2], CAMERA, SENSORS)
        every = World.of(fake.description, frames)
        chosen = list(combinations(range(len(every.views)), count))
        for index in rng.permutation(len(chosen))[:40]:
            views = tuple(every.views[view] for view in chosen[index])
            found.append((World(fake.description, views, every.objects), _some(frames, chosen[index])))
    return tuple(found)


def _some(frames: Frames, chosen: tuple[int, ...]) -> Frames:
    """The frames of some of the views."""
    assert frames.depth is not None and frames.ids is not None and frames.amodal is not None
    return Frames(
        poses=tuple(frames.poses[index] for index in chosen),
        camera=frames.camera,
        depth=frames.depth[list(chosen)],
        ids=frames.ids[list(chosen)],
        amodal=[frames.amodal[index] for index in chosen],
    )


@cache
def close_worlds() -> tuple[tuple[World, Frames], ...]:
    """Worlds of one view, with its frame, from near a small thing."""
    found: list[tuple[World, Frames]] = []
    for seed in range(14):
        fake = FakeScene(SceneSpec(seed=seed, min_objects=4, max_objects=5, clutter=1.0))
        little = [item for item in fake.description.objects if small.is_small(item)]
        rng = np.random.default_rng(seed)
        poses = [pose for item in little[:5] if (pose := draw_pose(fake, CAMERA, [item], rng))]
        frames = fake.render(poses, CAMERA, SENSORS)
        every = World.of(fake.description, frames)
        found += [(every.only_view(index), _some(frames, (index,))) for index in range(len(every.views))]
    return tuple(found)


def pool(family: str) -> tuple[tuple[World, Frames], ...]:
    if FAMILIES[family].views == 1:
        return close_worlds()
    return worlds(3 if family.startswith("cameras") else 2, CATALOGUE[family].needs == ("rooms",))


def accepted(family: str, level: int, most: int = 1000) -> list[tuple[World, Candidate]]:
    """Every candidate that the family accepts in the pool, or in `most` of its worlds."""
    cases: list[tuple[World, Candidate]] = []
    for world, _ in pool(family)[:most]:
        found = Proposals()
        FAMILIES[family].propose(world, level, found)
        cases += [(world, candidate) for candidate in found.accepted]
    return cases


def _clock_deg(world: World, point: tuple[float, float, float], view: int) -> float:
    """Degrees from where a camera looks to a point on the floor plan, left positive, by complex numbers."""
    pose = world.views[view].pose
    w, x, y, z = pose.rotation_wxyz
    ahead = complex(-2 * (x * z + w * y), 1 - 2 * (x * x + y * y))  # (x, -z) of the camera's -z axis
    to = complex(point[0] - pose.position_m[0], pose.position_m[2] - point[2])
    return math.degrees(np.angle(to / ahead))


def _border_deg(angle_deg: float, candidate: Candidate) -> float:
    borders = {"side": (0, 180), "side_or_behind": (0, 135), "quadrant": (0, 90, 180)}[candidate.form]
    return min(abs(abs(angle_deg) - border) for border in borders)


def _position(world: World, candidate: Candidate) -> float:
    return _border_deg(_clock_deg(world, world.views[1].pose.position_m, 0), candidate)


def _placed(world: World, candidate: Candidate) -> float:
    return _border_deg(_clock_deg(world, world.objects[candidate.objects[0]].box.centre_m, 1), candidate)


def _room_placed(world: World, candidate: Candidate) -> float:
    room = world.description.rooms[world.objects[candidate.objects[0]].room_id - 1]
    x, z = np.mean(room.polygon_xz_m, axis=0)
    return _border_deg(_clock_deg(world, (float(x), 0.0, float(z)), 1), candidate)


def _room_share(world: World, candidate: Candidate) -> float:
    """Share of the room's floor, sampled at random, that lies in the sector of the answer."""
    room = world.description.rooms[world.objects[candidate.objects[0]].room_id - 1]
    low, high = np.min(room.polygon_xz_m, axis=0), np.max(room.polygon_xz_m, axis=0)
    points = np.random.default_rng(0).uniform(low, high, (300, 2))
    words = [sectors.word(candidate.form, _clock_deg(world, (float(x), 0.0, float(z)), 1)) for x, z in points]
    return words.count(candidate.key) / len(words)


def _shown_gap(world: World, candidate: Candidate) -> float:
    (key,) = candidate.objects
    one, two = (view.seen[key].visible_fraction for view in world.views)
    return abs(one - two) if candidate.key != "the same" else 1.0


def _turned(world: World, candidate: Candidate) -> float:
    x, _, z = world.objects[candidate.objects[0]].box.centre_m
    one, two = (complex(x - v.pose.position_m[0], z - v.pose.position_m[2]) for v in world.views)
    return abs(math.degrees(np.angle(one / two)))


def _cell_margin(world: World, candidate: Candidate) -> float:
    truths = [view.seen[candidate.objects[0]] for view in world.views]
    return min(abs(value - border) for truth in truths for value in (truth.u, truth.v) for border in (1 / 3, 2 / 3))


def _views_without_one(world: World, candidate: Candidate) -> float:
    """1 where no view clearly shows all of the candidate's objects, else 0."""
    area = CAMERA.width_px * CAMERA.height_px

    def clear(view: Any, key: int) -> bool:
        truth = view.seen.get(key)
        return truth is not None and truth.visible_fraction >= 0.5 and truth.pixels >= 0.004 * area

    return float(not any(all(clear(view, key) for key in candidate.objects) for view in world.views))


def _most_alone(world: World, candidate: Candidate) -> float:
    """By how much the count exceeds what any one view shows of it."""
    keys = candidate.objects
    return float(len(keys) - max(sum(key in view.seen for key in keys) for view in world.views))


def _camera_gap(world: World, candidate: Candidate) -> float:
    box = world.objects[candidate.objects[0]].box
    eyes = [type(box)(view.pose.position_m, (0.0, 0.0, 0.0)) for view in world.views]
    nearest, second = sorted(projected_distance_m(eye, box) for eye in eyes)[:2]
    return second - nearest


def _in_all(world: World, candidate: Candidate) -> float:
    """Least share of the picture that the shared thing covers in any view."""
    return min(view.seen[candidate.objects[0]].pixels for view in world.views) / (CAMERA.width_px * CAMERA.height_px)


def _option_gap(world: World, candidate: Candidate) -> float:
    anchor, *options = (world.objects[key].box for key in candidate.objects)
    return float(np.diff(sorted(projected_distance_m(anchor, box) for box in options)).min())


def _side_gap(world: World, candidate: Candidate) -> float:
    one, two = (world.views[0].seen[key].u for key in candidate.objects)
    return abs(one - two)


def _small_share(world: World, candidate: Candidate) -> float:
    if candidate.key == "no":
        return 1.0
    return world.views[0].seen[candidate.objects[0]].pixels / (CAMERA.width_px * CAMERA.height_px)


def _apart_m(world: World, candidate: Candidate) -> float:
    a, b = (world.objects[key].box for key in candidate.objects)
    return projected_distance_m(a, b)


def _whole(world: World, candidate: Candidate) -> float:
    """1 where some view shows the object away from the frame's border."""
    (key,) = candidate.objects

    def inside(view: Any) -> bool:
        rows, columns = np.nonzero(view.ids == key)
        edge = CAMERA.width_px - 1
        return len(rows) > 0 and min(rows.min(), columns.min()) > 0 and max(rows.max(), columns.max()) < edge

    return float(any(inside(view) for view in world.views))


def _rise(world: World, candidate: Candidate) -> float:
    return abs(world.views[1].pose.position_m[1] - world.views[0].pose.position_m[1])


FAMILIES_HERE = list(oracles_views.ORACLES)
OFF = rules.Clarity(0.0, 0.0)
# family, level, measure, what it must reach, and the rule to switch off: module, constant, value without it.
RULES: list[tuple[str, int, Measure, float, ModuleType, str, Any]] = [
    ("camera_position", 2, _position, 25.0, pairs, "POSITION_MARGIN_DEG", (0.0,) * 5),
    ("camera_elevation", 1, _rise, 0.45, pairs, "RISE_M", (0.0,) * 5),
    ("visibility_compare", 1, _shown_gap, 0.30, match, "SHOWN_GAP", (0.0,) * 5),
    ("object_from_camera", 2, _placed, 20.0, across, "OBJECT_MARGIN_DEG", (0.0,) * 5),
    ("region_from_camera", 0, _room_placed, 40.0, across, "REGION_MARGIN_DEG", (0.0,) * 5),
    ("region_from_camera", 2, _room_share, 0.75, across, "REGION_SHARE", 0.0),
    ("object_match", 4, _turned, 70.0, match, "TURNED_DEG", (0.0,) * 5),
    ("object_match", 1, _cell_margin, 0.09, match, "CELL_MARGIN", (0.0,) * 5),
    ("object_distance", 2, _views_without_one, 1.0, scene, "APART_FROM_LEVEL", 9),
    ("object_distance", 0, _apart_m, 0.3, scene, "LEAST_DISTANCE_M", 0.0),
    ("scene_relative_distance", 0, _option_gap, 1.0, space, "GAP_M", (0.0,) * 5),
    ("scene_relative_direction", 2, _views_without_one, 1.0, scene, "APART_FROM_LEVEL", 9),
    ("scene_count", 2, _most_alone, 1.0, scene, "APART_FROM_LEVEL", 9),
    ("cameras_count", 0, _most_alone, 1.0, cameras, "_spread", lambda *_: True),
    ("cameras_nearest", 2, _camera_gap, 0.6, cameras, "NEAREST_GAP_M", (0.0,) * 5),
    ("cameras_shared", 0, _in_all, 0.004, cameras, "RELATE", OFF),
    ("small_presence", 0, _small_share, 0.004, small, "SMALL", (OFF,) * 5),
    ("small_nearest", 2, _option_gap, 0.3, small, "SMALL_GAP_M", (0.0,) * 5),
    ("small_location", 1, _side_gap, 0.09, small, "SIDE_APART", (0.0,) * 5),
]


@pytest.mark.parametrize(("family", "level", "measure", "least", "module", "name", "off"), RULES)
def test_rules_hold_and_only_because_they_are_checked(
    family: str,
    level: int,
    measure: Measure,
    least: float,
    module: ModuleType,
    name: str,
    off: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = [measure(world, candidate) for world, candidate in accepted(family, level)]
    assert kept and min(kept) >= least - 1e-6
    monkeypatch.setattr(module, name, off)
    assert min(measure(world, candidate) for world, candidate in accepted(family, level)) < least - 1e-6


@pytest.mark.parametrize("family", FAMILIES_HERE)
def test_answers_are_those_of_another_route(family: str) -> None:
    rng = np.random.default_rng(0)
    checked = 0
    for level in (0, 2, 4):
        here = 0
        for world, frames in pool(family):
            found = Proposals()
            FAMILIES[family].propose(world, level, found)
            if not found.accepted:
                continue
            question = ask(FAMILIES[family], world, draw_evenly(found.accepted, rng), level, rng)
            assert agrees(question, world.description, frames), (question.text, question.options, question.answer)
            here += 1
            if here == 8:
                break
        checked += here
    assert checked >= 8


def test_pictures_that_do_not_join_are_not_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    apart = [world for world, _ in worlds(2) if not coverage.joined(world.description, world.views)]
    assert apart

    def asked() -> int:
        found = Proposals()
        for world in apart:
            for family in ("object_distance", "scene_count", "scene_relative_distance", "cameras_count"):
                FAMILIES[family].propose(world, 0, found)
        return len(found.accepted)

    assert asked() == 0
    for module in (scene, cameras):
        monkeypatch.setattr(module, "joined", lambda *_: True)
    assert asked() > 0


def test_rooms_are_asked_about_where_their_walls_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Proposals()
    few = [world for world, _ in worlds(2)[::4]]
    for world in few:
        FAMILIES["room_size"].propose(world, 0, found)
    assert found.refused["the pictures show less than 80% of a room's walls"] > len(found.accepted)
    monkeypatch.setattr(rooms, "OUTLINE", (0.0,) * 5)
    before = len(found.accepted)
    for world in few:
        FAMILIES["room_size"].propose(world, 0, found)
    assert len(found.accepted) > 2 * before + 5


def test_a_thing_wholly_in_no_picture_has_no_size() -> None:
    cases = accepted("scene_size", 4)
    assert cases and all(_whole(world, candidate) for world, candidate in cases)
    everything = sum(len(world.seen()) for world, _ in worlds(2))
    assert len(cases) < everything


@pytest.mark.parametrize("family", FAMILIES_HERE)
def test_paraphrases_are_five_or_more_and_in_the_shared_style(family: str) -> None:
    """Every template names what the others name; texts are lower case with punctuation set apart."""
    forms: dict[str, tuple[World, Candidate]] = {}
    for level in (0, 2, 4):
        forms.update({case[1].form: case for case in accepted(family, level, 60)})
    assert forms
    for world, candidate in forms.values():
        draft = FAMILIES[family].draft(world, candidate, np.random.default_rng(0))
        texts = {render_text(template, draft.slots)[0] for template in draft.templates}
        assert len(texts) == len(draft.templates) >= 5
        for template, text in zip(draft.templates, texts):
            assert all(f"{{{slot}}}" in template for slot in draft.slots if slot != "v"), template  # "v" is a verb
            assert text == text.lower() and text.endswith(" ?") and "{" not in text and "  " not in text, text


def test_options_of_small_locations_do_not_give_the_answer_away() -> None:
    """A guesser who picks the option that shares most parts with the others is right about as often as chance."""
    right = total = 0
    for world, candidate in accepted("small_location", 1):
        for seed in range(3):
            draft = FAMILIES["small_location"].draft(world, candidate, np.random.default_rng(seed))
            answer = run(draft.program, world)
            assert answer in draft.options
            parts = [option.split(" , ") for option in draft.options]
            shares = [sum(a == b for other in parts for a, b in zip(option, other)) for option in parts]
            best = [option for option, share in zip(draft.options, shares) if share == max(shares)]
            right += (answer in best) / len(best)
            total += 1
    assert total > 30 and right / total < 1 / 3 + 4 * math.sqrt(2 / 9 / total)


def test_families_say_what_a_scene_lacks() -> None:
    plain = FakeScene(SceneSpec(seed=3)).description
    rng = np.random.default_rng(0)
    for family, says in (
        ("small_presence", "raise the scene's clutter"),
        ("small_location", "raise the scene's clutter"),
        ("region_from_camera", "two rooms or more"),
    ):
        with pytest.raises(Infeasible, match=says):
            FAMILIES[family].plan(plain, 0, rng)


def test_the_catalogue_says_what_the_families_measure() -> None:
    """The words in protocol/skills carry the numbers that the rules use."""

    def says(skill: str, level: int, *numbers: str) -> None:
        for number in numbers:
            assert number in CATALOGUE[skill].levels[level], (skill, level, number)

    for level in range(5):
        clear = (f"{rules.PERCEIVE[level].fraction:.0%}", f"{rules.PERCEIVE[level].area:.1%}")
        says("camera_position", level, f"{pairs.POSITION_MARGIN_DEG[level]:g} degrees")
        says("camera_elevation", level, f"{pairs.RISE_M[level]:.2f} m")
        says("visibility_compare", level, f"{match.SHOWN_GAP[level]:.2f}")
        says("object_from_camera", level, f"{across.OBJECT_MARGIN_DEG[level]:g} degrees")
        says("region_from_camera", level, f"{across.REGION_MARGIN_DEG[level]:g} degrees")
        says("object_match", level, f"{match.MATCH_OPTIONS[level]} options", f"{match.TURNED_DEG[level]:g} degrees")
        for skill in ("object_distance", "scene_count", "scene_relative_distance", "scene_relative_direction"):
            says(skill, level, f"{scene.PICTURES[level]} pictures")
            assert ("none of them" in CATALOGUE[skill].levels[level]) == (level >= scene.APART_FROM_LEVEL)
        says("scene_size", level, *clear, f"{scene.PICTURES[level]} pictures")
        low, high = scene.SCENE_COUNT_RANGE[level]
        says("scene_count", level, *clear, f"{low} to {high} things")
        says("cameras_count", level, *clear, f"{low} to {high} things", f"{cameras.IN_TWO[level]} of them seen twice")
        says("scene_relative_distance", level, f"{space.OPTION_COUNT[level]} options", f"{space.GAP_M[level]:.2f} m")
        says("scene_relative_direction", level, f"{space.SECTOR_MARGIN_DEG[level]:g} degrees")
        says("room_size", level, f"{rooms.ROOM_PICTURES[level]} pictures", f"{rooms.OUTLINE[level]:.0%}")
        for skill in ("cameras_shared", "cameras_count", "cameras_nearest"):
            says(skill, level, f"{cameras.CAMERAS[level]} cameras")
        says("cameras_shared", level, f"{cameras.SHARED_OPTIONS[level]} options")
        says("cameras_nearest", level, f"{cameras.NEAREST_GAP_M[level]} m")
        little = small.SMALL[level]
        for skill in ("small_presence", "small_nearest", "small_location"):
            says(skill, level, f"{little.fraction:.0%}", f"{little.area:.2%}", f"{small.NEAR_M[level]} m")
        says("small_nearest", level, f"{space.OPTION_COUNT[level]} options", f"{small.SMALL_GAP_M[level]:.2f} m")
        says("small_location", level, f"{small.LOCATION_OPTIONS[level]} options", f"{small.SIDE_APART[level]:.2f}")
        says("small_location", level, f"{small.WRONG_BY_M[level]} m")
