"""Settings of the [learner] table. Does not import torch, so that configurations are checked quickly."""

from __future__ import annotations

import itertools
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from learner.rollouts import ENGINES
from protocol.answers.reasoning import Tags
from protocol.run.config import Section


class PolicySettings(Section):
    """The model that is trained, the style of its prompts, and how its answers are read."""

    model: str = Field(default="vantage-tiny", min_length=1)  # the packaged model, a folder, or a hub name
    revision: str = ""  # commit, tag or branch of a hub model; empty: its main branch as it is now
    adapter: str = ""  # folder of an adapter to start from, as `learner sft` and `learner export` write it
    style: Literal["words", "letters", "reason"] = "words"  # see protocol/answers/prompt.py
    thought_tags: tuple[str, str] = ("<think>", "</think>")  # style "reason" only: around the reasoning
    answer_tags: tuple[str, str] = ("<answer>", "</answer>")  # and around the answer
    reading: Literal["strict", "lenient"] = "lenient"  # strict: only the form that the prompt asks for

    @property
    def tags(self) -> Tags:
        return Tags(self.thought_tags, self.answer_tags)

    @model_validator(mode="after")
    def _tags_differ(self) -> PolicySettings:
        tags = [*self.thought_tags, *self.answer_tags]
        if any(not tag.strip() or tag in other for tag, other in itertools.permutations(tags, 2)):
            raise ValueError("policy.thought_tags and policy.answer_tags must be four tags, none contained in another")
        return self


class BudgetSettings(Section):
    """The loop ends at the limit that is reached first. Evaluations do not count."""

    steps: int = Field(default=200, ge=1, le=1_000_000)
    minutes: float = Field(default=8.0, gt=0)


class RolloutSettings(Section):
    """Sampling of answers."""

    engine: str = "transformers"  # a name in learner.rollouts.ENGINES
    temperature: float = Field(default=1.0, gt=0, le=2)
    max_answer_tokens: int = Field(default=8, ge=1, le=4096)
    max_prompt_tokens: int = Field(default=256, ge=16, le=131072)  # vLLM only: sets the size of its cache
    vllm_dtype: Literal["float32", "bfloat16", "auto"] = "float32"
    vllm_memory_share: float = Field(default=0.3, gt=0, lt=1)  # fraction of the memory of a GPU
    vllm_tensor_parallel: int = Field(default=1, ge=1, le=64)  # number of GPUs that vLLM splits the model over
    vllm_cpu_cache_gib: int = Field(default=1, ge=1, le=64)
    servers: tuple[str, ...] = Field(default=("http://127.0.0.1:8000",), min_length=1)  # vllm-serve only: URLs
    server_wait_s: float = Field(default=300.0, gt=0)  # time to wait for a server that does not answer
    ahead: bool = False  # answer the questions of the next step while a step trains, if the engine has its own device

    @field_validator("servers")
    @classmethod
    def _urls(cls, servers: tuple[str, ...]) -> tuple[str, ...]:
        for server in servers:
            try:
                parts = urlsplit(server)
                usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
            except ValueError:
                usable = False
            if not usable or not server.isprintable() or " " in server:
                raise ValueError(f"{server!r} is not the URL of a server, like http://127.0.0.1:8000")
        return servers

    @field_validator("engine")
    @classmethod
    def _installed(cls, name: str) -> str:
        return ENGINES.check_setting(name)


class StreamSettings(Section):
    """The stream of tasks that runs ahead of the training step."""

    in_flight: int = Field(default=64, ge=1, le=4096)  # unanswered RenderTask requests
    ahead: int = Field(default=96, ge=1, le=8192)  # specs leased, in flight or rendered
    max_staleness_steps: int = Field(default=8, ge=1)  # tasks leased earlier than this are dropped
    lease_s: float = Field(default=600.0, gt=0)
    render_deadline_s: float = Field(default=120.0, gt=0)
    image_codec: Literal["raw", "png", "webp", "jpeg"] = "raw"
    keep_images: int = Field(default=400, ge=0, le=100_000)  # limit on stored views for the gallery of the report
    keep_episodes: int = Field(default=20_000, ge=0)  # limit on lines in episodes.jsonl without views


class ScreenSettings(Section):
    """Choice of the most informative of several candidates for each new question of a step."""

    candidates: int = Field(default=1, ge=1, le=64)  # per question; 1: no screening
    per_view: int = Field(default=1, ge=1, le=16)  # candidates about the views of one episode; at most one is chosen
    largest_share: float = Field(default=0.2, gt=0, le=1)  # of the chosen questions for one cell; at least two
    unranked_share: float = Field(default=0.0, ge=0, le=1)  # of the chosen questions, drawn at random
    samples: int = Field(default=4, ge=2, le=64)  # answers that estimate the variance of rewards, if not a choice
    thought_tokens: int = Field(default=64, ge=1, le=4096)  # style "reason": tokens of reasoning before a choice

    @property
    def questions(self) -> int:
        """The largest number of questions to request about the views of a spec. At most one of them is chosen."""
        return min(self.per_view, self.candidates)


class ReplaySettings(Section):
    """Informative questions come back with new answers."""

    share: float = Field(default=0.0, ge=0, lt=1)  # largest share of a step's questions that are replayed; 0: none
    uses: int = Field(default=8, ge=2, le=1000)  # how often a question is trained on at most
    gap_steps: int = Field(default=4, ge=1)  # between two uses
    retire_above: float = Field(default=0.95, gt=0, le=1)  # expected accuracy from which a question is retired
    most: int = Field(default=512, ge=1, le=100_000)  # questions in memory; the oldest leave first


class GrpoSettings(Section):
    """The GRPO step. The defaults suit the embedded policy (LoRA r 16, 32 questions x 16 answers, beta 0)."""

    groups: int = Field(default=32, ge=1, le=4096)
    samples: int = Field(default=16, ge=1, le=256)  # answers per question; at least 2, unless objective is "truth"
    # grpo: sampled answers with their advantages; truth: the likelihood of the true answer; grpo+truth: both.
    objective: Literal["grpo", "grpo+truth", "truth"] = "grpo"
    truth_weight: float = Field(default=1.0, gt=0)  # of the likelihood of the true answer, beside that of GRPO
    replacements: float = Field(default=1.0, ge=0, le=8)  # limit on groups replaced per step, as a multiple of `groups`
    micro_batch_groups: int = Field(default=0, ge=0)  # groups per forward pass of a process; 0: all
    # Tokens computed at once. More are computed in turn, and again for their gradients, so that memory is bounded.
    micro_batch_tokens: int = Field(default=16384, ge=256)
    learning_rate: float = Field(default=1e-3, gt=0)
    warmup_steps: int = Field(default=5, ge=0)
    decay_from: float = Field(default=0.5, ge=0, le=1)  # fraction of the budget after which the rate decays; 1: never
    beta: float = Field(default=0.0, ge=0)
    loss: Literal["dapo", "grpo", "dr_grpo", "bnpo", "cispo"] = "dapo"
    epsilon: float = Field(default=0.2, gt=0, lt=1)
    adam_beta2: float = Field(default=0.99, gt=0, lt=1)
    max_grad_norm: float = Field(default=1.0, gt=0)
    lora_rank: int = Field(default=16, ge=1, le=512)
    lora_alpha: int = Field(default=32, ge=1)
    format_weight: float = Field(default=0.05, ge=0, le=1)
    likelihood_weight: float = Field(default=0.0, ge=0, le=1)  # style "reason": of the true answer after the reasoning
    overlong_tokens: int = Field(default=0, ge=0, le=4096)  # last tokens of the limit over which the penalty grows
    overlong_weight: float = Field(default=0.5, ge=0, le=1)  # penalty of an answer at the limit
    truncated: Literal["penalise", "mask"] = "penalise"  # mask: answers that were cut off are not trained on
    importance_cap: float = Field(default=3.0, ge=1)  # truncated importance sampling, unless the engine is live
    mismatch_alarm: float = Field(default=0.3, gt=0)  # mean |log p(engine) - log p(trainer)| of a token, with a warning
    packed_forward: bool = True  # False: TRL's forward, which encodes each image once per answer
    gradient_checkpointing: bool = False
    bf16: bool = False
    save_every: int = Field(default=1, ge=1)
    keep_checkpoints: int = Field(default=2, ge=1)
    publish_every: int = Field(default=10, ge=1)  # steps between published adapters if the engine is live

    @model_validator(mode="after")
    def _spread(self) -> GrpoSettings:
        if self.samples < 2 and self.objective != "truth":
            raise ValueError('grpo.samples must be at least 2: only objective = "truth" needs no comparison of answers')
        return self

    @property
    def masks(self) -> bool:
        """Whether answers that were cut off are left out of the loss."""
        return self.truncated == "mask"

    @property
    def teaches(self) -> bool:
        """Whether the likelihood of true answers is trained."""
        return self.objective != "grpo"

    @property
    def rows(self) -> int:
        """Answers per question that the trainer sees: the sampled ones, and the true one if it is taught."""
        return self.samples + self.teaches


class SftSettings(Section):
    """Supervised fine-tuning by `learner sft`; LoRA, optimizer and precision are those of [learner.grpo]."""

    epochs: int = Field(default=1, ge=1, le=1000)
    questions: int = Field(default=32, ge=1, le=4096)  # per step
    micro_batch: int = Field(default=0, ge=0)  # questions per forward pass; 0: all of a step
    learning_rate: float = Field(default=1e-3, gt=0)
    warmup_steps: int = Field(default=5, ge=0)  # then linear to 0
    save_every: int = Field(default=50, ge=1)  # steps between checkpoints, from which a killed command resumes

    @model_validator(mode="after")
    def _splits(self) -> SftSettings:
        if self.micro_batch and self.questions % self.micro_batch:
            raise ValueError("sft.questions must be a multiple of sft.micro_batch")
        return self


class EvaluateSettings(Section):
    """Held-out evaluation: before, during and after the loop, on the same questions."""

    per_skill: int = Field(default=256, ge=1, le=100_000)
    samples: int = Field(default=4, ge=1, le=64)  # sampled answers per question, besides the greedy answer
    blind_per_skill: int = Field(default=64, ge=0)
    every_steps: int = Field(default=20, ge=0)  # 0: none during the loop
    periodic_per_skill: int = Field(default=64, ge=1)
    seed: int = Field(default=7, ge=0, lt=2**31)


class PretrainSettings(Section):
    """Settings of `learner pretrain`. The result depends on steps and seed, never on wall time."""

    seed: int = Field(default=0, ge=0, lt=2**31)
    processes: int = Field(default=2, ge=1, le=64)  # one thread each; the views of a step are split between them
    image_px: int = Field(default=96, ge=32, le=256, multiple_of=16)

    # Views: annotated scenes of the simulator.
    scenes_per_shard: int = Field(default=64, ge=1)
    views_per_scene: int = Field(default=4, ge=1, le=64)
    questions_per_view: int = Field(default=16, ge=1, le=256)
    train_shards: int = Field(default=84, ge=1)
    first_shards: int = Field(default=8, ge=1)  # training starts with these and adds more as they are written
    held_out_shards: int = Field(default=3, ge=1)
    categories: tuple[str, ...] = (
        "chair", "table", "sofa", "bed", "lamp", "plant", "bookshelf", "cabinet", "ball", "box",
    )  # fmt: skip
    colors: tuple[str, ...] = ("red", "green", "blue", "yellow", "purple", "orange")
    min_objects: int = Field(default=3, ge=1)
    max_objects: int = Field(default=6, ge=1)
    few_categories: int = Field(default=3, ge=1)  # in half of the scenes, so that objects of one category are counted
    levels: tuple[int, ...] = (0, 1, 2, 3, 4)

    # Questions: weights per skill. Perception is taught; most relational questions carry the grounding loss only, so
    # that their nouns bind to objects while the relation itself is left to the loop.
    perceive: dict[str, float] = Field(
        default={"object_category": 1.0, "object_color": 1.0, "object_location": 1.0, "object_count": 1.0}
    )
    relate: dict[str, float] = Field(
        default={"view_direction": 0.5, "depth_order": 0.5, "relative_distance": 0.5, "relative_direction": 0.5}
    )
    # Measures: taught, ignored in the selection.
    beside: dict[str, float] = Field(default={"camera_object_distance": 0.3, "object_size": 0.3})
    # Fraction of the questions of a skill whose answer is taught; 1 for other skills.
    answered: dict[str, float] = Field(
        default={"view_direction": 0.2, "depth_order": 0.08, "relative_distance": 0.6, "relative_direction": 0.3}
    )
    largest_answer: float = Field(default=0.5, gt=0, le=1)  # fraction of the taught questions of a skill, per answer

    # Training: the vision tower alone on dense targets, then the full model on packed questions.
    vision_steps: int = Field(default=933, ge=1)
    vision_batch: int = Field(default=32, ge=1)
    vision_muon_lr: float = Field(default=4e-3, gt=0)
    ground_steps: int = Field(default=1500, ge=1)
    ground_batch: int = Field(default=32, ge=1)
    ground_questions: int = Field(default=8, ge=1)
    ground_muon_lr: float = Field(default=3e-3, gt=0)
    adam_lr: float = Field(default=2e-3, gt=0)
    warmup_steps: int = Field(default=40, ge=1)
    decay_from: float = Field(default=0.7, ge=0, lt=1)  # fraction of a stage after which the learning rate decays
    grounded_layer: int = Field(default=1, ge=0)  # layer of the language model whose output is probed at nouns

    # Selection of the checkpoint: the best perception with relational accuracy inside the band.
    evaluate_every: int = Field(default=100, ge=1)
    evaluate_views: int = Field(default=400, ge=1)
    relation_band: tuple[float, float] = (0.4, 0.65)

    def with_steps(self, total: int) -> PretrainSettings:
        """Return settings with this total number of steps, split between the stages in the same proportion."""
        vision = max(1, round(total * self.vision_steps / (self.vision_steps + self.ground_steps)))
        return self.model_copy(update={"vision_steps": vision, "ground_steps": max(1, total - vision)})

    @property
    def asked(self) -> dict[str, float]:
        """Weights of all skills in requests to the simulator."""
        return {**self.perceive, **self.relate, **self.beside}


class LearnerSettings(Section):
    policy: PolicySettings = PolicySettings()
    pretrain: PretrainSettings = PretrainSettings()
    processes: int = Field(default=1, ge=1, le=1024)  # ranks over all nodes, one per GPU
    shard: bool = False  # spread the model over the processes, if it is too large for one GPU
    threads: int = Field(default=1, ge=1, le=256)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    budget: BudgetSettings = BudgetSettings()
    rollout: RolloutSettings = RolloutSettings()
    stream: StreamSettings = StreamSettings()
    screen: ScreenSettings = ScreenSettings()
    replay: ReplaySettings = ReplaySettings()
    grpo: GrpoSettings = GrpoSettings()
    sft: SftSettings = SftSettings()
    evaluate: EvaluateSettings = EvaluateSettings()

    @property
    def passes(self) -> int:
        """Number of forward passes of one step over all ranks; answers are split evenly between them."""
        return self.grpo.groups // self.grpo.micro_batch_groups if self.grpo.micro_batch_groups else self.processes

    @model_validator(mode="after")
    def _settings_fit(self) -> LearnerSettings:
        if self.grpo.groups % (self.processes * max(1, self.grpo.micro_batch_groups)):
            raise ValueError("grpo.groups must be a multiple of processes times grpo.micro_batch_groups")
        if self.grpo.overlong_tokens > self.rollout.max_answer_tokens:
            raise ValueError("grpo.overlong_tokens must not exceed rollout.max_answer_tokens")
        if self.grpo.likelihood_weight and self.policy.style != "reason":
            raise ValueError(
                "grpo.likelihood_weight needs reasoning that differs between the answers to a question: set "
                'policy.style = "reason"'
            )
        if self.shard and self.processes == 1:
            raise ValueError("shard spreads the model over several processes: set processes to the number of GPUs")
        if self.shard and self.rollout.engine == "transformers":
            raise ValueError(
                "a sharded model does not sample: set rollout.engine to one with its own weights, like "
                '"vllm-serve" with servers on other GPUs'
            )
        if self.rollout.ahead and self.processes > 1:
            raise ValueError("rollout.ahead needs processes = 1: the other processes would train and answer at once")
        if self.processes > 1 and self.rollout.vllm_tensor_parallel > 1:
            raise ValueError(
                "a process has one GPU, so rollout.vllm_tensor_parallel needs processes = 1; "
                'serve a large model with rollout.engine = "vllm-serve"'
            )
        return self
