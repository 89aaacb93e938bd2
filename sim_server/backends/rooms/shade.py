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
TONE_MAX = 4.0
_SIZE = textures.SIZE
_LEVELS = textures.LEVELS
_TONE_SCALE = np.float32((TONE_STEPS - 1) / TONE_MAX)
_BRIGHTEST = np.float32(TONE_MAX)


def tone_table() -> NDArray[np.uint8]:
    """Linear radiance 0..TONE_MAX to sRGB bytes: a filmic shoulder that keeps mid-tones and hues, then IEC 61966-2-1."""
    x = np.linspace(0, TONE_MAX, TONE_STEPS)
    knee = 0.6
    over = np.maximum(x - knee, 0)
    y = np.where(x < knee, x, knee + (1 - knee) * over / (over + (1 - knee)))
    srgb = np.where(y <= 0.0031308, 12.92 * y, 1.055 * np.maximum(y, 1e-9) ** (1 / 2.4) - 0.055)
    return np.round(np.clip(srgb, 0, 1) * 255).astype(np.uint8)


@_jit
def larger(a, b):
    """max() of two numbers of one type, without the care for NaN that the builtin takes."""
    return a if a > b else b


@_jit
def smaller(a, b):
    return a if a < b else b


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
    inverse = one / major
    tu = smaller(larger((u * inverse + one) * scale - half, np.float32(0)), top)
    tv = smaller(larger((one - v * inverse) * scale - half, np.float32(0)), top)
    iu, iv = int(tu), int(tv)
    fu, fv = tu - np.float32(iu), tv - np.float32(iv)
    # lit unless something lies nearer than the surface; the relative slack covers half a texel of depth slope
    limit = np.float32(1.008) * inverse
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
    # conversion truncates, so the fraction is lifted to be positive, and by one repeat to leave room for the half texel
    u -= np.float32(int(u))
    v -= np.float32(int(v))
    tu = (u + np.float32(2)) * scale - half
    tv = (v + np.float32(2)) * scale - half
    iu, iv = int(tu), int(tv)
    fu, fv = tu - np.float32(iu), tv - np.float32(iv)
    mask = size - 1
    u0, u1 = iu & mask, (iu + 1) & mask
    v0, v1 = offset + (iv & mask) * size, offset + ((iv + 1) & mask) * size
    low = bank[pattern, v0 + u0] * (one - fu) + bank[pattern, v0 + u1] * fu
    high = bank[pattern, v1 + u0] * (one - fu) + bank[pattern, v1 + u1] * fu
    return low * (one - fv) + high * fv


@_jit
def shade(
    inverse_depth, seen, samples, face_key, face_values, face_material, material_pattern, material_values, bank,
    lamps, cubes, ambient, floor_shade, shade_origin, shade_cell, windows, ceiling, eye, axes, tan_x, tan_y, tone, rgb,
):  # fmt: skip
    """Fills rgb uint8 [H, W, 3] from a visibility buffer of `samples` x `samples` points per pixel (1 or 2).

    Samples of one pixel that share a key are shaded once. axes: rows right, up, forward; tan_x, tan_y: half-angle
    tangents; other arrays as in Geometry and Light.
    """
    height, width = rgb.shape[0], rgb.shape[1]
    one = np.float32(1)
    half = np.float32(0.5)
    zero = np.float32(0)
    two = np.float32(2)
    fine_height, fine_width = np.float32(height * samples), np.float32(width * samples)
    pixel_angle = np.float32(2) * tan_x / np.float32(width)
    shade_rows, shade_columns = floor_shade.shape[0], floor_shade.shape[1]
    cells_per_m = one / shade_cell
    share_of_one = one / np.float32(samples * samples)
    weights = np.empty(4, np.float32)
    first_row, first_column = np.empty(4, np.int64), np.empty(4, np.int64)
    keys = np.empty(4, np.int64)
    for row in range(height):
        for column in range(width):
            # group the samples by what they see
            groups = 0
            same_face = True
            lead = seen[row * samples, column * samples]
            for fine_row in range(row * samples, row * samples + samples):
                for fine_column in range(column * samples, column * samples + samples):
                    same_face = same_face and seen[fine_row, fine_column] == lead
            if same_face:
                groups = 1
                weights[0] = one
                first_row[0] = row * samples
                first_column[0] = column * samples
            else:
                for fine_row in range(row * samples, row * samples + samples):
                    for fine_column in range(column * samples, column * samples + samples):
                        face = seen[fine_row, fine_column]
                        key = -1 if face < 0 else face_key[face]
                        g = 0
                        while g < groups and keys[g] != key:
                            g += 1
                        if g == groups:
                            keys[g] = key
                            first_row[g] = fine_row
                            first_column[g] = fine_column
                            weights[g] = zero
                            groups += 1
                        weights[g] += share_of_one
            total_red = total_green = total_blue = zero
            for g in range(groups):
                fine_row, fine_column = first_row[g], first_column[g]
                face = seen[fine_row, fine_column]
                if same_face:  # the pixel's centre
                    sample_x = (np.float32(column) + half) / np.float32(width)
                    sample_y = (np.float32(row) + half) / np.float32(height)
                else:
                    sample_x = (np.float32(fine_column) + half) / fine_width
                    sample_y = (np.float32(fine_row) + half) / fine_height
                ray_x = (sample_x * two - one) * tan_x
                ray_y = (one - sample_y * two) * tan_y
                wx = axes[2, 0] + ray_x * axes[0, 0] + ray_y * axes[1, 0]
                wy = axes[2, 1] + ray_x * axes[0, 1] + ray_y * axes[1, 1]
                wz = axes[2, 2] + ray_x * axes[0, 2] + ray_y * axes[1, 2]
                if face < 0:
                    rise = wy / np.sqrt(wx * wx + wy * wy + wz * wz)
                    sky = (one - half * half * smaller(larger(rise * two + half, zero), one)) * weights[g]
                    total_red += ambient[3, 0] * sky
                    total_green += ambient[3, 1] * sky
                    total_blue += ambient[3, 2] * sky
                    continue
                z = inverse_depth[fine_row, fine_column]
                if same_face and samples == 2:
                    z = half * (z + inverse_depth[fine_row + 1, fine_column + 1])
                z = one / z
                px, py, pz = eye[0] + z * wx, eye[1] + z * wy, eye[2] + z * wz
                w1 = smaller(larger(face_values[face, 0] * px + face_values[face, 1] * py + face_values[face, 2] * pz + face_values[face, 3], zero), one)
                w2 = smaller(larger(face_values[face, 4] * px + face_values[face, 5] * py + face_values[face, 6] * pz + face_values[face, 7], zero), one)
                nx = face_values[face, 8] + w1 * face_values[face, 11] + w2 * face_values[face, 14]
                ny = face_values[face, 9] + w1 * face_values[face, 12] + w2 * face_values[face, 15]
                nz = face_values[face, 10] + w1 * face_values[face, 13] + w2 * face_values[face, 16]
                length = one / np.sqrt(nx * nx + ny * ny + nz * nz)
                nx, ny, nz = nx * length, ny * length, nz * length
                u = face_values[face, 17] + w1 * face_values[face, 19] + w2 * face_values[face, 21]
                v = face_values[face, 18] + w1 * face_values[face, 20] + w2 * face_values[face, 22]
                material = face_material[face]
                glow = material_values[material, 7]

                # ambient light from above, beside and below, dimmed near crowded floor, in corners, under the ceiling
                up = larger(ny, zero)
                down = larger(-ny, zero)
                side = one - up - down
                gx = (px + nx * np.float32(0.08) - shade_origin[0]) * cells_per_m - half
                gz = (pz + nz * np.float32(0.08) - shade_origin[1]) * cells_per_m - half
                gx = smaller(larger(gx, zero), np.float32(shade_columns) - np.float32(1.01))
                gz = smaller(larger(gz, zero), np.float32(shade_rows) - np.float32(1.01))
                ix, iz = int(gx), int(gz)
                fx, fz = gx - np.float32(ix), gz - np.float32(iz)
                w00, w01, w10, w11 = (one - fx) * (one - fz), fx * (one - fz), (one - fx) * fz, fx * fz
                crowd = (
                    floor_shade[iz, ix, 0] * w00
                    + floor_shade[iz, ix + 1, 0] * w01
                    + floor_shade[iz + 1, ix, 0] * w10
                    + floor_shade[iz + 1, ix + 1, 0] * w11
                )
                wall = (
                    floor_shade[iz, ix, 1] * w00
                    + floor_shade[iz, ix + 1, 1] * w01
                    + floor_shade[iz + 1, ix, 1] * w10
                    + floor_shade[iz + 1, ix + 1, 1] * w11
                )
                floor_near = one / (one + py * py * np.float32(14))
                head = ceiling - py
                top_near = one / (one + head * head * np.float32(14))
                open_sky = one - np.float32(0.6) * crowd * floor_near * (one - half * side)
                open_sky *= one - np.float32(0.5) * wall
                open_sky *= one - np.float32(0.3) * (side + down) * floor_near
                open_sky *= one - np.float32(0.28) * (side + up) * top_near
                red = (ambient[0, 0] * up + ambient[1, 0] * side + ambient[2, 0] * down) * open_sky
                green = (ambient[0, 1] * up + ambient[1, 1] * side + ambient[2, 1] * down) * open_sky
                blue = (ambient[0, 2] * up + ambient[1, 2] * side + ambient[2, 2] * down) * open_sky

                for k in range(windows.shape[0]):
                    dx, dy, dz = windows[k, 0] - px, windows[k, 1] - py, windows[k, 2] - pz
                    facing = -(dx * windows[k, 3] + dz * windows[k, 4])
                    cosine = dx * nx + dy * ny + dz * nz
                    if facing <= zero or cosine <= zero:
                        continue
                    r2 = dx * dx + dy * dy + dz * dz
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
                    share = cosine * (one - r2 / reach2) / (np.sqrt(r2) * (np.float32(1.3) + r2))
                    share *= _lamp_visibility(cubes, k, -dx, -dy, -dz)
                    red += share * lamps[k, 3]
                    green += share * lamps[k, 4]
                    blue += share * lamps[k, 5]

                repeats = material_values[material, 6]
                slant = abs(nx * wx + ny * wy + nz * wz)
                texels = z * pixel_angle * repeats * np.float32(_SIZE) / larger(np.sqrt(slant), np.float32(0.3))
                mix = _pattern(bank, material_pattern[material], u * repeats, v * repeats, texels)
                rest = one - mix
                red = (material_values[material, 0] * rest + material_values[material, 3] * mix) * (red + glow)
                green = (material_values[material, 1] * rest + material_values[material, 4] * mix) * (green + glow)
                blue = (material_values[material, 2] * rest + material_values[material, 5] * mix) * (blue + glow)
                # a very bright sample must not swallow the whole pixel
                total_red += smaller(red, _BRIGHTEST) * weights[g]
                total_green += smaller(green, _BRIGHTEST) * weights[g]
                total_blue += smaller(blue, _BRIGHTEST) * weights[g]
            rgb[row, column, 0] = tone[int(smaller(total_red, _BRIGHTEST) * _TONE_SCALE)]
            rgb[row, column, 1] = tone[int(smaller(total_green, _BRIGHTEST) * _TONE_SCALE)]
            rgb[row, column, 2] = tone[int(smaller(total_blue, _BRIGHTEST) * _TONE_SCALE)]
