"""Relations in the picture of one view: view_direction (left/right, above/below) and depth_order (nearer,
farther, the same)."""

from __future__ import annotations

from itertools import permutations
from typing import Optional

import numpy as np

from protocol.seeds import pick
from protocol.tasks.scene import SceneDescription
from sim_server.questions.evidence import Evidence
from sim_server.questions.families.rules import draw_objects, prominent, uniquely_named
from sim_server.questions.family import Candidate, Draft, Findings, Target, draw_key, name_slots, shuffled
from sim_server.questions.views.viewpoints import SingleView

SEPARATION = (0.30, 0.22, 0.15, 0.10, 0.06)  # between centroids, as a share of the picture's width or height
VERTICAL_FROM_LEVEL = 2
DEPTH_GAP = (0.40, 0.30, 0.22, 0.15, 0.10)  # of the farther object's depth
SAME_DEPTH_M = 0.15  # closer than this is "the same depth" at any level
SAME_FROM_LEVEL = 3  # from here on "the same" is asked too: medians this close by a margin, centres not far apart
SAME_MARGIN_M, SAME_CENTRES_M = 0.05, 0.30

_FORMS = {
    "horizontal": ("left", "right"),
    "vertical": ("above", "below"),
    "depth": ("nearer", "farther"),
    "depth or same": ("nearer", "farther", "the same"),
}


def _plan(
    name: str, forms: list[str], description: SceneDescription, rng: np.random.Generator, kept: Optional[Target]
) -> Target:
    form = kept.form if kept else pick(forms, rng)
    key = draw_key(_FORMS[form], rng, kept)
    return Target(key=key, focus=draw_objects(uniquely_named(description), 2, rng, name), form=form)


def _depth_form(level: int) -> str:
    return "depth or same" if level >= SAME_FROM_LEVEL else "depth"


class ViewDirection(SingleView):
    """On which side of b is a, in the picture and in the camera's frame."""

    name = "view_direction"

    def plan(
        self, description: SceneDescription, level: int, rng: np.random.Generator, kept: Optional[Target] = None
    ) -> Target:
        forms = ["horizontal", "vertical"] if level >= VERTICAL_FROM_LEVEL else ["horizontal"]
        return _plan(self.name, forms, description, rng, kept)

    def propose(self, world: Evidence, level: int, found: Findings) -> None:
        view = world.views[0]
        least = SEPARATION[level]
        for a, b in permutations(prominent(world, view, found), 2):
            seen_a, seen_b = view.seen[a], view.seen[b]
            centre_a, centre_b = view.centres[a], view.centres[b]
            across, along = seen_a.u - seen_b.u, centre_a[0] - centre_b[0]
            if abs(across) < least:
                found.refuse(f"two objects are less than {least:.2f} of the picture's width apart")
            elif across * along <= 0:
                found.refuse("what is visible of two objects is on the other side than the objects")
            else:
                found.accept("left" if across < 0 else "right", (a, b), abs(across), "horizontal")
            if level < VERTICAL_FROM_LEVEL:
                continue
            down, centre_down = seen_a.v - seen_b.v, centre_a[1] - centre_b[1]
            if abs(down) < least:
                found.refuse(f"two objects are less than {least:.2f} of the picture's height apart")
            elif down * centre_down <= 0:
                found.refuse("what is visible of two objects is on the other side than the objects")
            else:
                found.accept("above" if down < 0 else "below", (a, b), abs(down), "vertical")

    def draft(self, world: Evidence, candidate: Candidate, rng: np.random.Generator) -> Draft:
        a, b = candidate.objects
        axis = "image_x" if candidate.form == "horizontal" else "image_y"
        first, second = _FORMS[candidate.form]
        return Draft(
            program=f'if {axis}(object({a}), view(0)) < {axis}(object({b}), view(0)) then "{first}" else "{second}"',
            templates=(
                "in the picture , where is the {a} from the {b} ?",
                "where in the picture is the {a} from the {b} ?",
                "in the picture , on which side of the {b} is the {a} ?",
                "on which side of the {b} is the {a} in the picture ?",
                "look at the picture . where is the {a} from the {b} ?",
            ),
            slots=name_slots(world, candidate.objects),
            options=shuffled(_FORMS[candidate.form], rng),
        )


class DepthOrder(SingleView):
    """Is a nearer to the camera than b, or farther, or at the same depth."""

    name = "depth_order"

    def plan(
        self, description: SceneDescription, level: int, rng: np.random.Generator, kept: Optional[Target] = None
    ) -> Target:
        return _plan(self.name, [_depth_form(level)], description, rng, kept)

    def propose(self, world: Evidence, level: int, found: Findings) -> None:
        view = world.views[0]
        for a, b in permutations(prominent(world, view, found), 2):
            depth_a, depth_b = view.seen[a].depth_m, view.seen[b].depth_m
            gap_m = depth_a - depth_b
            relative = abs(gap_m) / max(depth_a, depth_b)
            along_m = view.centres[a][2] - view.centres[b][2]
            if level >= SAME_FROM_LEVEL and abs(gap_m) <= SAME_DEPTH_M - SAME_MARGIN_M:
                if abs(along_m) > SAME_CENTRES_M:
                    found.refuse("what is visible of two objects is level in depth, the objects are not")
                else:
                    found.accept("the same", (a, b), SAME_DEPTH_M - abs(gap_m), _depth_form(level))
            elif relative < DEPTH_GAP[level] or abs(gap_m) < SAME_DEPTH_M:
                found.refuse(f"two depths differ by less than {DEPTH_GAP[level]:.0%} or {SAME_DEPTH_M} m")
            elif gap_m * along_m <= 0:
                found.refuse("what is visible of two objects is in another order than the objects")
            else:
                found.accept("nearer" if gap_m < 0 else "farther", (a, b), relative, _depth_form(level))

    def draft(self, world: Evidence, candidate: Candidate, rng: np.random.Generator) -> Draft:
        a, b = candidate.objects
        depth_a, depth_b = f"depth(object({a}), view(0))", f"depth(object({b}), view(0))"
        same = f'if abs({depth_a} - {depth_b}) < {SAME_DEPTH_M} then "the same" else '
        same = same if "the same" in _FORMS[candidate.form] else ""
        return Draft(
            program=same + f'if {depth_a} < {depth_b} then "nearer" else "farther"',
            templates=(
                "how far is the {a} from the camera compared with the {b} ?",
                "compared with the {b} , how far is the {a} from the camera ?",
                "from the camera , how far is the {a} compared with the {b} ?",
                "how near is the {a} to the camera compared with the {b} ?",
                "how far from the camera is the {a} compared with the {b} ?",
            ),
            slots=name_slots(world, candidate.objects),
            options=shuffled(_FORMS[candidate.form], rng),
        )
