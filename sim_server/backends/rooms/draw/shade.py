"""Deferred shading from the visibility buffer, in pieces of a row of pixels.

Short passes run over the samples of each piece: collect one sample per pixel, or more for pixels that see several
surfaces; then compute surface points, baked light and the mip-mapped pattern. Neighbouring samples mostly belong to the
same face, so that the values of a face are loaded once per run of samples, and the steps within a run are independent
and vectorise. A filmic curve maps the sums to sRGB.

The values of the samples are in one flat array with rows of fixed length and unsigned indices: only then does the
compiler know that the steps do not overlap.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_server.backends.rooms.building import outside
from sim_server.backends.rooms.draw import textures
from sim_server.backends.rooms.draw.film import TONE_STEPS, Exposure
from sim_server.backends.rooms.draw.raster import larger, smaller
from sim_server.backends.rooms.draw.view import Pinhole, VisibilityBuffer
from sim_server.backends.rooms.geometry import Geometry, shading_table
from sim_server.backends.rooms.light.baked import Light
from sim_server.jit import jit

_TONE_SCALE = np.float32(TONE_STEPS - 1)
_FINEST = 1.4  # texels per pixel up to which the finest mip level is used
BRIGHTEST = np.float32(4)  # maximum radiance of one sample
_KNEE = np.float32(0.6)  # where the filmic shoulder starts
_FADE = np.float32(0.07)  # how much overexposed colours fade to white
# Parts of the noise that all channels share and that tints a pixel, per unit of sums of two bytes and of doubled bytes.
_GREY_NOISE, _TINTED_NOISE = np.float32(0.85 / 104.5), np.float32(0.6 / 147.8)
_SIZE = textures.SIZE
_LEVELS = textures.LEVELS
_ZERO, _HALF, _ONE, _TWO = np.float32(0), np.float32(0.5), np.float32(1), np.float32(2)

SAMPLES = 2  # per pixel along each axis
_PIECE = 256  # pixels
_ROW = _PIECE * (1 + SAMPLES * SAMPLES)  # maximum number of samples in a piece
# Rows of the table of samples: ray; 1 / depth; weight in the pixel; point; pattern coordinates; texels per pixel;
# cosine between ray and face; light, later reflected light.
_RX, _RY, _RZ, _INVERSE, _WEIGHT, _PX, _PY, _PZ, _U, _V, _TEXELS, _SLANT, _RED, _GREEN, _BLUE = (
    np.uintp(row * _ROW) for row in range(15)
)
_ROWS = 15
_FIRST, _SECOND, _THIRD, _FOURTH = (np.uintp(row * _ROW) for row in range(4))  # texels to blend
_PER_BYTE = np.float32(1 / 255)
_NONE, _NEXT = np.uintp(0), np.uintp(1)


class Surfaces(NamedTuple):
    """Appearance of a scene's faces.

    shading: see geometry.shading_table; bank: see textures.bank; the others as in Geometry.
    """

    face_key: NDArray[np.int32]
    shading: NDArray[np.float32]
    face_material: NDArray[np.int32]
    material_pattern: NDArray[np.int32]
    material_values: NDArray[np.float32]
    bank: NDArray[np.uint8]


def surfaces_of(geometry: Geometry, vertex_light: NDArray[np.float32]) -> Surfaces:
    """The surfaces of a scene; vertex_light: see Light.vertex."""
    g = geometry
    shading = shading_table(g, vertex_light)
    return Surfaces(g.face_key, shading, g.face_material, g.material_pattern, g.material_values, textures.bank())


@jit
def _scattered(pixel, seed):
    """A hash of 32 bits."""
    h = np.uint32(np.uint32(pixel) * np.uint32(0x9E3779B1)) ^ seed
    h = np.uint32((h ^ (h >> np.uint32(15))) * np.uint32(0x85EBCA77))
    h = np.uint32((h ^ (h >> np.uint32(13))) * np.uint32(0xC2B2AE3D))
    return h ^ (h >> np.uint32(16))


@jit
def _develop(first, count, total, exposure, steps, pixels):
    """Convert radiance float32 [3, >= N] of N pixels to sRGB bytes [N, 3].

    The shoulder is computed for the strongest channel and scales all three, so that bright colours keep their hue.
    Noise depends on the number of the pixel in the image; `first` is that of the first one. steps: scratch int32
    [3, >= N].
    """
    gains, noise, seed, tone = exposure
    gain_red, gain_green, gain_blue = gains[0], gains[1], gains[2]
    grey, tinted = noise * _GREY_NOISE, noise * _TINTED_NOISE
    byte, middle = np.uint32(255), np.int32(255)
    for i in range(_NONE, count):
        red, green, blue = total[0, i] * gain_red, total[1, i] * gain_green, total[2, i] * gain_blue
        peak = larger(larger(red, green), blue)
        over = peak - _KNEE
        top = _KNEE + (_ONE - _KNEE) * over / (over + (_ONE - _KNEE))
        fade = _FADE * over / (over + (_ONE - _KNEE))
        scale = top / peak * (_ONE - fade)
        fade *= top
        scale, fade = scale if over > _ZERO else _ONE, fade if over > _ZERO else _ZERO
        red, green, blue = red * scale + fade, green * scale + fade, blue * scale + fade
        h = _scattered(first + i, seed)
        a, b = np.int32(h & byte), np.int32((h >> np.uint32(8)) & byte)
        c, d = np.int32((h >> np.uint32(16)) & byte), np.int32(h >> np.uint32(24))
        common = np.float32(a + b - middle) * grey
        warm, cold = np.float32(np.int32(2) * c - middle) * tinted, np.float32(np.int32(2) * d - middle) * tinted
        red += np.sqrt(red) * (common + warm)
        green += np.sqrt(green) * (common - _HALF * (warm + cold))
        blue += np.sqrt(blue) * (common + cold)
        steps[0, i] = np.int32(smaller(larger(red, _ZERO), _ONE) * _TONE_SCALE)
        steps[1, i] = np.int32(smaller(larger(green, _ZERO), _ONE) * _TONE_SCALE)
        steps[2, i] = np.int32(smaller(larger(blue, _ZERO), _ONE) * _TONE_SCALE)
    for i in range(_NONE, count):
        pixels[i, 0] = tone[np.uintp(steps[0, i])]
        pixels[i, 1] = tone[np.uintp(steps[1, i])]
        pixels[i, 2] = tone[np.uintp(steps[2, i])]


def developed(radiance: NDArray[np.float32], exposure: Exposure) -> NDArray[np.uint8]:
    """sRGB bytes of radiance float32 [..., 3], without noise."""
    flat = radiance.reshape(-1, 3)
    pixels = np.empty((len(flat), 3), np.uint8)
    columns, silent = np.ascontiguousarray(flat.T), exposure._replace(noise=np.float32(0))
    _develop(_NONE, np.uintp(len(flat)), columns, tuple(silent), np.empty(columns.shape, np.int32), pixels)
    return pixels.reshape(radiance.shape)


@jit
def depth_and_ids(inverse_depth, seen, face_object, depth, ids):
    """Fill depth float32 [H, W] (0 = nothing) and ids int32 [H, W] from a visibility buffer."""
    height, width = seen.shape
    for row in range(height):
        for column in range(width):
            z = _ONE / inverse_depth[row, column]
            depth[row, column] = z if seen[row, column] >= 0 else _ZERO
        for column in range(width):
            face = seen[row, column]
            ids[row, column] = face_object[face] if face >= 0 else 0


@jit
def _add_outside(panorama, scale, wx, wy, wz, weight, column, total):
    """Add the panorama along a ray. Its columns are evenly spaced along the edges of a square around the camera."""
    rise = wy / np.sqrt(wx * wx + wy * wy + wz * wz)
    turn = wz / (abs(wx) + abs(wz) + np.float32(1e-12))
    turn = _ONE + turn if wx > _ZERO else np.float32(3) - turn
    rows, columns = panorama.shape[0], panorama.shape[1]
    v = (rise - np.float32(outside.RISE_LOW)) * np.float32(rows / (outside.RISE_HIGH - outside.RISE_LOW))
    v = smaller(larger(v - _HALF, _ZERO), np.float32(rows - 1.01))
    u = turn * np.float32(columns / 4)
    iv, iu = int(v), int(u)
    fv, fu = v - np.float32(iv), u - np.float32(iu)
    u0, u1 = iu % columns, (iu + 1) % columns
    for c in range(3):
        p, q = np.float32(panorama[iv, u0, c]), np.float32(panorama[iv, u1, c])
        r, s = np.float32(panorama[iv + 1, u0, c]), np.float32(panorama[iv + 1, u1, c])
        low, high = p * p * (_ONE - fu) + q * q * fu, r * r * (_ONE - fu) + s * s * fu
        total[c, column] += (low * (_ONE - fv) + high * fv) * (scale * weight)


@jit
def _collect(
    row, start, count, inverse_depth, seen, face_key, panorama, scale, axes, tan_x, tan_y, table, faces, owner,
    total, group
):  # fmt: skip
    """Collect the samples of `count` pixels from column `start`; return the number of samples.

    The first `count` samples are one per pixel, with weight 1, or 0 if the pixel sees several faces. The samples of the
    latter pixels follow, merged if they have the same key. Fills ray (forward component 1), 1 / depth, weight, face
    and, after the first `count` samples, the owning pixel. The background is added to `total` directly.
    """
    height, width = seen.shape[0] // SAMPLES, seen.shape[1] // SAMPLES
    upper, lower = seen[row * SAMPLES], seen[row * SAMPLES + 1]
    upper_depth, lower_depth = inverse_depth[row * SAMPLES], inverse_depth[row * SAMPLES + 1]
    ray_y = (_ONE - (np.float32(row) + _HALF) / np.float32(height) * _TWO) * tan_y
    x0, x1, y0, y1, z0, z1 = axes[2, 0], axes[0, 0], axes[2, 1], axes[0, 1], axes[2, 2], axes[0, 2]
    x2, y2, z2 = ray_y * axes[1, 0], ray_y * axes[1, 1], ray_y * axes[1, 2]
    for pixel in range(_NONE, count):
        column = start + pixel
        left, right = column * np.uintp(SAMPLES), column * np.uintp(SAMPLES) + _NEXT
        lead = upper[left]
        alike = lead == upper[right] and lead == lower[left] and lead == lower[right]
        ray_x = ((np.float32(column) + _HALF) / np.float32(width) * _TWO - _ONE) * tan_x
        table[_RX + pixel] = x0 + ray_x * x1 + x2
        table[_RY + pixel] = y0 + ray_x * y1 + y2
        table[_RZ + pixel] = z0 + ray_x * z1 + z2
        table[_INVERSE + pixel] = _HALF * (upper_depth[left] + lower_depth[right])
        table[_WEIGHT + pixel] = _ONE if alike else _ZERO
        faces[pixel] = lead
    found = count
    for pixel in range(_NONE, count):
        if table[_WEIGHT + pixel] == _ZERO:
            found = _split(
                row, start + pixel, pixel, inverse_depth, seen, face_key, panorama, scale, axes, tan_x, tan_y, table,
                faces, owner, total, found, group,
            )  # fmt: skip
        elif faces[pixel] < 0:
            table[_WEIGHT + pixel] = _ZERO
            _add_outside(
                panorama, scale, table[_RX + pixel], table[_RY + pixel], table[_RZ + pixel], _ONE, pixel, total
            )  # fmt: skip
        faces[pixel] = larger(faces[pixel], np.int32(0))  # any face will do for weight 0
    return found


@jit
def _split(
    row, column, pixel, inverse_depth, seen, face_key, panorama, scale, axes, tan_x, tan_y, table, faces, owner,
    total, found, group,
):  # fmt: skip
    """Append the samples of one pixel that sees several faces, see _collect. group: scratch int64 [4, samples]."""
    keys, members, rows, columns = 0, 1, 2, 3
    fraction = _ONE / np.float32(SAMPLES * SAMPLES)
    groups = 0
    for fine_row in range(row * SAMPLES, row * SAMPLES + SAMPLES):
        for k in range(SAMPLES):
            fine_column = np.int64(column) * SAMPLES + k
            face = seen[fine_row, fine_column]
            key = -1 if face < 0 else face_key[face]
            g = 0
            while g < groups and group[keys, g] != key:
                g += 1
            if g == groups:
                group[keys, g], group[members, g], group[rows, g], group[columns, g] = key, 0, fine_row, fine_column
                groups += 1
            group[members, g] += 1
    for g in range(groups):
        fine_row, fine_column, weight = group[rows, g], group[columns, g], np.float32(group[members, g]) * fraction
        ray_x = ((np.float32(fine_column) + _HALF) / np.float32(seen.shape[1]) * _TWO - _ONE) * tan_x
        ray_y = (_ONE - (np.float32(fine_row) + _HALF) / np.float32(seen.shape[0]) * _TWO) * tan_y
        wx = axes[2, 0] + ray_x * axes[0, 0] + ray_y * axes[1, 0]
        wy = axes[2, 1] + ray_x * axes[0, 1] + ray_y * axes[1, 1]
        wz = axes[2, 2] + ray_x * axes[0, 2] + ray_y * axes[1, 2]
        face = seen[fine_row, fine_column]
        if face < 0:
            _add_outside(panorama, scale, wx, wy, wz, weight, pixel, total)
            continue
        table[_RX + found], table[_RY + found], table[_RZ + found] = wx, wy, wz
        table[_INVERSE + found], table[_WEIGHT + found] = inverse_depth[fine_row, fine_column], weight
        faces[found], owner[found] = face, np.int32(pixel)
        found += _NEXT
    return found


@jit
def _place(count, eye, pixel_angle, table):
    """Compute the world point of every sample, and the width of a pixel there in metres."""
    eye_x, eye_y, eye_z = eye[0], eye[1], eye[2]
    for i in range(_NONE, count):
        z = _ONE / table[_INVERSE + i]
        table[_PX + i] = eye_x + z * table[_RX + i]
        table[_PY + i] = eye_y + z * table[_RY + i]
        table[_PZ + i] = eye_z + z * table[_RZ + i]
        table[_TEXELS + i] = z * pixel_angle


@jit
def _surface(start, end, face, shading, repeats, pattern_start, table, index):
    """For a run of samples of one face: pattern coordinates, texels per pixel if seen from the front, cosine between
    ray and face, and light interpolated between the corners."""
    ax, ay, az, a0 = shading[face, 0], shading[face, 1], shading[face, 2], shading[face, 3]
    bx, by, bz, b0 = shading[face, 4], shading[face, 5], shading[face, 6], shading[face, 7]
    nx, ny, nz = shading[face, 8], shading[face, 9], shading[face, 10]
    u0, v0, u1 = shading[face, 11], shading[face, 12], shading[face, 13]
    v1, u2, v2 = shading[face, 14], shading[face, 15], shading[face, 16]
    red0, green0, blue0 = shading[face, 17], shading[face, 18], shading[face, 19]
    red1, green1, blue1 = shading[face, 20], shading[face, 21], shading[face, 22]
    red2, green2, blue2 = shading[face, 23], shading[face, 24], shading[face, 25]
    for i in range(start, end):
        px, py, pz = table[_PX + i], table[_PY + i], table[_PZ + i]
        w1 = smaller(larger(ax * px + ay * py + az * pz + a0, _ZERO), _ONE)
        w2 = smaller(larger(bx * px + by * py + bz * pz + b0, _ZERO), _ONE)
        table[_U + i] = (u0 + w1 * u1 + w2 * u2) * repeats
        table[_V + i] = (v0 + w1 * v1 + w2 * v2) * repeats
        index[_FIRST + i] = pattern_start
        table[_TEXELS + i] *= repeats * np.float32(_SIZE)
        table[_SLANT + i] = nx * table[_RX + i] + ny * table[_RY + i] + nz * table[_RZ + i]
        table[_RED + i] = red0 + w1 * red1 + w2 * red2
        table[_GREEN + i] = green0 + w1 * green1 + w2 * green2
        table[_BLUE + i] = blue0 + w1 * blue1 + w2 * blue2


@jit
def _light_of_map(start, end, to_texels, texels, atlas, table, index):
    """For a run of samples on one rectangle: the baked light, bilinear between texels of the atlas.

    to_texels float32 [8] and texels int32 [3] are the rectangle's rows of Light.rectangle_maps and rectangle_texels.
    """
    ax, ay, az, a0 = to_texels[0], to_texels[1], to_texels[2], to_texels[3]
    bx, by, bz, b0 = to_texels[4], to_texels[5], to_texels[6], to_texels[7]
    first, columns = texels[0], texels[1]
    most_u, most_v = np.float32(columns) - np.float32(1.001), np.float32(texels[2]) - np.float32(1.001)
    across = np.uintp(columns)
    for i in range(start, end):
        px, py, pz = table[_PX + i], table[_PY + i], table[_PZ + i]
        u = smaller(larger(ax * px + ay * py + az * pz + a0, _ZERO), most_u)
        v = smaller(larger(bx * px + by * py + bz * pz + b0, _ZERO), most_v)
        iu, iv = np.int32(u), np.int32(v)
        table[_RED + i], table[_GREEN + i] = u - np.float32(iu), v - np.float32(iv)
        index[_SECOND + i] = first + iv * columns + iu
    for i in range(start, end):
        fu, fv = table[_RED + i], table[_GREEN + i]
        w00, w01, w10, w11 = (_ONE - fu) * (_ONE - fv), fu * (_ONE - fv), (_ONE - fu) * fv, fu * fv
        a = np.uintp(index[_SECOND + i])
        b, c, d = a + _NEXT, a + across, a + across + _NEXT
        table[_RED + i] = atlas[a, 0] * w00 + atlas[b, 0] * w01 + atlas[c, 0] * w10 + atlas[d, 0] * w11
        table[_GREEN + i] = atlas[a, 1] * w00 + atlas[b, 1] * w01 + atlas[c, 1] * w10 + atlas[d, 1] * w11
        table[_BLUE + i] = atlas[a, 2] * w00 + atlas[b, 2] * w01 + atlas[c, 2] * w10 + atlas[d, 2] * w11


@jit
def _pattern(count, bank, table, index):
    """Replace u by the value of the pattern for all samples, bilinear in the mip level where a pixel covers about one
    texel. bank: all patterns, concatenated."""
    for i in range(_NONE, count):
        texels = table[_TEXELS + i] / larger(np.sqrt(abs(table[_SLANT + i])), np.float32(0.3))
        level, offset = np.int32(0), index[_FIRST + i]
        for k in range(_LEVELS - 1):
            above = texels > np.float32(_FINEST * 2**k)
            level += np.int32(1) if above else np.int32(0)
            offset += np.int32(_SIZE * _SIZE >> 2 * k) if above else np.int32(0)
        size = np.int32(_SIZE) >> level
        scale, mask = np.float32(size), size - np.int32(1)
        u, v = table[_U + i], table[_V + i]
        # conversion truncates: two repeats are added to make the fraction positive even after the half texel
        tu = (u - np.float32(np.int32(u)) + _TWO) * scale - _HALF
        tv = (v - np.float32(np.int32(v)) + _TWO) * scale - _HALF
        iu, iv = np.int32(tu), np.int32(tv)
        table[_U + i], table[_V + i] = tu - np.float32(iu), tv - np.float32(iv)
        left, right = iu & mask, (iu + np.int32(1)) & mask
        top, bottom = offset + (iv & mask) * size, offset + ((iv + np.int32(1)) & mask) * size
        index[_FIRST + i], index[_SECOND + i] = top + left, top + right
        index[_THIRD + i], index[_FOURTH + i] = bottom + left, bottom + right
    for i in range(_NONE, count):
        fu, fv = table[_U + i], table[_V + i]
        a, b = np.float32(bank[np.uintp(index[_FIRST + i])]), np.float32(bank[np.uintp(index[_SECOND + i])])
        c, d = np.float32(bank[np.uintp(index[_THIRD + i])]), np.float32(bank[np.uintp(index[_FOURTH + i])])
        low, high = a + (b - a) * fu, c + (d - c) * fu
        table[_U + i] = (low + (high - low) * fv) * _PER_BYTE


@jit
def _reflect(start, end, m, values, glow_factor, table):
    """For a run of samples of one material: replaces light by weighted reflected light, clamped so that one very bright
    sample does not dominate the pixel."""
    r0, g0, b0, r1, g1, b1 = values[m, 0], values[m, 1], values[m, 2], values[m, 3], values[m, 4], values[m, 5]
    glow = values[m, 7] * glow_factor
    for i in range(start, end):
        mix, weight = table[_U + i], table[_WEIGHT + i]
        rest = _ONE - mix
        table[_RED + i] = smaller((r0 * rest + r1 * mix) * (table[_RED + i] + glow), BRIGHTEST) * weight
        table[_GREEN + i] = smaller((g0 * rest + g1 * mix) * (table[_GREEN + i] + glow), BRIGHTEST) * weight
        table[_BLUE + i] = smaller((b0 * rest + b1 * mix) * (table[_BLUE + i] + glow), BRIGHTEST) * weight


def shade(
    buffer: VisibilityBuffer,
    surfaces: Surfaces,
    light: Light,
    view: Pinhole,
    exposure: Exposure,
    rgb: NDArray[np.uint8],
) -> None:
    """Fill rgb uint8 [H, W, 3] from a visibility buffer of SAMPLES x SAMPLES points per pixel."""
    _shade(tuple(buffer), tuple(surfaces), tuple(light), tuple(view), tuple(exposure), rgb)


@jit
def _shade(buffer, surfaces, light, view, exposure, rgb):
    inverse_depth, seen = buffer
    face_key, shading, face_material, material_pattern, material_values, bank = surfaces
    _, face_rectangle, rectangle_maps, rectangle_texels, atlas, panorama, scale, glow = light
    eye, axes, tan_x, tan_y, _ = view
    height, width = rgb.shape[0], rgb.shape[1]
    table, index = np.empty(_ROWS * _ROW, np.float32), np.empty(4 * _ROW, np.int32)
    faces, owner = np.empty(_ROW, np.int32), np.empty(_ROW, np.int32)
    steps = np.empty((3, _PIECE), np.int32)
    total, group = np.empty((3, _PIECE), np.float32), np.empty((4, SAMPLES * SAMPLES), np.int64)
    flat_bank = bank.reshape(-1)
    pixel_angle = _TWO * tan_x / np.float32(width)
    for row in range(height):
        for first in range(0, width, _PIECE):
            count = np.uintp(min(_PIECE, width - first))
            total[:] = 0
            found = _collect(
                row, np.uintp(first), count, inverse_depth, seen, face_key, panorama, scale, axes, tan_x, tan_y, table,
                faces, owner, total, group,
            )  # fmt: skip
            _place(found, eye, pixel_angle, table)
            start = _NONE
            while start < found:
                face = faces[start]
                end = start + _NEXT
                while end < found and faces[end] == face:
                    end += _NEXT
                material = face_material[face]
                _surface(
                    start, end, face, shading, material_values[material, 6],
                    np.int32(material_pattern[material] * bank.shape[1]), table, index,
                )  # fmt: skip
                rectangle = face_rectangle[face]
                if rectangle >= 0:
                    _light_of_map(
                        start, end, rectangle_maps[rectangle], rectangle_texels[rectangle], atlas, table, index
                    )
                start = end
            _pattern(found, flat_bank, table, index)
            start = _NONE
            while start < found:
                material = face_material[faces[start]]
                end = start + _NEXT
                while end < found and face_material[faces[end]] == material:
                    end += _NEXT
                _reflect(start, end, material, material_values, glow, table)
                start = end
            for pixel in range(_NONE, count):
                total[0, pixel] += table[_RED + pixel]
                total[1, pixel] += table[_GREEN + pixel]
                total[2, pixel] += table[_BLUE + pixel]
            for i in range(count, found):
                pixel = owner[i]
                total[0, pixel] += table[_RED + i]
                total[1, pixel] += table[_GREEN + i]
                total[2, pixel] += table[_BLUE + i]
            here = np.uintp(row * width + first)
            _develop(here, count, total, exposure, steps, rgb[row, first : first + np.int64(count)])
