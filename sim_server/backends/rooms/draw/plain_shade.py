"""Shading of loaded meshes from the visibility buffer: base colour times texture, unlit or under one fixed light.

Unlit surfaces show colours and textures as stored, like Habitat's flat shader: without conversion from linear light to
sRGB and without anti-aliasing. Textures are filtered trilinearly, as by GL_LINEAR_MIPMAP_LINEAR.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Sequence

import numpy as np
from numpy.typing import NDArray

from sim_server.backends.rooms.draw.view import Pinhole, VisibilityBuffer
from sim_server.backends.rooms.files.gltf import CLAMP, MIRROR, Texture
from sim_server.jit import jit

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]

FACE_VALUES = 40
_SUN = np.array([0.35, 0.8, 0.5], np.float32) / np.float32(math.sqrt(0.35**2 + 0.8**2 + 0.5**2))
_ENCODE_STEPS = 4096


def _linear_to_srgb() -> NDArray[np.uint8]:
    x = np.linspace(0, 1, _ENCODE_STEPS)
    y = np.where(x <= 0.0031308, 12.92 * x, 1.055 * np.maximum(x, 1e-9) ** (1 / 2.4) - 0.055)
    return np.round(y * 255).astype(np.uint8)


_ENCODE = _linear_to_srgb()


class TextureBank(NamedTuple):
    """All textures with their mip levels.

    texels uint8 [T, 3]; levels int32 [L, 3] = first texel, width, height; first int32 [textures + 1]: the first level
    of each texture; wraps int32 [textures, 2].
    """

    texels: NDArray[np.uint8]
    levels: I32
    first: I32
    wraps: I32


class PlainSurfaces(NamedTuple):
    """values: see face_values; face_texture int32 [F], -1 for none; face_unlit bool [F]."""

    values: F32
    face_texture: I32
    face_unlit: NDArray[np.bool_]


def texture_bank(textures: Sequence[Texture]) -> TextureBank:
    texels, levels, first, at = [], [], [0], 0
    for texture in textures:
        level = texture.pixels
        while True:
            height, width = level.shape[:2]
            texels.append(level.reshape(-1, 3))
            levels.append((at, width, height))
            at += height * width
            if height == width == 1:
                break
            level = _halved(_halved(level, 0), 1)
        first.append(len(levels))
    return TextureBank(
        np.concatenate(texels) if texels else np.empty((0, 3), np.uint8),
        np.array(levels, np.int32).reshape(-1, 3),
        np.array(first, np.int32),
        np.array([(t.wrap_u, t.wrap_v) for t in textures], np.int32).reshape(-1, 2),
    )


def _halved(level: NDArray[np.uint8], axis: int) -> NDArray[np.uint8]:
    """Average pairs along an axis; an odd last row is dropped, since OpenGL rounds sizes down."""
    size = level.shape[axis]
    if size == 1:
        return level
    a = np.take(level, np.arange(0, size - 1, 2), axis).astype(np.uint16)
    b = np.take(level, np.arange(1, size, 2), axis).astype(np.uint16)
    return ((a + b + 1) // 2).astype(np.uint8)


def face_values(positions: F32, normals: F32, uv: F32, colors: F32, faces: I32) -> F32:
    """Per-face values for shading, float32 [F, 40].

    Barycentric weights of corners 1 and 2 as affine functions of the world point (4 + 4), the unit normal and the
    offset of the plane (4), then uv (6), colour (9) and normal (9): the value of the first corner and the differences
    of the other two.
    """
    corner = positions[faces].astype(np.float64)
    e1, e2 = corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]
    d00, d01, d11 = (np.einsum("fk,fk->f", a, b)[:, None] for a, b in ((e1, e1), (e1, e2), (e2, e2)))
    scale = 1 / (d00 * d11 - d01 * d01 + 1e-30)
    out = np.zeros((len(faces), FACE_VALUES), np.float32)
    for start, gradient in ((0, (d11 * e1 - d01 * e2) * scale), (4, (d00 * e2 - d01 * e1) * scale)):
        out[:, start : start + 3] = gradient
        out[:, start + 3] = -np.einsum("fk,fk->f", gradient, corner[:, 0])
    normal = np.cross(e1, e2)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-30)
    out[:, 8:11], out[:, 11] = normal, np.einsum("fk,fk->f", normal, corner[:, 0])
    for start, values in ((12, uv[faces]), (18, colors[faces]), (27, normals[faces])):
        width = values.shape[2]
        out[:, start : start + width] = values[:, 0]
        out[:, start + width : start + 2 * width] = values[:, 1] - values[:, 0]
        out[:, start + 2 * width : start + 3 * width] = values[:, 2] - values[:, 0]
    return out


@jit
def _wrapped(i, size, wrap):
    """The texel index in 0..size-1 under a wrap mode."""
    if wrap == CLAMP:
        return min(max(i, 0), size - 1)
    if wrap == MIRROR:
        i = i % (2 * size)
        return i if i < size else 2 * size - 1 - i
    return i % size


@jit
def _bilinear(texels, levels, level, wrap_u, wrap_v, u, v, out):
    first, width, height = levels[level, 0], levels[level, 1], levels[level, 2]
    x, y = u * width - 0.5, v * height - 0.5
    x0, y0 = math.floor(x), math.floor(y)
    fx, fy = x - x0, y - y0
    left, right = _wrapped(int(x0), width, wrap_u), _wrapped(int(x0) + 1, width, wrap_u)
    top, bottom = _wrapped(int(y0), height, wrap_v), _wrapped(int(y0) + 1, height, wrap_v)
    for k in range(3):
        above = texels[first + top * width + left, k] * (1 - fx) + texels[first + top * width + right, k] * fx
        below = texels[first + bottom * width + left, k] * (1 - fx) + texels[first + bottom * width + right, k] * fx
        out[k] = above * (1 - fy) + below * fy


@jit
def _uv_at(values, eye, wx, wy, wz):
    """Texture coordinates at the intersection of a ray from the eye with the plane of the face."""
    along = values[8] * wx + values[9] * wy + values[10] * wz
    t = (values[11] - values[8] * eye[0] - values[9] * eye[1] - values[10] * eye[2]) / along
    px, py, pz = eye[0] + t * wx, eye[1] + t * wy, eye[2] + t * wz
    w1 = values[0] * px + values[1] * py + values[2] * pz + values[3]
    w2 = values[4] * px + values[5] * py + values[6] * pz + values[7]
    return values[12] + w1 * values[14] + w2 * values[16], values[13] + w1 * values[15] + w2 * values[17]


def shade(
    buffer: VisibilityBuffer, surfaces: PlainSurfaces, bank: TextureBank, view: Pinhole, rgb: NDArray[np.uint8]
) -> None:
    """Fill rgb uint8 [H, W, 3], black where the buffer is empty."""
    _shade(tuple(buffer), tuple(surfaces), tuple(bank), tuple(view), _ENCODE, rgb)


@jit
def _shade(buffer, surfaces, bank, view, encode, rgb):
    inverse_depth, seen = buffer
    values, face_texture, face_unlit = surfaces
    texels, levels, first, wraps = bank
    eye, axes, _, _, focal = view
    height, width = seen.shape
    step = 1.0 / focal
    low, high = np.empty(3), np.empty(3)
    for row in range(height):
        ray_y = (0.5 * height - row - 0.5) * step
        for column in range(width):
            face = seen[row, column]
            if face < 0:
                rgb[row, column] = 0
                continue
            ray_x = (column + 0.5 - 0.5 * width) * step
            wx = axes[2, 0] + ray_x * axes[0, 0] + ray_y * axes[1, 0]
            wy = axes[2, 1] + ray_x * axes[0, 1] + ray_y * axes[1, 1]
            wz = axes[2, 2] + ray_x * axes[0, 2] + ray_y * axes[1, 2]
            f = values[face]
            z = 1.0 / inverse_depth[row, column]
            px, py, pz = eye[0] + z * wx, eye[1] + z * wy, eye[2] + z * wz
            w1 = min(max(f[0] * px + f[1] * py + f[2] * pz + f[3], 0.0), 1.0)
            w2 = min(max(f[4] * px + f[5] * py + f[6] * pz + f[7], 0.0), 1.0 - w1)
            red = f[18] + w1 * f[21] + w2 * f[24]
            green = f[19] + w1 * f[22] + w2 * f[25]
            blue = f[20] + w1 * f[23] + w2 * f[26]
            texture = face_texture[face]
            low[0] = low[1] = low[2] = 255.0
            if texture >= 0:
                u, v = f[12] + w1 * f[14] + w2 * f[16], f[13] + w1 * f[15] + w2 * f[17]
                ux, vx = _uv_at(f, eye, wx + step * axes[0, 0], wy + step * axes[0, 1], wz + step * axes[0, 2])
                uy, vy = _uv_at(f, eye, wx - step * axes[1, 0], wy - step * axes[1, 1], wz - step * axes[1, 2])
                base, last = first[texture], first[texture + 1] - 1
                w, h = levels[base, 1], levels[base, 2]
                across = ((ux - u) * w) ** 2 + ((vx - v) * h) ** 2
                down = ((uy - u) * w) ** 2 + ((vy - v) * h) ** 2
                lod = min(max(0.5 * math.log2(max(across, down, 1e-12)), 0.0), float(last - base))
                level = base + int(lod)
                _bilinear(texels, levels, level, wraps[texture, 0], wraps[texture, 1], u, v, low)
                part = lod - int(lod)
                if part > 0 and level < last:
                    _bilinear(texels, levels, level + 1, wraps[texture, 0], wraps[texture, 1], u, v, high)
                    for k in range(3):
                        low[k] = low[k] * (1 - part) + high[k] * part
            if face_unlit[face]:
                rgb[row, column, 0] = np.uint8(min(red * low[0] + 0.5, 255.0))
                rgb[row, column, 1] = np.uint8(min(green * low[1] + 0.5, 255.0))
                rgb[row, column, 2] = np.uint8(min(blue * low[2] + 0.5, 255.0))
                continue
            nx, ny = f[27] + w1 * f[30] + w2 * f[33], f[28] + w1 * f[31] + w2 * f[34]
            nz = f[29] + w1 * f[32] + w2 * f[35]
            length = max(math.sqrt(nx * nx + ny * ny + nz * nz), 1e-9)
            direct = max((nx * _SUN[0] + ny * _SUN[1] + nz * _SUN[2]) / length, 0.0)
            light = 0.5 + 0.1 * ny / length + 0.4 * direct
            for k in range(3):
                factor = red if k == 0 else green if k == 1 else blue
                value = factor * (low[k] / 255.0) ** 2.2 * light
                rgb[row, column, k] = encode[int(min(max(value, 0.0), 1.0) * (_ENCODE_STEPS - 1))]
