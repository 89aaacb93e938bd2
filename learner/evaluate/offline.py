"""Evaluation of the policy of a run outside its loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional

import msgspec

from learner.evaluate.held_out import Evaluator, HeldOut, write_results
from learner.policy.adapters import read_adapter
from learner.policy.assemble import Parts, assemble
from learner.policy.checkpoints import CheckpointStore
from learner.rollouts.answerer import answerer_of
from learner.settings import LearnerSettings
from learner.stream.reports import Channel
from protocol.run.config import section
from protocol.run.directory import RunDir
from protocol.tasks.specs import World, cells_of, worlds_of
from protocol.wire.messages import GetSimStatus

_STATUS_DEADLINE_S = 5.0


@dataclass(frozen=True)
class Saved:
    """The policy of a run as of one of its checkpoints."""

    parts: Parts
    settings: LearnerSettings
    step: int


def load_policy(run: RunDir, step: Optional[int], adapter: str = "") -> Saved:
    """Load a checkpoint (None: the newest; 0: the policy before the loop), or an adapter from elsewhere.

    Raises VantageError: "bad_request" if no checkpoint of this step is saved, "corrupt", "bad_config".
    """
    settings = section(run.config, "learner", LearnerSettings)
    if adapter:
        step = 0
        policy = settings.policy.model_copy(update={"adapter": adapter})
        settings = settings.model_copy(update={"policy": policy})
    parts = assemble(settings, run.seed)
    checkpoints = CheckpointStore(run.checkpoints, settings.grpo.keep_checkpoints)
    checkpoint = None if step == 0 else checkpoints.latest() if step is None else checkpoints.at(step)
    if checkpoint is not None:
        read_adapter(parts.model, checkpoint)
    parts.model.eval()
    return Saved(parts, settings, int(checkpoint.name.split("-")[1]) if checkpoint is not None else 0)


def derived_worlds(run: RunDir) -> dict[str, World]:
    """The worlds that the curriculum has derived and still asks, by name, as its last status tells."""
    rows = (run.read_status("curriculum") or {}).get("worlds", ())
    return {
        row["name"]: World.model_validate_json(row["settings"])
        for row in rows
        if row.get("settings") and not row["retired"]
    }


def evaluate_run(
    run: RunDir, simulator: Channel, per_skill: Optional[int], step: Optional[int], adapter: str = ""
) -> dict[str, Any]:
    """Score a policy as `load_policy` on held-out questions, those of derived worlds included, and write the result to
    evaluations/offline.json.

    Raises VantageError: as `load_policy`, "unavailable" if questions must be rendered and no simulator runs, and errors
    of the simulator.
    """
    asked = section(run.config, "learner", LearnerSettings).evaluate
    folder = run.path / "evaluations" / "held_out"
    if per_skill is not None and per_skill != asked.per_skill:
        asked = asked.model_copy(update={"per_skill": per_skill})
        folder = run.path / "evaluations" / f"held_out_{per_skill}"
    cells = cells_of(run.config)
    held_out = [HeldOut(folder, worlds_of(run.config), cells, asked)]
    if derived := derived_worlds(run):  # apart from the others, whose questions stay on disk
        held_out.append(HeldOut(folder.with_name(f"{folder.name}_derived"), derived, cells, asked))
    if not all(one.rendered for one in held_out):
        simulator.request(GetSimStatus(), deadline_s=_STATUS_DEADLINE_S)  # fail before loading the model
    saved = load_policy(run, step, adapter)
    settings, parts = saved.settings, saved.parts
    tasks = [task for one in held_out for task in one.tasks(simulator, settings.stream, lambda _: None)]
    answerer = answerer_of(settings, parts.live_engine(), parts.encoder, simulator)
    evaluator = Evaluator(answerer, settings.rollout.max_answer_tokens, asked.seed)
    rows, questions = evaluator.evaluate(tasks, asked.samples, asked.blind_per_skill, lambda _: None)
    summary = {"label": "offline", "step": saved.step, "rows": [msgspec.to_builtins(row) for row in rows]}
    write_results(run.path / "evaluations" / "offline.json", summary, questions)
    return summary
