"""Whether an answer stays when cameras, pictures and boxes are a little off.

A question that flips under less than what a careful observer could be wrong by has no answer that can be learned. The
noise is stated here; every draw has all of it at once.
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

POSE_M = 0.02  # the camera stands up to this far off along each axis
POSE_RAD = math.radians(1.0)  # and looks up to this far aside, and up or down
BOX_M = 0.02  # each box stands up to this far off along each axis
DEPTH_SHARE = 0.02  # a picture's depths are all up to this share too long or too short
PIXEL_SHARE = 0.02  # of the pixels show what their neighbour shows
NUMBER_SHARE = 0.10  # a number may change by this share of itself
DRAWS = 6
WIDEST_PX = 192  # wider pictures are drawn this wide for the test


def answer_that_flips(
    node: Node, answer: str, answer_type: str, scene: Scene, frames: Frames, rng: np.random.Generator
) -> Optional[str]:
    """The first answer under noise that is another one, or None where the answer stays; "none" where it is lost."""
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
    return abs(a - b) <= NUMBER_SHARE * max(abs(a), abs(b))


def narrowed(camera: Camera, widest_px: int = WIDEST_PX) -> Camera:
    """The same camera with fewer pixels, where it has many."""
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
        wrong = rng.random(ids.shape) < PIXEL_SHARE
        ids[wrong] = np.roll(ids, (rows, columns), (0, 1))[wrong]
        depth *= 1 + rng.uniform(-DEPTH_SHARE, DEPTH_SHARE)


def _moved(description: SceneDescription, rng: np.random.Generator) -> SceneDescription:
    shifts = rng.uniform(-BOX_M, BOX_M, (len(description.objects), 3))
    objects = []
    for item, shift in zip(description.objects, shifts):
        x, y, z = (float(a + b) for a, b in zip(item.box.centre_m, shift))
        box = OrientedBox((x, y, z), item.box.half_extents_m, item.box.rotation_wxyz)
        objects.append(msgspec.structs.replace(item, box=box))
    return msgspec.structs.replace(description, objects=tuple(objects))
