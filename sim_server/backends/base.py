"""What a simulator backend must offer. Small on purpose: families of questions see only Scene and Frames."""

from __future__ import annotations

from typing import Optional, Protocol, Sequence, runtime_checkable

import msgspec
import numpy as np
from numpy.typing import NDArray

from protocol.tasks.scene import Camera, Change, Pose, SceneDescription, SceneSpec, Vec3

SENSORS = ("rgb", "depth", "ids", "amodal")  # of every backend; what else one has, its capabilities say
ALL_SENSORS = (*SENSORS, "normals")


class Frames(msgspec.Struct):
    """N views rendered with one camera.

    rgb: uint8 [N, H, W, 3] sRGB; depth: float32 [N, H, W] metres along the optical axis, 0 where nothing was hit;
    ids: int32 [N, H, W] object ids, 0 = no object; amodal: per view, object id -> pixels that the object would
    cover in the frame if nothing stood before it; normals: float32 [N, H, W, 3], of length 1, in the
    camera's frame (x right, y up, z towards the viewer), 0 where nothing was hit. A sensor that was not asked for is
    None. lens: the barrel distortion that all maps went through, k of sim_server/sensing/lens.py; 0 is a pinhole
    camera's image.
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
        """The views from number `start` to before `stop`, without a copy."""
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
    """An open scene. Rendering is deterministic: same spec and same digest give the same bits."""

    spec: SceneSpec
    description: SceneDescription

    def render(self, poses: Sequence[Pose], camera: Camera, sensors: Sequence[str]) -> Frames: ...

    def is_navigable(self, point_m: Vec3) -> bool: ...

    def sample_navigable(self, rng: np.random.Generator) -> Vec3:
        """A point on the floor (y of the floor) where an agent can stand."""
        ...

    def path(self, start_m: Vec3, goal_m: Vec3) -> list[Vec3]:
        """Waypoints of the shortest walk, ends included; empty where there is none."""
        ...

    def geodesic_m(self, start_m: Vec3, goal_m: Vec3) -> float:
        """Length of the shortest walk in metres; inf where there is none."""
        ...

    def close(self) -> None: ...


class SceneInFront:
    """A scene that stands in front of another one: the same place, and other pictures of it."""

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
        """The scene behind is closed by whoever opened it."""


@runtime_checkable
class Editable(Protocol):
    """A scene whose objects can be taken away or moved offers this too; questions about changes need it."""

    def edited(self, changes: Sequence[Change]) -> Scene:
        """The same scene with these changes; all else, ids included, is as before. The scene itself stays as it is, and
        what is returned is never closed.

        Raises VantageError("bad_request") for an object that the scene lacks or that carries others.
        """
        ...


class TopDown(msgspec.Struct):
    """A scene seen straight from above without its ceiling: rgb uint8 [H, W, 3] sRGB, white where there is nothing, and
    ids int32 [H, W]. The centre of the pixel in row r and column c lies over the floor at x = x_min_m + (c + 0.5) *
    m_per_px and z = z_min_m + (r + 0.5) * m_per_px."""

    rgb: NDArray[np.uint8]
    ids: NDArray[np.int32]
    x_min_m: float
    z_min_m: float
    m_per_px: float


@runtime_checkable
class Mappable(Protocol):
    """A scene that can be drawn as a map offers this too."""

    def top_down(self, width_px: int) -> TopDown:
        """The lowest floor, cut closely below its ceiling. Raises ValueError for a width outside 16..4096."""
        ...


class Capabilities(msgspec.Struct, frozen=True):
    sensors: tuple[str, ...] = SENSORS
    categories: tuple[str, ...] = ()
    assets: tuple[str, ...] = ()  # names of scenes that SceneSpec.asset may name; empty: procedural only


class Backend(Protocol):
    """A simulator. `digest` names everything that can change a pixel or an answer: code version, data set, options."""

    name: str
    digest: str
    capabilities: Capabilities

    def open(self, spec: SceneSpec) -> Scene:
        """Raises Infeasible for a spec that this backend cannot make, VantageError("bad_request") for a wrong one."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class Warmable(Protocol):
    """A backend that has something slow to do once, such as compiling kernels, may offer this too."""

    def warm(self) -> None:
        """Called once in a worker before it takes requests."""
        ...
