"""`python -m tests.support.learner_serial RUN`: a learner with its services in its rank 0."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from curriculum.core import CurriculumCore
from curriculum.settings import CurriculumSettings
from launch.serial import LocalChannel
from learner.processes import others_started
from learner.settings import LearnerSettings
from learner.train import train
from protocol.config import section
from protocol.exits import run_command
from protocol.rundir import RunDir
from sim_server.core import SimCore
from sim_server.settings import SimSettings


def main() -> None:
    run = RunDir.open(Path(sys.argv[1]))
    processes = section(run.config, "learner", LearnerSettings).processes
    command = [sys.executable, "-m", "learner.cli", "train", str(run.path)]
    simulator = SimCore(section(run.config, "sim", SimSettings))
    with (
        CurriculumCore(run, section(run.config, "curriculum", CurriculumSettings)) as curriculum,
        others_started(processes, command),
    ):
        train(
            run,
            LocalChannel(lambda message, request_id: (curriculum.handle(message, request_id), ())),  # type: ignore[arg-type]
            LocalChannel(lambda message, _: simulator.handle(message)),
            threading.Event(),
        )


if __name__ == "__main__":
    run_command(main, "learner")
