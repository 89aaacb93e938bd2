"""The GRPO step: TRL's trainer with the rollouts, rewards and forward pass of this project.

    collect()                      samples and scores the groups of a step (learner/stream/collect.py)
    GRPOTrainer.rollout_func       passes them to TRL
    GRPOTrainer.reward_funcs       passes their rewards; TRL computes the advantages
    advantages_of_truths           the true answer of each question, if taught, as an answer with a fixed advantage
    _get_per_token_logps_...       the packed forward: each image and prompt once per group instead of once per answer;
                                   else TRL's own forward, or prompt by prompt if the policy reasons or looked around
    training_step                  averages the gradients over the ranks, if there are several (learner/ranks/orders.py)
    GRPOTrainer                    loss, clipping, importance correction, optimizer, logging
    _save_checkpoint / _load_...   sealed folders without pickle (learner/policy/checkpoints.py)

PRIVATE lists everything used of TRL beyond its public interface; a contract test checks it on the installed version.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping, Optional, Sequence
from unittest import mock

import torch
from datasets import Dataset
from PIL import Image
from torch.utils.data import DataLoader, IterableDataset
from transformers import PrinterCallback
from trl import import_utils

from learner.grpo.clock import StepClock
from learner.grpo.groups import check_loss, packed_log_probs, plain_log_probs
from learner.policy.checkpoints import CheckpointStore, gather, read_optimizer
from learner.policy.packed import PackedPolicy
from learner.policy.shards import is_sharded
from learner.ranks.gradients import average_gradients, clip_gradients
from learner.rollouts.encoder import PromptEncoder
from learner.rollouts.group import Group
from learner.settings import GrpoSettings, RolloutSettings
from protocol.answers.scoring import Reward

# If vLLM is installed, TRL imports it for a client that is not used here; this takes half of the learner's start.
with mock.patch.object(import_utils, "is_vllm_available", lambda *_args, **_options: False):
    from trl.trainer import grpo_trainer
    from trl.trainer.grpo_config import GRPOConfig
    from trl.trainer.grpo_trainer import GRPOTrainer

# Private methods of TRL and transformers that are overridden, private fields that are set, and functions of TRL's
# module that are replaced while it scores.
PRIVATE = {
    "methods": (
        "_generate_and_score_completions",
        "_get_per_token_logps_and_entropies",
        "_save_checkpoint",
        "_load_from_checkpoint",
        "_load_optimizer_and_scheduler",
    ),
    "fields": ("use_vllm", "vllm_generation", "_last_loaded_step"),
    "functions": ("gather_object",),
}

Row = dict[str, Any]


class _Steps(IterableDataset):  # type: ignore[type-arg]
    """One item per forward pass: the rows of the step's groups. TRL reads the groups from the first item of a step."""

    def __init__(self, next_step: Callable[[], list[Row]], passes: int) -> None:
        self._next_step = next_step
        self._passes = passes

    def __iter__(self) -> Iterator[list[Row]]:
        while True:
            rows = self._next_step()
            for _ in range(self._passes):
                yield rows


class _AlreadySynced:
    """Replaces TRL's vLLM client: the engine loaded the weights of the step before it sampled."""

    def sync_weights(self) -> None: ...


class VantageTrainer(GRPOTrainer):
    """GRPO on the groups that `collect` returns.

    `grpo` holds the objective. `collect` returns the groups of one step and the range of this rank's answers in them
    (see `split_answers`). `facts` are added to the manifest of each checkpoint; without `checkpoints` nothing is saved.
    `rate` returns the learning rate of a step (from 0) as a fraction of the configured rate.

    With `packed`, log-probabilities come from the packed forward, else from TRL's own. With `correct`, the mismatch
    between the log-probabilities of engine and trainer is corrected by truncated importance sampling; an engine with
    the live weights does not need this. `training` is held during every pass of a step.
    """

    def __init__(
        self,
        model: Any,
        processor: Any,
        collect: Callable[[], tuple[Sequence[Group], range]],
        args: GRPOConfig,
        grpo: GrpoSettings,
        checkpoints: Optional[CheckpointStore],
        clock: StepClock,
        facts: Callable[[], Mapping[str, Any]],
        rate: Callable[[int], float],
        packed: Optional[PackedPolicy] = None,
        correct: bool = False,
        callbacks: Sequence[Any] = (),
        encoder: Optional[PromptEncoder] = None,
        training: Optional[threading.Lock] = None,
    ) -> None:
        self._collect = collect
        self._grpo = grpo
        self._groups: Sequence[Group] = ()
        self._own = range(0)  # this rank's answers among those of its groups
        self._rows = torch.empty(0, dtype=torch.int64)
        self._packed = packed
        self._encoder = encoder or PromptEncoder(processor, model)
        args.chat_template_kwargs = self._encoder.template_options
        self._checkpoints = checkpoints
        self._clock = clock
        self._facts = facts
        self._rate = rate
        self._sharded = is_sharded(model)
        self._training = training or threading.Lock()
        self._sampled: Optional[tuple[torch.Tensor, torch.Tensor]] = None
        self._mismatch = 0.0
        super().__init__(
            model=model,
            reward_funcs=[self._accuracy, self._format, self._length, self._likelihood],
            args=args,
            train_dataset=Dataset.from_list([{"prompt": ""}]),  # never read: see get_train_dataloader
            processing_class=processor,
            rollout_func=self._rollout,
            callbacks=list(callbacks),
        )
        self.remove_callback(PrinterCallback)
        # No DistributedDataParallel: the packed forward bypasses its forward, so it would not average gradients.
        self.accelerator.prepare_model = partial(self.accelerator.prepare_model, evaluation_mode=True)
        if self._sharded:
            self.accelerator.clip_grad_norm_ = clip_gradients
        if correct:
            self.use_vllm = True
            self.vllm_generation = _AlreadySynced()  # type: ignore[assignment]
            self._last_loaded_step = -1

    # ------------------------------------------------------------------------- data of a step

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Yield steps as they are collected. No step is collected before the preceding optimizer step is done."""
        return DataLoader(_Steps(self._next_step, self.args.gradient_accumulation_steps), batch_size=None)

    def _next_step(self) -> list[Row]:
        self._groups, self._own = self._collect()
        rows: list[Row] = []
        for number, sample in self._indices():
            prompt = self._groups[number].turns(sample)[0].prompt
            row: Row = {"prompt": [{"role": "user", "content": prompt.text}], "group": number, "sample": sample}
            if self._packed is None and prompt.images:
                content = self._encoder.content(prompt.text, len(prompt.images))
                row["prompt"] = [{"role": "user", "content": content}]
                row["images"] = [Image.fromarray(image) for image in prompt.images]
            rows.append(row)
        return rows

    def _indices(self) -> list[tuple[int, int]]:
        """(group, sample) of each of this rank's answers."""
        return [divmod(row, self._groups[0].rows) for row in self._own]

    def _rollout(self, prompts: list[Any], _trainer: Any) -> dict[str, Any]:
        rows = [(self._groups[number], sample) for number, sample in self._indices()]
        assert len(rows) == len(prompts)
        output = {
            "prompt_ids": [list(group.turns(sample)[0].prompt_ids) for group, sample in rows],
            "completion_ids": [group.token_ids(sample) for group, sample in rows],
            "logprobs": [group.logprobs(sample) for group, sample in rows],
        }
        if self._grpo.masks:
            lengths = map(len, output["completion_ids"])
            output["env_mask"] = [[int(not self._is_masked(*row))] * length for row, length in zip(rows, lengths)]
        return output

    def _accuracy(self, group: list[int], sample: list[int], **_: Any) -> list[float | None]:
        return self._each(group, sample, lambda reward: reward.accuracy)

    def _format(self, group: list[int], sample: list[int], **_: Any) -> list[float | None]:
        return self._each(group, sample, lambda reward: reward.format)

    def _length(self, group: list[int], sample: list[int], **_: Any) -> list[float | None]:
        return self._each(group, sample, lambda reward: reward.length)

    def _likelihood(self, group: list[int], sample: list[int], **_: Any) -> list[float | None]:
        return self._each(group, sample, lambda reward: reward.likelihood)

    def _each(self, group: list[int], sample: list[int], term: Callable[[Reward], float]) -> list[float | None]:
        """A term of the rewards of these answers; None for true and masked ones, which TRL leaves out of means."""
        pairs = [(self._groups[number], own) for number, own in zip(group, sample)]
        return [None if own.is_truth(s) or self._is_masked(own, s) else term(own.rewards[s]) for own, s in pairs]

    def _is_masked(self, group: Group, sample: int) -> bool:
        """Whether an answer was cut off and is not trained on."""
        return self._grpo.masks and not group.is_truth(sample) and group.rewards[sample].truncated

    def _generate_and_score_completions(self, inputs: list[Row]) -> dict[str, Any]:
        self._rows = torch.arange(self._own.start, self._own.stop, device=self.accelerator.device)
        # TRL would pickle the prompts and images of every rank to all other ranks, for a log that is not used.
        with (
            self._clock("advantages"),
            mock.patch.object(grpo_trainer, "gather_object", list),
            _padded_like_the_prompts(self.processing_class),
        ):
            output = super()._generate_and_score_completions(inputs)
            if self._grpo.teaches:
                self._teach(output)
        output["row"] = self._rows  # TRL shuffles and splits it with the other tensors
        return output

    def _teach(self, output: dict[str, Any]) -> None:
        """Set the advantages of true answers, so that the loss contains truth_weight x mean(-log p) of their tokens."""
        advantages, mask = output["advantages"], output["completion_mask"]
        is_truth = torch.tensor([self._groups[g].is_truth(s) for g, s in self._indices()], device=advantages.device)
        own_tokens: Any = self.accelerator.gather((mask * is_truth[:, None]).sum())
        truth_tokens = own_tokens.sum()
        scale = {
            "grpo": self.num_generations,
            "dr_grpo": len(advantages) * self.accelerator.num_processes * self.max_completion_length / truth_tokens,
        }.get(self.loss_type, output["num_items_in_batch"] / truth_tokens)
        sampled = 0.0 if self._grpo.objective == "truth" else advantages
        output["advantages"] = torch.where(is_truth, self._grpo.truth_weight * scale, sampled)

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        """Average gradients over all ranks after the last pass of a step; TRL scales its losses for a mean."""
        with self._training:
            loss = super().training_step(model, inputs, num_items_in_batch)
        check_loss(loss, self.state.global_step + 1, self._groups, self._rows)
        self._clock.spent_s["backward"] += time.perf_counter() - self._forward_end_s
        if self.accelerator.sync_gradients and self.accelerator.num_processes > 1 and not self._sharded:
            average_gradients(self.accelerator, [p for p in model.parameters() if p.requires_grad])
        return loss

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:  # noqa: ARG002
        """Follow the budget, which may be in minutes; the schedules of transformers depend on steps only."""
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
        looked = any(group.later for group in self._groups)
        if self._packed is None and (self._encoder.reasons or self._sharded or looked):
            with self.accelerator.autocast():
                return *plain_log_probs(
                    model,
                    self.processing_class,
                    self._encoder,
                    self._groups,
                    self._rows,
                    logits_to_keep,
                    self.temperature,
                    self._grpo.micro_batch_tokens,
                ), None
        if self._packed is None:
            return super()._get_per_token_logps_and_entropies(
                model, input_ids, attention_mask, logits_to_keep, *args, **kwargs
            )
        with self.accelerator.autocast():
            log_probs, entropies = packed_log_probs(
                self._packed,
                self._groups,
                self._rows,
                logits_to_keep,
                self.temperature,
                self._grpo.micro_batch_tokens,
            )
        if self._sampled is not None and log_probs.requires_grad:
            sampled, mask = self._sampled
            known = mask.bool() & ~sampled.isnan()  # a true answer was not sampled
            self._mismatch = float((log_probs.detach() - sampled)[known].abs().mean())
        return log_probs, entropies, None

    def log(self, logs: dict[str, float], start_time: Optional[float] = None) -> None:
        """Add `mismatch`: the mean absolute difference between the log-probabilities of engine and trainer."""
        logs["mismatch"] = self._mismatch
        super().log(logs, start_time)

    # ------------------------------------------------------------------------- state on disk

    def _save_checkpoint(self, model: Any, trial: Any) -> None:  # noqa: ARG002
        """Save a sealed checkpoint; the trainer's own method pickles and is not atomic."""
        self.state.log_history.clear()  # the run's metrics hold it; here it would grow with every step
        if self._checkpoints is None:
            if self._sharded:
                gather(self.model, self.optimizer)  # with rank 0, which saves
            return
        with self._clock("save"):
            self._checkpoints.save(
                {**self._facts(), "step": self.state.global_step},
                self.accelerator.unwrap_model(self.model),
                self.optimizer,
                self.lr_scheduler,
                self.state.save_to_json,
            )

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        if not self._sharded:  # else the adapter was read when the run resumed
            super()._load_from_checkpoint(resume_from_checkpoint, model)

    def _load_optimizer_and_scheduler(self, checkpoint: Optional[str]) -> None:
        if checkpoint is not None:
            read_optimizer(self.optimizer, self.lr_scheduler, Path(checkpoint))


def _concerns_other_rewards(record: logging.LogRecord) -> bool:
    """Whether TRL's warning is not about an answer without a reward, which a true answer is on purpose."""
    return "All reward functions returned None" not in record.getMessage()


logging.getLogger(grpo_trainer.__name__).addFilter(_concerns_other_rewards)


@contextlib.contextmanager
def _padded_like_the_prompts(processor: Any) -> Iterator[None]:
    """Encode prompts as the engines do, padded on the left and without further special tokens.

    TRL takes the types of the tokens from the processor's defaults, but pads their ids on the left.
    """
    call = type(processor).__call__

    def encode(self: Any, *args: Any, **options: Any) -> Any:
        return call(self, *args, **{"padding_side": "left", "add_special_tokens": False, **options})

    with mock.patch.object(type(processor), "__call__", encode):
        yield


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
    """TRL's configuration of a step: `grpo.groups` questions, split over `ranks`, answered in up to `turns` turns."""
    rows = grpo.groups * grpo.rows // ranks
    pass_rows = grpo.micro_batch_groups * grpo.rows or rows
    config = GRPOConfig(
        output_dir=str(output_dir),
        per_device_train_batch_size=pass_rows,
        gradient_accumulation_steps=rows // pass_rows,
        num_generations=grpo.rows,
        max_completion_length=turns * rollout.max_answer_tokens,
        temperature=rollout.temperature,
        max_steps=max_steps,
        learning_rate=grpo.learning_rate,
        beta=grpo.beta,
        epsilon=grpo.epsilon,
        loss_type=grpo.loss,
        scale_rewards="group",
        reward_weights=[1.0, grpo.format_weight, 1.0, grpo.likelihood_weight],
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
    # With several GPUs transformers would wrap the model in DataParallel; the other GPUs are for rollouts.
    config._n_gpu = min(config.n_gpu, 1)
    return config
