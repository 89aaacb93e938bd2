"""What the ranks other than 0 do: they answer and train on their share, as rank 0 orders.

    hear ─▶ Answer         answer a share of the questions, reply
         ─▶ LoadAdapter    the engine answers with these weights from now on
         ─▶ Train          TRL's trainer; before each of its steps orders are heard until one is a Step

They keep nothing: no lease, no report, no checkpoint is theirs. Every rank has the same weights, because every rank
starts from the same adapter and makes the same steps, of gradients that are the mean over all ranks.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Optional

from transformers import TrainerCallback

from learner.grpo.clock import StepClock
from learner.grpo.schedule import rate
from learner.grpo.trainer import VantageTrainer, trainer_config
from learner.policy.adapters import read_adapter
from learner.policy.assemble import assemble, rollout_engine
from learner.ranks.orders import Answer, Leave, LoadAdapter, Ranks, Resume, Train, TrainStep, join
from learner.rollouts.group import Group
from learner.rollouts.sharded import answer_share
from learner.settings import LearnerSettings
from protocol.run.config import section
from protocol.run.directory import RunDir
from protocol.tasks.specs import world_of


def follow(run: RunDir) -> None:
    """Do as rank 0 orders until it says that the run is over."""
    Follower(run, section(run.config, "learner", LearnerSettings)).run()


class Follower:
    def __init__(self, run: RunDir, settings: LearnerSettings) -> None:
        self._run_dir = run
        self._settings = settings
        self._parts = assemble(settings, run.seed)
        self._world = world_of(run.config)
        self._engine = rollout_engine(self._parts, settings, self._world, run.seed)
        self._live = self._parts.live_engine()
        self._ranks = join(self._parts.device == "cuda")
        self._checkpoint: Optional[str] = None
        self._used = 0.0

    def run(self) -> None:
        with contextlib.suppress(_Left):
            while True:
                order = self._obey()
                assert isinstance(order, Train), order
                self._trainer().train(resume_from_checkpoint=self._checkpoint)
        self._engine.close()
        self._ranks.part()

    def _obey(self) -> TrainStep | Train:
        """Do what is ordered between steps; returns the order that is none of it. Raises _Left at the end."""
        parts = self._parts
        parts.model.eval()
        while True:
            order = self._ranks.hear()
            if isinstance(order, Answer):
                engine = self._live if order.live else self._engine
                self._ranks.reply(answer_share(engine, parts.truths, order.prompts, order.n, order.sampling))
            elif isinstance(order, LoadAdapter):
                self._engine.load_adapter(order.name, Path(order.path))
            elif isinstance(order, Resume):
                self._checkpoint = order.checkpoint
                if order.checkpoint is not None:
                    read_adapter(parts.model, Path(order.checkpoint))
            elif isinstance(order, Leave):
                raise _Left
            else:
                return order

    def _collect(self) -> tuple[list[Group], range]:
        order = self._obey()
        assert isinstance(order, TrainStep), order
        self._used = order.used
        self._parts.model.train()
        return order.share

    def _trainer(self) -> VantageTrainer:
        settings = self._settings
        config = trainer_config(
            self._run_dir.checkpoints,
            settings.grpo,
            settings.rollout,
            settings.budget.steps,
            self._run_dir.seed,
            use_cpu=self._parts.device == "cpu",
            turns=1 + self._world.look_around,
            ranks=self._ranks.size,
        )
        return VantageTrainer(
            self._parts.model,
            self._parts.processor,
            self._collect,
            config,
            None,
            StepClock(),
            dict,
            lambda step: rate(step, self._used, settings.grpo),
            self._parts.packed,
            correct=not self._engine.live,
            callbacks=[_EndTogether(self._ranks)],
        )


class _Left(Exception):
    """Rank 0 said that the run is over, or stops."""


class _EndTogether(TrainerCallback):
    """The trainer ends with that of rank 0, which watches the budget."""

    def __init__(self, ranks: Ranks) -> None:
        self._ranks = ranks

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        control.should_training_stop = self._ranks.agree(False)
