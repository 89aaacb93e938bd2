"""Bookshelves, wardrobes and wall shelves."""

from __future__ import annotations

import numpy as np

from protocol.seeds import pick
from sim_server.backends.rooms.furniture.frames import frame
from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import box, cylinder, raised_panel, rotation_y, sphere, tube


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
    width, depth, height = rng.uniform(0.5, 1.3), rng.uniform(0.24, 0.38), rng.uniform(0.75, 2.2)
    shelves = max(2, round(height / rng.uniform(0.32, 0.42)))
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
    columns, rows = int(rng.integers(1, 5)), int(rng.integers(2, 6))
    cell, depth, board = rng.uniform(0.31, 0.38), rng.uniform(0.3, 0.39), rng.uniform(0.02, 0.04)
    width, height = columns * cell + board, rows * cell + board
    model = Model(main="wood", second="wood", book_a="book_a", book_b="book_b", book_c="book_c")
    model.add(box((width - 0.02, height - 0.02, 0.012), (0, height / 2, -depth / 2 + 0.01), 0.002))
    for k in range(columns + 1):
        model.add(box((board, height, depth), (-width / 2 + board / 2 + k * cell, height / 2, 0), 0.004))
    for k in range(rows + 1):
        model.add(box((width - 0.01, board, depth - 0.006), (0, board / 2 + k * cell, 0), 0.004))
    for row in range(rows):
        for column in range(columns):
            if rng.random() < 0.55:
                x = -width / 2 + board + column * cell
                _books(model, rng, board + row * cell, cell - board, x, x + cell - board, depth)
    model.surface(height, width, depth, 0.4)
    return model


def ladder_shelf(rng: np.random.Generator) -> Model:
    """Shelves that get shallower upwards, between two leaning ladders."""
    width, depth, height = rng.uniform(0.5, 0.9), rng.uniform(0.34, 0.46), rng.uniform(1.3, 2.0)
    model = Model(main="wood", second="wood", book_a="book_a", book_b="book_b", book_c="book_c")
    lean = depth - 0.1
    for x in (-1, 1):
        at = x * (width / 2 - 0.015)
        model.add(tube([(at, 0, depth / 2 - 0.02), (at, height, depth / 2 - 0.02 - lean)], 0.02, 6))
        model.add(box((0.03, height - 0.02, 0.03), (at, height / 2 - 0.01, -depth / 2 + 0.015), 0.004))
    levels = np.linspace(0.12, height - 0.12, max(3, round(height / 0.4)))
    for k, y in enumerate(levels.tolist()):
        deep = depth - 0.05 - lean * y / height
        model.add(box((width - 0.05, 0.024, deep), (0, y, -(depth - deep) / 2), 0.004), "second")
        if k < len(levels) - 1 and rng.random() < 0.75:
            first = len(model.parts)
            _books(model, rng, y + 0.012, 0.3, -width / 2 + 0.06, width / 2 - 0.06, deep)
            moved = [(part.moved((0, 0, -(depth - deep) / 2 + 0.02)), slot) for part, slot in model.parts[first:]]
            model.parts[first:] = moved
    return model


def metal_shelf(rng: np.random.Generator) -> Model:
    """Boards on a square metal frame, open at the back, with crossed struts."""
    width, depth, height = rng.uniform(0.6, 1.4), rng.uniform(0.28, 0.42), rng.uniform(0.85, 2.05)
    model = Model(main="wood", second="metal", book_a="book_a", book_b="book_b", book_c="book_c")
    for x in (-1, 1):
        for z in (-1, 1):
            at = (x * (width / 2 - 0.014), height / 2, z * (depth / 2 - 0.014))
            model.add(box((0.028, height, 0.028), at, 0.003), "second")
        ends = [
            (-x * (width / 2 - 0.02), 0.15, -depth / 2 + 0.01),
            (x * (width / 2 - 0.02), height - 0.1, -depth / 2 + 0.01),
        ]
        model.add(tube(ends, 0.006, 4), "second")
    levels = np.linspace(0.1, height - 0.015, max(3, round(height / 0.4) + 1))
    for k, y in enumerate(levels.tolist()):
        model.add(box((width - 0.004, 0.03, depth - 0.004), (0, y, 0), 0.004))
        if k < len(levels) - 1 and rng.random() < 0.75:
            _books(model, rng, y + 0.015, levels[1] - levels[0] - 0.04, -width / 2 + 0.05, width / 2 - 0.05, depth)
    model.surface(height, width, depth, 0.4)
    return model


def wardrobe(rng: np.random.Generator) -> Model:
    """A tall cupboard with one to six doors and long handles."""
    doors = int(rng.integers(1, 7))
    width, depth, height = doors * rng.uniform(0.4, 0.52), rng.uniform(0.5, 0.66), rng.uniform(1.75, 2.3)
    width = max(width, 0.5)
    model = Model(main="wood", second="wood", detail="metal", dark="dark")
    model.add(box((width, height - 0.08, depth), (0, height / 2 + 0.04, 0)))
    model.add(box((width - 0.06, 0.09, depth - 0.06), (0, 0.045, 0)), "dark")
    model.add(box((width + 0.04, 0.05, depth + 0.03), (0, height - 0.025, 0.0)))
    for x in (-1, 1):  # framed sides, so that it is recognised from there
        model.add(box((0.012, height - 0.3, depth - 0.14), (x * (width / 2 + 0.004), height / 2 + 0.02, 0)), "second")
    panel = (width - 0.03) / doors
    for k in range(doors):
        x = -width / 2 + 0.015 + panel * (k + 0.5)
        model.add(box((panel - 0.014, height - 0.2, 0.02), (x, height / 2 + 0.02, depth / 2 + 0.006), 0.006), "second")
        side = 1 if k % 2 == 0 else -1
        model.add(box((0.018, 0.32, 0.03), (x + side * panel * 0.38, height * 0.52, depth / 2 + 0.025)), "detail")
    return model


def sliding_wardrobe(rng: np.random.Generator) -> Model:
    """A tall cupboard with two or three sliding doors between metal profiles."""
    doors = int(rng.integers(2, 4))
    width, depth, height = doors * rng.uniform(0.6, 1.0), rng.uniform(0.55, 0.68), rng.uniform(1.8, 2.35)
    model = Model(main="wood", second="lacquer", detail="metal", dark="dark")
    model.add(box((width, height - 0.05, depth - 0.04), (0, height / 2 + 0.025, -0.02)))
    model.add(box((width - 0.04, 0.06, depth - 0.08), (0, 0.03, -0.02)), "dark")
    wide, tall = width / doors + 0.01, height - 0.12
    for k in range(doors):
        x, z = (k - (doors - 1) / 2) * (width - wide) / max(doors - 1, 1), depth / 2 - 0.04 + 0.022 * (k % 2)
        model.add(box((wide, tall, 0.02), (x, height / 2 + 0.02, z), 0.002), "second" if k % 2 else "main")
        for y in (0.36, 0.66):
            model.add(box((wide - 0.03, 0.012, 0.026), (x, height * y, z)), "detail")
        for side in (-1, 1):
            model.add(box((0.03, tall, 0.026), (x + side * (wide - 0.026) / 2, height / 2 + 0.02, z + 0.004)), "detail")
    return model


def panelled_wardrobe(rng: np.random.Generator) -> Model:
    """A country wardrobe: panelled doors over a drawer, a cornice, feet."""
    width, depth, height = rng.uniform(0.8, 1.5), rng.uniform(0.48, 0.62), rng.uniform(1.65, 2.1)
    model = Model(main="wood", second="wood", detail="brass")
    model.add(box((width, height - 0.12, depth), (0, height / 2 + 0.03, 0)))
    model.add(box((width + 0.08, 0.06, depth + 0.05), (0, height - 0.03, 0.01), 0.015), "second")
    for x in (-1, 1):
        for z in (-1, 1):
            model.add(cylinder(0.03, 0.1, (x * (width / 2 - 0.06), 0, z * (depth / 2 - 0.06)), 10, 0.045), "second")
        panel = width / 2 - 0.05
        for low, high in ((0.42, 1.08), (1.12, height - 0.12)):
            front = raised_panel(panel, high - low, (0, 0, 0), 0.018, 0.035)
            model.add(front.moved((x * width / 4, (low + high) / 2, depth / 2)), "second")
            side = raised_panel(depth - 0.12, high - low, (0, 0, 0), 0.014, 0.03).turned(rotation_y(x * np.pi / 2))
            model.add(side.moved((x * width / 2, (low + high) / 2, 0)), "second")
        model.add(sphere(0.016, (x * 0.035, 1.05, depth / 2 + 0.02), 10), "detail")
        model.add(sphere(0.016, (x * width / 4, 0.26, depth / 2 + 0.02), 10), "detail")
    model.add(raised_panel(width - 0.1, 0.22, (0, 0.26, depth / 2), 0.014), "second")
    return model


def wall_shelf(rng: np.random.Generator) -> Model:
    """A board on two brackets."""
    width, depth = rng.uniform(0.4, 1.3), rng.uniform(0.15, 0.28)
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
    width, height, depth = rng.uniform(0.4, 1.1), rng.uniform(0.22, 0.4), rng.uniform(0.18, 0.26)
    model = Model(main="wood", second="wood")
    frame(model, width, height, 0.022, depth, "main")
    model.add(box((0.02, height - 0.044, depth - 0.01), (rng.uniform(-0.15, 0.15) * width, height / 2, 0), 0.003))
    model.add(box((width - 0.03, height - 0.03, 0.008), (0, height / 2, -depth / 2 + 0.006), 0.002), "second")
    model.surface(height, width, depth, 0.4)
    return model


def tiered_shelf(rng: np.random.Generator) -> Model:
    """Two boards, one above the other, between side panels; both carry small objects."""
    width, depth, gap = rng.uniform(0.45, 1.0), rng.uniform(0.18, 0.26), rng.uniform(0.24, 0.34)
    model = Model(main="wood", second="metal")
    for x in (-1, 1):
        model.add(box((0.02, gap + 0.1, depth), (x * (width / 2 - 0.01), gap / 2 + 0.05, 0), 0.003))
    for y in (0.03, gap + 0.03):
        model.add(box((width - 0.05, 0.022, depth - 0.01), (0, y, 0), 0.003))
    rail = [(x * (width / 2 - 0.02), gap + 0.08, depth / 2 - 0.02) for x in (-1, 1)]
    model.add(tube(rail, 0.006, 6), "second")
    model.surface(gap + 0.041, width - 0.05, depth - 0.04, 0.4, -0.01)
    model.surface(0.041, width - 0.05, depth - 0.01, gap - 0.05)
    return model
