"""Parts shared by shapes that hang on walls: frames and flat panels."""

from __future__ import annotations

import numpy as np

from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import Part, box


def frame(model: Model, width: float, height: float, bar: float, depth: float, slot: str) -> None:
    """Add a rectangular frame of bars, its lower edge at y = 0."""
    for y in (bar / 2, height - bar / 2):
        model.add(box((width, bar, depth), (0, y, 0), 0.004), slot)
    for x in (-1, 1):
        model.add(box((bar, height - 2 * bar, depth), (x * (width - bar) / 2, height / 2, 0), 0.004), slot)


def pane(width: float, height: float, at: tuple[float, float, float]) -> Part:
    """A flat rectangle centred on `at`, facing +z."""
    flat = ridge(np.array([-width / 2, width / 2]), np.full(2, height), -height / 2, 0.0)
    return flat.moved(at)


def ridge(x: np.ndarray, top: np.ndarray, low: float, z: float) -> Part:
    """A flat shape from height `low` up to the line (x, low + top), facing +z."""
    count = len(x)
    positions = np.zeros((2 * count, 3), np.float32)
    positions[:count] = np.stack([x, np.full(count, low), np.full(count, z)], 1)
    positions[count:] = np.stack([x, low + top, np.full(count, z)], 1)
    k = np.arange(count - 1)
    faces = np.concatenate([np.stack([k, k + 1, k + 1 + count], 1), np.stack([k, k + 1 + count, k + count], 1)])
    normals = np.tile(np.array([0, 0, 1], np.float32), (2 * count, 1))
    return Part(positions, normals, positions[:, :2].copy(), faces.astype(np.int32))
