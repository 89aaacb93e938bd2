"""Where the cameras of a question are: shown poses, poses that are only judged, and changes to the scene per view."""

from __future__ import annotations

from itertools import groupby
from typing import Sequence

import msgspec
import numpy as np

from protocol.errors import Infeasible
from protocol.tasks.scene import Camera, Change, Pose
from sim_server.backends.base import Editable, Frames, Scene, SceneWrapper

Changes = tuple[Change, ...]


class Staging(msgspec.Struct, frozen=True):
    """The views of a question.

    `poses` are shown. `hidden` poses are rendered as evidence for the rules only: the views that a move would lead to,
    or a view without a change. `changes` holds the changes to the scene for each shown and then each hidden pose; it
    is empty if no view has one. `about` are the ids of the objects that the views were placed for, `numbers` the
    parameters chosen with them; `judge` finds both in its evidence.
    """

    poses: tuple[Pose, ...]
    hidden: tuple[Pose, ...] = ()
    changes: tuple[Changes, ...] = ()
    about: tuple[int, ...] = ()
    numbers: tuple[float, ...] = ()


class StagedScene(SceneWrapper):
    """A scene wrapper that renders view k with changes[k]."""

    def __init__(self, scene: Scene, changes: Sequence[Changes]) -> None:
        """Raises Infeasible if the backend cannot change its scenes."""
        if not isinstance(scene, Editable):
            raise Infeasible("this simulator cannot remove or move objects; leave out the skills about changes")
        super().__init__(scene)
        self._changes = tuple(changes)
        self._copies: dict[Changes, Scene] = {(): scene}
        for change in self._changes:
            if change not in self._copies:
                self._copies[change] = scene.edited(change)

    def render(self, poses: Sequence[Pose], camera: Camera, sensors: Sequence[str]) -> Frames:
        """Render like a scene, at most one pose per entry of `changes`."""
        assert len(poses) <= len(self._changes)
        parts: list[Frames] = []
        for change, group in groupby(zip(self._changes, poses), key=lambda pair: pair[0]):
            parts.append(self._copies[change].render([pose for _, pose in group], camera, sensors))
        joined = Frames(tuple(poses), camera)
        for sensor in ("rgb", "depth", "ids"):
            if sensor in sensors:
                setattr(joined, sensor, np.concatenate([getattr(part, sensor) for part in parts]))
        if "amodal" in sensors:
            joined.amodal = [counts for part in parts for counts in part.amodal or []]
        return joined


def staged(scene: Scene, staging: Staging) -> Scene:
    """The scene with the changes of the staging. Raises Infeasible like StagedScene."""
    return StagedScene(scene, staging.changes) if staging.changes else scene
