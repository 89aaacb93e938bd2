"""Views of one scene with dense annotations and valid questions, for pre-training."""

from __future__ import annotations

import msgspec
import numpy as np

from protocol.errors import Infeasible, VantageError
from protocol.seeds import rng_for
from protocol.tasks.scene import Pose
from protocol.tasks.task import ObjectTruth, Question
from protocol.wire.messages import Annotate
from sim_server.backends.base import BlockedPose, Frames, Scene
from sim_server.questions.evidence import EVIDENCE_SENSORS, Evidence
from sim_server.questions.families import family_of
from sim_server.questions.families.rules import neighbours
from sim_server.questions.family import Candidate, Family, Findings, ask, draw_evenly
from sim_server.questions.views.viewpoints import draw_populated_pose

FOCUS = 3  # largest number of objects that a view is aimed at
POSE_DRAWS = 4


class Annotation(msgspec.Struct):
    """One view, the truth about its objects, and questions about it. The frames hold only this view."""

    frames: Frames
    objects: tuple[ObjectTruth, ...]
    questions: tuple[Question, ...]


def annotate(scene: Scene, message: Annotate) -> list[Annotation]:
    """Draw and render `message.views` views of the scene and annotate each.

    The frames hold the requested sensors and EVIDENCE_SENSORS. A view gets fewer questions than requested if few are
    valid. Raises VantageError("bad_request") for an unknown skill or one that cannot be asked about an arbitrary view,
    and Infeasible if no standing point shows any object or a drawn camera is inside a wall or an object.
    """
    families = [(family_of(name, level), level) for name, level, _ in message.skills]
    weights = np.array([weight for _, _, weight in message.skills], float)
    if not all(family.skill.takes_any_view for family, _ in families):
        raise VantageError(
            "bad_request", "annotate asks about single views from anywhere; leave out skills that place their own views"
        )
    if message.questions_per_view and not (len(weights) and np.all(weights >= 0) and weights.sum() > 0):
        raise VantageError("bad_request", "give annotate skills with weights of at least 0, one of them above 0")
    rng = rng_for(message.run_seed, "annotate", message.seq)
    poses = [_draw_pose(scene, message, rng) for _ in range(message.views)]
    try:
        frames = scene.render(poses, message.camera, tuple(dict.fromkeys((*message.sensors, *EVIDENCE_SENSORS))))
    except BlockedPose as blocked:
        raise Infeasible(blocked.message) from None
    evidence = Evidence.of(scene.description, frames)
    annotations: list[Annotation] = []
    for index in range(message.views):
        view = evidence.only_view(index)
        questions = _questions(view, families, weights, message.questions_per_view, rng)
        seen = tuple(view.views[0].seen.values())
        annotations.append(Annotation(frames.part(index, index + 1), seen, tuple(questions)))
    return annotations


def _draw_pose(scene: Scene, message: Annotate, rng: np.random.Generator) -> Pose:
    """A pose that looks at a few neighbouring objects, anywhere in the image."""
    objects = scene.description.objects
    if not objects:
        raise Infeasible("the scene has no objects to look at")
    for _ in range(POSE_DRAWS):
        focus = neighbours(objects, int(rng.integers(1, FOCUS + 1)), rng)
        spread = 0.35 if len(focus) == 1 else 0.15
        at = (rng.uniform(0.5 - spread, 0.5 + spread), rng.uniform(0.5 - spread, 0.5 + spread))
        pose = draw_populated_pose(scene, message.camera, focus, rng, at)
        if pose is not None:
            return pose
    raise Infeasible("no standing point shows an object of the scene")


def _questions(
    evidence: Evidence, families: list[tuple[Family, int]], weights: np.ndarray, count: int, rng: np.random.Generator
) -> list[Question]:
    """Up to `count` different questions; forms and answers are drawn uniformly among the candidates."""
    accepted: dict[int, list[Candidate]] = {}
    left = weights.copy()
    questions: list[Question] = []
    while len(questions) < count and left.sum() > 0:
        drawn = int(rng.choice(len(left), p=left / left.sum()))
        family, level = families[drawn]
        if drawn not in accepted:
            findings = Findings()
            family.judge(evidence, level, findings)
            accepted[drawn] = findings.accepted
        if not accepted[drawn]:
            left[drawn] = 0.0
            continue
        candidate = draw_evenly(accepted[drawn], rng)
        accepted[drawn].remove(candidate)
        questions.append(ask(family, evidence, candidate, level, rng))
    return questions
