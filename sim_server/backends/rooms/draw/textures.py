"""The bank of procedural patterns, built once per process: bytes with mip levels.

A pattern has no colour: a material blends two colours by it, so that one wood pattern serves all woods.
"""

from __future__ import annotations

import functools
from typing import Callable

import numpy as np
from numpy.typing import NDArray

from sim_server.backends.rooms.draw import patterns, prints
from sim_server.backends.rooms.draw.noise import Grey

SIZE = patterns.SIZE
LEVELS = 8  # 512 .. 4
_FLAT = np.full((SIZE, SIZE), 0.5, np.float32)

_PATTERNS: dict[str, Callable[[], Grey]] = {
    "plain": lambda: _FLAT,
    "mirror": lambda: _FLAT,  # marks glass for mirrors.py
    "paint": patterns.paint,
    "plaster": patterns.plaster,
    "rough_plaster": patterns.rough_plaster,
    "brushed": patterns.brushed,
    "brick": patterns.brick,
    "concrete": patterns.concrete,
    "panelling": patterns.panelling,
    "slats": patterns.slats,
    "stripes": patterns.stripes,
    "damask": patterns.damask,
    "trellis": patterns.trellis,
    "foliage": patterns.foliage,
    "wood": lambda: patterns.grain(7),
    "planks": lambda: patterns.planks(8, 11),
    "boards": lambda: patterns.planks(16, 13),
    "herringbone": lambda: patterns.herringbone(17),
    "tiles": lambda: patterns.tiles(4, 4, 19),
    "small_tiles": lambda: patterns.tiles(8, 3, 23),
    "mosaic": lambda: patterns.tiles(16, 2, 25, 0.2),
    "hexagons": lambda: patterns.hexagons(26),
    "checker": lambda: patterns.checker(27),
    "cement_tiles": lambda: patterns.cement_tiles(28),
    "terrazzo": lambda: patterns.terrazzo(33),
    "carpet": patterns.carpet,
    "fabric": lambda: patterns.weave(8, 37),
    "linen": patterns.linen,
    "check": lambda: patterns.check(44),
    "cloth_stripes": lambda: patterns.cloth_stripes(45),
    "floral": lambda: patterns.floral(46),
    "kelim": lambda: patterns.kelim(48),
    "medallion": lambda: patterns.medallion(49),
    "wicker": lambda: patterns.wicker(43),
    "leaf": lambda: patterns.tiled(47, 5, 4, 2),
    "marble": patterns.marble,
    "speckle": patterns.speckle,
    "shore": lambda: prints.shore(80),
    "summits": lambda: prints.summits(85),
    "portrait": lambda: prints.portrait(95),
    "blossoms": lambda: prints.blossoms(96),
    "shapes": lambda: prints.shapes(98),
    "strokes": lambda: prints.strokes(99),
    "poster": lambda: prints.poster(101),
    "film": lambda: prints.film(102),
    "windows": lambda: prints.windows(104),
}
NAMES = tuple(_PATTERNS)


@functools.cache
def bank() -> NDArray[np.uint8]:
    """All patterns, [pattern, mip levels flattened from 512 x 512 down to 4 x 4], read-only."""
    rows = []
    for make in _PATTERNS.values():
        level = np.clip(make(), 0, 1).astype(np.float32)
        flat = [level.ravel()]
        for _ in range(LEVELS - 1):
            level = (level[::2, ::2] + level[::2, 1::2] + level[1::2, ::2] + level[1::2, 1::2]) / np.float32(4)
            flat.append(level.ravel())
        rows.append(np.round(np.concatenate(flat) * 255).astype(np.uint8))
    out = np.stack(rows)
    out.setflags(write=False)
    return out


def mip_level(pattern: int, level: int) -> NDArray[np.float32]:
    """A pattern at a level, float32 [side, side] in 0..1."""
    side, first = SIZE >> level, sum((SIZE >> k) ** 2 for k in range(level))
    return (bank()[pattern, first : first + side**2].reshape(side, side) / np.float32(255)).astype(np.float32)
