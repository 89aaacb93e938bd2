"""Measurements for oracles: the objects of a question, masks and sampled boxes."""

from __future__ import annotations

import re

import numpy as np

from protocol.tasks.scene import SceneDescription, SceneObject
from protocol.tasks.task import Question
from sim_server.backends.base import Frames
from sim_server.questions.geometry import rotation_matrix


def mentioned(question: Question, description: SceneDescription) -> list[SceneObject]:
    """The objects that the text names, in the text's order."""
    objects = {item.id: item for item in description.objects}
    return [objects[mention.object_id] for mention in question.mentions]


def in_program(question: Question, description: SceneDescription) -> list[SceneObject]:
    """The objects that the program names, each once, in its order, which gives their roles.

    Oracles read constants of the program, never the result of its functions.
    """
    objects = {item.id: item for item in description.objects}
    return [objects[int(key)] for key in dict.fromkeys(re.findall(r"object\((\d+)\)", question.program))]


def kind_in_program(question: Question) -> tuple[str, str]:
    """The category and the colour that the program selects objects by, "" for each that it does not."""
    category, color = (re.search(rf'{name}="([^"]*)"', question.program) for name in ("category", "color"))
    return category[1] if category else "", color[1] if color else ""


def cell_of(u: float, v: float) -> str:
    """The cell of a 3 x 3 grid over the image that holds a point."""
    row = ("top", "middle", "bottom")[min(2, int(3 * v))]
    column = ("left", "middle", "right")[min(2, int(3 * u))]
    return "center" if (row, column) == ("middle", "middle") else f"{row} {column}"


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
