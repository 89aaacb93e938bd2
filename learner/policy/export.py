"""Takes a run's policy out of it: the PEFT adapter, and the same merged into the base model.

OUT/adapter/   adapter_config.json, adapter_model.safetensors: for PEFT, and for vLLM beside the base model
OUT/merged/    a complete model with processor: for transformers and vLLM
"""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from transformers.utils.logging import disable_progress_bar

from learner.policy.adapters import read_adapter
from learner.policy.assemble import assemble
from learner.policy.checkpoints import CheckpointStore
from learner.settings import LearnerSettings
from protocol.errors import VantageError
from protocol.run.config import section
from protocol.run.directory import RunDir, disk_guard
from protocol.run.sealed import sealed_folder


def export(run: RunDir, out: Path, step: Optional[int] = None) -> None:
    """Write the adapter of the newest checkpoint (or of `step`, where it is kept) and the merged model to `out`.

    Raises VantageError: "conflict" if `out` has such folders already, "bad_request" for a run without checkpoints,
    "corrupt", "disk_full"; "bad_request" for a folder that cannot be written, too.
    """
    settings = section(run.config, "learner", LearnerSettings)
    for name in ("adapter", "merged"):
        if (out / name).exists():
            raise VantageError("conflict", f"{out / name} exists already; choose another folder.")
    checkpoints = CheckpointStore(run.checkpoints, settings.grpo.keep_checkpoints)
    checkpoint = checkpoints.latest() if step is None else checkpoints.at(step)
    if checkpoint is None:
        raise VantageError("bad_request", f"run {run.name} has no checkpoint to export yet; let it train first.")
    parts = assemble(settings, run.seed)
    read_adapter(parts.model, checkpoint)
    facts = {"run": run.name, "step": int(checkpoint.name.split("-")[1]), "base": settings.policy.model}
    with disk_guard(out):
        out.mkdir(parents=True, exist_ok=True)
    parts.model.peft_config["default"].base_model_name_or_path = settings.policy.model
    with sealed_folder(out / "adapter", facts) as staging:
        # The adapter holds no embeddings; asked to find out, PEFT would look for the base model on the hub.
        parts.model.save_pretrained(staging, save_embedding_layers=False)
    disable_progress_bar()
    merged = parts.model.merge_and_unload()
    with sealed_folder(out / "merged", facts) as staging:
        merged.save_pretrained(staging)
        parts.processor.save_pretrained(staging)
