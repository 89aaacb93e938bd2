"""A third-party simulator, written only from docs/guides/extending.md and installed as a separate distribution.

Its scene is an empty 4 m x 4 m room whose image is uniformly grey, with a level that depends on the seed and the
camera's position. The ceiling height, which is otherwise unused, selects special behaviour:

    2.50   the first `TOY_DEATHS` opens, counted in the file `TOY_STATE`, end the process
    3.00   a render takes `TOY_RENDER_S` seconds
    3.50   opening takes `TOY_OPEN_S` whole seconds and blocks every other thread of the process
"""

from __future__ import annotations

import ctypes
import math
import os
import time
from pathlib import Path
from typing import Sequence

import numpy as np

from protocol.errors import VantageError
from protocol.tasks.scene import Camera, OrientedBox, Pose, Room, SceneDescription, SceneObject, SceneSpec, Vec3
from sim_server.backends.base import Capabilities, Frames

DEADLY_M, SLOW_RENDER_M, SLOW_OPEN_M = 2.5, 3.0, 3.5


class ToyScene:
    def __init__(self, spec: SceneSpec, backend: str) -> None:
        self.spec = spec
        self.description = SceneDescription(
            scene_id=f"toy-{spec.seed}",
            backend=backend,
            rooms=(Room(1, "empty room", ((0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 4.0)), 0.0, spec.ceiling_m),),
            openings=(),
            objects=(SceneObject(1, "box", OrientedBox((2.0, 0.25, 0.5), (0.25, 0.25, 0.25)), "red"),),
            navigable_area_m2=16.0,
        )

    def render(self, poses: Sequence[Pose], camera: Camera, sensors: Sequence[str]) -> Frames:
        if self.spec.ceiling_m == SLOW_RENDER_M:
            time.sleep(float(os.environ["TOY_RENDER_S"]))
        if not set(sensors) <= {"rgb", "depth", "ids"}:
            raise VantageError("bad_request", f"the toy has no such sensors: {', '.join(sensors)}.")
        for pose in poses:
            if not np.isfinite(pose.position_m).all() or not 0.9 < np.linalg.norm(pose.rotation_wxyz) < 1.1:
                raise VantageError("bad_request", "a pose must be finite, with a rotation of length 1.")
        shape = (len(poses), camera.height_px, camera.width_px)
        greys = [int(self.spec.seed + 50 * sum(pose.position_m)) % 256 for pose in poses]
        grey = np.array(greys, dtype=np.uint8)[:, None, None, None]
        return Frames(
            tuple(poses),
            camera,
            rgb=np.broadcast_to(grey, (*shape, 3)).copy(),
            depth=np.ones(shape, np.float32) if "depth" in sensors else None,
            ids=np.zeros(shape, np.int32) if "ids" in sensors else None,
        )

    def is_navigable(self, point_m: Vec3) -> bool:
        x_m, y_m, z_m = point_m
        return 0.2 < x_m < 3.8 and abs(y_m) < 0.1 and 0.2 < z_m < 3.8

    def sample_navigable(self, rng: np.random.Generator) -> Vec3:
        x_m, z_m = rng.uniform(0.3, 3.7, size=2)
        return (float(x_m), 0.0, float(z_m))

    def path(self, start_m: Vec3, goal_m: Vec3) -> list[Vec3]:
        return [start_m, goal_m] if self.is_navigable(start_m) and self.is_navigable(goal_m) else []

    def geodesic_m(self, start_m: Vec3, goal_m: Vec3) -> float:
        way = self.path(start_m, goal_m)
        return float(np.linalg.norm(np.subtract(goal_m, start_m))) if way else math.inf

    def close(self) -> None:
        pass


class ToyBackend:
    name = "toy"
    digest = "toy-1"
    capabilities = Capabilities(sensors=("rgb", "depth", "ids"), categories=("box",))

    def open(self, spec: SceneSpec) -> ToyScene:
        if spec.asset:
            raise VantageError("bad_request", f"the toy has no scene {spec.asset!r}: leave asset empty.")
        if spec.ceiling_m == DEADLY_M:
            self._die_while_deaths_are_left()
        if spec.ceiling_m == SLOW_OPEN_M:
            ctypes.PyDLL(None).sleep(int(os.environ["TOY_OPEN_S"]))  # unlike time.sleep, this holds the GIL
        return ToyScene(spec, self.name)

    def close(self) -> None:
        pass

    def _die_while_deaths_are_left(self) -> None:
        state = Path(os.environ["TOY_STATE"])
        deaths = int(state.read_text()) if state.exists() else 0
        if deaths < int(os.environ["TOY_DEATHS"]):
            state.write_text(str(deaths + 1))
            os._exit(139)


class OtherBackend(ToyBackend):
    """The same room with another digest, as a second simulator of a run."""

    name = "other"
    digest = "other-1"
