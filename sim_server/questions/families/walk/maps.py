"""Maps: cognitive_map (objects on a grid over the room) and cross_view (where on a view from above a camera stands)."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Optional

import numpy as np

from protocol.errors import Infeasible
from protocol.seeds import pick
from protocol.tasks.scene import Camera, Pose, Room, SceneDescription, SceneObject, Vec3
from protocol.tasks.task import TaskSpec
from sim_server.backends.base import Scene
from sim_server.questions.evidence import Evidence, room_at
from sim_server.questions.families.rules import (
    RELATE,
    Clarity,
    clear_in_both,
    draw_objects,
    is_small,
    need_rooms,
    prominent_anywhere,
    uniquely_named,
)
from sim_server.questions.families.single.perceive import CELLS
from sim_server.questions.families.walk.trajectory import listed
from sim_server.questions.family import Candidate, Draft, Findings, Target, draw_key, name_slots, object_list, shuffled
from sim_server.questions.geometry import inside_polygon, pose_from_yaw_pitch
from sim_server.questions.language.functions.places import heading_in, on_map, picture_way, spot
from sim_server.questions.language.functions.words import grid_cell
from sim_server.questions.staging import Staging
from sim_server.questions.views.viewpoints import draw_populated_pose, focus_of
from sim_server.questions.views.walks import survey

PLACED = (2, 3, 3, 4, 5)  # objects to place on the map
EDGE = 0.02  # of a cell of the map: no middle of an object lies so near to the next cell
APART_M = (1.5, 1.2, 0.8, 0.6, 0.4)  # at least, between the middles of any two of them

IN_NO_ROOM = "the camera stands in no room"

FORM = ("half", "heading", "heading", "cell", "cell")
HALF_MARGIN = 0.12  # of the picture's width, from its middle
HEADING_MARGIN_DEG = (0.0, 30.0, 15.0)  # from the border between two ways
CELL_MARGIN = (0.0, 0.0, 0.0, 0.06, 0.03)  # of the picture, from a cell's border
SHARED_ABOVE = 2  # objects that both the view from above and the other show clearly
FROM_ABOVE = Clarity(0.50, 0.002)  # things are small on a view of the whole room
_ROOM_SHARE = 0.85  # of the picture from above that the room fills
_FREE_YAW_FROM_LEVEL = 2  # from here on the map may be turned by any angle, before by quarter turns
_DRAWS = 6
WORDS = {"half": ("left", "right"), "heading": ("up", "down", "left", "right"), "cell": CELLS}


class CognitiveMap:
    """The cells of objects on a 10 x 10 map of their room; scored up to a turn of the map."""

    name = "cognitive_map"
    views = 1
    looks_around = True

    def plan(
        self, description: SceneDescription, level: int, rng: np.random.Generator, _kept: Optional[Target] = None
    ) -> Target:
        need_rooms(description, self.name)
        by_room: dict[int, list[SceneObject]] = {}
        for item in uniquely_named(description):
            if not is_small(item):
                by_room.setdefault(item.room_id, []).append(item)
        most = max(map(len, by_room.values()), default=0)
        if most < PLACED[level]:
            raise Infeasible(f"{self.name}: no room has {PLACED[level]} things with names of their own, {most} at most")
        rooms = [items for items in by_room.values() if len(items) >= PLACED[level]]
        items = pick(rooms, rng)
        return Target(key="", focus=draw_objects(items, PLACED[level], rng, self.name))

    def poses(
        self, scene: Scene, spec: TaskSpec, plan: Target, rng: np.random.Generator, found: Findings
    ) -> Optional[Staging]:
        return survey(self, scene, spec, plan, rng, found)

    def propose(self, world: Evidence, level: int, found: Findings) -> None:
        room = room_at(world.description, world.views[0].pose.position_m)
        clear = prominent_anywhere(world.with_hidden(), found)
        centres = {key: world.objects[key].box.centre_m for key in world.about}
        apart_m = min(math.dist(a[::2], b[::2]) for a, b in combinations(centres.values(), 2))
        if any(key not in clear for key in centres):
            found.refuse("an object of the map is not shown clearly")
        elif apart_m < APART_M[level]:
            found.refuse(f"two objects stand within {APART_M[level]} m of each other")
        elif room is None:
            found.refuse(IN_NO_ROOM)
        elif not inside_polygon(np.array([c[::2] for c in centres.values()]), room.polygon_xz_m).all():
            found.refuse("an object stands in another room than the camera")
        elif min(_edge(room, centre) for centre in centres.values()) < EDGE:
            found.refuse("an object stands on the border of two cells of the map")
        else:
            found.accept("", world.about, apart_m)

    def draft(self, world: Evidence, candidate: Candidate, rng: np.random.Generator) -> Draft:
        keys = shuffled(candidate.objects, rng)
        things = listed(len(keys))
        grid = "a map of the room from above with 10 columns and 10 rows"
        return Draft(
            program=f"room_map([{object_list(keys)}])",
            templates=(
                f"on {grid} , which column and which row are these in : {things} ?",
                f"there is {grid} . in which column and which row is each of these : {things} ?",
                f"see the room as {grid} . where on it are {things} ?",
                f"where are {things} on {grid} ?",
                f"for each of these , what is its column and its row on {grid} : {things} ?",
            ),
            slots=name_slots(world, keys),
        )


def _edge(room: Room, centre_m: Vec3) -> float:
    """How far a place is from the nearest border of its cell on the map of the room, in cells."""
    return min(abs(value - round(value)) for value in on_map(room, centre_m))


class CrossView:
    """The first picture shows a room from above: where in it is the camera of the second, which way does it look."""

    name = "cross_view"
    views = 2

    def plan(
        self, description: SceneDescription, level: int, rng: np.random.Generator, kept: Optional[Target] = None
    ) -> Target:
        need_rooms(description, self.name)
        words = WORDS[FORM[level]]
        key = draw_key(words, rng, kept)
        return Target(key=key, focus=draw_objects(description.objects, SHARED_ABOVE, rng, self.name), form=FORM[level])

    def poses(
        self, scene: Scene, spec: TaskSpec, plan: Target, rng: np.random.Generator, found: Findings
    ) -> Optional[tuple[Pose, ...]]:
        level = spec.question.level
        for _ in range(_DRAWS):
            at = (float(rng.uniform(0.3, 0.7)), 0.5)
            pose = draw_populated_pose(scene, spec.camera, focus_of(scene, plan.focus), rng, at)
            if pose is None:
                continue
            room = room_at(scene.description, pose.position_m)
            if room is None:
                continue
            # Of the ways to hold the map, one that gives the plan's answer.
            quarters = rng.permutation(4) * (math.pi / 2)
            stray = float(rng.uniform(-math.pi / 4, math.pi / 4)) if level >= _FREE_YAW_FROM_LEVEL else 0.0
            for yaw in quarters + stray:
                above = pose_above(room, spec.camera, float(yaw))
                word, margin, least = above_answer(above, spec.camera, pose, room.floor_y_m, level)
                if word == plan.key and margin >= least:
                    return (above, pose)
        found.refuse("no standing point gives the drawn answer")
        return None

    def propose(self, world: Evidence, level: int, found: Findings) -> None:
        above, view = world.views[:2]
        room = room_at(world.description, view.pose.position_m)
        if room is None:
            found.refuse(IN_NO_ROOM)
            return
        word, margin, least = above_answer(above.pose, above.camera, view.pose, room.floor_y_m, level)
        shared = [key for key in clear_in_both(above, view, FROM_ABOVE) if RELATE.holds(key, view)]
        if len(shared) < SHARED_ABOVE:
            found.refuse(f"fewer than {SHARED_ABOVE} objects are seen clearly from above and from the camera")
        elif margin < least:
            found.refuse("the camera's place or heading is near the border between two answers")
        else:
            found.accept(word, (), margin, FORM[level])

    def draft(self, _world: Evidence, candidate: Candidate, rng: np.random.Generator) -> Draft:
        place = "picture_x(view(0), position(view(1)))"
        if candidate.form == "half":
            program = f'if {place} < 0.5 then "left" else "right"'
            asked = ("on which side of the first picture", "is the camera of the second picture")
        elif candidate.form == "heading":
            program = "picture_way(picture_heading(view(0), camera(view(1))))"
            asked = ("which way in the first picture", "does the camera of the second picture look")
        else:
            program = f"grid_cell({place}, picture_y(view(0), position(view(1))))"
            asked = ("in which part of the first picture", "is the camera of the second picture")
        where, what = asked
        words = WORDS[candidate.form]
        told = "the first picture shows the room from above"
        return Draft(
            program=program,
            templates=(
                f"{told} . {where} {what} ?",
                f"{told} , the second from inside . {where} {what} ?",
                f"{where} , which shows the room from above , {what} ?",
                f"you see the room from above in the first picture . {where} {what} ?",
                f"from above the room is as in the first picture . {where} {what} ?",
            ),
            slots={},
            options=shuffled(words, rng),
        )


def pose_above(room: Room, camera: Camera, yaw_rad: float) -> Pose:
    """The camera that looks straight down on the middle of a room, all of whose floor is in the picture; a yaw of 0
    has -z at the picture's top."""
    corners = np.array(room.polygon_xz_m)
    x, z = ((corners.min(0) + corners.max(0)) / 2).tolist()
    right = np.array([math.cos(yaw_rad), -math.sin(yaw_rad)])
    up = np.array([-math.sin(yaw_rad), -math.cos(yaw_rad)])
    offsets = corners - (x, z)
    half_tan = math.tan(camera.hfov_rad / 2) * _ROOM_SHARE
    height_m = max(
        float(np.abs(offsets @ right).max()) / half_tan,
        float(np.abs(offsets @ up).max()) / (half_tan * camera.height_px / camera.width_px),
    )
    return pose_from_yaw_pitch((x, room.floor_y_m + height_m, z), yaw_rad, -math.pi / 2)


def above_answer(above: Pose, camera: Camera, pose: Pose, floor_y_m: float, level: int) -> tuple[str, float, float]:
    """The answer for a camera at `pose` over this floor seen from above, its distance from the nearest border, and the
    least one that is asked."""
    if FORM[level] == "heading":
        angle = heading_in(above, camera, pose)
        border_deg = abs(math.degrees(angle)) % 90
        return picture_way(angle), abs(border_deg - 45), HEADING_MARGIN_DEG[level]
    # From above a raised camera lies farther out than the floor that it stands over: both must have the answer.
    x, y, z = pose.position_m
    spots = [spot(above, camera, point) for point in ((x, y, z), (x, floor_y_m, z))]
    half = FORM[level] == "half"
    words = [("left" if u < 0.5 else "right") if half else grid_cell(u, v) for u, v in spots]
    if words[0] != words[1]:
        return words[0], 0.0, math.inf
    if half:
        return words[0], min(abs(u - 0.5) for u, _ in spots), HALF_MARGIN
    margin = min(abs(value - border) for at in spots for value in at for border in (1 / 3, 2 / 3))
    return words[0], margin, CELL_MARGIN[level]
