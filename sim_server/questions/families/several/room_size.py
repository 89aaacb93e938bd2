"""room_size: the floor area in square metres of the rooms that a few images show."""

from __future__ import annotations

from typing import Optional, Sequence

import numpy as np

from protocol.seeds import pick
from protocol.skills.scene import ROOM_SIZE
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

ELSEWHERE = 0.05  # largest fraction of the pixels that may show other rooms
_STEP_M = 0.25  # between points of an outline; a point is shown if a visible surface is this near on the floor plan
_FINE_M = 0.05  # surface points within one square of this side count once
_STRIDE = 2  # every second pixel of every second row is read
_INWARD_M = 0.05  # surface points move this far towards the camera, so that a wall counts for the room it is seen from
_SETS_TRIED = 30
_ONE_ROOM = (
    "How large is the room in square meters?",
    "How many square meters does the room measure?",
    "In square meters, how large is the room?",
    "What is the size of the room in square meters?",
    "What is the floor area of the room?",
    "What is the area of the floor of the room in square meters?",
    "How large is the room that the images show?",
    "What is the floor area of the room that the images show?",
    "Estimate the floor area of the room.",
)
_TWO_ROOMS = (
    "How large are the two rooms together, in square meters?",
    "How many square meters do the two rooms measure together?",
    "In square meters, how large are the two rooms together?",
    "What is the total size of the two rooms in square meters?",
    "What is the total floor area of the two rooms?",
    "What is the total area of the floors of the two rooms in square meters?",
    "How large are the two rooms that the images show, taken together?",
    "What is the total floor area of the two rooms that the images show?",
    "Estimate the total floor area of the two rooms.",
)


class RoomSize:
    """The floor area of the rooms that the cameras are in."""

    skill = ROOM_SIZE
    views = 2

    def target(
        self, description: SceneDescription, level: int, rng: np.random.Generator, previous: Optional[Target] = None
    ) -> Target:
        """Draw one room or two adjacent ones; `focus` holds their ids."""
        need_rooms(description, self.skill.name)
        first = pick(description.rooms, rng)
        beside = [ids for door in description.openings if len(ids := door.room_ids) == 2 and first.id in ids]
        several = (
            self.skill.levels[level].several_rooms and bool(beside) and (previous is None or previous.form == "rooms")
        )
        if several and (previous is not None or rng.integers(2)):
            return Target(key="", focus=pick(beside, rng), form="rooms")
        return Target(key="", focus=(first.id,), form="room" if previous is None else previous.form)

    def poses(
        self, scene: Scene, spec: TaskSpec, target: Target, rng: np.random.Generator, findings: Findings
    ) -> Optional[tuple[Pose, ...]]:
        shots = shoot(scene, spec.camera, rng)
        rooms = [room_at(scene.description, pose.position_m) for pose in shots.poses]
        among = [index for index, room in enumerate(rooms) if room is not None and room.id in target.focus]
        most = min(spec.max_views, self.skill.levels[spec.question.level].images)
        return first_fitting(self, spec, target, shots, drawn_sets(among, most, _SETS_TRIED, rng), findings)

    def judge(self, evidence: Evidence, level: int, findings: Findings) -> None:
        asked = self.skill.levels[level]
        rooms = {
            room.id: room for view in evidence.views if (room := room_at(evidence.description, view.pose.position_m))
        }
        if not rooms or len(rooms) > 1 + asked.several_rooms:
            findings.reject("the cameras are in no room or in too many")
            return
        points = np.concatenate([_surface(view) for view in evidence.views])
        in_room = {room.id: inside_polygon(points, room.polygon_xz_m) for room in evidence.description.rooms}
        shown = min(outline_shown(room, points[in_room[room.id]]) for room in rooms.values())
        elsewhere = sum(float(inside.mean()) for key, inside in in_room.items() if key not in rooms)
        least, most = asked.walls_least, asked.walls_most
        if not least <= shown <= most:
            findings.reject(f"the images do not show {least:.0%} to {most:.0%} of the walls of a room")
        elif elsewhere > ELSEWHERE:
            findings.reject(f"more than {ELSEWHERE:.0%} of the pixels show other rooms")
        elif not joined(evidence.description, evidence.views):
            findings.reject(NOT_JOINED)
        else:
            findings.accept("", (), shown - least, "room" if len(rooms) == 1 else "rooms")

    def draft(self, _evidence: Evidence, candidate: Candidate, _level: int, _rng: np.random.Generator) -> Draft:
        one = candidate.form == "room"
        return Draft(
            program="round(area_shown(), 1)",
            templates=_ONE_ROOM if one else _TWO_ROOMS,
            slots={},
            unit="square meters",
            show_options=False,
            rule="The answer is the floor area inside the walls in square meters, including the floor under furniture.",
        )


def _surface(view: ViewEvidence) -> Array:
    """Floor-plan points [N, 2] of every _STRIDE-th pixel that shows a surface, _INWARD_M in front of it."""
    height, width = view.depth_m.shape
    seen = np.zeros((height, width), bool)
    seen[::_STRIDE, ::_STRIDE] = view.depth_m[::_STRIDE, ::_STRIDE] > 0
    points = unproject(view.pose, view.camera, view.depth_m)[seen.ravel()]
    towards = np.asarray(view.pose.position_m) - points
    points += _INWARD_M * towards / np.maximum(np.linalg.norm(towards, axis=1, keepdims=True), 1e-9)
    return points[:, [0, 2]]


def outline_shown(room: Room, points_xz_m: Array) -> float:
    """Fraction of the room's outline, in steps of _STEP_M, that is near a point [N, 2] of visible surface."""
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


FAMILIES = (RoomSize(),)
