"""Measures the loop with rollouts in turn with training and ahead of it, and how long steps wait for the simulator.

    python -m benchmarks.rollouts_ahead [--steps 30] [--delay 0.3]

Two processes compute on the CPU: the learner of the demo, and its policy in benchmarks/policy_server.py, which answers
over HTTP like `vllm serve`. `--delay` adds time to every batch of answers in which no processor works, as if the engine
had a GPU. Simulator and curriculum are processes too, as in every run.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.machine import describe_machine
from protocol.run.directory import read_jsonl

RESULT = Path(__file__).parent / "results" / "rollouts_ahead.json"
CONFIG = Path(__file__).parents[1] / "configs" / "demo.toml"
WARM_UP = 3  # steps that are not counted


def measure(folder: Path, port: int, ahead: bool, steps: int) -> dict[str, Any]:
    """Run the demo for a number of steps; medians over its steps after the first ones."""
    name = "ahead" if ahead else "in-turn"
    sets = {
        "learner.rollout.engine": "vllm-serve",
        "learner.rollout.servers": f'["http://127.0.0.1:{port}"]',
        "learner.rollout.ahead": str(ahead).lower(),
        "learner.budget.steps": steps,
        "learner.budget.minutes": 60,
        "learner.evaluate.per_skill": 1,
        "learner.evaluate.blind_per_skill": 0,
        "learner.evaluate.every_steps": 0,
    }
    options = [f"--set={key}={value}" for key, value in sets.items()]
    command = [sys.executable, "-m", "vantage", "run", str(CONFIG), "--name", name, "--runs", str(folder), *options]
    subprocess.run(command, check=True, stdout=sys.stderr)
    lines = [line for line in read_jsonl(folder / name / "metrics" / "learner.jsonl")[0] if line["event"] == "step"]
    counted = lines[WARM_UP:]
    total = sum(line["step_s"] for line in counted)
    parts = {part for line in counted for part in line["seconds"]}
    prefix = "ahead: " if ahead else ""
    waits = sum(line["seconds"].get(f"{prefix}render wait", 0.0) for line in counted)
    return {
        "step_s": round(statistics.median(line["step_s"] for line in counted), 3),
        "answers_per_s": round(sum(line["answers"] for line in counted) / total, 1),
        "simulator_wait": round(waits / total, 4),  # fraction of the time; ahead: of the thread that answers
        "mismatch": round(statistics.mean(line["mismatch"] for line in counted), 4),
        "reward": round(statistics.mean(line["reward"] for line in counted), 3),
        "seconds": {
            part: round(statistics.median(line["seconds"].get(part, 0.0) for line in counted), 3)
            for part in sorted(parts)
        },
    }


def main(
    steps: Annotated[int, typer.Option(help="Steps of each run.")] = 30,
    delay: Annotated[float, typer.Option(help="Seconds without processor time in every batch of answers.")] = 0.3,
) -> None:
    """Measure the demo with its answers from another process, in turn with training and ahead of it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "benchmarks.policy_server", str(CONFIG), "--port", str(port)]
    server = subprocess.Popen([*command, "--delay", str(delay)], env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        with tempfile.TemporaryDirectory() as folder:
            in_turn, ahead = (measure(Path(folder), port, early, steps) for early in (False, True))
    finally:
        server.terminate()
        server.wait()
    result = {
        "machine": describe_machine(),
        "steps": steps,
        "delay_s": delay,
        "in_turn": in_turn,
        "ahead": ahead,
        "speedup": round(in_turn["step_s"] / ahead["step_s"], 2),
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    typer.run(main)
