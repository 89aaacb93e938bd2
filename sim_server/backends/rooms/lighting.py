"""The lights of a home by time of day: lamps, windows, ambient light, and what they need to be looked up."""

from __future__ import annotations

import numpy as np

from protocol.scene import SceneSpec
from sim_server.backends.rooms.geometry import Geometry
from sim_server.backends.rooms.light import Light, contact_shade, shadow_cubes
from sim_server.backends.rooms.plan import Plan
from sim_server.backends.rooms.shell import inward

# Linear rgb. Rows of ambient: from above, from the side, from below, and the sky behind windows.
_AMBIENT = {
    "day": ((0.46, 0.46, 0.46), (0.36, 0.36, 0.362), (0.30, 0.29, 0.27), (1.5, 1.75, 2.1)),
    "evening": ((0.30, 0.27, 0.24), (0.23, 0.205, 0.18), (0.18, 0.155, 0.13), (0.05, 0.07, 0.14)),
}
_LAMP = {"day": (4.6, 4.4, 4.0), "evening": (3.6, 3.0, 2.3)}
_WINDOW = {"day": (2.4, 2.55, 2.8), "evening": (0.05, 0.06, 0.1)}


def light_scene(
    geometry: Geometry, plan: Plan, spec: SceneSpec, lamp_positions_m: list[tuple[float, float, float]]
) -> Light:
    lamps = np.zeros((len(plan.rooms), 8), np.float32)
    for k, (rect, position) in enumerate(zip(plan.rects, lamp_positions_m)):
        lamps[k, :3] = position
        lamps[k, 3:6] = _LAMP[spec.light]
        lamps[k, 6] = np.hypot(rect.x_max - rect.x_min, rect.z_max - rect.z_min) + 3.0
    windows = []
    for rect, holes in zip(plan.rects, plan.holes):
        for hole in holes:
            if hole.kind != "window":
                continue
            nx, nz = inward(hole.wall)
            along = (hole.start_m + hole.end_m) / 2
            plane = (rect.x_min, rect.x_max, rect.z_min, rect.z_max)[hole.wall]
            x, z = (plane, along) if hole.wall < 2 else (along, plane)
            area = (hole.end_m - hole.start_m) * (hole.high_m - hole.low_m)
            windows.append((x, (hole.low_m + hole.high_m) / 2, z, nx, nz, *(area * c for c in _WINDOW[spec.light])))
    shade, origin = contact_shade(geometry, plan.rects)
    return Light(
        lamps,
        shadow_cubes(geometry, lamps[:, :3].copy()),
        np.array(_AMBIENT[spec.light], np.float32),
        shade,
        origin,
        np.array(windows, np.float32).reshape(-1, 8),
    )
