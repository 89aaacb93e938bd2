"""The interface of a simulator backend. It is small on purpose: question code uses only Scene and Frames."""

from __future__ import annotations

from typing import Optional, Protocol, Sequence, runtime_checkable

import msgspec
import numpy as np
from numpy.typing import NDArray

from protocol.errors import VantageError
from protocol.tasks.scene import Camera, Change, Pose, SceneDescription, SceneSpec, Vec3

SENSORS = ("rgb", "depth", "ids", "amodal")  # every backend has these; Capabilities.sensors lists all
ALL_SENSORS = (*SENSORS, "normals")


class BlockedPose(VantageError):
    """A camera inside a wall or an object. The scene and its other poses are fine."""

    def __init__(self, message: str) -> None:
        super().__init__("bad_request", message)


class Frames(msgspec.Struct):
    """N views rendered with one camera.

    rgb: uint8 [N, H, W, 3] sRGB; depth: float32 [N, H, W] metres along the optical axis, 0 where nothing was hit;
    ids: int32 [N, H, W] object ids, 0 = no object; amodal: per view, object id -> pixels that the object would cover in
    the frame without occlusion, at least for the visible objects; normals: float32 [N, H, W, 3], unit length, in the
    camera's frame (x right, y up, z towards the viewer), 0 where nothing was hit. Sensors that were not requested are
    None. lens: coefficient k of the barrel distortion applied to all maps (sim_server/sensing/lens.py); 0 for a pinhole
    camera.
    """

    poses: tuple[Pose, ...]
    camera: Camera
    rgb: Optional[NDArray[np.uint8]] = None
    depth: Optional[NDArray[np.float32]] = None
    ids: Optional[NDArray[np.int32]] = None
    amodal: Optional[list[dict[int, int]]] = None
    normals: Optional[NDArray[np.float32]] = None
    lens: float = 0.0

    def part(self, start: int, stop: int) -> Frames:
        """Views start..stop - 1, without copying."""
        here = slice(start, stop)
        return Frames(
            poses=self.poses[here],
            camera=self.camera,
            rgb=None if self.rgb is None else self.rgb[here],
            depth=None if self.depth is None else self.depth[here],
            ids=None if self.ids is None else self.ids[here],
            amodal=None if self.amodal is None else self.amodal[here],
            normals=None if self.normals is None else self.normals[here],
            lens=self.lens,
        )


class Scene(Protocol):
    """An open scene. Rendering is deterministic: equal specs and equal digests give equal bits."""

    spec: SceneSpec
    description: SceneDescription

    def render(self, poses: Sequence[Pose], camera: Camera, sensors: Sequence[str]) -> Frames: ...

    def is_navigable(self, point_m: Vec3) -> bool: ...

    def sample_navigable(self, rng: np.random.Generator) -> Vec3:
        """A random point on the floor (with the floor's y) where an agent can stand."""
        ...

    def path(self, start_m: Vec3, goal_m: Vec3) -> list[Vec3]:
        """Waypoints of the shortest path, including both ends; empty if there is none."""
        ...

    def geodesic_m(self, start_m: Vec3, goal_m: Vec3) -> float:
        """Length of the shortest path in metres; inf if there is none."""
        ...

    def close(self) -> None: ...


class SceneWrapper:
    """Base class for scene wrappers, which change how another scene is rendered."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.spec: SceneSpec = scene.spec
        self.description: SceneDescription = scene.description

    def is_navigable(self, point_m: Vec3) -> bool:
        return self.scene.is_navigable(point_m)

    def sample_navigable(self, rng: np.random.Generator) -> Vec3:
        return self.scene.sample_navigable(rng)

    def path(self, start_m: Vec3, goal_m: Vec3) -> list[Vec3]:
        return self.scene.path(start_m, goal_m)

    def geodesic_m(self, start_m: Vec3, goal_m: Vec3) -> float:
        return self.scene.geodesic_m(start_m, goal_m)

    def close(self) -> None:
        """Do nothing: whoever opened the wrapped scene closes it."""


@runtime_checkable
class Editable(Protocol):
    """Optional interface of scenes whose objects can be removed or moved; needed for questions about changes."""

    def edited(self, changes: Sequence[Change]) -> Scene:
        """A copy of the scene with these changes; everything else, including ids, is the same. It is never closed.

        Raises VantageError("bad_request") for an object that is not in the scene or that carries others.
        """
        ...


class TopDown(msgspec.Struct):
    """A map: a scene seen from straight above without its ceiling.

    rgb uint8 [H, W, 3] sRGB, white where there is nothing; ids int32 [H, W]. The centre of the pixel in row r and
    column c is above x = x_min_m + (c + 0.5) * m_per_px, z = z_min_m + (r + 0.5) * m_per_px.
    """

    rgb: NDArray[np.uint8]
    ids: NDArray[np.int32]
    x_min_m: float
    z_min_m: float
    m_per_px: float


@runtime_checkable
class Mappable(Protocol):
    """Optional interface of scenes that can be rendered as a map."""

    def top_down(self, width_px: int) -> TopDown:
        """A map of the lowest floor, cut closely below its ceiling. Raises ValueError for a width outside 16..4096."""
        ...


class Capabilities(msgspec.Struct, frozen=True):
    sensors: tuple[str, ...] = SENSORS
    categories: tuple[str, ...] = ()
    assets: tuple[str, ...] = ()  # values that SceneSpec.asset may have; empty: procedural scenes only
    wishes: tuple[str, ...] = ()  # of WISHES: those that it places in generated scenes; it ignores the others


class Backend(Protocol):
    """A simulator. `digest` identifies everything that can change a pixel or an answer: code, dataset, options."""

    name: str
    digest: str
    capabilities: Capabilities

    def open(self, spec: SceneSpec) -> Scene:
        """Open a scene. Raises Infeasible if the spec cannot be realised, VantageError("bad_request") if invalid."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class Warmable(Protocol):
    """Optional interface of backends with slow one-time work, such as compiling kernels."""

    def warm(self) -> None:
        """Called once by a worker before it accepts requests."""
        ...
