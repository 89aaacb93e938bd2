"""Changed copies of a scene's objects, for scenes whose objects can be removed or moved."""

from __future__ import annotations

from typing import Optional, Sequence

import msgspec

from protocol.errors import VantageError
from protocol.tasks.scene import Change, SceneObject, Vec3


def changed_objects(objects: Sequence[SceneObject], changes: Sequence[Change]) -> tuple[SceneObject, ...]:
    """The objects after the changes, in the same order. A moved object keeps its room and its support.

    Raises VantageError("bad_request") for an object that is not there or that carries others.
    """
    known = {item.id: item for item in objects}
    for change in changes:
        key = change.object_id
        if key not in known:
            raise VantageError("bad_request", f"this scene has no object {key} to change.")
        if any(item.support_id == key for item in known.values()):
            raise VantageError("bad_request", f"object {key} carries others: change those first.")
        if change.moved_to_m is None:
            del known[key]
        else:
            box = msgspec.structs.replace(known[key].box, centre_m=change.moved_to_m)
            known[key] = msgspec.structs.replace(known[key], box=box)
    return tuple(known.values())


def shifts(before: Sequence[SceneObject], after: Sequence[SceneObject]) -> dict[int, Optional[Vec3]]:
    """By id, how far each changed object has moved in metres; None for a removed one."""
    centres = {item.id: item.box.centre_m for item in after}
    out: dict[int, Optional[Vec3]] = {}
    for item in before:
        old, new = item.box.centre_m, centres.get(item.id)
        if new is None:
            out[item.id] = None
        elif new != old:
            out[item.id] = (new[0] - old[0], new[1] - old[1], new[2] - old[2])
    return out
