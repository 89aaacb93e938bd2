"""The [learner] table. Imports nothing heavy: configurations are checked without torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from learner.rollouts import ENGINES
from protocol.run.config import Section


class PolicySettings(Section):
    """Which model learns, and how questions are put to it."""

    model: str = Field(default="vantage-tiny", min_length=1)  # the packaged one, a folder, or a hub name
    style: Literal["words", "letters"] = "words"  # see protocol/answers/prompt.py


class BudgetSettings(Section):
    """When the loop ends: at whichever comes first. Evaluations before and after are not counted."""

    steps: int = Field(default=200, ge=1, le=1_000_000)
    minutes: float = Field(default=8.0, gt=0)


class RolloutSettings(Section):
    """How answers are sampled."""

    engine: str = "transformers"  # of learner.rollouts, or of another distribution
    temperature: float = Field(default=1.0, gt=0, le=2)
    max_answer_tokens: int = Field(default=8, ge=1, le=4096)
    max_prompt_tokens: int = Field(default=256, ge=16, le=131072)  # vLLM only: sizes its cache
    vllm_dtype: Literal["float32", "bfloat16", "auto"] = "float32"
    vllm_memory_share: float = Field(default=0.3, gt=0, lt=1)  # of a GPU's memory
    vllm_tensor_parallel: int = Field(default=1, ge=1, le=64)  # GPUs over which vLLM spreads the model
    vllm_cpu_cache_gib: int = Field(default=1, ge=1, le=64)
    servers: tuple[str, ...] = Field(default=("http://127.0.0.1:8000",), min_length=1)  # vllm-serve only: their URLs
    server_wait_s: float = Field(default=300.0, gt=0)  # for a server that does not answer (yet)

    @field_validator("engine")
    @classmethod
    def _installed(cls, name: str) -> str:
        return ENGINES.check_setting(name)


class StreamSettings(Section):
    """How far the questions run ahead of the training step."""

    in_flight: int = Field(default=64, ge=1, le=4096)  # render tasks sent and not yet answered
    ahead: int = Field(default=96, ge=1, le=8192)  # episodes ready or in flight
    max_staleness_steps: int = Field(default=8, ge=1)  # a spec leased longer ago than this is given back unasked
    lease_s: float = Field(default=600.0, gt=0)
    render_deadline_s: float = Field(default=120.0, gt=0)
    image_codec: Literal["raw", "png", "webp", "jpeg"] = "raw"
    keep_images: int = Field(default=400, ge=0, le=100_000)  # views kept for the report's gallery
    keep_episodes: int = Field(default=20_000, ge=0)  # lines kept in episodes.jsonl


class GrpoSettings(Section):
    """One GRPO step. The defaults suit the embedded policy (LoRA r 16, 32 questions x 16 answers, beta 0)."""

    groups: int = Field(default=32, ge=1, le=4096)
    samples: int = Field(default=16, ge=2, le=256)
    replacements: float = Field(default=1.0, ge=0, le=8)  # groups without gradient replaced per step, times `groups`
    micro_batch_groups: int = Field(default=0, ge=0)  # groups per forward pass of a process; 0: all of its own
    learning_rate: float = Field(default=1e-3, gt=0)
    warmup_steps: int = Field(default=5, ge=0)
    decay_from: float = Field(default=0.5, ge=0, le=1)  # share of the budget after which the rate falls; 1: never
    beta: float = Field(default=0.0, ge=0)
    loss: Literal["dapo", "grpo", "dr_grpo", "bnpo", "cispo"] = "dapo"
    epsilon: float = Field(default=0.2, gt=0, lt=1)
    adam_beta2: float = Field(default=0.99, gt=0, lt=1)
    max_grad_norm: float = Field(default=1.0, gt=0)
    lora_rank: int = Field(default=16, ge=1, le=512)
    lora_alpha: int = Field(default=32, ge=1)
    format_weight: float = Field(default=0.05, ge=0, le=1)
    importance_cap: float = Field(default=3.0, ge=1)  # truncated importance sampling, where the engine is not live
    packed_forward: bool = True  # False: TRL's own log-probabilities, which encode each image for every answer
    gradient_checkpointing: bool = False
    bf16: bool = False
    save_every: int = Field(default=1, ge=1)
    keep_checkpoints: int = Field(default=2, ge=1)
    publish_every: int = Field(default=10, ge=1)  # steps between published adapters where the engine needs none


class EvaluateSettings(Section):
    """Held-out evaluation: before, during and after the loop, on the same questions."""

    skills: tuple[str, ...] = ()  # empty: those of the curriculum
    levels: tuple[int, ...] = ()  # empty: those of the curriculum
    per_skill: int = Field(default=256, ge=1, le=100_000)
    samples: int = Field(default=4, ge=1, le=64)  # sampled answers per question; greedy is always taken
    blind_per_skill: int = Field(default=64, ge=0)
    every_steps: int = Field(default=20, ge=0)  # 0: none during the loop
    periodic_per_skill: int = Field(default=64, ge=1)
    seed: int = Field(default=7, ge=0, lt=2**31)


class PretrainSettings(Section):
    """How `learner pretrain` makes the embedded policy. Steps and seed decide the result, never the clock."""

    seed: int = Field(default=0, ge=0, lt=2**31)
    processes: int = Field(default=2, ge=1, le=64)  # each of one thread; they share a step's views
    image_px: int = Field(default=96, ge=32, le=256, multiple_of=16)

    # What is seen: scenes of the simulator, annotated.
    scenes_per_shard: int = Field(default=64, ge=1)
    views_per_scene: int = Field(default=4, ge=1, le=64)
    questions_per_view: int = Field(default=16, ge=1, le=256)
    train_shards: int = Field(default=84, ge=1)
    first_shards: int = Field(default=8, ge=1)  # training starts when these are there, and takes in more as it goes
    held_out_shards: int = Field(default=3, ge=1)
    categories: tuple[str, ...] = (
        "chair", "table", "sofa", "bed", "lamp", "plant", "bookshelf", "cabinet", "ball", "box",
    )  # fmt: skip
    colors: tuple[str, ...] = ("red", "green", "blue", "yellow", "purple", "orange")
    min_objects: int = Field(default=3, ge=1)
    max_objects: int = Field(default=6, ge=1)
    levels: tuple[int, ...] = (0, 1, 2)

    # What is asked: shares of the questions per skill. Perception is taught; of the relational questions most carry
    # the grounding loss alone, so that names bind in them while the relation itself is left to the loop.
    perceive: dict[str, float] = Field(
        default={"object_category": 1.0, "object_color": 1.0, "object_location": 1.0, "object_count": 1.0}
    )
    relate: dict[str, float] = Field(
        default={"view_direction": 0.5, "depth_order": 0.5, "relative_distance": 0.5, "relative_direction": 0.5}
    )
    beside: dict[str, float] = Field(default={"camera_object_distance": 0.3})  # taught, not measured by
    # Share of a skill's questions whose answer is taught; of skills that are not named here, every one's.
    answered: dict[str, float] = Field(
        default={"view_direction": 0.06, "depth_order": 0.02, "relative_distance": 0.6, "relative_direction": 0.3}
    )

    # How it is trained: the vision tower alone on dense truth, then everything on packed questions.
    vision_steps: int = Field(default=700, ge=1)
    vision_batch: int = Field(default=32, ge=1)
    vision_muon_lr: float = Field(default=4e-3, gt=0)
    ground_steps: int = Field(default=500, ge=1)
    ground_batch: int = Field(default=32, ge=1)
    ground_questions: int = Field(default=8, ge=1)
    ground_muon_lr: float = Field(default=3e-3, gt=0)
    adam_lr: float = Field(default=2e-3, gt=0)
    warmup_steps: int = Field(default=40, ge=1)
    decay_from: float = Field(default=0.7, ge=0, lt=1)  # share of a stage after which the learning rate falls
    grounded_layer: int = Field(default=1, ge=0)  # the language model's layer behind which nouns are probed

    # Which checkpoint is shipped: the best perception whose relational skills are still to be learned.
    evaluate_every: int = Field(default=100, ge=1)
    evaluate_views: int = Field(default=400, ge=1)
    relation_band: tuple[float, float] = (0.4, 0.65)

    def with_steps(self, total: int) -> PretrainSettings:
        """Both stages together take this many steps, in their present proportion."""
        vision = max(1, round(total * self.vision_steps / (self.vision_steps + self.ground_steps)))
        return self.model_copy(update={"vision_steps": vision, "ground_steps": max(1, total - vision)})

    @property
    def asked(self) -> dict[str, float]:
        """Weights of all skills, as the simulator is asked for them."""
        return {**self.perceive, **self.relate, **self.beside}


class LearnerSettings(Section):
    policy: PolicySettings = PolicySettings()
    pretrain: PretrainSettings = PretrainSettings()
    processes: int = Field(default=1, ge=1, le=1024)  # one to a GPU, over all nodes: they share answers and gradients
    threads: int = Field(default=1, ge=1, le=256)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    budget: BudgetSettings = BudgetSettings()
    rollout: RolloutSettings = RolloutSettings()
    stream: StreamSettings = StreamSettings()
    grpo: GrpoSettings = GrpoSettings()
    evaluate: EvaluateSettings = EvaluateSettings()

    @property
    def passes(self) -> int:
        """Forward passes of one step over all ranks: its answers fall into so many equal parts."""
        return self.grpo.groups // self.grpo.micro_batch_groups if self.grpo.micro_batch_groups else self.processes

    @model_validator(mode="after")
    def _processes_fit(self) -> LearnerSettings:
        if self.grpo.groups % (self.processes * max(1, self.grpo.micro_batch_groups)):
            raise ValueError("grpo.groups must be a multiple of processes times grpo.micro_batch_groups")
        if self.processes > 1 and self.rollout.vllm_tensor_parallel > 1:
            raise ValueError(
                "a process has one GPU, so that rollout.vllm_tensor_parallel needs processes = 1; "
                'spread a large model with rollout.engine = "vllm-serve"'
            )
        return self
