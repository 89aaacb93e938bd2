"""Beds without pillows: those are objects of their own, placed on the first surface. The head is at -z."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sim_server.backends.rooms.furniture.model import Model
from sim_server.backends.rooms.mesh import box, cylinder, soft_box, tube

_HEAD_M = 0.5  # depth of the surface for pillows


class _Size(NamedTuple):
    width: float
    length: float


def _size(rng: np.random.Generator) -> _Size:
    """A mattress for a child, one adult or two."""
    kind = rng.random()
    if kind < 0.26:
        return _Size(rng.uniform(0.68, 0.8), rng.uniform(1.3, 1.65))
    if kind < 0.5:
        return _Size(rng.uniform(0.88, 1.2), rng.uniform(1.9, 2.05))
    return _Size(rng.uniform(1.35, 2.0), rng.uniform(1.95, 2.15))


def _bedding(model: Model, size: _Size, low: float, rng: np.random.Generator) -> None:
    """Add a mattress and a blanket in the main colour that leaves the head free."""
    width, length = size
    thick = rng.uniform(0.14, 0.28)
    top = low + thick
    model.add(soft_box((width, thick, length), (0, low + thick / 2, 0), 0.05), "linen")
    model.surface(top, width + 0.04, _HEAD_M + 0.04, 0.6, (_HEAD_M - length) / 2, holds="pillow")
    cover, over = length - _HEAD_M, rng.uniform(0.02, 0.05)
    hang = min(thick + 0.04, low + thick - 0.08)
    z = (length - cover) / 2 + 0.02
    model.add(soft_box((width + 0.04, hang + over, cover), (0, top + over - (hang + over) / 2, z), 0.04))
    model.surface(top + over, width - 0.1, cover - 0.15, 0.6, z)
    if rng.random() < 0.5:  # the sheet is folded back over the blanket
        model.add(soft_box((width + 0.05, 0.03, 0.2), (0, top + over + 0.005, z - cover / 2 + 0.1), 0.013), "linen")


def _posts(model: Model, size: _Size, side: float, heights: tuple[float, float], slot: str) -> None:
    """Four square posts, `heights` at the head and the foot."""
    for x in (-1, 1):
        for z, tall in zip((-1, 1), heights):
            at = (x * (size.width / 2 + 0.01), tall / 2, z * (size.length / 2 + side / 2 - 0.01))
            model.add(box((side, tall, side), at), slot)


def panel_bed(rng: np.random.Generator) -> Model:
    """A bed frame with a headboard: one board, or slats between posts."""
    size = _size(rng)
    width, length = size
    low = rng.uniform(0.2, 0.36)
    model = Model(main="fabric", second="wood", linen="linen")
    model.add(box((width + 0.06, 0.16, length + 0.02), (0, low - 0.02, 0), 0.02), "second")
    head, foot = rng.uniform(0.75, 1.2), low + rng.choice([0.06, 0.3])
    _posts(model, size, 0.07, (head, foot), "second")
    for z, tall in ((-1, head), (1, foot)):
        at = z * (length / 2 + 0.025)
        if rng.random() < 0.5 or tall < low + 0.2:
            model.add(box((width - 0.03, tall - low, 0.035), (0, (tall + low) / 2 - 0.02, at), 0.01), "second")
            continue
        model.add(box((width - 0.03, 0.08, 0.035), (0, tall - 0.06, at), 0.01), "second")
        for x in np.linspace(-width / 2 + 0.12, width / 2 - 0.12, max(3, round(width / 0.2))):
            model.add(box((0.045, tall - low - 0.06, 0.02), (float(x), (tall + low) / 2 - 0.05, at), 0.004), "second")
    _bedding(model, size, low + 0.02, rng)
    return model


def box_bed(rng: np.random.Generator) -> Model:
    """An upholstered box without legs; its headboard has vertical channels, is plain, or has wings."""
    size = _size(rng)
    width, length = size
    low, head = rng.uniform(0.24, 0.38), rng.uniform(0.85, 1.3)
    model = Model(main="fabric", linen="linen")
    model.add(soft_box((width + 0.06, low, length), (0, low / 2, 0.02), 0.03))
    style = int(rng.integers(3))
    wide = width + 0.06 + (rng.uniform(0.1, 0.3) if style == 1 else 0.0)
    count = int(rng.integers(3, 6)) if style == 0 else 1
    for k in range(count):
        x = (k - (count - 1) / 2) * wide / count
        model.add(soft_box((wide / count - 0.008, head, 0.12), (x, head / 2, -length / 2 - 0.03), 0.045))
    for x in (-1, 1) if style == 2 else ():
        model.add(soft_box((0.08, head, 0.24), (x * (width / 2 + 0.06), head / 2, -length / 2 + 0.06), 0.03))
    _bedding(model, _Size(width, length - 0.06), low - 0.01, rng)
    return model


def metal_bed(rng: np.random.Generator) -> Model:
    """Round bars at head and foot on thin legs."""
    size = _size(rng)
    width, length = size
    low, head = rng.uniform(0.26, 0.4), rng.uniform(0.8, 1.2)
    foot = low + rng.uniform(0.12, 0.4)
    model = Model(main="fabric", second="metal", linen="linen")
    for x in (-1, 1):
        model.add(box((0.03, 0.06, length), (x * (width / 2 - 0.01), low - 0.02, 0)), "second")
    model.add(box((width - 0.06, 0.02, length - 0.04), (0, low - 0.02, 0)), "second")
    for z, tall in ((-1, head), (1, foot)):
        at = z * (length / 2 + 0.03)
        side = width / 2
        if rng.random() < 0.5:
            arch = [(-side, 0, at), (-side, tall - 0.12, at), (-side + 0.1, tall, at)]
            model.add(tube([*arch, *((-x, y, w) for x, y, w in reversed(arch))], 0.018, 6), "second")
        else:
            for x in (-side, side):
                model.add(cylinder(0.022, tall, (x, 0, at), 8), "second")
            model.add(tube([(-side, tall - 0.04, at), (side, tall - 0.04, at)], 0.016, 6), "second")
        model.add(tube([(-side, low, at), (side, low, at)], 0.012, 6), "second")
        for x in np.linspace(-side + 0.14, side - 0.14, max(3, round(width / 0.18))):
            model.add(cylinder(0.008, tall - low - 0.03, (float(x), low, at), 5), "second")
    _bedding(model, size, low - 0.01, rng)
    return model


def platform_bed(rng: np.random.Generator) -> Model:
    """A mattress on a low wooden platform that extends beyond it, with a low headboard."""
    size = _size(rng)
    width, length = size
    rim, low = rng.uniform(0.08, 0.26), rng.uniform(0.2, 0.28)
    model = Model(main="fabric", second="wood", dark="dark", linen="linen")
    model.add(box((width + 2 * rim, 0.09, length + 2 * rim), (0, low - 0.045, 0), 0.01), "second")
    model.add(box((width - 0.1, low - 0.08, length - 0.1), (0, (low - 0.08) / 2, 0)), "dark")
    tall = rng.uniform(0.5, 0.85)
    head = (0, (tall + low) / 2, -length / 2 - rim + 0.03)
    model.add(box((width + 2 * rim, tall - low, 0.06), head, 0.01), "second")
    _bedding(model, size, low - 0.02, rng)
    return model


def storage_bed(rng: np.random.Generator) -> Model:
    """A solid base with drawers in both sides, and a headboard with a shelf on top."""
    size = _size(rng)
    width, length = size
    low, head = rng.uniform(0.34, 0.44), rng.uniform(0.85, 1.1)
    deep = rng.uniform(0.16, 0.26)
    model = Model(main="fabric", second="wood", detail="metal", linen="linen")
    model.add(box((width + 0.04, low, length), (0, low / 2, 0)), "second")
    model.add(box((width + 0.08, head, deep), (0, head / 2, -length / 2 - deep / 2)), "second")
    for x in (-1, 1):
        for k in range(2):
            z = (k - 0.5) * length / 2
            model.add(box((0.018, low - 0.12, length / 2 - 0.06), (x * (width / 2 + 0.026), low / 2, z)), "second")
            model.add(box((0.03, 0.016, 0.2), (x * (width / 2 + 0.04), low * 0.62, z), 0.004), "detail")
    _bedding(model, size, low - 0.02, rng)
    model.surface(head, width, deep, 0.5, -length / 2 - deep / 2)
    return model


def bunk_bed(rng: np.random.Generator) -> Model:
    """Two beds, one above the other, with a ladder at the front."""
    size = _Size(rng.uniform(0.82, 1.0), rng.uniform(1.75, 2.05))
    width, length = size
    tall, low, high = rng.uniform(1.55, 1.8), 0.3, rng.uniform(1.15, 1.3)
    model = Model(main="fabric", second="wood", linen="linen")
    _posts(model, size, 0.07, (tall, tall), "second")
    for y, rail in ((low, 0.0), (high, 0.2)):
        model.add(box((width, 0.12, length), (0, y - 0.04, 0), 0.01), "second")
        for x in (-1, 1) if rail else ():
            model.add(box((0.025, 0.09, length), (x * width / 2, y + rail + 0.1, 0)), "second")
        for z in (-1, 1):
            model.add(box((width, 0.09, 0.025), (0, y + 0.3, z * (length / 2 + 0.02))), "second")
    for z in (0.25, 0.6):
        model.add(box((0.035, high + 0.3, 0.05), (width / 2 + 0.05, (high + 0.3) / 2, z)), "second")
    for k in range(4):
        model.add(box((0.035, 0.03, 0.34), (width / 2 + 0.05, 0.3 + 0.28 * k, 0.425)), "second")
    _bedding(model, size, low, rng)
    model.surfaces = [s._replace(free_m=0.4) for s in model.surfaces]
    _bedding(model, size, high, rng)
    return model
