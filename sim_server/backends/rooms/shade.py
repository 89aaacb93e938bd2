"""Deferred shading from the visibility buffer, one row of pixels at a time.

Each row goes through short passes over its samples: group the samples of a pixel, find the surface points and the baked
light there, apply the mip-mapped pattern. Passes over a row keep the steps of neighbouring samples independent, which a
processor overlaps; one long function per pixel would wait for itself. A filmic curve then maps the sums to sRGB.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim_server.backends.rooms import outside, textures
from sim_server.backends.rooms.raster import _jit, larger, smaller

TONE_STEPS = 4096
_TONE_SCALE = np.float32(TONE_STEPS - 1)
_BRIGHTEST = np.float32(4)  # radiance of one sample
_KNEE = np.float32(0.6)  # the filmic shoulder starts here
_FADE = np.float32(0.07)  # how far a light too bright for the picture turns white
_SIZE = textures.SIZE
_LEVELS = textures.LEVELS
_ZERO, _HALF, _ONE, _TWO = np.float32(0), np.float32(0.5), np.float32(1), np.float32(2)

# Rows of the sample table float32 [_ROWS, samples of a row]: ray; pattern coordinates; texels per pixel; depth; weight
# in the pixel; light.
_RX, _RY, _RZ, _U, _V, _TEXELS, _DEPTH, _WEIGHT, _RED, _GREEN, _BLUE = range(11)
_ROWS = 11
# Rows of the index table int32 [3, samples of a row].
_COLUMN, _FACE, _MATERIAL = range(3)


def tone_table() -> NDArray[np.uint8]:
    """Linear 0..1 to sRGB bytes, IEC 61966-2-1."""
    y = np.linspace(0, 1, TONE_STEPS)
    srgb = np.where(y <= 0.0031308, 12.92 * y, 1.055 * np.maximum(y, 1e-9) ** (1 / 2.4) - 0.055)
    return np.round(np.clip(srgb, 0, 1) * 255).astype(np.uint8)


@_jit
def _develop(total, tone, pixels):
    """One row of radiance float32 [3, W] to sRGB bytes [W, 3]. The shoulder acts on the strongest channel and takes the
    others along, so that colours keep their hue in bright light."""
    for column in range(pixels.shape[0]):
        red, green, blue = total[0, column], total[1, column], total[2, column]
        peak = larger(larger(red, green), blue)
        if peak > _KNEE:
            over = peak - _KNEE
            rest = _ONE - _KNEE
            top = _KNEE + rest * over / (over + rest)
            fade = _FADE * over / (over + rest)
            scale = top / peak * (_ONE - fade)
            fade *= top
            red, green, blue = red * scale + fade, green * scale + fade, blue * scale + fade
        pixels[column, 0] = tone[int(red * _TONE_SCALE)]
        pixels[column, 1] = tone[int(green * _TONE_SCALE)]
        pixels[column, 2] = tone[int(blue * _TONE_SCALE)]


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
def _add_outside(panorama, wx, wy, wz, weight, column, total):
    """Adds the panorama along a ray. The angle around the horizon runs evenly along the edges of a square."""
    rise = wy / np.sqrt(wx * wx + wy * wy + wz * wz)
    turn = wz / (abs(wx) + abs(wz) + np.float32(1e-12))
    turn = _ONE + turn if wx > _ZERO else np.float32(3) - turn
    v = (rise - np.float32(outside.RISE_LOW)) * np.float32(outside.ROWS / (outside.RISE_HIGH - outside.RISE_LOW))
    v = smaller(larger(v - _HALF, _ZERO), np.float32(outside.ROWS - 1.01))
    u = turn * np.float32(outside.COLUMNS / 4)
    iv, iu = int(v), int(u)
    fv, fu = v - np.float32(iv), u - np.float32(iu)
    u0, u1 = iu % outside.COLUMNS, (iu + 1) % outside.COLUMNS
    for c in range(3):
        low = panorama[iv, u0, c] * (_ONE - fu) + panorama[iv, u1, c] * fu
        high = panorama[iv + 1, u0, c] * (_ONE - fu) + panorama[iv + 1, u1, c] * fu
        total[c, column] += (low * (_ONE - fv) + high * fv) * weight


@_jit
def _collect(row, samples, inverse_depth, seen, face_key, panorama, axes, tan_x, tan_y, table, index, total):
    """Lists what the pixels of a row see, samples of one pixel with one key as one; returns how many.

    Writes column, face, ray (forward component 1), depth and weight. What lies outside goes straight into `total`.
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
                _add_outside(panorama, wx, wy, wz, weights[g], column, total)
                continue
            z = inverse_depth[fine_row, fine_column]
            if same_face and samples == 2:
                z = _HALF * (z + inverse_depth[fine_row + 1, fine_column + 1])
            index[_COLUMN, found], index[_FACE, found] = column, face
            table[_RX, found], table[_RY, found], table[_RZ, found] = wx, wy, wz
            table[_DEPTH, found], table[_WEIGHT, found] = _ONE / z, weights[g]
            found += 1
    return found


@_jit
def _surface(
    count, shading, face_material, material_values, face_rectangle, rectangle_maps, rectangle_texels, atlas, eye,
    pixel_angle, table, index,
):  # fmt: skip
    """From ray and depth: pattern coordinates, the texels that a pixel covers there, and the light."""
    for i in range(count):
        face = index[_FACE, i]
        wx, wy, wz, z = table[_RX, i], table[_RY, i], table[_RZ, i], table[_DEPTH, i]
        px, py, pz = eye[0] + z * wx, eye[1] + z * wy, eye[2] + z * wz
        w1 = shading[face, 0] * px + shading[face, 1] * py + shading[face, 2] * pz + shading[face, 3]
        w2 = shading[face, 4] * px + shading[face, 5] * py + shading[face, 6] * pz + shading[face, 7]
        w1 = smaller(larger(w1, _ZERO), _ONE)
        w2 = smaller(larger(w2, _ZERO), _ONE)
        material = face_material[face]
        repeats = material_values[material, 6]
        slant = np.sqrt(abs(shading[face, 8] * wx + shading[face, 9] * wy + shading[face, 10] * wz))
        index[_MATERIAL, i] = material
        table[_U, i] = (shading[face, 11] + w1 * shading[face, 13] + w2 * shading[face, 15]) * repeats
        table[_V, i] = (shading[face, 12] + w1 * shading[face, 14] + w2 * shading[face, 16]) * repeats
        table[_TEXELS, i] = z * pixel_angle * repeats * np.float32(_SIZE) / larger(slant, np.float32(0.3))
        r = face_rectangle[face]
        if r < 0:
            for c in range(3):
                table[_RED + c, i] = shading[face, 17 + c] + w1 * shading[face, 20 + c] + w2 * shading[face, 23 + c]
            continue
        u = rectangle_maps[r, 0] * px + rectangle_maps[r, 1] * py + rectangle_maps[r, 2] * pz + rectangle_maps[r, 3]
        v = rectangle_maps[r, 4] * px + rectangle_maps[r, 5] * py + rectangle_maps[r, 6] * pz + rectangle_maps[r, 7]
        columns, rows = rectangle_texels[r, 1], rectangle_texels[r, 2]
        u = smaller(larger(u, _ZERO), np.float32(columns) - np.float32(1.001))
        v = smaller(larger(v, _ZERO), np.float32(rows) - np.float32(1.001))
        iu, iv = int(u), int(v)
        fu, fv = u - np.float32(iu), v - np.float32(iv)
        at = rectangle_texels[r, 0] + iv * columns + iu
        w00, w01, w10, w11 = (_ONE - fu) * (_ONE - fv), fu * (_ONE - fv), (_ONE - fu) * fv, fu * fv
        for c in range(3):
            table[_RED + c, i] = (
                atlas[at, c] * w00 + atlas[at + 1, c] * w01 + atlas[at + columns, c] * w10
                + atlas[at + columns + 1, c] * w11
            )  # fmt: skip


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
def _reflect(count, bank, material_pattern, material_values, glow_factor, table, index, total):
    """Adds each sample's reflected light to its pixel; one very bright sample must not swallow the pixel."""
    for i in range(count):
        m, column, weight = index[_MATERIAL, i], index[_COLUMN, i], table[_WEIGHT, i]
        mix = _pattern(bank, material_pattern[m], table[_U, i], table[_V, i], table[_TEXELS, i])
        rest = _ONE - mix
        glow = material_values[m, 7] * glow_factor
        for channel in range(3):
            albedo = material_values[m, channel] * rest + material_values[m, 3 + channel] * mix
            total[channel, column] += smaller(albedo * (table[_RED + channel, i] + glow), _BRIGHTEST) * weight


@_jit
def shade(
    inverse_depth, seen, samples, face_key, shading, face_material, material_pattern, material_values, bank,
    face_rectangle, rectangle_maps, rectangle_texels, atlas, panorama, glow, eye, axes, tan_x, tan_y, tone, rgb,
):  # fmt: skip
    """Fills rgb uint8 [H, W, 3] from a visibility buffer of `samples` x `samples` points per pixel (1 or 2).

    shading: see geometry.shading_table; axes: rows right, up, forward; tan_x, tan_y: half-angle tangents; other arrays
    as in Geometry and Light.
    """
    height, width = rgb.shape[0], rgb.shape[1]
    table = np.empty((_ROWS, width * samples * samples), np.float32)
    index = np.empty((3, width * samples * samples), np.int32)
    total = np.empty((3, width), np.float32)
    pixel_angle = _TWO * tan_x / np.float32(width)
    for row in range(height):
        total[:] = 0
        count = _collect(row, samples, inverse_depth, seen, face_key, panorama, axes, tan_x, tan_y, table, index, total)
        _surface(
            count, shading, face_material, material_values, face_rectangle, rectangle_maps, rectangle_texels, atlas,
            eye, pixel_angle, table, index,
        )  # fmt: skip
        _reflect(count, bank, material_pattern, material_values, glow, table, index, total)
        _develop(total, tone, rgb[row])
