"""One object in two images: object_match (where it is in the second) and visibility_compare (which shows more)."""

from __future__ import annotations

from itertools import permutations
from typing import Optional

import numpy as np

from protocol.seeds import pick
from protocol.skills.levels import Clarity
from protocol.skills.pair import OBJECT_MATCH, VISIBILITY_COMPARE, VisibilityLevel
from protocol.tasks.scene import Camera, OrientedBox, Pose, SceneDescription
from protocol.tasks.task import TaskSpec
from sim_server.backends.base import Scene
from sim_server.questions.evidence import EVIDENCE_SENSORS, Evidence, ViewEvidence, unique_names
from sim_server.questions.families.rules import (
    AMBIGUOUS,
    OUTSIDE,
    RELATE,
    draw_objects,
    shows,
    too_faint,
    uniquely_named,
    well_inside,
)
from sim_server.questions.families.single.perceive import CELL_RULE, CELLS, cell_margin
from sim_server.questions.family import Candidate, Draft, Findings, Target, draw_key, name_slots, shuffled
from sim_server.questions.geometry import Array, corners, project
from sim_server.questions.language.functions.words import grid_cell
from sim_server.questions.nouns import painted
from sim_server.questions.views.sets import first_fitting, shots_of
from sim_server.questions.views.viewpoints import NO_PLACE, draw_poses, eye_heights_m, focus_of, probe

SAME_MARGIN = 0.02  # fractions that are "the same" differ by this much less than the level's border
COMPARABLE = Clarity(0.08, 0.002)  # least visibility at which an object is compared
_MOST_PLACES = 10  # standing points whose images are compared


class ObjectMatch:
    """The cell of the second image that holds an object named by its cell in the first image."""

    skill = OBJECT_MATCH
    views = 2

    def target(
        self, description: SceneDescription, _level: int, rng: np.random.Generator, previous: Optional[Target] = None
    ) -> Target:
        key = draw_key(CELLS, rng, previous)
        row, column = divmod(CELLS.index(key), 3)
        focus = draw_objects(description.objects, 1, rng, self.skill.name)
        return Target(key, focus, ((column + 0.5) / 3, (row + 0.5) / 3))

    def poses(
        self, scene: Scene, spec: TaskSpec, target: Target, rng: np.random.Generator, findings: Findings
    ) -> Optional[tuple[Pose, ...]]:
        """A pair of poses that look at the object and whose probe images give the answer."""
        focus = focus_of(scene, target.focus)
        row, column = rng.integers(3, size=2).tolist()
        firsts = draw_poses(scene, spec.camera, focus, rng, ((column + 0.5) / 3, (row + 0.5) / 3))
        seconds = draw_poses(scene, spec.camera, focus, rng, target.at)
        if not firsts or not seconds:
            findings.reject(NO_PLACE)
            return None
        shots = shots_of(scene, spec.camera, [*firsts, *seconds])
        pairs = [(a, len(firsts) + b) for a in range(len(firsts)) for b in range(len(seconds))]
        return first_fitting(self, spec, target, shots, shuffled(pairs, rng), findings)

    def judge(self, evidence: Evidence, level: int, findings: Findings) -> None:
        first, second = evidence.views[:2]
        asked = self.skill.levels[level]
        here, there = _cells(first, asked.cell_margin), _cells(second, asked.cell_margin)
        alone = [grid_cell(truth.u, truth.v) for truth in first.seen.values()]
        in_home = not painted(evidence.description)
        for key in here:
            centre = np.asarray(evidence.objects[key].box.centre_m)
            eyes = np.asarray([second.pose.position_m])
            turned_deg = float(_turned_deg(np.asarray(first.pose.position_m), eyes, centre)[0])
            if alone.count(here[key]) > 1:
                findings.reject("two objects share a cell of the first image")
            elif key not in there:
                findings.reject(f"the second image shows the object near a cell border or too faintly ({RELATE})")
            elif in_home and not (well_inside(key, first) and well_inside(key, second)):
                findings.reject(OUTSIDE)
            elif len(_others(second, there[key])) < asked.options - 1:
                findings.reject(f"the second image shows objects in fewer than {asked.options} cells")
            elif turned_deg < asked.turned_deg:
                findings.reject(f"the directions of the two views differ by less than {asked.turned_deg:g} degrees")
            else:
                findings.accept(there[key], (key,), turned_deg)
        if not here:
            findings.reject(f"the first image shows no object clearly enough ({RELATE}) away from the cell borders")

    def draft(self, evidence: Evidence, candidate: Candidate, level: int, rng: np.random.Generator) -> Draft:
        (a,) = candidate.objects
        truth = evidence.views[0].seen[a]
        others = _others(evidence.views[1], candidate.key)
        drawn = shuffled(others, rng)[: self.skill.levels[level].options - 1]
        options = [candidate.key, *drawn]
        return Draft(
            program=f"grid_cell(image_x(object({a}), view(1)), image_y(object({a}), view(1)))",
            templates=(
                "Look at the {a} of Image 1. Where is it in Image 2?",
                "Where in Image 2 is the {a} of Image 1?",
                "In Image 2, where is the {a} of Image 1?",
                "Which part of Image 2 shows the {a} of Image 1?",
                "In which part of Image 2 is the {a} of Image 1?",
                "Find the {a} of Image 1. In which part of Image 2 is it?",
                "Look at the {a} of Image 1. Which part of Image 2 shows it?",
                "Image 2 also shows the {a} of Image 1. In which part of Image 2 is it?",
            ),
            slots={"a": (a, _named_by_place(grid_cell(truth.u, truth.v)))},
            options=shuffled(options, rng),
            rule=CELL_RULE,
        )


def _named_by_place(cell: str) -> str:
    return f"object {'in' if cell == 'center' else 'at'} the {cell}"


def _cells(view: ViewEvidence, margin: float) -> dict[int, str]:
    """The cell of every clearly shown object whose centroid is at least this far from the cell borders."""
    return {
        key: grid_cell(truth.u, truth.v)
        for key, truth in view.seen.items()
        if shows(view, key, RELATE) and cell_margin(truth) >= margin
    }


def _others(view: ViewEvidence, cell: str) -> list[str]:
    """The other cells in which this view clearly shows an object."""
    return sorted(set(_cells(view, 0.0).values()) - {cell})


def _turned_deg(first_m: Array, eyes: Array, centre_m: Array) -> Array:
    """Angles on the floor plan between the directions of a point from the first camera and from eyes [P, 3], [P]."""
    fx, fz = (centre_m - first_m)[[0, 2]]
    ex, ez = (centre_m - eyes)[:, [0, 2]].T
    return np.degrees(np.abs(np.arctan2(fx * ez - fz * ex, fx * ex + fz * ez)))


class VisibilityCompare:
    """The image in which other objects hide less of an object."""

    skill = VISIBILITY_COMPARE
    views = 2

    def target(
        self, description: SceneDescription, level: int, rng: np.random.Generator, previous: Optional[Target] = None
    ) -> Target:
        form = self._form(level)
        key = draw_key(_SHOWN[form], rng, previous)
        return Target(key=key, focus=draw_objects(uniquely_named(description), 1, rng, self.skill.name), form=form)

    def _form(self, level: int) -> str:
        return "shown or same" if self.skill.levels[level].asks_same else "shown"

    def poses(
        self, scene: Scene, spec: TaskSpec, target: Target, rng: np.random.Generator, findings: Findings
    ) -> Optional[tuple[Pose, ...]]:
        """Two places that look at the object and, in probe images, show as much of it as the target needs."""
        asked = self.skill.levels[spec.question.level]
        (item,) = focus_of(scene, target.focus)
        poses = draw_poses(scene, spec.camera, [item], rng, height_m=eye_heights_m(spec.camera, crouched=True))
        poses = [pose for pose in poses if _inside(pose, spec.camera, item.box)][:_MOST_PLACES]
        evidence = Evidence.of(scene.description, scene.render(poses, probe(spec.camera), EVIDENCE_SENSORS))
        shown = [view.seen[item.id].visible_fraction if item.id in view.seen else 0.0 for view in evidence.views]
        fitting = [
            (a, b)
            for a, b in permutations(range(len(poses)), 2)
            if min(shown[a], shown[b]) > COMPARABLE.visible_fraction
            and _answer(shown[a], shown[b], asked) == target.key
        ]
        if not fitting:
            findings.reject("no two standing points show as much of the object as the answer needs")
            return None
        # Of pairs that show the same, prefer those that hide something: without occlusion the question is trivial.
        hiding = [pair for pair in fitting if target.key != "the same" or shown[pair[0]] < 0.95] or fitting
        a, b = pick(hiding, rng)
        return (poses[a], poses[b])

    def judge(self, evidence: Evidence, level: int, findings: Findings) -> None:
        first, second = evidence.views[:2]
        asked, names = self.skill.levels[level], unique_names(evidence)
        for key in first.seen.keys() & second.seen.keys():
            item, one, two = evidence.objects[key], first.seen[key], second.seen[key]
            answer = _answer(one.visible_fraction, two.visible_fraction, asked)
            if key not in names:
                findings.reject(AMBIGUOUS)
            elif not all(_inside(view.pose, view.camera, item.box) and key not in view.cut for view in (first, second)):
                findings.reject("an object is cut off by the border of the image")
            elif not (shows(first, key, COMPARABLE) and shows(second, key, COMPARABLE)):
                findings.reject(too_faint(COMPARABLE))
            elif not answer:
                findings.reject(f"the visible fractions of an object differ by less than {asked.apart}")
            else:
                gap = abs(one.visible_fraction - two.visible_fraction)
                margin = asked.same_within - gap if answer == "the same" else gap - asked.same_within
                findings.accept(answer, (key,), margin, self._form(level))

    def draft(self, evidence: Evidence, candidate: Candidate, level: int, rng: np.random.Generator) -> Draft:
        (a,) = candidate.objects
        words = _SHOWN[candidate.form]
        one, two = (f"visible_fraction(object({a}), view({index}))" for index in (0, 1))
        within = self.skill.levels[level].same_within
        same = f'if abs({one} - {two}) < {within} then "the same" else ' if "the same" in words else ""
        return Draft(
            program=f'{same}if {one} > {two} then "{FIRST}" else "{SECOND}"',
            templates=(
                "In which image do you see a larger part of the {a}?",
                "Which image shows a larger part of the {a}?",
                "In which image is a larger part of the {a} visible?",
                "In which image is less of the {a} hidden by other objects?",
                "In which image do other objects hide less of the {a}?",
                "Compare the two images. Which one shows a larger part of the {a}?",
                "Look at the {a} in both images. Which one shows a larger part of it?",
                "Both images show the {a}. In which one do other objects hide less of it?",
            ),
            slots=name_slots(evidence, (a,)),
            options=shuffled(words, rng),
            rule="Compare the fraction of the object that is visible, not its size in the image."
            + (f' "The same" means less than {100 * within:g} percentage points apart.' if same else ""),
        )


FIRST, SECOND = "Image 1", "Image 2"
_SHOWN = {"shown": (FIRST, SECOND), "shown or same": (FIRST, SECOND, "the same")}


def _answer(one: float, two: float, asked: VisibilityLevel) -> str:
    """The answer that these visible fractions give with the level's margin, "" if there is none."""
    if abs(one - two) >= asked.apart:
        return FIRST if one > two else SECOND
    same = asked.asks_same and abs(one - two) <= asked.same_within - SAME_MARGIN
    return "the same" if same else ""


def _inside(pose: Pose, camera: Camera, box: OrientedBox) -> bool:
    """Whether the object's box is entirely inside the image."""
    u, v, depth = project(pose, camera, corners(box))
    return bool((depth > 0).all() and (np.abs(u - 0.5) < 0.5).all() and (np.abs(v - 0.5) < 0.5).all())


FAMILIES = (ObjectMatch(), VisibilityCompare())
