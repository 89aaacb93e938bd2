"""Functions about places: sequences of names, maps, points in the image of a view, free floor and occlusion."""

from __future__ import annotations

import math

import numpy as np

from protocol.tasks.scene import Camera, Pose, Room, SceneObject
from sim_server.questions.evidence import Evidence, ViewEvidence, name_of, room_at
from sim_server.questions.floor import gap, square_is_free
from sim_server.questions.geometry import project, surface_points, yaw_rad
from sim_server.questions.language.functions.registry import (
    BOOL,
    MAP,
    NUMBER,
    OBJECT,
    OBJECTS,
    POSE,
    SEQUENCE,
    TEXT,
    VECTOR,
    VIEW,
    Fault,
    Vector,
    define,
    define_on_evidence,
)

MAP_CELLS = 10  # columns and rows of a map, as in the cognitive maps of VSI-Bench
_LEAST_DEPTH_M = 0.05


@define(SEQUENCE, cost=40, items=OBJECTS)
def names(items: list[SceneObject]) -> list[str]:
    """The names of the objects, in the order of the list."""
    return [name_of(item) for item in items]


@define_on_evidence(MAP, cost=800, items=OBJECTS)
def room_map(evidence: Evidence, items: list[SceneObject]) -> dict[str, list[int]]:
    """Column and row, 0..9, of each object on the smallest square map around the room of the first camera.

    Columns count along world +x, rows along +z. An object outside the map gets the nearest cell.
    """
    room = room_at(evidence.description, evidence.views[0].pose.position_m) if evidence.views else None
    if room is None:
        raise Fault("the first camera is in no room of the scene")
    cells: dict[str, list[int]] = {}
    for item in items:
        column, row = (min(max(math.floor(value), 0), MAP_CELLS - 1) for value in on_map(room, item.box.centre_m))
        cells[name_of(item)] = [column, row]
    if len(cells) < len(items):
        raise Fault("two objects of the map have the same name")
    return cells


def on_map(room: Room, point: Vector) -> tuple[float, float]:
    """Position of a point on the smallest square map around a room: columns along +x, rows along +z, from 0."""
    xs, zs = zip(*room.polygon_xz_m)
    side_m = max(max(xs) - min(xs), max(zs) - min(zs))
    column = ((point[0] - (min(xs) + max(xs)) / 2) / side_m + 0.5) * MAP_CELLS
    row = ((point[2] - (min(zs) + max(zs)) / 2) / side_m + 0.5) * MAP_CELLS
    return column, row


def spot(pose: Pose, camera: Camera, point: Vector) -> tuple[float, float]:
    """Image position of a point for a camera at this pose, 0..1 from the left and from the top."""
    u, v, z = (float(value[0]) for value in project(pose, camera, np.array([point])))
    if z < _LEAST_DEPTH_M:
        raise Fault("the point is not in front of the camera")
    return u, v


def heading_in(pose: Pose, camera: Camera, other: Pose) -> float:
    """The heading of the `other` pose in the image of a camera at this pose; see `picture_heading`."""
    x, y, z = other.position_m
    yaw, step_m = yaw_rad(other), 0.1
    here, ahead = (
        spot(pose, camera, (x - step * math.sin(yaw), y, z - step * math.cos(yaw))) for step in (-step_m, step_m)
    )
    return math.atan2((here[0] - ahead[0]) * camera.width_px, (here[1] - ahead[1]) * camera.height_px)


@define(NUMBER, cost=15, view=VIEW, point=VECTOR)
def picture_x(view: ViewEvidence, point: Vector) -> float:
    """Column of a world point in the view's image, 0..1 from the left, ignoring occlusion."""
    return spot(view.pose, view.camera, point)[0]


@define(NUMBER, cost=15, view=VIEW, point=VECTOR)
def picture_y(view: ViewEvidence, point: Vector) -> float:
    """Row of a world point in the view's image, 0..1 from the top, ignoring occlusion."""
    return spot(view.pose, view.camera, point)[1]


@define(NUMBER, cost=30, view=VIEW, pose=POSE)
def picture_heading(view: ViewEvidence, pose: Pose) -> float:
    """Heading of the pose in the view's image, in radians from the top of the image, left positive."""
    return heading_in(view.pose, view.camera, pose)


@define(TEXT, angle=NUMBER)
def picture_way(angle: float) -> str:
    """ "up", "down", "left" or "right" in an image, for an angle from its top, left positive."""
    if abs(angle) <= math.pi / 4:
        return "up"
    if abs(angle) >= 3 * math.pi / 4:
        return "down"
    return "left" if angle > 0 else "right"


@define(VECTOR, cost=2, o=OBJECT, view=VIEW)
def surface_middle(o: SceneObject, view: ViewEvidence) -> Vector:
    """Mean of the object's world points that are visible in the view, metres."""
    if o.id not in view.seen:
        raise Fault(f"object {o.id} is not visible in this view")
    return view.surface_m(o.id)


@define(NUMBER, a=VECTOR, b=VECTOR)
def distance(a: Vector, b: Vector) -> float:
    """Metres between two points."""
    return math.dist(a, b)


@define(NUMBER, cost=80, o=OBJECT, by=OBJECT, view=VIEW)
def hidden_by(o: SceneObject, by: SceneObject, view: ViewEvidence) -> float:
    """Fraction of an object's box inside the image that another object hides in this view.

    Counts points on the sides of the box that face the camera whose pixels show the other object nearer.
    """
    points = surface_points(o.box, view.pose.position_m)
    u, v, depth_m = project(view.pose, view.camera, points)
    inside = (depth_m > _LEAST_DEPTH_M) & (u > 0) & (u < 1) & (v > 0) & (v < 1)
    if not inside.any():
        return 0.0
    height, width = view.ids.shape
    rows, columns = (v[inside] * height).astype(int), (u[inside] * width).astype(int)
    hidden = (view.ids[rows, columns] == by.id) & (view.depth_m[rows, columns] < depth_m[inside])
    return float(hidden.mean())


@define_on_evidence(BOOL, cost=12_000, a=OBJECT, b=OBJECT, side=NUMBER)
def fits_between(evidence: Evidence, a: SceneObject, b: SceneObject, side: float) -> bool:
    """Whether a square of this side (m) is free midway between the closest floor points of two objects.

    One side is along the line between those points; the square is inside a room and no object occupies it.
    """
    if not 0 < side <= 20:
        raise Fault("the side of a square must be in 0..20 m")
    between = gap(a.box, b.box)
    if between is None:
        return False
    return square_is_free(evidence.description, between, side)
