"""Exports the policy of a run.

OUT/adapter/   adapter_config.json, adapter_model.safetensors: for PEFT, or vLLM with the base model
OUT/merged/    the complete model, adapter merged, with processor: for transformers and vLLM

Both have a model card, README.md (learner/policy/card.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from transformers.utils.logging import disable_progress_bar

from learner.policy.adapters import read_adapter
from learner.policy.assemble import assemble
from learner.policy.card import write_card
from learner.policy.checkpoints import CheckpointStore
from learner.settings import LearnerSettings
from protocol.errors import VantageError
from protocol.run.config import section
from protocol.run.directory import RunDir, disk_guard
from protocol.run.sealed import sealed_folder


def export(run: RunDir, out: Path, step: Optional[int] = None) -> None:
    """Write the adapter of the newest checkpoint (or of `step`) and the merged model to `out`.

    Raises VantageError: "conflict" if `out` already has such folders, "bad_request" if the run has no such checkpoint
    or `out` cannot be written, "corrupt", "disk_full".
    """
    settings = section(run.config, "learner", LearnerSettings)
    for name in ("adapter", "merged"):
        if (out / name).exists():
            raise VantageError("conflict", f"{out / name} already exists; choose another folder.")
    checkpoints = CheckpointStore(run.checkpoints, settings.grpo.keep_checkpoints)
    checkpoint = checkpoints.latest() if step is None else checkpoints.at(step)
    if checkpoint is None:
        raise VantageError("bad_request", f"run {run.name} has no checkpoint yet; train first.")
    parts = assemble(settings, run.seed)
    read_adapter(parts.model, checkpoint)
    facts = {
        "run": run.name,
        "step": int(checkpoint.name.split("-")[1]),
        "base": settings.policy.model,
        "revision": settings.policy.revision,
    }
    card = write_card(run, settings, facts["step"], facts)
    with disk_guard(out):
        out.mkdir(parents=True, exist_ok=True)
    parts.model.peft_config["default"].base_model_name_or_path = settings.policy.model
    parts.model.peft_config["default"].revision = settings.policy.revision or None
    with sealed_folder(out / "adapter", facts) as staging:
        # The adapter has no embeddings. With the default, PEFT would look up the base model on the hub to check.
        parts.model.save_pretrained(staging, save_embedding_layers=False)
        (staging / "README.md").write_text(card)
    disable_progress_bar()
    merged = parts.model.merge_and_unload()
    with sealed_folder(out / "merged", facts) as staging:
        merged.save_pretrained(staging)
        parts.processor.save_pretrained(staging)
        (staging / "README.md").write_text(card)
