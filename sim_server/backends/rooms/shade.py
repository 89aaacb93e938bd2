"""Deferred shading: each pixel once, from the visibility buffer.

Albedo is a mip-mapped pattern between two colours; light is a hemisphere of ambient dimmed by contact shade, the
windows as soft unshadowed patches, and the lamps with filtered shadow cubes; a filmic curve then maps to sRGB.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sim_server.backends.rooms import textures

_jit = njit(cache=True, nogil=True, error_model="numpy")

TONE_STEPS = 4096
TONE_MAX = 8.0
_SIZE = textures.SIZE
_LEVELS = textures.LEVELS
_TONE_SCALE = np.float32((TONE_STEPS - 1) / TONE_MAX)


def tone_table() -> NDArray[np.uint8]:
    """Linear radiance 0..TONE_MAX to sRGB bytes: a filmic shoulder that keeps mid-tones and hues, then IEC 61966-2-1."""
    x = np.linspace(0, TONE_MAX, TONE_STEPS)
    knee = 0.6
    over = np.maximum(x - knee, 0)
    y = np.where(x < knee, x, knee + (1 - knee) * over / (over + (1 - knee)))
    srgb = np.where(y <= 0.0031308, 12.92 * y, 1.055 * np.maximum(y, 1e-9) ** (1 / 2.4) - 0.055)
    return np.round(np.clip(srgb, 0, 1) * 255).astype(np.uint8)


@_jit
def depth_and_ids(inverse_depth, seen, face_object, depth, ids):
    """Fills depth float32 [H, W] (0 = nothing) and ids int32 [H, W] from the visibility buffer."""
    height, width = seen.shape
    for row in range(height):
        for column in range(width):
            face = seen[row, column]
            if face < 0:
                depth[row, column] = 0
                ids[row, column] = 0
            else:
                depth[row, column] = np.float32(1) / inverse_depth[row, column]
                ids[row, column] = face_object[face]


@_jit
def _lamp_visibility(cubes, lamp, dx, dy, dz):
    """Share of the lamp's light that arrives, 0..1; (dx, dy, dz) points from the lamp to the surface."""
    one = np.float32(1)
    half = np.float32(0.5)
    size = cubes.shape[2]
    ax, ay, az = abs(dx), abs(dy), abs(dz)
    if ax >= ay and ax >= az:
        face, major, u, v = (0 if dx > 0 else 1), ax, dy, dz
    elif ay >= az:
        face, major, u, v = (2 if dy > 0 else 3), ay, dx, dz
    else:
        face, major, u, v = (4 if dz > 0 else 5), az, dx, dy
    scale = np.float32(size) * half
    top = np.float32(size) - np.float32(1.001)
    tu = min(max((u / major + one) * scale - half, np.float32(0)), top)
    tv = min(max((one - v / major) * scale - half, np.float32(0)), top)
    iu, iv = int(tu), int(tv)
    fu, fv = tu - np.float32(iu), tv - np.float32(iv)
    # lit unless something lies nearer than the surface; the relative slack covers half a texel of depth slope
    limit = np.float32(1.008) / major
    v00 = one if cubes[lamp, face, iv, iu] <= limit else np.float32(0)
    v01 = one if cubes[lamp, face, iv, iu + 1] <= limit else np.float32(0)
    v10 = one if cubes[lamp, face, iv + 1, iu] <= limit else np.float32(0)
    v11 = one if cubes[lamp, face, iv + 1, iu + 1] <= limit else np.float32(0)
    return (v00 * (one - fu) + v01 * fu) * (one - fv) + (v10 * (one - fu) + v11 * fu) * fv


@_jit
def _pattern(bank, pattern, u, v, texels):
    """Pattern value at (u, v) repeats, bilinear on the mip level where a pixel covers `texels` of level 0."""
    half = np.float32(0.5)
    one = np.float32(1)
    offset = 0
    size = _SIZE
    level = 0
    while texels > np.float32(1.4) and level < _LEVELS - 1:
        texels *= half
        offset += size * size
        size >>= 1
        level += 1
    scale = np.float32(size)
    tu = (u - np.floor(u)) * scale - half
    tv = (v - np.floor(v)) * scale - half
    iu, iv = int(np.floor(tu)), int(np.floor(tv))
    fu, fv = tu - np.float32(iu), tv - np.float32(iv)
    mask = size - 1
    u0, u1 = iu & mask, (iu + 1) & mask
    v0, v1 = offset + (iv & mask) * size, offset + ((iv + 1) & mask) * size
    low = bank[pattern, v0 + u0] * (one - fu) + bank[pattern, v0 + u1] * fu
    high = bank[pattern, v1 + u0] * (one - fu) + bank[pattern, v1 + u1] * fu
    return low * (one - fv) + high * fv


@_jit
def shade(
    inverse_depth, seen, positions, normals, uv, faces, face_material, material_pattern, material_values, bank,
    lamps, cubes, ambient, floor_shade, shade_origin, shade_cell, windows, ceiling, eye, axes, tan_x, tan_y, tone, rgb,
):  # fmt: skip
    """Fills rgb uint8 [H, W, 3]. axes: rows right, up, forward; tan_x, tan_y: half-angle tangents."""
    height, width = seen.shape
    one = np.float32(1)
    half = np.float32(0.5)
    zero = np.float32(0)
    tiny = np.float32(1e-12)
    pixel_angle = np.float32(2) * tan_x / np.float32(width)
    shade_rows, shade_columns = floor_shade.shape[0], floor_shade.shape[1]
    cells_per_m = one / shade_cell
    for row in range(height):
        ray_y = (one - (np.float32(row) + half) / np.float32(height) * 2) * tan_y
        for column in range(width):
            ray_x = ((np.float32(column) + half) / np.float32(width) * 2 - one) * tan_x
            wx = axes[2, 0] + ray_x * axes[0, 0] + ray_y * axes[1, 0]
            wy = axes[2, 1] + ray_x * axes[0, 1] + ray_y * axes[1, 1]
            wz = axes[2, 2] + ray_x * axes[0, 2] + ray_y * axes[1, 2]
            face = seen[row, column]
            if face < 0:
                rise = wy / np.sqrt(wx * wx + wy * wy + wz * wz)
                blend = min(max(rise * 2 + half, zero), one)
                for channel in range(3):
                    value = ambient[3, channel] * (one - half * half * blend)
                    rgb[row, column, channel] = tone[min(int(value * _TONE_SCALE), 4095)]
                continue
            z = one / inverse_depth[row, column]
            px, py, pz = eye[0] + z * wx, eye[1] + z * wy, eye[2] + z * wz
            a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
            # barycentric coordinates of the hit point in its triangle (Ericson, Real-Time Collision Detection, 3.4)
            e1x, e1y, e1z = positions[b, 0] - positions[a, 0], positions[b, 1] - positions[a, 1], positions[b, 2] - positions[a, 2]
            e2x, e2y, e2z = positions[c, 0] - positions[a, 0], positions[c, 1] - positions[a, 1], positions[c, 2] - positions[a, 2]
            qx, qy, qz = px - positions[a, 0], py - positions[a, 1], pz - positions[a, 2]
            d00 = e1x * e1x + e1y * e1y + e1z * e1z
            d01 = e1x * e2x + e1y * e2y + e1z * e2z
            d11 = e2x * e2x + e2y * e2y + e2z * e2z
            d20 = qx * e1x + qy * e1y + qz * e1z
            d21 = qx * e2x + qy * e2y + qz * e2z
            scale = one / (d00 * d11 - d01 * d01 + np.float32(1e-20))
            w1 = min(max((d11 * d20 - d01 * d21) * scale, zero), one)
            w2 = min(max((d00 * d21 - d01 * d20) * scale, zero), one)
            w0 = one - w1 - w2
            nx = normals[a, 0] * w0 + normals[b, 0] * w1 + normals[c, 0] * w2
            ny = normals[a, 1] * w0 + normals[b, 1] * w1 + normals[c, 1] * w2
            nz = normals[a, 2] * w0 + normals[b, 2] * w1 + normals[c, 2] * w2
            length = one / np.sqrt(nx * nx + ny * ny + nz * nz + tiny)
            nx, ny, nz = nx * length, ny * length, nz * length
            material = face_material[face]
            glow = material_values[material, 7]

            # ambient light from above, beside and below, dimmed near crowded floor, in corners, and under the ceiling
            up = max(ny, zero)
            down = max(-ny, zero)
            side = one - up - down
            gx = min(max((px + nx * np.float32(0.08) - shade_origin[0]) * cells_per_m - half, zero), np.float32(shade_columns) - np.float32(1.01))
            gz = min(max((pz + nz * np.float32(0.08) - shade_origin[1]) * cells_per_m - half, zero), np.float32(shade_rows) - np.float32(1.01))
            ix, iz = int(gx), int(gz)
            fx, fz = gx - np.float32(ix), gz - np.float32(iz)
            w00, w01, w10, w11 = (one - fx) * (one - fz), fx * (one - fz), (one - fx) * fz, fx * fz
            crowd = (
                floor_shade[iz, ix, 0] * w00 + floor_shade[iz, ix + 1, 0] * w01
                + floor_shade[iz + 1, ix, 0] * w10 + floor_shade[iz + 1, ix + 1, 0] * w11
            )  # fmt: skip
            wall = (
                floor_shade[iz, ix, 1] * w00 + floor_shade[iz, ix + 1, 1] * w01
                + floor_shade[iz + 1, ix, 1] * w10 + floor_shade[iz + 1, ix + 1, 1] * w11
            )  # fmt: skip
            floor_near = one / (one + py * py * np.float32(14))
            head = ceiling - py
            top_near = one / (one + head * head * np.float32(14))
            open_sky = one - np.float32(0.55) * crowd * floor_near * (one - half * side)
            open_sky *= one - np.float32(0.5) * wall
            open_sky *= one - np.float32(0.3) * (side + down) * floor_near
            open_sky *= one - np.float32(0.28) * (side + up) * top_near
            red = (ambient[0, 0] * up + ambient[1, 0] * side + ambient[2, 0] * down) * open_sky
            green = (ambient[0, 1] * up + ambient[1, 1] * side + ambient[2, 1] * down) * open_sky
            blue = (ambient[0, 2] * up + ambient[1, 2] * side + ambient[2, 2] * down) * open_sky

            for k in range(windows.shape[0]):
                dx, dy, dz = windows[k, 0] - px, windows[k, 1] - py, windows[k, 2] - pz
                r2 = dx * dx + dy * dy + dz * dz + tiny
                facing = -(dx * windows[k, 3] + dz * windows[k, 4])
                cosine = dx * nx + dy * ny + dz * nz
                if facing <= zero or cosine <= zero:
                    continue
                share = facing * cosine / (r2 * (r2 + one)) * open_sky
                red += share * windows[k, 5]
                green += share * windows[k, 6]
                blue += share * windows[k, 7]
            for k in range(lamps.shape[0]):
                dx, dy, dz = lamps[k, 0] - px, lamps[k, 1] - py, lamps[k, 2] - pz
                cosine = dx * nx + dy * ny + dz * nz
                r2 = dx * dx + dy * dy + dz * dz
                reach2 = lamps[k, 6] * lamps[k, 6]
                if cosine <= zero or r2 >= reach2:
                    continue
                fade = one - r2 / reach2
                share = cosine / np.sqrt(r2) / (np.float32(1.3) + r2) * fade
                share *= _lamp_visibility(cubes, k, -dx, -dy, -dz)
                red += share * lamps[k, 3]
                green += share * lamps[k, 4]
                blue += share * lamps[k, 5]

            u = uv[a, 0] * w0 + uv[b, 0] * w1 + uv[c, 0] * w2
            v = uv[a, 1] * w0 + uv[b, 1] * w1 + uv[c, 1] * w2
            repeats = material_values[material, 6]
            slant = abs(nx * wx + ny * wy + nz * wz)
            texels = z * pixel_angle * repeats * np.float32(_SIZE) / max(np.sqrt(slant), np.float32(0.3))
            mix = _pattern(bank, material_pattern[material], u * repeats, v * repeats, texels)
            red = (material_values[material, 0] * (one - mix) + material_values[material, 3] * mix) * (red + glow)
            green = (material_values[material, 1] * (one - mix) + material_values[material, 4] * mix) * (green + glow)
            blue = (material_values[material, 2] * (one - mix) + material_values[material, 5] * mix) * (blue + glow)
            rgb[row, column, 0] = tone[min(int(red * _TONE_SCALE), 4095)]
            rgb[row, column, 1] = tone[min(int(green * _TONE_SCALE), 4095)]
            rgb[row, column, 2] = tone[min(int(blue * _TONE_SCALE), 4095)]
