"""One thing in two pictures: object_match (where it is in the second), visibility_compare (which hides less of it)."""

from __future__ import annotations

from itertools import permutations
from typing import Optional

import numpy as np

from protocol.seeds import pick
from protocol.tasks.scene import Camera, OrientedBox, Pose, SceneDescription
from protocol.tasks.task import TaskSpec
from sim_server.backends.base import Scene
from sim_server.questions.evidence import EVIDENCE_SENSORS, Evidence, ViewEvidence, unique_names
from sim_server.questions.families.rules import AMBIGUOUS, RELATE, Clarity, draw_objects, uniquely_named
from sim_server.questions.families.single.perceive import CELL_MARGIN, CELLS, cell_margin
from sim_server.questions.family import Candidate, Draft, Findings, Target, draw_key, name_slots, shuffled
from sim_server.questions.geometry import Array, corners, project
from sim_server.questions.language.functions.words import grid_cell
from sim_server.questions.views.sets import first_fitting, shots_of
from sim_server.questions.views.viewpoints import CROUCHED_M, NO_PLACE, draw_poses, focus_of, probe

MATCH_OPTIONS = (2, 2, 2, 3, 3)
TURNED_DEG = (10.0, 25.0, 40.0, 55.0, 70.0)  # between the directions from which the two cameras see the thing

SHOWN_GAP = (0.40, 0.30, 0.25, 0.18, 0.12)  # between the unoccluded fractions in the two pictures
SAME_SHOWN = 0.05  # fractions closer than this are "the same"
SAME_SHOWN_MARGIN = 0.02
SAME_SHOWN_FROM_LEVEL = 2
FOUND = Clarity(0.08, 0.002)  # a thing can be compared in a picture that shows this much of it
_MOST_PLACES = 10  # standing points whose pictures are compared


class ObjectMatch:
    """A thing named by its place in the first picture: where is it in the second?"""

    name = "object_match"
    views = 2

    def plan(
        self, description: SceneDescription, level: int, rng: np.random.Generator, kept: Optional[Target] = None
    ) -> Target:
        key = draw_key(CELLS, rng, kept)
        row, column = divmod(CELLS.index(key), 3)
        focus = draw_objects(description.objects, 1, rng, self.name)
        return Target(key, focus, ((column + 0.5) / 3, (row + 0.5) / 3), str(MATCH_OPTIONS[level]))

    def poses(
        self, scene: Scene, spec: TaskSpec, plan: Target, rng: np.random.Generator, found: Findings
    ) -> Optional[tuple[Pose, ...]]:
        """Of poses that look at the thing a pair whose small pictures hold the answer."""
        focus = focus_of(scene, plan.focus)
        row, column = rng.integers(3, size=2).tolist()
        firsts = draw_poses(scene, spec.camera, focus, rng, ((column + 0.5) / 3, (row + 0.5) / 3))
        seconds = draw_poses(scene, spec.camera, focus, rng, plan.at)
        if not firsts or not seconds:
            found.refuse(NO_PLACE)
            return None
        shots = shots_of(scene, spec.camera, [*firsts, *seconds])
        pairs = [(a, len(firsts) + b) for a in range(len(firsts)) for b in range(len(seconds))]
        return first_fitting(self, spec, plan, shots, shuffled(pairs, rng), found)

    def propose(self, world: Evidence, level: int, found: Findings) -> None:
        first, second = world.views[:2]
        least = MATCH_OPTIONS[level]
        here, there = _cells(first, CELL_MARGIN[level]), _cells(second, CELL_MARGIN[level])
        alone = [grid_cell(truth.u, truth.v) for truth in first.seen.values()]
        for key in here:
            centre = np.asarray(world.objects[key].box.centre_m)
            eyes = np.asarray([second.pose.position_m])
            turned_deg = float(_turned_deg(np.asarray(first.pose.position_m), eyes, centre)[0])
            if alone.count(here[key]) > 1:
                found.refuse("two things share a part of the first picture")
            elif key not in there:
                found.refuse(f"the second picture shows the thing less than {RELATE}, or on a cell's border")
            elif len(_others(second, there[key])) < least - 1:
                found.refuse(f"the second picture has things in fewer than {least} of its parts")
            elif turned_deg < TURNED_DEG[level]:
                found.refuse(f"the cameras see the thing from directions less than {TURNED_DEG[level]:g} degrees apart")
            else:
                found.accept(there[key], (key,), turned_deg, str(least))
        if not here:
            found.refuse(f"the first picture shows no thing at {RELATE} away from a cell's border")

    def draft(self, world: Evidence, candidate: Candidate, rng: np.random.Generator) -> Draft:
        (a,) = candidate.objects
        truth = world.views[0].seen[a]
        others = _others(world.views[1], candidate.key)
        drawn = shuffled(others, rng)[: int(candidate.form) - 1]
        options = [candidate.key, *drawn]
        return Draft(
            program=f"grid_cell(image_x(object({a}), view(1)), image_y(object({a}), view(1)))",
            templates=(
                "look at the {a} in the first picture . where is it in the second picture ?",
                "where in the second picture is the {a} of the first picture ?",
                "which part of the second picture shows the {a} of the first picture ?",
                "see the {a} in the first picture . in which part of the second picture is it ?",
                "in the second picture , where is the {a} of the first picture ?",
            ),
            slots={"a": (a, f"thing at the {grid_cell(truth.u, truth.v)}")},
            options=shuffled(options, rng),
        )


def _cells(view: ViewEvidence, margin: float) -> dict[int, str]:
    """The cell of every clear object whose pixels' middle keeps this margin from the cells' borders."""
    return {
        key: grid_cell(truth.u, truth.v)
        for key, truth in view.seen.items()
        if RELATE.holds(key, view) and cell_margin(truth) >= margin
    }


def _others(view: ViewEvidence, cell: str) -> list[str]:
    """The other cells in which this view clearly shows a thing."""
    return sorted(set(_cells(view, 0.0).values()) - {cell})


def _turned_deg(first_m: Array, eyes: Array, centre_m: Array) -> Array:
    """Degrees on the floor plan between the directions in which the first camera and eyes [P, 3] see a point, [P]."""
    fx, fz = (centre_m - first_m)[[0, 2]]
    ex, ez = (centre_m - eyes)[:, [0, 2]].T
    return np.degrees(np.abs(np.arctan2(fx * ez - fz * ex, fx * ex + fz * ez)))


class VisibilityCompare:
    """In which of two pictures less of an object is hidden by other things."""

    name = "visibility_compare"
    views = 2

    def plan(
        self, description: SceneDescription, level: int, rng: np.random.Generator, kept: Optional[Target] = None
    ) -> Target:
        form = _shown_form(level)
        key = draw_key(_SHOWN[form], rng, kept)
        return Target(key=key, focus=draw_objects(uniquely_named(description), 1, rng, self.name), form=form)

    def poses(
        self, scene: Scene, spec: TaskSpec, plan: Target, rng: np.random.Generator, found: Findings
    ) -> Optional[tuple[Pose, ...]]:
        """Of the places that look at the object two that show as much of it as the plan wants, by small renderings."""
        (item,) = focus_of(scene, plan.focus)
        poses = draw_poses(scene, spec.camera, [item], rng, height_m=CROUCHED_M)
        poses = [pose for pose in poses if _whole(pose, spec.camera, item.box)][:_MOST_PLACES]
        world = Evidence.of(scene.description, scene.render(poses, probe(spec.camera), EVIDENCE_SENSORS))
        shown = [view.seen[item.id].visible_fraction if item.id in view.seen else 0.0 for view in world.views]
        fitting = [
            (a, b)
            for a, b in permutations(range(len(poses)), 2)
            if min(shown[a], shown[b]) > FOUND.fraction and _answer(shown[a], shown[b], spec.question.level) == plan.key
        ]
        if not fitting:
            found.refuse("no two standing points show as much of the object as the answer wants")
            return None
        # Of pairs that show the same, those that hide something: two pictures that hide nothing ask for less.
        hiding = [pair for pair in fitting if plan.key != "the same" or shown[pair[0]] < 0.95] or fitting
        a, b = pick(hiding, rng)
        return (poses[a], poses[b])

    def propose(self, world: Evidence, level: int, found: Findings) -> None:
        first, second = world.views[:2]
        names = unique_names(world)
        for key in first.seen.keys() & second.seen.keys():
            item, one, two = world.objects[key], first.seen[key], second.seen[key]
            key_of = _answer(one.visible_fraction, two.visible_fraction, level)
            if key not in names:
                found.refuse(AMBIGUOUS)
            elif not all(_whole(view.pose, view.camera, item.box) and key not in view.cut for view in (first, second)):
                found.refuse("an object reaches beyond the frame")
            elif not (FOUND.holds(key, first) and FOUND.holds(key, second)):
                found.refuse(f"an object shows less than {FOUND}")
            elif not key_of:
                found.refuse(f"what the pictures show of an object differs by less than {SHOWN_GAP[level]}")
            else:
                gap = abs(one.visible_fraction - two.visible_fraction)
                margin = SAME_SHOWN - gap if key_of == "the same" else gap - SAME_SHOWN
                found.accept(key_of, (key,), margin, _shown_form(level))

    def draft(self, world: Evidence, candidate: Candidate, rng: np.random.Generator) -> Draft:
        (a,) = candidate.objects
        words = _SHOWN[candidate.form]
        one, two = (f"visible_fraction(object({a}), view({index}))" for index in (0, 1))
        same = f'if abs({one} - {two}) < {SAME_SHOWN} then "the same" else ' if "the same" in words else ""
        return Draft(
            program=f'{same}if {one} > {two} then "first" else "second"',
            templates=(
                "in which picture do you see a larger part of the {a} ?",
                "which picture shows a larger part of the {a} ?",
                "from which camera do you see a larger part of the {a} ?",
                "look at the {a} in each picture . which one shows a larger part of it ?",
                "of which picture is it true that a larger part of the {a} is to be seen ?",
            ),
            slots=name_slots(world, (a,)),
            options=shuffled(words, rng),
        )


_SHOWN = {"shown": ("first", "second"), "shown or same": ("first", "second", "the same")}


def _shown_form(level: int) -> str:
    return "shown or same" if level >= SAME_SHOWN_FROM_LEVEL else "shown"


def _answer(one: float, two: float, level: int) -> str:
    """The answer that these fractions give with the level's margin, "" where none."""
    if abs(one - two) >= SHOWN_GAP[level]:
        return "first" if one > two else "second"
    same = level >= SAME_SHOWN_FROM_LEVEL and abs(one - two) <= SAME_SHOWN - SAME_SHOWN_MARGIN
    return "the same" if same else ""


def _whole(pose: Pose, camera: Camera, box: OrientedBox) -> bool:
    """Whether the object's box lies wholly in the frame."""
    u, v, depth = project(pose, camera, corners(box))
    return bool((depth > 0).all() and (np.abs(u - 0.5) < 0.5).all() and (np.abs(v - 0.5) < 0.5).all())
