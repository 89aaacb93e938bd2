"""The content of one image: object_category, object_color, object_location and object_count."""

from __future__ import annotations

from collections import Counter
from typing import Optional, Sequence

import numpy as np

from protocol.errors import Infeasible
from protocol.seeds import pick
from protocol.skills.levels import Visible
from protocol.skills.single import OBJECT_CATEGORY, OBJECT_COLOR, OBJECT_COUNT, OBJECT_LOCATION, CountLevel
from protocol.skills.skill import Skill
from protocol.tasks.scene import Pose, SceneDescription, SceneObject
from protocol.tasks.task import ObjectTruth, TaskSpec
from sim_server.backends.base import Scene
from sim_server.questions.evidence import Evidence
from sim_server.questions.families.rules import (
    AMBIGUOUS,
    clear_objects,
    draw_objects,
    shows,
    too_faint,
    uniquely_named,
)
from sim_server.questions.family import Candidate, Draft, Findings, Target, draw_key, name_slots
from sim_server.questions.language.functions.words import grid_cell
from sim_server.questions.views.sets import first_fitting, shots_of
from sim_server.questions.views.viewpoints import NO_PLACE, SingleView, draw_poses

CELLS = tuple(grid_cell(x / 6, y / 6) for y in (1, 3, 5) for x in (1, 3, 5))  # row by row
COUNT_RULE = "Include every one that is at least partly visible."
NO_STRUCTURE = "Walls, floors, ceilings, doors and windows do not count."
CELL_RULE = (
    "The image is divided into three rows and three columns of equal size. "
    "The answer is the cell that holds the center of the visible part of the object."
)


class _Property(SingleView):
    """Ask for one property of an object that another property identifies."""

    skill: Skill[Visible]
    asked: str
    naming: str

    def target(
        self, description: SceneDescription, _level: int, rng: np.random.Generator, previous: Optional[Target] = None
    ) -> Target:
        counts = Counter(getattr(item, self.naming) for item in description.objects)
        items = [item for item in description.objects if item.color]
        # Prefer objects with a unique name in the scene; a view may show only one of the others.
        items = [item for item in items if counts[getattr(item, self.naming)] == 1] or items
        keys = sorted({getattr(item, self.asked) for item in items})
        if not keys:
            raise Infeasible(f"{self.skill.name} needs objects that have a color word")
        key = draw_key(keys, rng, previous)
        fitting = [item for item in items if getattr(item, self.asked) == key]
        return Target(key=key, focus=draw_objects(fitting, 1, rng, self.skill.name))

    def judge(self, evidence: Evidence, level: int, findings: Findings) -> None:
        view, clarity = evidence.views[0], self.skill.levels[level].clarity
        counts = Counter(getattr(evidence.objects[key], self.naming) for key in view.seen)
        for key, truth in view.seen.items():
            item = evidence.objects[key]
            if not item.color:
                findings.reject("an object has no color word")
            elif counts[getattr(item, self.naming)] > 1:
                findings.reject(AMBIGUOUS)
            elif not shows(view, key, clarity):
                findings.reject(too_faint(clarity))
            else:
                margin = truth.visible_fraction - clarity.visible_fraction
                findings.accept(getattr(item, self.asked), (key,), margin)


class ObjectCategory(_Property):
    skill, asked, naming = OBJECT_CATEGORY, "category", "color"

    def draft(self, evidence: Evidence, candidate: Candidate, _level: int, _rng: np.random.Generator) -> Draft:
        item = evidence.objects[candidate.objects[0]]
        return Draft(
            program=f"category(object({item.id}))",
            templates=(
                "What is the {a}?",
                "What is the {a} in the image?",
                "In the image, what is the {a}?",
                "What would you call the {a}?",
                "Look at the {a}. What is it?",
                "Find the {a} in the image. What is it?",
                "Name the {a}.",
                "Name the {a} in the image.",
                "Look at the image and name the {a}.",
            ),
            slots={"a": (item.id, f"{item.color} object")},
            show_options=False,
            rule="Answer with the kind of object.",
        )


class ObjectColor(_Property):
    skill, asked, naming = OBJECT_COLOR, "color", "category"

    def draft(self, evidence: Evidence, candidate: Candidate, _level: int, _rng: np.random.Generator) -> Draft:
        item = evidence.objects[candidate.objects[0]]
        return Draft(
            program=f"color(object({item.id}))",
            templates=(
                "What color is the {a}?",
                "Which color is the {a}?",
                "What is the color of the {a}?",
                "What color is the {a} in the image?",
                "In the image, what color is the {a}?",
                "Look at the {a}. What color is it?",
                "Find the {a} in the image. What color is it?",
                "Name the color of the {a}.",
                "Which color does the {a} have in the image?",
            ),
            slots={"a": (item.id, item.category)},
            show_options=False,
            rule="Answer with the color of most of its surface.",
        )


class ObjectLocation(SingleView):
    """The cell of a 3 x 3 grid over the image that holds an object."""

    skill = OBJECT_LOCATION

    def target(
        self, description: SceneDescription, _level: int, rng: np.random.Generator, previous: Optional[Target] = None
    ) -> Target:
        cell = int(rng.integers(9))
        key = previous.key if previous else CELLS[cell]
        row, column = divmod(CELLS.index(key), 3)
        at = ((column + 0.5) / 3, (row + 0.5) / 3)
        return Target(key=key, focus=draw_objects(uniquely_named(description), 1, rng, self.skill.name), at=at)

    def judge(self, evidence: Evidence, level: int, findings: Findings) -> None:
        view, asked = evidence.views[0], self.skill.levels[level]
        for key in clear_objects(evidence, view, asked.clarity, findings):
            truth = view.seen[key]
            margin = cell_margin(truth)
            if margin < asked.cell_margin:
                findings.reject(f"an object is within {asked.cell_margin} of a cell border")
            else:
                findings.accept(grid_cell(truth.u, truth.v), (key,), margin)

    def draft(self, evidence: Evidence, candidate: Candidate, _level: int, _rng: np.random.Generator) -> Draft:
        (a,) = candidate.objects
        return Draft(
            program=f"grid_cell(image_x(object({a}), view(0)), image_y(object({a}), view(0)))",
            templates=(
                "Where is the {a} in the image?",
                "Where in the image is the {a}?",
                "In the image, where is the {a}?",
                "In which part of the image is the {a}?",
                "Which part of the image is the {a} in?",
                "Which part of the image shows the {a}?",
                "In which part of the image do you see the {a}?",
                "Look at the image. Where in it is the {a}?",
                "Find the {a}. In which part of the image is it?",
            ),
            slots=name_slots(evidence, (a,)),
            options=CELLS,
            show_options=False,
            rule=CELL_RULE,
        )


def cell_margin(truth: ObjectTruth) -> float:
    """Distance of an object's centroid from the nearest cell border, as a fraction of the image side."""
    return min(abs(value - border) for value in (truth.u, truth.v) for border in (1 / 3, 2 / 3))


class ObjectCount(SingleView):
    """How many objects, how many of a category ("chairs") or how many of a colour ("red objects") the view shows."""

    skill = OBJECT_COUNT

    def target(
        self, description: SceneDescription, level: int, rng: np.random.Generator, previous: Optional[Target] = None
    ) -> Target:
        by_room: dict[int, list[SceneObject]] = {}
        for item in description.objects:
            by_room.setdefault(item.room_id, []).append(item)
        return count_target(self.skill, level, list(by_room.values()), rng, previous)

    def poses(
        self, scene: Scene, spec: TaskSpec, target: Target, rng: np.random.Generator, findings: Findings
    ) -> Optional[tuple[Pose, ...]]:
        """Of the poses with the objects in their image, one whose probe image shows the drawn number of a kind."""
        focus = [item for item in scene.description.objects if item.id in target.focus]
        poses = draw_poses(scene, spec.camera, focus, rng)
        if not poses:
            findings.reject(NO_PLACE)
            return None
        shots = shots_of(scene, spec.camera, poses)
        return first_fitting(self, spec, target, shots, [[index] for index in range(len(poses))], findings)

    def judge(self, evidence: Evidence, level: int, findings: Findings) -> None:
        view, asked = evidence.views[0], self.skill.levels[level]
        low, high, clarity = asked.least, asked.most, asked.clarity
        clear = {key for key in view.seen if shows(view, key, clarity)}
        for form, _, items in groups([evidence.objects[key] for key in view.seen]):
            if not low <= len(items) <= high:
                findings.reject(f"the view does not show {low} to {high} of a kind")
            elif not all(item.id in clear for item in items):
                findings.reject(f"a counted object is not shown clearly enough ({clarity})")
            else:
                margin = min(view.seen[item.id].visible_fraction for item in items) - clarity.visible_fraction
                findings.accept(str(len(items)), tuple(item.id for item in items), margin, form)

    def draft(self, evidence: Evidence, candidate: Candidate, _level: int, _rng: np.random.Generator) -> Draft:
        phrase, kind = counted(evidence.objects[candidate.objects[0]], candidate.form)
        return Draft(
            program=f"count(where(visible(view(0)){kind}))",
            templates=(
                "How many {a} are in the image?",
                "How many {a} are there in the image?",
                "How many {a} does the image show?",
                "How many {a} do you see in the image?",
                "In the image, how many {a} are there?",
                "What is the number of {a} in the image?",
                "Look at the image. How many {a} are there?",
                "Look at the image. How many {a} do you see?",
                "Count the {a} in the image.",
            ),
            slots={"a": (0, phrase)},
            show_options=False,
            rule=COUNT_RULE if candidate.form == "category" else f"{COUNT_RULE} {NO_STRUCTURE}",
        )


def count_target(
    skill: Skill[CountLevel],
    level: int,
    together: Sequence[Sequence[SceneObject]],
    rng: np.random.Generator,
    previous: Optional[Target] = None,
    everything: bool = True,
) -> Target:
    """Draw a form, a number within the limits of the level, and that many objects of one kind to aim at.

    The objects come from one of the groups in `together`. `everything` allows the form that counts all objects. Raises
    Infeasible if every form has fewer than two possible answers: the question would give its answer away.
    """
    low, high = skill.levels[level].least, skill.levels[level].most
    kinds = [kind for items in together for kind in groups(items) if len(kind[2]) >= low and (everything or kind[1])]
    most = {form: max(len(items) for kind, _, items in kinds if kind == form) for form, _, _ in kinds}
    forms = sorted(form for form in most if most[form] > low)
    if not forms:
        raise Infeasible(f"{skill.name} counts {low} to {high} objects of a kind: the scene has too few")
    form = previous.form if previous else pick(forms, rng)
    count = int(previous.key) if previous else int(rng.integers(low, min(high, most[form]) + 1))
    enough = [items for kind, _, items in kinds if kind == form and len(items) >= count]
    items = pick(enough, rng)
    return Target(key=str(count), focus=draw_objects(items, count, rng, skill.name), form=form)


def counted(item: SceneObject, form: str) -> tuple[str, str]:
    """The plural that names objects like this one, and the arguments of `where` that select them."""
    if form == "category":
        return plural(item.category), f', category="{item.category}"'
    return (f"{item.color} objects", f', color="{item.color}"') if form == "color" else ("objects", "")


def groups(items: Sequence[SceneObject]) -> list[tuple[str, str, list[SceneObject]]]:
    """Every kind that can be counted among these objects: (form, word, the objects)."""
    kinds: dict[tuple[str, str], list[SceneObject]] = {}
    for item in items:
        for kind in (("thing", ""), ("category", item.category), ("color", item.color)):
            if kind[0] != "color" or item.color:
                kinds.setdefault(kind, []).append(item)
    return [(form, word, members) for (form, word), members in kinds.items()]


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


FAMILIES = (ObjectCategory(), ObjectColor(), ObjectLocation(), ObjectCount())
