"""An open scene that was loaded from files."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Optional, Sequence

import numpy as np
from numpy.typing import NDArray

from protocol.errors import VantageError
from protocol.tasks.scene import Camera, Change, Pose, SceneDescription, SceneObject, SceneSpec, Vec3
from sim_server.backends.base import Frames, TopDown
from sim_server.backends.changes import changed_objects, shifts
from sim_server.backends.placements import SceneFiles
from sim_server.backends.rooms.draw import plain_shade, raster
from sim_server.backends.rooms.draw.drawing import camera_normals, check_sensors, view_axes
from sim_server.backends.rooms.draw.shade import depth_and_ids
from sim_server.backends.rooms.draw.topdown import top_down
from sim_server.backends.rooms.draw.view import Pinhole, VisibilityBuffer, vertex_scratch, visibility_buffer
from sim_server.backends.rooms.files.assemble import assemble
from sim_server.backends.rooms.files.supports import supported
from sim_server.backends.rooms.walk.walkable import Agent, WalkableMesh

# Meshes are drawn enlarged by this power of 2, so that the rasteriser's near plane of 5 cm is at 6 mm.
_ENLARGED = np.float32(8)


class Edits(NamedTuple):
    """The objects of a scene as its files have them, and after changes."""

    before: tuple[SceneObject, ...]
    after: tuple[SceneObject, ...]


class LoadedScene:
    """A scene from files. Its assets use Habitat's flat shader if they ask for it, else one fixed light."""

    def __init__(self, spec: SceneSpec, files: SceneFiles, named_nodes: bool, edits: Optional[Edits] = None) -> None:
        """With `named_nodes` the nodes of the stage are the objects. Raises what assemble and WalkableMesh raise."""
        self.spec = spec
        self._files, self._named_nodes = files, named_nodes
        assembled = assemble(files, named_nodes, shifts(*edits) if edits is not None else {})
        objects = edits.after if edits is not None else supported(assembled, files)
        self._edits = edits or Edits(objects, objects)
        mesh = assembled.mesh
        self._triangles = mesh.triangles
        self._mesh = mesh._replace(
            positions=mesh.positions * _ENLARGED,
            chunk_low=mesh.chunk_low * _ENLARGED,
            chunk_high=mesh.chunk_high * _ENLARGED,
        )
        values = plain_shade.face_values(mesh.positions, mesh.normals, mesh.uv, mesh.colors, mesh.faces)
        self._surfaces = plain_shade.PlainSurfaces(values, mesh.face_texture, mesh.face_unlit)
        self._bank = plain_shade.texture_bank(assembled.textures)
        self._walkable = WalkableMesh(mesh.positions[mesh.faces], _agent(files))
        self.description = SceneDescription(
            scene_id=files.name,
            backend="rooms",
            rooms=files.rooms,
            openings=files.openings,
            objects=objects,
            navigable_area_m2=self._walkable.area_m2,
        )
        self._highest_id = max((o.id for o in objects), default=0)

    def edited(self, changes: Sequence[Change]) -> LoadedScene:
        """See backends/base.py. Assembles the scene again; baked light in textures stays as it was."""
        after = changed_objects(self.description.objects, changes)
        return LoadedScene(self.spec, self._files, self._named_nodes, Edits(self._edits.before, after))

    def render(self, poses: Sequence[Pose], camera: Camera, sensors: Sequence[str]) -> Frames:
        """See backends/base.py. Raises VantageError("bad_request") for an unknown sensor or a pose that is not
        finite."""
        check_sensors(sensors)
        shape = (len(poses), camera.height_px, camera.width_px)
        frames = Frames(poses=tuple(poses), camera=camera)
        depth, ids = np.empty(shape, np.float32), np.empty(shape, np.int32)
        rgb = np.empty((*shape, 3), np.uint8)
        frames.amodal = [] if "amodal" in sensors else None
        frames.normals = np.empty((*shape, 3), np.float32) if "normals" in sensors else None
        for k, pose in enumerate(poses):
            self._render_view(pose, camera, frames, k, "rgb" in sensors, rgb[k], depth[k], ids[k])
        frames.rgb = rgb if "rgb" in sensors else None
        frames.depth = depth if "depth" in sensors else None
        frames.ids = ids if "ids" in sensors else None
        return frames

    def _render_view(
        self, pose: Pose, camera: Camera, frames: Frames, k: int, colour: bool, rgb: NDArray[np.uint8],
        depth: NDArray[np.float32], ids: NDArray[np.int32],
    ) -> None:  # fmt: skip
        m = self._mesh
        eye, axes = view_axes(pose)
        height, width = depth.shape
        tan_x = math.tan(camera.hfov_rad / 2)
        view = Pinhole(eye, axes, np.float32(tan_x), np.float32(tan_x * height / width), np.float32(width / 2 / tan_x))
        enlarged_view = view._replace(eye=eye * _ENLARGED)
        order = raster.visible_chunks(m.chunk_low, m.chunk_high, enlarged_view)
        order = np.concatenate(
            [order[m.chunk_object[order] == 0], order[m.chunk_object[order] > 0]]
        )  # walls first: they hide the most
        buffer, vertices = visibility_buffer(height, width), vertex_scratch(len(m.positions))
        raster.draw(order, m.triangles, enlarged_view, raster.CULL_BACK, buffer, vertices)
        buffer.inverse_depth[:] *= _ENLARGED
        depth_and_ids(*buffer, m.face_object, depth, ids)
        if colour:
            plain_shade.shade(buffer, self._surfaces, self._bank, view, rgb)
        if frames.normals is not None:
            frames.normals[k] = camera_normals(buffer.seen, self._surfaces.values[:, 8:11], axes)
        if frames.amodal is not None:
            counts = raster.count_unoccluded(
                order, m.triangles, m.chunk_object, self._highest_id, enlarged_view, buffer, vertices
            )
            frames.amodal.append({int(i): int(counts[i]) for i in np.flatnonzero(counts)})

    def top_down(self, width_px: int) -> TopDown:
        """See backends/base.py."""

        def colour(buffer: VisibilityBuffer, view: Pinhole, rgb: NDArray[np.uint8]) -> None:
            plain_shade.shade(buffer, self._surfaces, self._bank, view, rgb)

        return top_down(self._triangles, self._mesh.face_object, self.description, width_px, 1, colour)

    def is_navigable(self, point_m: Vec3) -> bool:
        """Whether an agent can stand at the point's x and z on a floor at most 0.5 m above or below it."""
        return self._walkable.span_at(point_m) >= 0

    def sample_navigable(self, rng: np.random.Generator) -> Vec3:
        return self._walkable.sample(rng)

    def path(self, start_m: Vec3, goal_m: Vec3) -> list[Vec3]:
        return self._walkable.path(start_m, goal_m)

    def geodesic_m(self, start_m: Vec3, goal_m: Vec3) -> float:
        way = self.path(start_m, goal_m)
        return float(sum(math.dist(a, b) for a, b in zip(way, way[1:]))) if way else math.inf

    def close(self) -> None:
        """Nothing to release: a scene is plain memory."""


def _agent(files: SceneFiles) -> Agent:
    """The agent from the scene instance's user_defined.navmesh_settings (Habitat's names), else the default one."""
    given: Any = files.user.get("navmesh_settings", {})
    names = {
        "radius_m": "agent_radius", "height_m": "agent_height", "climb_m": "agent_max_climb", "cell_m": "cell_size",
        "cell_height_m": "cell_height",
    }  # fmt: skip
    try:
        values = {ours: float(given[theirs]) for ours, theirs in names.items() if theirs in given}
        if "agent_max_slope" in given:
            values["slope_rad"] = math.radians(float(given["agent_max_slope"]))
    except (TypeError, ValueError, AttributeError):
        values = {"radius_m": math.nan}
    agent = Agent(**values)
    if not (
        all(math.isfinite(v) for v in agent) and 0.02 <= agent.cell_m <= 0.5 and 0.02 <= agent.cell_height_m <= 0.5
        and 0 <= agent.radius_m <= 2 and 0 < agent.height_m <= 5 and 0 <= agent.climb_m <= 2
    ):  # fmt: skip
        raise VantageError(
            "corrupt", f"scene {files.name!r} has invalid navmesh_settings: use Habitat's names, with values in metres."
        )
    return agent
