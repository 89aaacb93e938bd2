"""The content of one image: object_category, object_color, object_location and object_count."""

from __future__ import annotations

from collections import Counter
from typing import Optional, Sequence

import numpy as np

from protocol.errors import Infeasible
from protocol.seeds import pick
from protocol.skills.levels import Visible
from protocol.skills.single import OBJECT_CATEGORY, OBJECT_COLOR, OBJECT_COUNT, OBJECT_LOCATION
from protocol.skills.skill import Skill
from protocol.tasks.nouns import plural
from protocol.tasks.scene import SceneDescription, SceneObject
from protocol.tasks.task import ObjectTruth, TaskSpec
from sim_server.backends.base import Scene
from sim_server.questions.evidence import Evidence
from sim_server.questions.families.rules import (
    AMBIGUOUS,
    IN_PART,
    OUTSIDE,
    clear_objects,
    draw_objects,
    shown_in_part,
    shows,
    too_faint,
    uniquely_named,
    well_inside,
)
from sim_server.questions.family import (
    NO_SUCH_ANSWER,
    NO_TARGET,
    Candidate,
    Draft,
    Findings,
    Target,
    draw_key,
    name_slots,
    shuffled,
)
from sim_server.questions.language.functions.words import grid_cell
from sim_server.questions.nouns import Naming, countable, has_usual_color, painted
from sim_server.questions.staging import Staging
from sim_server.questions.views.sets import evenly_fitting, shots_of
from sim_server.questions.views.viewpoints import NO_PLACE, SingleView, draw_poses, focus_of

CELLS = tuple(grid_cell(x / 6, y / 6) for y in (1, 3, 5) for x in (1, 3, 5))  # row by row
_TRIES_PER_KEY = 10  # attempts before another answer is drawn
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

    def alone(self, items: Sequence[SceneObject]) -> set[int]:
        """Ids of the objects that the naming property identifies among these."""
        raise NotImplementedError

    def target(
        self, description: SceneDescription, _level: int, rng: np.random.Generator, previous: Optional[Target] = None
    ) -> Target:
        asked = [item for item in description.objects if item.color and self._may_ask(item, description)]
        by_room: dict[int, list[SceneObject]] = {}
        for item in description.objects:
            by_room.setdefault(item.room_id, []).append(item)
        # Prefer objects with a unique name in their room; a view may show only one of the others.
        alone = set().union(*(self.alone(items) for items in by_room.values()))
        items = [item for item in asked if item.id in alone] or asked
        keys = sorted({getattr(item, self.asked) for item in items})
        if not keys:
            raise Infeasible(f"{self.skill.name} needs objects that have a color word, and not only usual colors")
        tried = int(previous.numbers[0]) + 1 if previous else 0
        key = draw_key(keys, rng, previous if tried < _TRIES_PER_KEY else None)
        fitting = [item for item in items if getattr(item, self.asked) == key]
        return Target(key=key, focus=draw_objects(fitting, 1, rng, self.skill.name), numbers=(float(tried),))

    @staticmethod
    def _may_ask(item: SceneObject, description: SceneDescription) -> bool:
        """Whether the noun and the colour of an object do not give each other away."""
        return painted(description) or not has_usual_color(item)

    def judge(self, evidence: Evidence, level: int, findings: Findings) -> None:
        view, clarity = evidence.views[0], self.skill.levels[level].clarity
        alone = self.alone([evidence.objects[key] for key in view.seen])
        for key, truth in view.seen.items():
            item = evidence.objects[key]
            if not item.color:
                findings.reject("an object has no color word")
            elif not self._may_ask(item, evidence.description):
                findings.reject("an object has the usual color of its kind")
            elif key not in alone:
                findings.reject(AMBIGUOUS)
            elif not shows(view, key, clarity):
                findings.reject(too_faint(clarity))
            elif not painted(evidence.description) and not well_inside(key, view):
                findings.reject(OUTSIDE)
            else:
                margin = truth.visible_fraction - clarity.visible_fraction
                findings.accept(getattr(item, self.asked), (key,), margin)


class ObjectCategory(_Property):
    skill, asked = OBJECT_CATEGORY, "category"

    def alone(self, items: Sequence[SceneObject]) -> set[int]:
        counts = Counter(item.color for item in items)
        return {item.id for item in items if counts[item.color] == 1}

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
    skill, asked = OBJECT_COLOR, "color"

    def alone(self, items: Sequence[SceneObject]) -> set[int]:
        naming = Naming(items)
        return {item.id for item in items if naming.fitting(item.category) == 1}

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


class ObjectCount:
    """How many objects of a category ("chairs") or a colour ("red objects") the view shows."""

    skill = OBJECT_COUNT
    views = 1

    def target(
        self, description: SceneDescription, _level: int, rng: np.random.Generator, _previous: Optional[Target] = None
    ) -> Target:
        """Objects of one kind and room to aim at, enough for two answers; the choice of the view decides the answer."""
        by_room: dict[int, list[SceneObject]] = {}
        for item in description.objects:
            by_room.setdefault(item.room_id, []).append(item)
        kinds = [items for room in by_room.values() for _, items in groups(room) if len(items) > 1]
        if not kinds:
            raise Infeasible(f"{self.skill.name}: no room of the scene has two objects of a kind")
        return Target(key="", focus=tuple(item.id for item in shuffled(pick(kinds, rng), rng)))

    def poses(
        self, scene: Scene, spec: TaskSpec, target: Target, rng: np.random.Generator, findings: Findings
    ) -> Optional[Staging]:
        """A view that shows some of the objects, chosen by probe images of one of them and of several."""
        focus = focus_of(scene, target.focus)
        several = focus[: int(rng.integers(2, len(focus) + 1))]
        poses = [pose for aim in (focus[:1], several) for pose in draw_poses(scene, spec.camera, aim, rng)]
        if not poses:
            findings.reject(NO_PLACE)
            return None
        sets = [[index] for index in range(len(poses))]
        return evenly_fitting(self, spec, NO_TARGET, shots_of(scene, spec.camera, poses), sets, rng, findings)

    def judge(self, evidence: Evidence, level: int, findings: Findings) -> None:
        view, asked = evidence.views[0], self.skill.levels[level]
        for form, items in groups([evidence.objects[key] for key in view.seen], findings):
            keys = tuple(item.id for item in items)
            if evidence.about and set(keys) != set(evidence.about):
                findings.reject(NO_SUCH_ANSWER)
            elif len(items) > asked.most:
                findings.reject(f"the view shows more than {asked.most} of a kind")
            elif any(shown_in_part(evidence, item.id, asked.clarity) for item in items):
                findings.reject(f"{IN_PART} ({asked.clarity})")
            else:
                margin = min(view.seen[item.id].visible_fraction for item in items) - asked.clarity.visible_fraction
                findings.accept(str(len(items)), keys, margin, form)

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
            rule=COUNT_RULE if candidate.form.startswith("category") else f"{COUNT_RULE} {NO_STRUCTURE}",
        )


def counted(item: SceneObject, form: str) -> tuple[str, str]:
    """The plural that names objects like this one, and the arguments of `where` that select them."""
    if form == _of_category(item):
        return plural(item.category), f', category="{item.category}"'
    return f"{item.color} objects", f', color="{item.color}"'


def _of_category(item: SceneObject) -> str:
    return f"category {item.category}"


def groups(items: Sequence[SceneObject], findings: Optional[Findings] = None) -> list[tuple[str, list[SceneObject]]]:
    """Every kind that people can count among these objects: (form, the objects).

    A category is counted unless its name fits other objects too, and a colour only if every object has a colour word.
    `findings` gets the rule that rejects a kind.
    """
    naming, kinds = Naming(items), dict[str, list[SceneObject]]()
    colored = all(item.color and countable(item.category) for item in items)
    for item in items:
        if countable(item.category):
            kinds.setdefault(_of_category(item), []).append(item)
        if colored:
            kinds.setdefault(f"color {item.color}", []).append(item)
    found: list[tuple[str, list[SceneObject]]] = []
    for form, members in kinds.items():
        if form != _of_category(members[0]) or naming.fitting(members[0].category) == len(members):
            found.append((form, members))
        elif findings is not None:
            findings.reject(AMBIGUOUS)
    return found


FAMILIES = (ObjectCategory(), ObjectColor(), ObjectLocation(), ObjectCount())
