"""camera_motion: how the camera turned or moved from the first image to the second."""

from __future__ import annotations

import math
from typing import Optional

import numpy as np

from protocol.skills.single import CAMERA_MOTION, MotionLevel
from protocol.tasks.scene import Pose, SceneDescription
from protocol.tasks.task import TaskSpec
from sim_server.backends.base import Scene
from sim_server.questions.evidence import Evidence
from sim_server.questions.families.rules import TOO_LITTLE_SHARED, share_enough, shared_target
from sim_server.questions.family import Candidate, Draft, Findings, Target, shuffled
from sim_server.questions.geometry import pitch_rad, pose_from_yaw_pitch, rotation_matrix, wrap_rad, yaw_rad
from sim_server.questions.views.viewpoints import draw_focused_pose

DOMINANCE = 2.0  # the larger horizontal component of a move is at least this many times the smaller one
MOST_TURN_DEG, MOST_MOVE_M = 45.0, 1.5

_WORDS = {"turn": ("left", "right"), "move": ("forward", "backward", "left", "right")}


class CameraMotion:
    """The direction of the camera's turn or move."""

    skill = CAMERA_MOTION
    views = 2

    def target(
        self, description: SceneDescription, level: int, rng: np.random.Generator, previous: Optional[Target] = None
    ) -> Target:
        form = self._form(level)
        return shared_target(self.skill, description, form, _WORDS[form], rng, previous)

    def _form(self, level: int) -> str:
        return "turn" if self.skill.levels[level].turn_deg else "move"

    def poses(
        self, scene: Scene, spec: TaskSpec, target: Target, rng: np.random.Generator, findings: Findings
    ) -> Optional[tuple[Pose, ...]]:
        first = draw_focused_pose(scene, spec.camera, target, rng, findings)
        if first is None:
            return None
        second = self._next_pose(scene, first, target, self.skill.levels[spec.question.level], rng)
        if second is None:
            findings.reject("the camera's move would leave the navigable area")
            return None
        return (first, second)

    @staticmethod
    def _next_pose(
        scene: Scene, first: Pose, target: Target, asked: MotionLevel, rng: np.random.Generator
    ) -> Optional[Pose]:
        """A second pose that gives the target's answer; None if the camera would leave the navigable area."""
        yaw, pitch = yaw_rad(first), pitch_rad(first)
        x, y, z = first.position_m
        if target.form == "turn":
            turn = math.radians(rng.uniform(asked.turn_deg + 1, MOST_TURN_DEG))
            return pose_from_yaw_pitch((x, y, z), yaw + (turn if target.key == "left" else -turn), pitch)
        length_m = rng.uniform(asked.move_m + 0.02, MOST_MOVE_M)
        turned = yaw + {"forward": 0.0, "left": 0.5, "backward": 1.0, "right": -0.5}[target.key] * math.pi
        turned += rng.uniform(-0.3, 0.3)
        moved = (x - length_m * math.sin(turned), y, z - length_m * math.cos(turned))
        limit = math.radians(asked.other_turn_deg)
        if not scene.is_navigable(moved):
            return None
        return pose_from_yaw_pitch(moved, yaw + rng.uniform(-limit, limit), pitch)

    def judge(self, evidence: Evidence, level: int, findings: Findings) -> None:
        asked = self.skill.levels[level]
        first, second = evidence.views[:2]
        turn_deg = math.degrees(wrap_rad(yaw_rad(second.pose) - yaw_rad(first.pose)))
        moved = np.subtract(second.pose.position_m, first.pose.position_m)
        right, _, back = moved @ rotation_matrix(pose_from_yaw_pitch((0, 0, 0), yaw_rad(first.pose), 0).rotation_wxyz)
        length_m = math.hypot(right, back)
        if not share_enough(first, second):
            findings.reject(TOO_LITTLE_SHARED)
        elif self._form(level) == "turn":
            if abs(turn_deg) < asked.turn_deg or length_m > 1e-6:
                findings.reject(f"the camera turns by less than {asked.turn_deg:g} degrees or moves as well")
            else:
                findings.accept("left" if turn_deg > 0 else "right", (), abs(turn_deg), "turn")
        elif length_m < asked.move_m or abs(turn_deg) > asked.other_turn_deg + 1e-3:
            findings.reject(f"the camera moves by less than {asked.move_m} m or turns too far")
        elif max(abs(right), abs(back)) < DOMINANCE * min(abs(right), abs(back)):
            findings.reject("the camera moves in two directions by similar amounts")
        elif abs(back) > abs(right):
            findings.accept("forward" if back < 0 else "backward", (), length_m, "move")
        else:
            findings.accept("right" if right > 0 else "left", (), length_m, "move")

    def draft(self, _evidence: Evidence, candidate: Candidate, _level: int, rng: np.random.Generator) -> Draft:
        words = _WORDS[candidate.form]
        turn = candidate.form == "turn"
        verb, past = ("turn", "turned") if turn else ("move", "moved")
        between = "side(turn_between(view(0), view(1)))" if turn else "heading(shift_between(view(0), view(1)))"
        return Draft(
            program=between,
            templates=(
                f"Which way did the camera {verb} between Image 1 and Image 2?",
                f"From Image 1 to Image 2, which way did the camera {verb}?",
                f"In which direction did the camera {verb} between Image 1 and Image 2?",
                f"From Image 1 to Image 2, in which direction did the camera {verb}?",
                f"The camera {past} after Image 1 and then took Image 2. Which way did it {verb}?",
                f"After Image 1, the camera {past} and took Image 2. In which direction did it {verb}?",
                f"The camera {past} between the two images. Which way did it {verb}?",
                f"Compare Image 1 with Image 2. Which way did the camera {verb}?",
            ),
            slots={},
            options=shuffled(words, rng),
            rule="Left and right are as seen by the camera."
            if turn
            else "Directions are relative to the view in Image 1; the larger part of a diagonal move counts.",
        )


FAMILIES = (CameraMotion(),)
