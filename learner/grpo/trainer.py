"""The GRPO step on TRL's trainer, with this project's rollouts, rewards and forward pass behind TRL's interfaces.

    collect()                      a step's groups, sampled and scored by us (learner/stream/collect.py)
    GRPOTrainer.rollout_func       hands them to TRL
    GRPOTrainer.reward_funcs       hands it their rewards; TRL makes the advantages
    _get_per_token_logps_...       the packed forward: each image and prompt once per group instead of once per answer;
                                   without it TRL's own, or turn by turn where a policy looked around
    training_step                  the mean of the ranks' gradients, where there are several (learner/ranks/orders.py)
    GRPOTrainer                    loss, clipping, importance correction, optimizer, schedule, logging
    _save_checkpoint / _load_...   sealed folders without pickle (learner/policy/checkpoints.py)

What is used of TRL beyond its public interface is listed in PRIVATE; a contract test pins it to the installed version.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping, Optional, Sequence
from unittest import mock

import torch
from accelerate import Accelerator
from datasets import Dataset
from PIL import Image
from torch.utils.data import DataLoader, IterableDataset
from transformers import PrinterCallback
from trl import import_utils

from learner.grpo.clock import StepClock
from learner.grpo.groups import packed_log_probs, plain_log_probs
from learner.policy.checkpoints import CheckpointStore, read_optimizer
from learner.policy.packed import PackedPolicy
from learner.rollouts.encoder import PromptEncoder
from learner.rollouts.group import Group
from learner.settings import GrpoSettings, RolloutSettings

# Where vLLM is installed TRL would import it, half of a learner's start, for a client that stays unused here.
with mock.patch.object(import_utils, "is_vllm_available", lambda *_args, **_options: False):
    from trl.trainer import grpo_trainer
    from trl.trainer.grpo_config import GRPOConfig
    from trl.trainer.grpo_trainer import GRPOTrainer

# Methods of TRL and transformers that are overridden though they are private, fields that are set, and functions of
# TRL's module that are replaced while it scores.
PRIVATE = {
    "methods": (
        "_generate_and_score_completions",
        "_get_per_token_logps_and_entropies",
        "_save_checkpoint",
        "_load_optimizer_and_scheduler",
    ),
    "fields": ("use_vllm", "vllm_generation", "_last_loaded_step"),
    "functions": ("gather_object",),
}

Row = dict[str, Any]


class _Steps(IterableDataset):  # type: ignore[type-arg]
    """One item per forward pass: the rows of the step's groups. TRL takes the groups from the first of a step."""

    def __init__(self, next_step: Callable[[], list[Row]], passes: int) -> None:
        self._next_step = next_step
        self._passes = passes

    def __iter__(self) -> Iterator[list[Row]]:
        while True:
            rows = self._next_step()
            for _ in range(self._passes):
                yield rows


class _AlreadySynced:
    """Stands where TRL keeps its vLLM client: our engine got the step's weights before it sampled."""

    def sync_weights(self) -> None: ...


class VantageTrainer(GRPOTrainer):
    """`collect` returns the groups of one step and the range of this rank's answers among theirs (see `share_out`).
    `facts` are added to the manifest of each checkpoint; without `checkpoints` nothing is saved. `rate` gives the
    learning rate of a step (from 0) as a fraction of the configured one.

    With `packed` the log-probabilities come from the packed forward; without, from TRL's own. With `correct` the
    difference between the engine's log-probabilities and the trainer's is measured and corrected by truncated
    importance sampling, which an engine with the live weights does not need.
    """

    def __init__(
        self,
        model: Any,
        processor: Any,
        collect: Callable[[], tuple[Sequence[Group], range]],
        args: GRPOConfig,
        checkpoints: Optional[CheckpointStore],
        clock: StepClock,
        facts: Callable[[], Mapping[str, Any]],
        rate: Callable[[int], float],
        packed: Optional[PackedPolicy] = None,
        correct: bool = False,
        callbacks: Sequence[Any] = (),
    ) -> None:
        self._collect = collect
        self._groups: Sequence[Group] = ()
        self._own = range(0)  # this rank's answers among those of its groups
        self._rows = torch.empty(0, dtype=torch.int64)
        self._packed = packed
        self._checkpoints = checkpoints
        self._clock = clock
        self._facts = facts
        self._rate = rate
        self._sampled: Optional[tuple[torch.Tensor, torch.Tensor]] = None
        self._mismatch = 0.0
        super().__init__(
            model=model,
            reward_funcs=[self._accuracy, self._readable],
            args=args,
            train_dataset=Dataset.from_list([{"prompt": ""}]),  # never read: see get_train_dataloader
            processing_class=processor,
            rollout_func=self._hand_over,
            callbacks=list(callbacks),
        )
        self.remove_callback(PrinterCallback)
        # No DistributedDataParallel: the packed forward does not pass through its forward, so that it would not sum.
        self.accelerator.prepare_model = partial(self.accelerator.prepare_model, evaluation_mode=True)
        if correct:
            self.use_vllm = True
            self.vllm_generation = _AlreadySynced()  # type: ignore[assignment]
            self._last_loaded_step = -1

    # ------------------------------------------------------------------------- a step's data

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Steps as they are collected: nothing is fetched before the optimizer step that precedes it."""
        return DataLoader(_Steps(self._next_step, self.args.gradient_accumulation_steps), batch_size=None)

    def _next_step(self) -> list[Row]:
        self._groups, self._own = self._collect()
        rows: list[Row] = []
        for number, sample in self._places():
            prompt = self._groups[number].prompt
            row: Row = {"prompt": [{"role": "user", "content": prompt.text}], "group": number, "sample": sample}
            if self._packed is None and prompt.images:
                row["images"] = [Image.fromarray(image) for image in prompt.images]
            rows.append(row)
        return rows

    def _places(self) -> list[tuple[int, int]]:
        """(group, sample) of each of this rank's answers."""
        return [divmod(row, len(self._groups[0].rewards)) for row in self._own]

    def _hand_over(self, prompts: list[Any], _trainer: Any) -> dict[str, Any]:
        rows = [(self._groups[number], sample) for number, sample in self._places()]
        assert len(rows) == len(prompts)
        return {
            "prompt_ids": [list(group.rollout.prompt_ids) for group, _ in rows],
            "completion_ids": [group.token_ids(sample) for group, sample in rows],
            "logprobs": [group.logprobs(sample) for group, sample in rows],
        }

    def _accuracy(self, group: list[int], sample: list[int], **_: Any) -> list[float | None]:
        return [self._groups[g].rewards[s].accuracy for g, s in zip(group, sample)]

    def _readable(self, group: list[int], sample: list[int], **_: Any) -> list[float | None]:
        return [float(self._groups[g].rewards[s].readable) for g, s in zip(group, sample)]

    def _generate_and_score_completions(self, inputs: list[Row]) -> dict[str, Any]:
        self._rows = torch.arange(self._own.start, self._own.stop, device=self.accelerator.device)
        # TRL would pickle every rank's prompts, with their pictures, to all the others for a log that nobody reads.
        with self._clock("advantages"), mock.patch.object(grpo_trainer, "gather_object", list):
            output = super()._generate_and_score_completions(inputs)
        output["row"] = self._rows  # TRL shuffles and splits it along with everything else
        return output

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        """With the last pass of a step, gradients become the mean over all ranks; TRL's losses are scaled for that."""
        loss = super().training_step(model, inputs, num_items_in_batch)
        self._clock.spent_s["backward"] += time.perf_counter() - self._forward_end_s
        if self.accelerator.sync_gradients and self.accelerator.num_processes > 1:
            average_gradients(self.accelerator, [p for p in model.parameters() if p.requires_grad])
        return loss

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:  # noqa: ARG002
        """By the budget that is used up, which may be one of minutes: TRL's own schedules know steps only."""
        chosen: Any = optimizer or self.optimizer
        self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(chosen, self._rate)
        self._created_lr_scheduler = True
        return self.lr_scheduler

    # ------------------------------------------------------------------------- the forward pass

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        self._rows = inputs["row"]
        self._sampled = inputs["sampling_per_token_logps"], inputs["completion_mask"]
        with self._clock("forward"):
            loss = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        self._forward_end_s = time.perf_counter()
        return loss

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        *args: Any,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, Optional[torch.Tensor], Optional[torch.Tensor]]:
        if self._packed is None and any(group.later for group in self._groups):
            encoder = PromptEncoder(self.processing_class)
            with self.accelerator.autocast():
                return *plain_log_probs(
                    model,
                    self.processing_class,
                    encoder,
                    self._groups,
                    self._rows,
                    logits_to_keep,
                    self.temperature,
                ), None
        if self._packed is None:
            return super()._get_per_token_logps_and_entropies(
                model, input_ids, attention_mask, logits_to_keep, *args, **kwargs
            )
        with self.accelerator.autocast():
            log_probs, entropies = packed_log_probs(
                self._packed, self._groups, self._rows, logits_to_keep, self.temperature
            )
        if self._sampled is not None and log_probs.requires_grad:
            sampled, mask = self._sampled
            difference = ((log_probs.detach() - sampled).abs() * mask).sum() / mask.sum()
            self._mismatch = float(difference)
        return log_probs, entropies, None

    def log(self, logs: dict[str, float], start_time: Optional[float] = None) -> None:
        """Adds `mismatch`: the mean difference between the engine's log-probabilities and the trainer's."""
        logs["mismatch"] = self._mismatch
        super().log(logs, start_time)

    # ------------------------------------------------------------------------- state on disk

    def _save_checkpoint(self, model: Any, trial: Any) -> None:  # noqa: ARG002
        """Instead of the trainer's own, which pickles and is not atomic."""
        self.state.log_history.clear()  # kept in the run's metrics; here it would grow with every step
        if self._checkpoints is None:
            return
        with self._clock("save"):
            self._checkpoints.save(
                {**self._facts(), "step": self.state.global_step},
                self.accelerator.unwrap_model(self.model),
                self.optimizer,
                self.lr_scheduler,
                self.state.save_to_json,
            )

    def _load_optimizer_and_scheduler(self, checkpoint: Optional[str]) -> None:
        if checkpoint is not None:
            read_optimizer(self.optimizer, self.lr_scheduler, Path(checkpoint))


def average_gradients(accelerator: Accelerator, parameters: Sequence[torch.nn.Parameter]) -> None:
    """Every rank's gradients become their mean over the ranks; a parameter without one counts as zero."""
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat: Any = accelerator.reduce(torch.cat([gradient.reshape(-1) for gradient in gradients]), reduction="mean")
    for gradient, mean in zip(gradients, flat.split([gradient.numel() for gradient in gradients])):
        gradient.copy_(mean.view_as(gradient))


def trainer_config(
    output_dir: Path,
    grpo: GrpoSettings,
    rollout: RolloutSettings,
    max_steps: int,
    seed: int,
    use_cpu: bool,
    turns: int = 1,
    ranks: int = 1,
) -> GRPOConfig:
    """TRL's configuration for one step per `grpo.groups` questions, each answered in up to `turns` turns, which are
    shared out over so many ranks."""
    rows = grpo.groups * grpo.samples // ranks
    pass_rows = grpo.micro_batch_groups * grpo.samples or rows
    config = GRPOConfig(
        output_dir=str(output_dir),
        per_device_train_batch_size=pass_rows,
        gradient_accumulation_steps=rows // pass_rows,
        num_generations=grpo.samples,
        max_completion_length=turns * rollout.max_answer_tokens,
        temperature=rollout.temperature,
        max_steps=max_steps,
        learning_rate=grpo.learning_rate,
        beta=grpo.beta,
        epsilon=grpo.epsilon,
        loss_type=grpo.loss,
        scale_rewards="group",
        reward_weights=[1.0, grpo.format_weight],
        vllm_importance_sampling_mode="token_truncate",
        vllm_importance_sampling_clip_max=grpo.importance_cap,
        adam_beta2=grpo.adam_beta2,
        weight_decay=0.0,
        max_grad_norm=grpo.max_grad_norm,
        optim="adamw_torch",
        gradient_checkpointing=grpo.gradient_checkpointing,
        bf16=grpo.bf16,
        use_cpu=use_cpu,
        seed=seed,
        logging_steps=1,
        save_strategy="steps",
        save_steps=grpo.save_every,
        save_total_limit=None,
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
        shuffle_dataset=False,
        ignore_data_skip=True,
        dataloader_num_workers=0,
    )
    # On a machine with several GPUs transformers would wrap the model in DataParallel; the others are the rollouts'.
    config._n_gpu = min(config.n_gpu, 1)
    return config
