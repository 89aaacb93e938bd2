"""Stacks of books. Rows of standing books are parts of bookshelves, so that a stack is never mistaken for one."""

from __future__ import annotations

import numpy as np

from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import box, rotation_y, rotation_z


def books(rng: np.random.Generator) -> Model:
    """A slightly uneven stack of two to six books."""
    model = Model(main="book_a", second="book_b", paper="paper")
    y = 0.0
    for k in range(int(rng.integers(2, 7))):
        thick, width, depth = rng.uniform(0.015, 0.05), rng.uniform(0.13, 0.23), rng.uniform(0.18, 0.31)
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


def open_book_stack(rng: np.random.Generator) -> Model:
    """One or two closed books with an open one on top."""
    model = books(rng)
    top = float(model.bounds()[1][1])
    width, depth = rng.uniform(0.13, 0.17), rng.uniform(0.19, 0.24)
    for side in (-1, 1):
        page = box((width, 0.012, depth), (side * width / 2, 0.006, 0), 0.004).turned(rotation_z(-side * 0.08))
        model.add(page.moved((0, top + 0.014, 0)), "paper")
    model.add(box((2 * width + 0.01, 0.004, depth + 0.01), (0, top + 0.002, 0), 0.001))
    return model


def magazines(rng: np.random.Generator) -> Model:
    """A fanned stack of four to seven thin magazines."""
    model = Model(main="book_a", second="book_b", third="book_c", paper="paper")
    for k in range(int(rng.integers(4, 8))):
        turn = rotation_y(rng.normal(0, 0.2))
        sheet = box((0.21, 0.007, 0.28), (0, 0.0035, 0), 0.002)
        model.add(
            sheet.turned(turn).moved((rng.normal(0, 0.01), 0.008 * k, rng.normal(0, 0.01))),
            ("main", "second", "third")[k % 3],
        )
        strip = box((0.15, 0.001, 0.05), (0, 0.0075, -0.08), 0.0003).turned(turn)
        model.add(strip.moved((0, 0.008 * k, 0)), "paper")
    return model
