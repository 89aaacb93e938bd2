"""Evaluation of the policy of a run outside its loop."""

from __future__ import annotations

from typing import Any, Optional

import msgspec

from learner.evaluate.held_out import Evaluator, HeldOut, write_results
from learner.policy.adapters import read_adapter
from learner.policy.assemble import assemble
from learner.policy.checkpoints import CheckpointStore
from learner.rollouts.answerer import answerer_of
from learner.settings import LearnerSettings
from learner.stream.reports import Channel
from protocol.run.config import section
from protocol.run.directory import RunDir
from protocol.tasks.specs import cells_of, worlds_of
from protocol.wire.messages import GetSimStatus

_STATUS_DEADLINE_S = 5.0


def evaluate_run(run: RunDir, simulator: Channel, per_skill: Optional[int], step: Optional[int]) -> dict[str, Any]:
    """Score a checkpoint (None: the newest; 0: the base policy) and write the result to evaluations/offline.json.

    Raises VantageError: "bad_request" if no checkpoint of this step is saved, "corrupt", "unavailable" if questions
    must be rendered and no simulator runs, and errors of the simulator.
    """
    settings = section(run.config, "learner", LearnerSettings)
    asked = settings.evaluate
    folder = run.path / "evaluations" / "held_out"
    if per_skill is not None and per_skill != asked.per_skill:
        asked = asked.model_copy(update={"per_skill": per_skill})
        folder = run.path / "evaluations" / f"held_out_{per_skill}"
    held_out = HeldOut(folder, worlds_of(run.config), cells_of(run.config), asked)
    if not held_out.rendered:
        simulator.request(GetSimStatus(), deadline_s=_STATUS_DEADLINE_S)  # fail before loading the model
    parts = assemble(settings, run.seed)
    checkpoints = CheckpointStore(run.checkpoints, settings.grpo.keep_checkpoints)
    checkpoint = None if step == 0 else checkpoints.latest() if step is None else checkpoints.at(step)
    if checkpoint is not None:
        read_adapter(parts.model, checkpoint)
    parts.model.eval()
    tasks = held_out.tasks(simulator, settings.stream, lambda _: None)
    answerer = answerer_of(settings, parts.live_engine(), parts.encoder, simulator)
    evaluator = Evaluator(answerer, settings.rollout.max_answer_tokens, asked.seed)
    rows, questions = evaluator.evaluate(tasks, asked.samples, asked.blind_per_skill, lambda _: None)
    at = int(checkpoint.name.split("-")[1]) if checkpoint is not None else 0
    summary = {"label": "offline", "step": at, "rows": [msgspec.to_builtins(row) for row in rows]}
    write_results(run.path / "evaluations" / "offline.json", summary, questions)
    return summary
