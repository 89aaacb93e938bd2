"""What a question's pictures are taken of: camera poses, poses that are judged but not shown, and scenes changed for a
view."""

from __future__ import annotations

from itertools import groupby
from typing import Sequence

import msgspec
import numpy as np

from protocol.errors import Infeasible
from protocol.tasks.scene import Camera, Change, Pose
from sim_server.backends.base import Editable, Frames, Scene, SceneInFront

Changes = tuple[Change, ...]


class Staging(msgspec.Struct, frozen=True):
    """Where the cameras of a question stand.

    `poses` are shown. `hidden` poses are rendered as evidence for the family's rules alone: what a move would lead to
    see, what a change would uncover. `changes` holds, for each shown and then each hidden pose, what is changed in the
    scene for that view; it is empty where no view has a change. `about` names the objects that the views were placed
    for, `numbers` what else the family settled with them; `propose` finds both in its world.
    """

    poses: tuple[Pose, ...]
    hidden: tuple[Pose, ...] = ()
    changes: tuple[Changes, ...] = ()
    about: tuple[int, ...] = ()
    numbers: tuple[float, ...] = ()


class StagedScene(SceneInFront):
    """A scene that stands before its changed copies: view k of `render` shows it with changes[k]."""

    def __init__(self, scene: Scene, changes: Sequence[Changes]) -> None:
        """Raises Infeasible where the backend cannot change its scenes."""
        if not isinstance(scene, Editable):
            raise Infeasible("this simulator cannot take objects away or move them; ask without questions of change")
        super().__init__(scene)
        self._changes = tuple(changes)
        self._copies: dict[Changes, Scene] = {(): scene}
        for change in self._changes:
            if change not in self._copies:
                self._copies[change] = scene.edited(change)

    def render(self, poses: Sequence[Pose], camera: Camera, sensors: Sequence[str]) -> Frames:
        """As a scene does; there are at most as many poses as changes."""
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
    """The scene as the staging's views show it: itself where no view has a change. Raises as StagedScene does."""
    return StagedScene(scene, staging.changes) if staging.changes else scene
