"""An object of the first image, or its room, from the second camera: object_from_camera and region_from_camera."""

from __future__ import annotations

import math
from typing import Optional

import numpy as np
from numpy.typing import NDArray

from protocol.errors import Infeasible
from protocol.skills.levels import SECTORS
from protocol.skills.pair import OBJECT_FROM_CAMERA, REGION_FROM_CAMERA
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
    share_enough,
    shows,
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

LOOKS_2 = "the direction in which the camera of Image 2 looks"
OF_THE_CENTER = "The direction is measured on the floor plan, to the center of the object."
OF_THE_ROOM = "The direction is measured on the floor plan, to the center of the room."
REGION_SHARED = 1  # objects that both images clearly show; the walls and the door relate them too
REGION_FRACTION = 0.8  # least fraction of the room's floor that is in the sector of its centre
SECOND_SHOWS = "the second image shows the object too"
_FLOOR_STEP_M = 0.25
_SECONDS = 12  # draws of a second standing point for each first one
_ROUNDS = 3  # calls of draw_poses_around


class ObjectFromCamera:
    """Where an object of the first image is from the second camera, whose image does not show it."""

    skill = OBJECT_FROM_CAMERA
    views = 2

    def target(
        self, description: SceneDescription, level: int, rng: np.random.Generator, previous: Optional[Target] = None
    ) -> Target:
        form = self.skill.levels[level].sectors
        key = draw_key(SECTORS[form], rng, previous)
        focus = draw_objects(uniquely_named(description), 1 + SHARED_OBJECTS, rng, self.skill.name)
        return Target(key=key, focus=focus, form=form)

    def poses(
        self, scene: Scene, spec: TaskSpec, target: Target, rng: np.random.Generator, findings: Findings
    ) -> Optional[tuple[Pose, ...]]:
        first = draw_focused_pose(scene, spec.camera, target, rng, findings)
        if first is None:
            return None
        point = np.asarray([focus_of(scene, target.focus)[0].box.centre_m])
        least_deg = self.skill.levels[spec.question.level].margin_deg

        def fits(eyes: Array, yaws: Array) -> NDArray[np.bool_]:
            angles = _bearings(eyes, yaws, point)
            apart = np.hypot(*(eyes - point)[:, [0, 2]].T) >= sectors.LEAST_APART_M
            beside = np.abs(angles) > spec.camera.hfov_rad / 2  # outside the second image
            return apart & beside & sectors.inside(target.form, target.key, angles, least_deg)

        for _ in range(_SECONDS):
            second = draw_pose(scene, spec.camera, focus_of(scene, target.focus[1:]), rng, fits=fits)
            if second is not None:
                return (first, second)
        findings.reject(NO_SECOND)
        return None

    def judge(self, evidence: Evidence, level: int, findings: Findings) -> None:
        first, second = evidence.views[:2]
        form, least_deg = self.skill.levels[level].sectors, self.skill.levels[level].margin_deg
        if not share_enough(first, second):
            findings.reject(TOO_LITTLE_SHARED)
            return
        names = unique_names(evidence)
        for key in prominent(evidence, first, findings):
            centre = evidence.objects[key].box.centre_m
            angle_deg = math.degrees(bearing(second, centre))
            margin = sectors.margin_deg(form, angle_deg)
            if key not in names:
                findings.reject(AMBIGUOUS)
            elif key in second.seen:
                findings.reject(SECOND_SHOWS)
            elif floor_distance_m(second.pose.position_m, centre) < sectors.LEAST_APART_M:
                findings.reject(sectors.TOO_CLOSE)
            elif margin < least_deg:
                findings.reject(sectors.near_border(least_deg))
            else:
                findings.accept(sectors.word(form, angle_deg), (key,), margin, form)

    def draft(self, evidence: Evidence, candidate: Candidate, _level: int, rng: np.random.Generator) -> Draft:
        (a,) = candidate.objects
        return Draft(
            program=f"{candidate.form}(bearing(view(1), to=centre(object({a}))))",
            templates=(
                "Image 1 shows the {a}. Where is it relative to the camera of Image 2?",
                "Relative to the camera of Image 2, where is the {a} that Image 1 shows?",
                "Where is the {a} of Image 1 relative to the camera of Image 2?",
                "Find the {a} in Image 1. Where is it from the camera of Image 2?",
                "You stand where Image 2 was taken and look the same way. Where is the {a} of Image 1?",
                "You are at the camera of Image 2, looking the way it does. Where is the {a} of Image 1?",
                "Image 2 is your view. Where is the {a} that Image 1 shows?",
                "The {a} is visible in Image 1. Where is it when you look from the camera of Image 2?",
            ),
            slots=name_slots(evidence, (a,)),
            options=shuffled(SECTORS[candidate.form], rng),
            rule=f"{sectors.meaning(candidate.form, LOOKS_2)} {OF_THE_CENTER}",
        )


class RegionFromCamera:
    """Where the room of an object of the first image is from the second camera, which is in another room."""

    skill = REGION_FROM_CAMERA
    views = 2

    def target(
        self, description: SceneDescription, level: int, rng: np.random.Generator, previous: Optional[Target] = None
    ) -> Target:
        rooms = {room.id for room in description.rooms}
        if len(rooms) < 2:
            raise Infeasible(f"{self.skill.name} needs a scene of two rooms or more: increase the scene's rooms")
        form = self.skill.levels[level].sectors
        key = draw_key(SECTORS[form], rng, previous)
        return Target(key=key, focus=(), form=form)

    def poses(
        self, scene: Scene, spec: TaskSpec, target: Target, rng: np.random.Generator, findings: Findings
    ) -> Optional[tuple[Pose, ...]]:
        """Two of many places that give the target's answer; doors are narrow, so many places are tried."""
        asked = self.skill.levels[spec.question.level]
        poses = [pose for _ in range(_ROUNDS) for pose in draw_poses_around(scene, spec.camera, rng)]
        views = Evidence.of(scene.description, scene.render(poses, probe(spec.camera), EVIDENCE_SENSORS)).views
        order = rng.permutation(len(poses)).tolist()
        for second in order:
            outside = room_at(scene.description, poses[second].position_m)
            for key, room in _rooms_of(scene.description):
                if outside is None or room.id == outside.id or key in views[second].seen:
                    continue
                if _sector(views[second], room, asked.sectors, asked.margin_deg)[0] != target.key:
                    continue
                for first in order:
                    if shows(views[first], key, RELATE) and clear_in_both(views[first], views[second]):
                        return (poses[first], poses[second])
        findings.reject("no two places look from one room into another and share an object")
        return None

    def judge(self, evidence: Evidence, level: int, findings: Findings) -> None:
        first, second = evidence.views[:2]
        form, least_deg = self.skill.levels[level].sectors, self.skill.levels[level].margin_deg
        if len(clear_in_both(first, second)) < REGION_SHARED:
            findings.reject("the two images clearly share no object")
            return
        names, rooms = unique_names(evidence), dict(_rooms_of(evidence.description))
        standing = room_at(evidence.description, second.pose.position_m)
        for key in clear_objects(evidence, first, RELATE, findings):
            room = rooms.get(key)
            if key not in names:
                findings.reject(AMBIGUOUS)
            elif room is None or standing is None or standing.id == room.id:
                findings.reject("the second camera is not in another room than the object")
            elif key in second.seen:
                findings.reject(SECOND_SHOWS)
            else:
                word, margin, why = _sector(second, room, form, least_deg)
                if word:
                    findings.accept(word, (key,), margin, form)
                else:
                    findings.reject(why)

    def draft(self, evidence: Evidence, candidate: Candidate, _level: int, rng: np.random.Generator) -> Draft:
        (a,) = candidate.objects
        return Draft(
            program=f"{candidate.form}(bearing(view(1), to=room_centre(object({a}))))",
            templates=(
                "Image 1 shows the {a}. Where is its room relative to the camera of Image 2?",
                "Relative to the camera of Image 2, where is the room with the {a}?",
                "Where is the room with the {a} relative to the camera that took Image 2?",
                "Find the {a} in Image 1. Where is its room from the camera of Image 2?",
                "You stand where Image 2 was taken and look the same way. Where is the room with the {a}?",
                "You are at the camera of Image 2, looking the way it does. Where is the room with the {a}?",
                "Image 2 is your view. Where is the room with the {a}, which Image 1 shows?",
                "The {a} is visible in Image 1. Where is its room when you look from the camera of Image 2?",
            ),
            slots=name_slots(evidence, (a,)),
            options=shuffled(SECTORS[candidate.form], rng),
            rule=f"{sectors.meaning(candidate.form, LOOKS_2)} {OF_THE_ROOM}",
        )


def _sector(view: ViewEvidence, room: Room, form: str, least_deg: float) -> tuple[str, float, str]:
    """The sector of a room as seen from a camera, its margin and ""; or "", the margin and the rule that rejects it."""
    angle_deg = math.degrees(bearing(view, _centre(room)))
    margin, word = sectors.margin_deg(form, angle_deg), sectors.word(form, angle_deg)
    if margin < least_deg:
        return "", margin, sectors.near_border(least_deg)
    floor = bearing_of_rad(view.pose.position_m, yaw_rad(view.pose), _floor(room))
    if float(sectors.inside(form, word, floor, 0.0).mean()) < REGION_FRACTION:
        return "", margin, f"less than {REGION_FRACTION:.0%} of the room is in one sector"
    return word, margin, ""


def _rooms_of(description: SceneDescription) -> list[tuple[int, Room]]:
    """The id and room of every object that is in a known room."""
    rooms = {room.id: room for room in description.rooms}
    return [(item.id, rooms[item.room_id]) for item in description.objects if item.room_id in rooms]


def _bearings(eyes: Array, yaws: Array, point_m: Array) -> Array:
    """Bearings of one point [1, 3] from cameras at eyes [P, 3] with these yaws, radians [P]."""
    angles = np.arctan2(eyes[:, 0] - point_m[0, 0], eyes[:, 2] - point_m[0, 2]) - yaws
    return np.arctan2(np.sin(angles), np.cos(angles))


def _centre(room: Room) -> tuple[float, float, float]:
    x, z = polygon_centre(room.polygon_xz_m)
    return (x, room.floor_y_m, z)


def _floor(room: Room) -> Array:
    """Points of the room's floor on a grid of _FLOOR_STEP_M, [N, 3]."""
    xs, zs = zip(*room.polygon_xz_m)
    across = np.arange(min(xs) + _FLOOR_STEP_M / 2, max(xs), _FLOOR_STEP_M)
    along = np.arange(min(zs) + _FLOOR_STEP_M / 2, max(zs), _FLOOR_STEP_M)
    points = np.array([(x, room.floor_y_m, z) for x in across.tolist() for z in along.tolist()])
    return points[inside_polygon(points[:, [0, 2]], room.polygon_xz_m)]


FAMILIES = (ObjectFromCamera(), RegionFromCamera())
