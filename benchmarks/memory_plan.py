"""The memory plan against memory that is measured, and the plan of Qwen3-VL on GPUs of four sizes.

    python -m benchmarks.memory_plan      writes results/memory_plan.json

Measured are the bytes of the tensors of a training pass of small random models on the CPU, as the allocator of a GPU
would count them. Qwen3-VL itself is planned from the published sizes; no weights are loaded.
"""

from __future__ import annotations

import argparse
import json
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, NamedTuple
from unittest import mock

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.machine import describe_machine
from benchmarks.qwen3_vl import PARAMETERS, qwen3_vl
from learner.grpo.groups import packed_log_probs, plain_log_probs
from learner.plan import memory
from learner.plan.memory import GIB, Pass
from learner.plan.plan import CARDS, Plan, advice, card_bytes, make_plan, views_of
from learner.plan.shape import Shape, shape_of_config
from learner.policy import build
from learner.policy.assemble import add_lora
from learner.policy.packed import PackedPolicy
from learner.rollouts.base import Completion, Prompt, Rollout
from learner.rollouts.encoder import PromptEncoder
from learner.rollouts.group import Group
from learner.rollouts.inputs import plain_inputs
from learner.settings import GrpoSettings, LearnerSettings
from protocol.answers.scoring import Reward
from protocol.run.config import load, section
from protocol.tasks.specs import cells_of, worlds_of

ROOT = Path(__file__).resolve().parent.parent
RANK = 8


class Peak(TorchDispatchMode):
    """Within the block: `now` and `most` bytes of the storages that operations created."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self._known: dict[int, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {t.untyped_storage()._cdata for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)}
        found = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(found):
            if isinstance(tensor, torch.Tensor):
                self._add(tensor.untyped_storage(), given)
        return found

    def _add(self, storage: torch.UntypedStorage, given: set[int]) -> None:
        key = storage._cdata
        if key in self._known or key in given:
            return
        self._known[key] = storage.nbytes()
        self.now += storage.nbytes()
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._remove, key)

    def _remove(self, key: int) -> None:
        self.now -= self._known.pop(key, 0)


class Measured(NamedTuple):
    stored: int  # bytes between forward and backward
    most: int  # bytes at the peak of both
    work: Pass


class Small(NamedTuple):
    """A small model of the class of Qwen3-VL, with an adapter."""

    model: Any
    processor: Any
    shape: Shape
    size: int  # bytes of a number


def small(dtype: torch.dtype, hidden: int = 128, feed_forward: int = 384, heads: int = 4, layers: int = 4) -> Small:
    processor = build.build_processor()
    config = build.build_config(processor.tokenizer)
    sizes = {"hidden_size": hidden, "intermediate_size": feed_forward, "num_hidden_layers": layers}
    for key, value in {**sizes, "num_attention_heads": heads, "num_key_value_heads": heads // 2}.items():
        setattr(config.text_config, key, value)
    config.vision_config.out_hidden_size = hidden
    torch.manual_seed(0)
    model: Any = build.Qwen3VLForConditionalGeneration(config).to(dtype)
    assert model.generation_config is not None
    model.generation_config.eos_token_id = processor.tokenizer.eos_token_id
    shape = shape_of_config("small", config)
    grpo = GrpoSettings(lora_rank=RANK, lora_alpha=RANK)
    return Small(add_lora(model, grpo, 0), processor, shape, torch.finfo(dtype).bits // 8)


def measure(own: Small, forward: memory.Forward, groups: int, samples: int, answer: int, recompute: bool) -> Measured:
    """One training pass: forward, then backward, with answers of `answer` tokens."""
    made, encoder = _groups(own, groups, samples, answer)
    rows = torch.arange(groups * samples)
    pixels = [image for group in made for image in group.rollout.prompt.images]
    if forward == "packed":
        packed = PackedPolicy(own.model, own.processor)
        packed.encode_once(pixels)

        def compute() -> torch.Tensor:
            return packed_log_probs(packed, made, rows, answer, 1.0, 2**30)[0]
    elif forward == "plain":

        def compute() -> torch.Tensor:
            return plain_log_probs(own.model, own.processor, encoder, made, rows, answer, 1.0, 2**30)[0]
    else:
        compute = _fused(own, encoder, made, recompute)
    with torch.autocast("cpu", torch.bfloat16, enabled=own.size == 2), Peak() as peak:
        loss = compute().sum()
        stored = peak.now
        loss.backward()
    prompt = len(made[0].rollout.prompt_ids)
    return Measured(stored, peak.most, Pass(forward, groups, samples, prompt, answer))


def _groups(own: Small, groups: int, samples: int, answer: int) -> tuple[list[Group], PromptEncoder]:
    encoder = PromptEncoder(own.processor, own.model)
    rng = np.random.default_rng(0)
    made = []
    for _ in range(groups):
        view = rng.integers(0, 255, (128, 128, 3), dtype=np.uint8)
        prompt = Prompt("is the red chair left or right of the blue box ?", (view,))
        ids = list(encoder.prompt(prompt.text, 1))
        at = ids.index(encoder.image_token)
        ids[at : at + 1] = [encoder.image_token] * 64
        answers = tuple(
            Completion(tuple(rng.integers(300, 400, answer).tolist()), (0.0,) * answer, "", True)
            for _ in range(samples)
        )
        made.append(Group(Rollout(prompt, tuple(ids), answers), (Reward(0.0, True),) * samples))
    return made, encoder


def _fused(own: Small, encoder: PromptEncoder, groups: list[Group], recompute: bool) -> Callable[[], torch.Tensor]:
    """TRL's forward pass over all answers with their prompts."""
    from trl.trainer.utils import add_fused_lm_head

    add_fused_lm_head(own.model.get_base_model())
    if recompute:
        own.model.enable_input_require_grads()
        own.model.gradient_checkpointing_enable({"use_reentrant": False})
        own.model.train()
    prompts = [group.rollout.prompt for group in groups for _ in group.rollout.completions]
    answers = [answer.token_ids for group in groups for answer in group.rollout.completions]
    inputs = plain_inputs(own.model, own.processor, encoder, prompts, answers)
    labels = inputs["input_ids"].clone()
    labels[:, : -len(answers[0])] = -100
    return lambda: own.model(**inputs, labels=labels, fused_lm_head=True).log_probs


CASES: tuple[tuple[memory.Forward, torch.dtype, int, int, int, bool], ...] = (
    # forward, type, groups, samples, tokens of an answer, recompute
    ("packed", torch.float32, 4, 8, 8, False),
    ("packed", torch.float32, 2, 4, 64, False),
    ("packed", torch.bfloat16, 4, 8, 8, False),
    ("packed", torch.bfloat16, 2, 4, 64, False),
    ("plain", torch.float32, 1, 8, 64, False),
    ("plain", torch.bfloat16, 1, 8, 64, False),
    ("fused", torch.float32, 2, 8, 32, False),
    ("fused", torch.bfloat16, 2, 8, 32, False),
    ("fused", torch.bfloat16, 2, 8, 32, True),
)


def compare(case: tuple[memory.Forward, torch.dtype, int, int, int, bool], **sizes: int) -> dict[str, Any]:
    """Planned and measured bytes of one case."""
    forward, dtype, groups, samples, answer, recompute = case
    own = small(dtype, **sizes)
    found = measure(own, forward, groups, samples, answer, recompute)
    with mock.patch.dict(memory.WEIGHT_BYTES, {2: 2}):  # a softmax in bfloat16, as autocast has it on a CPU
        planned = memory.activations(own.shape, found.work, RANK, own.size, recompute)
    # Before the backward pass no layer is computed again.
    again = found.work.tokens * memory.layer_activations(own.shape, RANK, own.size) if recompute else 0
    # On a CPU, TRL's fused head scores the tokens of prompts as well.
    scored = replace(found.work, prompt=0, answer=found.work.prompt + found.work.answer)
    scored = scored if forward == "fused" else found.work
    most = planned + memory.logits(own.shape, scored, own.size)
    stored = planned - again
    return {
        "forward": forward,
        "type": str(dtype).removeprefix("torch."),
        "recompute": recompute,
        "tokens": found.work.tokens,
        "stored": found.stored,
        "stored_planned": stored,
        "most": found.most,
        "most_planned": most,
    }


def plan_of(name: str) -> Plan:
    """The plan of configs/qwen3-vl-4b.toml with Qwen3-VL of this size."""
    tree = load([ROOT / "configs" / "qwen3-vl-4b.toml"])
    settings = section(tree, "learner", LearnerSettings)
    views = views_of(worlds_of(tree).values(), {skill for skill, _ in cells_of(tree)})
    config = build.Qwen3VLConfig(**qwen3_vl(name))
    return make_plan(shape_of_config(f"Qwen3-VL-{name}", config), settings, views)


def on_cards(plan: Plan) -> dict[str, dict[str, Any]]:
    """Need in GiB on GPUs of each size, and the settings after which the plan fits."""
    found: dict[str, dict[str, Any]] = {}
    for card in CARDS:
        total = card_bytes(card)
        fits = plan.need(total) <= total
        changes = None if fits else advice(plan, total, total)
        found[str(card)] = {
            "need_gib": round(plan.need(total) / GIB, 1),
            "fits": fits,
            "set": [] if changes is None else list(map(str, changes[0])),
            "then_gib": None if changes is None else round(changes[1].need(total) / GIB, 1),
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "memory_plan.json")
    args = parser.parse_args()
    torch.set_num_threads(1)
    models = {}
    for name in PARAMETERS:
        plan = plan_of(name)
        parts = ("weights", "adapter", "gradients", "optimizer", "images", "activations", "logits", "own")
        models[name] = {
            "parameters": plan.shape.parameters,
            "trained": plan.shape.adapter(plan.settings.grpo.lora_rank),
            "gib": {part: round(getattr(plan, part) / GIB, 2) for part in parts},
            "cards": on_cards(plan),
        }
        print(name, json.dumps(models[name]["cards"]), flush=True)
    cases = []
    for case in CASES:
        cases.append(compare(case))
        print(cases[-1], flush=True)
    result = {"machine": describe_machine(), "cases": cases, "models": models}
    args.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
