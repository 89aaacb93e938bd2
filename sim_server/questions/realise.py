"""Realise a spec: find views in which a question of its skill and level holds, ask the question, and render the views.

The class of the answer is drawn first, then views that give it, so that answers stay balanced. Every draw comes from
(run_seed, seq): the same spec and the same renderer digest give the same pixels and the same answer.
"""

from __future__ import annotations

from collections import Counter
from typing import Optional, Sequence

import msgspec

from protocol.errors import Infeasible, VantageError
from protocol.seeds import rng_for
from protocol.tasks.check import check_asked
from protocol.tasks.task import HIDING, Question, TaskSpec
from protocol.wire.messages import Rejection
from sim_server.backends.base import BlockedPose, Frames, Scene
from sim_server.questions.distinct import INDISTINCT, all_distinct
from sim_server.questions.evidence import EVIDENCE_SENSORS, Evidence, Realised
from sim_server.questions.families import family_of
from sim_server.questions.family import Candidate, Family, Findings, Target, ask, draw_evenly, fitting
from sim_server.questions.nouns import painted
from sim_server.questions.propose.elsewhere import Elsewhere
from sim_server.questions.propose.examine import examine
from sim_server.questions.staging import Staging, staged
from sim_server.sensing.degradations import degraded

ATTEMPTS = 24
BLOCKED = "a camera is inside a wall or an object"


class RejectedProposal(Infeasible):
    """The spec's proposal failed a test."""

    def __init__(self, rejections: tuple[Rejection, ...]) -> None:
        reasons = "; ".join(f"{one.code}, {one.message}" for one in rejections)
        super().__init__(f"the proposal is rejected: {reasons}")
        self.rejections = rejections


def realise(
    scene: Scene,
    spec: TaskSpec,
    sensors: Sequence[str] = ("rgb",),
    elsewhere: Optional[Elsewhere] = None,
    questions: int = 1,
) -> Realised:
    """Ask the spec's question about views of the scene, and up to `questions` - 1 others about the same views.

    A proposal is examined first; whether its answer can be guessed is only tested with `elsewhere`. Raises
    RejectedProposal if it fails. Proposals, and questions for which the policy looks around, have no others.

    Raises Infeasible, naming the rule that rejected most, if no view out of ATTEMPTS placements satisfied the family's
    rules for the drawn answer. Raises VantageError("bad_request") for an unknown skill, level or paraphrase, a view
    budget below the family's least, a budget of moves for a skill without a look around, or a repeated degradation.
    """
    if spec.proposal is not None:
        return _realise_proposal(scene, spec, sensors, elsewhere)
    level = spec.question.level
    family = family_of(spec.question.skill, level)
    name = family.skill.name
    if spec.max_views < family.views:
        raise VantageError("bad_request", f"{name} needs {family.views} views; set max_views to that or more")
    if spec.look_around and not family.skill.looks_around:
        raise VantageError("bad_request", f"{name} cannot be asked with a look around; set look_around to 0")
    hiding = [item.name for item in spec.degradations if item.name in HIDING]
    if hiding and not family.skill.judged_as_seen:
        raise Infeasible(f"{name} needs views without {' or '.join(hiding)}; leave that degradation out")
    rng = rng_for(spec.run_seed, "task", spec.seq)
    rejected: Counter[str] = Counter()
    target: Optional[Target] = None
    for attempt in range(1, ATTEMPTS + 1):
        target = family.target(scene.description, level, rng, target)
        findings = Findings()
        try:
            poses = family.poses(scene, spec, target, rng, findings)
            if poses is None:
                rejected[findings.rejected.most_common(1)[0][0]] += 1
                continue
            staging = poses if isinstance(poses, Staging) else Staging(poses)
            shown = len(staging.poses)
            assert family.views <= shown <= spec.max_views, (name, shown)
            plain = staged(scene, staging)
            seen = degraded(plain, spec)  # poses are chosen without degradation, then judged with it
            frames = seen.render((*staging.poses, *staging.hidden), spec.camera, EVIDENCE_SENSORS)
        except BlockedPose:
            rejected[BLOCKED] += 1
            continue
        evidence = Evidence.staged(scene.description, frames, staging)
        candidates, rule = fitting(family, evidence, level, target)
        if not candidates:
            rejected[rule] += 1  # one vote per attempt, so that a view of many objects does not outweigh the others
            continue
        candidate = draw_evenly(candidates, rng)
        requested = frames.part(0, shown)
        if not painted(scene.description):  # plain paints are never dark
            lit = plain.render(staging.poses, spec.camera, ("rgb", "ids"))
            assert lit.rgb is not None and lit.ids is not None
            if not all_distinct(lit.rgb, lit.ids, evidence, candidate.objects):
                rejected[INDISTINCT] += 1
                continue
            requested.rgb = lit.rgb if seen is plain else None
        question = ask(family, evidence, candidate, level, rng, spec.question.paraphrase)
        alike = [item for item in candidates if (item.form, item.key) == (candidate.form, candidate.key)]
        alike.remove(candidate)
        others = () if spec.look_around else _others(family, evidence, alike, question, spec, questions - 1)
        requested = _with_sensors(seen, requested, sensors)
        return Realised(question, requested, attempt, evidence, staging.changes[:shown], others)
    assert target is not None
    rule, _ = rejected.most_common(1)[0]
    wanted = f" with an answer of class {target.key!r}" if target.key else ""
    raise Infeasible(
        f"{name} level {level}{wanted} found no view in {ATTEMPTS} attempts; the rule that rejected most: {rule}"
    )


def _others(
    family: Family, evidence: Evidence, candidates: list[Candidate], first: Question, spec: TaskSpec, most: int
) -> tuple[Question, ...]:
    """Ask up to `most` of the candidates, which are drawn without repetition. A smaller `most` asks the first of them.

    The candidates have the class of the first answer: views give some classes more candidates than others, and the
    answers to all questions are to stay as balanced as those to the first ones.
    """
    rng = rng_for(spec.run_seed, "others", spec.seq)
    level, paraphrase = spec.question.level, spec.question.paraphrase
    found = [first]
    for index in rng.permutation(len(candidates)).tolist():
        if len(found) > most:
            break
        try:
            question = ask(family, evidence, candidates[index], level, rng, paraphrase)
            check_asked(spec, question)
        except VantageError:  # a paraphrase that does not suit its objects, or a name that no question may contain
            continue
        if question.program not in {one.program for one in found}:
            found.append(question)
    return tuple(found[1:])


def _realise_proposal(scene: Scene, spec: TaskSpec, sensors: Sequence[str], elsewhere: Optional[Elsewhere]) -> Realised:
    found = examine(scene, spec, elsewhere)
    if isinstance(found, tuple):
        raise RejectedProposal(found)
    return msgspec.structs.replace(found, frames=_with_sensors(scene, found.frames, sensors))


def _with_sensors(scene: Scene, frames: Frames, sensors: Sequence[str]) -> Frames:
    """The frames with exactly these sensors; images are rendered if they are missing."""
    if "rgb" in sensors and frames.rgb is None:
        frames.rgb = scene.render(frames.poses, frames.camera, ("rgb",)).rgb
    return Frames(
        poses=frames.poses,
        camera=frames.camera,
        rgb=frames.rgb if "rgb" in sensors else None,
        depth=frames.depth if "depth" in sensors else None,
        ids=frames.ids if "ids" in sensors else None,
        amodal=frames.amodal if "amodal" in sensors else None,
        lens=frames.lens,
    )
