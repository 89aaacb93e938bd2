"""Functions about the scene: its objects, lists of them, their properties and relations, independent of the views."""

from __future__ import annotations

from typing import Optional

from protocol.tasks.scene import SceneObject
from sim_server.questions.evidence import Evidence, name_of
from sim_server.questions.geometry import bearing_rad, box_distance_m, longest_m, polygon_centre
from sim_server.questions.language.functions.registry import (
    MAX_OBJECTS,
    NUMBER,
    OBJECT,
    OBJECTS,
    TEXT,
    VECTOR,
    Fault,
    Vector,
    define,
    define_on_evidence,
)


@define_on_evidence(OBJECT, id=NUMBER)
def _object(evidence: Evidence, id: float) -> SceneObject:
    """The object with this id."""
    found = evidence.objects.get(int(id)) if id == int(id) else None
    if found is None:
        raise Fault(f"the scene has no object {id:g}")
    return found


@define_on_evidence(OBJECTS, cost=8)
def objects(evidence: Evidence) -> list[SceneObject]:
    """Every object of the scene."""
    if len(evidence.description.objects) > MAX_OBJECTS:
        raise Fault(f"the scene has more than {MAX_OBJECTS} objects; use visible(view)")
    return list(evidence.description.objects)


@define(OBJECTS, cost=8, items=OBJECTS, category=TEXT + "?", color=TEXT + "?")
def where(items: list[SceneObject], category: Optional[str], color: Optional[str]) -> list[SceneObject]:
    """The objects of the list that have this category and this colour."""
    return [
        item
        for item in items
        if (category is None or item.category == category) and (color is None or item.color == color)
    ]


@define(NUMBER, items=OBJECTS)
def count(items: list[SceneObject]) -> float:
    """How many objects the list holds."""
    return float(len(items))


@define(TEXT, o=OBJECT)
def name(o: SceneObject) -> str:
    """The phrase that names the object: "red chair"."""
    return name_of(o)


@define(TEXT, o=OBJECT)
def category(o: SceneObject) -> str:
    """The object's category word."""
    return o.category


@define(TEXT, o=OBJECT)
def color(o: SceneObject) -> str:
    """The object's colour word, "" if it has none."""
    return o.color


@define(VECTOR, o=OBJECT)
def centre(o: SceneObject) -> Vector:
    """Centre of the object's box in the world frame, metres."""
    return o.box.centre_m


@define(NUMBER, o=OBJECT)
def longest_side(o: SceneObject) -> float:
    """Length in metres of the longest side of the object's box."""
    return longest_m(o.box)


@define(VECTOR, o=OBJECT)
def front(o: SceneObject) -> Vector:
    """Unit vector of the object's front in the world frame."""
    if o.front is None:
        raise Fault(f"object {o.id} has no front")
    return o.front


@define_on_evidence(OBJECT, o=OBJECT)
def support(evidence: Evidence, o: SceneObject) -> SceneObject:
    """The object that this one stands on."""
    below = evidence.objects.get(o.support_id)
    if below is None:
        raise Fault(f"object {o.id} stands on no other object")
    return below


@define_on_evidence(VECTOR, cost=4, o=OBJECT)
def room_centre(evidence: Evidence, o: SceneObject) -> Vector:
    """Centre of the floor of the object's room in the world frame, metres."""
    for room in evidence.description.rooms:
        if room.id == o.room_id:
            x, z = polygon_centre(room.polygon_xz_m)
            return (x, room.floor_y_m, z)
    raise Fault(f"object {o.id} is in no room of the scene")


@define(NUMBER, cost=60, a=OBJECT, b=OBJECT)
def closest_distance(a: SceneObject, b: SceneObject) -> float:
    """Metres between the closest points of two boxes, 0 if they touch."""
    return box_distance_m(a.box, b.box)


@define(NUMBER, stand=OBJECT, facing=OBJECT, to=OBJECT)
def bearing_from(stand: SceneObject, facing: SceneObject, to: SceneObject) -> float:
    """Bearing of `to` for an observer at `stand` who faces `facing`, in radians: left positive, behind near +-pi."""
    return bearing_rad(stand.box.centre_m, facing.box.centre_m, to.box.centre_m)
