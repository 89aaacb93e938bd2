"""camera_motion: how the camera turned or moved from the first picture to the second."""

from __future__ import annotations

import math
from typing import Optional

import numpy as np

from protocol.tasks.scene import Pose, SceneDescription
from protocol.tasks.task import TaskSpec
from sim_server.backends.base import Scene
from sim_server.questions.evidence import Evidence
from sim_server.questions.families.rules import SHARED_OBJECTS, TOO_LITTLE_SHARED, clear_in_both, draw_objects
from sim_server.questions.family import Candidate, Draft, Findings, Target, draw_key, shuffled
from sim_server.questions.geometry import pitch_rad, pose_from_yaw_pitch, rotation_matrix, wrap_rad, yaw_rad
from sim_server.questions.views.viewpoints import draw_focused_pose

FORM = ("turn", "turn", "move", "move", "move")
LEAST_TURN_DEG = (25.0, 12.0)  # a turn counts from 8 degrees
LEAST_MOVE_M = (0.0, 0.0, 0.6, 0.3, 0.3)
OTHER_TURN_DEG = (0.0, 0.0, 0.0, 0.0, 25.0)  # at level 4 the camera also turns, by up to this much
DOMINANCE = 2.0  # the asked part of a move is at least this many times the other horizontal part
MOST_TURN_DEG, MOST_MOVE_M = 45.0, 1.5

_WORDS = {"turn": ("left", "right"), "move": ("forward", "backward", "left", "right")}


class CameraMotion:
    name = "camera_motion"
    views = 2

    def plan(
        self, description: SceneDescription, level: int, rng: np.random.Generator, kept: Optional[Target] = None
    ) -> Target:
        words = _WORDS[FORM[level]]
        key = draw_key(words, rng, kept)
        focus = draw_objects(description.objects, SHARED_OBJECTS, rng, self.name)
        return Target(key=key, focus=focus, form=FORM[level])

    def poses(
        self, scene: Scene, spec: TaskSpec, plan: Target, rng: np.random.Generator, found: Findings
    ) -> Optional[tuple[Pose, ...]]:
        first = draw_focused_pose(scene, spec.camera, plan, rng, found)
        if first is None:
            return None
        second = self._next_pose(scene, first, plan, spec.question.level, rng)
        if second is None:
            found.refuse("the camera's move would leave the navigable area")
            return None
        return (first, second)

    def _next_pose(
        self, scene: Scene, first: Pose, plan: Target, level: int, rng: np.random.Generator
    ) -> Optional[Pose]:
        """A second pose that shows the plan's answer; None where the camera would leave the navigable area."""
        yaw, pitch = yaw_rad(first), pitch_rad(first)
        x, y, z = first.position_m
        if plan.form == "turn":
            turn = math.radians(rng.uniform(LEAST_TURN_DEG[level] + 1, MOST_TURN_DEG))
            return pose_from_yaw_pitch((x, y, z), yaw + (turn if plan.key == "left" else -turn), pitch)
        length_m = rng.uniform(LEAST_MOVE_M[level] + 0.02, MOST_MOVE_M)
        turned = yaw + {"forward": 0.0, "left": 0.5, "backward": 1.0, "right": -0.5}[plan.key] * math.pi
        turned += rng.uniform(-0.3, 0.3)
        moved = (x - length_m * math.sin(turned), y, z - length_m * math.cos(turned))
        limit = math.radians(OTHER_TURN_DEG[level])
        if not scene.is_navigable(moved):
            return None
        return pose_from_yaw_pitch(moved, yaw + rng.uniform(-limit, limit), pitch)

    def propose(self, world: Evidence, level: int, found: Findings) -> None:
        first, second = world.views[:2]
        turn_deg = math.degrees(wrap_rad(yaw_rad(second.pose) - yaw_rad(first.pose)))
        moved = np.subtract(second.pose.position_m, first.pose.position_m)
        right, _, back = moved @ rotation_matrix(pose_from_yaw_pitch((0, 0, 0), yaw_rad(first.pose), 0).rotation_wxyz)
        length_m = math.hypot(right, back)
        if len(clear_in_both(first, second)) < SHARED_OBJECTS:
            found.refuse(TOO_LITTLE_SHARED)
        elif FORM[level] == "turn":
            if abs(turn_deg) < LEAST_TURN_DEG[level] or length_m > 1e-6:
                found.refuse(f"the camera turns by less than {LEAST_TURN_DEG[level]:g} degrees or moves as well")
            else:
                found.accept("left" if turn_deg > 0 else "right", (), abs(turn_deg), "turn")
        elif length_m < LEAST_MOVE_M[level] or abs(turn_deg) > OTHER_TURN_DEG[level] + 1e-3:
            found.refuse(f"the camera moves by less than {LEAST_MOVE_M[level]} m or turns too far")
        elif max(abs(right), abs(back)) < DOMINANCE * min(abs(right), abs(back)):
            found.refuse("no direction of the camera's move stands out")
        elif abs(back) > abs(right):
            found.accept("forward" if back < 0 else "backward", (), length_m, "move")
        else:
            found.accept("right" if right > 0 else "left", (), length_m, "move")

    def draft(self, _world: Evidence, candidate: Candidate, rng: np.random.Generator) -> Draft:
        words = _WORDS[candidate.form]
        turn = candidate.form == "turn"
        verb = "turn" if turn else "move"
        between = "side(turn_between(view(0), view(1)))" if turn else "heading(shift_between(view(0), view(1)))"
        return Draft(
            program=between,
            templates=(
                f"which way did the camera {verb} from the first picture to the second ?",
                f"from the first picture to the second , which way did the camera {verb} ?",
                f"where did the camera {verb} from the first picture to the second ?",
                f"between the first picture and the second , where did the camera {verb} ?",
                f"to go from the first picture to the second , which way did the camera {verb} ?",
            ),
            slots={},
            options=shuffled(words, rng),
        )
