"""What is seen: object_category, object_color, object_location, object_count.

All four grow harder by what is hidden and small (rules.PERCEIVE); location also by the distance to a cell's border,
count also by the number.
"""

from __future__ import annotations

from collections import Counter
from typing import Optional, Sequence

import numpy as np

from protocol.errors import Infeasible
from protocol.seeds import pick
from protocol.tasks.scene import Pose, SceneDescription, SceneObject
from protocol.tasks.task import ObjectTruth, TaskSpec
from sim_server.backends.base import Scene
from sim_server.questions.evidence import Evidence
from sim_server.questions.families.rules import AMBIGUOUS, PERCEIVE, clear_objects, draw_objects, uniquely_named
from sim_server.questions.family import Candidate, Draft, Findings, Target, draw_key, name_slots
from sim_server.questions.language.functions.words import grid_cell
from sim_server.questions.views.sets import first_fitting, shots_of
from sim_server.questions.views.viewpoints import NO_PLACE, SingleView, draw_poses

CELL_MARGIN = (0.11, 0.09, 0.07, 0.05, 0.03)  # least distance of the centroid from a cell's border, share of the side
COUNT_RANGE = ((1, 2), (1, 3), (2, 4), (2, 5), (3, 6))
CELLS = tuple(f"{row} {column}" for row in ("top", "middle", "bottom") for column in ("left", "middle", "right"))


class _Property(SingleView):
    """Ask for one property of an object that another property names without doubt."""

    name: str
    asked: str
    naming: str

    def plan(
        self, description: SceneDescription, _level: int, rng: np.random.Generator, kept: Optional[Target] = None
    ) -> Target:
        counts = Counter(getattr(item, self.naming) for item in description.objects)
        items = [item for item in description.objects if item.color]
        # Prefer objects that the whole scene names without doubt; a view may do so for the others.
        items = [item for item in items if counts[getattr(item, self.naming)] == 1] or items
        keys = sorted({getattr(item, self.asked) for item in items})
        if not keys:
            raise Infeasible(f"{self.name} needs objects that have a color word")
        key = draw_key(keys, rng, kept)
        fitting = [item for item in items if getattr(item, self.asked) == key]
        return Target(key=key, focus=draw_objects(fitting, 1, rng, self.name))

    def propose(self, world: Evidence, level: int, found: Findings) -> None:
        view = world.views[0]
        counts = Counter(getattr(world.objects[key], self.naming) for key in view.seen)
        for key, truth in view.seen.items():
            item = world.objects[key]
            if not item.color:
                found.refuse("an object has no color word")
            elif counts[getattr(item, self.naming)] > 1:
                found.refuse(AMBIGUOUS)
            elif not PERCEIVE[level].holds(key, view):
                found.refuse(f"an object shows less than {PERCEIVE[level]}")
            else:
                margin = truth.visible_fraction - PERCEIVE[level].fraction
                found.accept(getattr(item, self.asked), (key,), margin)


class ObjectCategory(_Property):
    name, asked, naming = "object_category", "category", "color"

    def draft(self, world: Evidence, candidate: Candidate, _rng: np.random.Generator) -> Draft:
        item = world.objects[candidate.objects[0]]
        return Draft(
            program=f"category(object({item.id}))",
            templates=(
                "what is the {a} ?",
                "what kind of thing is the {a} ?",
                "what is the {a} in the picture ?",
                "which kind of thing is the {a} ?",
                "look at the {a} . what is it ?",
            ),
            slots={"a": (item.id, f"{item.color} thing")},
            show_options=False,
        )


class ObjectColor(_Property):
    name, asked, naming = "object_color", "color", "category"

    def draft(self, world: Evidence, candidate: Candidate, _rng: np.random.Generator) -> Draft:
        item = world.objects[candidate.objects[0]]
        return Draft(
            program=f"color(object({item.id}))",
            templates=(
                "what color is the {a} ?",
                "what is the color of the {a} ?",
                "which color is the {a} ?",
                "what color is the {a} in the picture ?",
                "look at the {a} . what color is it ?",
            ),
            slots={"a": (item.id, item.category)},
            show_options=False,
        )


class ObjectLocation(SingleView):
    name = "object_location"

    def plan(
        self, description: SceneDescription, _level: int, rng: np.random.Generator, kept: Optional[Target] = None
    ) -> Target:
        cell = int(rng.integers(9))
        key = kept.key if kept else CELLS[cell]
        row, column = divmod(CELLS.index(key), 3)
        at = ((column + 0.5) / 3, (row + 0.5) / 3)
        return Target(key=key, focus=draw_objects(uniquely_named(description), 1, rng, self.name), at=at)

    def propose(self, world: Evidence, level: int, found: Findings) -> None:
        view = world.views[0]
        for key in clear_objects(world, view, PERCEIVE[level], found):
            truth = view.seen[key]
            margin = cell_margin(truth)
            if margin < CELL_MARGIN[level]:
                found.refuse(f"an object lies within {CELL_MARGIN[level]} of a cell's border")
            else:
                found.accept(grid_cell(truth.u, truth.v), (key,), margin)

    def draft(self, world: Evidence, candidate: Candidate, _rng: np.random.Generator) -> Draft:
        (a,) = candidate.objects
        return Draft(
            program=f"grid_cell(image_x(object({a}), view(0)), image_y(object({a}), view(0)))",
            templates=(
                "where is the {a} in the picture ?",
                "where in the picture is the {a} ?",
                "in which part of the picture is the {a} ?",
                "which part of the picture is the {a} in ?",
                "look at the picture . where is the {a} ?",
            ),
            slots=name_slots(world, (a,)),
            options=CELLS,
            show_options=False,
        )


def cell_margin(truth: ObjectTruth) -> float:
    """How far the middle of an object's pixels is from the nearest cell border, as a share of the picture's side."""
    return min(abs(value - border) for value in (truth.u, truth.v) for border in (1 / 3, 2 / 3))


class ObjectCount(SingleView):
    """How many things, how many of a category ("chairs"), how many of a colour ("red things") the view shows."""

    name = "object_count"

    def plan(
        self, description: SceneDescription, level: int, rng: np.random.Generator, kept: Optional[Target] = None
    ) -> Target:
        by_room: dict[int, list[SceneObject]] = {}
        for item in description.objects:
            by_room.setdefault(item.room_id, []).append(item)
        return plan_count(self.name, list(by_room.values()), COUNT_RANGE[level], rng, kept)

    def poses(
        self, scene: Scene, spec: TaskSpec, plan: Target, rng: np.random.Generator, found: Findings
    ) -> Optional[tuple[Pose, ...]]:
        """Of the poses that have the things in their picture one whose small picture shows so many of a kind."""
        focus = [item for item in scene.description.objects if item.id in plan.focus]
        poses = draw_poses(scene, spec.camera, focus, rng)
        if not poses:
            found.refuse(NO_PLACE)
            return None
        shots = shots_of(scene, spec.camera, poses)
        return first_fitting(self, spec, plan, shots, [[index] for index in range(len(poses))], found)

    def propose(self, world: Evidence, level: int, found: Findings) -> None:
        view = world.views[0]
        low, high = COUNT_RANGE[level]
        clear = {key for key in view.seen if PERCEIVE[level].holds(key, view)}
        for form, _, items in groups([world.objects[key] for key in view.seen]):
            if not low <= len(items) <= high:
                found.refuse(f"the view does not show {low} to {high} of a kind")
            elif not all(item.id in clear for item in items):
                found.refuse(f"a counted object shows less than {PERCEIVE[level]}")
            else:
                margin = min(view.seen[item.id].visible_fraction for item in items) - PERCEIVE[level].fraction
                found.accept(str(len(items)), tuple(item.id for item in items), margin, form)

    def draft(self, world: Evidence, candidate: Candidate, _rng: np.random.Generator) -> Draft:
        phrase, kind = counted(world.objects[candidate.objects[0]], candidate.form)
        return Draft(
            program=f"count(where(visible(view(0)){kind}))",
            templates=(
                "how many {a} are in the picture ?",
                "how many {a} are there in the picture ?",
                "how many {a} does the picture show ?",
                "what is the number of {a} in the picture ?",
                "look at the picture . how many {a} are there ?",
            ),
            slots={"a": (0, phrase)},
            show_options=False,
        )


def plan_count(
    name: str,
    together: Sequence[Sequence[SceneObject]],
    limits: tuple[int, int],
    rng: np.random.Generator,
    kept: Optional[Target] = None,
    everything: bool = True,
) -> Target:
    """A form, a number of alike things within the limits, and so many of them to aim at, of what lies `together`.

    `everything` allows the form that counts all things there are. Raises Infeasible where the scene leaves less than
    two answers open in every form: then the question would give its answer away.
    """
    low, high = limits
    kinds = [kind for items in together for kind in groups(items) if len(kind[2]) >= low and (everything or kind[1])]
    most = {form: max(len(items) for kind, _, items in kinds if kind == form) for form, _, _ in kinds}
    forms = sorted(form for form in most if most[form] > low)
    if not forms:
        raise Infeasible(f"{name} counts {low} to {high} alike things: the scene has too few")
    form = kept.form if kept else pick(forms, rng)
    count = int(kept.key) if kept else int(rng.integers(low, min(high, most[form]) + 1))
    enough = [items for kind, _, items in kinds if kind == form and len(items) >= count]
    items = pick(enough, rng)
    return Target(key=str(count), focus=draw_objects(items, count, rng, name), form=form)


def counted(item: SceneObject, form: str) -> tuple[str, str]:
    """The plural that counts things like this one, and the arguments of `where` that choose them."""
    if form == "category":
        return plural(item.category), f', category="{item.category}"'
    return (f"{item.color} things", f', color="{item.color}"') if form == "color" else ("things", "")


def groups(items: Sequence[SceneObject]) -> list[tuple[str, str, list[SceneObject]]]:
    """Everything that can be counted among these objects: (form, word, the objects)."""
    found: dict[tuple[str, str], list[SceneObject]] = {}
    for item in items:
        for kind in (("thing", ""), ("category", item.category), ("color", item.color)):
            if kind[0] != "color" or item.color:
                found.setdefault(kind, []).append(item)
    return [(form, word, members) for (form, word), members in found.items()]


def plural(noun: str) -> str:
    """English plural of a category's words: "boxes", "bookshelves", "coffee tables", "sets of books"."""
    head, of, rest = noun.partition(" of ")
    if of:
        return f"{plural(head)} of {rest}"
    if noun.endswith("shelf"):
        return noun[:-1] + "ves"
    if noun.endswith(("s", "x", "ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"
