"""Per-pixel kernels of degradations. Input and output colours are uint8 [H, W, 3] sRGB; light is summed in linear
values.

There is no random state: noise is a hash of the pixel's position and a seed. Transcendental functions are looked up in
tables computed once by NumPy, so that equal inputs give equal bits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim_server.jit import jit

Rgb = NDArray[np.uint8]
_HALF = np.float32(0.5)
_STEPS = 8192  # table size for encoding linear light; fine enough for the darkest level


def _srgb_tables() -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Tables from sRGB level to linear light 0..1, and from linear light in _STEPS steps to level (IEC 61966-2-1)."""
    level = np.arange(256) / 255
    linear = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)
    light = np.arange(_STEPS) / (_STEPS - 1)
    encoded = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return linear.astype(np.float32), np.rint(encoded * 255).astype(np.uint8)


LINEAR, LEVEL = _srgb_tables()
_LAST = np.float32(_STEPS - 1)

FOG_REACH = 12.0  # optical depth beyond which nothing is visible
_FOG_STEPS = 4096
TRANSMISSION = np.exp(-np.linspace(0.0, FOG_REACH, _FOG_STEPS)).astype(np.float32)


@jit
def _encode(light, level):
    return level[int(min(max(light, np.float32(0)), np.float32(1)) * _LAST + _HALF)]


@jit
def fog(rgb, depth, focal_px, density, air, linear, level, transmission, out, through):
    """Add fog of colour `air` (linear); fills `through` with the transmission of each pixel.

    depth: float32 [H, W] metres along the optical axis, 0 where nothing was hit; density: optical depth per metre.
    """
    height, width = depth.shape
    steps = np.float32((transmission.size - 1) / FOG_REACH)
    for i in range(height):
        y = (np.float32(i) + _HALF - np.float32(height) * _HALF) / focal_px
        for j in range(width):
            x = (np.float32(j) + _HALF - np.float32(width) * _HALF) / focal_px
            t = np.float32(0)
            if depth[i, j] > 0:
                distance_m = depth[i, j] * np.sqrt(np.float32(1) + x * x + y * y)
                step = distance_m * density * steps
                if step < transmission.size - 1:
                    t = transmission[int(step)]
            through[i, j] = t
            for c in range(3):
                out[i, j, c] = _encode(linear[rgb[i, j, c]] * t + air[c] * (np.float32(1) - t), level)


@jit
def defocus(rgb, depth, focus_m, radius_px, disc, linear, level, out):
    """Average each pixel over the points `disc` (float32 [T, 2], radius 1) scaled to its circle of confusion.

    radius_px: radius of the circle at infinity; at depth d it is multiplied by |1 - focus_m / d|.
    """
    height, width = depth.shape
    weight = np.float32(1) / np.float32(disc.shape[0])
    for i in range(height):
        for j in range(width):
            radius = radius_px
            if depth[i, j] > 0:
                radius = min(radius_px, radius_px * abs(np.float32(1) - focus_m / depth[i, j]))
            red, green, blue = np.float32(0), np.float32(0), np.float32(0)
            for tap in range(disc.shape[0]):
                row = min(max(int(np.float32(i) + radius * disc[tap, 0] + _HALF), 0), height - 1)
                column = min(max(int(np.float32(j) + radius * disc[tap, 1] + _HALF), 0), width - 1)
                red += linear[rgb[row, column, 0]]
                green += linear[rgb[row, column, 1]]
                blue += linear[rgb[row, column, 2]]
            out[i, j, 0] = _encode(red * weight, level)
            out[i, j, 1] = _encode(green * weight, level)
            out[i, j, 2] = _encode(blue * weight, level)


@jit
def resample(rgb, where, out):
    """Fill out[i, j] with the image at `where` float32 [H, W, 2] (row, column), bilinear."""
    height, width = rgb.shape[:2]
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            y, x = where[i, j, 0], where[i, j, 1]
            top, left = int(y), int(x)
            below, beside = min(top + 1, height - 1), min(left + 1, width - 1)
            fy, fx = y - np.float32(top), x - np.float32(left)
            for c in range(3):
                upper = np.float32(rgb[top, left, c]) * (np.float32(1) - fx) + np.float32(rgb[top, beside, c]) * fx
                lower = np.float32(rgb[below, left, c]) * (np.float32(1) - fx) + np.float32(rgb[below, beside, c]) * fx
                out[i, j, c] = int(upper * (np.float32(1) - fy) + lower * fy + _HALF)


@jit
def sensor(rgb, gain, deviation, seed, linear, level, out):
    """Multiply linear light by `gain`, then add noise with standard deviation `deviation` (levels) per channel.

    A normal deviate is the sum of the four bytes of a 32-bit hash (the finaliser of MurmurHash3), scaled to variance 1.
    """
    scale = np.float32(deviation / np.sqrt(4 * 65535 / 12))
    size = rgb.size
    flat, result = rgb.reshape(size), out.reshape(size)
    for index in range(size):
        value = np.float32(level[int(min(linear[flat[index]] * gain, np.float32(1)) * _LAST + _HALF)])
        if deviation > 0:
            h = (np.uint32(index) * np.uint32(0x9E3779B1)) ^ np.uint32(seed)
            h ^= h >> np.uint32(16)
            h = np.uint32(h * np.uint32(0x85EBCA6B))
            h ^= h >> np.uint32(13)
            h = np.uint32(h * np.uint32(0xC2B2AE35))
            h ^= h >> np.uint32(16)
            total = (h & 255) + ((h >> 8) & 255) + ((h >> 16) & 255) + (h >> 24)
            value += np.float32(np.int64(total) - 510) * scale
        result[index] = int(min(max(value, np.float32(0)), np.float32(255)) + _HALF)


@jit
def _code_plane(plane, table, cosine):
    """Transform, quantise and transform back every 8 x 8 block of a plane in place; sides are multiples of 8."""
    block = np.empty((8, 8), np.float32)
    half = np.empty((8, 8), np.float32)
    for top in range(0, plane.shape[0], 8):
        for left in range(0, plane.shape[1], 8):
            for i in range(8):
                for q in range(8):
                    total = np.float32(0)
                    for j in range(8):
                        total += plane[top + i, left + j] * cosine[q, j]
                    half[i, q] = total
            for p in range(8):
                for q in range(8):
                    total = np.float32(0)
                    for i in range(8):
                        total += cosine[p, i] * half[i, q]
                    block[p, q] = np.rint(total / table[p, q]) * table[p, q]
            for p in range(8):
                for j in range(8):
                    total = np.float32(0)
                    for q in range(8):
                        total += block[p, q] * cosine[q, j]
                    half[p, j] = total
            for i in range(8):
                for j in range(8):
                    total = np.float32(0)
                    for p in range(8):
                        total += cosine[p, i] * half[p, j]
                    plane[top + i, left + j] = total


@jit
def compress(rgb, luma_table, chroma_table, cosine, out):
    """The image after JPEG compression (ITU-T T.81) with these quantisation tables and 4:2:0 chroma."""
    height, width = rgb.shape[:2]
    rows, columns = (height + 15) // 16 * 16, (width + 15) // 16 * 16
    luma = np.empty((rows, columns), np.float32)
    blue = np.zeros((rows // 2, columns // 2), np.float32)
    red = np.zeros((rows // 2, columns // 2), np.float32)
    quarter = np.float32(0.25)
    for i in range(rows):
        for j in range(columns):
            r, g, b = (
                np.float32(rgb[min(i, height - 1), min(j, width - 1), 0]),
                np.float32(rgb[min(i, height - 1), min(j, width - 1), 1]),
                np.float32(rgb[min(i, height - 1), min(j, width - 1), 2]),
            )
            y = np.float32(0.299) * r + np.float32(0.587) * g + np.float32(0.114) * b
            luma[i, j] = y - np.float32(128)
            blue[i // 2, j // 2] += np.float32(0.564) * (b - y) * quarter
            red[i // 2, j // 2] += np.float32(0.713) * (r - y) * quarter
    _code_plane(luma, luma_table, cosine)
    _code_plane(blue, chroma_table, cosine)
    _code_plane(red, chroma_table, cosine)
    for i in range(height):
        for j in range(width):
            y = luma[i, j] + np.float32(128)
            cb, cr = blue[i // 2, j // 2], red[i // 2, j // 2]
            values = (y + np.float32(1.403) * cr, y - np.float32(0.344) * cb - np.float32(0.714) * cr,
                      y + np.float32(1.773) * cb)  # fmt: skip
            for c in range(3):
                out[i, j, c] = int(min(max(values[c], np.float32(0)), np.float32(255)) + _HALF)
