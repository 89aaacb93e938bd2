"""A tiny policy that writes tags of reasoning now and first, in a loop with scripted services."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from learner.grpo.clock import StepClock
from learner.grpo.groups import split_answers
from learner.grpo.trainer import VantageTrainer, trainer_config
from learner.policy.assemble import add_lora
from learner.policy.build import build
from learner.policy.packed import PackedPolicy
from learner.rollouts.answerer import answerer_of
from learner.rollouts.encoder import PromptEncoder
from learner.rollouts.scores import packed_truths
from learner.rollouts.transformers import PackedEngine
from learner.settings import LearnerSettings
from tests.support.learner import Channel, simulator
from tests.support.loop import Loop

TAGS = {"thought_tags": ("look", "first"), "answer_tags": ("name", "last")}  # words of the vocabulary: one token each


def settings(style: str = "reason", **grpo: Any) -> LearnerSettings:
    return LearnerSettings.model_validate(
        {
            "policy": {"style": style, **TAGS},
            "rollout": {"max_answer_tokens": 10},
            "grpo": {"groups": 6, "samples": 8, "warmup_steps": 0, "learning_rate": 3e-3, "format_weight": 0.5, **grpo},
        }
    )


class Reasoner:
    """The tiny policy: `formed` of its completions are in the exact form after a short warm-up, before any step."""

    def __init__(self, own: LearnerSettings, formed: float = 0.3, warm_up: int = 50) -> None:
        self.settings = own
        base, self.processor = build(0)
        base.model.language_model.layers = base.model.language_model.layers[:2]
        self.encoder = PromptEncoder(self.processor, base, own.policy.style, own.policy.tags)
        if warm_up:
            self._warm_up(base, formed, warm_up)
        self.model = add_lora(base, own.grpo, seed=0).eval()
        self.packed = PackedPolicy(self.model, self.processor)
        self.engine = PackedEngine(self.packed, self.encoder)

    def loop(self, folder: Path) -> Loop:
        """A collector with scripted services and this policy."""
        loop = Loop(folder, lambda _: 0)
        loop.settings = loop.collector.settings = self.settings
        loop.collector.answerer = answerer_of(self.settings, self.engine, self.encoder, Channel(simulator()))
        loop.collector.score_truth = lambda prompts: packed_truths(self.packed, self.encoder, prompts)
        return loop

    def train(self, loop: Loop, folder: Path, steps: int, **options: Any) -> list[Any]:
        """Take steps on groups of the loop; return the counts of each."""
        seen: list[Any] = []
        made: list[VantageTrainer] = []

        def collect() -> Any:
            groups = loop.collector.collect(made[0].state.global_step)
            seen.append(loop.collector.counts)
            return split_answers(groups, 1)[0]

        config = trainer_config(folder, self.settings.grpo, self.settings.rollout, steps, seed=0, use_cpu=True)
        made.append(
            VantageTrainer(
                self.model, self.processor, collect, config, self.settings.grpo, None, StepClock(), dict,
                lambda _: 1.0, self.packed, encoder=self.encoder, **options,
            )
        )  # fmt: skip
        made[0].train()
        return seen

    def _warm_up(self, base: Any, formed: float, steps: int) -> None:
        """Teach a mixture of completions, formed and not."""
        from protocol.answers.prompt import write_prompt
        from tests.support.learner import question

        packed = PackedPolicy(base, self.processor)
        text = self.encoder.plain(write_prompt(question(), "reason", tags=self.encoder.tags))
        ids = packed.expand(self.encoder.prompt(text, 1), 96, 96)
        images = np.zeros((2, 96, 96, 3), np.uint8)
        images[0, ..., 0] = images[1, ..., 2] = 200
        with torch.no_grad():
            features = packed.encode(images)
        trained = [*base.model.language_model.parameters()]
        optimizer = torch.optim.Adam(trained, 3e-3)
        rng = np.random.default_rng(0)
        for _ in range(steps):
            texts = [[_completion(rng, formed) for _ in range(8)] for _ in range(2)]
            rows = [[(*self.processor.tokenizer(one)["input_ids"], self.encoder.eos) for one in own] for own in texts]
            longest = max(len(row) for own in rows for row in own)
            padded = torch.tensor([[row + (0,) * (longest - len(row)) for row in own] for own in rows])
            log_p = packed.log_probs(packed.prefill([ids, ids], features), padded)
            used = torch.tensor([[[t < len(row) for t in range(longest)] for row in own] for own in rows])
            optimizer.zero_grad()
            (-log_p[used].mean()).backward()
            optimizer.step()
        base.eval()


def _completion(rng: np.random.Generator, formed: float) -> str:
    answer, seen = rng.choice(["left", "right"]), rng.choice(["red", "blue", "near", "far"])
    if rng.random() < formed:
        return f"look {seen} first name {answer} last"
    return str(
        rng.choice([f"{answer}", f"look {seen} {answer}", f"name {answer}", f"first {answer} last", f"{seen} name"])
    )
