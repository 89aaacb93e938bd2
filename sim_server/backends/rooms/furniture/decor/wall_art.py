"""Pictures and mirrors."""

from __future__ import annotations

import math

import numpy as np

from sim_server.backends.rooms.furniture.frames import frame, pane, ridge
from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import box, cylinder, revolve, rotation_x, rotation_z, tube


def landscape_picture(rng: np.random.Generator) -> Model:
    """A framed landscape with sky, hills and a sun, with or without a mat."""
    width, height = rng.uniform(0.45, 1.3), rng.uniform(0.36, 0.75)
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
    width = rng.uniform(0.36, 0.95)
    height = width * rng.uniform(0.65, 1.35)
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


def photo(rng: np.random.Generator) -> Model:
    """A small framed photograph of two tones with a wide mat, upright or across."""
    size, ratio = rng.uniform(0.18, 0.4), rng.uniform(1.15, 1.4)
    width, height = (size, size * ratio) if rng.random() < 0.7 else (size * ratio, size)
    model = Model(main="wood", paper="paper", a="art_hill", b="art_sky")
    frame(model, width, height, 0.02, 0.024, "main")
    model.add(box((width - 0.03, height - 0.03, 0.01), (0, height / 2, -0.004), 0.001), "paper")
    border = rng.uniform(0.05, 0.09) * 2
    model.add(box((width - border, height - border, 0.003), (0, height / 2, 0.002), 0.0005), "a")
    low = (height - border) * rng.uniform(0.3, 0.6)
    model.add(box((width - border, low, 0.003), (0, border / 2 + low / 2, 0.0035), 0.0005), "b")
    return model


def portrait(rng: np.random.Generator) -> Model:
    """A head and shoulders before a plain ground in a broad frame."""
    width = rng.uniform(0.34, 0.7)
    height, bar = width * rng.uniform(1.2, 1.45), rng.uniform(0.03, 0.06)
    model = Model(main="wood" if rng.random() < 0.5 else "brass", ground="art_near", face="card", dress="art_hill")
    frame(model, width, height, bar, 0.035, "main")
    inner_w, inner_h = width - 2 * bar + 0.01, height - 2 * bar + 0.01
    model.add(box((inner_w, inner_h, 0.012), (0, height / 2, -0.006), 0.001), "ground")
    t = np.linspace(-0.5, 0.5, 9)
    top = inner_h * (0.06 + 0.3 * np.sqrt(np.clip(1 - (2.1 * t) ** 2, 0, 1)))
    model.add(ridge(t * inner_w, top, bar, 0.001), "dress")
    disc = cylinder(1.0, 0.002, (0, 0, 0), 20).turned(rotation_x(math.pi / 2))
    head = disc._replace(positions=disc.positions * np.array([inner_w * 0.15, inner_w * 0.2, 1], np.float32))
    model.add(head.moved((0, bar + inner_h * 0.56, 0.001)), "face")
    return model


def poster(rng: np.random.Generator) -> Model:
    """An unframed sheet between two wooden bars, with stripes, arcs or a grid."""
    width = rng.uniform(0.35, 0.8)
    height = width * rng.uniform(1.3, 1.6)
    model = Model(main="paper", second="wood", a="art_sun", b="art_hill", c="art_near")
    model.add(box((width, height, 0.004), (0, height / 2, -0.004), 0.001))
    for y in (0.012, height - 0.012):
        model.add(box((width + 0.03, 0.024, 0.02), (0, y, 0), 0.004), "second")
    style, z = int(rng.integers(3)), 0.0
    if style == 0:
        count = int(rng.integers(3, 7))
        for k in range(count):
            y = height * (0.14 + 0.72 * (k + 0.5) / count)
            model.add(box((width * 0.8, height * 0.5 / count, 0.002), (0, y, z), 0.0005), "abc"[k % 3])
    elif style == 1:
        for k in range(3):
            disc = cylinder(width * (0.36 - 0.1 * k), 0.002, (0, 0, 0), 24).turned(rotation_x(math.pi / 2))
            model.add(disc.moved((0, height * (0.45 + 0.05 * k), z + 0.001 * k)), "abc"[k])
    else:
        for row in range(4):
            for column in range(3):
                at = ((column - 1) * width * 0.27, height * (0.2 + 0.2 * row), z)
                model.add(box((width * 0.2, height * 0.13, 0.002), at, 0.0005), "abc"[int(rng.integers(3))])
    return model


def botanical(rng: np.random.Generator) -> Model:
    """A thin frame with a drawing of a leafy twig on white."""
    width = rng.uniform(0.28, 0.6)
    height = width * rng.uniform(1.25, 1.5)
    model = Model(main="wood", paper="paper", leaf="leaf")
    frame(model, width, height, 0.018, 0.022, "main")
    model.add(box((width - 0.03, height - 0.03, 0.01), (0, height / 2, -0.004), 0.001), "paper")
    model.add(box((0.008, height * 0.6, 0.002), (0, height * 0.46, 0.002), 0.0005), "leaf")
    pairs = int(rng.integers(3, 6))
    disc = cylinder(1.0, 0.002, (0, 0, 0), 12).turned(rotation_x(math.pi / 2))
    for k in range(pairs):
        long = width * (0.22 - 0.025 * k)
        leaf = disc._replace(positions=disc.positions * np.array([long, long * 0.36, 1], np.float32))
        for x in (-1, 1):
            at = (x * long * 0.85, height * (0.28 + 0.52 * k / pairs), 0.001)
            model.add(leaf.turned(rotation_z(x * 0.6)).moved(at), "leaf")
    return model


def framed_mirror(rng: np.random.Generator) -> Model:
    width, height = rng.uniform(0.36, 0.85), rng.uniform(0.5, 1.2)
    model = Model(main="wood", glass="mirror")
    frame(model, width, height, 0.04, 0.03, "main")
    model.add(box((width - 0.06, height - 0.06, 0.01), (0, height / 2, -0.001), 0.002))
    model.add(pane(width - 0.08, height - 0.08, (0, height / 2, 0.0045)), "glass")
    return model


def round_mirror(rng: np.random.Generator) -> Model:
    radius = rng.uniform(0.2, 0.46)
    model = Model(main="metal", glass="mirror")
    rim = revolve([(radius - 0.025, 0), (radius, 0), (radius, 0.03), (radius - 0.025, 0.03), (radius - 0.025, 0)], 36)
    model.add(rim.turned(rotation_x(math.pi / 2)).moved((0, radius, -0.015)))
    glass = revolve([(radius - 0.024, 0), (0, 0)], 36)
    model.add(cylinder(radius - 0.015, 0.012, (0, 0, 0), 36).turned(rotation_x(math.pi / 2)).moved((0, radius, -0.012)))
    model.add(glass.turned(rotation_x(math.pi / 2)).moved((0, radius, 0.001)), "glass")
    return model


def arched_mirror(rng: np.random.Generator) -> Model:
    """A tall mirror with a round top in a thin metal rim."""
    half = rng.uniform(0.2, 0.36)
    straight = half * rng.uniform(0.9, 2.4)
    model = Model(main="metal", glass="mirror")
    turn = np.linspace(0, math.pi, 13)
    edge = [(half * math.cos(a), straight + half * math.sin(a)) for a in turn]
    path = [(-half, 0.012, 0.0), (half, 0.012, 0.0), *((x, y, 0.0) for x, y in edge), (-half, 0.012, 0.0)]
    model.add(tube(path, 0.012, 6))
    x = np.array([p[0] for p in edge[::-1]])
    model.add(ridge(x, np.array([p[1] for p in edge[::-1]]) - 0.012, 0.012, 0.002), "glass")
    model.add(box((2 * half - 0.02, straight, 0.01), (0, straight / 2 + 0.01, -0.006), 0.002))
    disc = cylinder(half - 0.01, 0.01, (0, 0, 0), 24).turned(rotation_x(math.pi / 2))
    model.add(disc.moved((0, straight, -0.011)))
    return model
