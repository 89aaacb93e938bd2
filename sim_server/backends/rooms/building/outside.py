"""The view through windows: soft panoramas of a garden, a suburb, a street, a skyline and a park, by time of day."""

from __future__ import annotations

import functools
from typing import Callable, NamedTuple, Union

import numpy as np
from numpy.typing import NDArray

from protocol.seeds import pick, rng_for
from protocol.tasks.scene import SceneSpec
from sim_server.backends.rooms.draw.noise import noise

Floats = NDArray[np.floating]
Rgb = tuple[float, float, float]
_ROWS, _COLUMNS = 416, 2048
RISE_LOW, RISE_HIGH = -0.55, 0.75  # sine of elevation at the lower and the upper edge
_SOFT = (RISE_HIGH - RISE_LOW) / _ROWS


class Panorama(NamedTuple):
    """Radiance is scale * bytes²: uint8 [rows, columns, 3], read-only.

    Rows are evenly spaced in the sine of elevation, upwards; columns go once around the horizon by the angle that
    shade.py computes without trigonometry.
    """

    texels: NDArray[np.uint8]
    scale: np.float32


class _Sky(NamedTuple):
    """Linear rgb of the sky, and of the light on the ground; lamps: radiance of windows with light."""

    zenith: Rgb
    horizon: Rgb
    cloud: Rgb
    cover: float  # threshold of clouds: fewer if larger
    light: Rgb
    haze: Rgb
    lamps: float


_SKIES = {
    "day": _Sky((0.42, 0.78, 1.75), (1.65, 1.85, 2.05), (2.3, 2.3, 2.35), 0.52, (2.6, 2.5, 2.3), (1.2, 1.45, 1.75),
                0.0),
    "overcast": _Sky((1.25, 1.32, 1.42), (1.7, 1.74, 1.78), (1.9, 1.92, 1.95), 0.2, (1.5, 1.55, 1.6), (1.35, 1.4, 1.45),
                     0.25),
    "evening": _Sky((0.02, 0.035, 0.11), (0.46, 0.24, 0.16), (0.22, 0.13, 0.13), 0.5, (0.10, 0.09, 0.11),
                    (0.14, 0.10, 0.10), 1.0),
    "night": _Sky((0.002, 0.003, 0.008), (0.022, 0.020, 0.024), (0.012, 0.011, 0.013), 0.5, (0.016, 0.015, 0.015),
                  (0.014, 0.013, 0.015), 0.9),
}  # fmt: skip
_FACADES: tuple[Rgb, ...] = (
    (0.62, 0.56, 0.48), (0.50, 0.30, 0.22), (0.66, 0.64, 0.60), (0.42, 0.44, 0.46), (0.60, 0.50, 0.34),
    (0.44, 0.32, 0.28), (0.40, 0.47, 0.52), (0.68, 0.60, 0.56),
)  # fmt: skip
_ROOFS: tuple[Rgb, ...] = ((0.28, 0.12, 0.08), (0.14, 0.14, 0.15), (0.22, 0.17, 0.14), (0.34, 0.18, 0.12))
_LEAVES: tuple[Rgb, Rgb] = ((0.035, 0.075, 0.025), (0.14, 0.21, 0.065))
_GRASS: tuple[Rgb, Rgb] = ((0.20, 0.28, 0.11), (0.13, 0.21, 0.06))
_HILL: Rgb = (0.17, 0.24, 0.25)


@functools.cache
def _field(seed: int, cells_up: int, cells_around: int) -> Floats:
    return noise((_ROWS, _COLUMNS), seed, (cells_up, cells_around), 6, tiled=False)


def _line(seed: int, cells: int, octaves: int) -> Floats:
    """Periodic noise in 0..1 over the columns."""
    return noise((1, _COLUMNS), seed, (1, cells), octaves)[0]


class _Canvas:
    """An image [rows, columns, 3] that is painted from far to near, in bands of rows."""

    def __init__(self, sky: _Sky, seed: int) -> None:
        self.sky, self.seed, self.rng = sky, seed, np.random.default_rng(seed)
        self.rise = (RISE_LOW + (RISE_HIGH - RISE_LOW) * (np.arange(_ROWS, dtype=np.float32) + 0.5) / _ROWS)[:, None]
        self.image = np.empty((_ROWS, _COLUMNS, 3), np.float32)
        self.image[:] = _mix(sky.horizon, sky.zenith, np.clip(np.sqrt(np.clip(self.rise, 0, 1)) * 1.1, 0, 1)[..., None])
        above = self.band(0.0, RISE_HIGH)
        clouds = np.clip((_field(3, 4, 16)[above] - sky.cover) * 3.2, 0, 1) * np.clip(self.rise[above] * 5, 0, 1) * 0.75
        self.image[above] += (np.array(sky.cloud, np.float32) - self.image[above]) * clouds[..., None]

    def band(self, low: float, high: float) -> slice:
        """The rows between two rises."""
        first, last = ((edge - RISE_LOW) / _SOFT for edge in (low, high))
        return slice(max(0, int(first) - 2), min(_ROWS, int(last) + 3))

    def over(self, band: slice, color: Floats, opacity: Floats) -> None:
        """Blend colours [band, columns, 3] or a single one over a band."""
        self.image[band] += (color - self.image[band]) * opacity[..., None]

    def lit(self, albedo: Floats, far: float = 0.0) -> Floats:
        """The radiance of a surface; `far` mixes in haze."""
        light, haze = np.array(self.sky.light, np.float32), np.array(self.sky.haze, np.float32)
        return albedo * (light * np.float32(1 - far)) + haze * np.float32(far)

    def below(self, band: slice, edge: Union[Floats, float]) -> Floats:
        """Fraction of each texel of a band below an edge."""
        return np.clip((np.float32(1) * edge - self.rise[band]) / np.float32(_SOFT) + np.float32(0.5), 0, 1)

    def hills(self, height: float) -> None:
        band = self.band(RISE_LOW, 0.03 + height)
        edge = 0.02 + height * _line(self.seed + 5, 5, 5)
        self.over(band, self.lit(np.array(_HILL, np.float32), 0.45), self.below(band, edge))

    def trees(self, seed: int, height: float, shade: float, gaps: float = 0.42, bottom: float = -0.1) -> None:
        """Crowns down to the rise `bottom`; more of the horizon is open if `gaps` is larger."""
        band = self.band(bottom, height * 1.3 + 0.03)
        leaves = _field(7, 14, 96)[band]
        outline = np.clip(_line(seed, 9, 7) * 1.5 - gaps, 0.03, 1)
        crown = height * outline * (0.8 + 0.4 * _line(seed + 1, 128, 4)) + 0.035 * outline * (leaves - 0.5)
        lightness = np.clip((leaves - 0.25) * 1.3 + (self.rise[band] - crown) * 3, 0, 1)[..., None]
        opacity = self.below(band, crown) * (1 - self.below(band, bottom))
        self.over(band, self.lit(_mix(*_LEAVES, lightness) * np.float32(shade), 0.08), opacity)

    def ground(self, albedo: tuple[Rgb, Rgb], top: float = -0.012) -> None:
        """Far and near colour of the ground, with patches."""
        band = self.band(RISE_LOW, top)
        near = np.clip(-self.rise[band] * 3.2, 0, 1)[..., None]
        patches = (np.float32(0.8) + np.float32(0.4) * _field(17, 10, 24)[band])[..., None]
        self.over(band, self.lit(_mix(*albedo, near)) * patches, self.below(band, top))

    def hedge(self, top: float, bottom: float) -> None:
        band = self.band(bottom - 0.05, top)
        leaves = _field(7, 14, 96)[band]
        opacity = self.below(band, top - 0.02 * _line(self.seed + 19, 24, 6)) * (1 - self.below(band, bottom))
        lightness = np.clip((leaves - 0.3) * 1.6 + (self.rise[band] - top + 0.08) * 9, 0, 1)[..., None]
        self.over(band, self.lit(_mix(*_LEAVES, lightness)), opacity)
        shadow = np.clip(1 - (bottom - self.rise[band]) * 25, 0, 1) * (self.rise[band] < bottom)
        self.image[band] *= 1 - np.float32(0.45) * shadow[..., None]

    def building(self, left: int, width: int, base: float, top: float, floors: int, far: float, gable: float) -> None:
        """A facade with windows from column `left`; gable > 0: the rise of a pitched roof above `top`."""
        rng, columns = self.rng, (left + np.arange(width)) % _COLUMNS
        low, high = (int((edge - RISE_LOW) / _SOFT) for edge in (base, top))
        low, high = max(low, 0), min(high, _ROWS)
        if gable:
            reach = np.minimum(np.arange(width) + 1, np.arange(width)[::-1] + 1) / (width / 2)
            roof = self.lit(np.array(pick(_ROOFS, rng), np.float32), far)
            for row in range(high, min(int(high + gable / _SOFT), _ROWS)):
                inside = reach > (row - high) * _SOFT / gable
                self.image[row, columns[inside]] = roof * (0.85 + 0.3 * (row % 3) / 3)
        tall, across = (high - low) / floors, max(1, round(width / max(10.0, (high - low) / floors * 0.9)))
        v, u = (np.arange(high - low) / tall)[:, None], (np.arange(width) / width * across)[None]
        window = (np.abs(u % 1 - 0.5) < 0.27) & (np.abs(v % 1 - 0.52) < 0.28) & (v < floors)
        color = np.array(pick(_FACADES, rng), np.float32) * np.float32(rng.uniform(0.7, 1.1))
        wall = self.lit(color, far) * (0.93 + 0.14 * rng.random((high - low, 1, 1))).astype(np.float32)
        glass = self.lit(np.array((0.10, 0.13, 0.16), np.float32), far) + np.array(self.sky.horizon, np.float32) * 0.12
        lamp = rng.random((floors + 1, across + 1)) < 0.4
        glowing = lamp[v.astype(int), np.minimum(u.astype(int), across)]
        warm = np.array((1.0, 0.72, 0.38), np.float32) * np.float32(self.sky.lamps)
        panes = np.where(glowing[..., None], glass + warm, glass)
        self.image[low:high, columns] = np.where(window[..., None], panes, wall)

    def row_of(self, base: float, top: float, width: float, floors: int, far: float, gable: float, gap: float) -> None:
        """Buildings around the horizon. `width` in columns, `gap`: the fraction of them that is left open."""
        at, end = int(self.rng.integers(100)), _COLUMNS
        while at < end:
            own = int(width * self.rng.uniform(0.7, 1.4))
            if self.rng.random() >= gap:
                height = top * self.rng.uniform(0.75, 1.25)
                storeys = max(1, round(floors * height / top))
                self.building(
                    at, min(own, end - at + 40), base, height, storeys, far, gable * self.rng.uniform(0.7, 1.2)
                )
            at += own + int(own * gap * self.rng.uniform(0, 0.6))


def _mix(low: Rgb, high: Rgb, weight: Floats) -> Floats:
    a, b = np.array(low, np.float32), np.array(high, np.float32)
    return a + (b - a) * weight.astype(np.float32)


def _garden(canvas: _Canvas) -> None:
    canvas.hills(0.075)
    canvas.trees(11, 0.12, 0.75)
    canvas.trees(13, 0.17, 1.0)
    canvas.ground(_GRASS)
    canvas.hedge(-0.045, -0.15)


def _suburb(canvas: _Canvas) -> None:
    canvas.hills(0.05)
    canvas.trees(23, 0.12, 0.8)
    canvas.row_of(-0.05, 0.10, 130, 2, 0.12, 0.09, 0.45)
    canvas.ground(_GRASS, -0.04)
    canvas.trees(29, 0.14, 1.0, 0.85, -0.06)
    canvas.hedge(-0.07, -0.19)


def _street(canvas: _Canvas) -> None:
    canvas.row_of(-0.1, 0.44, 170, 4, 0.03, 0.0, 0.04)
    canvas.ground(((0.30, 0.29, 0.28), (0.34, 0.33, 0.32)), -0.09)
    canvas.ground(((0.10, 0.10, 0.105), (0.13, 0.13, 0.13)), -0.16)
    canvas.trees(31, 0.16, 0.9, 0.8, -0.11)


def _skyline(canvas: _Canvas) -> None:
    canvas.hills(0.03)
    canvas.row_of(-0.2, 0.10, 46, 9, 0.45, 0.0, 0.2)
    canvas.row_of(-0.3, 0.16, 70, 12, 0.25, 0.0, 0.35)
    canvas.row_of(-0.5, -0.06, 120, 7, 0.1, 0.0, 0.25)
    canvas.ground(((0.16, 0.16, 0.16), (0.12, 0.12, 0.12)), -0.42)


def _park(canvas: _Canvas) -> None:
    canvas.trees(41, 0.2, 0.7, 0.2)
    canvas.trees(43, 0.3, 0.9, 0.45)
    canvas.ground(_GRASS, -0.03)
    canvas.ground(((0.42, 0.38, 0.32), (0.36, 0.32, 0.27)), -0.3)


_PLACES: dict[str, Callable[[_Canvas], None]] = {
    "garden": _garden, "suburb": _suburb, "street": _street, "skyline": _skyline, "park": _park,
}  # fmt: skip


def outside_of(spec: SceneSpec) -> Panorama:
    """What is outside a home; the named palette always has a garden."""
    place = "garden" if spec.palette == "named" else pick(tuple(_PLACES), rng_for(spec.seed, "rooms", "outside"))
    return panorama(place, spec.light)


@functools.cache
def panorama(place: str, light: str) -> Panorama:
    """One of the places at one of protocol.tasks.scene.LIGHTS."""
    canvas = _Canvas(_SKIES[light], tuple(_PLACES).index(place) * 100)
    _PLACES[place](canvas)
    peak = np.float32(canvas.image.max())
    texels = np.round(np.sqrt(np.clip(canvas.image / peak, 0, 1)) * 255).astype(np.uint8)
    texels.setflags(write=False)
    return Panorama(texels, peak / np.float32(255**2))
