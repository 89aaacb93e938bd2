"""Pictures and mirrors."""

from __future__ import annotations

import math

import numpy as np

from protocol.seeds import pick
from sim_server.backends.rooms.furniture.frames import frame, pane, ridge
from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import box, cylinder, revolve, rotation_x


def landscape_picture(rng: np.random.Generator) -> Model:
    """A framed landscape with sky, hills and a sun, with or without a mat."""
    width, height = rng.uniform(0.6, 1.0), rng.uniform(0.42, 0.68)
    model = Model(main="wood", paper="paper", sky="art_sky", hill="art_hill", near="art_near", sun="art_sun")
    frame(model, width, height, 0.035, 0.03, "main")
    border = 0.035 + (0.05 if rng.random() < 0.5 else 0.0)
    model.add(box((width - 0.06, height - 0.06, 0.012), (0, height / 2, -0.006), 0.001), "paper")
    inner_w, inner_h = width - 2 * border, height - 2 * border
    model.add(box((inner_w, inner_h, 0.004), (0, height / 2, 0.001), 0.0005), "sky")
    radius = rng.uniform(0.035, 0.06)
    disc = cylinder(radius, 0.003, (0, 0, 0), 20).turned(rotation_x(math.pi / 2))
    at = (rng.uniform(-0.3, 0.3) * inner_w, border + inner_h * rng.uniform(0.62, 0.78), 0.0025)
    model.add(disc.moved(at), "sun")
    for k, slot in enumerate(("hill", "near")):
        t = np.linspace(-0.5, 0.5, 9)
        top = inner_h * (0.42 - 0.18 * k + 0.09 * np.sin(t * rng.uniform(6, 11) + rng.uniform(0, 6)))
        model.add(ridge(t * inner_w, top, border, 0.0045 + 0.001 * k), slot)
    return model


def abstract_picture(rng: np.random.Generator) -> Model:
    """A canvas with a few bold rectangles and a disc."""
    width = rng.uniform(0.5, 0.85)
    height = width * rng.uniform(0.75, 1.2)
    model = Model(main="paper", a="art_hill", b="art_sun", c="art_near", d="art_sky", dark="dark")
    model.add(box((width, height, 0.028), (0, height / 2, 0), 0.003))
    z = 0.0145
    for k, slot in enumerate(("a", "b", "c", "d")):
        w, h = width * rng.uniform(0.2, 0.45), height * rng.uniform(0.2, 0.45)
        x = rng.uniform(-0.5, 0.5) * (width - w - 0.08)
        y = height / 2 + rng.uniform(-0.5, 0.5) * (height - h - 0.08)
        model.add(box((w, h, 0.002), (x, y, z + 0.0006 * k), 0.0003), slot)
    disc = cylinder(width * 0.12, 0.002, (0, 0, 0), 24).turned(rotation_x(math.pi / 2))
    model.add(disc.moved((width * rng.uniform(-0.25, 0.25), height * rng.uniform(0.35, 0.65), z + 0.0025)), "dark")
    return model


def framed_photos(rng: np.random.Generator) -> Model:
    """A group of three or four small frames, hung as one object."""
    model = Model(main="wood", paper="paper", a="art_hill", b="art_sky", c="art_near")
    size = rng.uniform(0.24, 0.3)
    columns = 2 if rng.random() < 0.5 else 3
    for row in range(2 if columns == 2 else 1):
        for column in range(columns):
            x, y = (column - (columns - 1) / 2) * (size + 0.06), row * (size * 1.2 + 0.06)
            one = Model()
            frame(one, size, size * 1.2, 0.02, 0.024, "main")
            one.add(box((size - 0.03, size * 1.2 - 0.03, 0.01), (0, size * 0.6, -0.004), 0.001), "paper")
            slot = pick(("a", "b", "c"), rng)
            one.add(box((size - 0.11, size * 1.2 - 0.12, 0.003), (0, size * 0.6, 0.002), 0.0005), slot)
            other = pick(("a", "b", "c"), rng)
            one.add(box((size - 0.11, (size * 1.2 - 0.12) * 0.4, 0.003), (0, size * 0.42, 0.0035), 0.0005), other)
            for part, name in one.parts:
                model.add(part.moved((x, y, 0)), name)
    return model


def framed_mirror(rng: np.random.Generator) -> Model:
    width, height = rng.uniform(0.5, 0.75), rng.uniform(0.7, 1.0)
    model = Model(main="wood", glass="mirror")
    frame(model, width, height, 0.04, 0.03, "main")
    model.add(box((width - 0.06, height - 0.06, 0.01), (0, height / 2, -0.001), 0.002))
    model.add(pane(width - 0.08, height - 0.08, (0, height / 2, 0.0045)), "glass")
    return model


def round_mirror(rng: np.random.Generator) -> Model:
    radius = rng.uniform(0.28, 0.38)
    model = Model(main="metal", glass="mirror")
    rim = revolve([(radius - 0.025, 0), (radius, 0), (radius, 0.03), (radius - 0.025, 0.03), (radius - 0.025, 0)], 36)
    model.add(rim.turned(rotation_x(math.pi / 2)).moved((0, radius, -0.015)))
    glass = revolve([(radius - 0.024, 0), (0, 0)], 36)
    model.add(cylinder(radius - 0.015, 0.012, (0, 0, 0), 36).turned(rotation_x(math.pi / 2)).moved((0, radius, -0.012)))
    model.add(glass.turned(rotation_x(math.pi / 2)).moved((0, radius, 0.001)), "glass")
    return model
