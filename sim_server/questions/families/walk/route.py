"""What comes of moves: route_plan (the turns along a way) and action_consequence (where a thing is after moves)."""

from __future__ import annotations

import math
from itertools import permutations, product
from typing import Optional, Sequence

import numpy as np

from protocol.errors import Infeasible
from protocol.seeds import pick
from protocol.tasks.scene import OrientedBox, Pose, SceneDescription, SceneObject, Vec3
from protocol.tasks.task import TaskSpec
from sim_server.backends.base import Scene
from sim_server.questions.evidence import Evidence
from sim_server.questions.families import sectors
from sim_server.questions.families.rules import need_objects, neighbours, prominent_anywhere, uniquely_named
from sim_server.questions.family import Candidate, Draft, Findings, Target, name_slots, object_list, shuffled
from sim_server.questions.floor import footprint
from sim_server.questions.geometry import floor_distance_m
from sim_server.questions.language.functions.moves import bearing_at, turn_on_route, turned, walked
from sim_server.questions.staging import Staging
from sim_server.questions.views.viewpoints import focus_of
from sim_server.questions.views.walks import NO_WAY, draw_walk, survey
from sim_server.sensing.observe import STEP_CHECK_M, can_stand

ROUTE_TURNS = (1, 1, 2, 2, 3)
ROUTE_WORDS = (("left", "right"), *[("left", "right", "back")] * 4)
TURN_MARGIN_DEG = (45.0, 30.0, 25.0, 15.0, 15.0)  # from straight ahead, and from 135 degrees, where "back" begins
LEG_M = 1.0  # at least, between the middles of two objects that follow each other on the way
DETOUR = 1.4  # a leg's walk is at most so many times as long as the straight line
_BESIDE_M = (0.35, 0.7)  # from an object's footprint, where one stands who has come to it
_POOL = 6
_OPTIONS = 4

FORM = ("side", "side", "side_or_behind", "side_or_behind", "quadrant")
MOVES = (1, 2, 2, 4, 4)  # turns and walks, in turn
MARGIN_DEG = (30.0, 20.0, 20.0, 12.0, 10.0)  # from a border between two answers
TURNS_DEG = (30, 60, 90, 120)
WALKS_M = (0.5, 1.0, 1.5)
_WALK_VIEWS = 4  # of the walk before the moves
_WALK_M = (0.5, 2.5)
_DRAWS = 24


class RoutePlan:
    """Which turns lead from one object by others to the last, along a way that can be walked."""

    name = "route_plan"
    views = 1
    looks_around = True

    def plan(
        self, description: SceneDescription, level: int, rng: np.random.Generator, kept: Optional[Target] = None
    ) -> Target:
        count = ROUTE_TURNS[level] + 2
        items = uniquely_named(description)
        need_objects(items, count, self.name)
        ways: dict[str, list[tuple[int, ...]]] = {}
        pool = neighbours(items, _POOL, rng)
        for way in permutations(pool, count):
            turns = route_turns(way, level)
            if turns is not None and (kept is None or turns[0] == kept.key):
                ways.setdefault(turns[0], []).append(tuple(item.id for item in way))
        if not ways:
            if kept is not None:
                return kept
            raise Infeasible(f"{self.name} level {level}: no objects stand so that a way by them has clear turns")
        key = pick(sorted(ways), rng)
        return Target(key=key, focus=pick(ways[key], rng))

    def poses(
        self, scene: Scene, spec: TaskSpec, plan: Target, rng: np.random.Generator, found: Findings
    ) -> Optional[Staging]:
        if not walkable(scene, [item.box for item in focus_of(scene, plan.focus)]):
            found.refuse("the way cannot be walked straight from object to object")
            return None
        return survey(self, scene, spec, plan, rng, found)

    def propose(self, world: Evidence, level: int, found: Findings) -> None:
        clear = prominent_anywhere(world.with_hidden(), found)
        turns = route_turns([world.objects[key] for key in world.about], level)
        if any(key not in clear for key in world.about):
            found.refuse("an object of the way is not shown clearly")
        elif turns is None:
            found.refuse(f"a turn lies within {TURN_MARGIN_DEG[level]:g} degrees of another, or a leg is short")
        else:
            found.accept(turns[0], world.about, turns[1], "", (float(level),))

    def draft(self, world: Evidence, candidate: Candidate, rng: np.random.Generator) -> Draft:
        way = candidate.objects
        turns = [f"turn_word(turn_on_route({object_list(way[at : at + 3])}))" for at in range(len(way) - 2)]
        stops = "abcdefgh"[1 : len(way)]
        through = " , ".join(f"to the {{{slot}}}" for slot in stops)
        by = " , ".join(f"the {{{slot}}}" for slot in stops[:-1])
        last = stops[-1]
        turn = "turn" if len(turns) == 1 else "turns"
        return Draft(
            program=turns[0] if len(turns) == 1 else f"join({', '.join(turns)})",
            templates=(
                f"you go from the {{a}} {through} . which {turn} do you take on the way ?",
                f"from the {{a}} you go {through} . which way do you turn at {by} ?",
                f"you are at the {{a}} and go {through} . where do you turn ?",
                f"the way goes from the {{a}} {through} . which {turn} does it take ?",
                f"you stand at the {{a}} and go by {by} to the {{{last}}} . which {turn} do you take ?",
            ),
            slots=name_slots(world, way),
            options=_turn_options(candidate, rng),
        )


def _turn_options(candidate: Candidate, rng: np.random.Generator) -> tuple[str, ...]:
    """The ways to turn once; where there are several turns, the right ones among drawn other ones."""
    words = ROUTE_WORDS[int(candidate.numbers[0])]
    every = [" ".join(turns) for turns in product(words, repeat=len(candidate.objects) - 2)]
    others = [turns for turns in every if turns != candidate.key]
    return shuffled([candidate.key, *shuffled(others, rng)[: _OPTIONS - 1]], rng)


def route_turns(way: Sequence[SceneObject], level: int) -> Optional[tuple[str, float]]:
    """The turns at all but the first and last of these objects, in words, and their least margin in degrees.

    None where a turn is not clear at this level or two objects stand too close.
    """
    words: list[str] = []
    margins: list[float] = []
    if any(floor_distance_m(a.box.centre_m, b.box.centre_m) < LEG_M for a, b in zip(way, way[1:])):
        return None
    for a, b, c in zip(way, way[1:], way[2:]):
        angle = math.degrees(turn_on_route(a, b, c))
        word = "back" if abs(angle) > 135 else "left" if angle > 0 else "right"
        margins.append(min(abs(angle), abs(abs(angle) - 135)))
        if word not in ROUTE_WORDS[level] or margins[-1] < TURN_MARGIN_DEG[level]:
            return None
        words.append(word)
    return " ".join(words), min(margins)


def walkable(scene: Scene, boxes: Sequence[OrientedBox]) -> bool:
    """Whether one can walk from each of these to the next about as straight as the crow flies."""
    stands = [places_beside(scene, box) for box in boxes]
    for here, there in zip(stands, stands[1:]):
        pairs = [(math.dist(a, b), a, b) for a in here for b in there]
        if not pairs:
            return False
        straight_m, start, goal = min(pairs)
        if scene.geodesic_m(start, goal) > DETOUR * straight_m + 0.3:
            return False
    return True


def places_beside(scene: Scene, box: OrientedBox) -> list[Vec3]:
    """Navigable floor points around a box, close to its footprint."""
    foot = footprint(box)
    middle = foot.mean(0)
    floors = {room.floor_y_m for room in scene.description.rooms} or {0.0}
    below = [floor for floor in floors if floor <= box.centre_m[1] + 0.1]
    floor_y_m = max(below) if below else min(floors)
    places: list[Vec3] = []
    for along in np.concatenate([foot, (foot + np.roll(foot, -1, axis=0)) / 2]):
        out = (along - middle) / max(float(np.linalg.norm(along - middle)), 1e-6)
        for away in _BESIDE_M:
            x, z = (along + away * out).tolist()
            if scene.is_navigable((x, floor_y_m, z)):
                places.append((x, floor_y_m, z))
                break
    return places


class ActionConsequence:
    """After a walk that is shown, more moves that are told: where is an object then, for the camera."""

    name = "action_consequence"
    views = 2
    looks_around = False

    def plan(
        self, description: SceneDescription, level: int, rng: np.random.Generator, kept: Optional[Target] = None
    ) -> Target:
        if kept is not None:
            return kept
        need_objects(description.objects, 1, self.name)
        words = sectors.WORDS[FORM[level]]
        # Moves and answer are drawn apart from each other, so that the moves do not give the answer away.
        moves = [
            f"{rng.choice(WALKS_M)}" if step % 2 else f"{int(rng.choice(TURNS_DEG)) * (2 * int(rng.integers(2)) - 1)}"
            for step in range(MOVES[level])
        ]
        return Target(key=pick(words, rng), focus=(), form=f"{FORM[level]} {' '.join(moves)}")

    def poses(
        self, scene: Scene, spec: TaskSpec, plan: Target, rng: np.random.Generator, found: Findings
    ) -> Optional[Staging]:
        moves = tuple(float(move) for move in plan.form.split()[1:])
        count = min(_WALK_VIEWS, spec.max_views)
        for _ in range(_DRAWS):
            walk = draw_walk(scene, count, _WALK_M, rng)
            if walk is None:
                continue
            if can_follow(scene, walk[-1], moves):
                return Staging(walk, numbers=moves)
        found.refuse(f"{NO_WAY} and on by the moves")
        return None

    def propose(self, world: Evidence, level: int, found: Findings) -> None:
        form, moves = FORM[level], world.numbers
        pose = after(world.views[-1].pose, moves)
        told = " ".join([form, *(f"{move:g}" if step % 2 == 0 else f"{move}" for step, move in enumerate(moves))])
        for key in prominent_anywhere(world, found):
            centre = world.objects[key].box.centre_m
            angle = math.degrees(bearing_at(pose, centre))
            margin = sectors.margin_deg(form, angle)
            if floor_distance_m(pose.position_m, centre) < sectors.LEAST_APART_M:
                found.refuse(sectors.TOO_CLOSE)
            elif margin < MARGIN_DEG[level]:
                found.refuse(sectors.near_border(MARGIN_DEG[level]))
            else:
                found.accept(sectors.word(form, angle), (key,), margin, told, moves)

    def draft(self, world: Evidence, candidate: Candidate, rng: np.random.Generator) -> Draft:
        (key,) = candidate.objects
        form = candidate.form.split()[0]
        pose, told = f"camera(view({len(world.views) - 1}))", []
        for step, move in enumerate(candidate.numbers):
            if step % 2:
                pose = f"walked({pose}, {move:g})"
                told.append(f"move forward {move:g} m")
            else:
                pose = f"turned({pose}, {move:g})"
                told.append(f"turn {'left' if move > 0 else 'right'} by {abs(move):g} degrees")
        moves = " , ".join(told)
        return Draft(
            program=f"{form}(bearing_at({pose}, centre(object({key}))))",
            templates=(
                f"at the last picture you {moves} . where is the {{a}} now ?",
                f"from the last picture on you {moves} . where is the {{a}} from you now ?",
                f"now {moves} . where is the {{a}} ?",
                f"you stand at the last picture and {moves} . on which side is the {{a}} now ?",
                f"you look as in the last picture and {moves} . in which direction is the {{a}} now ?",
            ),
            slots=name_slots(world, (key,)),
            options=shuffled(sectors.WORDS[form], rng),
        )


def after(pose: Pose, moves: Sequence[float]) -> Pose:
    """The pose after turns (degrees, left positive) and walks (metres), in turn."""
    for step, move in enumerate(moves):
        pose = walked(pose, move) if step % 2 else turned(pose, move)
    return pose


def can_follow(scene: Scene, pose: Pose, moves: Sequence[float]) -> bool:
    """Whether every walk of the moves stays on navigable floor, checked as Observe checks its own."""
    for step, move in enumerate(moves):
        if step % 2:
            checks = max(1, round(move / STEP_CHECK_M))
            if not all(can_stand(scene, walked(pose, move * at / checks).position_m) for at in range(1, checks + 1)):
                return False
        pose = after(pose, moves[step : step + 1]) if step % 2 == 0 else walked(pose, move)
    return True
