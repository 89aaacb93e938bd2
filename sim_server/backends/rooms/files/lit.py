"""Baked light as colours that a flat shader shows: charts in a texture for large rectangles, vertex colours elsewhere.

A flat shader shows texture times vertex colour as stored, without light or conversion to sRGB. A chart holds pattern
times light at every texel. Elsewhere the texture is the pattern under the strongest light of the material, and vertex
colours darken it.
"""

from __future__ import annotations

from typing import NamedTuple, Optional

import numpy as np
from numpy.typing import NDArray

from sim_server.backends.rooms.draw import textures
from sim_server.backends.rooms.draw.film import Exposure
from sim_server.backends.rooms.draw.shade import BRIGHTEST, developed
from sim_server.backends.rooms.geometry import Geometry
from sim_server.backends.rooms.light.baked import Light

F32 = NDArray[np.float32]
Bytes = NDArray[np.uint8]

_DENSITY_PER_M = 96.0  # texels of charts with a visible pattern
_FAINT = 0.12  # contrast of a pattern, linear, below which the density is that of the light
_FAINT_PER_M = 24.0
_BORDER_PX = 2  # around each chart, so that filtering does not mix neighbours
_MAX_SIDE_PX = 4096
_IMAGE_LEVEL = 1  # mip level of patterns in textures that repeat
_STEPS_PER_DOUBLING = 2  # of the light in textures, so that objects share them


class LitSurface(NamedTuple):
    """Faces of one asset with one texture.

    faces int64 [F]: indices into Geometry.faces; uv float32 [F, 3, 2] or None; colors uint8 [F, 3, 3] or None; image
    uint8 [H, W, 3] or None, which repeats beyond 0..1.
    """

    faces: NDArray[np.int64]
    uv: Optional[F32]
    colors: Optional[Bytes]
    image: Optional[Bytes]


class Shown(NamedTuple):
    """A scene as its camera shows it, without noise."""

    geometry: Geometry
    light: Light
    exposure: Exposure


def lit_surfaces(shown: Shown, faces: NDArray[np.int64]) -> list[LitSurface]:
    """The surfaces of one asset's faces."""
    flat = shown.light.face_rectangle[faces] >= 0
    out = [_charted(shown, faces[flat])] if flat.any() else []
    rest = faces[~flat]
    materials = shown.geometry.face_material[rest]
    for material in np.unique(materials).tolist():
        out.append(_by_vertex(shown, int(material), rest[materials == material]))
    return out


def _radiance(shown: Shown, material: int, mix: F32, irradiance: F32) -> Bytes:
    """sRGB bytes [..., 3] of a material where its pattern is `mix` [..., 1], under light [..., 3]; as in shade.py."""
    values = shown.geometry.material_values[material]
    albedo = values[:3] * (1 - mix) + values[3:6] * mix
    radiance = np.minimum(albedo * (irradiance + values[7] * shown.light.glow), BRIGHTEST)
    return developed(radiance.astype(np.float32), shown.exposure)


def _is_plain(geometry: Geometry, material: int) -> bool:
    values = geometry.material_values[material]
    pattern = textures.mip_level(int(geometry.material_pattern[material]), _IMAGE_LEVEL)
    return bool((values[:3] == values[3:6]).all() or pattern.min() == pattern.max())


# ---------------------------------------------------------------------- vertex colours


def _by_vertex(shown: Shown, material: int, faces: NDArray[np.int64]) -> LitSurface:
    geometry, light = shown.geometry, shown.light
    irradiance = light.vertex[geometry.faces[faces]]
    pattern = textures.mip_level(int(geometry.material_pattern[material]), _IMAGE_LEVEL)
    mean = pattern.mean()
    seen = _radiance(shown, material, np.full((1, 1, 1), mean, np.float32), irradiance)
    if _is_plain(geometry, material):
        return LitSurface(faces, None, seen, None)
    strongest = max(float(irradiance.max()), 1e-3)
    strongest = 2 ** (np.ceil(np.log2(strongest) * _STEPS_PER_DOUBLING) / _STEPS_PER_DOUBLING)
    full = np.full((1, 1, 3), strongest, np.float32)
    image = _radiance(shown, material, pattern[..., None], full)
    most = _radiance(shown, material, np.full((1, 1, 1), mean, np.float32), full).astype(np.float32)
    factor = np.clip(seen / np.maximum(most, 1), 0, 1)
    uv = geometry.uv[geometry.faces[faces]] * geometry.material_values[material, 6]
    return LitSurface(faces, uv.astype(np.float32), np.round(factor * 255).astype(np.uint8), image)


# ---------------------------------------------------------------------- charts


class _Chart(NamedTuple):
    """A rectangle with its faces (indices into the asset's) and its size in texels without border."""

    rectangle: int
    faces: NDArray[np.int64]
    width: int
    height: int


def _charted(shown: Shown, faces: NDArray[np.int64]) -> LitSurface:
    geometry, light = shown.geometry, shown.light
    rectangles = light.face_rectangle[faces]
    density = 1.0
    while True:
        charts = [
            _chart(geometry, light, int(r), faces, np.flatnonzero(rectangles == r), density)
            for r in np.unique(rectangles)
        ]
        places, (height, width) = _packed(charts)
        if max(height, width) <= _MAX_SIDE_PX:
            break
        density *= 0.7
    image = np.zeros((height, width, 3), np.uint8)
    uv = np.empty((len(faces), 3, 2), np.float32)
    for chart, (top, left) in zip(charts, places):
        corners = geometry.positions[geometry.faces[faces[chart.faces]]].astype(np.float64)
        maps, (_, columns, rows) = light.rectangle_maps[chart.rectangle], light.rectangle_texels[chart.rectangle]
        along = (np.stack([corners @ maps[0:3] + maps[3], corners @ maps[4:7] + maps[7]], -1) + 0.5) / (columns, rows)
        place = np.array([left + _BORDER_PX, top + _BORDER_PX])
        uv[chart.faces] = (place + along * (chart.width, chart.height)) / (width, height)
        tall, wide = chart.height + 2 * _BORDER_PX, chart.width + 2 * _BORDER_PX
        first = int(faces[chart.faces[0]])
        image[top : top + tall, left : left + wide] = _drawn(shown, chart, first, along[0])
    return LitSurface(faces, uv, None, image)


def _chart(
    geometry: Geometry, light: Light, rectangle: int, faces: NDArray[np.int64], own: NDArray[np.int64], density: float
) -> _Chart:
    material = int(geometry.face_material[faces[own[0]]])
    maps, (_, columns, rows) = light.rectangle_maps[rectangle], light.rectangle_texels[rectangle]
    lengths = columns / np.linalg.norm(maps[0:3]), rows / np.linalg.norm(maps[4:7])
    if _is_plain(geometry, material):
        per_m = 0.0
    else:
        values = geometry.material_values[material]
        per_m = _FAINT_PER_M if np.abs(values[:3] - values[3:6]).max() < _FAINT else _DENSITY_PER_M
    width, height = (
        max(2, int(np.ceil(max(texels, length * per_m) * density))) for texels, length in zip((columns, rows), lengths)
    )
    return _Chart(rectangle, own, width, height)


def _packed(charts: list[_Chart]) -> tuple[list[tuple[int, int]], tuple[int, int]]:
    """(top, left) of every chart, and the size (height, width) of the image; rows of charts of similar height."""
    sizes = [(c.height + 2 * _BORDER_PX, c.width + 2 * _BORDER_PX) for c in charts]
    across = max(max(w for _, w in sizes), int(np.ceil(np.sqrt(sum(h * w for h, w in sizes)) * 1.05)))
    places, top, left, tall = [(0, 0)] * len(charts), 0, 0, 0
    for k in sorted(range(len(charts)), key=lambda k: -sizes[k][0]):
        height, width = sizes[k]
        if left + width > across:
            top, left, tall = top + tall, 0, 0
        places[k] = top, left
        left, tall = left + width, max(tall, height)
    return places, (top + tall, across)


def _drawn(shown: Shown, chart: _Chart, face: int, along: NDArray[np.float64]) -> Bytes:
    """The texels uint8 [height, width, 3] of a chart with its border. along [3, 2]: positions of the corners of `face`
    on the rectangle, in 0..1."""
    geometry, light = shown.geometry, shown.light
    s = (np.arange(-_BORDER_PX, chart.width + _BORDER_PX) + 0.5) / chart.width
    t = (np.arange(-_BORDER_PX, chart.height + _BORDER_PX) + 0.5) / chart.height
    first, columns, rows = (int(v) for v in light.rectangle_texels[chart.rectangle])
    texels = light.atlas[first : first + columns * rows].reshape(rows, columns, 3)
    irradiance = _bilinear(texels, s * columns - 0.5, t * rows - 0.5, wrap=False)
    material = int(geometry.face_material[face])
    if _is_plain(geometry, material):
        mix = np.full((1, 1, 1), 0.5, np.float32)
        return _radiance(shown, material, mix, irradiance)
    # pattern coordinates are affine on the rectangle: solve for them from the corners of a face
    system = np.column_stack([along, np.ones(3)])
    affine = np.linalg.solve(system, geometry.uv[geometry.faces[face]].astype(np.float64))
    repeats = float(geometry.material_values[material, 6])
    uv = (s[None, :, None] * affine[0] + t[:, None, None] * affine[1] + affine[2]) * repeats
    step = max(np.abs(affine[0]).max() / chart.width, np.abs(affine[1]).max() / chart.height) * repeats * textures.SIZE
    level = int(np.clip(np.ceil(np.log2(max(step, 1e-9) / 1.4)), 0, textures.LEVELS - 1))
    size, pattern = textures.SIZE >> level, textures.mip_level(int(geometry.material_pattern[material]), level)
    mix = _bilinear(pattern[..., None], uv[..., 0] * size - 0.5, uv[..., 1] * size - 0.5, wrap=True)
    return _radiance(shown, material, mix, irradiance)


def _bilinear(texels: F32, x: NDArray[np.float64], y: NDArray[np.float64], wrap: bool) -> F32:
    """Values of texels [H, W, C] at x and y in texels: vectors that span a grid, or (`wrap`) arrays of equal shape."""
    rows, columns = texels.shape[:2]
    if not wrap:
        x, y = np.meshgrid(np.clip(x, 0, columns - 1), np.clip(y, 0, rows - 1))
    ix, iy = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    fx, fy = (x - ix)[..., None].astype(np.float32), (y - iy)[..., None].astype(np.float32)
    left, right, top, bottom = ix % columns, (ix + 1) % columns, iy % rows, (iy + 1) % rows
    above = texels[top, left] * (1 - fx) + texels[top, right] * fx
    below = texels[bottom, left] * (1 - fx) + texels[bottom, right] * fx
    return (above * (1 - fy) + below * fy).astype(np.float32)
