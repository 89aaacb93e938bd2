"""Worlds in which families are judged without placing cameras: views of fake scenes, rendered once and combined."""

from __future__ import annotations

import math
from functools import cache
from itertools import combinations, permutations

import numpy as np
from fake_scene import FakeScene

from protocol.skills import CATALOGUE
from protocol.tasks.scene import Camera, Change, SceneSpec
from sim_server.backends.base import Frames
from sim_server.questions.evidence import Evidence, view_evidence
from sim_server.questions.families import FAMILIES
from sim_server.questions.families.single import small
from sim_server.questions.families.walk import fits as room_for
from sim_server.questions.families.walk import maps
from sim_server.questions.family import Candidate, Findings
from sim_server.questions.geometry import pose_from_yaw_pitch, yaw_rad
from sim_server.questions.views.coverage import draw_poses_around
from sim_server.questions.views.viewpoints import CROUCHED_M, aim, draw_eyes, draw_pose

CAMERA = Camera(48, 48)
SENSORS = ("depth", "ids", "amodal")
Case = tuple[Evidence, Frames]


def fake(seed: int, rooms: int = 1) -> FakeScene:
    return FakeScene(SceneSpec(seed=seed, min_objects=5, max_objects=6, rooms=rooms))


def some(frames: Frames, chosen: tuple[int, ...]) -> Frames:
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
def worlds(count: int, two_rooms: bool = False) -> tuple[Case, ...]:
    """Worlds of `count` views each, with their frames: combinations of a scene's views."""
    found: list[Case] = []
    for seed in range(8):
        scene = fake(seed, 2 if two_rooms else 1)
        rng = np.random.default_rng(seed)
        frames = scene.render(draw_poses_around(scene, rng)[::2], CAMERA, SENSORS)
        every = Evidence.of(scene.description, frames)
        chosen = list(combinations(range(len(every.views)), count))
        for index in rng.permutation(len(chosen))[:40]:
            views = tuple(every.views[view] for view in chosen[index])
            found.append((Evidence(scene.description, views, every.objects), some(frames, chosen[index])))
    return tuple(found)


@cache
def close_worlds() -> tuple[Case, ...]:
    """Worlds of one view from near a small thing."""
    found: list[Case] = []
    for seed in range(14):
        scene = FakeScene(SceneSpec(seed=seed, min_objects=4, max_objects=5, clutter=1.0))
        little = [item for item in scene.description.objects if small.is_small(item)]
        rng = np.random.default_rng(seed)
        poses = [pose for item in little[:5] if (pose := draw_pose(scene, CAMERA, [item], rng))]
        frames = scene.render(poses, CAMERA, SENSORS)
        every = Evidence.of(scene.description, frames)
        found += [(every.only_view(index), some(frames, (index,))) for index in range(len(every.views))]
    return tuple(found)


@cache
def moving_worlds() -> tuple[Case, ...]:
    """Worlds of two views: the camera turned on the spot, or moved any way and turned a little."""
    found: list[Case] = []
    for seed in range(8):
        scene, rng = fake(seed), np.random.default_rng(seed)
        for first in draw_poses_around(scene, rng)[::3]:
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
def above_worlds() -> tuple[Case, ...]:
    """Worlds of a view from above, at any angle, and one from inside the room."""
    found: list[Case] = []
    for seed in range(8):
        scene, rng = fake(seed), np.random.default_rng(seed)
        (room,) = scene.description.rooms
        for pose in draw_poses_around(scene, rng)[::2]:
            above = maps.pose_above(room, CAMERA, float(rng.uniform(-math.pi, math.pi)))
            frames = scene.render((above, pose), CAMERA, SENSORS)
            found.append((Evidence.of(scene.description, frames), frames))
    return tuple(found)


@cache
def about_worlds(family: str) -> tuple[Case, ...]:
    """Worlds of two views that were placed for some objects, and for a size where the family asks about one."""
    count = {"route_plan": 3}.get(family, 2)
    found: list[Case] = []
    for world, frames in worlds(2)[::3]:
        rng = np.random.default_rng(len(found))
        tuples = list(permutations(world.seen(), count))
        for index in rng.permutation(len(tuples))[:6]:
            sizes = [(size,) for size in room_for.SIZES_M] if family == "fits" else [()]
            found += [
                (Evidence(world.description, world.views, world.objects, (), tuples[index], numbers), frames)
                for numbers in sizes
            ]
    return tuple(found)


@cache
def changed_worlds(family: str) -> tuple[Case, ...]:
    """Worlds with one object taken away in a hidden view, or moved between two views."""
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
            if family == "occlusion_removal":
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
                moved = family == "before_after"
                views, unseen = ((*shown, *hidden), ()) if moved else (shown, hidden)
                found.append((Evidence(scene.description, views, objects, unseen, (item.id,)), first))
    return tuple(found)


def pool(family: str) -> tuple[Case, ...]:
    if family == "camera_motion":
        return moving_worlds()
    if family == "cross_view":
        return above_worlds()
    if family in ("route_plan", "perspective", "cognitive_map", "fits"):
        return about_worlds(family)
    if family in ("before_after", "occlusion_removal"):
        return changed_worlds(family)
    if family.startswith("small"):
        return close_worlds()
    if FAMILIES[family].views == 1:
        return worlds(1)
    return worlds(3 if family.startswith("cameras") else 2, CATALOGUE[family].needs == ("rooms",))


def accepted(family: str, level: int, most: int = 1000) -> list[tuple[Evidence, Candidate]]:
    """Every candidate that the family accepts in the pool, or in `most` of its worlds."""
    cases: list[tuple[Evidence, Candidate]] = []
    for world, _ in pool(family)[:most]:
        found = Findings()
        FAMILIES[family].propose(world, level, found)
        cases += [(world, candidate) for candidate in found.accepted]
    return cases
