"""Kernels that bake direct light (lamps, windows, sun) on points, and the light that rooms reflect (radiosity).

All light is irradiance / pi, so that a surface of albedo a has radiance a * light. Occlusion is looked up in depth maps
drawn by the rasteriser; points are moved off their surface by about one texel of the map to avoid self-shadowing.
"""

from __future__ import annotations

import numpy as np

from sim_server.backends.rooms.draw.raster import larger, smaller
from sim_server.jit import jit

PATCHES = 6  # patches per edge of each of a room's six faces, for reflected light
_SUN_SAMPLES = 6  # along each axis of a texel that an edge of sunlight crosses
_LAMP_SAMPLES = 4  # the same for the shadow of a lamp with a shade
_LAMP_REACH = np.float32(0.6)  # from the middle of the texel, in texels
FINE = 24  # the same after interpolation, for lookups
_ZERO, _HALF, _ONE, _TWO = np.float32(0), np.float32(0.5), np.float32(1), np.float32(2)
_PI = np.float32(np.pi)
_SLACK = np.float32(1.003)  # tolerance of relative depth in the maps of near lights


@jit
def fraction_clear(depth_map, u, v, limit):
    """Bilinear fraction of the four texels around (u, v), in texel units, with nothing nearer than 1 / limit metres."""
    top = np.float32(depth_map.shape[0]) - np.float32(1.001)
    u = smaller(larger(u, _ZERO), top)
    v = smaller(larger(v, _ZERO), top)
    iu, iv = int(u), int(v)
    fu, fv = u - np.float32(iu), v - np.float32(iv)
    v00 = _ONE if depth_map[iv, iu] <= limit else _ZERO
    v01 = _ONE if depth_map[iv, iu + 1] <= limit else _ZERO
    v10 = _ONE if depth_map[iv + 1, iu] <= limit else _ZERO
    v11 = _ONE if depth_map[iv + 1, iu + 1] <= limit else _ZERO
    return (v00 * (_ONE - fu) + v01 * fu) * (_ONE - fv) + (v10 * (_ONE - fu) + v11 * fu) * fv


@jit
def _clear_in_cube(cube, dx, dy, dz):
    """The same for a cube map; (dx, dy, dz) points from its centre to the surface. Axes: shadow_maps.CUBE_AXES."""
    ax, ay, az = abs(dx), abs(dy), abs(dz)
    if ax >= ay and ax >= az:
        face, major, u, v = (0 if dx > 0 else 1), ax, dy, dz
    elif ay >= az:
        face, major, u, v = (2 if dy > 0 else 3), ay, dx, dz
    else:
        face, major, u, v = (4 if dz > 0 else 5), az, dx, dy
    scale = np.float32(cube.shape[1]) * _HALF
    inverse = _ONE / larger(major, np.float32(1e-4))
    return fraction_clear(
        cube[face], (u * inverse + _ONE) * scale - _HALF, (_ONE - v * inverse) * scale - _HALF, inverse * _SLACK
    )


@jit
def _clear_of_texel(cube, px, py, pz, ux, uy, uz, vx, vy, vz):
    """The mean of _clear_in_cube over a texel with edges u and v; four samples decide whether all are needed."""
    clear = _ZERO
    for k in range(4):
        su, sv = (_LAMP_REACH if k & 1 else -_LAMP_REACH), (_LAMP_REACH if k & 2 else -_LAMP_REACH)
        clear += _clear_in_cube(cube, px + ux * su + vx * sv, py + uy * su + vy * sv, pz + uz * su + vz * sv)
    if clear == _ZERO or clear == np.float32(4):
        return clear * np.float32(0.25)
    clear, last = _ZERO, np.float32(_LAMP_SAMPLES - 1)
    for k in range(_LAMP_SAMPLES * _LAMP_SAMPLES):
        su = _LAMP_REACH * (_TWO * np.float32(k % _LAMP_SAMPLES) / last - _ONE)
        sv = _LAMP_REACH * (_TWO * np.float32(k // _LAMP_SAMPLES) / last - _ONE)
        clear += _clear_in_cube(cube, px + ux * su + vx * sv, py + uy * su + vy * sv, pz + uz * su + vz * sv)
    return clear / np.float32(_LAMP_SAMPLES * _LAMP_SAMPLES)


@jit
def nearest_rooms(points, low, high, room):
    """Fill `room` int32 [N] with the index of the room nearest to each point's x and z; low, high [R, 3]: bounds."""
    for i in range(points.shape[0]):
        best = np.float32(np.inf)
        for k in range(low.shape[0]):
            x = larger(low[k, 0] - points[i, 0], points[i, 0] - high[k, 0])
            z = larger(low[k, 2] - points[i, 2], points[i, 2] - high[k, 2])
            out = larger(larger(x, z), _ZERO)
            if out < best:
                room[i], best = k, out


@jit
def add_lamp(points, normals, rooms, reached, position, power, shaded, cube, spread_u, spread_v, light):
    """Add a lamp: position float32 [3], power linear rgb [3], reached bool [rooms].

    `shaded` lamps emit mostly up and down, and their shadows, which have one source, are filtered over each point's
    texel, whose edges are spread_u, spread_v float32 [N, 3].
    """
    texel = _TWO / np.float32(cube.shape[1])
    for i in range(points.shape[0]):
        if not reached[rooms[i]]:
            continue
        nx, ny, nz = normals[i, 0], normals[i, 1], normals[i, 2]
        dx, dy, dz = position[0] - points[i, 0], position[1] - points[i, 1], position[2] - points[i, 2]
        cosine = dx * nx + dy * ny + dz * nz
        if cosine <= _ZERO:
            continue
        r2 = dx * dx + dy * dy + dz * dz
        r = np.sqrt(r2)
        factor = cosine / (r * (np.float32(0.7) + r2))
        if shaded:
            steep = smaller(larger((abs(dy) / r - np.float32(0.45)) * np.float32(2.2), _ZERO), _ONE)
            factor *= np.float32(0.3) + np.float32(0.7) * steep * steep
        off = np.float32(0.004) + texel * r * np.float32(0.8)
        px, py, pz = nx * off - dx, ny * off - dy, nz * off - dz
        if shaded:
            factor *= _clear_of_texel(
                cube, px, py, pz, spread_u[i, 0], spread_u[i, 1], spread_u[i, 2], spread_v[i, 0], spread_v[i, 1],
                spread_v[i, 2],
            )  # fmt: skip
        else:
            factor *= _clear_in_cube(cube, px, py, pz)
        light[i, 0] += factor * power[0]
        light[i, 1] += factor * power[1]
        light[i, 2] += factor * power[2]


@jit
def add_window(points, normals, rooms, reached, position, axes, focal, area, sky, ground, depth_map, light):
    """Add one piece of a window with `area` m2, which emits the light of sky and ground; axes: rows right, up,
    inward."""
    half = np.float32(depth_map.shape[0]) * _HALF - _HALF
    texel = _ONE / focal
    for i in range(points.shape[0]):
        if not reached[rooms[i]]:
            continue
        nx, ny, nz = normals[i, 0], normals[i, 1], normals[i, 2]
        dx, dy, dz = position[0] - points[i, 0], position[1] - points[i, 1], position[2] - points[i, 2]
        cosine = dx * nx + dy * ny + dz * nz
        facing = -(dx * axes[2, 0] + dy * axes[2, 1] + dz * axes[2, 2])
        if cosine <= _ZERO or facing <= _ZERO:
            continue
        r2 = dx * dx + dy * dy + dz * dz
        factor = area * facing * cosine / (r2 * (_PI * r2 + area))
        r = np.sqrt(r2)
        off = np.float32(0.004) + texel * r
        px, py, pz = nx * off - dx, ny * off - dy, nz * off - dz
        depth = px * axes[2, 0] + py * axes[2, 1] + pz * axes[2, 2]
        if depth > np.float32(0.05):
            inverse = _ONE / depth
            u = half + (px * axes[0, 0] + py * axes[0, 1] + pz * axes[0, 2]) * inverse * focal
            v = half - (px * axes[1, 0] + py * axes[1, 1] + pz * axes[1, 2]) * inverse * focal
            if u > _ZERO and v > _ZERO and u < half * _TWO and v < half * _TWO:
                factor *= fraction_clear(depth_map, u, v, inverse * _SLACK)
        rise = smaller(larger(dy / r * np.float32(3.0) + _HALF, _ZERO), _ONE)
        for c in range(3):
            light[i, c] += factor * (ground[c] + (sky[c] - ground[c]) * rise)


@jit
def _sunlit(x, y, z, eye, axes, focal, half, depth_map):
    """The fraction of a point that the sun reaches; arguments as for add_sun."""
    x, y, z = x - eye[0], y - eye[1], z - eye[2]
    inverse = _ONE / (x * axes[2, 0] + y * axes[2, 1] + z * axes[2, 2])
    u = half + (x * axes[0, 0] + y * axes[0, 1] + z * axes[0, 2]) * inverse * focal
    v = half - (x * axes[1, 0] + y * axes[1, 1] + z * axes[1, 2]) * inverse * focal
    # depths seen from far away are nearly equal: the tolerance is absolute, in metres
    return fraction_clear(depth_map, u, v, inverse * (_ONE + np.float32(0.02) * inverse))


@jit
def add_sun(points, normals, toward, power, eye, axes, focal, depth_map, spread_u, spread_v, reach, light):
    """Add the sun in the direction `toward`, unit float32 [3]; the map is drawn from `eye` along axes[2] = -toward.

    spread_u, spread_v float32 [N, 3]: edges of each point's texel; reach float32 [N, 4]: lowest and highest place on
    the texel's rectangle along u, then v, in texels from the point. Texels are filtered by a tent of twice their width,
    so that an edge of sunlight that crosses the grid at an angle has no steps; texels whose surroundings are all in
    the sun or all in the shade need only four samples.
    """
    half = np.float32(depth_map.shape[0]) * _HALF - _HALF
    last = np.float32(_SUN_SAMPLES - 1)
    for i in range(points.shape[0]):
        nx, ny, nz = normals[i, 0], normals[i, 1], normals[i, 2]
        cosine = toward[0] * nx + toward[1] * ny + toward[2] * nz
        if cosine <= _ZERO:
            continue
        off = np.float32(0.03)
        x0, y0, z0 = points[i, 0] + nx * off, points[i, 1] + ny * off, points[i, 2] + nz * off
        ux, uy, uz = spread_u[i, 0], spread_u[i, 1], spread_u[i, 2]
        vx, vy, vz = spread_v[i, 0], spread_v[i, 1], spread_v[i, 2]
        low_u, high_u, low_v, high_v = reach[i, 0], reach[i, 1], reach[i, 2], reach[i, 3]
        factor = _ZERO
        for k in range(4):
            su = smaller(_ONE, high_u) if k & 1 else larger(-_ONE, low_u)
            sv = smaller(_ONE, high_v) if k & 2 else larger(-_ONE, low_v)
            factor += _sunlit(
                x0 + ux * su + vx * sv,
                y0 + uy * su + vy * sv,
                z0 + uz * su + vz * sv,
                eye,
                axes,
                focal,
                half,
                depth_map,
            )
        factor *= np.float32(0.25)
        if _ZERO < factor < _ONE:
            factor, total = _ZERO, _ZERO
            for k in range(_SUN_SAMPLES * _SUN_SAMPLES):
                su = _TWO * (np.float32(k % _SUN_SAMPLES) / last) - _ONE
                sv = _TWO * (np.float32(k // _SUN_SAMPLES) / last) - _ONE
                weight = (np.float32(1.1) - abs(su)) * (np.float32(1.1) - abs(sv))
                su, sv = smaller(larger(su, low_u), high_u), smaller(larger(sv, low_v), high_v)
                total += weight
                factor += weight * _sunlit(
                    x0 + ux * su + vx * sv, y0 + uy * su + vy * sv, z0 + uz * su + vz * sv, eye, axes, focal, half,
                    depth_map,
                )  # fmt: skip
            factor /= total
        factor *= cosine
        for c in range(3):
            light[i, c] += factor * power[c]


@jit
def form_factors(points, normals, areas):
    """Form factors float32 [P, P]: the fraction of the light at patch i that comes from patch j; rows sum to 1.

    Arguments as filled by `patch_points`. Uses the point-to-disc formula, which stays finite for touching patches.
    """
    count = points.shape[0]
    form = np.zeros((count, count), np.float32)
    for i in range(count):
        total = np.float32(1e-6)
        for j in range(count):
            dx, dy, dz = points[j, 0] - points[i, 0], points[j, 1] - points[i, 1], points[j, 2] - points[i, 2]
            ci = dx * normals[i, 0] + dy * normals[i, 1] + dz * normals[i, 2]
            cj = -(dx * normals[j, 0] + dy * normals[j, 1] + dz * normals[j, 2])
            if ci > _ZERO and cj > _ZERO:
                r2 = dx * dx + dy * dy + dz * dz
                form[i, j] = ci * cj * areas[j] / (r2 * (_PI * r2 + areas[j]))
                total += form[i, j]
        for j in range(count):
            form[i, j] /= total
    return form


@jit
def bounce(form, albedo, direct, rounds):
    """Radiance float32 [6, P, P, 3] of the faces of an empty room (-x +x -y +y -z +z) after `rounds` reflections.

    albedo float32 [6, 3]; direct float32 [6 * P * P, 3], the direct light on the patches in the order of
    `patch_points`.
    """
    count = direct.shape[0]
    radiance = np.empty((count, 3), np.float32)
    for i in range(count):
        for c in range(3):
            radiance[i, c] = direct[i, c] * albedo[i // (PATCHES * PATCHES), c]
    for _ in range(rounds):
        gathered = np.zeros((count, 3), np.float32)
        for i in range(count):
            for j in range(count):
                for c in range(3):
                    gathered[i, c] += form[i, j] * radiance[j, c]
        for i in range(count):
            for c in range(3):
                radiance[i, c] = (direct[i, c] + gathered[i, c]) * albedo[i // (PATCHES * PATCHES), c]
    return _softened(radiance.reshape(6, PATCHES, PATCHES, 3))


@jit
def _softened(radiance):
    """Blur each face over 3 x 3 patches, twice: sampled along few directions, a sunny spot would leave visible
    copies."""
    for _ in range(2):
        blurred = np.zeros_like(radiance)
        for face in range(6):
            for row in range(PATCHES):
                for column in range(PATCHES):
                    count = _ZERO
                    for r in range(max(row - 1, 0), min(row + 2, PATCHES)):
                        for c in range(max(column - 1, 0), min(column + 2, PATCHES)):
                            blurred[face, row, column] += radiance[face, r, c]
                            count += _ONE
                    blurred[face, row, column] /= count
        radiance = blurred
    return radiance


@jit
def fine_radiance(radiance):
    """Interpolate the radiance of a room's faces, see bounce, to FINE x FINE, so that steps are invisible."""
    out = np.empty((6, FINE, FINE, 3), np.float32)
    last = np.float32(PATCHES) - np.float32(1.001)
    for row in range(FINE):
        fr = (np.float32(row) + _HALF) * np.float32(PATCHES / FINE) - _HALF
        fr = smaller(larger(fr, _ZERO), last)
        for column in range(FINE):
            fc = (np.float32(column) + _HALF) * np.float32(PATCHES / FINE) - _HALF
            fc = smaller(larger(fc, _ZERO), last)
            r, c = int(fr), int(fc)
            gr, gc = fr - np.float32(r), fc - np.float32(c)
            for face in range(6):
                for k in range(3):
                    low = radiance[face, r, c, k] * (_ONE - gc) + radiance[face, r, c + 1, k] * gc
                    high = radiance[face, r + 1, c, k] * (_ONE - gc) + radiance[face, r + 1, c + 1, k] * gc
                    out[face, row, column, k] = low * (_ONE - gr) + high * gr
    return out


@jit
def patch_points(low, high, points, normals, areas):
    """Fill centres, inward normals and areas of a room's patches.

    Order: face, row along axis b, column along axis a, where a and b follow the face's axis in the cycle x, y, z.
    """
    k = 0
    for face in range(6):
        axis, side = face // 2, face % 2
        a, b = (axis + 1) % 3, (axis + 2) % 3
        for row in range(PATCHES):
            for column in range(PATCHES):
                points[k, axis] = high[axis] if side else low[axis]
                points[k, a] = low[a] + (high[a] - low[a]) * (np.float32(column) + _HALF) / np.float32(PATCHES)
                points[k, b] = low[b] + (high[b] - low[b]) * (np.float32(row) + _HALF) / np.float32(PATCHES)
                normals[k, :] = 0
                normals[k, axis] = -_ONE if side else _ONE
                areas[k] = (high[a] - low[a]) * (high[b] - low[b]) / np.float32(PATCHES * PATCHES)
                k += 1
