"""Seen in the first picture, placed from the second camera: object_from_camera and region_from_camera (its room)."""

from __future__ import annotations

import math
from typing import Optional

import numpy as np
from numpy.typing import NDArray

from protocol.errors import Infeasible
from protocol.tasks.scene import Pose, Room, SceneDescription
from protocol.tasks.task import TaskSpec
from sim_server.backends.base import Scene
from sim_server.questions.evidence import EVIDENCE_SENSORS, Evidence, ViewEvidence, room_at, unique_names
from sim_server.questions.families import sectors
from sim_server.questions.families.pair.cameras import NO_SECOND
from sim_server.questions.families.rules import (
    AMBIGUOUS,
    RELATE,
    SHARED_OBJECTS,
    TOO_LITTLE_SHARED,
    clear_in_both,
    clear_objects,
    draw_objects,
    prominent,
    uniquely_named,
)
from sim_server.questions.family import Candidate, Draft, Findings, Target, draw_key, name_slots, shuffled
from sim_server.questions.geometry import (
    Array,
    bearing_of_rad,
    floor_distance_m,
    inside_polygon,
    polygon_centre,
    yaw_rad,
)
from sim_server.questions.language.functions.views import bearing
from sim_server.questions.views.coverage import draw_poses_around
from sim_server.questions.views.viewpoints import draw_focused_pose, draw_pose, focus_of, probe

OBJECT_FORM = ("side", "side", "side_or_behind", "side_or_behind", "quadrant")
OBJECT_MARGIN_DEG = (40.0, 20.0, 20.0, 10.0, 10.0)
REGION_FORM = ("side", "side", "quadrant", "quadrant", "quadrant")
REGION_MARGIN_DEG = (40.0, 20.0, 25.0, 15.0, 8.0)
REGION_SHARED = 1  # objects that both pictures clearly show; walls and the door join them too
REGION_SHARE = 0.8  # of the room's floor that lies in the sector of its middle
_FLOOR_STEP_M = 0.25
_SECONDS = 12  # draws of a second standing point per first one
_ROUNDS = 3  # of draw_poses_around


class ObjectFromCamera:
    """Where an object of the first picture is from the second camera, whose picture does not show it."""

    name = "object_from_camera"
    views = 2

    def plan(
        self, description: SceneDescription, level: int, rng: np.random.Generator, kept: Optional[Target] = None
    ) -> Target:
        form = OBJECT_FORM[level]
        words = sectors.WORDS[form]
        key = draw_key(words, rng, kept)
        focus = draw_objects(uniquely_named(description), 1 + SHARED_OBJECTS, rng, self.name)
        return Target(key=key, focus=focus, form=form)

    def poses(
        self, scene: Scene, spec: TaskSpec, plan: Target, rng: np.random.Generator, found: Findings
    ) -> Optional[tuple[Pose, ...]]:
        first = draw_focused_pose(scene, spec.camera, plan, rng, found)
        if first is None:
            return None
        target = np.asarray([focus_of(scene, plan.focus)[0].box.centre_m])
        least_deg = OBJECT_MARGIN_DEG[spec.question.level]

        def fits(eyes: Array, yaws: Array) -> NDArray[np.bool_]:
            angles = _bearings(eyes, yaws, target)
            apart = np.hypot(*(eyes - target)[:, [0, 2]].T) >= sectors.LEAST_APART_M
            beside = np.abs(angles) > spec.camera.hfov_rad / 2  # out of the second picture
            return apart & beside & sectors.inside(plan.form, plan.key, angles, least_deg)

        for _ in range(_SECONDS):
            second = draw_pose(scene, spec.camera, focus_of(scene, plan.focus[1:]), rng, fits=fits)
            if second is not None:
                return (first, second)
        found.refuse(NO_SECOND)
        return None

    def propose(self, world: Evidence, level: int, found: Findings) -> None:
        first, second = world.views[:2]
        form, least_deg = OBJECT_FORM[level], OBJECT_MARGIN_DEG[level]
        if len(clear_in_both(first, second)) < SHARED_OBJECTS:
            found.refuse(TOO_LITTLE_SHARED)
            return
        names = unique_names(world)
        for key in prominent(world, first, found):
            centre = world.objects[key].box.centre_m
            angle_deg = math.degrees(bearing(second, centre))
            margin = sectors.margin_deg(form, angle_deg)
            if key not in names:
                found.refuse(AMBIGUOUS)
            elif key in second.seen:
                found.refuse("the second picture shows the object too")
            elif floor_distance_m(second.pose.position_m, centre) < sectors.LEAST_APART_M:
                found.refuse(sectors.TOO_CLOSE)
            elif margin < least_deg:
                found.refuse(sectors.near_border(least_deg))
            else:
                found.accept(sectors.word(form, angle_deg), (key,), margin, form)

    def draft(self, world: Evidence, candidate: Candidate, rng: np.random.Generator) -> Draft:
        (a,) = candidate.objects
        return Draft(
            program=f"{candidate.form}(bearing(view(1), to=centre(object({a}))))",
            templates=(
                "where is the {a} from the second camera ?",
                "from the second camera , where is the {a} ?",
                "the first picture shows the {a} . where is it from the second camera ?",
                "you are at the second camera and look the way it does . where is the {a} ?",
                "where is the {a} from the camera of the second picture ?",
            ),
            slots=name_slots(world, (a,)),
            options=shuffled(sectors.WORDS[candidate.form], rng),
        )


class RegionFromCamera:
    """Where the room with an object of the first picture is from the second camera, which stands in another room."""

    name = "region_from_camera"
    views = 2

    def plan(
        self, description: SceneDescription, level: int, rng: np.random.Generator, kept: Optional[Target] = None
    ) -> Target:
        rooms = {room.id for room in description.rooms}
        if len(rooms) < 2:
            raise Infeasible(f"{self.name} needs a scene of two rooms or more: raise the scene's rooms")
        form = REGION_FORM[level]
        words = sectors.WORDS[form]
        key = draw_key(words, rng, kept)
        return Target(key=key, focus=(), form=form)

    def poses(
        self, scene: Scene, spec: TaskSpec, plan: Target, rng: np.random.Generator, found: Findings
    ) -> Optional[tuple[Pose, ...]]:
        """Two of many places all around that show what the plan wants: doors are narrow, so many are tried."""
        level = spec.question.level
        poses = [pose for _ in range(_ROUNDS) for pose in draw_poses_around(scene, rng)]
        views = Evidence.of(scene.description, scene.render(poses, probe(spec.camera), EVIDENCE_SENSORS)).views
        order = rng.permutation(len(poses)).tolist()
        for second in order:
            outside = room_at(scene.description, poses[second].position_m)
            for key, room in _rooms_of(scene.description):
                if outside is None or room.id == outside.id or key in views[second].seen:
                    continue
                if _sector(views[second], room, REGION_FORM[level], REGION_MARGIN_DEG[level])[0] != plan.key:
                    continue
                for first in order:
                    if RELATE.holds(key, views[first]) and clear_in_both(views[first], views[second]):
                        return (poses[first], poses[second])
        found.refuse("no two places look from one room into another and share an object")
        return None

    def propose(self, world: Evidence, level: int, found: Findings) -> None:
        first, second = world.views[:2]
        form, least_deg = REGION_FORM[level], REGION_MARGIN_DEG[level]
        if len(clear_in_both(first, second)) < REGION_SHARED:
            found.refuse("the two pictures clearly share no object")
            return
        names, rooms = unique_names(world), dict(_rooms_of(world.description))
        standing = room_at(world.description, second.pose.position_m)
        for key in clear_objects(world, first, RELATE, found):
            room = rooms.get(key)
            if key not in names:
                found.refuse(AMBIGUOUS)
            elif room is None or standing is None or standing.id == room.id:
                found.refuse("the second camera does not stand in another room than the object")
            elif key in second.seen:
                found.refuse("the second picture shows the object too")
            else:
                word, margin, why = _sector(second, room, form, least_deg)
                if word:
                    found.accept(word, (key,), margin, form)
                else:
                    found.refuse(why)

    def draft(self, world: Evidence, candidate: Candidate, rng: np.random.Generator) -> Draft:
        (a,) = candidate.objects
        return Draft(
            program=f"{candidate.form}(bearing(view(1), to=room_centre(object({a}))))",
            templates=(
                "where is the room with the {a} from the second camera ?",
                "from the second camera , where is the room with the {a} ?",
                "the first picture shows the {a} . where is its room from the second camera ?",
                "you are at the second camera and look the way it does . where is the room with the {a} ?",
                "where is the room with the {a} from the camera of the second picture ?",
            ),
            slots=name_slots(world, (a,)),
            options=shuffled(sectors.WORDS[candidate.form], rng),
        )


def _sector(view: ViewEvidence, room: Room, form: str, least_deg: float) -> tuple[str, float, str]:
    """The word for where a room is from a camera, its margin, and why there is no word ("")."""
    angle_deg = math.degrees(bearing(view, _middle(room)))
    margin, word = sectors.margin_deg(form, angle_deg), sectors.word(form, angle_deg)
    if margin < least_deg:
        return "", margin, sectors.near_border(least_deg)
    floor = bearing_of_rad(view.pose.position_m, yaw_rad(view.pose), _floor(room))
    if float(sectors.inside(form, word, floor, 0.0).mean()) < REGION_SHARE:
        return "", margin, f"less than {REGION_SHARE:.0%} of the room lies in one sector"
    return word, margin, ""


def _rooms_of(description: SceneDescription) -> list[tuple[int, Room]]:
    """Every object that is in a known room, with its room."""
    rooms = {room.id: room for room in description.rooms}
    return [(item.id, rooms[item.room_id]) for item in description.objects if item.room_id in rooms]


def _bearings(eyes: Array, yaws: Array, point_m: Array) -> Array:
    """Where one point [1, 3] is from each of the cameras at eyes [P, 3] with these yaws, radians [P]."""
    angles = np.arctan2(eyes[:, 0] - point_m[0, 0], eyes[:, 2] - point_m[0, 2]) - yaws
    return np.arctan2(np.sin(angles), np.cos(angles))


def _middle(room: Room) -> tuple[float, float, float]:
    x, z = polygon_centre(room.polygon_xz_m)
    return (x, room.floor_y_m, z)


def _floor(room: Room) -> Array:
    """Points of the room's floor on a grid of _FLOOR_STEP_M, [N, 3]."""
    xs, zs = zip(*room.polygon_xz_m)
    across = np.arange(min(xs) + _FLOOR_STEP_M / 2, max(xs), _FLOOR_STEP_M)
    along = np.arange(min(zs) + _FLOOR_STEP_M / 2, max(zs), _FLOOR_STEP_M)
    points = np.array([(x, room.floor_y_m, z) for x in across.tolist() for z in along.tolist()])
    return points[inside_polygon(points[:, [0, 2]], room.polygon_xz_m)]
