"""The ranks other than 0: they answer and train on their part of a step, as ordered by rank 0.

    receive ─▶ Answer         answer a part of the questions, send the answers
            ─▶ LoadAdapter    use these weights in the rollout engine
            ─▶ Train          run TRL's trainer; before each of its steps, execute orders until a TrainStep arrives

They own no leases, reports or checkpoints. All ranks have the same weights: they start from the same adapter and take
the same steps, because gradients are averaged over all ranks.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Optional

import torch
from transformers import TrainerCallback

from learner.grpo.clock import StepClock
from learner.grpo.schedule import rate
from learner.grpo.trainer import VantageTrainer, trainer_config
from learner.plan.plan import out_of_memory
from learner.policy.adapters import adapter_tensors, read_adapter
from learner.policy.assemble import assemble, most_turns, rollout_engine
from learner.policy.shards import shard
from learner.ranks.orders import Answer, Gather, Leave, LoadAdapter, Ranks, Resume, Score, Train, TrainStep, join
from learner.rollouts.group import Group
from learner.rollouts.sharded import answer_part
from learner.settings import LearnerSettings
from protocol.run.config import section
from protocol.run.directory import RunDir
from protocol.tasks.specs import worlds_of


def follow(run: RunDir) -> None:
    """Execute the orders of rank 0 until it sends Leave."""
    settings = section(run.config, "learner", LearnerSettings)
    try:
        Follower(run, settings).run()
    except torch.OutOfMemoryError as error:
        raise out_of_memory(settings) from error


class Follower:
    def __init__(self, run: RunDir, settings: LearnerSettings) -> None:
        self._run_dir = run
        self._settings = settings
        self._parts = assemble(settings, run.seed, settings.shard)
        self._worlds = worlds_of(run.config).values()
        self._engine = rollout_engine(self._parts, settings, self._worlds, run.seed)
        self._live = self._parts.live_engine()
        self._ranks = join(self._parts.device == "cuda")
        if settings.shard:
            shard(self._parts.model, self._parts.device == "cuda")
        self._truths = None if settings.shard else self._parts.truths
        self._checkpoint: Optional[str] = None
        self._used = 0.0

    def run(self) -> None:
        with contextlib.suppress(_LeaveReceived):
            while True:
                order = self._next_training_order()
                assert isinstance(order, Train), order
                self._trainer().train(resume_from_checkpoint=self._checkpoint)
        self._engine.close()
        self._ranks.close()

    def _next_training_order(self) -> TrainStep | Train:
        """Execute other orders until a Train or TrainStep arrives, and return it. Raises _LeaveReceived on Leave."""
        parts = self._parts
        parts.model.eval()
        while True:
            order = self._ranks.receive()
            if isinstance(order, Answer):
                engine = self._live if order.live else self._engine
                self._ranks.reply(answer_part(engine, self._truths, order.prompts, order.n, order.sampling))
            elif isinstance(order, Score):
                self._ranks.reply_scores(parts.truths(order.unpack()))
            elif isinstance(order, LoadAdapter):
                self._engine.load_adapter(order.name, Path(order.path))
            elif isinstance(order, Gather):
                adapter_tensors(parts.model)
            elif isinstance(order, Resume):
                self._checkpoint = order.checkpoint
                if order.checkpoint is not None:
                    read_adapter(parts.model, Path(order.checkpoint))
            elif isinstance(order, Leave):
                raise _LeaveReceived
            else:
                return order

    def _collect(self) -> tuple[list[Group], range]:
        order = self._next_training_order()
        assert isinstance(order, TrainStep), order
        self._used = order.used
        self._parts.model.train()
        return order.unpack()

    def _trainer(self) -> VantageTrainer:
        settings = self._settings
        config = trainer_config(
            self._run_dir.checkpoints,
            settings.grpo,
            settings.rollout,
            settings.budget.steps,
            self._run_dir.seed,
            use_cpu=self._parts.device == "cpu",
            turns=most_turns(self._worlds),
            ranks=self._ranks.size,
        )
        return VantageTrainer(
            self._parts.model,
            self._parts.processor,
            self._collect,
            config,
            settings.grpo,
            None,
            StepClock(),
            dict,
            lambda step: rate(step, self._used, settings.grpo),
            self._parts.packed,
            correct=not self._engine.live,
            callbacks=[_StopWithRank0(self._ranks)],
            encoder=self._parts.encoder,
        )


class _LeaveReceived(Exception):
    """Rank 0 sent Leave."""


class _StopWithRank0(TrainerCallback):
    """Stops training when rank 0 does, which watches the budget.

    Rank 0 then saves a checkpoint; the others must take part if the model is sharded.
    """

    def __init__(self, ranks: Ranks) -> None:
        self._ranks = ranks

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        if self._ranks.broadcast(False):
            control.should_training_stop = control.should_save = True
