"""A camera that walks: views along a navigable path, and views that a few Observe actions lead to."""

from __future__ import annotations

import math
from collections import deque
from typing import Optional, Sequence

import numpy as np

from protocol.tasks.scene import Camera, Pose, Vec3
from protocol.tasks.task import TaskSpec
from sim_server.backends.base import Scene
from sim_server.questions.family import Family, Findings, Target
from sim_server.questions.geometry import pose_from_yaw_pitch, wrap_rad
from sim_server.questions.staging import Staging
from sim_server.questions.views.coverage import draw_poses_around
from sim_server.questions.views.sets import covering_sets, first_fitting, shoot
from sim_server.questions.views.viewpoints import eye_heights_m, pitches_rad, probe
from sim_server.sensing.observe import move

WALK_PITCH_RAD = (-0.35, -0.10)
GLANCE_RAD = 1.2  # largest angle between the camera's heading and the path
SHARPEST_TURN_RAD = math.radians(100.0)  # between two segments of a path
LOOKING = ("turn_left", "turn_right", "forward")  # the Observe actions of a look around
MOST_STATES = 160  # of the search for a look around
CLEAR_FRACTION = 0.01  # of a probe image: an object that covers it counts as seen

NO_WAY = "no walk of this length leads through the scene"


def draw_walk(
    scene: Scene,
    camera: Camera,
    count: int,
    length_m: tuple[float, float],
    rng: np.random.Generator,
    corners: int = 2,
) -> Optional[tuple[Pose, ...]]:
    """`count` views along a path from one place to another, perhaps via a third; None if this draw has none.

    The path is `length_m` metres long (least, most) and has at most `corners` corners, each with a view, so that the
    camera moves straight from every view to the next. The camera looks along the path and to the side.
    """
    ends = [scene.sample_navigable(rng) for _ in range(2 + int(rng.integers(2)))]
    way: list[Vec3] = [ends[0]]
    for start, goal in zip(ends, ends[1:]):
        way += scene.path(start, goal)[1:]
    way = _without_short_steps(way)
    steps = [math.dist(a, b) for a, b in zip(way, way[1:])]
    low, high = length_m
    if len(way) < 2 or len(way) - 2 > min(corners, count - 2):
        return None
    if sum(steps) > high:  # walk the first part of it
        way, steps = _cut(way, high * float(rng.uniform(max(low / high, 0.6), 1.0)))
    headings = [math.atan2(a[0] - b[0], a[2] - b[2]) for a, b in zip(way, way[1:])]
    turns = [wrap_rad(after - before) for before, after in zip(headings, headings[1:])]
    if sum(steps) < low or any(abs(turn) > SHARPEST_TURN_RAD for turn in turns):
        return None
    height_m, pitch = (
        float(rng.uniform(*limits)) for limits in (eye_heights_m(camera), pitches_rad(camera, WALK_PITCH_RAD))
    )
    first, last = rng.uniform(-GLANCE_RAD, GLANCE_RAD, 2).tolist()
    glances = np.linspace(first, last, count)
    poses: list[Pose] = []
    for leg, views in enumerate(_views_per_step(steps, count)):
        for index in range(views):
            fraction = index / views
            at = tuple(a + fraction * (b - a) for a, b in zip(way[leg], way[leg + 1]))
            heading = headings[leg] - (turns[leg - 1] / 2 if leg and not index else 0.0)
            poses.append(_eye(at, height_m, heading + float(glances[len(poses)]), pitch))
    poses.append(_eye(way[-1], height_m, headings[-1] + float(glances[-1]), pitch))
    return tuple(poses)


def _eye(at: Sequence[float], height_m: float, yaw: float, pitch: float) -> Pose:
    return pose_from_yaw_pitch((at[0], at[1] + height_m, at[2]), yaw, pitch)


def _without_short_steps(way: list[Vec3]) -> list[Vec3]:
    return [point for index, point in enumerate(way) if index == 0 or math.dist(point, way[index - 1]) > 1e-6]


def _cut(way: list[Vec3], length_m: float) -> tuple[list[Vec3], list[float]]:
    """The first `length_m` metres of a path, and the lengths of its segments."""
    points, steps = [way[0]], []
    for start, end in zip(way, way[1:]):
        step = math.dist(start, end)
        left = length_m - sum(steps)
        if step >= left:
            x, y, z = (a + left / step * (b - a) for a, b in zip(start, end))
            return [*points, (x, y, z)], [*steps, left]
        points.append(end)
        steps.append(step)
    return points, steps


def _views_per_step(steps: list[float], count: int) -> list[int]:
    """The number of views that start on each segment, `count` - 1 in total, at least one each.

    The others are placed where the distance between views is longest.
    """
    views = [1] * len(steps)
    for _ in range(count - 1 - len(steps)):
        longest = max(range(len(steps)), key=lambda leg: steps[leg] / views[leg])
        views[longest] += 1
    return views


# ----------------------------------------------------------------------------- a few views, or a look around


def survey(
    family: Family,
    scene: Scene,
    spec: TaskSpec,
    target: Target,
    rng: np.random.Generator,
    findings: Findings,
) -> Optional[Staging]:
    """A few views that show the objects of the target; with `spec.look_around` one view, from which Observe finds more.

    Returns None, and adds the rule to `findings`, if no such views were found.
    """
    if spec.look_around:
        return _look_around(scene, spec, target, rng, findings)
    shots = shoot(scene, spec.camera, rng)
    sets = covering_sets(shots, spec.max_views, rng, family.views, target.focus)
    poses = first_fitting(family, spec, target, shots, sets, findings)
    return Staging(poses, about=target.focus, numbers=target.numbers) if poses else None


def _look_around(
    scene: Scene, spec: TaskSpec, target: Target, rng: np.random.Generator, findings: Findings
) -> Optional[Staging]:
    """A first view that lacks some of the objects, and the hidden views along the shortest way to see them all."""
    ids = target.focus
    starts = draw_poses_around(scene, spec.camera, rng)
    small = probe(spec.camera)
    shown = _clearly_shown(scene, starts, small, ids)
    wanted = frozenset(ids)
    for start, sees in sorted(zip(starts, shown), key=lambda pair: -len(pair[1]))[:4]:
        if not sees or sees == wanted:
            continue
        way = shortest_look(scene, start, small, wanted, spec.look_around)
        if way is not None:
            return Staging((start,), tuple(way), about=ids, numbers=target.numbers)
    findings.reject(f"no first view lacks an object that {spec.look_around} moves would show")
    return None


def shortest_look(
    scene: Scene, start: Pose, camera: Camera, wanted: frozenset[int], budget: int
) -> Optional[list[Pose]]:
    """The poses of the shortest sequence of Observe actions after which the wanted objects have all been seen clearly.

    The first view counts. None if `budget` actions are not enough. A breadth-first search over poses and the objects
    seen so far, with at most MOST_STATES states.
    """
    probes: dict[tuple[int, ...], frozenset[int]] = {}

    def sees(pose: Pose) -> frozenset[int]:
        key = _key(pose)
        if key not in probes:
            probes[key] = _clearly_shown(scene, [pose], camera, sorted(wanted))[0]
        return probes[key]

    first = sees(start)
    queue: deque[tuple[Pose, frozenset[int], list[Pose]]] = deque([(start, first, [])])
    known = {(_key(start), first)}
    while queue and len(known) <= MOST_STATES:
        pose, seen, way = queue.popleft()
        if seen == wanted:
            return way
        if len(way) == budget:
            continue
        for action in LOOKING:
            after, blocked = move(scene, pose, action)
            if blocked:
                continue
            state = (_key(after), seen | sees(after))
            if state not in known:
                known.add(state)
                queue.append((after, state[1], [*way, after]))
    return None


def _key(pose: Pose) -> tuple[int, ...]:
    return tuple(round(value * 1000) for value in (*pose.position_m, *pose.rotation_wxyz))


def _clearly_shown(scene: Scene, poses: Sequence[Pose], camera: Camera, ids: Sequence[int]) -> list[frozenset[int]]:
    """The objects that cover at least CLEAR_FRACTION of the probe image of each pose."""
    frames = scene.render(poses, camera, ("ids",))
    assert frames.ids is not None
    return [frozenset(key for key in ids if np.mean(image == key) >= CLEAR_FRACTION) for image in frames.ids]
