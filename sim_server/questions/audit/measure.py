"""Measurements for oracles: mentioned objects, masks and sampled boxes."""

from __future__ import annotations

import numpy as np

from protocol.tasks.scene import SceneDescription, SceneObject
from protocol.tasks.task import Question
from sim_server.backends.base import Frames
from sim_server.questions.geometry import rotation_matrix


def mentioned(question: Question, description: SceneDescription) -> list[SceneObject]:
    """The objects that the text names, in the text's order."""
    objects = {item.id: item for item in description.objects}
    return [objects[mention.object_id] for mention in question.mentions]


def mask_centre(frames: Frames, item: SceneObject, view: int = 0) -> tuple[float, float]:
    """Centroid (u, v) of the object's mask, 0..1 from the left and from the top."""
    assert frames.ids is not None
    rows, columns = np.nonzero(frames.ids[view] == item.id)
    return (float(np.mean(columns)) + 0.5) / frames.camera.width_px, (
        float(np.mean(rows)) + 0.5
    ) / frames.camera.height_px


def surface(item: SceneObject, count: int = 24) -> np.ndarray:
    """World points [N, 3] on the surface of the object's box."""
    steps = np.linspace(-1, 1, count)
    grid = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(-1, 3)
    grid = grid[np.abs(grid).max(1) == 1.0]
    return np.asarray(item.box.centre_m) + (grid * item.box.half_extents_m) @ rotation_matrix(item.box.rotation_wxyz).T
