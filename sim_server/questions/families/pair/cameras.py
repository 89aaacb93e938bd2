"""Two pictures, two cameras: camera_position (where the second stands), camera_elevation (whether it is higher)."""

from __future__ import annotations

import math
from typing import Optional

import numpy as np
from numpy.typing import NDArray

from protocol.tasks.scene import Pose, SceneDescription
from protocol.tasks.task import TaskSpec
from sim_server.backends.base import Scene
from sim_server.questions.evidence import Evidence
from sim_server.questions.families import sectors
from sim_server.questions.families.rules import SHARED_OBJECTS, TOO_LITTLE_SHARED, clear_in_both, draw_objects
from sim_server.questions.family import Candidate, Draft, Findings, Target, draw_key, shuffled
from sim_server.questions.geometry import Array, bearing_of_rad, floor_distance_m, yaw_rad
from sim_server.questions.language.functions.views import bearing
from sim_server.questions.views.viewpoints import draw_focused_pose, draw_pose, focus_of

POSITION_FORM = ("side", "side", "quadrant", "quadrant", "quadrant")
POSITION_MARGIN_DEG = (40.0, 20.0, 25.0, 15.0, 8.0)

RISE_M = (0.60, 0.45, 0.40, 0.30, 0.22)  # least difference in height that is "above" or "below"
LEVEL_WITHIN_M = 0.15  # cameras closer in height are level
LEVEL_MARGIN_M = 0.07  # level ones are so much closer than that
LEVEL_FROM_LEVEL = 2  # from here on "the same" is asked too
HEIGHT_M = (0.7, 1.9)
NO_SECOND = "no second standing point shows the same objects and gives the answer"


class CameraPosition:
    """Where the second camera stands, seen from the first one as it looks, on the floor plan."""

    name = "camera_position"
    views = 2

    def plan(
        self, description: SceneDescription, level: int, rng: np.random.Generator, kept: Optional[Target] = None
    ) -> Target:
        form = POSITION_FORM[level]
        words = sectors.WORDS[form]
        key = draw_key(words, rng, kept)
        return Target(key=key, focus=draw_objects(description.objects, SHARED_OBJECTS, rng, self.name), form=form)

    def poses(
        self, scene: Scene, spec: TaskSpec, plan: Target, rng: np.random.Generator, found: Findings
    ) -> Optional[tuple[Pose, ...]]:
        first = draw_focused_pose(scene, spec.camera, plan, rng, found)
        if first is None:
            return None
        x, _, z = first.position_m
        least_deg = POSITION_MARGIN_DEG[spec.question.level]

        def fits(eyes: Array, _yaws: Array) -> NDArray[np.bool_]:
            angles = bearing_of_rad(first.position_m, yaw_rad(first), eyes)
            apart = np.hypot(eyes[:, 0] - x, eyes[:, 2] - z) >= sectors.LEAST_APART_M
            return apart & sectors.inside(plan.form, plan.key, angles, least_deg)

        second = draw_pose(scene, spec.camera, focus_of(scene, plan.focus), rng, fits=fits)
        if second is None:
            found.refuse(NO_SECOND)
            return None
        return (first, second)

    def propose(self, world: Evidence, level: int, found: Findings) -> None:
        first, second = world.views[:2]
        here, there = first.pose.position_m, second.pose.position_m
        form, least_deg = POSITION_FORM[level], POSITION_MARGIN_DEG[level]
        angle_deg = math.degrees(bearing(first, there))
        margin = sectors.margin_deg(form, angle_deg)
        if len(clear_in_both(first, second)) < SHARED_OBJECTS:
            found.refuse(TOO_LITTLE_SHARED)
        elif floor_distance_m(here, there) < sectors.LEAST_APART_M:
            found.refuse(sectors.TOO_CLOSE)
        elif margin < least_deg:
            found.refuse(sectors.near_border(least_deg))
        else:
            found.accept(sectors.word(form, angle_deg), (), margin, form)

    def draft(self, _world: Evidence, candidate: Candidate, rng: np.random.Generator) -> Draft:
        return Draft(
            program=f"{candidate.form}(bearing(view(0), to=position(view(1))))",
            templates=(
                "where is the second camera from the first camera ?",
                "from the first camera , where is the second camera ?",
                "you are at the first camera and look the way it does . where is the second camera ?",
                "look from the first camera . where is the camera of the second picture ?",
                "where is the camera of the second picture from the camera of the first picture ?",
            ),
            slots={},
            options=shuffled(sectors.WORDS[candidate.form], rng),
        )


class CameraElevation:
    """Whether the second camera is above or below the first one, or level with it."""

    name = "camera_elevation"
    views = 2

    def plan(
        self, description: SceneDescription, level: int, rng: np.random.Generator, kept: Optional[Target] = None
    ) -> Target:
        form = _rise_form(level)
        words = _RISES[form]
        key = draw_key(words, rng, kept)
        return Target(key=key, focus=draw_objects(description.objects, SHARED_OBJECTS, rng, self.name), form=form)

    def poses(
        self, scene: Scene, spec: TaskSpec, plan: Target, rng: np.random.Generator, found: Findings
    ) -> Optional[tuple[Pose, ...]]:
        low_m, high_m = HEIGHT_M
        if plan.key == "the same":
            rise_m = rng.uniform(0.0, LEVEL_WITHIN_M - LEVEL_MARGIN_M - 1e-3)
        else:
            rise_m = rng.uniform(RISE_M[spec.question.level] + 1e-3, high_m - low_m)
        below_m = rng.uniform(low_m, high_m - rise_m)
        heights = [below_m, below_m + rise_m]
        if plan.key == "below" or (plan.key == "the same" and rng.integers(2)):
            heights.reverse()
        poses: list[Pose] = []
        for height_m in heights:
            focus = focus_of(scene, plan.focus)
            pose = draw_pose(scene, spec.camera, focus, rng, height_m=(height_m, height_m))
            if pose is None:
                found.refuse("no standing point has the objects in its picture together")
                return None
            poses.append(pose)
        return tuple(poses)

    def propose(self, world: Evidence, level: int, found: Findings) -> None:
        first, second = world.views[:2]
        rise_m, form = second.pose.position_m[1] - first.pose.position_m[1], _rise_form(level)
        if len(clear_in_both(first, second)) < SHARED_OBJECTS:
            found.refuse(TOO_LITTLE_SHARED)
        elif abs(rise_m) >= RISE_M[level]:
            found.accept("above" if rise_m > 0 else "below", (), abs(rise_m) - LEVEL_WITHIN_M, form)
        elif "the same" in _RISES[form] and abs(rise_m) <= LEVEL_WITHIN_M - LEVEL_MARGIN_M:
            found.accept("the same", (), LEVEL_WITHIN_M - abs(rise_m), form)
        else:
            found.refuse(f"the cameras are neither {RISE_M[level]} m apart in height nor level")

    def draft(self, _world: Evidence, candidate: Candidate, rng: np.random.Generator) -> Draft:
        words = _RISES[candidate.form]
        rise = "y(position(view(1))) - y(position(view(0)))"
        same = f'if abs({rise}) < {LEVEL_WITHIN_M} then "the same" else ' if "the same" in words else ""
        return Draft(
            program=f'{same}if {rise} > 0 then "above" else "below"',
            templates=(
                "how high is the second camera compared with the first camera ?",
                "compared with the first camera , how high is the second camera ?",
                "look at the height of each camera . where is the second from the first ?",
                "how high is the camera of the second picture compared with that of the first ?",
                "from the first picture to the second , at which height is the camera now ?",
            ),
            slots={},
            options=shuffled(words, rng),
        )


_RISES = {"rise": ("above", "below"), "rise or same": ("above", "below", "the same")}


def _rise_form(level: int) -> str:
    return "rise or same" if level >= LEVEL_FROM_LEVEL else "rise"
