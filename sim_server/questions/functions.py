"""The types and the functions of the expression language.

Every function is pure, total up to a typed refusal, and has a cost that the checker adds up before a program runs.
"""

from __future__ import annotations

import math
from typing import Callable, Optional

import msgspec
import numpy as np

from protocol.scene import SceneObject
from protocol.tasks import ObjectTruth
from sim_server.questions.evidence import ViewEvidence, World, name_of
from sim_server.questions.geometry import (
    bearing_rad,
    box_distance_m,
    point_box_distance,
    to_camera,
    wrap_rad,
    yaw_rad,
)

NUMBER, BOOL, TEXT, OBJECT, OBJECTS, VIEW, VECTOR = "number", "bool", "text", "object", "objects", "view", "vector"
MAX_OBJECTS = 256  # a list holds at most this many; the checker multiplies the body of a bound variable by it

Vector = tuple[float, float, float]


class Fault(Exception):
    """A function cannot answer; the evaluator adds the position and refuses the program."""


class Parameter(msgspec.Struct, frozen=True):
    name: str
    type: str
    optional: bool = False


class Function(msgspec.Struct, frozen=True):
    """`run(world, *values)` gets one value per parameter, None for an optional one that was left out."""

    name: str
    parameters: tuple[Parameter, ...]
    result: str
    run: Callable[..., object]
    cost: int = 1
    help: str = ""


FUNCTIONS: dict[str, Function] = {}
BINDERS = {"argmin": (NUMBER, OBJECT), "argmax": (NUMBER, OBJECT), "filter": (BOOL, OBJECTS)}  # body type, result


_Run = Callable[..., object]


def _define(result: str, cost: int = 1, **parameters: str) -> Callable[[_Run], _Run]:
    """Add a function of its arguments alone; a parameter type that ends in "?" is optional."""

    def add(run: _Run) -> _Run:
        _add(run, lambda _world, *values: run(*values), result, cost, parameters)
        return run

    return add


def _define_on_world(result: str, cost: int = 1, **parameters: str) -> Callable[[_Run], _Run]:
    """Add a function that looks at the world as well."""

    def add(run: _Run) -> _Run:
        _add(run, run, result, cost, parameters)
        return run

    return add


def _add(written: _Run, run: _Run, result: str, cost: int, parameters: dict[str, str]) -> None:
    name = written.__name__.strip("_")
    typed = tuple(Parameter(key, kind.rstrip("?"), kind.endswith("?")) for key, kind in parameters.items())
    FUNCTIONS[name] = Function(name, typed, result, run, cost, (written.__doc__ or "").strip())


def _evidence(item: SceneObject, view: ViewEvidence) -> ObjectTruth:
    truth = view.seen.get(item.id)
    if truth is None:
        raise Fault(f"object {item.id} is not visible in this view")
    return truth


# ----------------------------------------------------------------------------- objects and lists


@_define_on_world(OBJECT, id=NUMBER)
def _object(world: World, id: float) -> SceneObject:
    """The object with this id."""
    found = world.objects.get(int(id)) if id == int(id) else None
    if found is None:
        raise Fault(f"the scene has no object {id:g}")
    return found


@_define_on_world(OBJECTS, cost=8)
def objects(world: World) -> list[SceneObject]:
    """Every object of the scene."""
    if len(world.description.objects) > MAX_OBJECTS:
        raise Fault(f"the scene has more than {MAX_OBJECTS} objects; use visible(view)")
    return list(world.description.objects)


@_define_on_world(VIEW, index=NUMBER)
def view(world: World, index: float) -> ViewEvidence:
    """The view with this index, from 0."""
    if index != int(index) or not 0 <= index < len(world.views):
        raise Fault(f"there is no view {index:g}")
    return world.views[int(index)]


@_define_on_world(OBJECTS, cost=8, view=VIEW)
def visible(world: World, view: ViewEvidence) -> list[SceneObject]:
    """The objects that own at least one pixel of the view."""
    if len(view.seen) > MAX_OBJECTS:
        raise Fault(f"the view shows more than {MAX_OBJECTS} objects")
    return [world.objects[key] for key in view.seen]


@_define(OBJECTS, cost=8, items=OBJECTS, category=TEXT + "?", color=TEXT + "?")
def where(items: list[SceneObject], category: Optional[str], color: Optional[str]) -> list[SceneObject]:
    """The objects of the list that have this category and this colour."""
    return [
        item
        for item in items
        if (category is None or item.category == category) and (color is None or item.color == color)
    ]


@_define(NUMBER, items=OBJECTS)
def count(items: list[SceneObject]) -> float:
    """How many objects the list holds."""
    return float(len(items))


# ----------------------------------------------------------------------------- properties of an object


@_define(TEXT, o=OBJECT)
def name(o: SceneObject) -> str:
    """The phrase that names the object: "red chair"."""
    return name_of(o)


@_define(TEXT, o=OBJECT)
def category(o: SceneObject) -> str:
    """The object's category word."""
    return o.category


@_define(TEXT, o=OBJECT)
def color(o: SceneObject) -> str:
    """The object's colour word, "" where none names it."""
    return o.color


@_define(VECTOR, o=OBJECT)
def centre(o: SceneObject) -> Vector:
    """Centre of the object's box in the world frame, metres."""
    return o.box.centre_m


@_define(NUMBER, o=OBJECT)
def longest_side(o: SceneObject) -> float:
    """Length in metres of the longest side of the object's box."""
    return 2.0 * max(o.box.half_extents_m)


# ----------------------------------------------------------------------------- relations in the scene


@_define(NUMBER, cost=40, a=OBJECT, b=OBJECT)
def closest_distance(a: SceneObject, b: SceneObject) -> float:
    """Metres between the closest points of two boxes, 0 where they touch."""
    return box_distance_m(a.box, b.box)


@_define(NUMBER, stand=OBJECT, facing=OBJECT, to=OBJECT)
def bearing_from(stand: SceneObject, facing: SceneObject, to: SceneObject) -> float:
    """Radians from facing one object to another, standing at a third: left is positive, behind is near +-pi."""
    return bearing_rad(stand.box.centre_m, facing.box.centre_m, to.box.centre_m)


# ----------------------------------------------------------------------------- evidence in a view


@_define(NUMBER, o=OBJECT, view=VIEW)
def image_x(o: SceneObject, view: ViewEvidence) -> float:
    """Mean column of the object's visible pixels, 0..1 from the left."""
    return _evidence(o, view).u


@_define(NUMBER, o=OBJECT, view=VIEW)
def image_y(o: SceneObject, view: ViewEvidence) -> float:
    """Mean row of the object's visible pixels, 0..1 from the top."""
    return _evidence(o, view).v


@_define(NUMBER, o=OBJECT, view=VIEW)
def depth(o: SceneObject, view: ViewEvidence) -> float:
    """Median depth in metres of the object's visible pixels, along the optical axis."""
    return _evidence(o, view).depth_m


@_define(NUMBER, o=OBJECT, view=VIEW)
def pixels(o: SceneObject, view: ViewEvidence) -> float:
    """How many pixels of the view the object owns, 0 where it is not visible."""
    truth = view.seen.get(o.id)
    return float(truth.pixels) if truth else 0.0


@_define(NUMBER, o=OBJECT, view=VIEW)
def visible_fraction(o: SceneObject, view: ViewEvidence) -> float:
    """Visible pixels over the pixels that the object would cover in the frame if nothing stood before it."""
    truth = view.seen.get(o.id)
    return truth.visible_fraction if truth else 0.0


@_define(NUMBER, cost=4, o=OBJECT, view=VIEW)
def distance_from_camera(o: SceneObject, view: ViewEvidence) -> float:
    """Metres from the camera to the closest point of the object's box."""
    return float(point_box_distance(np.asarray([view.pose.position_m]), o.box)[0])


@_define(NUMBER, cost=4, start=VIEW, to=VIEW)
def turn_between(start: ViewEvidence, to: ViewEvidence) -> float:
    """Radians by which the camera turned about the vertical, left positive, in (-pi, pi]."""
    return wrap_rad(yaw_rad(to.pose) - yaw_rad(start.pose))


@_define(VECTOR, cost=4, start=VIEW, to=VIEW)
def shift_between(start: ViewEvidence, to: ViewEvidence) -> Vector:
    """How far the camera moved in metres: right, up and back of the first camera held level."""
    dx, dy, dz = (b - a for a, b in zip(start.pose.position_m, to.pose.position_m))
    yaw = yaw_rad(start.pose)
    cos, sin = math.cos(yaw), math.sin(yaw)
    return (cos * dx - sin * dz, dy, sin * dx + cos * dz)


@_define(VECTOR, cost=4, o=OBJECT, view=VIEW)
def in_camera(o: SceneObject, view: ViewEvidence) -> Vector:
    """Centre of the object's box in the camera's frame, metres: right, up, back."""
    x, y, z = to_camera(view.pose, np.asarray([o.box.centre_m]))[0]
    return (float(x), float(y), float(z))


@_define(VECTOR, o=OBJECT)
def front(o: SceneObject) -> Vector:
    """Unit vector of the object's front in the world frame."""
    if o.front is None:
        raise Fault(f"object {o.id} has no front")
    return o.front


# ----------------------------------------------------------------------------- numbers, vectors and words


@_define(NUMBER, vector=VECTOR)
def x(vector: Vector) -> float:
    """First component."""
    return vector[0]


@_define(NUMBER, vector=VECTOR)
def y(vector: Vector) -> float:
    """Second component."""
    return vector[1]


@_define(NUMBER, vector=VECTOR)
def z(vector: Vector) -> float:
    """Third component."""
    return vector[2]


@_define(NUMBER, value=NUMBER)
def _abs(value: float) -> float:
    """Absolute value."""
    return abs(value)


@_define(NUMBER, value=NUMBER, to=NUMBER)
def _round(value: float, to: float) -> float:
    """The nearest multiple of `to`, halves upwards: round(2.46, 0.1) is 2.5."""
    if not to > 0:
        raise Fault("round needs a step above 0")
    steps = value / to
    if not abs(steps) < 1e15:
        raise Fault("round needs a step that fits the value")
    return math.floor(steps + 0.5) * to


@_define(TEXT, angle=NUMBER)
def side(angle: float) -> str:
    """ "left" for a positive bearing, else "right"."""
    return "left" if angle > 0 else "right"


@_define(TEXT, angle=NUMBER)
def side_or_behind(angle: float) -> str:
    """ "behind" beyond 135 degrees to either side, else "left" or "right"."""
    if abs(angle) > math.radians(135):
        return "behind"
    return "left" if angle > 0 else "right"


@_define(TEXT, angle=NUMBER)
def quadrant(angle: float) -> str:
    """ "front left", "front right", "back left" or "back right"."""
    return ("front" if abs(angle) < math.pi / 2 else "back") + (" left" if angle > 0 else " right")


@_define(TEXT, x=NUMBER, y=NUMBER)
def grid_cell(x: float, y: float) -> str:
    """The cell of a 3 x 3 grid over the picture: "top left" … "middle middle" … "bottom right"."""
    row = "top" if y < 1 / 3 else "middle" if y < 2 / 3 else "bottom"
    column = "left" if x < 1 / 3 else "middle" if x < 2 / 3 else "right"
    return f"{row} {column}"


@_define(TEXT, shift=VECTOR)
def heading(shift: Vector) -> str:
    """The larger horizontal part of a shift in words: "forward", "backward", "left" or "right"."""
    right, _, back = shift
    if abs(back) >= abs(right):
        return "forward" if back < 0 else "backward"
    return "right" if right > 0 else "left"
