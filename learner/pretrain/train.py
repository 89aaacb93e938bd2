"""Supervised pre-training of the embedded policy.

    1. vision   the vision tower alone: dense targets per image token, from the id images of the simulator
    2. ground   the full model: packed questions, with the grounding loss at every noun that names an object

`Trainer` implements both stages. `pretrain` runs them, evaluates periodically, and saves the checkpoint with the best
perception among those whose relational skills are still to be learned. With equal settings and views the weights are
bit-identical.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F

from learner.policy.build import IMAGE, VISION_END, VISION_START, build, save
from learner.policy.load import load
from learner.policy.packed import PackedPolicy
from learner.pretrain.batches import MASKED, TaughtAnswers, Tokens, choose, dense, pack
from learner.pretrain.data import Pool, Shard
from learner.pretrain.evaluate import Accuracy, evaluate, mean
from learner.pretrain.heads import Heads
from learner.pretrain.muon import Muon
from learner.pretrain.truth import Names
from learner.settings import PretrainSettings
from protocol.seeds import rng_for
from protocol.tasks.task import Question

log = logging.getLogger(__name__)

_LOWEST_RATE = 0.03
_MIMETIC_GAIN, _MIMETIC_NOISE = 1.5, 0.3


class Losses(NamedTuple):
    dense: float
    answer: float = 0.0
    noun: float = 0.0


class Trainer:
    def __init__(self, settings: PretrainSettings) -> None:
        self.settings = settings
        self.model, self.processor = build(settings.seed)
        init_attention(self.model, settings.seed)
        self.packed = PackedPolicy(self.model, self.processor)
        self.tokens = Tokens(self.processor.tokenizer)
        self.names = Names(settings.colors, settings.categories)
        size = settings.image_px
        self.grid = self.packed.vision.grid(size, size)
        marks = self.processor.tokenizer.convert_tokens_to_ids([VISION_START, IMAGE, VISION_END])
        self.header = self.packed.expand(marks, size, size)
        colors = torch.tensor([self.tokens.word(word)[0] for word in settings.colors])
        categories = [torch.tensor(self.tokens.encode(word)) for word in settings.categories]
        embedding = self.packed.text.embed_tokens
        self.heads = Heads(embedding.weight.shape[1], self.names, embedding, colors, categories)
        self._optimisers: list[torch.optim.Optimizer] = []
        self._taught = TaughtAnswers(settings.answered, settings.largest_answer)

    def train(
        self, stage: str, pool: Pool, shards: Callable[[float], int], after_step: Callable[[int, Losses], None]
    ) -> None:
        """Run one stage, "vision" or "ground". `shards(progress)` is the number of shards that a step may draw from."""
        grounding = stage == "ground"
        settings = self.settings
        steps = settings.ground_steps if grounding else settings.vision_steps
        batch = settings.ground_batch if grounding else settings.vision_batch
        self._start_optimisers(settings.ground_muon_lr if grounding else settings.vision_muon_lr)
        for step in range(steps):
            pool.grow(shards(step / steps))
            rng = rng_for(settings.seed, "pretrain", stage, step)
            shard = pool.take(rng.integers(0, len(pool), batch)[rank() :: world_size()])
            self._set_rate(step, steps)
            loss, losses = self._loss(shard, rng_for(settings.seed, "pretrain", stage, step, rank()), grounding)
            loss.backward()
            parameters = [p for optimiser in self._optimisers for g in optimiser.param_groups for p in g["params"]]
            average_gradients(parameters)
            nn.utils.clip_grad_norm_(parameters, 1.0)
            for optimiser in self._optimisers:
                optimiser.step()
                optimiser.zero_grad(set_to_none=True)
            after_step(step, losses)

    def evaluate(self, pool: Pool, views: int, blind: bool = False) -> dict[str, Accuracy]:
        skills = list(self.settings.asked)
        return evaluate(self.packed, pool, views, skills, self.header, self.tokens, self.names, blind)

    def _loss(self, shard: Shard, rng: np.random.Generator, grounding: bool) -> tuple[Tensor, Losses]:
        images = self.packed.encode(shard.rgb)
        truth = dense(shard, self.names)
        dense_loss = self.heads.dense_loss(images.tokens, truth.shown, truth.targets)
        if not grounding:
            return dense_loss, Losses(dense_loss.item())
        settings = self.settings
        prefix = self.packed.prefill([self.header] * len(shard.truths), images)
        hidden, labels, nouns, noun_targets = [], [], [], []
        for chosen in self._by_length(shard, rng):
            taught = [[self._taught.add(question, rng) for question in row] for row in chosen]
            questions = pack(shard, chosen, taught, self.tokens, self.names)
            taps: list[Tensor] = []
            states = self.packed.branch(prefix, questions.ids, at=questions.at, tap=(settings.grounded_layer, taps))
            scored = questions.labels != MASKED
            hidden.append(states[scored])
            labels.append(questions.labels[scored])
            view, question, position = questions.nouns.unbind(1)
            nouns.append(taps[0][view, question, position])
            noun_targets.append(questions.noun_targets)
        answer_loss = F.cross_entropy(self.packed.logits(torch.cat(hidden)), torch.cat(labels))
        noun_loss = self.heads.noun_loss(torch.cat(nouns), torch.cat(noun_targets))
        return dense_loss + answer_loss + noun_loss, Losses(dense_loss.item(), answer_loss.item(), noun_loss.item())

    def _by_length(self, shard: Shard, rng: np.random.Generator) -> list[list[list[Question]]]:
        """Choose questions for each view, split into the shorter and the longer half to reduce padding."""
        count = self.settings.ground_questions
        rows = [choose(truth.questions, self.settings.asked, count, rng) for truth in shard.truths]
        for row in rows:
            row.sort(key=lambda question: len(question.text))
        half = -(-count // 2)
        return [batch for batch in ([row[:half] for row in rows], [row[half:] for row in rows]) if any(batch)]

    def _start_optimisers(self, muon_lr: float) -> None:
        matrices, others = [], list(self.heads.parameters())
        for name, parameter in self.model.named_parameters():
            # Orthogonalising the large matrices of the mergers would cost more than those of the language model.
            hidden = parameter.ndim == 2 and not any(word in name for word in ("embed", "lm_head", "merger"))
            (matrices if hidden else others).append(parameter)
        adam = torch.optim.AdamW(others, self.settings.adam_lr, betas=(0.9, 0.98), weight_decay=0.0)
        self._optimisers = [Muon(matrices, muon_lr), adam]
        for optimiser in self._optimisers:
            for group in optimiser.param_groups:
                group["base_lr"] = group["lr"]

    def _set_rate(self, step: int, steps: int) -> None:
        """Warm-up, plateau, linear decay."""
        settings = self.settings
        left = (1 - step / steps) / (1 - settings.decay_from)
        rate = min(1.0, (step + 1) / settings.warmup_steps) * min(1.0, max(_LOWEST_RATE, left))
        for optimiser in self._optimisers:
            for group in optimiser.param_groups:
                group["lr"] = group["base_lr"] * rate


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def average_gradients(parameters: Sequence[Tensor]) -> None:
    """Average over the training processes. A parameter without a gradient has none in any process."""
    if world_size() == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([g.reshape(-1) for g in gradients])
    dist.all_reduce(flat)
    flat /= world_size()
    for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients])):
        gradient.copy_(part.view_as(gradient))


def init_attention(model: Any, seed: int) -> None:
    """Initialise query and key weights almost equal, so that words attend to image tokens with similar content.

    After Trockman & Kolter, "Mimetic initialization", arXiv 2305.09828.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in model.model.language_model.layers:
            attention = layer.self_attn
            shape = attention.q_proj.weight.shape
            common, noise = (torch.randn(shape, generator=generator) * shape[1] ** -0.5 for _ in range(2))
            attention.q_proj.weight.copy_(common)
            attention.k_proj.weight.copy_(common + _MIMETIC_NOISE * noise)
            attention.q_norm.weight.fill_(_MIMETIC_GAIN)


class CheckpointScore(NamedTuple):
    """Held-out accuracy of a checkpoint."""

    step: int
    perception: float
    relation: float

    def better_than(self, other: CheckpointScore | None, band: tuple[float, float]) -> bool:
        """Compare first by being in the band, then by perception."""
        if other is None:
            return True
        inside, other_inside = (band[0] <= c.relation <= band[1] for c in (self, other))
        return (inside, self.perception) > (other_inside, other.perception)


class PretrainResult(NamedTuple):
    """The saved checkpoint, for the model card."""

    step: int
    parameters: int
    seeing: dict[str, Accuracy]  # on all held-out views
    blind: dict[str, Accuracy]


def pretrain(settings: PretrainSettings, train: Pool, held_out: Pool, out: Path) -> PretrainResult | None:
    """Train both stages and save the chosen checkpoint to `out`.

    Call in each of settings.processes processes, after initialising torch.distributed if there are several. Process 0
    evaluates, saves, and returns the result; the others return None.
    """
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    trainer = Trainer(settings)
    last = settings.train_shards
    best: CheckpointScore | None = None

    def growing(progress: float) -> int:
        """Number of shards in the vision stage, from first_shards up to all."""
        return min(last, settings.first_shards + int(progress * (last - settings.first_shards)))

    def after_vision_step(step: int, losses: Losses) -> None:
        if rank() == 0 and (step + 1) % settings.evaluate_every == 0:
            log.info("vision step %d of %d: dense loss %.3f", step + 1, settings.vision_steps, losses.dense)

    def after_ground_step(step: int, losses: Losses) -> None:
        nonlocal best
        due = (step + 1) % settings.evaluate_every == 0 or step + 1 == settings.ground_steps
        if rank() or not due:
            return
        table = trainer.evaluate(held_out, settings.evaluate_views)
        scored = CheckpointScore(step + 1, mean(table, list(settings.perceive)), mean(table, list(settings.relate)))
        saved = scored.better_than(best, settings.relation_band)
        if saved:
            best = scored
            save(trainer.model, trainer.processor, out)
        log.info(
            "ground step %d of %d: losses dense %.3f answer %.3f noun %.3f, held out (greedy/sampled) %s%s",
            step + 1,
            settings.ground_steps,
            *losses,
            " ".join(f"{name} {a.greedy:.2f}/{a.sampled:.2f}" for name, a in table.items()),
            ", saved" if saved else "",
        )

    held_out.grow(settings.held_out_shards)
    trainer.train("vision", train, growing, after_vision_step)
    trainer.train("ground", train, lambda _: last, after_ground_step)
    if rank():
        return None
    assert best is not None
    trainer.model.load_state_dict(load(str(out)).model.state_dict())
    seeing, blind = (trainer.evaluate(held_out, len(held_out), without) for without in (False, True))
    return PretrainResult(best.step, sum(p.numel() for p in trainer.model.parameters()), seeing, blind)
