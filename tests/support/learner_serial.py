"""`python -m tests.support.learner_serial RUN`: a learner with curriculum and simulator in the process of rank 0.

Its training answers are scripted. Until the first checkpoint, all answers are equal and wrong, so that the step has no
gradient. Then two of the answers look around first, and one answer is right.
"""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Sequence

from launch.serial import local_services
from learner import cli
from learner.policy import assemble
from learner.ranks.processes import start_other_ranks
from learner.rollouts.base import Completion, Prompt, Rollout, Sampling
from learner.rollouts.transformers import PackedEngine
from learner.settings import LearnerSettings
from learner.train import train
from protocol.run.config import section
from protocol.run.directory import RunDir
from protocol.run.exits import run_command

WRONG = "box box"
WORDS = ("turn left", "forward", WRONG)  # the fourth answer is right


class Scripted(PackedEngine):
    run: RunDir

    def generate(self, prompts: Sequence[Prompt], n: int, sampling: Sampling) -> list[Rollout]:
        return [self._scripted(rollout) for rollout in super().generate(prompts, n, sampling)]

    def _scripted(self, rollout: Rollout) -> Rollout:
        truth = rollout.prompt.truth
        if not truth:  # an evaluation
            return rollout
        flat = not any(self.run.checkpoints.glob("step*"))
        answers = [self._encoder.answer(WRONG if flat else word) for word in WORDS]
        answers.append(self._encoder.answer(WRONG) if flat else truth)
        return replace(rollout, completions=tuple(map(self._completion, answers[: len(rollout.completions)])))

    def _completion(self, ids: tuple[int, ...]) -> Completion:
        return Completion(ids, (-1.0,) * len(ids), self._encoder.text(ids), True)


def main() -> None:
    run = RunDir.open(Path(sys.argv[1]))
    Scripted.run = run
    assemble.PackedEngine = Scripted
    if "RANK" in os.environ:
        cli.train(run.path)
        return
    processes = section(run.config, "learner", LearnerSettings).processes
    command = [sys.executable, "-m", "tests.support.learner_serial", str(run.path)]
    with local_services(run) as (curriculum, simulator), start_other_ranks(processes, command):
        train(run, curriculum, simulator, threading.Event())


if __name__ == "__main__":
    run_command(main, "learner")
