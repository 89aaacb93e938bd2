"""Validity rules that several families share: when an object is seen clearly enough to be asked about."""

from __future__ import annotations

from typing import Sequence

import msgspec
import numpy as np

from protocol.errors import Infeasible
from protocol.seeds import pick
from protocol.tasks.scene import SceneDescription, SceneObject
from sim_server.questions.evidence import Evidence, ViewEvidence, name_of, unique_names
from sim_server.questions.family import Findings

AMBIGUOUS = "a name would fit more than one visible object"
OUTSIDE = "an object's centre lies outside the frame"
SHARED_OBJECTS = 2  # two pictures that are to be joined must clearly show this many of the same objects
TOO_LITTLE_SHARED = f"the two pictures clearly share fewer than {SHARED_OBJECTS} objects"
SMALL_LONGEST_M = 0.5  # a small thing's longest side is at most so long
MAX_NAMED = 10  # relations are sought among at most this many objects of a view, the largest in the picture


class Clarity(msgspec.Struct, frozen=True):
    """Floors for "visible": unoccluded fraction of what the frame could show, and share of the picture's pixels."""

    fraction: float
    area: float

    def holds(self, key: int, view: ViewEvidence) -> bool:
        """Whether the view shows the object so."""
        truth = view.seen.get(key)
        area_px = view.camera.width_px * view.camera.height_px
        return truth is not None and truth.visible_fraction >= self.fraction and truth.pixels >= self.area * area_px

    def __str__(self) -> str:
        return f"{self.fraction:.0%} unoccluded and {self.area:.1%} of the picture"


# Levels 0..4 of the families that ask what is seen: ever more hidden, ever smaller.
PERCEIVE = (
    Clarity(0.90, 0.012),
    Clarity(0.75, 0.009),
    Clarity(0.60, 0.006),
    Clarity(0.45, 0.004),
    Clarity(0.30, 0.003),
)
# Relations are made hard by their own margins, so their objects are always plain to see.
RELATE = Clarity(0.50, 0.004)


def clear_objects(world: Evidence, view: ViewEvidence, clarity: Clarity, found: Findings) -> dict[int, str]:
    """Names of the objects that may be asked about in this view: seen clearly and named without doubt."""
    names = unique_names(world, view)
    clear: dict[int, str] = {}
    for key in view.seen:
        if key not in names:
            found.refuse(AMBIGUOUS)
        elif not clarity.holds(key, view):
            found.refuse(f"an object shows less than {clarity}")
        else:
            clear[key] = names[key]
    return clear


def prominent(world: Evidence, view: ViewEvidence, found: Findings) -> list[int]:
    """Ids of the objects that may stand in a relation: clear, centre within the frame, the largest ones first."""
    clear = clear_objects(world, view, RELATE, found)
    inside: list[int] = []
    for key in clear:
        if centred(key, view):
            inside.append(key)
        else:
            found.refuse(OUTSIDE)
    inside.sort(key=lambda key: (-view.seen[key].pixels, key))
    return inside[:MAX_NAMED]


def centred(key: int, view: ViewEvidence) -> bool:
    """Whether the middle of an object that the view shows lies in the frame: else only a rim of it may show."""
    u, v, depth_m = view.centres[key]
    return depth_m > 0 and 0 < u < 1 and 0 < v < 1


def prominent_anywhere(world: Evidence, found: Findings) -> dict[int, str]:
    """Names of the objects that may stand in a relation over several views: some view shows each clearly, with its
    middle in the frame, and no other object of any view shares the name."""
    names = clear_anywhere(world, RELATE, found)
    for key in list(names):
        showing = [view for view in world.views if RELATE.holds(key, view)]
        if not any(centred(key, view) for view in showing):
            del names[key]
            found.refuse(OUTSIDE)
    return names


def clear_anywhere(world: Evidence, clarity: Clarity, found: Findings) -> dict[int, str]:
    """Names of the objects that some view shows clearly and that no other object of any view shares."""
    names = unique_names(world)
    clear: dict[int, str] = {}
    for key in world.seen():
        if key not in names:
            found.refuse(AMBIGUOUS)
        elif not any(clarity.holds(key, view) for view in world.views):
            found.refuse(f"an object shows less than {clarity} in every picture")
        else:
            clear[key] = names[key]
    return clear


def clear_in_both(first: ViewEvidence, second: ViewEvidence, clarity: Clarity = RELATE) -> list[int]:
    """Ids of the objects that both views show clearly: by these a viewer can join the two."""
    return [key for key in first.seen if clarity.holds(key, first) and clarity.holds(key, second)]


def is_small(item: SceneObject) -> bool:
    """Whether the object is a small thing by its size and by standing on another object."""
    return item.support_id > 0 and 2 * max(item.box.half_extents_m) <= SMALL_LONGEST_M


def uniquely_named(description: SceneDescription) -> list[SceneObject]:
    """Objects of the scene whose name no other shares; the whole scene where none has such a name (a view may tell
    twins apart by showing only one)."""
    names = [name_of(item) for item in description.objects]
    alone = [item for item, name in zip(description.objects, names) if names.count(name) == 1]
    return alone or list(description.objects)


def need_objects(items: Sequence[object], count: int, why: str) -> None:
    """Raises Infeasible where there are fewer than `count`."""
    if len(items) < count:
        raise Infeasible(f"{why}: the scene offers {len(items)} such objects, {count} are needed")


def need_rooms(description: SceneDescription, why: str) -> None:
    """Raises Infeasible where the backend does not know the rooms of its scenes."""
    if not description.rooms:
        raise Infeasible(f"{why}: this simulator does not say where the rooms are")


def draw_objects(items: Sequence[SceneObject], count: int, rng: np.random.Generator, why: str) -> tuple[int, ...]:
    """Ids of `count` different objects that stand near one another. Raises Infeasible where there are too few."""
    need_objects(items, count, why)
    return tuple(item.id for item in neighbours(items, count, rng))


def neighbours(items: Sequence[SceneObject], count: int, rng: np.random.Generator) -> list[SceneObject]:
    """A random object and `count` - 1 at random from the 2 x count nearest to it, or all where there are fewer."""
    first = pick(items, rng)
    x, y, z = first.box.centre_m

    def apart(item: SceneObject) -> float:
        cx, cy, cz = item.box.centre_m
        return (cx - x) ** 2 + 4 * (cy - y) ** 2 + (cz - z) ** 2  # other storeys are farther than they look

    near = sorted((item for item in items if item.id != first.id), key=apart)[: 2 * count]
    chosen = rng.permutation(len(near))[: count - 1]
    return [first, *(near[int(index)] for index in chosen)]
