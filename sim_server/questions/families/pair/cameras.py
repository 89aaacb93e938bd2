"""The second camera relative to the first: camera_position (its direction) and camera_elevation (its height)."""

from __future__ import annotations

import math
from typing import Optional

import numpy as np
from numpy.typing import NDArray

from protocol.skills.levels import SECTORS
from protocol.skills.pair import CAMERA_ELEVATION, CAMERA_POSITION
from protocol.tasks.scene import Pose, SceneDescription
from protocol.tasks.task import TaskSpec
from sim_server.backends.base import Scene
from sim_server.questions.evidence import Evidence
from sim_server.questions.families import sectors
from sim_server.questions.families.rules import TOO_LITTLE_SHARED, share_enough, shared_target
from sim_server.questions.family import Candidate, Draft, Findings, Target, shuffled
from sim_server.questions.geometry import Array, bearing_of_rad, floor_distance_m, yaw_rad
from sim_server.questions.language.functions.views import bearing
from sim_server.questions.views.viewpoints import NO_PLACE, draw_focused_pose, draw_pose, focus_of

LOOKS_1 = "the direction in which the camera of Image 1 looks"
SAME_MARGIN_M = 0.07  # heights that are "the same" differ by this much less than the level's border
HEIGHT_M = (0.7, 1.9)  # of a raised or lowered camera, whatever its mount
NO_SECOND = "no second standing point shows the same objects and gives the answer"


class CameraPosition:
    """The direction of the second camera from the first one, on the floor plan."""

    skill = CAMERA_POSITION
    views = 2

    def target(
        self, description: SceneDescription, level: int, rng: np.random.Generator, previous: Optional[Target] = None
    ) -> Target:
        form = self.skill.levels[level].sectors
        return shared_target(self.skill, description, form, SECTORS[form], rng, previous)

    def poses(
        self, scene: Scene, spec: TaskSpec, target: Target, rng: np.random.Generator, findings: Findings
    ) -> Optional[tuple[Pose, ...]]:
        first = draw_focused_pose(scene, spec.camera, target, rng, findings)
        if first is None:
            return None
        x, _, z = first.position_m
        least_deg = self.skill.levels[spec.question.level].margin_deg

        def fits(eyes: Array, _yaws: Array) -> NDArray[np.bool_]:
            angles = bearing_of_rad(first.position_m, yaw_rad(first), eyes)
            apart = np.hypot(eyes[:, 0] - x, eyes[:, 2] - z) >= sectors.LEAST_APART_M
            return apart & sectors.inside(target.form, target.key, angles, least_deg)

        second = draw_pose(scene, spec.camera, focus_of(scene, target.focus), rng, fits=fits)
        if second is None:
            findings.reject(NO_SECOND)
            return None
        return (first, second)

    def judge(self, evidence: Evidence, level: int, findings: Findings) -> None:
        first, second = evidence.views[:2]
        here, there = first.pose.position_m, second.pose.position_m
        form, least_deg = self.skill.levels[level].sectors, self.skill.levels[level].margin_deg
        angle_deg = math.degrees(bearing(first, there))
        margin = sectors.margin_deg(form, angle_deg)
        if not share_enough(first, second):
            findings.reject(TOO_LITTLE_SHARED)
        elif floor_distance_m(here, there) < sectors.LEAST_APART_M:
            findings.reject(sectors.TOO_CLOSE)
        elif margin < least_deg:
            findings.reject(sectors.near_border(least_deg))
        else:
            findings.accept(sectors.word(form, angle_deg), (), margin, form)

    def draft(self, _evidence: Evidence, candidate: Candidate, _level: int, rng: np.random.Generator) -> Draft:
        return Draft(
            program=f"{candidate.form}(bearing(view(0), to=position(view(1))))",
            templates=(
                "Relative to the camera of Image 1, where is the camera of Image 2?",
                "Where is the camera of Image 2 relative to the camera of Image 1?",
                "From the camera of Image 1, where is the camera of Image 2?",
                "Where was Image 2 taken, relative to the camera of Image 1?",
                "Relative to the camera of Image 1, where was Image 2 taken?",
                "You stand where Image 1 was taken and look the same way. Where was Image 2 taken?",
                "You are at the camera of Image 1, looking the way it does. Where is the camera of Image 2?",
                "Image 1 is your view. Where is the camera that took Image 2?",
            ),
            slots={},
            options=shuffled(SECTORS[candidate.form], rng),
            rule=f"{sectors.meaning(candidate.form, LOOKS_1)} Directions are measured on the floor plan.",
        )


class CameraElevation:
    """Whether the second camera is higher than the first one, lower, or at the same height."""

    skill = CAMERA_ELEVATION
    views = 2

    def target(
        self, description: SceneDescription, level: int, rng: np.random.Generator, previous: Optional[Target] = None
    ) -> Target:
        form = self._form(level)
        return shared_target(self.skill, description, form, _RISES[form], rng, previous)

    def _form(self, level: int) -> str:
        return "rise or same" if self.skill.levels[level].asks_same else "rise"

    def poses(
        self, scene: Scene, spec: TaskSpec, target: Target, rng: np.random.Generator, findings: Findings
    ) -> Optional[tuple[Pose, ...]]:
        asked = self.skill.levels[spec.question.level]
        low_m, high_m = HEIGHT_M
        if target.key == "the same":
            rise_m = rng.uniform(0.0, asked.same_within_m - SAME_MARGIN_M - 1e-3)
        else:
            rise_m = rng.uniform(asked.apart_m + 1e-3, high_m - low_m)
        below_m = rng.uniform(low_m, high_m - rise_m)
        heights = [below_m, below_m + rise_m]
        if target.key == "lower" or (target.key == "the same" and rng.integers(2)):
            heights.reverse()
        poses: list[Pose] = []
        for height_m in heights:
            focus = focus_of(scene, target.focus)
            pose = draw_pose(scene, spec.camera, focus, rng, height_m=(height_m, height_m))
            if pose is None:
                findings.reject(NO_PLACE)
                return None
            poses.append(pose)
        return tuple(poses)

    def judge(self, evidence: Evidence, level: int, findings: Findings) -> None:
        first, second = evidence.views[:2]
        asked, form = self.skill.levels[level], self._form(level)
        rise_m = second.pose.position_m[1] - first.pose.position_m[1]
        if not share_enough(first, second):
            findings.reject(TOO_LITTLE_SHARED)
        elif abs(rise_m) >= asked.apart_m:
            findings.accept("higher" if rise_m > 0 else "lower", (), abs(rise_m) - asked.same_within_m, form)
        elif asked.asks_same and abs(rise_m) <= asked.same_within_m - SAME_MARGIN_M:
            findings.accept("the same", (), asked.same_within_m - abs(rise_m), form)
        else:
            findings.reject(f"the cameras are neither {asked.apart_m} m apart in height nor at the same height")

    def draft(self, _evidence: Evidence, candidate: Candidate, level: int, rng: np.random.Generator) -> Draft:
        words = _RISES[candidate.form]
        rise = "y(position(view(1))) - y(position(view(0)))"
        within_m = self.skill.levels[level].same_within_m
        same = f'if abs({rise}) < {within_m} then "the same" else ' if "the same" in words else ""
        return Draft(
            program=f'{same}if {rise} > 0 then "higher" else "lower"',
            templates=(
                "Is the camera of Image 2 higher or lower than the camera of Image 1?",
                "Is the camera higher or lower in Image 2 than in Image 1?",
                "Compared with Image 1, is the camera of Image 2 higher or lower?",
                "Was Image 2 taken from a higher or a lower position than Image 1?",
                "Compared with Image 1, was Image 2 taken from higher up or from lower down?",
                "How does the height of the camera in Image 2 compare with that in Image 1?",
                "From Image 1 to Image 2, how does the height of the camera change?",
                "Compared with the camera of Image 1, at what height is the camera of Image 2?",
            ),
            slots={},
            options=shuffled(words, rng),
            rule="Compare the heights of the two cameras above the floor."
            + (f' "The same" means that they differ by less than {100 * within_m:g} cm.' if same else ""),
        )


_RISES = {"rise": ("higher", "lower"), "rise or same": ("higher", "lower", "the same")}

FAMILIES = (CameraPosition(), CameraElevation())
