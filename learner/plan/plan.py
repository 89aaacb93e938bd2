"""The memory plan of a run: what its settings need on one GPU, and which setting to change if that is too much.

    plan = make_plan(shape_of(model), settings, views_of(world, skills))
    plan.lines()                  printed by `vantage doctor CONFIG`, and in the log of a start on a GPU
    plan.need(total)              bytes on a GPU of this size
    advice(plan, total, free)     changes of settings after which it fits

The plan is an upper bound for the largest step: every question has the most views and the longest answers.
"""

from __future__ import annotations

import json
import logging
import math
from dataclasses import dataclass, replace
from typing import Iterable, Iterator, NamedTuple, Optional, Sequence

import torch

from learner.plan import memory
from learner.plan.memory import GIB, Pass
from learner.plan.shape import Shape, shape_of
from learner.policy.assemble import most_turns
from learner.rollouts.transformers import GENERATED_AT_ONCE, PACKED_AT_ONCE, prompts_at_once
from learner.settings import LearnerSettings
from protocol.errors import VantageError
from protocol.run.config import Tree, section
from protocol.skills import CATALOGUE
from protocol.tasks.specs import World, cells_of, worlds_of

log = logging.getLogger(__name__)

CARDS = (24, 48, 80, 141)  # GB, as GPUs are sold
TEXT_TOKENS = 512  # of a question with its rule, options and the chat template
# Assumed, since no formula gives it: the CUDA context with loaded kernels, and what the allocator cannot reuse.
CONTEXT, FRAGMENTATION = GIB, 0.05


class Views(NamedTuple):
    """The most images of a prompt, their largest size, and the most turns of an answer."""

    most: int
    height_px: int
    width_px: int
    turns: int


def views_of(worlds: Iterable[World], skills: Iterable[str]) -> Views:
    """What the questions of these skills show in these worlds."""
    worlds = list(worlds)
    turns = most_turns(worlds)
    most = max(CATALOGUE[name].view_budget for name in skills)
    shapes = [shape for world in worlds for shape in world.image_shapes]
    height, width = max(shapes, key=lambda shape: shape[0] * shape[1])
    return Views(max(most, turns), height, width, turns)


@dataclass(frozen=True)
class Plan:
    """Bytes of the parts of a run on one GPU.

    `rollouts` is 0 if another process samples; `share` is 0 unless that is a vLLM on the same GPU.
    """

    shape: Shape
    settings: LearnerSettings
    views: Views
    work: Pass
    weights: int
    adapter: int
    gradients: int
    optimizer: int
    activations: int
    logits: int
    images: int
    rollouts: int
    engine_least: int  # what vLLM needs at least within its share
    share: float  # of the memory of the GPU for vLLM

    @property
    def resident(self) -> int:
        """Bytes that are held all the time."""
        return self.weights + self.adapter + self.gradients + self.optimizer + self.images

    @property
    def step(self) -> int:
        """Bytes of a training step besides the resident ones."""
        return self.activations + self.logits

    @property
    def own(self) -> int:
        """Bytes of the learner's process without vLLM: steps and rollouts take turns."""
        return CONTEXT + round((1 + FRAGMENTATION) * (self.resident + max(self.step, self.rollouts)))

    def need(self, total: int) -> int:
        """Bytes needed on a GPU of `total` bytes. More than `total` if vLLM cannot start within its share."""
        engine = round(self.share * total)
        return self.own + max(engine, self.engine_least)

    def lines(self) -> Iterator[str]:
        """The plan as text, and the GPUs that it fits."""
        settings, work = self.settings, self.work
        dtype = "bfloat16" if settings.grpo.bf16 else "float32"
        trained = self.shape.adapter(settings.grpo.lora_rank)
        over = f", over {settings.processes} GPUs" if settings.shard else ""
        yield f"memory plan for {self.shape.name}, GiB of one GPU"
        rows = [
            ("weights", self.weights, f"{_count(self.shape.parameters)} parameters, {dtype}{over}"),
            ("adapter", self.adapter, f"rank {settings.grpo.lora_rank}, {_count(trained)} parameters"),
            ("gradients and optimizer", self.gradients + self.optimizer, "AdamW, float32"),
            ("images", self.images, f"{self.views.most} x {self.views.width_px} x {self.views.height_px} px a prompt"),
            ("step: activations", self.activations, f"{work.tokens} tokens at once, {self._forward()}"),
            ("step: logits", self.logits, f"{work.scored} tokens of answers"),
        ]
        if self.rollouts:
            rows.append(("rollouts", self.rollouts, "cache and prompts, before the step"))
        rows.append(("CUDA, fragmentation", self.own - self._used, f"assumed: 1 GiB and {FRAGMENTATION:.0%}"))
        if self.share:
            least = f"of the GPU, at least {self.engine_least / GIB:.1f}"
            rows.append((f"vLLM: {self.share:.0%}", 0, least))
        for name, amount, note in rows:
            shown = f"{amount / GIB:8.2f}" if amount else " " * 8
            yield f"  {name:24}{shown}  {note}"
        for card in CARDS:
            need = self.need(card_bytes(card))
            verdict = "fits" if need <= card_bytes(card) else "does not fit"
            yield f"  {card:>4} GB GPU: {verdict:13} {need / GIB:6.1f}"

    @property
    def _used(self) -> int:
        return self.resident + max(self.step, self.rollouts)

    def _forward(self) -> str:
        if self.work.forward == "packed":
            return "packed"
        return "recomputed layer by layer" if self.settings.grpo.gradient_checkpointing else "all layers stored"


def _count(number: int) -> str:
    return f"{number / 1e9:.2f} billion" if number >= 1e9 else f"{number / 1e6:.1f} million"


def card_bytes(card: int) -> int:
    """Memory of a GPU that is sold with this number of GB: GiB up to 80, and 140 GiB for 141."""
    return (card if card < 100 else card - 1) * GIB


def make_plan(shape: Shape, settings: LearnerSettings, views: Views) -> Plan:
    """The plan of a run with this model."""
    grpo, size = settings.grpo, 2 if settings.grpo.bf16 else 4
    packed = grpo.packed_forward and shape.kind == "qwen3_vl" and not settings.shard
    ranks = settings.processes if settings.shard else 1
    in_process = settings.rollout.engine == "transformers"
    serving = settings.rollout.engine == "vllm-serve"
    share = 0.0 if in_process or serving else settings.rollout.vllm_memory_share
    prompt = views.most * shape.tower.tokens(views.height_px, views.width_px) + TEXT_TOKENS
    if share or serving:  # vLLM refuses longer prompts
        prompt = min(prompt, settings.rollout.max_prompt_tokens)
    work = _training_pass(settings, views, prompt, packed)
    answer, samples = settings.rollout.max_answer_tokens, grpo.samples
    at_once = prompts_at_once(PACKED_AT_ONCE if packed else GENERATED_AT_ONCE, samples, answer)
    at_once = min(at_once, grpo.groups // settings.processes)
    sampling = replace(work, prompts=at_once, branches=samples, prompt=prompt, answer=answer)
    copies = 1 if packed else samples  # of the images of a prompt
    shown = views.most * max(work.prompts * (1 if packed else work.branches), at_once * copies * in_process)
    least = memory.weights(shape, 4 if settings.rollout.vllm_dtype == "float32" else 2)
    least += memory.cache(shape, 1, prompt + answer, 4 if settings.rollout.vllm_dtype == "float32" else 2)
    adapter = math.ceil(memory.adapter(shape, grpo.lora_rank) / ranks)
    return Plan(
        shape=shape,
        settings=settings,
        views=views,
        work=work,
        weights=memory.weights(shape, size) if ranks == 1 else memory.sharded_weights(shape, ranks, size),
        adapter=adapter,
        gradients=adapter,
        optimizer=math.ceil(memory.optimizer(shape, grpo.lora_rank) / ranks),
        activations=memory.activations(shape, work, grpo.lora_rank, size, grpo.gradient_checkpointing),
        logits=memory.logits(shape, work, size),
        images=memory.images(shape, shown, views.height_px, views.width_px, size, packed),
        rollouts=memory.rollouts(shape, sampling, size) if in_process else 0,
        engine_least=least // settings.rollout.vllm_tensor_parallel if share else 0,
        share=share,
    )


def _training_pass(settings: LearnerSettings, views: Views, prompt: int, packed: bool) -> Pass:
    """The largest forward pass of a step, split as by learner/rollouts/scores.py."""
    grpo, answer = settings.grpo, settings.rollout.max_answer_tokens
    groups = grpo.micro_batch_groups or grpo.groups // settings.processes
    most = max(grpo.micro_batch_tokens, prompt + answer)
    if packed:
        one = prompt + grpo.rows * answer
        if one <= most:
            return Pass("packed", min(groups * views.turns, most // one), grpo.rows, prompt, answer)
        return Pass("packed", 1, max(1, (most - prompt) // answer), prompt, answer)
    if settings.policy.style == "reason" or views.turns > 1 or settings.shard:
        return Pass("plain", 1, min(grpo.rows, most // (prompt + answer)), prompt, answer)
    return Pass("fused", groups, grpo.rows, prompt, answer)


# ----------------------------------------------------------------------------- refusal


class Change(NamedTuple):
    """A setting that needs less memory with another value."""

    table: str
    key: str
    value: object

    def __str__(self) -> str:
        return f"learner.{self.table}.{self.key} = {json.dumps(self.value)}"


def advice(plan: Plan, total: int, free: int) -> Optional[tuple[list[Change], Plan]]:
    """The fewest changes, tried in the order of their cost in speed, after which the plan fits in `free` bytes.

    Returns None if all of them together do not suffice.
    """
    for change in _changes(plan.settings):
        changed = _with(plan, change)
        if changed.need(total) <= free:
            return [change], changed
    made: list[Change] = []
    changed = plan
    for key in dict.fromkeys((change.table, change.key) for change in _changes(plan.settings)):
        options = [change for change in _changes(plan.settings) if (change.table, change.key) == key]
        best = min(options, key=lambda change: _with(changed, change).need(total))
        if _with(changed, best).need(total) >= changed.need(total):
            continue
        made, changed = [*made, best], _with(changed, best)
        if changed.need(total) <= free:
            return _needed(plan, made, total, free)
    return None


def _needed(plan: Plan, made: list[Change], total: int, free: int) -> tuple[list[Change], Plan]:
    """The changes without those that the later ones make needless."""
    for change in list(made):
        others = [other for other in made if other != change]
        if _with(plan, *others).need(total) <= free:
            made = others
    return made, _with(plan, *made)


def _changes(settings: LearnerSettings) -> Sequence[Change]:
    grpo, per_process = settings.grpo, settings.grpo.groups // settings.processes
    shares = (0.25, 0.35, 0.45, 0.6) if settings.rollout.engine == "vllm" else ()
    current = grpo.micro_batch_groups or per_process
    return [
        *([] if grpo.bf16 else [Change("grpo", "bf16", True)]),
        *([] if grpo.gradient_checkpointing else [Change("grpo", "gradient_checkpointing", True)]),
        *(Change("rollout", "vllm_memory_share", share) for share in shares),
        *(
            Change("grpo", "micro_batch_groups", groups)
            for groups in (8, 4, 2, 1)
            if groups < current and per_process % groups == 0
        ),
        *(Change("grpo", "micro_batch_tokens", n) for n in (8192, 4096, 2048) if n < grpo.micro_batch_tokens),
        *([] if settings.rollout.engine == "vllm-serve" else [Change("rollout", "engine", "vllm-serve")]),
    ]


def _with(plan: Plan, *changes: Change) -> Plan:
    """The plan after these changes of settings."""
    settings = plan.settings
    for change in changes:
        table = getattr(settings, change.table).model_copy(update={change.key: change.value})
        settings = settings.model_copy(update={change.table: table})
    return make_plan(plan.shape, settings, plan.views)


def out_of_memory(settings: LearnerSettings) -> VantageError:
    """The error of a run whose GPU ran out of memory although the plan fitted, or without a plan."""
    changes = [str(change) for change in _changes(settings) if change.table == "grpo"][:2]
    advice = f"set {' or '.join(changes)}" if changes else "take a smaller model or smaller images"
    return VantageError(
        "unsupported", f"the GPU ran out of memory: {advice}; the same command resumes at the last complete step."
    )


def plan_of(tree: Tree) -> Plan:
    """The plan of a complete configuration. Raises VantageError as `shape_of`."""
    settings = section(tree, "learner", LearnerSettings)
    views = views_of(worlds_of(tree).values(), {skill for skill, _ in cells_of(tree)})
    return make_plan(shape_of(settings.policy.model, settings.policy.revision), settings, views)


def check_memory(tree: Tree) -> None:
    """Log the plan of a start on a GPU, and refuse one that cannot fit. Does nothing without a GPU.

    Raises VantageError("bad_config") that names the settings to change.
    """
    if section(tree, "learner", LearnerSettings).device == "cpu" or not torch.cuda.is_available():
        return
    free, total = torch.cuda.mem_get_info()
    plan = plan_of(tree)
    for line in plan.lines():
        log.info("%s", line)
    refuse(plan, total, free)


def refuse(plan: Plan, total: int, free: int) -> None:
    """Raise VantageError("bad_config") if the plan needs more than `free` of the `total` bytes of a GPU."""
    if plan.need(total) <= free:
        return
    needs = f"the run needs {plan.need(total) / GIB:.1f} GiB of GPU memory, and {free / GIB:.1f} GiB are free"
    found = advice(plan, total, free)
    if found is None:
        raise VantageError(
            "bad_config", f"{needs}: take a smaller learner.policy.model, smaller images, or a larger GPU."
        )
    changes, changed = found
    raise VantageError(
        "bad_config",
        f"{needs}: set {' and '.join(map(str, changes))}, which needs {changed.need(total) / GIB:.1f} GiB.",
    )
