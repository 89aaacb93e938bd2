"""Walks through a scene: appearance_order and path_length."""

from __future__ import annotations

from itertools import combinations
from typing import Optional

import numpy as np

from protocol.seeds import pick
from protocol.skills.space import APPEARANCE_ORDER, PATH_LENGTH
from protocol.tasks.scene import Camera, Pose, SceneDescription
from protocol.tasks.task import TaskSpec
from sim_server.backends.base import Scene
from sim_server.questions.evidence import Evidence, ViewEvidence, unique_names
from sim_server.questions.families.rules import AMBIGUOUS, MAX_NAMED, need_objects
from sim_server.questions.family import Candidate, Draft, Findings, Target, object_list, shuffled
from sim_server.questions.geometry import pitch_rad, yaw_rad
from sim_server.questions.views.coverage import overlap, voxels_shown
from sim_server.questions.views.viewpoints import in_image
from sim_server.questions.views.walks import NO_WAY, draw_walk

VIEWS = 8
WALKS = 12  # walks drawn per attempt, before one is rendered
LEAST_OVERLAP = 0.25  # of the surface voxels of consecutive views of a walk
LITTLE_OVERLAP = f"the overlap of two consecutive views of the walk is below {LEAST_OVERLAP:.0%}"
ON_ONE_WALK = "The images were taken in this order on one walk."
FAINT = 0.2  # before an object appears, it shows at most this fraction of the pixels at which it counts as in view
ORDER_WALK_M = (0.8, 6.0)
_PROBE_PX = 48
_THIRDS = ("short", "middle", "long")


def listed(count: int) -> str:
    """ "the {a}, the {b} and the {c}": slots for this many objects."""
    return listed_slots("abcdefgh"[:count])


def listed_slots(slots: str) -> str:
    """ "the {b} and the {c}": these slots, one letter each."""
    *first, last = (f"the {{{slot}}}" for slot in slots)
    return f"{', '.join(first)} and {last}" if first else last


def voxels_of(evidence: Evidence, view: ViewEvidence) -> np.ndarray:
    """The voxels that a view shows, sampled at about _PROBE_PX of its columns."""
    step = max(1, view.camera.width_px // _PROBE_PX)
    depth_m = view.depth_m[step // 2 :: step, step // 2 :: step]
    small = Camera(depth_m.shape[1], depth_m.shape[0], view.camera.hfov_rad)
    return voxels_shown(evidence.description, view.pose, small, depth_m)


def least_overlap(evidence: Evidence) -> float:
    """The least overlap of a view with the next one."""
    shown = [voxels_of(evidence, view) for view in evidence.views]
    return min(overlap(first, second) for first, second in zip(shown, shown[1:]))


def seen_order(scene: Scene, camera: Camera, poses: tuple[Pose, ...]) -> list[int]:
    """Per object, the first pose with its centre in the image, for the objects that have one; occlusion is ignored."""
    centres = np.array([item.box.centre_m for item in scene.description.objects])
    eyes = np.array([pose.position_m for pose in poses])
    pitches = np.array([pitch_rad(pose) for pose in poses])
    inside = in_image(eyes, np.array([yaw_rad(pose) for pose in poses]), pitches, camera, centres)
    return [int(column.argmax()) for column in inside.T if column.any()]


class AppearanceOrder:
    """The order in which objects first come into view on a walk."""

    skill = APPEARANCE_ORDER
    views = VIEWS

    def target(
        self, description: SceneDescription, level: int, _rng: np.random.Generator, _previous: Optional[Target] = None
    ) -> Target:
        need_objects(description.objects, self.skill.levels[level].objects, self.skill.name)
        return Target(key="", focus=())

    def poses(
        self, scene: Scene, spec: TaskSpec, _target: Target, rng: np.random.Generator, findings: Findings
    ) -> Optional[tuple[Pose, ...]]:
        asked = self.skill.levels[spec.question.level]
        best: Optional[tuple[int, tuple[Pose, ...]]] = None
        for _ in range(WALKS):
            walk = draw_walk(scene, spec.camera, VIEWS, ORDER_WALK_M, rng)
            if walk is None:
                continue
            firsts = seen_order(scene, spec.camera, walk)
            apart = _spread(sorted(firsts), asked.apart_views)
            if best is None or apart > best[0]:
                best = (apart, walk)
            if apart >= asked.objects:
                return walk
        if best is None:
            findings.reject(NO_WAY)
            return None
        return best[1]

    def judge(self, evidence: Evidence, level: int, findings: Findings) -> None:
        asked = self.skill.levels[level]
        if least_overlap(evidence) < LEAST_OVERLAP:
            findings.reject(LITTLE_OVERLAP)
            return
        names = unique_names(evidence)
        firsts: list[tuple[int, int]] = []
        for key in evidence.seen():
            if key not in names:
                findings.reject(AMBIGUOUS)
                continue
            first = first_view(evidence, key, asked.image_fraction)
            if first is None:
                findings.reject(
                    f"an object never covers {asked.image_fraction:.1%} of the image, or comes into view slowly"
                )
            else:
                firsts.append((first, key))
        firsts.sort()
        for some in combinations(firsts[:MAX_NAMED], asked.objects):
            least = min(after[0] - before[0] for before, after in zip(some, some[1:]))
            if least < asked.apart_views:
                findings.reject(f"two objects come into view less than {asked.apart_views} views apart")
            else:
                findings.accept("", tuple(key for _, key in some), float(least))

    def draft(self, evidence: Evidence, candidate: Candidate, level: int, rng: np.random.Generator) -> Draft:
        keys = shuffled(candidate.objects, rng)
        names = unique_names(evidence)
        fraction = self.skill.levels[level].image_fraction
        named = listed(len(keys))
        return Draft(
            program=f"names(order([{object_list(keys)}], o: first_seen(o, {fraction})))",
            templates=(
                f"In which order do you first see {named}?",
                f"In which order do {named} first appear?",
                f"In which order do {named} come into view?",
                f"On this walk, in which order do you first see {named}?",
                f"On this walk, in which order do {named} come into view?",
                f"In the images, in which order do {named} first appear?",
                f"What is the order in which {named} first appear?",
                f"Sort these by when they first appear in the images: {named}.",
                f"List these in the order in which you first see them: {named}.",
            ),
            slots={slot: (key, names[key]) for slot, key in zip("abcdefgh", keys)},
            rule=f"{ON_ONE_WALK} An object appears once it covers at least {100 * fraction:g}% of an image.",
        )


def first_view(evidence: Evidence, key: int, fraction: float) -> Optional[int]:
    """The first view in which an object covers this fraction of the image.

    None if there is no such view, or if a view before it shows the object faintly.
    """
    for index, view in enumerate(evidence.views):
        truth = view.seen.get(key)
        pixels = truth.pixels if truth else 0
        if pixels >= fraction * view.ids.size:
            return index
        if pixels > FAINT * fraction * view.ids.size:
            return None
    return None


def _spread(firsts: list[int], gap: int) -> int:
    """How many of these first views can be chosen so that any two are at least `gap` apart."""
    picked = 0
    last = -gap
    for first in firsts:
        if first - last >= gap:
            picked, last = picked + 1, first
    return picked


class PathLength:
    """How many metres the camera walked."""

    skill = PATH_LENGTH
    views = VIEWS

    def target(
        self, _description: SceneDescription, _level: int, rng: np.random.Generator, previous: Optional[Target] = None
    ) -> Target:
        return previous or Target(key=pick(_THIRDS, rng), focus=())

    def poses(
        self, scene: Scene, spec: TaskSpec, target: Target, rng: np.random.Generator, findings: Findings
    ) -> Optional[tuple[Pose, ...]]:
        asked = self.skill.levels[spec.question.level]
        third = _THIRDS.index(target.key)
        low, high = (asked.shortest_m + (asked.longest_m - asked.shortest_m) * part / 3 for part in (third, third + 1))
        for _ in range(2 * WALKS):
            walk = draw_walk(scene, spec.camera, VIEWS, (low, high), rng, asked.corners)
            if walk is not None:
                return walk
        findings.reject(NO_WAY)
        return None

    def judge(self, evidence: Evidence, level: int, findings: Findings) -> None:
        asked = self.skill.levels[level]
        shared = least_overlap(evidence)
        if shared < LEAST_OVERLAP:
            findings.reject(LITTLE_OVERLAP)
            return
        places = np.array([view.pose.position_m for view in evidence.views])
        length_m = float(np.linalg.norm(np.diff(places, axis=0), axis=1).sum())
        third = int(3 * (length_m - asked.shortest_m) / (asked.longest_m - asked.shortest_m) - 1e-9)
        findings.accept(_THIRDS[min(third, 2)], (), shared)

    def draft(self, _evidence: Evidence, _candidate: Candidate, _level: int, _rng: np.random.Generator) -> Draft:
        return Draft(
            program="round(walk_length(), 0.1)",
            templates=(
                "How far did the camera move in total?",
                "How far did the camera travel from the first to the last image?",
                "How many meters did the camera move from the first to the last image?",
                "How many meters did the camera travel in total?",
                "In meters, how far did the camera move in total?",
                "How long is the camera's path?",
                "What is the length of the camera's path?",
                "What is the total distance that the camera traveled?",
                "How many meters long is the path from the first to the last image?",
            ),
            slots={},
            unit="m",
            show_options=False,
            rule=f"{ON_ONE_WALK} Add up the straight distances from each image to the next one, in meters.",
        )


FAMILIES = (AppearanceOrder(), PathLength())
