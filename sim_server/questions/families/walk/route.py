"""Moves: route_plan (the turns along a route) and action_consequence (where an object is after moves)."""

from __future__ import annotations

import math
from itertools import permutations, product
from typing import Optional, Sequence

import numpy as np

from protocol.errors import Infeasible
from protocol.seeds import pick
from protocol.skills.levels import SECTORS
from protocol.skills.space import ACTION_CONSEQUENCE, ROUTE_PLAN, RouteLevel
from protocol.tasks.scene import OrientedBox, Pose, SceneDescription, SceneObject, Vec3
from protocol.tasks.task import TaskSpec
from sim_server.backends.base import Scene
from sim_server.questions.evidence import Evidence
from sim_server.questions.families import sectors
from sim_server.questions.families.rules import need_objects, neighbours, prominent_anywhere, uniquely_named
from sim_server.questions.families.walk.trajectory import ON_ONE_WALK, listed_slots
from sim_server.questions.family import Candidate, Draft, Findings, Target, name_slots, object_list, shuffled
from sim_server.questions.floor import footprint
from sim_server.questions.geometry import floor_distance_m
from sim_server.questions.language.functions.moves import bearing_at, turn_on_route, turned, walked
from sim_server.questions.language.functions.words import BEHIND_DEG
from sim_server.questions.staging import Staging
from sim_server.questions.views.viewpoints import focus_of
from sim_server.questions.views.walks import draw_walk, survey
from sim_server.sensing.observe import STEP_CHECK_M, can_stand

LEG_M = 1.0  # least distance between the centres of consecutive objects of a route
DETOUR = 1.4  # the walk of a leg is at most this many times as long as the straight line
_BESIDE_M = (0.35, 0.7)  # distances of standing points from the footprint of an object
_POOL = 6
_OPTIONS = 4

TURNS_DEG = (30, 60, 90, 120)
WALKS_M = (0.5, 1.0, 1.5)
_WALK_VIEWS = 4  # of the walk before the moves
_WALK_M = (0.5, 2.5)
_DRAWS = 24


class RoutePlan:
    """Which turns lead from one object past others to the last, along a walkable route."""

    skill = ROUTE_PLAN
    views = 1

    def target(
        self, description: SceneDescription, level: int, rng: np.random.Generator, previous: Optional[Target] = None
    ) -> Target:
        asked, name = self.skill.levels[level], self.skill.name
        count = asked.turns + 2
        items = uniquely_named(description)
        need_objects(items, count, name)
        ways: dict[str, list[tuple[int, ...]]] = {}
        pool = neighbours(items, _POOL, rng)
        for way in permutations(pool, count):
            turns = route_turns(way, asked)
            if turns is not None and (previous is None or turns[0] == previous.key):
                ways.setdefault(turns[0], []).append(tuple(item.id for item in way))
        if not ways:
            if previous is not None:
                return previous
            raise Infeasible(f"{name} level {level}: no route past objects of the scene has clear turns")
        key = pick(sorted(ways), rng)
        return Target(key=key, focus=pick(ways[key], rng))

    def poses(
        self, scene: Scene, spec: TaskSpec, target: Target, rng: np.random.Generator, findings: Findings
    ) -> Optional[Staging]:
        if not walkable(scene, [item.box for item in focus_of(scene, target.focus)]):
            findings.reject("the route cannot be walked straight from object to object")
            return None
        return survey(self, scene, spec, target, rng, findings)

    def judge(self, evidence: Evidence, level: int, findings: Findings) -> None:
        asked = self.skill.levels[level]
        clear = prominent_anywhere(evidence.with_hidden(), findings)
        turns = route_turns([evidence.objects[key] for key in evidence.about], asked)
        if any(key not in clear for key in evidence.about):
            findings.reject("an object of the route is not shown clearly")
        elif turns is None:
            findings.reject(f"a turn is within {asked.margin_deg:g} degrees of a border, or a leg is too short")
        else:
            findings.accept(turns[0], evidence.about, turns[1])

    def draft(self, evidence: Evidence, candidate: Candidate, level: int, rng: np.random.Generator) -> Draft:
        way = candidate.objects
        turns = [f"turn_word(turn_on_route({object_list(way[at : at + 3])}))" for at in range(len(way) - 2)]
        stops = "abcdefgh"[1 : len(way)]
        through = ", then ".join(f"to the {{{slot}}}" for slot in stops)
        by = listed_slots(stops[:-1])
        between = ', ", then", '
        straight = "You walk in straight lines between the centers of the objects."
        back = f' "Back" means a turn by more than {BEHIND_DEG:g} degrees.'
        words = self.skill.levels[level].words
        return Draft(
            program=turns[0] if len(turns) == 1 else f"join({between.join(turns)})",
            templates=(
                f"You walk from the {{a}} {through}. Which way do you turn at {by}?",
                f"You go from the {{a}} {through}. Which way do you turn at {by}?",
                f"You start at the {{a}} and walk {through}. Which way do you turn at {by}?",
                f"You are at the {{a}} and go {through}. Which way do you turn at {by}?",
                f"If you walk from the {{a}} {through}, which way do you turn at {by}?",
                f"On the way from the {{a}} {through}, which way do you turn at {by}?",
                f"To walk from the {{a}} {through}, which way must you turn at {by}?",
                f"A robot drives from the {{a}} {through}. Which way does it turn at {by}?",
                f"A route leads from the {{a}} {through}. Which way does it turn at {by}?",
            ),
            slots=name_slots(evidence, way),
            options=_turn_options(candidate, words, rng),
            rule=straight + (back if "back" in words else ""),
        )


def _turn_options(candidate: Candidate, words: Sequence[str], rng: np.random.Generator) -> tuple[str, ...]:
    """The right sequence of turns among other ones, up to _OPTIONS in total."""
    every = [" ".join(turns) for turns in product(words, repeat=len(candidate.objects) - 2)]
    others = [turns for turns in every if turns != candidate.key]
    options = shuffled([candidate.key, *shuffled(others, rng)[: _OPTIONS - 1]], rng)
    return tuple(turns.replace(" ", ", then ") for turns in options)


def route_turns(way: Sequence[SceneObject], asked: RouteLevel) -> Optional[tuple[str, float]]:
    """The turns at all but the first and last of these objects, in words, and their least margin in degrees.

    None if a turn is not clear at this level or two consecutive objects are too close.
    """
    words: list[str] = []
    margins: list[float] = []
    if any(floor_distance_m(a.box.centre_m, b.box.centre_m) < LEG_M for a, b in zip(way, way[1:])):
        return None
    for a, b, c in zip(way, way[1:], way[2:]):
        angle = math.degrees(turn_on_route(a, b, c))
        word = "back" if abs(angle) > 135 else "left" if angle > 0 else "right"
        margins.append(min(abs(angle), abs(abs(angle) - 135)))
        if word not in asked.words or margins[-1] < asked.margin_deg:
            return None
        words.append(word)
    return " ".join(words), min(margins)


def walkable(scene: Scene, boxes: Sequence[OrientedBox]) -> bool:
    """Whether a nearly straight walk leads from each of these boxes to the next."""
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
    """Where an object is from the camera after a walk that is shown and moves that the question names."""

    skill = ACTION_CONSEQUENCE
    views = 2

    def target(
        self, description: SceneDescription, level: int, rng: np.random.Generator, previous: Optional[Target] = None
    ) -> Target:
        if previous is not None:
            return previous
        need_objects(description.objects, 1, self.skill.name)
        asked = self.skill.levels[level]
        # Moves and answer are drawn independently, so that the moves do not give the answer away.
        moves = tuple(
            float(rng.choice(WALKS_M)) if step % 2 else float(rng.choice(TURNS_DEG) * (2 * int(rng.integers(2)) - 1))
            for step in range(asked.moves)
        )
        return Target(key=pick(SECTORS[asked.sectors], rng), focus=(), form=asked.sectors, numbers=moves)

    def poses(
        self, scene: Scene, spec: TaskSpec, target: Target, rng: np.random.Generator, findings: Findings
    ) -> Optional[Staging]:
        moves = target.numbers
        count = min(_WALK_VIEWS, spec.max_views)
        for _ in range(_DRAWS):
            walk = draw_walk(scene, spec.camera, count, _WALK_M, rng)
            if walk is None:
                continue
            if can_follow(scene, walk[-1], moves):
                return Staging(walk, numbers=moves)
        findings.reject("no walk of this length can be continued by the moves")
        return None

    def judge(self, evidence: Evidence, level: int, findings: Findings) -> None:
        moves, form, least_deg = evidence.numbers, self.skill.levels[level].sectors, self.skill.levels[level].margin_deg
        pose = after(evidence.views[-1].pose, moves)
        for key in prominent_anywhere(evidence, findings):
            centre = evidence.objects[key].box.centre_m
            angle = math.degrees(bearing_at(pose, centre))
            margin = sectors.margin_deg(form, angle)
            if floor_distance_m(pose.position_m, centre) < sectors.LEAST_APART_M:
                findings.reject(sectors.TOO_CLOSE)
            elif margin < least_deg:
                findings.reject(sectors.near_border(least_deg))
            else:
                findings.accept(sectors.word(form, angle), (key,), margin, form, moves)

    def draft(self, evidence: Evidence, candidate: Candidate, _level: int, rng: np.random.Generator) -> Draft:
        (key,) = candidate.objects
        pose, phrases = f"camera(view({len(evidence.views) - 1}))", []
        for step, move in enumerate(candidate.numbers):
            if step % 2:
                pose = f"walked({pose}, {move:g})"
                phrases.append(f"walk forward {move:g} m")
            else:
                pose = f"turned({pose}, {move:g})"
                phrases.append(f"turn {'left' if move > 0 else 'right'} by {abs(move):g} degrees")
        moves = ", then ".join(phrases)
        return Draft(
            program=f"{candidate.form}(bearing_at({pose}, centre(object({key}))))",
            templates=(
                f"The last image is your view. You {moves}. Where is the {{a}} now?",
                f"The last image is your view. Now {moves}. Where is the {{a}}?",
                f"After the last image, you {moves}. Where is the {{a}} now?",
                f"Starting from the last image, you {moves}. Where is the {{a}} now?",
                f"You are where the last image was taken. You {moves}. Where is the {{a}} now?",
                f"From the view of the last image, you {moves}. Where is the {{a}} then?",
                f"If you {moves} after the last image, where is the {{a}}?",
                f"Suppose that you {moves} after the last image. Where is the {{a}} then?",
            ),
            slots=name_slots(evidence, (key,)),
            options=shuffled(SECTORS[candidate.form], rng),
            rule=f"{ON_ONE_WALK} {sectors.meaning(candidate.form, 'the direction you face after the last move')} "
            "Directions are measured on the floor plan, to the center of the object.",
        )


def after(pose: Pose, moves: Sequence[float]) -> Pose:
    """The pose after alternating turns (degrees, left positive) and walks (metres)."""
    for step, move in enumerate(moves):
        pose = walked(pose, move) if step % 2 else turned(pose, move)
    return pose


def can_follow(scene: Scene, pose: Pose, moves: Sequence[float]) -> bool:
    """Whether every walk of the moves stays on navigable floor, with the checks of Observe."""
    for step, move in enumerate(moves):
        if step % 2:
            checks = max(1, round(move / STEP_CHECK_M))
            if not all(can_stand(scene, walked(pose, move * at / checks).position_m) for at in range(1, checks + 1)):
                return False
        pose = after(pose, moves[step : step + 1]) if step % 2 == 0 else walked(pose, move)
    return True


FAMILIES = (RoutePlan(), ActionConsequence())
