"""An open scene of a Habitat dataset: description, rendering, paths, changes."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Mapping, Optional, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from protocol.errors import Infeasible, VantageError
from protocol.tasks.scene import Camera, Change, Pose, SceneDescription, SceneSpec, Vec3
from sim_server.backends.base import SENSORS, Frames
from sim_server.backends.changes import changed_objects, shifts
from sim_server.backends.habitat import alone
from sim_server.backends.habitat.floor import Floor, agent_of, build_navmesh
from sim_server.backends.habitat.simulator import DEPTH, IDS, RGB, Edits, Simulator
from sim_server.backends.habitat.survey import SURVEY_CAMERA, estimated_pixels, look_around, survey
from sim_server.backends.habitat.truth import read_truth
from sim_server.backends.placements import SceneFiles

_EYE_M = 1.4
_SURVEY_POINTS = 24


class HabitatScene:
    """A scene. All scenes of a backend share its Simulator; switching to another one takes a tenth of a second."""

    def __init__(self, spec: SceneSpec, simulator: Simulator, files: Optional[SceneFiles], navmesh_cache: Path) -> None:
        """Raises VantageError("bad_request") for an unknown scene, "corrupt" for one that habitat-sim cannot load.

        Raises Infeasible if it has no place to stand.
        """
        self.spec = spec
        self._simulator = simulator
        self._cache: Optional[Path] = navmesh_cache  # None for a changed scene
        self._agent = agent_of(files)
        self._edits: Edits = ()
        sim = simulator.show(spec.asset, SURVEY_CAMERA)
        self._of_objects = simulator.is_made_of_objects(spec.asset)
        truth = read_truth(sim, self._of_objects, files)
        self._own_ids = truth.ids
        self._floor: Optional[Floor] = None
        self.description = SceneDescription(
            scene_id=f"habitat-{spec.asset}",
            backend="habitat",
            rooms=truth.rooms,
            openings=truth.openings,
            objects=truth.objects,
        )
        area_m2 = files.navigable_area_m2 if files is not None else None
        self.description = msgspec.structs.replace(
            self.description, navigable_area_m2=self._walkable().area_m2 if area_m2 is None else area_m2
        )
        self._placed = truth.objects  # without changes
        self._surface = {} if self._of_objects else self._survey()

    # ------------------------------------------------------------------ rendering

    def render(self, poses: Sequence[Pose], camera: Camera, sensors: Sequence[str]) -> Frames:
        """See backends/base.py. `amodal` is exact in scenes made of objects and an estimate in scans (survey.py).

        Raises VantageError("bad_request") for an unknown sensor or a pose that is not finite.
        """
        unknown = [sensor for sensor in sensors if sensor not in SENSORS]
        if unknown:
            raise VantageError("bad_request", f"unknown sensor {unknown[0]!r}: choose among {', '.join(SENSORS)}.")
        shape = (len(poses), camera.height_px, camera.width_px)
        frames = Frames(
            poses=tuple(poses),
            camera=camera,
            rgb=np.empty((*shape, 3), np.uint8) if "rgb" in sensors else None,
            depth=np.empty(shape, np.float32) if "depth" in sensors else None,
            ids=np.empty(shape, np.int32) if "ids" in sensors else None,
            amodal=[] if "amodal" in sensors else None,
        )
        wanted = [sensor for sensor in (RGB, DEPTH, IDS) if sensor in sensors]
        if "amodal" in sensors:
            wanted = sorted({*wanted, IDS} if self._of_objects else {*wanted, DEPTH, IDS})
        for k, pose in enumerate(poses):
            seen = self._simulator.observe(self.spec.asset, camera, pose, wanted, self._edits)
            ids = self._translate(seen[IDS]) if IDS in seen else None
            if frames.rgb is not None:
                frames.rgb[k] = seen[RGB]
            if frames.depth is not None:
                frames.depth[k] = seen[DEPTH]
            if frames.ids is not None and ids is not None:
                frames.ids[k] = ids
            if frames.amodal is not None:
                assert ids is not None
                frames.amodal.append(
                    self._unoccluded(pose, camera, seen[IDS])
                    if self._of_objects
                    else estimated_pixels(self._surface, pose, camera, seen[DEPTH], ids)
                )
        return frames

    def _unoccluded(self, pose: Pose, camera: Camera, pixels: NDArray[np.int64]) -> dict[int, int]:
        """Pixels without occlusion of each object in the view that was just observed; `pixels`: its id image."""
        seen = {self._own_ids[value] for value in np.unique(pixels).tolist() if value in self._own_ids}
        pixel_of = {own: pixel for pixel, own in self._own_ids.items()}
        boxes = {pixel_of[item.id]: item.box for item in self.description.objects if item.id in seen}
        counts = alone.unoccluded_pixels(boxes, pose, camera, self._simulator.observe_alone)
        return dict(sorted((self._own_ids[pixel], count) for pixel, count in counts.items()))

    def _translate(self, pixels: NDArray[np.int64]) -> NDArray[np.int32]:
        """Map habitat-sim's ids to object ids of the description; the stage and unnamed objects are 0."""
        values, places = np.unique(pixels, return_inverse=True)
        table = np.array([self._own_ids.get(int(value), 0) for value in values], np.int32)
        return table[places].reshape(pixels.shape)

    def _survey(self) -> Mapping[int, NDArray[np.float32]]:
        """Surface points of the objects of a scan, whose mesh cannot be rendered without its surroundings."""

        def look(pose: Pose, camera: Camera) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
            seen = self._simulator.observe(self.spec.asset, camera, pose, (DEPTH, IDS))
            return seen[DEPTH], self._translate(seen[IDS])

        rng = np.random.default_rng(self.spec.seed)
        points = [self.sample_navigable(rng) for _ in range(_SURVEY_POINTS)]
        return survey(look_around(points, _EYE_M), look)

    # ------------------------------------------------------------------ walking

    def is_navigable(self, point_m: Vec3) -> bool:
        return self._walkable().is_navigable(point_m)

    def sample_navigable(self, rng: np.random.Generator) -> Vec3:
        """See backends/base.py. Raises Infeasible if no floor is found."""
        return self._walkable().sample(rng)

    def path(self, start_m: Vec3, goal_m: Vec3) -> list[Vec3]:
        return self._walkable().shortest_path(start_m, goal_m)[1]

    def geodesic_m(self, start_m: Vec3, goal_m: Vec3) -> float:
        return self._walkable().shortest_path(start_m, goal_m)[0]

    def _walkable(self) -> Floor:
        if self._floor is None:
            sim = self._simulator.show(self.spec.asset, SURVEY_CAMERA, self._edits)
            library, name, agent = self._simulator.library, self.spec.asset, self._agent
            pathfinder = build_navmesh(library, sim, name, agent, self._cache)
            rooms, objects = self.description.rooms, self.description.objects
            self._floor = Floor(library, pathfinder, name, agent["agent_max_climb"], rooms, objects)
        return self._floor

    # ------------------------------------------------------------------ changes

    def edited(self, changes: Sequence[Change]) -> HabitatScene:
        """See backends/base.py. The copy builds its navmesh when it is first needed.

        Raises Infeasible for a scan, whose objects are parts of one mesh.
        """
        if not self._of_objects:
            raise Infeasible(f"{self.spec.asset} is a scan: its objects cannot be removed or moved.")
        changed = copy.copy(self)
        changed._cache = changed._floor = None
        pixel_of = {own: pixel for pixel, own in self._own_ids.items()}
        after = changed_objects(self.description.objects, changes)
        moves = shifts(self._placed, after)
        changed._edits = tuple((pixel_of[key], shift) for key, shift in sorted(moves.items()))
        changed.description = msgspec.structs.replace(self.description, objects=after)
        return changed

    def close(self) -> None:
        """Nothing to release: the Simulator stays open for the next scene."""
