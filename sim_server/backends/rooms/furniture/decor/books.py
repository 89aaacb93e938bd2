"""Sets of books."""

from __future__ import annotations

import numpy as np

from protocol.seeds import pick
from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import box, rotation_y


def books(rng: np.random.Generator) -> Model:
    """A slightly uneven stack of two to four books."""
    model = Model(main="book_a", second="book_b", paper="paper")
    y = 0.0
    for k in range(int(rng.integers(2, 5))):
        thick, width, depth = rng.uniform(0.02, 0.045), rng.uniform(0.15, 0.21), rng.uniform(0.21, 0.27)
        turn = rotation_y(rng.normal(0, 0.12))
        for size, slot in (((width - 0.008, thick - 0.008, depth - 0.006), "paper"), ((width, 0.004, depth), "")):
            name = slot or ("main" if k % 2 == 0 else "second")
            if slot:
                model.add(box(size, (0.004, thick / 2, 0), 0.002).turned(turn).moved((0, y, 0)), name)
            else:
                for level in (0.002, thick - 0.002):
                    model.add(box(size, (0, level, 0), 0.001).turned(turn).moved((0, y, 0)), name)
                spine = box((0.005, thick, depth), (-width / 2 + 0.0025, thick / 2, 0), 0.001)
                model.add(spine.turned(turn).moved((0, y, 0)), name)
        y += thick
    return model


def standing_books(rng: np.random.Generator) -> Model:
    """A short row of books between bookends."""
    model = Model(main="book_a", second="book_b", third="book_c", dark="metal")
    thick = rng.uniform(0.02, 0.042, int(rng.integers(4, 8)))
    x = float(thick.sum())
    for left, wide in zip(np.cumsum(thick) - thick - x / 2, thick):
        height, depth = rng.uniform(0.19, 0.26), rng.uniform(0.14, 0.18)
        slot = pick(("main", "second", "third"), rng)
        model.add(box((wide - 0.002, height, depth), (left + wide / 2, height / 2, 0), 0.003), slot)
    for side in (-1, 1):
        model.add(box((0.006, 0.14, 0.11), (side * (x / 2 + 0.004), 0.07, 0), 0.002), "dark")
        model.add(box((0.08, 0.004, 0.11), (side * (x / 2 - 0.03), 0.002, 0), 0.001), "dark")
    return model
