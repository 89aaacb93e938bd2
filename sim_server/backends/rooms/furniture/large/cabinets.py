"""Cabinets and dressers."""

from __future__ import annotations

import numpy as np

from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import box, cylinder, raised_panel, rotation_x, tube


def cabinet(rng: np.random.Generator) -> Model:
    """A closed sideboard with doors and knobs."""
    width, depth, height = rng.uniform(0.6, 1.7), rng.uniform(0.34, 0.5), rng.uniform(0.6, 1.15)
    doors = max(2, round(width / rng.uniform(0.38, 0.55)))
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
    width, depth, height = rng.uniform(1.1, 2.0), rng.uniform(0.36, 0.48), rng.uniform(0.5, 0.9)
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


def display_cabinet(rng: np.random.Generator) -> Model:
    """A tall cabinet on legs: framed doors with panes of frosted glass above, wooden doors below."""
    width, depth, height = rng.uniform(0.6, 1.1), rng.uniform(0.34, 0.44), rng.uniform(1.2, 1.85)
    model = Model(main="wood", second="wood", glass="pane", detail="metal")
    leg, split = rng.uniform(0.06, 0.14), height * rng.uniform(0.35, 0.5)
    model.add(box((width, height - leg, depth), (0, (height + leg) / 2, 0), 0.008))
    model.add(box((width + 0.04, 0.03, depth + 0.03), (0, height - 0.015, 0), 0.008), "second")
    for x in (-1, 1):
        for z in (-1, 1):
            model.add(cylinder(0.018, leg, (x * (width / 2 - 0.05), 0, z * (depth / 2 - 0.05)), 8, 0.024), "second")
        door, at = width / 2 - 0.02, x * width / 4
        for low, high in ((leg + 0.02, split), (split + 0.015, height - 0.05)):
            model.add(box((door, high - low, 0.02), (at, (low + high) / 2, depth / 2 + 0.008), 0.004), "second")
        inner = height - 0.05 - split - 0.115
        pane = (door - 0.1, inner, 0.006)
        model.add(box(pane, (at, split + 0.0575 + inner / 2 + 0.015, depth / 2 + 0.018), 0.001), "glass")
        for y in (leg + (split - leg) * 0.75, split + inner * 0.4):
            model.add(box((0.014, 0.1, 0.022), (x * 0.03, y, depth / 2 + 0.024), 0.004), "detail")
    return model


def tall_cabinet(rng: np.random.Generator) -> Model:
    """A narrow cabinet with two panelled doors, one above the other, on a plinth."""
    width, depth, height = rng.uniform(0.36, 0.6), rng.uniform(0.32, 0.45), rng.uniform(1.2, 1.8)
    model = Model(main="wood", second="wood", detail="metal", dark="dark")
    model.add(box((width, height - 0.06, depth), (0, height / 2 + 0.03, 0), 0.008))
    model.add(box((width - 0.05, 0.07, depth - 0.05), (0, 0.035, 0)), "dark")
    split = height * rng.uniform(0.45, 0.62)
    for low, high in ((0.08, split), (split, height - 0.02)):
        tall, y = high - low - 0.02, (low + high) / 2
        model.add(box((width - 0.02, tall, 0.018), (0, y, depth / 2 + 0.006), 0.004), "second")
        model.add(raised_panel(width - 0.12, tall - 0.12, (0, y, depth / 2 + 0.015), 0.01, 0.025), "second")
        model.add(box((0.014, 0.09, 0.024), (width / 2 - 0.04, y, depth / 2 + 0.024), 0.004), "detail")
    return model


def dresser(rng: np.random.Generator) -> Model:
    """A chest of drawers with handles, in one or two columns."""
    columns, rows = int(rng.integers(1, 3)), int(rng.integers(3, 6))
    width, depth = rng.uniform(0.5, 0.9) if columns == 1 else rng.uniform(1.0, 1.8), rng.uniform(0.38, 0.52)
    height = rng.uniform(0.2, 0.26) * rows + 0.1
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


def legged_dresser(rng: np.random.Generator) -> Model:
    """Two or three rows of drawers with knobs, on slanted legs."""
    width, depth, rows = rng.uniform(0.7, 1.6), rng.uniform(0.38, 0.5), int(rng.integers(2, 4))
    leg = rng.uniform(0.15, 0.25)
    height = leg + 0.04 + rng.uniform(0.19, 0.24) * rows
    model = Model(main="wood", second="wood", detail="brass")
    model.add(box((width, height - leg, depth), (0, (height + leg) / 2, 0)))
    for x in (-1, 1):
        for z in (-1, 1):
            top = (x * (width / 2 - 0.1), leg + 0.01, z * (depth / 2 - 0.08))
            model.add(tube([(x * (width / 2 - 0.04), 0, z * (depth / 2 - 0.03)), top], 0.018, 6), "second")
    cell_w, cell_h = (width - 0.03) / 2, (height - leg - 0.03) / rows
    for row in range(rows):
        for x in (-1, 1):
            at = (x * cell_w / 2, leg + 0.015 + cell_h * (row + 0.5), depth / 2 + 0.006)
            model.add(box((cell_w - 0.014, cell_h - 0.014, 0.018), at, 0.005), "second")
            for side in (-1, 1):
                knob = cylinder(0.013, 0.022, (0, 0, 0), 8).turned(rotation_x(np.pi / 2))
                model.add(knob.moved((at[0] + side * cell_w * 0.25, at[1], depth / 2 + 0.014)), "detail")
    model.surface(height, width, depth, 0.8)
    return model


def tall_dresser(rng: np.random.Generator) -> Model:
    """A narrow stack of five to seven flat drawers with a cornice."""
    width, depth, rows = rng.uniform(0.47, 0.64), rng.uniform(0.36, 0.46), int(rng.integers(5, 8))
    height = 0.1 + rng.uniform(0.16, 0.19) * rows
    model = Model(main="wood", second="wood", detail="metal")
    model.add(box((width, height - 0.02, depth), (0, (height - 0.02) / 2, 0)))
    model.add(box((width + 0.05, 0.03, depth + 0.04), (0, height - 0.015, 0.005), 0.01), "second")
    cell = (height - 0.09) / rows
    for row in range(rows):
        y = 0.06 + cell * (row + 0.5)
        model.add(box((width - 0.05, cell - 0.016, 0.018), (0, y, depth / 2 + 0.006), 0.005), "second")
        model.add(box((0.1, 0.014, 0.02), (0, y + cell * 0.2, depth / 2 + 0.02), 0.004), "detail")
    model.surface(height, width, depth, 0.6)
    return model


def bathroom_cabinet(rng: np.random.Generator) -> Model:
    """A low cabinet with drawers and a worktop that carries a washbasin."""
    width, depth, height = rng.uniform(0.5, 1.2), rng.uniform(0.46, 0.54), rng.uniform(0.68, 0.78)
    model = Model(main="lacquer", second="stone", detail="metal", dark="dark")
    model.add(box((width - 0.02, height - 0.13, depth - 0.04), (0, height / 2 + 0.05, -0.01)))
    model.add(box((width - 0.08, 0.12, depth - 0.12), (0, 0.06, -0.03)), "dark")
    model.add(box((width, 0.03, depth), (0, height - 0.015, 0), 0.004), "second")
    columns, tall = (1, 2)[width > 0.8], (height - 0.17) / 2
    for column in range(columns):
        x = (column - (columns - 1) / 2) * (width - 0.02) / columns
        for row in range(2):
            y = 0.13 + tall * (row + 0.5)
            front = ((width - 0.02) / columns - 0.01, tall - 0.012, 0.018)
            model.add(box(front, (x, y, depth / 2 - 0.022), 0.003))
            model.add(box((0.16, 0.014, 0.022), (x, y + 0.06, depth / 2 - 0.006), 0.004), "detail")
    model.surface(height, width, depth, 0.5, holds="washbasin")
    for side in (-1, 1):
        if (rest := (width - 0.44) / 2) > 0.16:
            model.surface(height, rest, depth, 0.4, x_m=side * (width - rest) / 2)
    return model
