"""Relations in one image: view_direction (left, right, above, below) and depth_order (nearer, farther, the same).

In a home, neither heights in the image nor depths are compared of an object and one that carries it: the words alone
tell which of a lamp and a table is above, and a stack of books is as far away as its part of the bed.
"""

from __future__ import annotations

from itertools import permutations
from typing import Optional

import numpy as np

from protocol.seeds import pick
from protocol.skills.single import DEPTH_ORDER, VIEW_DIRECTION
from protocol.tasks.scene import SceneDescription
from sim_server.questions.evidence import Evidence
from sim_server.questions.families.rules import CARRIED, carries, draw_objects, prominent, uniquely_named
from sim_server.questions.family import Candidate, Draft, Findings, Target, draw_key, name_slots, shuffled
from sim_server.questions.nouns import painted
from sim_server.questions.views.viewpoints import SingleView

SAME_MARGIN_M = 0.05  # depths that are "the same" differ by this much less than the level's border
SAME_CENTRES_M = 0.30  # and the depths of the box centres by at most this
OTHER_SIDE = "the visible parts of two objects are on the opposite side to their centres"

_FORMS = {
    "horizontal": ("left", "right"),
    "vertical": ("above", "below"),
    "depth": ("nearer", "farther"),
    "depth or same": ("nearer", "farther", "the same"),
}
_SIDES = {
    "horizontal": (
        "In the image, where is the {a} relative to the {b}?",
        "Where is the {a} relative to the {b} in the image?",
        "Where in the image is the {a} relative to the {b}?",
        "In the image, on which side of the {b} is the {a}?",
        "On which side of the {b} is the {a} in the image?",
        "Look at the image. Where is the {a} relative to the {b}?",
        "Look at the image. On which side of the {b} is the {a}?",
        "Relative to the {b}, where in the image is the {a}?",
        "In the image, is the {a} to the left or right of the {b}?",
    ),
    "vertical": (
        "In the image, where is the {a} relative to the {b}?",
        "Where is the {a} relative to the {b} in the image?",
        "Where in the image is the {a} relative to the {b}?",
        "Look at the image. Where is the {a} relative to the {b}?",
        "Relative to the {b}, where in the image is the {a}?",
        "In the image, is the {a} above or below the {b}?",
        "Is the {a} above or below the {b} in the image?",
        "Look at the image. Is the {a} above or below the {b}?",
    ),
}
_SIDE_RULES = {
    "horizontal": "Left and right are as seen in the image. Compare the centers of the visible parts of the objects.",
    "vertical": '"Above" means higher up in the image. Compare the centers of the visible parts of the objects.',
}
_DEPTHS = (
    "Compared with the {b}, is the {a} nearer to the camera or farther away?",
    "Compared with the {b}, is the {a} nearer or farther from the camera?",
    "Is the {a} nearer to the camera or farther away than the {b}?",
    "Is the {a} nearer or farther from the camera than the {b}?",
    "Is the {a} nearer or farther than the {b}, seen from the camera?",
    "Seen from the camera, is the {a} nearer or farther than the {b}?",
    "From the camera, is the {a} nearer or farther than the {b}?",
    "How far is the {a} from the camera compared with the {b}?",
    "Compared with the {b}, how far is the {a} from the camera?",
)
_DEPTH_RULE = (
    "Compare the visible parts of the objects by their distance from the camera along the direction in which it looks."
)


def _target(
    name: str, forms: list[str], description: SceneDescription, rng: np.random.Generator, previous: Optional[Target]
) -> Target:
    form = previous.form if previous else pick(forms, rng)
    key = draw_key(_FORMS[form], rng, previous)
    return Target(key=key, focus=draw_objects(uniquely_named(description), 2, rng, name), form=form)


class ViewDirection(SingleView):
    """On which side of b is a, in the image."""

    skill = VIEW_DIRECTION

    def target(
        self, description: SceneDescription, level: int, rng: np.random.Generator, previous: Optional[Target] = None
    ) -> Target:
        forms = ["horizontal", "vertical"] if self.skill.levels[level].asks_vertical else ["horizontal"]
        return _target(self.skill.name, forms, description, rng, previous)

    def judge(self, evidence: Evidence, level: int, findings: Findings) -> None:
        view, in_home = evidence.views[0], not painted(evidence.description)
        asked = self.skill.levels[level]
        for a, b in permutations(prominent(evidence, view, findings), 2):
            seen_a, seen_b = view.seen[a], view.seen[b]
            centre_a, centre_b = view.centres[a], view.centres[b]
            across, along = seen_a.u - seen_b.u, centre_a[0] - centre_b[0]
            if abs(across) < asked.apart:
                findings.reject(f"two objects are less than {asked.apart:.2f} of the image width apart")
            elif across * along <= 0:
                findings.reject(OTHER_SIDE)
            else:
                findings.accept("left" if across < 0 else "right", (a, b), abs(across), "horizontal")
            if not asked.asks_vertical:
                continue
            if in_home and carries(evidence.objects, a, b):
                findings.reject(CARRIED)
                continue
            down, centre_down = seen_a.v - seen_b.v, centre_a[1] - centre_b[1]
            if abs(down) < asked.apart:
                findings.reject(f"two objects are less than {asked.apart:.2f} of the image height apart")
            elif down * centre_down <= 0:
                findings.reject(OTHER_SIDE)
            else:
                findings.accept("above" if down < 0 else "below", (a, b), abs(down), "vertical")

    def draft(self, evidence: Evidence, candidate: Candidate, _level: int, rng: np.random.Generator) -> Draft:
        a, b = candidate.objects
        axis = "image_x" if candidate.form == "horizontal" else "image_y"
        first, second = _FORMS[candidate.form]
        return Draft(
            program=f'if {axis}(object({a}), view(0)) < {axis}(object({b}), view(0)) then "{first}" else "{second}"',
            templates=_SIDES[candidate.form],
            slots=name_slots(evidence, candidate.objects),
            options=shuffled(_FORMS[candidate.form], rng),
            rule=_SIDE_RULES[candidate.form],
        )


class DepthOrder(SingleView):
    """Whether a is nearer to the camera than b, farther, or at the same depth."""

    skill = DEPTH_ORDER

    def target(
        self, description: SceneDescription, level: int, rng: np.random.Generator, previous: Optional[Target] = None
    ) -> Target:
        return _target(self.skill.name, [self._form(level)], description, rng, previous)

    def _form(self, level: int) -> str:
        return "depth or same" if self.skill.levels[level].asks_same else "depth"

    def judge(self, evidence: Evidence, level: int, findings: Findings) -> None:
        view, asked, form = evidence.views[0], self.skill.levels[level], self._form(level)
        in_home = not painted(evidence.description)
        for a, b in permutations(prominent(evidence, view, findings), 2):
            if in_home and carries(evidence.objects, a, b):
                findings.reject(CARRIED)
                continue
            depth_a, depth_b = view.seen[a].depth_m, view.seen[b].depth_m
            gap_m = depth_a - depth_b
            relative = abs(gap_m) / max(depth_a, depth_b)
            along_m = view.centres[a][2] - view.centres[b][2]
            if asked.asks_same and abs(gap_m) <= asked.same_within_m - SAME_MARGIN_M:
                if abs(along_m) > SAME_CENTRES_M:
                    findings.reject("the visible parts of two objects are at one depth, their centres are not")
                else:
                    findings.accept("the same", (a, b), asked.same_within_m - abs(gap_m), form)
            elif relative < asked.depth_gap or abs(gap_m) < asked.same_within_m:
                findings.reject(f"two depths differ by less than {asked.depth_gap:.0%} or {asked.same_within_m} m")
            elif gap_m * along_m <= 0:
                findings.reject("the visible parts of two objects are in the opposite order to their centres")
            else:
                findings.accept("nearer" if gap_m < 0 else "farther", (a, b), relative, form)

    def draft(self, evidence: Evidence, candidate: Candidate, level: int, rng: np.random.Generator) -> Draft:
        a, b = candidate.objects
        depth_a, depth_b = f"depth(object({a}), view(0))", f"depth(object({b}), view(0))"
        within_m = self.skill.levels[level].same_within_m
        same = f'if abs({depth_a} - {depth_b}) < {within_m} then "the same" else '
        same = same if "the same" in _FORMS[candidate.form] else ""
        return Draft(
            program=same + f'if {depth_a} < {depth_b} then "nearer" else "farther"',
            templates=_DEPTHS,
            slots=name_slots(evidence, candidate.objects),
            options=shuffled(_FORMS[candidate.form], rng),
            rule=_DEPTH_RULE
            + (f' "The same" means that they differ by less than {100 * within_m:g} cm.' if same else ""),
        )


FAMILIES = (ViewDirection(), DepthOrder())
