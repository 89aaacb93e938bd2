"""What hangs on walls or at windows. A model's foot is at 0 and its back at its least z: hang it."""

from __future__ import annotations

import math

import numpy as np

from protocol.seeds import pick
from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import Part, box, cylinder, joined, revolve, rotation_x, rotation_z, sphere, tube


def _frame(model: Model, width: float, height: float, bar: float, depth: float, slot: str) -> None:
    for y in (bar / 2, height - bar / 2):
        model.add(box((width, bar, depth), (0, y, 0), 0.004), slot)
    for x in (-1, 1):
        model.add(box((bar, height - 2 * bar, depth), (x * (width - bar) / 2, height / 2, 0), 0.004), slot)


def landscape_picture(rng: np.random.Generator) -> Model:
    """Sky, hills and a sun in a frame, with or without a passe-partout."""
    width, height = rng.uniform(0.6, 1.0), rng.uniform(0.42, 0.68)
    model = Model(main="wood", paper="paper", sky="art_sky", hill="art_hill", near="art_near", sun="art_sun")
    _frame(model, width, height, 0.035, 0.03, "main")
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
        model.add(_ridge(t * inner_w, top, border, 0.0045 + 0.001 * k), slot)
    return model


def _ridge(x: np.ndarray, top: np.ndarray, low: float, z: float) -> Part:
    """A flat shape from `low` up to a ridge line, facing +z."""
    count = len(x)
    positions = np.zeros((2 * count, 3), np.float32)
    positions[:count] = np.stack([x, np.full(count, low), np.full(count, z)], 1)
    positions[count:] = np.stack([x, low + top, np.full(count, z)], 1)
    k = np.arange(count - 1)
    faces = np.concatenate([np.stack([k, k + 1, k + 1 + count], 1), np.stack([k, k + 1 + count, k + count], 1)])
    normals = np.tile(np.array([0, 0, 1], np.float32), (2 * count, 1))
    return Part(positions, normals, positions[:, :2].copy(), faces.astype(np.int32))


def pane(width: float, height: float, at: tuple[float, float, float]) -> Part:
    """A flat rectangle about `at` that faces +z."""
    flat = _ridge(np.array([-width / 2, width / 2]), np.full(2, height), -height / 2, 0.0)
    return flat.moved(at)


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


def framed_mirror(rng: np.random.Generator) -> Model:
    width, height = rng.uniform(0.5, 0.75), rng.uniform(0.7, 1.0)
    model = Model(main="wood", glass="mirror")
    _frame(model, width, height, 0.04, 0.03, "main")
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


def clock(rng: np.random.Generator) -> Model:
    """A round wall clock with twelve marks and two hands."""
    radius = rng.uniform(0.14, 0.19)
    model = Model(main="clock", paper="paper", dark="dark")
    rim = [(0, 0), (radius, 0), (radius, 0.035), (radius - 0.018, 0.04), (radius - 0.018, 0.022), (0, 0.022)]
    model.add(revolve(rim, 32).turned(rotation_x(math.pi / 2)).moved((0, radius, 0)))
    face = cylinder(radius - 0.017, 0.003, (0, 0, 0), 32).turned(rotation_x(math.pi / 2))
    model.add(face.moved((0, radius, 0.021)), "paper")
    for k in range(12):
        mark = box((0.008, 0.024, 0.003), (0, radius - 0.04, 0), 0.001).turned(rotation_z(k * math.pi / 6))
        model.add(mark.moved((0, radius, 0.025)), "dark")
    for length, wide in ((radius * 0.45, 0.012), (radius * 0.68, 0.008)):
        hand = box((wide, length, 0.003), (0, length / 2 - 0.01, 0), 0.001).turned(rotation_z(rng.uniform(0, 6.28)))
        model.add(hand.moved((0, radius, 0.028)), "dark")
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
    _frame(model, width, height, 0.022, depth, "main")
    model.add(box((0.02, height - 0.044, depth - 0.01), (rng.uniform(-0.15, 0.15) * width, height / 2, 0), 0.003))
    model.add(box((width - 0.03, height - 0.03, 0.008), (0, height / 2, -depth / 2 + 0.006), 0.002), "second")
    model.surface(height, width, depth, 0.4)
    return model


def curtain(rng: np.random.Generator, width_m: float = 0.0, height_m: float = 0.0) -> Model:
    """A rod with a cloth drawn to either side of the window, from the rod down to the foot."""
    width, height = width_m or rng.uniform(1.6, 2.4), height_m or rng.uniform(1.9, 2.2)
    model = Model(main="curtain", second="metal")
    rod = height - 0.03
    model.add(tube([(-width / 2, rod, 0.03), (width / 2, rod, 0.03)], 0.012, 8), "second")
    for x in (-1, 1):
        model.add(sphere(0.025, (x * width / 2, rod, 0.03), 10), "second")
        model.add(tube([(x * width * 0.46, rod, 0.03), (x * width * 0.46, rod, -0.05)], 0.008, 6), "second")
    cloth = width * rng.uniform(0.15, 0.19)
    for x in (-1, 1):
        model.add(
            drape(cloth, 0.0, height - 0.045, rng.uniform(0, 6.28)).moved((x * (width / 2 - cloth / 2 - 0.04), 0, 0.03))
        )
    return model


def drape(width: float, low: float, high: float, phase: float) -> Part:
    """A cloth with folds, both sides."""
    columns = 25
    t = np.linspace(0, 1, columns)
    angle = t * 2 * math.pi * 5 + phase
    positions = np.zeros((2, columns, 3), np.float32)
    normals = np.zeros((2, columns, 3), np.float32)
    slope = 0.028 * np.cos(angle) * 2 * math.pi * 5 / width
    for k, y in enumerate((low, high)):
        positions[k] = np.stack([(t - 0.5) * width, np.full(columns, y), 0.028 * np.sin(angle)], 1)
        normals[k] = np.stack([-slope, np.zeros(columns), np.ones(columns)], 1)
    normals /= np.linalg.norm(normals, axis=2, keepdims=True)
    uv = np.stack([np.broadcast_to(t * width * 1.6, (2, columns)), positions[..., 1]], -1).astype(np.float32)
    k = np.arange(columns - 1)
    faces = np.concatenate([np.stack([k, k + 1, k + 1 + columns], 1), np.stack([k, k + 1 + columns, k + columns], 1)])
    front = Part(positions.reshape(-1, 3), normals.reshape(-1, 3), uv.reshape(-1, 2), faces.astype(np.int32))
    behind = front._replace(
        normals=-front.normals,
        faces=front.faces[:, ::-1],
        positions=front.positions - np.array([0, 0, 0.004], np.float32),
    )
    return joined([front, behind])


def radiator(rng: np.random.Generator, width_m: float = 0.0) -> Model:
    """A ribbed panel with a valve, on two feet."""
    width, height = width_m or rng.uniform(0.7, 1.3), rng.uniform(0.52, 0.62)
    model = Model(main="enamel", detail="metal")
    ribs = max(4, round(width / 0.08))
    for k in range(ribs):
        x = -width / 2 + width / ribs * (k + 0.5)
        model.add(box((width / ribs - 0.016, height - 0.1, 0.075), (x, height / 2 + 0.05, 0), 0.02))
    for y in (0.16, height - 0.06):
        model.add(box((width - 0.02, 0.035, 0.05), (0, y, 0), 0.01))
    for x in (-1, 1):
        model.add(box((0.03, 0.12, 0.05), (x * (width / 2 - 0.12), 0.06, 0)), "detail")
    return model


def towel(rng: np.random.Generator) -> Model:
    """A towel folded over a rail."""
    width, height = rng.uniform(0.42, 0.6), rng.uniform(0.5, 0.62)
    model = Model(main="curtain", second="metal")
    y = height
    model.add(tube([(-width / 2 - 0.06, y, 0.03), (width / 2 + 0.06, y, 0.03)], 0.01, 8), "second")
    for x in (-1, 1):
        model.add(tube([(x * (width / 2 + 0.05), y, 0.03), (x * (width / 2 + 0.05), y, -0.035)], 0.008, 6), "second")
    model.add(box((width, height, 0.014), (0, height / 2, 0.046), 0.006))
    model.add(box((width, height * 0.7, 0.014), (0, height * 0.65, 0.012), 0.006))
    model.add(box((width, 0.02, 0.05), (0, height + 0.008, 0.029), 0.009))
    return model


def square_clock(rng: np.random.Generator) -> Model:
    """A square wall clock with four marks, in wood."""
    side = rng.uniform(0.26, 0.34)
    model = Model(main="wood", paper="paper", dark="dark")
    _frame(model, side, side, 0.03, 0.035, "main")
    model.add(box((side - 0.05, side - 0.05, 0.012), (0, side / 2, -0.01), 0.001), "paper")
    for k in range(4):
        mark = box((0.012, 0.03, 0.003), (0, side * 0.34, 0), 0.001).turned(rotation_z(k * math.pi / 2))
        model.add(mark.moved((0, side / 2, -0.002)), "dark")
    for length, wide in ((side * 0.22, 0.014), (side * 0.33, 0.009)):
        hand = box((wide, length, 0.003), (0, length / 2 - 0.01, 0), 0.001).turned(rotation_z(rng.uniform(0, 6.28)))
        model.add(hand.moved((0, side / 2, 0.001)), "dark")
    return model


def roller_blind(rng: np.random.Generator, width_m: float = 0.0, height_m: float = 0.0) -> Model:
    """A blind on a roller with a bar at its end, drawn down by less than `height_m`: its foot is at 0 all the same."""
    width, drawn = width_m or rng.uniform(0.9, 1.6), rng.uniform(0.3, 0.4) * (height_m or 1.3)
    model = Model(main="curtain", second="metal")
    model.add(tube([(-width / 2, drawn - 0.03, 0.02), (width / 2, drawn - 0.03, 0.02)], 0.026, 10))
    model.add(box((width - 0.02, drawn - 0.04, 0.006), (0, (drawn - 0.04) / 2 + 0.01, 0.0), 0.002))
    model.add(box((width - 0.02, 0.025, 0.016), (0, 0.0125, 0.0), 0.005), "second")
    for x in (-1, 1):
        model.add(box((0.02, 0.07, 0.075), (x * width / 2, drawn - 0.03, 0.01), 0.004), "second")
    return model


def towel_ring(rng: np.random.Generator) -> Model:
    """A hand towel that hangs from a ring."""
    width, height, radius = rng.uniform(0.26, 0.34), rng.uniform(0.42, 0.52), 0.09
    model = Model(main="curtain", second="metal")
    y = height + 0.02
    ring = [(radius * math.sin(a), y + radius * math.cos(a), 0.03) for a in np.linspace(0, 2 * math.pi, 21)]
    model.add(tube(ring, 0.007, 6), "second")
    model.add(
        cylinder(0.026, 0.05, (0, 0, 0), 12).turned(rotation_x(math.pi / 2)).moved((0, y + radius, -0.02)), "second"
    )
    model.add(drape(width, 0.0, height - 0.05, rng.uniform(0, 6)).moved((0, 0, 0.03)))
    model.add(box((0.13, 0.09, 0.05), (0, height - 0.05, 0.03), 0.018))
    return model


def framed_photos(rng: np.random.Generator) -> Model:
    """A group of three or four small frames that hang as one."""
    model = Model(main="wood", paper="paper", a="art_hill", b="art_sky", c="art_near")
    size = rng.uniform(0.24, 0.3)
    columns = 2 if rng.random() < 0.5 else 3
    for row in range(2 if columns == 2 else 1):
        for column in range(columns):
            x, y = (column - (columns - 1) / 2) * (size + 0.06), row * (size * 1.2 + 0.06)
            one = Model()
            _frame(one, size, size * 1.2, 0.02, 0.024, "main")
            one.add(box((size - 0.03, size * 1.2 - 0.03, 0.01), (0, size * 0.6, -0.004), 0.001), "paper")
            slot = pick(("a", "b", "c"), rng)
            one.add(box((size - 0.11, size * 1.2 - 0.12, 0.003), (0, size * 0.6, 0.002), 0.0005), slot)
            other = pick(("a", "b", "c"), rng)
            one.add(box((size - 0.11, (size * 1.2 - 0.12) * 0.4, 0.003), (0, size * 0.42, 0.0035), 0.0005), other)
            for part, name in one.parts:
                model.add(part.moved((x, y, 0)), name)
    return model
