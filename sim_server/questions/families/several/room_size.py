"""room_size: square metres of floor of the rooms that few pictures show."""

from __future__ import annotations

from typing import Optional, Sequence

import numpy as np

from protocol.seeds import pick
from protocol.tasks.scene import Pose, Room, SceneDescription
from protocol.tasks.task import TaskSpec
from sim_server.backends.base import Scene
from sim_server.questions.evidence import Evidence, ViewEvidence, room_at
from sim_server.questions.families.rules import need_rooms
from sim_server.questions.families.several.scene import NOT_JOINED
from sim_server.questions.family import Candidate, Draft, Findings, Target
from sim_server.questions.geometry import Array, inside_polygon, unproject
from sim_server.questions.views.coverage import joined
from sim_server.questions.views.sets import drawn_sets, first_fitting, shoot

ROOM_PICTURES = (4, 4, 3, 3, 2)
# Share of the walls that the pictures show from inside, of the room of which they show less.
OUTLINE = ((0.80, 1.00), (0.70, 0.95), (0.60, 0.85), (0.50, 0.75), (0.40, 0.65))
ELSEWHERE = 0.05  # of the pixels may show rooms that are not asked about
SEVERAL_FROM_LEVEL = 3  # from here on two rooms may be asked about together
_STEP_M = 0.25  # between points of an outline; one is shown where a pixel's surface is as near on the floor plan
_FINE_M = 0.05  # points of surface within one such square count once
_STRIDE = 2  # every second pixel of every second row is looked at
_INWARD_M = 0.05  # a wall belongs to the room from which it is seen: that which lies so far before it
_SETS_TRIED = 30


class RoomSize:
    """The rooms are those in which the cameras stand."""

    name = "room_size"
    views = 2

    def plan(
        self, description: SceneDescription, level: int, rng: np.random.Generator, kept: Optional[Target] = None
    ) -> Target:
        """`focus` holds the ids of the rooms."""
        need_rooms(description, self.name)
        first = pick(description.rooms, rng)
        beside = [ids for door in description.openings if len(ids := door.room_ids) == 2 and first.id in ids]
        several = level >= SEVERAL_FROM_LEVEL and bool(beside) and (kept is None or kept.form == "rooms")
        if several and (kept is not None or rng.integers(2)):
            return Target(key="", focus=pick(beside, rng), form="rooms")
        return Target(key="", focus=(first.id,), form="room" if kept is None else kept.form)

    def poses(
        self, scene: Scene, spec: TaskSpec, plan: Target, rng: np.random.Generator, found: Findings
    ) -> Optional[tuple[Pose, ...]]:
        shots = shoot(scene, spec.camera, rng)
        rooms = [room_at(scene.description, pose.position_m) for pose in shots.poses]
        among = [index for index, room in enumerate(rooms) if room is not None and room.id in plan.focus]
        most = min(spec.max_views, ROOM_PICTURES[spec.question.level])
        return first_fitting(self, spec, plan, shots, drawn_sets(among, most, _SETS_TRIED, rng), found)

    def propose(self, world: Evidence, level: int, found: Findings) -> None:
        rooms = {room.id: room for view in world.views if (room := room_at(world.description, view.pose.position_m))}
        if not rooms or len(rooms) > 1 + (level >= SEVERAL_FROM_LEVEL):
            found.refuse("the cameras stand in more rooms than are asked about")
            return
        points = np.concatenate([_surface(view) for view in world.views])
        in_room = {room.id: inside_polygon(points, room.polygon_xz_m) for room in world.description.rooms}
        shown = min(outline_shown(room, points[in_room[room.id]]) for room in rooms.values())
        elsewhere = sum(float(inside.mean()) for key, inside in in_room.items() if key not in rooms)
        least, most = OUTLINE[level]
        if not least <= shown <= most:
            found.refuse(f"the pictures do not show {least:.0%} to {most:.0%} of a room's walls")
        elif elsewhere > ELSEWHERE:
            found.refuse(f"more than {ELSEWHERE:.0%} of the pixels show other rooms")
        elif not joined(world.description, world.views):
            found.refuse(NOT_JOINED)
        else:
            found.accept("", (), shown - least, "room" if len(rooms) == 1 else "rooms")

    def draft(self, _world: Evidence, candidate: Candidate, _rng: np.random.Generator) -> Draft:
        one = candidate.form == "room"
        phrase = "the room in the pictures" if one else "the two rooms in the pictures together"
        return Draft(
            program="round(area_shown(), 1)",
            templates=(
                "how many square meters of floor {v} {a} ?",
                "in square meters , how much floor {v} {a} ?",
                "look at the pictures . how many square meters of floor {v} {a} ?",
                "how many square meters is the floor of {a} ?",
                "what is the size of the floor of {a} in square meters ?",
            ),
            slots={"a": (0, phrase), "v": (0, "has" if one else "have")},
            unit="square meters",
            show_options=False,
        )


def _surface(view: ViewEvidence) -> Array:
    """Floor-plan points [N, 2] of every _STRIDE-th pixel that shows something, _INWARD_M before its surface."""
    height, width = view.depth_m.shape
    seen = np.zeros((height, width), bool)
    seen[::_STRIDE, ::_STRIDE] = view.depth_m[::_STRIDE, ::_STRIDE] > 0
    points = unproject(view.pose, view.camera, view.depth_m)[seen.ravel()]
    towards = np.asarray(view.pose.position_m) - points
    points += _INWARD_M * towards / np.maximum(np.linalg.norm(towards, axis=1, keepdims=True), 1e-9)
    return points[:, [0, 2]]


def outline_shown(room: Room, points_xz_m: Array) -> float:
    """Share of the room's outline, in steps of _STEP_M, near which a point [N, 2] of shown surface lies."""
    outline = _outline(room.polygon_xz_m)
    low, high = outline.min(0) - _STEP_M, outline.max(0) + _STEP_M
    near = points_xz_m[((points_xz_m >= low) & (points_xz_m <= high)).all(1)]
    if not len(near):
        return 0.0
    flat = np.unique(np.round(near / _FINE_M), axis=0) * _FINE_M
    apart = np.square(outline[:, None] - flat[None]).sum(-1).min(1)
    return float((apart <= _STEP_M**2).mean())


def _outline(polygon_xz_m: Sequence[tuple[float, float]]) -> Array:
    """Points along a polygon about _STEP_M apart, [M, 2]."""
    points: list[Array] = []
    for start, end in zip(polygon_xz_m, (*polygon_xz_m[1:], *polygon_xz_m[:1])):
        steps = max(1, round(float(np.hypot(end[0] - start[0], end[1] - start[1])) / _STEP_M))
        points.append(np.linspace(start, end, steps, endpoint=False))
    return np.concatenate(points)
