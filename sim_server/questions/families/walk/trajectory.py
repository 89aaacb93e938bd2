"""What a walk through the scene tells: appearance_order and path_length."""

from __future__ import annotations

from itertools import combinations
from typing import Optional

import numpy as np

from protocol.seeds import pick
from protocol.tasks.scene import Camera, Pose, SceneDescription
from protocol.tasks.task import TaskSpec
from sim_server.backends.base import Scene
from sim_server.questions.evidence import Evidence, ViewEvidence, unique_names
from sim_server.questions.families.rules import AMBIGUOUS, MAX_NAMED, need_objects
from sim_server.questions.family import Candidate, Draft, Findings, Target, object_list, shuffled
from sim_server.questions.geometry import pitch_rad, yaw_rad
from sim_server.questions.views.coverage import overlap, voxels_shown
from sim_server.questions.views.viewpoints import in_picture
from sim_server.questions.views.walks import NO_WAY, draw_walk

VIEWS = 8
WALKS = 12  # walks drawn per attempt, before one is rendered
LEAST_SHARED = 0.25  # of the surface voxels, between a view of a walk and the next one
_PROBE_PX = 48

ORDERED = (2, 2, 3, 3, 4)  # objects to put in order
GAP_VIEWS = (3, 2, 2, 1, 1)  # between two objects' first views
APPEARS = (0.012, 0.010, 0.008, 0.006, 0.004)  # share of the picture from which an object counts as in view
FAINT = 0.2  # of that share at most before it appears
ORDER_WALK_M = (0.8, 6.0)

SHORTEST_M = 0.8
LONGEST_M = (2.0, 3.0, 4.0, 5.0, 6.0)
CORNERS = (0, 0, 1, 2, 2)
_THIRDS = ("short", "middle", "long")


def listed(count: int) -> str:
    """ "the {a} , the {b}": slots for so many objects."""
    return " , ".join(f"the {{{slot}}}" for slot in "abcdefgh"[:count])


def voxels_of(world: Evidence, view: ViewEvidence) -> np.ndarray:
    """The voxels that a view shows, from about _PROBE_PX of its columns."""
    step = max(1, view.camera.width_px // _PROBE_PX)
    depth_m = view.depth_m[step // 2 :: step, step // 2 :: step]
    small = Camera(depth_m.shape[1], depth_m.shape[0], view.camera.hfov_rad)
    return voxels_shown(world.description, view.pose, small, depth_m)


def least_shared(world: Evidence) -> float:
    """The least share of surface that a view has in common with the one after it."""
    shown = [voxels_of(world, view) for view in world.views]
    return min(overlap(first, second) for first, second in zip(shown, shown[1:]))


def seen_order(scene: Scene, camera: Camera, poses: tuple[Pose, ...]) -> list[int]:
    """The first pose, by geometry alone, whose picture has each object's centre, for objects that come into it."""
    centres = np.array([item.box.centre_m for item in scene.description.objects])
    eyes = np.array([pose.position_m for pose in poses])
    pitches = np.array([pitch_rad(pose) for pose in poses])
    inside = in_picture(eyes, np.array([yaw_rad(pose) for pose in poses]), pitches, camera, centres)
    return [int(column.argmax()) for column in inside.T if column.any()]


class AppearanceOrder:
    """In which order do these objects first come into view on a walk."""

    name = "appearance_order"
    views = VIEWS

    def plan(
        self, description: SceneDescription, level: int, _rng: np.random.Generator, _kept: Optional[Target] = None
    ) -> Target:
        need_objects(description.objects, ORDERED[level], self.name)
        return Target(key="", focus=())

    def poses(
        self, scene: Scene, spec: TaskSpec, _plan: Target, rng: np.random.Generator, found: Findings
    ) -> Optional[tuple[Pose, ...]]:
        level = spec.question.level
        best: Optional[tuple[int, tuple[Pose, ...]]] = None
        for _ in range(WALKS):
            walk = draw_walk(scene, VIEWS, ORDER_WALK_M, rng)
            if walk is None:
                continue
            firsts = seen_order(scene, spec.camera, walk)
            apart = _spread(sorted(firsts), GAP_VIEWS[level])
            if best is None or apart > best[0]:
                best = (apart, walk)
            if apart >= ORDERED[level]:
                return walk
        if best is None:
            found.refuse(NO_WAY)
            return None
        return best[1]

    def propose(self, world: Evidence, level: int, found: Findings) -> None:
        if least_shared(world) < LEAST_SHARED:
            found.refuse(f"two views of the walk that follow each other share less than {LEAST_SHARED:.0%}")
            return
        names = unique_names(world)
        firsts: list[tuple[int, int]] = []
        for key in world.seen():
            if key not in names:
                found.refuse(AMBIGUOUS)
                continue
            first = first_view(world, key, APPEARS[level])
            if first is None:
                found.refuse(f"an object never has {APPEARS[level]:.1%} of the picture, or comes into view slowly")
            else:
                firsts.append((first, key))
        firsts.sort()
        for some in combinations(firsts[:MAX_NAMED], ORDERED[level]):
            least = min(after[0] - before[0] for before, after in zip(some, some[1:]))
            if least < GAP_VIEWS[level]:
                found.refuse(f"two objects come into view less than {GAP_VIEWS[level]} views apart")
            else:
                found.accept("", tuple(key for _, key in some), float(least), "", (APPEARS[level],))

    def draft(self, world: Evidence, candidate: Candidate, rng: np.random.Generator) -> Draft:
        keys = shuffled(candidate.objects, rng)
        names = unique_names(world)
        (share,) = candidate.numbers
        things = listed(len(keys))
        return Draft(
            program=f"names(order([{object_list(keys)}], o: first_seen(o, {share})))",
            templates=(
                f"in which order do you first see {things} ?",
                f"on the way , in which order do you first see {things} ?",
                f"{things} : in which order are these first seen ?",
                f"which of {things} is seen first , and in which order the other ones ?",
                f"in the pictures , what is the order in which {things} are first seen ?",
            ),
            slots={slot: (key, names[key]) for slot, key in zip("abcdefgh", keys)},
        )


def first_view(world: Evidence, key: int, share: float) -> Optional[int]:
    """The first view in which an object has this share of the picture; None where it never has, or where a view
    before shows it faintly."""
    for index, view in enumerate(world.views):
        truth = view.seen.get(key)
        pixels = truth.pixels if truth else 0
        if pixels >= share * view.ids.size:
            return index
        if pixels > FAINT * share * view.ids.size:
            return None
    return None


def _spread(firsts: list[int], gap: int) -> int:
    """How many of these first views can be picked so that any two lie `gap` apart."""
    picked = 0
    last = -gap
    for first in firsts:
        if first - last >= gap:
            picked, last = picked + 1, first
    return picked


class PathLength:
    """How many metres did the camera walk."""

    name = "path_length"
    views = VIEWS

    def plan(
        self, _description: SceneDescription, _level: int, rng: np.random.Generator, kept: Optional[Target] = None
    ) -> Target:
        return kept or Target(key=pick(_THIRDS, rng), focus=())

    def poses(
        self, scene: Scene, spec: TaskSpec, plan: Target, rng: np.random.Generator, found: Findings
    ) -> Optional[tuple[Pose, ...]]:
        level = spec.question.level
        third = _THIRDS.index(plan.key)
        low, high = (SHORTEST_M + (LONGEST_M[level] - SHORTEST_M) * part / 3 for part in (third, third + 1))
        for _ in range(2 * WALKS):
            walk = draw_walk(scene, VIEWS, (low, high), rng, CORNERS[level])
            if walk is not None:
                return walk
        found.refuse(NO_WAY)
        return None

    def propose(self, world: Evidence, level: int, found: Findings) -> None:
        shared = least_shared(world)
        if shared < LEAST_SHARED:
            found.refuse(f"two views of the walk that follow each other share less than {LEAST_SHARED:.0%}")
            return
        places = np.array([view.pose.position_m for view in world.views])
        length_m = float(np.linalg.norm(np.diff(places, axis=0), axis=1).sum())
        third = int(3 * (length_m - SHORTEST_M) / (LONGEST_M[level] - SHORTEST_M) - 1e-9)
        found.accept(_THIRDS[min(third, 2)], (), shared)

    def draft(self, _world: Evidence, _candidate: Candidate, _rng: np.random.Generator) -> Draft:
        return Draft(
            program="round(walk_length(), 0.1)",
            templates=(
                "how far did the camera move in all ?",
                "how many meters did the camera move from the first picture to the last one ?",
                "how long is the way that the camera moved ?",
                "what is the length of the way from the first picture to the last one ?",
                "in meters , how far did you move in these pictures ?",
            ),
            slots={},
            unit="m",
            show_options=False,
        )
