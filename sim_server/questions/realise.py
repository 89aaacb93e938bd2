"""Realise a task: find views in which a question of the asked family and level holds, ask it, render it.

The answer's class is drawn first, then a view is sought that gives it, so that answers stay balanced. Every choice is
drawn from (run_seed, seq): the same spec and the same renderer digest give the same pixels and the same answer.
"""

from __future__ import annotations

from collections import Counter
from typing import Optional, Sequence

import msgspec

from protocol.errors import Infeasible, VantageError
from protocol.seeds import rng_for
from protocol.tasks.scene import Pose
from protocol.tasks.specs import JUDGED_AS_SEEN
from protocol.tasks.task import HIDING, Question, TaskSpec
from protocol.wire.messages import Rejection
from sim_server.backends.base import Frames, Scene
from sim_server.questions.evidence import EVIDENCE_SENSORS, Evidence
from sim_server.questions.families import family_of
from sim_server.questions.family import Findings, Staged, Target, ask, draw_evenly, fitting
from sim_server.questions.propose.elsewhere import Elsewhere
from sim_server.questions.propose.examine import examine
from sim_server.questions.staging import Changes, Staging, staged
from sim_server.sensing.degradations import degraded

ATTEMPTS = 24


class Realised(msgspec.Struct):
    """A question, the frames that it is about (with the asked sensors), how many placements were tried, and the world
    that the question was judged in. `changes` holds what was changed in the scene for each view; it is empty where
    nothing was."""

    question: Question
    frames: Frames
    poses: tuple[Pose, ...]
    attempts: int
    world: Evidence
    changes: tuple[Changes, ...] = ()


class RejectedProposal(Infeasible):
    """The spec's proposal failed a test."""

    def __init__(self, rejections: tuple[Rejection, ...]) -> None:
        reasons = "; ".join(f"{one.code}, {one.message}" for one in rejections)
        super().__init__(f"the proposal is rejected: {reasons}")
        self.rejections = rejections


def realise(
    scene: Scene, spec: TaskSpec, sensors: Sequence[str] = ("rgb",), elsewhere: Optional[Elsewhere] = None
) -> Realised:
    """Ask the spec's question about views of the scene.

    A proposal is examined first; whether its answer can be guessed is only tested with `elsewhere`. Raises
    RejectedProposal if it fails.

    Raises Infeasible, naming the rule that refused most, when ATTEMPTS placements of the camera gave no view in
    which the family's rules hold for the drawn answer; VantageError("bad_request") for an unknown family, level or
    paraphrase, a view budget that the family does not fit in, a budget of moves for a family that shows all it asks
    about, or a degradation named twice.
    """
    if spec.proposal is not None:
        return _realise_proposal(scene, spec, sensors, elsewhere)
    level = spec.question.level
    family = family_of(spec.question.skill, level)
    if spec.max_views < family.views:
        raise VantageError("bad_request", f"{family.name} is about {family.views} views; set max_views to that")
    if spec.look_around and not (isinstance(family, Staged) and family.looks_around):
        raise VantageError("bad_request", f"{family.name} shows all that it asks about; set look_around to 0")
    hiding = [item.name for item in spec.degradations if item.name in HIDING]
    if hiding and family.name not in JUDGED_AS_SEEN:
        raise Infeasible(f"{family.name} reads its views as a clear pinhole camera's; leave {' and '.join(hiding)} out")
    rng = rng_for(spec.run_seed, "task", spec.seq)
    refused: Counter[str] = Counter()
    plan: Optional[Target] = None
    for attempt in range(1, ATTEMPTS + 1):
        plan = family.plan(scene.description, level, rng, plan)
        placed = Findings()
        poses = family.poses(scene, spec, plan, rng, placed)
        if poses is None:
            refused[placed.refused.most_common(1)[0][0]] += 1
            continue
        staging = poses if isinstance(poses, Staging) else Staging(poses)
        shown = len(staging.poses)
        assert family.views <= shown <= spec.max_views, (family.name, shown)
        seen = degraded(staged(scene, staging), spec)  # placed in the clear scene, judged as they will be seen
        evidence = seen.render((*staging.poses, *staging.hidden), spec.camera, EVIDENCE_SENSORS)
        world = Evidence.staged(scene.description, evidence, staging)
        candidates, rule = fitting(family, world, level, plan)
        if not candidates:
            refused[rule] += 1  # one vote per attempt, so that a view of many objects does not outweigh the others
            continue
        candidate = draw_evenly(candidates, rng)
        question = ask(family, world, candidate, level, rng, spec.question.paraphrase)
        frames = _with_sensors(seen, evidence.part(0, shown), sensors)
        return Realised(question, frames, staging.poses, attempt, world, staging.changes[:shown])
    assert plan is not None
    rule, _ = refused.most_common(1)[0]
    wanted = f" with an answer of class {plan.key!r}" if plan.key else ""
    raise Infeasible(
        f"{family.name} level {level}{wanted} found no view in {ATTEMPTS} attempts; the rule that refused most: {rule}"
    )


def _realise_proposal(scene: Scene, spec: TaskSpec, sensors: Sequence[str], elsewhere: Optional[Elsewhere]) -> Realised:
    found = examine(scene, spec, elsewhere)
    if isinstance(found, tuple):
        raise RejectedProposal(found)
    world = Evidence.of(scene.description, found.frames)
    frames = _with_sensors(scene, found.frames, sensors)
    return Realised(found.question, frames, frames.poses, found.attempts, world)


def _with_sensors(scene: Scene, evidence: Frames, sensors: Sequence[str]) -> Frames:
    """The evidence, rendered again with the sensors that it lacks."""
    lacking = tuple(sensor for sensor in sensors if sensor not in EVIDENCE_SENSORS)
    if lacking:
        more = scene.render(evidence.poses, evidence.camera, lacking)
        evidence.rgb = more.rgb
    return Frames(
        poses=evidence.poses,
        camera=evidence.camera,
        rgb=evidence.rgb,
        depth=evidence.depth if "depth" in sensors else None,
        ids=evidence.ids if "ids" in sensors else None,
        amodal=evidence.amodal if "amodal" in sensors else None,
        lens=evidence.lens,
    )
