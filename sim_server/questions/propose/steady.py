"""Whether an answer is stable under small perturbations of cameras, images and boxes.

If an error that a careful observer could make changes the answer, the answer cannot be learned. Every draw applies all
of the noise below at once.
"""

from __future__ import annotations

import math
from typing import Optional

import msgspec
import numpy as np

from protocol.tasks.scene import Camera, OrientedBox, Pose, SceneDescription
from sim_server.backends.base import Frames, Scene
from sim_server.questions.evidence import EVIDENCE_SENSORS, Evidence
from sim_server.questions.language.evaluator import evaluate
from sim_server.questions.language.parser import Node, ProgramFault
from sim_server.sensing.observe import multiply

POSE_M = 0.02  # largest shift of the camera along each axis
POSE_RAD = math.radians(1.0)  # largest turn of the camera about the vertical, and largest change of its pitch
BOX_M = 0.02  # largest shift of each box along each axis
DEPTH_NOISE = 0.02  # largest relative error of the depths of an image, equal for all its pixels
PIXEL_NOISE = 0.02  # fraction of the pixels that take the id of a neighbour
NUMBER_TOLERANCE = 0.10  # largest relative change of a stable number
DRAWS = 6
WIDEST_PX = 192  # wider images are rendered at this width for the test


def answer_that_flips(
    node: Node, answer: str, answer_type: str, scene: Scene, frames: Frames, rng: np.random.Generator
) -> Optional[str]:
    """The first different answer under noise, "none" if the program has no answer; None if the answer is stable."""
    camera = narrowed(frames.camera)
    for _ in range(DRAWS):
        poses = tuple(_off(pose, rng) for pose in frames.poses)
        seen = scene.render(poses, camera, EVIDENCE_SENSORS)
        _spoil(seen, rng)
        try:
            got = evaluate(node, Evidence.of(_moved(scene.description, rng), seen))
        except ProgramFault:
            return "none"
        if not same_answer(got, answer, answer_type):
            return got
    return None


def same_answer(got: str, answer: str, answer_type: str) -> bool:
    if answer_type != "number":
        return got == answer
    a, b = float(got), float(answer)
    return abs(a - b) <= NUMBER_TOLERANCE * max(abs(a), abs(b))


def narrowed(camera: Camera, widest_px: int = WIDEST_PX) -> Camera:
    """The camera with its longer side reduced to at most `widest_px` pixels."""
    scale = min(1.0, widest_px / max(camera.width_px, camera.height_px))
    width_px, height_px = (max(1, round(scale * side)) for side in (camera.width_px, camera.height_px))
    return Camera(width_px, height_px, camera.hfov_rad)


def _off(pose: Pose, rng: np.random.Generator) -> Pose:
    x, y, z = (float(a + b) for a, b in zip(pose.position_m, rng.uniform(-POSE_M, POSE_M, 3)))
    aside, up = (float(angle) / 2 for angle in rng.uniform(-POSE_RAD, POSE_RAD, 2))
    turned = multiply((math.cos(aside), 0.0, math.sin(aside), 0.0), pose.rotation_wxyz)
    return Pose((x, y, z), multiply(turned, (math.cos(up), math.sin(up), 0.0, 0.0)))


def _spoil(frames: Frames, rng: np.random.Generator) -> None:
    assert frames.ids is not None and frames.depth is not None
    for ids, depth in zip(frames.ids, frames.depth):
        rows, columns = (int(step) for step in rng.integers(-1, 2, 2))
        wrong = rng.random(ids.shape) < PIXEL_NOISE
        ids[wrong] = np.roll(ids, (rows, columns), (0, 1))[wrong]
        depth *= 1 + rng.uniform(-DEPTH_NOISE, DEPTH_NOISE)


def _moved(description: SceneDescription, rng: np.random.Generator) -> SceneDescription:
    shifts = rng.uniform(-BOX_M, BOX_M, (len(description.objects), 3))
    objects = []
    for item, shift in zip(description.objects, shifts):
        x, y, z = (float(a + b) for a, b in zip(item.box.centre_m, shift))
        box = OrientedBox((x, y, z), item.box.half_extents_m, item.box.rotation_wxyz)
        objects.append(msgspec.structs.replace(item, box=box))
    return msgspec.structs.replace(description, objects=tuple(objects))
