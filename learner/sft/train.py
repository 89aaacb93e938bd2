"""`learner sft`: trains the adapter of the policy on a dataset with TRL's SFTTrainer.

The loss is the mean −log p of the tokens of the completions. Model, adapter, prompt style and tags are those of
`learner train`, which starts from the written adapter with learner.policy.adapter = FOLDER.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import time
from pathlib import Path
from typing import Any, Callable, Optional, Sequence

import torch
from datasets import Dataset
from transformers import PrinterCallback, TrainerCallback
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from learner.policy.adapters import write_adapter
from learner.policy.assemble import Parts, assemble, resume
from learner.policy.checkpoints import PREFIX, CheckpointStore, read_optimizer, verify
from learner.rollouts.inputs import plain_inputs
from learner.settings import LearnerSettings
from learner.sft.data import Example, read_examples
from protocol.errors import VantageError
from protocol.run.directory import write_atomic
from protocol.run.sealed import numbered, sealed_folder, verify_folder

log = logging.getLogger(__name__)

_ARGUMENTS = "arguments.json"
_IGNORED = -100  # label of a token without loss


def finetune(
    dataset: Path, settings: LearnerSettings, out: Path, seed: int, show: Callable[[str], object]
) -> dict[str, Any]:
    """Train on the dataset and write the adapter to `out`. Returns the facts of its manifest.

    Checkpoints are in the folder OUT.unfinished, from which the same call resumes after a kill.

    Raises VantageError: "conflict" if `out` exists or the checkpoints are those of other arguments, "bad_request" or
    "corrupt" for the dataset, "bad_config" for the model, "unsupported" if the loss is no longer a number, "disk_full".
    """
    if out.exists():
        raise VantageError("conflict", f"{out} already exists: choose another folder.")
    work = out.with_name(f"{out.name}.unfinished")
    arguments = _arguments(dataset, settings, seed)
    _check(work, arguments)
    parts = assemble(settings, seed)
    examples = read_examples(dataset, parts.encoder, settings.policy)
    work.mkdir(parents=True, exist_ok=True)
    write_atomic(work / _ARGUMENTS, arguments)
    show(f"{len(examples)} questions of {dataset}, {settings.sft.epochs} epochs")
    checkpoints = CheckpointStore(work, keep=1)
    checkpoint = resume(parts, checkpoints)
    if checkpoint is not None:
        show(f"resuming after step {verify(checkpoint).step}")
    trainer = _Trainer(parts, examples, settings, seed, work, show, checkpoints)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    facts = {
        "kind": "sft",
        "base": settings.policy.model,
        "revision": settings.policy.revision,
        "style": settings.policy.style,
        "dataset": dataset.name,
        "questions": len(examples),
        "steps": trainer.state.global_step,
        "loss": round(trainer.loss_sum / trainer.state.global_step, 4),
        "seconds": round(trainer.seconds, 1),
        "settings": settings.sft.model_dump(mode="json"),
    }
    with sealed_folder(out, facts) as staging:
        write_adapter(parts.model, staging)
    shutil.rmtree(work, ignore_errors=True)
    return facts


def _arguments(dataset: Path, settings: LearnerSettings, seed: int) -> bytes:
    """All that the adapter depends on, as JSON."""
    chosen = settings.model_dump(mode="json", include={"policy", "sft", "grpo", "threads"})
    manifest = dataset / "dataset.json"  # contains the hashes of the shards
    digest = hashlib.sha256(manifest.read_bytes()).hexdigest() if manifest.is_file() else ""
    return json.dumps({"dataset": dataset.name, "digest": digest, "seed": seed, **chosen}, indent=1).encode()


def _check(work: Path, arguments: bytes) -> None:
    """Raise VantageError("conflict") if the folder has checkpoints of other arguments."""
    plan = work / _ARGUMENTS
    if work.is_dir() and numbered(work, PREFIX) and not (plan.is_file() and plan.read_bytes() == arguments):
        raise VantageError(
            "conflict",
            f"{work} holds the unfinished work of an sft with another dataset, configuration or version: remove it, or "
            "choose another --out.",
        )


class _Trainer(SFTTrainer):
    def __init__(
        self,
        parts: Parts,
        examples: Sequence[Example],
        settings: LearnerSettings,
        seed: int,
        folder: Path,
        show: Callable[[str], object],
        checkpoints: Optional[CheckpointStore] = None,
    ) -> None:
        self.loss_sum = 0.0  # over all steps, those before a kill included
        self._checkpoints = checkpoints
        self._before_s, self._start = 0.0, time.monotonic()
        self._parts = parts
        self._examples = examples
        self._last: list[int] = []  # ids of the questions of the last batch
        super().__init__(
            model=parts.model,
            args=_config(settings, seed, folder, parts.device == "cpu"),
            data_collator=self._collate,
            train_dataset=Dataset.from_dict({"index": range(len(examples))}),
            processing_class=parts.processor,
            callbacks=[_Show(show)],
        )
        self.remove_callback(PrinterCallback)

    def _collate(self, rows: Sequence[dict[str, int]]) -> dict[str, Any]:
        """Prompts as the engines encode them, followed by the completions; labels for the completions only."""
        examples = [self._examples[row["index"]] for row in rows]
        self._last = [example.id for example in examples]
        longest = max(len(example.completion) for example in examples)
        eos = self._parts.encoder.eos
        padded = [example.completion + (eos,) * (longest - len(example.completion)) for example in examples]
        prompts = [example.prompt() for example in examples]
        inputs = plain_inputs(self._parts.model, self._parts.processor, self._parts.encoder, prompts, padded)
        labels = torch.full_like(inputs["input_ids"], _IGNORED)
        for row, example in zip(labels, examples):
            start = len(row) - longest
            row[start : start + len(example.completion)] = torch.tensor(example.completion)
        return {**inputs, "labels": labels}

    def training_step(self, *args: Any, **options: Any) -> torch.Tensor:
        """Stop at a loss that is not a number, before the optimizer uses its gradients."""
        loss = super().training_step(*args, **options)
        if not bool(torch.isfinite(loss)):
            ids = ", ".join(map(str, self._last[:8]))
            raise VantageError(
                "unsupported",
                f"the loss of step {self.state.global_step + 1} is not a number (questions {ids} …): lower "
                "learner.sft.learning_rate; no adapter is written.",
            )
        self.loss_sum += float(loss)  # divided by the number of passes of a step already
        return loss

    @property
    def seconds(self) -> float:
        """Time spent on training, over all starts."""
        return self._before_s + time.monotonic() - self._start

    def _save_checkpoint(self, model: Any, trial: Any) -> None:  # noqa: ARG002
        """Save a sealed checkpoint; the trainer's own method pickles and is not atomic."""
        if self._checkpoints is not None:
            facts = {"step": self.state.global_step, "loop_s": self.seconds, "loss_sum": self.loss_sum}
            model = self.accelerator.unwrap_model(self.model)
            self._checkpoints.save(facts, model, self.optimizer, self.lr_scheduler, self.state.save_to_json)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:  # noqa: ARG002
        """Read the counters; the adapter is loaded already."""
        facts = verify_folder(Path(resume_from_checkpoint))
        self.loss_sum, self._before_s = facts["loss_sum"], facts["loop_s"]

    def _load_optimizer_and_scheduler(self, checkpoint: Optional[str]) -> None:
        if checkpoint is not None:
            read_optimizer(self.optimizer, self.lr_scheduler, Path(checkpoint))


class _Show(TrainerCallback):
    def __init__(self, show: Callable[[str], object]) -> None:
        self._show = show

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:  # noqa: ARG002
        if logs and "loss" in logs:
            self._show(f"step {state.global_step} of {state.max_steps}: loss {float(logs['loss']):.3f}")


def _config(settings: LearnerSettings, seed: int, folder: Path, use_cpu: bool) -> SFTConfig:
    sft, grpo = settings.sft, settings.grpo
    micro = sft.micro_batch or sft.questions
    config = SFTConfig(
        output_dir=str(folder),
        num_train_epochs=sft.epochs,
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=sft.questions // micro,
        learning_rate=sft.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=sft.warmup_steps,
        adam_beta2=grpo.adam_beta2,
        max_grad_norm=grpo.max_grad_norm,
        weight_decay=0.0,
        optim="adamw_torch",
        gradient_checkpointing=grpo.gradient_checkpointing,
        bf16=grpo.bf16,
        use_cpu=use_cpu,
        seed=seed,
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
        remove_unused_columns=False,
        logging_steps=10,
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=sft.save_every,
        save_total_limit=None,
        report_to=[],
        disable_tqdm=True,
        dataloader_num_workers=0,
    )
    config._n_gpu = min(config.n_gpu, 1)  # as for the step of GRPO
    return config
