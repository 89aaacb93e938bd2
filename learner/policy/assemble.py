"""Builds the policy, engine and forward pass of a run from its settings, for training and evaluation."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Iterable, Optional, Sequence

import torch
from peft import LoraConfig, get_peft_model

from learner.policy.adapters import read_adapter
from learner.policy.checkpoints import CheckpointStore
from learner.policy.load import load
from learner.policy.packed import PackedPolicy
from learner.rollouts import ENGINES
from learner.rollouts.base import EngineContext, Prompt, RolloutEngine
from learner.rollouts.encoder import PromptEncoder
from learner.rollouts.scores import packed_truths, plain_truths
from learner.rollouts.transformers import GenerateEngine, PackedEngine
from learner.settings import GrpoSettings, LearnerSettings, PolicySettings
from protocol.errors import VantageError
from protocol.run.sealed import verify_folder
from protocol.skills.skill import MOST_VIEWS
from protocol.tasks.specs import World


@dataclass(frozen=True)
class Parts:
    """A loaded policy with its processor, encoder and forward pass."""

    model: Any  # PeftModel
    processor: Any
    source: str  # folder or hub name of the base model
    encoder: PromptEncoder
    packed: Optional[PackedPolicy]  # None for other model classes, or if disabled by the config
    device: str
    most_tokens: int  # computed at once

    def truths(self, prompts: Sequence[Prompt]) -> list[float]:
        """Mean log-probability of the true answer of each prompt, after its `thought`, under the live weights."""
        if self.packed is not None:
            return packed_truths(self.packed, self.encoder, prompts, self.most_tokens)
        return plain_truths(self.model, self.processor, self.encoder, prompts, self.most_tokens)

    def in_thread(self, policy: PolicySettings) -> Parts:
        """The same policy with another encoder, for another thread: tokenizers are not thread-safe."""
        processor = copy.deepcopy(self.processor)
        return replace(self, encoder=PromptEncoder(processor, self.model, policy.style, policy.tags))

    def live_engine(self) -> RolloutEngine:
        """Return an engine that samples with the live weights."""
        if self.packed is not None:
            return PackedEngine(self.packed, self.encoder)
        return GenerateEngine(self.model, self.processor, self.encoder)


def assemble(settings: LearnerSettings, seed: int, to_shard: bool = False) -> Parts:
    """Load the policy, with a new adapter on its language model, or a copy of the one in policy.adapter.

    With `to_shard` the model is loaded on the CPU, for learner/policy/shards.py, without a packed forward pass.
    Raises VantageError("bad_config" or "corrupt") if the model or that adapter cannot be loaded.
    """
    torch.set_num_threads(settings.threads)
    device = _device(settings.device)
    dtype = torch.bfloat16 if device == "cuda" and settings.grpo.bf16 else torch.float32
    policy = load(settings.policy.model, dtype, "cpu" if to_shard else device, settings.policy.revision)
    encoder = PromptEncoder(policy.processor, policy.model, settings.policy.style, settings.policy.tags)
    model = add_lora(policy.model, settings.grpo, seed)
    if settings.policy.adapter:
        _start_from(model, Path(settings.policy.adapter), settings.policy.model)
    packed: Optional[PackedPolicy] = None
    if settings.grpo.packed_forward and not to_shard and getattr(policy.model.config, "model_type", "") == "qwen3_vl":
        packed = PackedPolicy(model, policy.processor)
    return Parts(model, policy.processor, policy.source, encoder, packed, device, settings.grpo.micro_batch_tokens)


def _start_from(model: Any, folder: Path, base: str) -> None:
    """Load a sealed adapter as the start of a policy.

    Raises VantageError: "bad_config" if it is missing or belongs to another model, "corrupt".
    """
    if not folder.is_dir():
        raise VantageError("bad_config", f"there is no adapter folder {folder}: check learner.policy.adapter.")
    own = str(verify_folder(folder).get("base", base))
    if Path(own).name != Path(base).name:  # the same model may be a folder here and a hub name there
        raise VantageError(
            "bad_config",
            f"{folder} is an adapter of {own}, but learner.policy.model is {base}: set one to fit the other.",
        )
    read_adapter(model, folder)


def add_lora(model: Any, grpo: GrpoSettings, seed: int) -> Any:
    """Add a new trainable adapter to the model; the same seed gives the same adapter.

    Raises VantageError("unsupported") if the model has no language model with linear layers.
    """
    targets = lora_targets(model)
    torch.manual_seed(seed)
    return get_peft_model(
        model,
        LoraConfig(
            r=grpo.lora_rank,
            lora_alpha=grpo.lora_alpha,
            lora_dropout=0.0,
            target_modules=targets,
            task_type="CAUSAL_LM",
        ),
    )


def lora_targets(model: Any) -> str:
    """A pattern of the names of every linear layer in the layers of the language model.

    Not those of the vision tower, where vLLM ignores adapters.
    """
    decoder = model.get_decoder()
    prefix = next((name for name, module in model.named_modules() if module is decoder), None)
    layers = getattr(decoder, "layers", None)
    if not prefix or layers is None:
        raise VantageError(
            "unsupported", f"{type(model).__name__} has no language model with layers, which LoRA adapters need."
        )
    kinds = {name.split(".")[-1] for name, module in layers.named_modules() if isinstance(module, torch.nn.Linear)}
    return rf"{re.escape(prefix)}\.layers\.\d+\..*\.({'|'.join(sorted(kinds))})"


def target_modules(model: Any, targets: str) -> list[Any]:
    """The modules of the model whose names match the pattern of `lora_targets`."""
    return [module for name, module in model.named_modules() if re.fullmatch(targets, name)]


def rollout_engine(parts: Parts, settings: LearnerSettings, worlds: Iterable[World], seed: int) -> RolloutEngine:
    """Create the rollout engine named in the settings, for prompts about these worlds.

    Raises VantageError("bad_config") if it is not installed, and the errors of its factory.
    """
    return ENGINES.load(settings.rollout.engine)(EngineContext(parts, settings, max_images(worlds), seed))


def max_images(worlds: Iterable[World]) -> int:
    """Maximum number of images in a prompt about these worlds."""
    return max(MOST_VIEWS, most_turns(worlds))


def most_turns(worlds: Iterable[World]) -> int:
    """Maximum number of turns of an answer: it may look around before each but the first."""
    return 1 + max(world.look_around for world in worlds)


def resume(parts: Parts, checkpoints: CheckpointStore) -> Optional[Path]:
    """Load the adapter of the newest intact checkpoint; return the checkpoint, or None if there is none yet.

    Raises VantageError: "corrupt", or "bad_config" if its adapter does not fit the settings.
    """
    checkpoint = checkpoints.recover()
    if checkpoint is not None:
        read_adapter(parts.model, checkpoint)
    return checkpoint


def _device(wanted: str) -> str:
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cuda" and not torch.cuda.is_available():
        raise VantageError("bad_config", "learner.device is cuda, but torch finds no GPU: set it to auto or cpu.")
    return wanted
