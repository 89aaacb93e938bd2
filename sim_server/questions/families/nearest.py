"""The nearest of several options: which candidates are valid, and how the answers stay balanced.

Small objects are closest to small ones on the same furniture, and objects on walls to almost nothing. Some furniture is
closest to almost everything in a room, such as a table in its middle. A reader who knows that needs no image. So all
options of a candidate are small, or hang, or stand on the floor. Candidates with the usual answer, the option that is
closest to most objects of the room, are asked no more often than a uniform guess would be right.
"""

from __future__ import annotations

from itertools import combinations
from typing import Optional, Sequence

import numpy as np

from protocol.tasks.scene import SceneDescription, SceneObject
from sim_server.questions.families.rules import SEPARATE, Comparable, stance
from sim_server.questions.family import Findings, Target
from sim_server.questions.geometry import Array, box_distance_m, longest_m, point_box_distance
from sim_server.questions.nouns import painted

USUAL, UNUSUAL = "usual", "unusual"


def draw_expectation(options: int, rng: np.random.Generator, previous: Optional[Target]) -> str:
    """Whether the answer is to be the usual one, with the probability of a uniform guess among the options."""
    if previous is not None:
        return previous.key
    return USUAL if rng.uniform() < 1 / options else UNUSUAL


def judge_nearest(
    anchors: Sequence[SceneObject],
    items: Sequence[SceneObject],
    options: int,
    gap_m: float,
    description: SceneDescription,
    findings: Findings,
) -> None:
    """Judge the candidates (anchor, nearest option, other options …) with options among these items.

    The key tells whether the answer is usual among the `anchors` and the other objects of its kind in the room: small
    ones if all anchors are small.
    """
    comparable, usual = Comparable(description), _Usual(description, anchors)
    for anchor in anchors:
        alike: dict[str, list[tuple[float, int]]] = {}
        for item in items:
            if item is not anchor and comparable(anchor, item):
                alike.setdefault(stance(item), []).append((box_distance_m(anchor.box, item.box), item.id))
        if max(map(len, alike.values()), default=0) < options:
            findings.reject(f"fewer than {options} objects to compare ({SEPARATE})")
        for chosen in (chosen for near in alike.values() for chosen in combinations(sorted(near), options)):
            margin = min(after[0] - before[0] for before, after in zip(chosen, chosen[1:]))
            if margin < gap_m:
                findings.reject(f"the distances of two options differ by less than {gap_m:.2f} m")
                continue
            keys = tuple(key for _, key in chosen)
            for expectation in usual(anchor.id, keys):
                findings.accept(expectation, (anchor.id, *keys), margin)


class _Usual:
    """Which of some options is closest to most objects of a room.

    Distances are measured from the centre of an object to the box of an option in a home, where large furniture is
    close to much, and to its centre in a painted scene.
    """

    def __init__(self, description: SceneDescription, anchors: Sequence[SceneObject]) -> None:
        bound_m = max((longest_m(item.box) for item in anchors), default=0.0)
        self._ids = {item.id: at for at, item in enumerate(description.objects)}
        centres = np.array([item.box.centre_m for item in description.objects])
        if painted(description):
            apart_m = np.linalg.norm(centres[:, None] - centres[None], axis=2)
        else:
            apart_m = np.stack([point_box_distance(centres, item.box) for item in description.objects], axis=1)
        rooms = np.array([item.room_id for item in description.objects])
        alike = np.array([longest_m(item.box) <= bound_m for item in description.objects])
        self._apart_m: Array = np.where((rooms[:, None] == rooms) & alike[:, None], apart_m, np.inf)

    def __call__(self, anchor: int, options: tuple[int, ...]) -> tuple[str, ...]:
        """USUAL or UNUSUAL for the first option as an answer, both if other anchors do not tell."""
        columns = [self._ids[key] for key in options]
        distances = self._apart_m[:, columns]
        others = np.flatnonzero(np.isfinite(distances).all(axis=1))
        others = others[~np.isin(others, [self._ids[anchor], *columns])]
        if not len(others):
            return (USUAL, UNUSUAL)
        times = np.bincount(distances[others].argmin(axis=1), minlength=len(options))
        if times[0] == times.max():
            return (USUAL, UNUSUAL) if times[0] == times[1:].max() else (USUAL,)
        return (UNUSUAL,)
