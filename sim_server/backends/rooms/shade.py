"""Deferred shading from the visibility buffer, one row of pixels at a time.

Each row goes through short passes over its samples: group the samples of a pixel, find the surface points, add
ambient and window light, add the lamps with filtered shadow cubes, apply the mip-mapped pattern. Passes over a row keep
the steps of neighbouring samples independent, which a processor overlaps; one long function per pixel would wait for
itself. A filmic curve then maps the sums to sRGB.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sim_server.backends.rooms import textures

_jit = njit(cache=True, nogil=True, error_model="numpy")

TONE_STEPS = 4096
TONE_MAX = 4.0
_TONE_SCALE = np.float32((TONE_STEPS - 1) / TONE_MAX)
_BRIGHTEST = np.float32(TONE_MAX)
_SIZE = textures.SIZE
_LEVELS = textures.LEVELS
_ZERO, _HALF, _ONE, _TWO = np.float32(0), np.float32(0.5), np.float32(1), np.float32(2)

# Rows of the sample table float32 [_ROWS, samples of a row]: ray, later point; normal; pattern coordinates; texels
# per pixel; depth; weight in the pixel; light.
_PX, _PY, _PZ, _NX, _NY, _NZ, _U, _V, _TEXELS, _DEPTH, _WEIGHT, _RED, _GREEN, _BLUE = range(14)
_ROWS = 14
# Rows of the index table int32 [3, samples of a row].
_COLUMN, _FACE, _MATERIAL = range(3)


def tone_table() -> NDArray[np.uint8]:
    """Linear radiance 0..TONE_MAX to sRGB bytes: a filmic shoulder above mid-tones, then IEC 61966-2-1."""
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
                depth[row, column] = _ONE / inverse_depth[row, column]
                ids[row, column] = face_object[face]


@_jit
def _collect(row, samples, inverse_depth, seen, face_key, sky, axes, tan_x, tan_y, table, index, total):
    """Lists what the pixels of a row see, samples of one pixel with one key as one; returns how many.

    Writes column, face, ray (in _PX.._PZ, forward component 1), depth and weight. Sky goes straight into `total`.
    """
    height, width = seen.shape[0] // samples, seen.shape[1] // samples
    share_of_one = _ONE / np.float32(samples * samples)
    fine_height, fine_width = np.float32(height * samples), np.float32(width * samples)
    weights = np.empty(4, np.float32)
    first_row, first_column = np.empty(4, np.int64), np.empty(4, np.int64)
    keys = np.empty(4, np.int64)
    found = 0
    for column in range(width):
        groups = 0
        same_face = True
        lead = seen[row * samples, column * samples]
        for fine_row in range(row * samples, row * samples + samples):
            for fine_column in range(column * samples, column * samples + samples):
                same_face = same_face and seen[fine_row, fine_column] == lead
        if same_face:
            groups = 1
            weights[0] = _ONE
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
                        weights[g] = _ZERO
                        groups += 1
                    weights[g] += share_of_one
        for g in range(groups):
            fine_row, fine_column = first_row[g], first_column[g]
            face = seen[fine_row, fine_column]
            if same_face:  # the pixel's centre
                sample_x = (np.float32(column) + _HALF) / np.float32(width)
                sample_y = (np.float32(row) + _HALF) / np.float32(height)
            else:
                sample_x = (np.float32(fine_column) + _HALF) / fine_width
                sample_y = (np.float32(fine_row) + _HALF) / fine_height
            ray_x = (sample_x * _TWO - _ONE) * tan_x
            ray_y = (_ONE - sample_y * _TWO) * tan_y
            wx = axes[2, 0] + ray_x * axes[0, 0] + ray_y * axes[1, 0]
            wy = axes[2, 1] + ray_x * axes[0, 1] + ray_y * axes[1, 1]
            wz = axes[2, 2] + ray_x * axes[0, 2] + ray_y * axes[1, 2]
            if face < 0:
                rise = wy / np.sqrt(wx * wx + wy * wy + wz * wz)
                bright = (_ONE - _HALF * _HALF * smaller(larger(rise * _TWO + _HALF, _ZERO), _ONE)) * weights[g]
                for channel in range(3):
                    total[channel, column] += sky[channel] * bright
                continue
            z = inverse_depth[fine_row, fine_column]
            if same_face and samples == 2:
                z = _HALF * (z + inverse_depth[fine_row + 1, fine_column + 1])
            index[_COLUMN, found], index[_FACE, found] = column, face
            table[_PX, found], table[_PY, found], table[_PZ, found] = wx, wy, wz
            table[_DEPTH, found], table[_WEIGHT, found] = _ONE / z, weights[g]
            found += 1
    return found


@_jit
def _surface(count, face_values, face_material, material_values, eye, pixel_angle, table, index):
    """From ray and depth: the point, its normal, pattern coordinates and the texels that a pixel covers there."""
    for i in range(count):
        face = index[_FACE, i]
        wx, wy, wz, z = table[_PX, i], table[_PY, i], table[_PZ, i], table[_DEPTH, i]
        px, py, pz = eye[0] + z * wx, eye[1] + z * wy, eye[2] + z * wz
        w1 = face_values[face, 0] * px + face_values[face, 1] * py + face_values[face, 2] * pz + face_values[face, 3]
        w2 = face_values[face, 4] * px + face_values[face, 5] * py + face_values[face, 6] * pz + face_values[face, 7]
        w1 = smaller(larger(w1, _ZERO), _ONE)
        w2 = smaller(larger(w2, _ZERO), _ONE)
        nx = face_values[face, 8] + w1 * face_values[face, 11] + w2 * face_values[face, 14]
        ny = face_values[face, 9] + w1 * face_values[face, 12] + w2 * face_values[face, 15]
        nz = face_values[face, 10] + w1 * face_values[face, 13] + w2 * face_values[face, 16]
        length = _ONE / np.sqrt(nx * nx + ny * ny + nz * nz)
        nx, ny, nz = nx * length, ny * length, nz * length
        material = face_material[face]
        repeats = material_values[material, 6]
        slant = np.sqrt(abs(nx * wx + ny * wy + nz * wz))
        index[_MATERIAL, i] = material
        table[_PX, i], table[_PY, i], table[_PZ, i] = px, py, pz
        table[_NX, i], table[_NY, i], table[_NZ, i] = nx, ny, nz
        table[_U, i] = (face_values[face, 17] + w1 * face_values[face, 19] + w2 * face_values[face, 21]) * repeats
        table[_V, i] = (face_values[face, 18] + w1 * face_values[face, 20] + w2 * face_values[face, 22]) * repeats
        table[_TEXELS, i] = z * pixel_angle * repeats * np.float32(_SIZE) / larger(slant, np.float32(0.3))


@_jit
def _soft_light(count, ambient, floor_shade, shade_origin, shade_cell, windows, ceiling, table):
    """Ambient light from above, beside and below, and the windows as patches that cast no shadow.

    Both are dimmed near crowded floor, in corners and under the ceiling.
    """
    cells_per_m = _ONE / shade_cell
    last_x = np.float32(floor_shade.shape[1]) - np.float32(1.01)
    last_z = np.float32(floor_shade.shape[0]) - np.float32(1.01)
    for i in range(count):
        px, py, pz = table[_PX, i], table[_PY, i], table[_PZ, i]
        nx, ny, nz = table[_NX, i], table[_NY, i], table[_NZ, i]
        up = larger(ny, _ZERO)
        down = larger(-ny, _ZERO)
        side = _ONE - up - down
        gx = (px + nx * np.float32(0.08) - shade_origin[0]) * cells_per_m - _HALF
        gz = (pz + nz * np.float32(0.08) - shade_origin[1]) * cells_per_m - _HALF
        gx = smaller(larger(gx, _ZERO), last_x)
        gz = smaller(larger(gz, _ZERO), last_z)
        ix, iz = int(gx), int(gz)
        fx, fz = gx - np.float32(ix), gz - np.float32(iz)
        w00, w01, w10, w11 = (_ONE - fx) * (_ONE - fz), fx * (_ONE - fz), (_ONE - fx) * fz, fx * fz
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
        floor_near = _ONE / (_ONE + py * py * np.float32(14))
        head = ceiling - py
        top_near = _ONE / (_ONE + head * head * np.float32(14))
        clear = _ONE - np.float32(0.6) * crowd * floor_near * (_ONE - _HALF * side)
        clear *= _ONE - _HALF * wall
        clear *= _ONE - np.float32(0.3) * (side + down) * floor_near
        clear *= _ONE - np.float32(0.28) * (side + up) * top_near
        red = ambient[0, 0] * up + ambient[1, 0] * side + ambient[2, 0] * down
        green = ambient[0, 1] * up + ambient[1, 1] * side + ambient[2, 1] * down
        blue = ambient[0, 2] * up + ambient[1, 2] * side + ambient[2, 2] * down
        for k in range(windows.shape[0]):
            dx, dy, dz = windows[k, 0] - px, windows[k, 1] - py, windows[k, 2] - pz
            facing = larger(-(dx * windows[k, 3] + dz * windows[k, 4]), _ZERO)
            cosine = larger(dx * nx + dy * ny + dz * nz, _ZERO)
            r2 = dx * dx + dy * dy + dz * dz + np.float32(1e-6)
            share = facing * cosine / (r2 * (r2 + _ONE))
            red += share * windows[k, 5]
            green += share * windows[k, 6]
            blue += share * windows[k, 7]
        table[_RED, i], table[_GREEN, i], table[_BLUE, i] = red * clear, green * clear, blue * clear


@_jit
def _lamp_visibility(cubes, lamp, dx, dy, dz):
    """Share of the lamp's light that arrives, 0..1; (dx, dy, dz) points from the lamp to the surface."""
    size = cubes.shape[2]
    ax, ay, az = abs(dx), abs(dy), abs(dz)
    if ax >= ay and ax >= az:
        face, major, u, v = (0 if dx > 0 else 1), ax, dy, dz
    elif ay >= az:
        face, major, u, v = (2 if dy > 0 else 3), ay, dx, dz
    else:
        face, major, u, v = (4 if dz > 0 else 5), az, dx, dy
    scale = np.float32(size) * _HALF
    top = np.float32(size) - np.float32(1.001)
    inverse = _ONE / major
    tu = smaller(larger((u * inverse + _ONE) * scale - _HALF, _ZERO), top)
    tv = smaller(larger((_ONE - v * inverse) * scale - _HALF, _ZERO), top)
    iu, iv = int(tu), int(tv)
    fu, fv = tu - np.float32(iu), tv - np.float32(iv)
    # lit unless something lies nearer than the surface; the relative slack covers half a texel of depth slope
    limit = np.float32(1.008) * inverse
    v00 = _ONE if cubes[lamp, face, iv, iu] <= limit else _ZERO
    v01 = _ONE if cubes[lamp, face, iv, iu + 1] <= limit else _ZERO
    v10 = _ONE if cubes[lamp, face, iv + 1, iu] <= limit else _ZERO
    v11 = _ONE if cubes[lamp, face, iv + 1, iu + 1] <= limit else _ZERO
    return (v00 * (_ONE - fu) + v01 * fu) * (_ONE - fv) + (v10 * (_ONE - fu) + v11 * fu) * fv


@_jit
def _lamp_light(count, lamps, cubes, table):
    """Adds the ceiling lamps: inverse-square with a soft core, faded to nothing at their reach."""
    for k in range(lamps.shape[0]):
        reach2 = lamps[k, 6] * lamps[k, 6]
        for i in range(count):
            dx, dy, dz = lamps[k, 0] - table[_PX, i], lamps[k, 1] - table[_PY, i], lamps[k, 2] - table[_PZ, i]
            cosine = dx * table[_NX, i] + dy * table[_NY, i] + dz * table[_NZ, i]
            r2 = dx * dx + dy * dy + dz * dz
            if cosine <= _ZERO or r2 >= reach2:
                continue
            share = cosine * (_ONE - r2 / reach2) / (np.sqrt(r2) * (np.float32(1.3) + r2))
            share *= _lamp_visibility(cubes, k, -dx, -dy, -dz)
            table[_RED, i] += share * lamps[k, 3]
            table[_GREEN, i] += share * lamps[k, 4]
            table[_BLUE, i] += share * lamps[k, 5]


@_jit
def _pattern(bank, pattern, u, v, texels):
    """Pattern value at (u, v) repeats, bilinear on the mip level where a pixel covers `texels` of level 0."""
    offset = 0
    size = _SIZE
    level = 0
    while texels > np.float32(1.4) and level < _LEVELS - 1:
        texels *= _HALF
        offset += size * size
        size >>= 1
        level += 1
    scale = np.float32(size)
    # conversion truncates, so the fraction is lifted to be positive, and by one repeat to leave room for the half texel
    u -= np.float32(int(u))
    v -= np.float32(int(v))
    tu = (u + _TWO) * scale - _HALF
    tv = (v + _TWO) * scale - _HALF
    iu, iv = int(tu), int(tv)
    fu, fv = tu - np.float32(iu), tv - np.float32(iv)
    mask = size - 1
    u0, u1 = iu & mask, (iu + 1) & mask
    v0, v1 = offset + (iv & mask) * size, offset + ((iv + 1) & mask) * size
    low = bank[pattern, v0 + u0] * (_ONE - fu) + bank[pattern, v0 + u1] * fu
    high = bank[pattern, v1 + u0] * (_ONE - fu) + bank[pattern, v1 + u1] * fu
    return low * (_ONE - fv) + high * fv


@_jit
def _reflect(count, bank, material_pattern, material_values, table, index, total):
    """Adds each sample's reflected light to its pixel; one very bright sample must not swallow the pixel."""
    for i in range(count):
        m, column, weight = index[_MATERIAL, i], index[_COLUMN, i], table[_WEIGHT, i]
        mix = _pattern(bank, material_pattern[m], table[_U, i], table[_V, i], table[_TEXELS, i])
        rest = _ONE - mix
        glow = material_values[m, 7]
        for channel in range(3):
            albedo = material_values[m, channel] * rest + material_values[m, 3 + channel] * mix
            total[channel, column] += smaller(albedo * (table[_RED + channel, i] + glow), _BRIGHTEST) * weight


@_jit
def shade(
    inverse_depth, seen, samples, face_key, face_values, face_material, material_pattern, material_values, bank,
    lamps, cubes, ambient, floor_shade, shade_origin, shade_cell, windows, ceiling, eye, axes, tan_x, tan_y, tone, rgb,
):  # fmt: skip
    """Fills rgb uint8 [H, W, 3] from a visibility buffer of `samples` x `samples` points per pixel (1 or 2).

    axes: rows right, up, forward; tan_x, tan_y: half-angle tangents; other arrays as in Geometry and Light.
    """
    height, width = rgb.shape[0], rgb.shape[1]
    table = np.empty((_ROWS, width * samples * samples), np.float32)
    index = np.empty((3, width * samples * samples), np.int32)
    total = np.empty((3, width), np.float32)
    pixel_angle = _TWO * tan_x / np.float32(width)
    for row in range(height):
        total[:] = 0
        count = _collect(
            row, samples, inverse_depth, seen, face_key, ambient[3], axes, tan_x, tan_y, table, index, total
        )
        _surface(count, face_values, face_material, material_values, eye, pixel_angle, table, index)
        _soft_light(count, ambient, floor_shade, shade_origin, shade_cell, windows, ceiling, table)
        _lamp_light(count, lamps, cubes, table)
        _reflect(count, bank, material_pattern, material_values, table, index, total)
        for column in range(width):
            for channel in range(3):
                rgb[row, column, channel] = tone[int(smaller(total[channel, column], _BRIGHTEST) * _TONE_SCALE)]
