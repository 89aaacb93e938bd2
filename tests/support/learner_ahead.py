"""`python -m tests.support.learner_ahead RUN`: a learner with curriculum and simulator in one process.

Its engine has weights of its own, loaded from the published adapters, like an engine on another device.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any, Sequence

from launch.serial import local_services
from learner import train
from learner.policy.adapters import read_adapter
from learner.policy.assemble import Parts, assemble
from learner.rollouts.base import Prompt, Rollout, RolloutEngine, Sampling
from learner.settings import LearnerSettings
from protocol.run.directory import RunDir
from protocol.run.exits import run_command


class OwnWeights:
    name = "own-weights"
    live = False

    def __init__(self, settings: LearnerSettings, seed: int) -> None:
        self._parts = assemble(settings, seed)
        self._engine = self._parts.live_engine()

    def generate(self, prompts: Sequence[Prompt], n: int, sampling: Sampling) -> list[Rollout]:
        return self._engine.generate(prompts, n, sampling)

    def load_adapter(self, name: str, path: Path) -> None:
        read_adapter(self._parts.model, path)

    def close(self) -> None: ...


def own_engine(parts: Parts, settings: LearnerSettings, worlds: Any, seed: int) -> RolloutEngine:
    return OwnWeights(settings, seed)


def main() -> None:
    run = RunDir.open(Path(sys.argv[1]))
    train.rollout_engine = own_engine
    with local_services(run) as (curriculum, simulator):
        train.train(run, curriculum, simulator, threading.Event())


if __name__ == "__main__":
    run_command(main, "learner")
