"""Validity rules that several families share: which objects are shown clearly and named uniquely."""

from __future__ import annotations

from typing import Any, Mapping, Optional, Sequence

import numpy as np

from protocol.errors import Infeasible
from protocol.seeds import pick
from protocol.skills import Skill
from protocol.skills.levels import Clarity
from protocol.tasks.scene import SceneDescription, SceneObject
from sim_server.questions.evidence import Evidence, ViewEvidence, unique_names
from sim_server.questions.family import Findings, Target, draw_key
from sim_server.questions.geometry import longest_m
from sim_server.questions.nouns import Naming, painted
from sim_server.questions.views.viewpoints import FRAME_BORDER

AMBIGUOUS = "a name would fit more than one visible object"
IN_PART = "an image shows a small part of an object"
CARRIED = "one of two objects carries the other"
SEPARATE = "two objects are in different rooms, or one carries the other"
OUTSIDE = "an object's centre is outside the image"
SHARED_OBJECTS = 2  # two images must clearly show this many of the same objects, so that a viewer can relate them
TOO_LITTLE_SHARED = f"the two images clearly share fewer than {SHARED_OBJECTS} objects"
SMALL_LONGEST_M = 0.5  # the longest side of a small object is at most this long
MAX_NAMED = 10  # relations are sought among at most this many objects of a view, the largest in the image first

# The margins of relations make them difficult, so their objects are clearly visible at every level.
RELATE = Clarity(0.50, 0.004)


def shows(view: ViewEvidence, key: int, clarity: Clarity) -> bool:
    """Whether the view shows the object at least this clearly."""
    truth = view.seen.get(key)
    area_px = view.camera.width_px * view.camera.height_px
    return (
        truth is not None
        and truth.visible_fraction >= clarity.visible_fraction
        and truth.pixels >= clarity.image_fraction * area_px
    )


def too_faint(clarity: Clarity) -> str:
    """The rule that rejects an object shown less clearly than this."""
    return f"an object is not shown clearly enough ({clarity})"


def clear_objects(evidence: Evidence, view: ViewEvidence, clarity: Clarity, findings: Findings) -> dict[int, str]:
    """Names of the objects that this view shows clearly and that no other seen object shares.

    In a home, the centre of such an object is inside the image, and not close to the border if that cuts the object
    off: a part at the border does not tell what it is.
    """
    names, in_home = unique_names(evidence, view), not painted(evidence.description)
    clear: dict[int, str] = {}
    for key in view.seen:
        if key not in names:
            findings.reject(AMBIGUOUS)
        elif not shows(view, key, clarity):
            findings.reject(too_faint(clarity))
        elif in_home and not well_inside(key, view):
            findings.reject(OUTSIDE)
        else:
            clear[key] = names[key]
    return clear


def prominent(evidence: Evidence, view: ViewEvidence, findings: Findings) -> list[int]:
    """Ids of the objects that relations can be about: clear, centred inside the image, the largest first."""
    clear = clear_objects(evidence, view, RELATE, findings)
    inside: list[int] = []
    for key in clear:
        if centred(key, view):
            inside.append(key)
        else:
            findings.reject(OUTSIDE)
    inside.sort(key=lambda key: (-view.seen[key].pixels, key))
    return inside[:MAX_NAMED]


def centred(key: int, view: ViewEvidence) -> bool:
    """Whether the box centre of a seen object is inside the image; if not, only its edge may be visible."""
    u, v, depth_m = view.centres[key]
    return depth_m > 0 and 0 < u < 1 and 0 < v < 1


def well_inside(key: int, view: ViewEvidence) -> bool:
    """Whether the box centre of a seen object is inside the image, and away from the border that cuts it off, if one
    does."""
    u, v, _ = view.centres[key]
    return centred(key, view) and (key not in view.cut or min(u, 1 - u, v, 1 - v) >= FRAME_BORDER)


def prominent_anywhere(evidence: Evidence, findings: Findings) -> dict[int, str]:
    """Names of the objects that relations over several views can be about.

    Some view shows each of them clearly, some such view has its centre inside the image, and no other object seen in
    any view shares the name.
    """
    names = clear_anywhere(evidence, RELATE, findings)
    inside = centred if painted(evidence.description) else well_inside
    for key in list(names):
        showing = [view for view in evidence.views if shows(view, key, RELATE)]
        if not any(inside(key, view) for view in showing):
            del names[key]
            findings.reject(OUTSIDE)
    return names


def clear_anywhere(evidence: Evidence, clarity: Clarity, findings: Findings) -> dict[int, str]:
    """Names of the objects that some view shows clearly and that no other object seen in any view shares."""
    names = unique_names(evidence)
    clear: dict[int, str] = {}
    for key in evidence.seen():
        if key not in names:
            findings.reject(AMBIGUOUS)
        elif not any(shows(view, key, clarity) for view in evidence.views):
            findings.reject(f"{too_faint(clarity)} in any image")
        else:
            clear[key] = names[key]
    return clear


def shown_in_part(evidence: Evidence, key: int, clarity: Clarity) -> bool:
    """Whether some view shows something of the object, but not clearly or not its centre.

    People disagree on whether such an image shows the object.
    """
    return any(key in view.seen and not (shows(view, key, clarity) and centred(key, view)) for view in evidence.views)


def clear_in_both(first: ViewEvidence, second: ViewEvidence, clarity: Clarity = RELATE) -> list[int]:
    """Ids of the objects that both views show clearly, by which a viewer can relate the two."""
    return [key for key in first.seen if shows(first, key, clarity) and shows(second, key, clarity)]


def share_enough(first: ViewEvidence, second: ViewEvidence) -> bool:
    """Whether both views clearly show at least SHARED_OBJECTS of the same objects."""
    return len(clear_in_both(first, second)) >= SHARED_OBJECTS


def is_small(item: SceneObject) -> bool:
    """Whether the object is at most SMALL_LONGEST_M long and stands on another object."""
    return item.support_id > 0 and longest_m(item.box) <= SMALL_LONGEST_M


def uniquely_named(description: SceneDescription) -> list[SceneObject]:
    """Objects whose name fits no other object of their room; if there are none, all objects, since a view may show only
    one of those that share a name."""
    by_room: dict[int, list[SceneObject]] = {}
    for item in description.objects:
        by_room.setdefault(item.room_id, []).append(item)
    naming = {room: Naming(items) for room, items in by_room.items()}
    alone = [item for item in description.objects if naming[item.room_id].unique(item)]
    return alone or list(description.objects)


def stance(item: SceneObject) -> str:
    """Where the object is: "hanging", "small" on another object, or "standing"."""
    return "hanging" if item.support_id < 0 else "small" if is_small(item) else "standing"


class Comparable:
    """Which objects of a scene a question about distances can relate.

    Neither of them may carry the other, directly or with objects in between, and no wall may separate them: they are in
    one room, unless the backend does not know the rooms.
    """

    def __init__(self, description: SceneDescription) -> None:
        self._objects = {item.id: item for item in description.objects}
        self._rooms = bool(description.rooms)

    def __call__(self, a: SceneObject, b: SceneObject) -> bool:
        if self._rooms and a.room_id != b.room_id:
            return False
        return not carries(self._objects, a.id, b.id)


def carries(objects: Mapping[int, SceneObject], a: int, b: int) -> bool:
    """Whether one of two objects carries the other, directly or with objects in between."""
    return a in _supports(objects, objects[b]) or b in _supports(objects, objects[a])


def _supports(objects: Mapping[int, SceneObject], item: SceneObject) -> set[int]:
    found: set[int] = set()
    while item.support_id in objects and item.support_id not in found:
        found.add(item.support_id)
        item = objects[item.support_id]
    return found


def need_objects(items: Sequence[object], count: int, why: str) -> None:
    """Raises Infeasible if there are fewer than `count`."""
    if len(items) < count:
        raise Infeasible(f"{why}: the scene has {len(items)} suitable objects, {count} are needed")


def need_rooms(description: SceneDescription, why: str) -> None:
    """Raises Infeasible if the backend does not know the rooms of its scenes."""
    if not description.rooms:
        raise Infeasible(f"{why}: this simulator does not describe the rooms of its scenes")


def shared_target(
    skill: Skill[Any],
    description: SceneDescription,
    form: str,
    words: Sequence[str],
    rng: np.random.Generator,
    previous: Optional[Target],
) -> Target:
    """The target of a question about two cameras: one of these answers, and objects that both cameras aim at."""
    key = draw_key(words, rng, previous)
    return Target(key=key, focus=draw_objects(description.objects, SHARED_OBJECTS, rng, skill.name), form=form)


def draw_objects(items: Sequence[SceneObject], count: int, rng: np.random.Generator, why: str) -> tuple[int, ...]:
    """Ids of `count` different objects near one another. Raises Infeasible if there are too few."""
    need_objects(items, count, why)
    return tuple(item.id for item in neighbours(items, count, rng))


def neighbours(items: Sequence[SceneObject], count: int, rng: np.random.Generator) -> list[SceneObject]:
    """A random object, and `count` - 1 random ones of the 2 x `count` nearest to it; fewer if there are not enough."""
    first = pick(items, rng)
    x, y, z = first.box.centre_m

    def apart(item: SceneObject) -> float:
        cx, cy, cz = item.box.centre_m
        return (cx - x) ** 2 + 4 * (cy - y) ** 2 + (cz - z) ** 2  # height counts double: prefer the same storey

    near = sorted((item for item in items if item.id != first.id), key=apart)[: 2 * count]
    chosen = rng.permutation(len(near))[: count - 1]
    return [first, *(near[int(index)] for index in chosen)]
