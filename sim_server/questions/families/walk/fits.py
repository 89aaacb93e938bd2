"""fits: is there room for a thing of this size between two others."""

from __future__ import annotations

from itertools import combinations
from typing import Optional, Sequence

import numpy as np

from protocol.errors import Infeasible
from protocol.seeds import pick
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
MARGIN_M = (0.50, 0.40, 0.30, 0.20, 0.15)  # a thing larger by as much fits too, one smaller by as much does not either
FLOOR_SEEN = 0.5  # of a free square's floor is shown by one of the views at least
WIDEST_GAP_M = 4.0
_GRID = np.stack(np.meshgrid(np.linspace(-0.45, 0.45, 7), np.linspace(-0.45, 0.45, 7)), -1).reshape(-1, 2)


class Fits:
    name = "fits"
    views = 1
    looks_around = True

    def plan(
        self, description: SceneDescription, level: int, rng: np.random.Generator, kept: Optional[Target] = None
    ) -> Target:
        need_rooms(description, self.name)
        pairs = list(combinations([item.id for item in uniquely_named(description)], 2))
        if kept is not None:
            for index in rng.permutation(len(pairs)):
                a, b = pairs[index]
                if verdict(description, a, b, float(kept.form), level) == kept.key:
                    return Target(key=kept.key, focus=(a, b), form=kept.form)
        # Size and answer are drawn apart from each other, among sizes that give either: the size tells nothing.
        found: dict[tuple[float, str], list[tuple[int, int]]] = {}
        for a, b in pairs:
            for side_m, key in verdicts(description, a, b, level):
                found.setdefault((side_m, key), []).append((a, b))
        sizes = [side_m for side_m in SIZES_M if (side_m, "yes") in found and (side_m, "no") in found]
        if not sizes:
            raise Infeasible(
                f"{self.name} level {level}: no thing clearly fits between some objects and not between others"
            )
        side_m, key = pick(sizes, rng), pick(("yes", "no"), rng)
        fitting = found[side_m, key]
        return Target(key=key, focus=pick(fitting, rng), form=f"{side_m}")

    def poses(
        self, scene: Scene, spec: TaskSpec, plan: Target, rng: np.random.Generator, found: Findings
    ) -> Optional[Staging]:
        return survey(self, scene, spec, plan, rng, found, (float(plan.form),))

    def propose(self, world: Evidence, level: int, found: Findings) -> None:
        everything = world.with_hidden()
        clear = prominent_anywhere(everything, found)
        (a, b), (side_m,) = world.about, world.numbers
        if a not in clear or b not in clear:
            found.refuse("one of the two objects is not shown clearly")
            return
        key = verdict(world.description, a, b, side_m, level)
        between = gap(world.objects[a].box, world.objects[b].box)
        if key is None or between is None:
            found.refuse(f"a thing {MARGIN_M[level]} m larger or smaller would be another matter")
        elif key == "yes" and floor_seen(everything, between, side_m) < FLOOR_SEEN:
            found.refuse(f"the views show less than {FLOOR_SEEN:.0%} of the free floor")
        elif key == "no" and not self._seen_why(everything, between, side_m - MARGIN_M[level], set(clear)):
            found.refuse("what stands in the way is not shown clearly")
        else:
            found.accept(key, (a, b), MARGIN_M[level], f"{side_m}", (side_m,))

    @staticmethod
    def _seen_why(world: Evidence, between: Gap, side_m: float, clear: set[int]) -> bool:
        """Whether one can see that not even the smaller thing fits: the gap is too narrow, or what is in it shows."""
        if side_m > between.width_m:
            return True
        room = room_around(world.description, between, side_m)
        if room is None:
            return False
        return any(item.id in clear for item in blockers(world.description, square(between, side_m), room.floor_y_m))

    def draft(self, world: Evidence, candidate: Candidate, rng: np.random.Generator) -> Draft:
        a, b = candidate.objects
        (side_m,) = candidate.numbers
        thing = f"a box {side_m:g} m wide and {side_m:g} m long"
        options = ("yes", "no") if rng.integers(2) else ("no", "yes")
        return Draft(
            program=f"fits_between(object({a}), object({b}), {side_m:g})",
            templates=(
                f"is there room in the middle between the {{a}} and the {{b}} for {thing} ?",
                f"would {thing} have room in the middle between the {{a}} and the {{b}} ?",
                f"{thing} is to stand in the middle between the {{a}} and the {{b}} . is there room for it ?",
                f"between the {{a}} and the {{b}} , in the middle , is there room for {thing} ?",
                f"is the middle of the way from the {{a}} to the {{b}} large enough for {thing} ?",
            ),
            slots=name_slots(world, candidate.objects),
            options=options,
        )


def verdict(description: SceneDescription, a: int, b: int, side_m: float, level: int) -> Optional[str]:
    """ "yes" where a thing larger by the margin fits too, "no" where one smaller by it does not, else None.

    Both objects stand on the floor of one room, within WIDEST_GAP_M.
    """
    return next((word for _, word in verdicts(description, a, b, level, (side_m,))), None)


def verdicts(
    description: SceneDescription, a: int, b: int, level: int, sizes_m: Sequence[float] = SIZES_M
) -> list[tuple[float, str]]:
    """The `verdict` of each of these sizes that has one."""
    objects = {item.id: item for item in description.objects}
    first, second, margin_m = objects[a], objects[b], MARGIN_M[level]
    if first.room_id != second.room_id or first.support_id or second.support_id:
        return []
    between = gap(first.box, second.box)
    if between is None or between.width_m > WIDEST_GAP_M:
        return []
    room = room_around(description, between, 0.01)
    if room is None or not all(takes_floor(item, room.floor_y_m) for item in (first, second)):
        return []
    sizes_m = [side_m for side_m in sizes_m if side_m > margin_m]
    # What holds a larger square holds a smaller one: the largest that is free says all.
    largest_m = largest_free(description, between, {side_m + sign * margin_m for side_m in sizes_m for sign in (-1, 1)})
    sure = [(side_m, "yes") for side_m in sizes_m if largest_m >= side_m + margin_m]
    return sure + [(side_m, "no") for side_m in sizes_m if largest_m < side_m - margin_m]


def floor_seen(world: Evidence, between: Gap, side_m: float) -> float:
    """Share of points of the square's floor that some view shows: whose pixel is as far away as the floor there."""
    room = room_around(world.description, between, side_m)
    assert room is not None
    along = np.array(between.along)
    flat = np.array(between.middle_xz_m) + (_GRID * side_m) @ np.stack([along, np.array([-along[1], along[0]])])
    points = np.stack([flat[:, 0], np.full(len(flat), room.floor_y_m), flat[:, 1]], -1)
    seen = np.zeros(len(points), bool)
    for view in world.views:
        seen |= _shows(view, points)
    return float(seen.mean())


def _shows(view: ViewEvidence, points_m: np.ndarray) -> np.ndarray:
    u, v, depth_m = project(view.pose, view.camera, points_m)
    height, width = view.ids.shape
    rows = np.clip((v * height).astype(int), 0, height - 1)
    columns = np.clip((u * width).astype(int), 0, width - 1)
    return in_frame(u, v, depth_m) & (np.abs(view.depth_m[rows, columns] - depth_m) < 0.05 + 0.05 * depth_m)
