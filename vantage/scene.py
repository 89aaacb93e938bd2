"""Open a scene, render views of it, and ask questions about it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional, Sequence, Union

import numpy as np
from numpy.typing import NDArray

from protocol.errors import VantageError
from protocol.run.config import did_you_mean
from protocol.skills import CATALOGUE
from protocol.tasks.scene import HELD_OUT_SEED_BORDER, Camera, Pose, SceneDescription, SceneObject, SceneSpec, Wish
from protocol.tasks.task import Degradation, QuestionSpec, TaskSpec
from sim_server.backends.registry import make_backend
from sim_server.settings import SimSettings
from vantage.question import Question, realise_question

if TYPE_CHECKING:
    from sim_server.backends import base

SENSORS = ("rgb", "depth", "ids")


@dataclass(frozen=True)
class Views:
    """N views rendered with one camera; a sensor that was not asked for is None.

    rgb: uint8 [N, H, W, 3], sRGB. depth: float32 [N, H, W], metres along the optical axis, 0 where nothing was hit.
    ids: int32 [N, H, W], object ids, 0 where there is no object.
    """

    poses: tuple[Pose, ...]
    camera: Camera
    rgb: Optional[NDArray[np.uint8]] = None
    depth: Optional[NDArray[np.float32]] = None
    ids: Optional[NDArray[np.int32]] = None

    def __len__(self) -> int:
        return len(self.poses)


class Scene:
    """An open scene; also a context manager that closes it.

    World frame: right-handed, y up, metres. A camera looks along its own -z with x to the right.
    """

    def __init__(self, scene: base.Scene, backend: base.Backend) -> None:
        """Use `open_scene`."""
        self._scene = scene
        self._backend = backend

    @property
    def description(self) -> SceneDescription:
        """The ground truth: rooms, openings, objects and the navigable area in square metres."""
        return self._scene.description

    @property
    def objects(self) -> tuple[SceneObject, ...]:
        return self._scene.description.objects

    def poses(self, count: int = 1, camera: Optional[Camera] = None) -> tuple[Pose, ...]:
        """`count` (1 to 48) poses at eye height that together show much of the scene; the same at every call."""
        from sim_server.sensing.contact_sheet import overview_poses

        return overview_poses(self._scene, camera or Camera(), count)

    def render(
        self,
        poses: Optional[Sequence[Pose]] = None,
        *,
        count: int = 1,
        camera: Optional[Camera] = None,
        sensors: Sequence[str] = SENSORS,
    ) -> Views:
        """Render one view per pose; without `poses`, the first `count` of `Scene.poses`.

        The default camera has 96 x 96 pixels and a horizontal field of view of 70 degrees. `sensors`: any of "rgb",
        "depth" and "ids". Raises VantageError("bad_request") for another sensor.
        """
        if unknown := sorted(set(sensors) - set(SENSORS)):
            raise VantageError("bad_request", f"there is no sensor {unknown[0]!r}; choose among {', '.join(SENSORS)}.")
        camera = camera or Camera()
        chosen = self.poses(count, camera) if poses is None else tuple(poses)
        frames = self._scene.render(chosen, camera, tuple(sensors))
        wanted = {name: getattr(frames, name) for name in sensors}
        return Views(chosen, camera, **wanted)

    def ask(
        self,
        skill: str,
        level: int = 0,
        *,
        seed: int = 0,
        camera: Optional[Camera] = None,
        degradations: Sequence[str] = (),
    ) -> Question:
        """Ask a question of this skill and level about rendered views of this scene.

        Another `seed` gives another question. `degradations` are written like "fog:3". Raises
        VantageError("bad_request") for an unknown skill, level or degradation, and VantageError("infeasible") if the
        scene has no such question.
        """
        if skill not in CATALOGUE:
            close = did_you_mean(skill, CATALOGUE)
            raise VantageError("bad_request", f"there is no skill {skill!r}{close}; vantage.CATALOGUE lists them all.")
        try:
            degraded = tuple(map(Degradation.parse, degradations))
        except ValueError as error:
            raise VantageError("bad_request", f"{error}.") from None
        spec = TaskSpec(
            spec_id=f"{skill}-{level}-{seed}",
            run_seed=seed,
            seq=0,
            scene=self._scene.spec,
            question=QuestionSpec(skill, level),
            camera=camera or Camera(),
            max_views=CATALOGUE[skill].view_budget,
            degradations=degraded,
        )
        return realise_question(self._scene, spec)

    def close(self) -> None:
        self._scene.close()
        self._backend.close()

    def __enter__(self) -> Scene:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_scene(
    seed: Optional[int] = None,
    file: Union[str, os.PathLike[str], None] = None,
    *,
    name: str = "",
    backend: str = "rooms",
    rooms: int = 1,
    min_objects: int = 6,
    max_objects: int = 12,
    clutter: float = 0.3,
    palette: str = "natural",
    light: str = "day",
    wishes: Sequence[Wish] = (),
) -> Scene:
    """Open a generated home, or a scene from a file.

    `seed`: 0 to 2**32 - 1; seeds from 2**31 on are held out and never used for training. `file`: a .glb or .gltf file,
    or a *.scene_dataset_config.json of which `name` chooses a scene (default: the first). The remaining options shape a
    generated home: `clutter` 0 to 1, `palette` "natural" or "named", `light` "day", "overcast", "evening" or "night",
    `wishes` what it must contain.

    Raises VantageError: "bad_request" for wrong options or an unknown scene, "bad_config" for a file that is no data
    set, "corrupt" for a damaged one, "backend_missing" if the simulator is not installed, "unsupported" if it cannot
    place a wish, "infeasible" if no home fits the options.
    """
    if (seed is None) == (file is None):
        raise VantageError("bad_request", "give either a seed or a file.")
    settings = SimSettings(backend=backend, dataset="" if file is None else os.fspath(file))
    simulator = make_backend(backend, settings)
    try:
        if file is not None:
            spec = SceneSpec(asset=name or simulator.capabilities.assets[0])
        else:
            assert seed is not None
            if lacking := sorted({wish.kind for wish in wishes} - set(simulator.capabilities.wishes)):
                raise VantageError(
                    "unsupported", f"the simulator {backend} cannot place {lacking[0]!r} objects: leave that wish out."
                )
            spec = SceneSpec(
                seed=seed,
                split="val" if seed >= HELD_OUT_SEED_BORDER else "train",
                rooms=rooms,
                min_objects=min_objects,
                max_objects=max_objects,
                clutter=clutter,
                palette=palette,
                light=light,
                wishes=tuple(wishes),
            )
        return Scene(simulator.open(spec), simulator)
    except BaseException as error:
        simulator.close()
        if isinstance(error, ValueError):
            raise VantageError("bad_request", f"{error}.") from None
        raise
