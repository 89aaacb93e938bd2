"""fits: whether there is room for a box of a given size between two objects."""

from __future__ import annotations

from itertools import combinations
from typing import Optional, Sequence

import numpy as np

from protocol.errors import Infeasible
from protocol.seeds import pick
from protocol.skills.space import FITS
from protocol.tasks.scene import SceneDescription
from protocol.tasks.task import TaskSpec
from sim_server.backends.base import Scene
from sim_server.questions.evidence import Evidence, ViewEvidence
from sim_server.questions.families.rules import need_rooms, prominent_anywhere, uniquely_named
from sim_server.questions.family import Candidate, Draft, Findings, Target, name_slots
from sim_server.questions.floor import Gap, blockers, gap, largest_free, room_around, square, takes_floor
from sim_server.questions.geometry import in_frame, project
from sim_server.questions.staging import Staging
from sim_server.questions.views.walks import survey

SIZES_M = (0.6, 0.8, 1.0, 1.2, 1.4, 1.6)
_RULE = (
    "The middle of the box is halfway between the closest points of the two objects on a floor plan, and one of its "
    "sides is parallel to the line between those points. The box must not overlap a wall or an object on the floor "
    "other than a rug."
)
FLOOR_SEEN = 0.5  # least fraction of a free square's floor that the views show
WIDEST_GAP_M = 4.0
_GRID = np.stack(np.meshgrid(np.linspace(-0.45, 0.45, 7), np.linspace(-0.45, 0.45, 7)), -1).reshape(-1, 2)


class Fits:
    """Whether a box of a given size fits midway between two objects."""

    skill = FITS
    views = 1

    def target(
        self, description: SceneDescription, level: int, rng: np.random.Generator, previous: Optional[Target] = None
    ) -> Target:
        need_rooms(description, self.skill.name)
        margin_m = self.skill.levels[level].margin_m
        pairs = list(combinations([item.id for item in uniquely_named(description)], 2))
        if previous is not None:
            (side_m,) = previous.numbers
            for index in rng.permutation(len(pairs)):
                a, b = pairs[index]
                if verdict(description, a, b, side_m, margin_m) == previous.key:
                    return Target(key=previous.key, focus=(a, b), numbers=previous.numbers)
        # Size and answer are drawn independently among the sizes that allow both, so that the size gives nothing away.
        by_answer: dict[tuple[float, str], list[tuple[int, int]]] = {}
        for a, b in pairs:
            for side_m, key in verdicts(description, a, b, margin_m):
                by_answer.setdefault((side_m, key), []).append((a, b))
        sizes = [side_m for side_m in SIZES_M if (side_m, "yes") in by_answer and (side_m, "no") in by_answer]
        if not sizes:
            raise Infeasible(
                f"{self.skill.name} level {level}: no box clearly fits between some objects and not between others"
            )
        side_m, key = pick(sizes, rng), pick(("yes", "no"), rng)
        fitting = by_answer[side_m, key]
        return Target(key=key, focus=pick(fitting, rng), numbers=(side_m,))

    def poses(
        self, scene: Scene, spec: TaskSpec, target: Target, rng: np.random.Generator, findings: Findings
    ) -> Optional[Staging]:
        return survey(self, scene, spec, target, rng, findings)

    def judge(self, evidence: Evidence, level: int, findings: Findings) -> None:
        everything, margin_m = evidence.with_hidden(), self.skill.levels[level].margin_m
        clear = prominent_anywhere(everything, findings)
        (a, b), (side_m,) = evidence.about, evidence.numbers
        if a not in clear or b not in clear:
            findings.reject("one of the two objects is not shown clearly")
            return
        key = verdict(evidence.description, a, b, side_m, margin_m)
        between = gap(evidence.objects[a].box, evidence.objects[b].box)
        if key is None or between is None:
            findings.reject(f"the answer changes for a box {margin_m} m larger or smaller")
        elif key == "yes" and floor_seen(everything, between, side_m) < FLOOR_SEEN:
            findings.reject(f"the views show less than {FLOOR_SEEN:.0%} of the free floor")
        elif key == "no" and not self._shows_why(everything, between, side_m - margin_m, set(clear)):
            findings.reject("the obstacle is not shown clearly")
        else:
            findings.accept(key, (a, b), margin_m, "", (side_m,))

    @staticmethod
    def _shows_why(evidence: Evidence, between: Gap, side_m: float, clear: set[int]) -> bool:
        """Whether the views show why not even the smaller box fits: a narrow gap, or a clearly visible obstacle."""
        if side_m > between.width_m:
            return True
        room = room_around(evidence.description, between, side_m)
        if room is None:
            return False
        return any(item.id in clear for item in blockers(evidence.description, square(between, side_m), room.floor_y_m))

    def draft(self, evidence: Evidence, candidate: Candidate, _level: int, rng: np.random.Generator) -> Draft:
        a, b = candidate.objects
        (side_m,) = candidate.numbers
        box = f"a box {side_m:g} m wide and {side_m:g} m long"
        options = ("yes", "no") if rng.integers(2) else ("no", "yes")
        return Draft(
            program=f"fits_between(object({a}), object({b}), {side_m:g})",
            templates=(
                f"Is there room for {box} midway between the {{a}} and the {{b}}?",
                f"Is there enough room for {box} midway between the {{a}} and the {{b}}?",
                f"Would {box} fit midway between the {{a}} and the {{b}}?",
                f"Does {box} fit on the floor midway between the {{a}} and the {{b}}?",
                f"Could you put {box} midway between the {{a}} and the {{b}}?",
                f"Midway between the {{a}} and the {{b}}, is there room for {box}?",
                f"You want to put {box} midway between the {{a}} and the {{b}}. Is there enough room?",
                f"Is the floor midway between the {{a}} and the {{b}} free for {box}?",
            ),
            slots=name_slots(evidence, candidate.objects),
            options=options,
            rule=_RULE,
        )


def verdict(description: SceneDescription, a: int, b: int, side_m: float, margin_m: float) -> Optional[str]:
    """ "yes" if a box larger by the margin fits too, "no" if a box smaller by the margin does not, else None.

    Both objects must stand on the floor of one room, within WIDEST_GAP_M of each other.
    """
    return next((word for _, word in verdicts(description, a, b, margin_m, (side_m,))), None)


def verdicts(
    description: SceneDescription, a: int, b: int, margin_m: float, sizes_m: Sequence[float] = SIZES_M
) -> list[tuple[float, str]]:
    """The `verdict` of each of these sizes that has one."""
    objects = {item.id: item for item in description.objects}
    first, second = objects[a], objects[b]
    if first.room_id != second.room_id or first.support_id or second.support_id:
        return []
    between = gap(first.box, second.box)
    if between is None or between.width_m > WIDEST_GAP_M:
        return []
    room = room_around(description, between, 0.01)
    if room is None or not all(takes_floor(item, room.floor_y_m) for item in (first, second)):
        return []
    sizes_m = [side_m for side_m in sizes_m if side_m > margin_m]
    # Space for a square is space for any smaller one, so the largest free square decides all sizes.
    largest_m = largest_free(description, between, {side_m + sign * margin_m for side_m in sizes_m for sign in (-1, 1)})
    sure = [(side_m, "yes") for side_m in sizes_m if largest_m >= side_m + margin_m]
    return sure + [(side_m, "no") for side_m in sizes_m if largest_m < side_m - margin_m]


def floor_seen(evidence: Evidence, between: Gap, side_m: float) -> float:
    """Fraction of the square's floor that some view shows, by points whose pixel has the depth of the floor."""
    room = room_around(evidence.description, between, side_m)
    assert room is not None
    along = np.array(between.along)
    flat = np.array(between.middle_xz_m) + (_GRID * side_m) @ np.stack([along, np.array([-along[1], along[0]])])
    points = np.stack([flat[:, 0], np.full(len(flat), room.floor_y_m), flat[:, 1]], -1)
    seen = np.zeros(len(points), bool)
    for view in evidence.views:
        seen |= _shows(view, points)
    return float(seen.mean())


def _shows(view: ViewEvidence, points_m: np.ndarray) -> np.ndarray:
    u, v, depth_m = project(view.pose, view.camera, points_m)
    height, width = view.ids.shape
    rows = np.clip((v * height).astype(int), 0, height - 1)
    columns = np.clip((u * width).astype(int), 0, width - 1)
    return in_frame(u, v, depth_m) & (np.abs(view.depth_m[rows, columns] - depth_m) < 0.05 + 0.05 * depth_m)


FAMILIES = (Fits(),)
