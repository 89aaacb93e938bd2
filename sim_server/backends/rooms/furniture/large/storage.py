"""Bookshelves, cabinets, dressers, wardrobes and wall shelves."""

from __future__ import annotations

import numpy as np

from protocol.seeds import pick
from sim_server.backends.rooms.furniture.frames import frame, pane
from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import box, cylinder, raised_panel, rotation_x, sphere, tube


def _books(
    model: Model, rng: np.random.Generator, y: float, free: float, x_min: float, x_max: float, depth: float
) -> None:
    """Add a row of books from the left, with occasional gaps."""
    x = x_min + rng.uniform(0.0, 0.08)
    end = x_max - rng.uniform(0.0, 0.3) * (x_max - x_min)
    while x < end - 0.05:
        thick = rng.uniform(0.025, 0.06)
        height = min(free - 0.03, rng.uniform(0.19, 0.28))
        deep = rng.uniform(0.6, 0.8) * depth
        slot = pick(("book_a", "book_b", "book_c"), rng)
        model.add(box((thick - 0.003, height, deep), (x + thick / 2, y + height / 2, -0.02), 0.003), slot)
        x += thick
        if rng.random() < 0.12:
            x += rng.uniform(0.05, 0.15)


def bookshelf(rng: np.random.Generator) -> Model:
    """An open case with shelves and books; back panel and boards have the main colour."""
    width, depth, height = rng.uniform(0.75, 1.1), rng.uniform(0.28, 0.36), rng.uniform(1.55, 2.05)
    shelves = int(rng.integers(4, 6))
    model = Model(main="wood", second="wood", book_a="book_a", book_b="book_b", book_c="book_c")
    for x in (-1, 1):
        model.add(box((0.03, height, depth), (x * (width / 2 - 0.015), height / 2, 0), 0.004))
    model.add(box((width - 0.04, height - 0.04, 0.012), (0, height / 2, -depth / 2 + 0.01), 0.002))
    step = (height - 0.09) / shelves
    for k in range(shelves + 1):
        y = 0.06 + k * step
        model.add(box((width - 0.05, 0.028, depth - 0.01), (0, y, 0), 0.004))
        if k < shelves and rng.random() < 0.8:
            _books(model, rng, y + 0.014, step - 0.03, -width / 2 + 0.04, width / 2 - 0.04, depth)
    model.surface(height, width, depth, 0.4)
    return model


def cube_shelf(rng: np.random.Generator) -> Model:
    """A grid of square compartments, some with books."""
    columns, rows = int(rng.integers(2, 4)), int(rng.integers(4, 6))
    cell, depth, board = rng.uniform(0.33, 0.37), 0.36, 0.03
    width, height = columns * cell + board, rows * cell + board
    model = Model(main="wood", second="wood", book_a="book_a", book_b="book_b", book_c="book_c")
    model.add(box((width - 0.02, height - 0.02, 0.012), (0, height / 2, -depth / 2 + 0.01), 0.002))
    for k in range(columns + 1):
        model.add(box((board, height, depth), (-width / 2 + board / 2 + k * cell, height / 2, 0), 0.004))
    for k in range(rows + 1):
        model.add(box((width - 0.01, board, depth - 0.006), (0, board / 2 + k * cell, 0), 0.004))
    for row in range(rows):
        for column in range(columns):
            if rng.random() < 0.6:
                x = -width / 2 + board + column * cell
                _books(model, rng, board + row * cell, cell - board, x, x + cell - board, depth)
    model.surface(height, width, depth, 0.4)
    return model


def cabinet(rng: np.random.Generator) -> Model:
    """A closed sideboard with doors and knobs."""
    width, depth, height = rng.uniform(0.9, 1.4), rng.uniform(0.4, 0.48), rng.uniform(0.75, 1.05)
    doors = int(rng.integers(2, 4)) if width > 1.1 else 2
    leg = rng.uniform(0.05, 0.15)
    model = Model(main="wood", second="wood", detail="metal", dark="dark")
    model.add(box((width, height - leg, depth), (0, (height + leg) / 2, 0), 0.008))
    for x in (-1, 1):
        for z in (-1, 1):
            at = (x * (width / 2 - 0.05), leg / 2, z * (depth / 2 - 0.05))
            model.add(box((0.04, leg, 0.04), at), "dark")
    panel = (width - 0.04) / doors
    for k in range(doors):
        x = -width / 2 + 0.02 + panel * (k + 0.5)
        at = (x, (height + leg) / 2, depth / 2 + 0.006)
        model.add(box((panel - 0.016, height - leg - 0.06, 0.02), at, 0.006), "second")
        side = 1 if k % 2 == 0 else -1
        knob = cylinder(0.018, 0.025, (0, 0, 0), 10).turned(rotation_x(np.pi / 2))
        model.add(knob.moved((x + side * panel * 0.36, height * 0.62, depth / 2 + 0.014)), "detail")
    model.surface(height, width, depth, 0.8)
    return model


def slatted_cabinet(rng: np.random.Generator) -> Model:
    """A low cabinet on a plinth: slatted doors at the sides with drawers between them."""
    width, depth, height = rng.uniform(1.2, 1.6), rng.uniform(0.4, 0.46), rng.uniform(0.68, 0.85)
    model = Model(main="wood", second="wood", dark="dark")
    model.add(box((width, height - 0.06, depth), (0, height / 2 + 0.03, 0), 0.008))
    model.add(box((width - 0.08, 0.07, depth - 0.06), (0, 0.035, 0)), "dark")
    third, tall = (width - 0.06) / 3, height - 0.14
    for side in (-1, 1):
        for x in np.linspace(-third / 2 + 0.03, third / 2 - 0.03, 9):
            model.add(
                box((0.022, tall, 0.02), (side * third + float(x), height / 2 + 0.03, depth / 2), 0.004), "second"
            )
    for k in range(3):
        at = (0, 0.1 + tall * (k + 0.5) / 3, depth / 2 + 0.004)
        model.add(box((third - 0.04, tall / 3 - 0.02, 0.02), at, 0.005), "second")
    model.surface(height, width, depth, 0.8)
    return model


def dresser(rng: np.random.Generator) -> Model:
    """A chest of drawers in one or two columns."""
    columns, rows = int(rng.integers(1, 3)), int(rng.integers(3, 5))
    width, depth = (rng.uniform(0.6, 0.85), 0.46) if columns == 1 else (rng.uniform(1.1, 1.45), 0.48)
    height = rng.uniform(0.78, 1.05)
    model = Model(main="wood", second="wood", detail="metal", dark="dark")
    model.add(box((width, height - 0.06, depth), (0, height / 2 + 0.03, 0)))
    model.add(box((width - 0.06, 0.07, depth - 0.06), (0, 0.035, 0)), "dark")
    cell_w, cell_h = (width - 0.04) / columns, (height - 0.1) / rows
    for row in range(rows):
        for column in range(columns):
            x = -width / 2 + 0.02 + cell_w * (column + 0.5)
            y = 0.08 + cell_h * (row + 0.5)
            model.add(box((cell_w - 0.018, cell_h - 0.018, 0.02), (x, y, depth / 2 + 0.006), 0.006), "second")
            model.add(box((0.14, 0.016, 0.022), (x, y, depth / 2 + 0.022), 0.005), "detail")
    model.surface(height, width, depth, 0.8)
    return model


def wardrobe(rng: np.random.Generator) -> Model:
    """A tall cupboard with two or three doors and long handles."""
    doors = int(rng.integers(2, 4))
    width, depth, height = doors * rng.uniform(0.48, 0.56), rng.uniform(0.56, 0.62), rng.uniform(1.9, 2.15)
    model = Model(main="wood", second="wood", detail="metal", dark="dark")
    model.add(box((width, height - 0.08, depth), (0, height / 2 + 0.04, 0)))
    model.add(box((width - 0.06, 0.09, depth - 0.06), (0, 0.045, 0)), "dark")
    model.add(box((width + 0.04, 0.05, depth + 0.03), (0, height - 0.025, 0.0)))
    panel = (width - 0.03) / doors
    for k in range(doors):
        x = -width / 2 + 0.015 + panel * (k + 0.5)
        model.add(box((panel - 0.014, height - 0.2, 0.02), (x, height / 2 + 0.02, depth / 2 + 0.006), 0.006), "second")
        side = 1 if k % 2 == 0 else -1
        model.add(box((0.018, 0.32, 0.03), (x + side * panel * 0.38, height * 0.52, depth / 2 + 0.025)), "detail")
    return model


def sliding_wardrobe(rng: np.random.Generator) -> Model:
    """A tall cupboard with two sliding doors, one of them mirrored."""
    width, depth, height = rng.uniform(1.2, 1.6), rng.uniform(0.58, 0.64), rng.uniform(1.95, 2.15)
    model = Model(main="wood", second="wood", glass="mirror", detail="metal", dark="dark")
    model.add(box((width, height - 0.05, depth - 0.04), (0, height / 2 + 0.025, -0.02)))
    model.add(box((width - 0.04, 0.06, depth - 0.08), (0, 0.03, -0.02)), "dark")
    for k, slot in enumerate(("second", "glass") if rng.random() < 0.5 else ("glass", "second")):
        x, z = (k - 0.5) * (width / 2 - 0.012), depth / 2 - 0.04 + 0.022 * k
        wide, tall = width / 2 + 0.01, height - 0.12
        model.add(box((wide, tall, 0.02), (x, height / 2 + 0.02, z), 0.002), "second")
        if slot == "glass":
            model.add(pane(wide - 0.06, tall, (x, height / 2 + 0.02, z + 0.011)), slot)
        for side in (-1, 1):
            model.add(box((0.03, tall, 0.026), (x + side * (wide - 0.03) / 2, height / 2 + 0.02, z + 0.004)), "detail")
    return model


def panelled_wardrobe(rng: np.random.Generator) -> Model:
    """A country wardrobe: panelled doors over a drawer, a cornice, feet."""
    width, depth, height = rng.uniform(0.95, 1.2), rng.uniform(0.54, 0.6), rng.uniform(1.85, 2.05)
    model = Model(main="wood", second="wood", detail="brass")
    model.add(box((width, height - 0.12, depth), (0, height / 2 + 0.03, 0)))
    model.add(box((width + 0.08, 0.06, depth + 0.05), (0, height - 0.03, 0.01), 0.015), "second")
    for x in (-1, 1):
        for z in (-1, 1):
            model.add(cylinder(0.03, 0.1, (x * (width / 2 - 0.06), 0, z * (depth / 2 - 0.06)), 10, 0.045), "second")
        panel = width / 2 - 0.05
        for low, high in ((0.42, 1.08), (1.12, height - 0.12)):
            model.add(
                raised_panel(panel, high - low, (x * width / 4, (low + high) / 2, depth / 2), 0.018, 0.035), "second"
            )
        model.add(sphere(0.016, (x * 0.035, 1.05, depth / 2 + 0.02), 10), "detail")
        model.add(sphere(0.016, (x * width / 4, 0.26, depth / 2 + 0.02), 10), "detail")
    model.add(raised_panel(width - 0.1, 0.22, (0, 0.26, depth / 2), 0.014), "second")
    return model


def wall_shelf(rng: np.random.Generator) -> Model:
    """A board on two brackets."""
    width, depth = rng.uniform(0.6, 1.1), rng.uniform(0.18, 0.25)
    model = Model(main="wood", second="metal")
    model.add(box((width, 0.03, depth), (0, 0.135, 0), 0.004))
    for x in (-1, 1):
        at = x * (width / 2 - 0.1)
        model.add(box((0.025, 0.12, 0.012), (at, 0.06, -depth / 2 + 0.006), 0.003), "second")
        model.add(tube([(at, 0.02, -depth / 2 + 0.01), (at, 0.115, depth * 0.28)], 0.007, 6), "second")
    model.surface(0.15, width, depth, 0.4)
    return model


def box_shelf(rng: np.random.Generator) -> Model:
    """An open box with one division."""
    width, height, depth = rng.uniform(0.6, 0.95), rng.uniform(0.28, 0.36), rng.uniform(0.2, 0.25)
    model = Model(main="wood", second="wood")
    frame(model, width, height, 0.022, depth, "main")
    model.add(box((0.02, height - 0.044, depth - 0.01), (rng.uniform(-0.15, 0.15) * width, height / 2, 0), 0.003))
    model.add(box((width - 0.03, height - 0.03, 0.008), (0, height / 2, -depth / 2 + 0.006), 0.002), "second")
    model.surface(height, width, depth, 0.4)
    return model
