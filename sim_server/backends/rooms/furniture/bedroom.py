"""Beds."""

from __future__ import annotations

import numpy as np

from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import box, soft_box


def _bedding(model: Model, width: float, length: float, low: float, pillows: int) -> None:
    """Mattress, blanket in the main colour, and pillows; the head lies at -z."""
    top = low + 0.22
    model.add(soft_box((width, 0.22, length), (0, low + 0.11, 0), 0.05), "linen")
    cover = length * 0.7
    model.add(soft_box((width + 0.04, 0.28, cover), (0, top - 0.115, (length - cover) / 2 + 0.02), 0.05, 3))
    model.surface(top + 0.025, width - 0.1, cover - 0.15, 0.6, (length - cover) / 2)
    pillow = min(0.66, width / pillows - 0.08)
    for k in range(pillows):
        x = (k - (pillows - 1) / 2) * width / pillows
        model.add(soft_box((pillow, 0.15, 0.4), (x, top + 0.05, -length / 2 + 0.26), 0.07, 3, 0.05), "linen")


def panel_bed(rng: np.random.Generator) -> Model:
    """A frame with a headboard at the wall."""
    pillows = int(rng.integers(1, 3))
    width = rng.uniform(0.9, 1.1) if pillows == 1 else rng.uniform(1.4, 1.8)
    length, low = rng.uniform(1.95, 2.1), rng.uniform(0.24, 0.32)
    model = Model(main="fabric", second="wood", linen="linen")
    model.add(box((width + 0.08, 0.2, length + 0.04), (0, low - 0.04, 0), 0.02))
    for x in (-1, 1):
        for z in (-1, 1):
            at = (x * (width / 2 - 0.02), (low - 0.1) / 2, z * (length / 2 - 0.05))
            model.add(box((0.07, low - 0.1, 0.07), at), "second")
    head = rng.uniform(0.85, 1.15)
    model.add(soft_box((width + 0.1, head - 0.06, 0.07), (0, head / 2 + 0.06, -length / 2 - 0.04), 0.03))
    _bedding(model, width, length - 0.04, low + 0.03, pillows)
    return model


def box_bed(rng: np.random.Generator) -> Model:
    """An upholstered box without legs and a thick headboard."""
    width, length = rng.uniform(1.35, 1.7), rng.uniform(1.98, 2.1)
    model = Model(main="fabric", linen="linen")
    model.add(soft_box((width + 0.06, 0.34, length), (0, 0.18, 0.02), 0.03))
    head = rng.uniform(0.95, 1.2)
    count = int(rng.integers(2, 5))
    step = (width + 0.06) / count
    for k in range(count):
        x = (k - (count - 1) / 2) * step
        model.add(soft_box((step - 0.01, head, 0.12), (x, head / 2, -length / 2 - 0.03), 0.045))
    _bedding(model, width, length - 0.06, 0.33, 2)
    return model
