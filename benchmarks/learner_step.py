"""Measures the parts of a GRPO step, the packed forward pass against TRL's, and the rollout engines.

    python -m benchmarks.learner_step [--groups 32] [--samples 16] [--steps 5] [--vllm]

(a) The step of the demo, part by part; (b) the same step with TRL's own log-probabilities, which encode each image for
each answer; (c) 32 x 16 answers from each engine. Views are noise, since the learner's time does not depend on their
content. The policy is the packaged one.
"""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any, Sequence

import numpy as np
import torch
import typer

from benchmarks.machine import describe_machine
from learner.grpo.clock import StepClock
from learner.grpo.groups import split_answers
from learner.grpo.trainer import VantageTrainer, trainer_config
from learner.policy.assemble import assemble
from learner.policy.checkpoints import CheckpointStore
from learner.policy.load import TINY, resolve
from learner.rollouts.base import Prompt, Sampling
from learner.rollouts.group import Group
from learner.settings import GrpoSettings, LearnerSettings, PolicySettings, RolloutSettings
from protocol.answers.scoring import Reward

RESULT = Path(__file__).parent / "results" / "learner_step.json"
TEXTS = (
    "is the red chair to the left or to the right of the blue box : left or right ?",
    "which is nearer to the camera : the green ball or the red lamp ?",
)


def prompts(count: int, seed: int) -> list[Prompt]:
    rng = np.random.default_rng(seed)
    return [Prompt(TEXTS[i % 2], (rng.integers(0, 255, (96, 96, 3), dtype=np.uint8),)) for i in range(count)]


def train_steps(settings: LearnerSettings, steps: int) -> list[dict[str, float]]:
    """Seconds of each part of every step after the first two."""
    parts = assemble(settings, 0)
    engine = parts.live_engine()
    clock = StepClock()
    taken: list[dict[str, float]] = []
    began = [time.perf_counter()]

    def collect() -> Sequence[Group]:
        now = time.perf_counter()
        spent = clock.take()
        taken.append({**spent, "total": now - began[0]})
        began[0] = now
        with clock("rollout"):
            rollouts = engine.generate(
                prompts(settings.grpo.groups, len(taken)), settings.grpo.samples, Sampling(1.0, 3, len(taken))
            )
        # Alternating rewards, whatever the answers: every group has a gradient.
        return [
            Group(rollout, tuple(Reward(float(i % 2), True) for i in range(len(rollout.completions))))
            for rollout in rollouts
        ]

    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "checkpoints"
        store.mkdir()
        config = trainer_config(Path(folder), settings.grpo, settings.rollout, steps + 2, 0, use_cpu=True)
        trainer = VantageTrainer(
            parts.model,
            parts.processor,
            lambda: split_answers(collect(), 1)[0],
            config,
            settings.grpo,
            CheckpointStore(store),
            clock,
            dict,
            lambda _: 1.0,
            parts.packed,
        )
        trainer.train()
    return [{**step, "rest": step["total"] - sum(v for k, v in step.items() if k != "total")} for step in taken[2:]]


def medians(steps: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(statistics.median(step.get(name, 0.0) for step in steps), 4) for name in steps[0]}


def engine_seconds(engine: Any, groups: int, samples: int, repeats: int) -> float:
    times = []
    for repeat in range(repeats + 1):
        start = time.perf_counter()
        engine.generate(prompts(groups, repeat), samples, Sampling(1.0, 3, repeat))
        times.append(time.perf_counter() - start)
    return round(statistics.median(times[1:]), 4)


def vllm_seconds(groups: int, samples: int, repeats: int) -> dict[str, float]:
    """Measure vLLM in a separate process: its CPU build must be imported first."""
    command = [sys.executable, "-m", "benchmarks.learner_step", "--groups", str(groups), "--samples", str(samples)]
    command += ["--steps", str(repeats), "--only-vllm"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))
    if ended.returncode != 0:
        raise SystemExit(ended.stderr[-2000:])
    return json.loads(ended.stdout.strip().splitlines()[-1])


def only_vllm(settings: LearnerSettings, repeats: int) -> dict[str, float]:
    from learner.policy.adapters import AdapterStore
    from learner.rollouts.vllm import VllmEngine

    parts = assemble(settings, 0)
    start = time.perf_counter()
    engine = VllmEngine(resolve(TINY), parts.encoder, settings.rollout, settings.grpo, 1, 0, on_gpu=False)
    started = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as folder:
        store = AdapterStore(Path(folder))
        swaps = []
        for step in range(3):
            start = time.perf_counter()
            path = store.path(store.publish(parts.model, step))
            engine.load_adapter(path.name, path)
            engine.generate(prompts(1, 0), 1, Sampling(0.0, 1, 0))
            swaps.append(time.perf_counter() - start)
        seconds = engine_seconds(engine, settings.grpo.groups, settings.grpo.samples, repeats)
    return {"start_s": round(started, 2), "adapter_swap_s": round(min(swaps), 4), "rollout_s": seconds}


def main(
    groups: Annotated[int, typer.Option(help="Questions per step.")] = 32,
    samples: Annotated[int, typer.Option(help="Answers per question.")] = 16,
    steps: Annotated[int, typer.Option(help="Steps measured.")] = 5,
    threads: Annotated[int, typer.Option(help="Threads of the learner.")] = 1,
    stock: Annotated[bool, typer.Option(help="Also measure TRL's own forward pass.")] = True,
    only_vllm_: Annotated[bool, typer.Option("--only-vllm", hidden=True)] = False,
) -> None:
    """Measure a training step with the packed forward pass and with TRL's own, and the time of each engine."""
    grpo = GrpoSettings(groups=groups, samples=samples)
    settings = LearnerSettings(
        policy=PolicySettings(model=TINY),
        threads=threads,
        device="cpu",
        grpo=grpo,
        rollout=RolloutSettings(max_answer_tokens=3),
    )
    if only_vllm_:
        print("\n" + json.dumps(only_vllm(settings, steps)), flush=True)
        return
    torch.set_num_threads(threads)
    result: dict[str, Any] = {"machine": describe_machine(), "groups": groups, "samples": samples, "threads": threads}
    ours = medians(train_steps(settings, steps))
    result["packed_step_s"] = ours
    if stock:
        plain = settings.model_copy(update={"grpo": grpo.model_copy(update={"packed_forward": False})})
        result["trl_step_s"] = medians(train_steps(plain, max(1, steps // 3)))
        result["ratio_trl_to_packed"] = round(result["trl_step_s"]["total"] / ours["total"], 2)
    parts = assemble(settings, 0)
    result["transformers_rollout_s"] = engine_seconds(parts.live_engine(), groups, samples, steps)
    if importlib.util.find_spec("vllm") is not None:
        result["vllm"] = vllm_seconds(groups, samples, steps)
        both = result["vllm"]["rollout_s"] + result["vllm"]["adapter_swap_s"]
        result["ratio_vllm_to_transformers"] = round(both / result["transformers_rollout_s"], 2)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    for name, value in result.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    typer.run(main)
