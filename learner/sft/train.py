"""`learner sft`: trains the adapter of the policy on a dataset with TRL's SFTTrainer.

The loss is the mean −log p of the tokens of the completions. Model, adapter, prompt style and tags are those of
`learner train`, which starts from the written adapter with learner.policy.adapter = FOLDER.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Callable, Sequence

import torch
from datasets import Dataset
from transformers import PrinterCallback, TrainerCallback
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from learner.policy.adapters import write_adapter
from learner.policy.assemble import Parts, assemble
from learner.rollouts.inputs import plain_inputs
from learner.settings import LearnerSettings
from learner.sft.data import Example, read_examples
from protocol.errors import VantageError
from protocol.run.sealed import sealed_folder

log = logging.getLogger(__name__)

_IGNORED = -100  # label of a token without loss


def finetune(
    dataset: Path, settings: LearnerSettings, out: Path, seed: int, show: Callable[[str], object]
) -> dict[str, Any]:
    """Train on the dataset and write the adapter to `out`. Returns the facts of its manifest.

    Raises VantageError: "conflict" if `out` exists, "bad_request" or "corrupt" for the dataset, "bad_config" for the
    model, "unsupported" if the loss is no longer a number, "disk_full".
    """
    if out.exists():
        raise VantageError("conflict", f"{out} already exists: choose another folder.")
    parts = assemble(settings, seed)
    examples = read_examples(dataset, parts.encoder, settings.policy)
    show(f"{len(examples)} questions of {dataset}, {settings.sft.epochs} epochs")
    start = time.monotonic()
    with TemporaryDirectory() as folder:
        trainer = _Trainer(parts, examples, settings, seed, Path(folder), show)
        loss = trainer.train().training_loss
    facts = {
        "kind": "sft",
        "base": settings.policy.model,
        "revision": settings.policy.revision,
        "style": settings.policy.style,
        "dataset": dataset.name,
        "questions": len(examples),
        "steps": trainer.state.global_step,
        "loss": round(loss, 4),
        "seconds": round(time.monotonic() - start, 1),
        "settings": settings.sft.model_dump(mode="json"),
    }
    with sealed_folder(out, facts) as staging:
        write_adapter(parts.model, staging)
    return facts


class _Trainer(SFTTrainer):
    def __init__(
        self,
        parts: Parts,
        examples: Sequence[Example],
        settings: LearnerSettings,
        seed: int,
        folder: Path,
        show: Callable[[str], object],
    ) -> None:
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
                "learner.sft.learning_rate; nothing is written.",
            )
        return loss


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
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        dataloader_num_workers=0,
    )
    config._n_gpu = min(config.n_gpu, 1)  # as for the step of GRPO
    return config
