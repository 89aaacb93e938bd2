"""Puts a run's policy, engine and forward pass together from its settings; shared by training and evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Sequence

import torch
from peft import LoraConfig, get_peft_model

from learner.policy.adapters import read_adapter
from learner.policy.checkpoints import CheckpointStore
from learner.policy.load import load
from learner.policy.packed import PackedPolicy
from learner.rollouts import ENGINES
from learner.rollouts.base import EngineContext, Prompt, RolloutEngine
from learner.rollouts.encoder import PromptEncoder
from learner.rollouts.transformers import GenerateEngine, PackedEngine, packed_truths, plain_truths
from learner.settings import GrpoSettings, LearnerSettings
from protocol.errors import VantageError
from protocol.skills.skill import MOST_VIEWS
from protocol.tasks.specs import World

# Every linear layer of the language model. The vision tower is left alone: vLLM ignores adapters there.
LORA_TARGETS = r".*language_model\.layers\.\d+\..*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"


@dataclass(frozen=True)
class Parts:
    """A policy ready to answer and to learn."""

    model: Any  # PeftModel
    processor: Any
    source: str  # folder or hub name of the base model
    encoder: PromptEncoder
    packed: Optional[PackedPolicy]  # None for other classes of model, or where the config asks for TRL's own pass
    device: str

    def truths(self, prompts: Sequence[Prompt]) -> list[float]:
        """Mean log-probability of each prompt's true answer under the live weights."""
        if self.packed is not None:
            return packed_truths(self.packed, self.encoder, prompts)
        return plain_truths(self.model, self.processor, self.encoder, prompts)

    def live_engine(self) -> RolloutEngine:
        """Answers with the weights as they stand."""
        if self.packed is not None:
            return PackedEngine(self.packed, self.encoder)
        return GenerateEngine(self.model, self.processor, self.encoder)


def assemble(settings: LearnerSettings, seed: int) -> Parts:
    """Load the policy, with a fresh adapter on its language model.

    Raises VantageError: "bad_config" or "corrupt" for a model that cannot be loaded.
    """
    torch.set_num_threads(settings.threads)
    device = _device(settings.device)
    dtype = torch.bfloat16 if device == "cuda" and settings.grpo.bf16 else torch.float32
    policy = load(settings.policy.model, dtype, device)
    model = add_lora(policy.model, settings.grpo, seed)
    encoder = PromptEncoder(policy.processor)
    packed: Optional[PackedPolicy] = None
    if settings.grpo.packed_forward and getattr(policy.model.config, "model_type", "") == "qwen3_vl":
        packed = PackedPolicy(model, policy.processor)
    return Parts(model, policy.processor, policy.source, encoder, packed, device)


def add_lora(model: Any, grpo: GrpoSettings, seed: int) -> Any:
    """The model with a fresh trainable adapter; the same seed gives the same adapter."""
    torch.manual_seed(seed)
    return get_peft_model(
        model,
        LoraConfig(
            r=grpo.lora_rank,
            lora_alpha=grpo.lora_alpha,
            lora_dropout=0.0,
            target_modules=LORA_TARGETS,
            task_type="CAUSAL_LM",
        ),
    )


def rollout_engine(parts: Parts, settings: LearnerSettings, world: World, seed: int) -> RolloutEngine:
    """The engine that the settings name, for prompts about this world.

    Raises VantageError("bad_config") if it is not installed, and what its factory raises.
    """
    return ENGINES.load(settings.rollout.engine)(EngineContext(parts, settings, max_images(world), seed))


def max_images(world: World) -> int:
    """The largest number of images in a prompt about this world."""
    return max(MOST_VIEWS, 1 + world.look_around)


def resume(parts: Parts, checkpoints: CheckpointStore) -> Optional[Path]:
    """Put the newest checkpoint's adapter into the policy; returns the checkpoint, or None at the start of a run.

    Raises VantageError("corrupt").
    """
    checkpoint = checkpoints.latest()
    if checkpoint is not None:
        read_adapter(parts.model, checkpoint)
    return checkpoint


def _device(wanted: str) -> str:
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cuda" and not torch.cuda.is_available():
        raise VantageError("bad_config", "learner.device is cuda, but this torch sees no GPU: set it to auto or cpu.")
    return wanted
