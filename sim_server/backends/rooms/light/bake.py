"""Bakes the light of a home when it opens: sets up lamps, windows and sun by time of day and runs the kernels."""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import NDArray

from protocol.seeds import rng_for
from protocol.tasks.scene import SceneSpec
from sim_server.backends.rooms.building.outside import outside_of
from sim_server.backends.rooms.building.plan import FloorPlan
from sim_server.backends.rooms.building.style import FIXTURE_GLOW
from sim_server.backends.rooms.building.wallparts import inward
from sim_server.backends.rooms.geometry import Geometry
from sim_server.backends.rooms.light import kernels
from sim_server.backends.rooms.light.ambient import add_ambient, drawn_part
from sim_server.backends.rooms.light.baked import Light, Metering
from sim_server.backends.rooms.light.lightmap import Rectangles, find_rectangles
from sim_server.backends.rooms.light.mood import BULB_GLOW, MOODS, NATURAL_TARGET, blind_drops, lamp_tint, scaled
from sim_server.backends.rooms.light.shadow_maps import Shadows, look_axes
from sim_server.backends.rooms.light.wear import worn
from sim_server.backends.rooms.mesh import lengths

F32 = NDArray[np.float32]
_BRIGHTEST = 9.0
_LAMP_RADIUS_M, _LAMP_POINTS = 0.1, 3
_CUBE_PX, _WINDOW_PX, _AROUND_PX = 128, 80, 128
_SUN_TEXEL_M, _SUN_MAX_PX = 0.016, 1024
_WINDOW_HALF_TANGENT = 2.2
_WINDOW_SAMPLES = (2, 2)  # along, up
_FAR_M = 60.0  # distance of the eyes of sun and ambient maps, at which rays are nearly parallel
_DIRECTIONS = 24
_SHARP_M, _SOFT_M = 0.02, 0.05  # smallest details in shadows: of lamps and sun; of windows and ambient light
_ROUNDS = 4
_FIXTURE_REACH_M = 0.5  # from a ceiling lamp to its glass, at most
_THROUGH_BLIND = 0.12  # fraction of light that a closed blind lets through
_REFLECTED = (0.8, 0.5)  # light on furniture relative to the walls' radiance: on vertical sides, and extra on tops


def light_scene(
    geometry: Geometry, plan: FloorPlan, spec: SceneSpec, lamp_positions_m: list[tuple[float, float, float]]
) -> tuple[Light, Metering]:
    """Bake the light of a generated home, and meter it; lamp_positions_m: the ceiling lamp of each space."""
    rectangles = find_rectangles(geometry.positions, geometry.normals, geometry.faces)
    points, normals = rectangles.points()
    used = np.zeros(len(geometry.positions), bool)
    used[geometry.faces[rectangles.face < 0]] = True
    vertices = np.flatnonzero(used)
    texels = len(points)
    points = np.ascontiguousarray(np.concatenate([points, geometry.positions[vertices]]))
    normals = np.ascontiguousarray(np.concatenate([normals, geometry.normals[vertices]]))
    baker = _Baker(geometry, plan, spec, rectangles, lamp_positions_m)
    light = baker.light(points, normals)
    worn(spec, points, normals, light)
    vertex = np.zeros_like(geometry.positions)
    vertex[vertices] = light[texels:]
    maps, sizes = rectangles.lookup()
    atlas = np.ascontiguousarray(light[:texels])
    glow = np.float32(MOODS[spec.light].glow)
    baked = Light(vertex, rectangles.face, maps, sizes, atlas, *outside_of(spec), glow)
    return baked, baker.meter(points[:texels], normals[:texels], atlas)


class _Baker:
    def __init__(
        self,
        geometry: Geometry,
        plan: FloorPlan,
        spec: SceneSpec,
        rectangles: Rectangles,
        lamp_positions_m: list[tuple[float, float, float]],
    ) -> None:
        self._g, self._plan, self._lamps = geometry, plan, lamp_positions_m
        self._rectangles = rectangles
        self._mood, self._tint = MOODS[spec.light], lamp_tint(spec)
        self._target = self._mood.target * (1.0 if spec.palette == "named" else NATURAL_TARGET)
        self._drops = blind_drops(spec, plan)
        self._lit = [_lit(geometry, position_m) for position_m in lamp_positions_m]
        self._rng = rng_for(spec.seed, "rooms", "light")
        self._shadows, self._coarse = Shadows(geometry, _SHARP_M), Shadows(geometry, _SOFT_M)
        low = np.array([(r.x_min, 0.0, r.z_min) for r in plan.rects], np.float32)
        high = np.array([(r.x_max, spec.ceiling_m, r.z_max) for r in plan.rects], np.float32)
        self._space_low, self._space_high = low, high
        self._owner = owner = np.array(plan.room_of, np.int32)
        # light is reflected by the sides of the box around all spaces of a room
        self._low = np.stack([low[owner == k].min(0) for k in range(len(plan.rooms))])
        self._high = np.stack([high[owner == k].max(0) for k in range(len(plan.rooms))])
        beside = np.eye(len(plan.rooms), dtype=bool)  # rooms that a room's lights reach: itself and adjoining ones
        for opening in plan.openings:
            for a in opening.room_ids:
                for b in opening.room_ids:
                    beside[a - 1, b - 1] = True
        self._beside = beside
        albedo = geometry.material_values[:, :6].reshape(-1, 2, 3).mean(1)
        self._face_albedo = albedo[geometry.face_material]

    def light(self, points: F32, normals: F32) -> F32:
        """Light float32 [N, 3] on points with normals."""
        rooms = self._room_of(points + normals * np.float32(0.06))
        count = len(self._low)
        patches = np.empty((count, 6 * kernels.PATCHES**2, 3), np.float32)
        patch_normals, areas = np.empty_like(patches), np.empty(patches.shape[:2], np.float32)
        for k in range(count):
            kernels.patch_points(self._low[k], self._high[k], patches[k], patch_normals[k], areas[k])
        # direct light is computed for the points and for the patches of the empty rooms
        split = len(points)
        points = np.ascontiguousarray(np.concatenate([points, patches.reshape(-1, 3)]))
        normals = np.ascontiguousarray(np.concatenate([normals, patch_normals.reshape(-1, 3)]))
        rooms = np.concatenate([rooms, np.repeat(np.arange(count), patches.shape[1])]).astype(np.int32)
        direct = np.zeros_like(points)
        self._spread = self._rectangles.spread(len(points))
        self._add_windows(points, normals, rooms, direct)
        self._add_sun(points, normals, direct)
        self._add_shaded_lamps(points, normals, rooms, direct)
        albedos = [self._wall_albedo(k) for k in range(count)]
        by_room = direct[split:].reshape(count, -1, 3)
        forms = [kernels.form_factors(patches[k], patch_normals[k], areas[k]) for k in range(count)]
        before = [_bounced(forms[k], albedos[k], by_room[k], areas[k])[1] for k in range(count)]
        lamps = np.zeros_like(points)
        for k in range(count):
            if not any(lit for lit, owner in zip(self._lit, self._owner) if owner == k):
                continue
            alone = np.zeros_like(points)
            self._add_ceiling_lamp(k, points, normals, rooms, alone)
            mean = _bounced(forms[k], albedos[k], alone[split:].reshape(count, -1, 3)[k], areas[k])[1]
            power = min(max((self._target - before[k]) / max(mean, 1e-3), self._mood.dimmest), _BRIGHTEST)
            lamps += alone * np.float32(power)
        direct += lamps
        by_room = direct[split:].reshape(count, -1, 3)
        light = direct[:split]
        for k in range(count):
            radiance, mean = _bounced(forms[k], albedos[k], by_room[k], areas[k])
            self._add_ambient(k, points, normals, np.flatnonzero(rooms[:split] == k), radiance, mean, light)
        return light

    def meter(self, points: F32, normals: F32, light: F32) -> Metering:
        """Means over the texels of all rectangles; for luminance, dark ones count most."""
        r = self._rectangles
        texels = r.size[:, 0] * r.size[:, 1]
        area = np.repeat(lengths(r.edge_u)[:, 0] * lengths(r.edge_v)[:, 0] / texels, texels)
        albedo = np.repeat(self._face_albedo[r.first], texels, 0)
        root = np.sqrt((light * albedo) @ np.array([0.2126, 0.7152, 0.0722], np.float32))
        rooms, count = self._room_of(points + normals * np.float32(0.06)), len(self._low)
        total = np.bincount(rooms, area, count)
        luminance = (np.bincount(rooms, area * root, count) / np.maximum(total, 1e-6)) ** 2
        return Metering(luminance.astype(np.float32), np.average(light, axis=0, weights=area).astype(np.float32))

    def _room_of(self, points: NDArray[np.floating]) -> NDArray[np.int32]:
        """The room of each point; for a point inside a wall, the nearest room."""
        space = np.zeros(len(points), np.int32)
        if len(self._space_low) > 1:
            kernels.nearest_rooms(points, self._space_low, self._space_high, space)
        return self._owner[space]

    def _wall_albedo(self, room: int) -> F32:
        """Mean albedo of the room's faces, float32 [6, 3] in the order of kernels.bounce."""
        r, g = self._rectangles, self._g
        out = np.full((6, 3), 0.6, np.float32)
        centre = r.corner + (r.edge_u + r.edge_v) / 2
        mine = (g.face_object[r.first] == 0) & (self._room_of(centre + r.normal * np.float32(0.06)) == room)
        area = np.linalg.norm(r.edge_u, axis=1) * np.linalg.norm(r.edge_v, axis=1)
        for face in range(6):
            on = mine & (r.normal[:, face // 2] * (-1 if face % 2 else 1) > 0.99)
            if on.any():
                out[face] = np.average(self._face_albedo[r.first[on]], axis=0, weights=area[on])
        return out

    def _add_windows(self, points: F32, normals: F32, rooms: NDArray[np.int32], light: F32) -> None:
        sky, ground = np.array(self._mood.sky, np.float32), np.array(self._mood.ground, np.float32)
        focal = np.float32(_WINDOW_PX / 2 / _WINDOW_HALF_TANGENT)
        columns, rows = _WINDOW_SAMPLES
        for k, rect, holes, drops in zip(self._owner, self._plan.rects, self._plan.holes, self._drops):
            for hole, drop in zip(holes, drops):
                if hole.kind != "window":
                    continue
                through = _THROUGH_BLIND if drop == 1 else 1.0
                nx, nz = inward(hole.wall)
                plane = (rect.x_min, rect.x_max, rect.z_min, rect.z_max)[hole.wall]
                axes = look_axes(np.array([nx, 0.0, nz]))
                width, height = hole.end_m - hole.start_m, (hole.high_m - hole.low_m) * (1 - drop if drop < 1 else 1)
                for n in range(columns * rows):
                    along = hole.start_m + width * (n % columns + 0.5) / columns
                    y = hole.low_m + height * (n // columns + 0.5) / rows
                    x, z = (plane, along) if hole.wall < 2 else (along, plane)
                    eye = np.array([x + 0.04 * nx, y, z + 0.04 * nz], np.float32)
                    depth_map, _ = self._coarse.draw(eye, axes, float(focal), _WINDOW_PX)
                    kernels.add_window(
                        points, normals, rooms, self._beside[k], eye, axes, focal,
                        np.float32(width * height * through / (columns * rows)), sky, ground, depth_map, light,
                    )  # fmt: skip

    def _add_sun(self, points: F32, normals: F32, light: F32) -> None:
        """Add the sun at a position from which it shines through one of the windows."""
        walls = [hole.wall for holes in self._plan.holes for hole in holes if hole.kind == "window"]
        if not walls or not any(self._mood.sun):
            return
        nx, nz = inward(walls[int(self._rng.integers(len(walls)))])
        azimuth = math.atan2(-nz, -nx) + self._rng.choice((-1, 1)) * self._rng.uniform(0.25, 0.75)
        height = self._rng.uniform(0.5, 0.8)
        toward = np.array(
            [math.cos(azimuth) * math.cos(height), math.sin(height), math.sin(azimuth) * math.cos(height)]
        )
        low, high = self._low.min(0), self._high.max(0)
        eye = ((low + high) / 2 + toward * _FAR_M).astype(np.float32)
        radius = float(np.linalg.norm(high - low)) / 2 + 0.3
        size = int(min(2 * radius / _SUN_TEXEL_M, _SUN_MAX_PX))
        focal = np.float32(size / 2 * (_FAR_M - radius) / radius)
        axes = look_axes(-toward)
        # far sides: only the walls facing the sun occlude it, and they are seen from outside
        depth_map, _ = self._shadows.draw(eye, axes, float(focal), size, back=True)
        r, (spread_u, spread_v) = self._rectangles, self._spread
        reach = np.zeros((len(points), 4), np.float32)
        reach[: r.texels] = r.reach()
        kernels.add_sun(
            points, normals, toward.astype(np.float32), np.array(self._mood.sun, np.float32), eye, axes, focal,
            depth_map, spread_u, spread_v, reach, light,
        )  # fmt: skip

    def _add_shaded_lamps(self, points: F32, normals: F32, rooms: NDArray[np.int32], light: F32) -> None:
        """Add floor and table lamps: all objects that have a bulb."""
        power, g = scaled(self._mood.shaded_lamp, self._tint), self._g
        bulbs = np.flatnonzero((g.material_values[g.face_material, 7] > BULB_GLOW) & (g.face_object > 0))
        for owner in np.unique(g.face_object[bulbs]):
            corner = g.positions[g.faces[bulbs[g.face_object[bulbs] == owner]]].reshape(-1, 3)
            position = ((corner.min(0) + corner.max(0)) / 2).astype(np.float32)
            room = int(self._room_of(position[None])[0])
            cube = self._shadows.cube(position, _CUBE_PX)
            kernels.add_lamp(
                points, normals, rooms, self._beside[room], position, power, True, cube, *self._spread, light
            )

    def _add_ceiling_lamp(self, k: int, points: F32, normals: F32, rooms: NDArray[np.int32], light: F32) -> None:
        """Add a room's ceiling lamps with a total power of 1; each is sampled at several points for soft shadows."""
        spaces = np.flatnonzero((self._owner == k) & self._lit)
        size = (self._space_high - self._space_low)[spaces]
        fractions = size[:, 0] * size[:, 2] / (size[:, 0] * size[:, 2]).sum()
        for space, fraction in zip(spaces, fractions):
            power = scaled(self._mood.ceiling_lamp, self._tint) * np.float32(fraction / _LAMP_POINTS)
            for corner in range(_LAMP_POINTS):
                angle = corner * 2 * math.pi / _LAMP_POINTS + 0.35
                offset = (_LAMP_RADIUS_M * math.cos(angle), 0.0, _LAMP_RADIUS_M * math.sin(angle))
                position = (np.array(self._lamps[space]) + offset).astype(np.float32)
                cube = self._shadows.cube(position, _CUBE_PX)
                kernels.add_lamp(
                    points, normals, rooms, self._beside[k], position, power, False, cube, *self._spread, light
                )

    def _add_ambient(
        self,
        room: int,
        points: F32,
        normals: F32,
        index: NDArray[np.int64],
        radiance: F32,
        mean: float,
        light: F32,
    ) -> None:
        g = self._g
        low, high = self._low[room], self._high[room]
        middle = (g.chunk_low + g.chunk_high) / 2
        chunks = np.flatnonzero((g.chunk_object > 0) & (self._room_of(middle) == room)).astype(np.int32)
        directions, axes = _sphere(_DIRECTIONS)
        radius = float(np.linalg.norm(high - low)) / 2
        focal = _AROUND_PX / 2 * (_FAR_M - radius) / radius
        eyes = ((low + high) / 2 + directions * np.float32(_FAR_M)).astype(np.float32)
        maps = np.zeros((len(directions), _AROUND_PX, _AROUND_PX), np.float32)
        seen = np.full(maps.shape, -1, np.int32)
        faces = self._coarse.face_of
        upward = g.normals[g.faces[faces, 0], 1]
        shown = self._face_albedo[faces] * (mean * (_REFLECTED[0] + _REFLECTED[1] * upward))[:, None].astype(np.float32)
        for k in range(len(directions)):
            if len(chunks):
                maps[k], seen[k] = self._coarse.draw(eyes[k], axes[k], focal, _AROUND_PX, chunks)
        add_ambient(
            index, points, normals, low, high, kernels.fine_radiance(radiance).reshape(-1, 3), directions, eyes, axes,
            np.float32(focal), maps, seen, drawn_part(maps), shown, light,
        )  # fmt: skip


def _lit(geometry: Geometry, position_m: tuple[float, float, float]) -> bool:
    """Whether the ceiling lamp at this position glows."""
    glass = np.abs(geometry.material_values[:, 7] - FIXTURE_GLOW) < 1e-3
    faces = np.flatnonzero(glass[geometry.face_material])
    corners = geometry.positions[geometry.faces[faces, 0]]
    return bool((np.abs(corners - np.array(position_m, np.float32)).max(1) < _FIXTURE_REACH_M).any())


def _bounced(form: F32, albedo: F32, direct: F32, areas: F32) -> tuple[F32, float]:
    """Radiance of the faces of a room, see kernels.bounce, and its area-weighted mean."""
    radiance = kernels.bounce(form, albedo, direct, _ROUNDS)
    return radiance, float(np.average(radiance.reshape(-1, 3).mean(1), weights=areas))


@functools.cache
def _sphere(count: int) -> tuple[F32, F32]:
    """Directions float32 [K, 3] on a Fibonacci sphere, and the axes of views in the opposite directions."""
    k = np.arange(count) + 0.5
    y = 1 - 2 * k / count
    angle = k * math.pi * (3 - math.sqrt(5))
    ring = np.sqrt(1 - y * y)
    directions = np.stack([np.cos(angle) * ring, y, np.sin(angle) * ring], 1)
    return directions.astype(np.float32), np.stack([look_axes(-d) for d in directions])
