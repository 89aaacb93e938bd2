"""`python -m tests.support.ranks_step FOLDER`: training steps on one of two ranks, to compare with one process.

Each rank writes the resulting adapters to FOLDER/rank{0,1}.safetensors.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Optional

import torch
from safetensors.torch import save_file

from learner.grpo.clock import StepClock
from learner.grpo.groups import split_answers
from learner.grpo.trainer import VantageTrainer, trainer_config
from learner.policy.adapters import adapter_tensors, read_adapter
from learner.policy.assemble import add_lora
from learner.policy.build import build
from learner.policy.checkpoints import CheckpointStore
from learner.policy.packed import PackedPolicy
from learner.policy.shards import shard, stored_bytes
from learner.ranks.orders import Ranks, TrainStep, join
from learner.ranks.processes import exit_with_parent
from learner.rollouts.base import Rollout, Sampling
from learner.rollouts.encoder import PromptEncoder
from learner.rollouts.group import Group
from learner.rollouts.transformers import PackedEngine
from learner.settings import GrpoSettings, RolloutSettings
from protocol.answers.scoring import Reward
from tests.support.prompts import some_prompts

GRPO = GrpoSettings(groups=4, samples=4, lora_rank=4, lora_alpha=8, learning_rate=1e-2, warmup_steps=0)
STEPS = 2


class Case(NamedTuple):
    packed: bool = True
    correct: bool = False  # importance correction, as for an engine with its own weights
    groups: int = 3  # the answers to the second are split between the ranks
    looks: bool = False  # answers of two turns
    flat: bool = False  # all rewards of the first step are equal
    sharded: bool = False  # the model is spread over the ranks
    resumed: bool = False  # the second step is repeated from the checkpoint after the first
    changes: dict[str, Any] = {}  # noqa: RUF012 - never written to


CASES = {
    "trl": Case(packed=False, correct=True),
    "passes": Case(groups=4, changes={"loss": "grpo", "micro_batch_groups": 1}),
    "looks": Case(looks=True),
    "one flat": Case(groups=1, flat=True),
    "truth": Case(groups=4, changes={"objective": "grpo+truth"}),
    "truth, trl": Case(groups=4, packed=False, correct=True, changes={"objective": "truth"}),
    "sharded": Case(packed=False, correct=True, sharded=True, resumed=True),
    "sharded, passes": Case(packed=False, sharded=True, groups=4, changes={"micro_batch_groups": 1}),
    "sharded, looks": Case(packed=False, sharded=True, looks=True, changes={"micro_batch_tokens": 256}),
}


def adapters(ranks: Ranks, case: Case, folder: Path) -> dict[str, torch.Tensor]:
    """Return the adapter after two steps on answers that do not depend on the number of ranks."""
    grpo = GRPO.model_copy(update=case.changes)
    base, processor = build(0)
    model = add_lora(base, grpo, seed=0)
    generator = torch.Generator().manual_seed(1)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data = 0.05 * torch.randn(parameter.shape, generator=generator)
    start = {name: tensor.clone() for name, tensor in adapter_tensors(model).items()}
    packed = PackedPolicy(model, processor)
    groups = some_groups(PackedEngine(packed, PromptEncoder(processor, model)), case) if ranks.rank == 0 else []

    def collect() -> Any:
        if ranks.rank > 0:
            order = ranks.receive()
            assert isinstance(order, TrainStep)
            return order.unpack()
        flat = case.flat and trainer.state.global_step == 0
        equal = [replace(group, rewards=(Reward(0.0, True),) * GRPO.samples) for group in groups]
        asked = equal if flat else groups
        taught = [group.teaching() for group in asked] if grpo.teaches else asked
        own, *others = split_answers(taught, ranks.size)
        ranks.send([TrainStep.of(*part, 0.0) for part in others])
        return own

    turns = 2 if case.looks else 1
    rollout = RolloutSettings(max_answer_tokens=3)
    config = trainer_config(folder, grpo, rollout, STEPS, 0, True, turns, ranks.size)
    saved = folder / "checkpoints"
    saved.mkdir(parents=True, exist_ok=True)

    def trainer_of(model: Any, store: Optional[CheckpointStore]) -> VantageTrainer:
        if case.sharded and ranks.size > 1:
            complete = stored_bytes(model)
            shard(model, on_gpu=False)
            assert stored_bytes(model) < 0.51 * complete
        made = VantageTrainer(
            model,
            processor,
            collect,
            config,
            grpo,
            store,
            StepClock(),
            lambda: {"loop_s": 0.0},
            lambda _: 1.0,
            packed if case.packed else None,
            correct=case.correct,
        )
        made._sharded = case.sharded  # one process computes the same forward pass
        return made

    trainer = trainer_of(model, CheckpointStore(saved) if case.resumed and ranks.rank == 0 else None)
    trainer.train()
    end = adapter_tensors(model)
    if case.resumed:
        again = add_lora(build(0)[0], grpo, seed=1)
        trainer = trainer_of(again, None)
        read_adapter(again, saved / "step-000001")
        trainer.train(resume_from_checkpoint=str(saved / "step-000001"))
        difference = {name: float((end[name] - tensor).abs().max()) for name, tensor in adapter_tensors(again).items()}
        assert max(difference.values()) < 1e-5, difference
    assert all(float((end[name] - start[name]).abs().max()) > GRPO.learning_rate / 2 for name in start)
    return end


def some_groups(engine: PackedEngine, case: Case) -> list[Group]:
    """Return groups with different rewards; with `looks`, every other answer has a second turn."""
    groups = []
    for rollout in engine.generate(some_prompts(case.groups), GRPO.samples, Sampling(1.0, 3, 0)):
        rewards = tuple(Reward(float(index == 1), True) for index in range(GRPO.samples))
        later: tuple[tuple[Rollout, ...], ...] = ()
        if case.looks:
            second = engine.generate([replace(rollout.prompt, text="is it red ?")], GRPO.samples, Sampling(1.0, 3, 1))
            later = tuple((second[0].only(index),) if index % 2 else () for index in range(GRPO.samples))
        groups.append(Group(rollout, rewards, later))
    return groups


def main() -> None:
    exit_with_parent()
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    ranks = join(on_gpu=False)
    found = {}
    for name, case in CASES.items():
        for key, tensor in adapters(ranks, case, folder / name).items():
            found[f"{name}/{key}"] = tensor
    save_file(found, folder / f"rank{ranks.rank}.safetensors")
    ranks.close()


if __name__ == "__main__":
    main()
