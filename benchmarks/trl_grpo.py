"""Train the embedded policy with TRL's own GRPOTrainer on questions of a live curriculum.

    python -m benchmarks.trl_grpo --steps 20 --out runs/trl

Writes the mean reward per step and what the curriculum counted to OUT/trl_grpo.json.
"""

from __future__ import annotations

import argparse
import json
import time
from importlib import metadata
from pathlib import Path

from benchmarks.machine import describe_load, describe_machine
from protocol.wire.messages import CurriculumStatus
from vantage.envs import Pool, open_pool
from vantage.envs.for_trl import SETTINGS, accuracy, stream

_REPORTED_S = 30.0


def counted(pool: Pool, reports: int) -> CurriculumStatus:
    """The status once the curriculum has counted this many reports, or after a bounded time."""
    end = time.monotonic() + _REPORTED_S
    while (status := pool.status()).counted < reports and time.monotonic() < end:
        time.sleep(0.05)
    return status


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--samples", type=int, default=8, help="answers per question")
    parser.add_argument("--batch", type=int, default=32, help="answers per step")
    parser.add_argument("--config", default="demo")
    parser.add_argument("--out", type=Path, default=Path("runs/trl"))
    options = parser.parse_args()

    from peft import LoraConfig
    from trl import GRPOConfig, GRPOTrainer

    from learner.policy.load import load

    policy = load()
    with open_pool(options.config, options.out / "run", samples=options.samples) as pool:
        config = GRPOConfig(
            output_dir=str(options.out / "trainer"),
            max_steps=options.steps,
            per_device_train_batch_size=options.batch,
            num_generations=options.samples,
            max_completion_length=8,
            learning_rate=1e-3,
            temperature=1.0,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            use_cpu=True,
            bf16=False,
            **SETTINGS,
        )
        trainer = GRPOTrainer(
            policy.model,
            accuracy,
            config,
            stream(pool.questions(), "words"),
            processing_class=policy.processor,
            peft_config=LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", exclude_modules=".*visual.*"),
        )
        started = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - started
        status = counted(pool, options.steps * options.batch // options.samples)
    rewards = [line["reward"] for line in trainer.state.log_history if "reward" in line]
    record = {
        "machine": describe_machine(),
        "load": describe_load(),
        "versions": {name: metadata.version(name) for name in ("trl", "transformers", "torch", "datasets")},
        "steps": len(rewards),
        "seconds": round(seconds, 1),
        "rewards": [round(reward, 3) for reward in rewards],
        "counted": status.counted,
        "cells": {f"{cell.skill} L{cell.level}": [cell.asked, round(cell.success_rate, 3)] for cell in status.cells},
    }
    (options.out / "trl_grpo.json").write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
