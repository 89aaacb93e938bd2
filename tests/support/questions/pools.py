"""Evidence for judging families without placing cameras: views of fake scenes, rendered once and combined."""

from __future__ import annotations

import math
from functools import cache
from itertools import combinations, permutations

import numpy as np

from protocol.skills import CATALOGUE
from protocol.tasks.scene import Camera, Change, SceneSpec
from sim_server.backends.base import Frames
from sim_server.questions.evidence import Evidence, view_evidence
from sim_server.questions.families import FAMILIES
from sim_server.questions.families.rules import is_small
from sim_server.questions.families.walk import fits as room_for
from sim_server.questions.families.walk import maps
from sim_server.questions.family import Candidate, Findings
from sim_server.questions.geometry import pose_from_yaw_pitch, yaw_rad
from sim_server.questions.views.coverage import draw_poses_around
from sim_server.questions.views.viewpoints import CROUCHED_M, aim, draw_eyes, draw_pose
from tests.support.questions.fake_scene import FakeScene

CAMERA = Camera(48, 48)
SENSORS = ("depth", "ids", "amodal")
Case = tuple[Evidence, Frames]


def fake(seed: int, rooms: int = 1, categories: tuple[str, ...] = ()) -> FakeScene:
    return FakeScene(SceneSpec(seed=seed, min_objects=5, max_objects=6, rooms=rooms, categories=categories))


def some(frames: Frames, chosen: tuple[int, ...]) -> Frames:
    """The frames of some views."""
    assert frames.depth is not None and frames.ids is not None and frames.amodal is not None
    return Frames(
        poses=tuple(frames.poses[index] for index in chosen),
        camera=frames.camera,
        depth=frames.depth[list(chosen)],
        ids=frames.ids[list(chosen)],
        amodal=[frames.amodal[index] for index in chosen],
    )


@cache
def view_sets(count: int, two_rooms: bool = False, categories: tuple[str, ...] = ()) -> tuple[Case, ...]:
    """Evidence of `count` views each, with its frames: combinations of the views of a scene."""
    found: list[Case] = []
    for seed in range(8):
        scene = fake(seed, 2 if two_rooms else 1, categories)
        rng = np.random.default_rng(seed)
        frames = scene.render(draw_poses_around(scene, CAMERA, rng)[::2], CAMERA, SENSORS)
        every = Evidence.of(scene.description, frames)
        chosen = list(combinations(range(len(every.views)), count))
        for index in rng.permutation(len(chosen))[:40]:
            views = tuple(every.views[view] for view in chosen[index])
            found.append((Evidence(scene.description, views, every.objects), some(frames, chosen[index])))
    return tuple(found)


@cache
def close_views() -> tuple[Case, ...]:
    """Evidence of one view from near a small object."""
    found: list[Case] = []
    for seed in range(14):
        scene = FakeScene(SceneSpec(seed=seed, min_objects=4, max_objects=5, clutter=1.0))
        little = [item for item in scene.description.objects if is_small(item)]
        rng = np.random.default_rng(seed)
        poses = [pose for item in little[:5] if (pose := draw_pose(scene, CAMERA, [item], rng))]
        frames = scene.render(poses, CAMERA, SENSORS)
        every = Evidence.of(scene.description, frames)
        found += [(every.only_view(index), some(frames, (index,))) for index in range(len(every.views))]
    return tuple(found)


@cache
def moving_pairs() -> tuple[Case, ...]:
    """Evidence of two views: the camera turned on the spot, or moved in any direction and turned a little."""
    found: list[Case] = []
    for seed in range(8):
        scene, rng = fake(seed), np.random.default_rng(seed)
        for first in draw_poses_around(scene, CAMERA, rng)[::3]:
            x, y, z = first.position_m
            yaw = yaw_rad(first)
            far_m, way = float(rng.uniform(0.1, 1.5)), float(rng.uniform(-math.pi, math.pi))
            there = (x - far_m * math.sin(way), y, z - far_m * math.cos(way))
            small_turn = float(rng.uniform(-0.6, 0.6)) * int(rng.integers(2))
            for place, turn in (((x, y, z), float(rng.uniform(-0.8, 0.8))), (there, small_turn)):
                frames = scene.render((first, pose_from_yaw_pitch(place, yaw + turn, -0.3)), CAMERA, SENSORS)
                found.append((Evidence.of(scene.description, frames), frames))
    return tuple(found)


@cache
def above_pairs() -> tuple[Case, ...]:
    """Evidence of a view from above, at any angle, and one from inside the room."""
    found: list[Case] = []
    for seed in range(8):
        scene, rng = fake(seed), np.random.default_rng(seed)
        (room,) = scene.description.rooms
        for pose in draw_poses_around(scene, CAMERA, rng)[::2]:
            above = maps.pose_above(room, CAMERA, float(rng.uniform(-math.pi, math.pi)))
            frames = scene.render((above, pose), CAMERA, SENSORS)
            found.append((Evidence.of(scene.description, frames), frames))
    return tuple(found)


@cache
def targeted_views(name: str) -> tuple[Case, ...]:
    """Evidence of two views that were placed for some objects, and for a size if the skill asks about one."""
    count = {"route_plan": 3}.get(name, 2)
    found: list[Case] = []
    for evidence, frames in view_sets(2)[::3]:
        rng = np.random.default_rng(len(found))
        tuples = list(permutations(evidence.seen(), count))
        for index in rng.permutation(len(tuples))[:6]:
            sizes = [(size,) for size in room_for.SIZES_M] if name == "fits" else [()]
            found += [
                (Evidence(evidence.description, evidence.views, evidence.objects, (), tuples[index], numbers), frames)
                for numbers in sizes
            ]
    return tuple(found)


@cache
def changed_views(name: str) -> tuple[Case, ...]:
    """Evidence with one object taken away in a hidden view, or moved between two views."""
    found: list[Case] = []
    for seed in range(8):
        scene, rng = fake(seed), np.random.default_rng(seed)
        for item in scene.description.objects:
            centres = np.array([item.box.centre_m])
            eyes = draw_eyes(scene, rng, CROUCHED_M)[:6]
            yaws, pitches = aim(eyes, CAMERA, centres, rng.uniform(0.3, 0.7, (len(eyes), 2)))
            poses = [
                pose_from_yaw_pitch((x, y, z), yaw, pitch)
                for (x, y, z), yaw, pitch in zip(eyes.tolist(), yaws.tolist(), pitches.tolist())
            ]
            if name == "occlusion_removal":
                other = scene.edited((Change(item.id),))
                pairs = [(pose, pose) for pose in poses]
            else:
                x, y, z = item.box.centre_m
                dx, dz = rng.uniform(-1.5, 1.5, 2).tolist()
                other = scene.edited((Change(item.id, (x + dx, y, z + dz)),))
                pairs = list(zip(poses, poses[1:]))
            objects = {one.id: one for one in scene.description.objects}
            for before, after in pairs:
                first, second = scene.render((before,), CAMERA, SENSORS), other.render((after,), CAMERA, SENSORS)
                shown, hidden = view_evidence(objects, first), view_evidence(objects, second)
                moved = name == "before_after"
                views, unseen = ((*shown, *hidden), ()) if moved else (shown, hidden)
                found.append((Evidence(scene.description, views, objects, unseen, (item.id,)), first))
    return tuple(found)


def pool(name: str) -> tuple[Case, ...]:
    """Evidence that the family of this skill can judge."""
    skill = CATALOGUE[name]
    if name == "camera_motion":
        return moving_pairs()
    if name == "cross_view":
        return above_pairs()
    if skill.looks_around:
        return targeted_views(name)
    if "edits" in skill.backend_needs:
        return changed_views(name)
    if "clutter" in skill.world_needs:
        return close_views()
    few = ("chair", "chair", "table") if name.endswith("_count") else ()  # many objects of a kind
    if FAMILIES[name].views == 1:
        return view_sets(1, categories=few)
    return view_sets(3 if skill.views == "several cameras" else 2, "rooms" in skill.world_needs, few)


def accepted(name: str, level: int, most: int = 1000) -> list[tuple[Evidence, Candidate]]:
    """Every candidate that the family accepts in its pool, or in the first `most` cases of it."""
    cases: list[tuple[Evidence, Candidate]] = []
    for evidence, _ in pool(name)[:most]:
        found = Findings()
        FAMILIES[name].judge(evidence, level, found)
        cases += [(evidence, candidate) for candidate in found.accepted]
    return cases
