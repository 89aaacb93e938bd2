"""`learner pretrain`: a simulator, the views that it renders, and processes that train on them.

run              collects views during training and starts the training processes
start_simulator  starts a sim-server in a run directory as a child process
_train           one training process; process 0 evaluates, saves, and writes the model card
"""

from __future__ import annotations

import contextlib
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch.distributed as dist
from torch.multiprocessing.spawn import start_processes

from learner.policy.build import MERGE, PATCH_PX
from learner.pretrain.card import write_card
from learner.pretrain.data import Pool, collect, request
from learner.pretrain.train import pretrain
from learner.settings import PretrainSettings
from learner.stream.reports import Channel
from protocol.errors import VantageError
from protocol.run import logs
from protocol.run.directory import RunDir
from protocol.wire.client import Client
from protocol.wire.endpoint import lookup
from protocol.wire.messages import Describe

log = logging.getLogger(__name__)

_POLL_S = 0.2
_STALLED_S = 600.0  # without a new shard for this time, the simulator is considered dead
_STOP_S = 10.0


def run(settings: PretrainSettings, out: Path, work: Path, command: str, workers: int = 1) -> None:
    """Train a policy and write it to `out`. Views and logs go to `work`; an interrupted run reuses its views.

    `command` is the command line in the model card that reproduces the policy. Raises VantageError("conflict") if
    `out` contains files but no model.
    """
    if out.is_dir() and any(out.iterdir()) and not (out / "config.json").exists():
        raise VantageError("conflict", f"{out} contains files but no model; choose another folder.")
    work.mkdir(parents=True, exist_ok=True)
    with start_simulator(work / "simulator", workers) as simulator:
        digest = simulator.request(
            Describe(request(settings, "val", 0).scene), deadline_s=300.0
        ).message.renderer_digest
        log.info("views come from renderer %s", digest)
        collector = _Collector(simulator, settings, work)
        arguments = (settings.model_dump_json(), str(work), str(out), command, digest)
        context = start_processes(_train, args=arguments, nprocs=settings.processes, join=False, start_method="spawn")
        assert context is not None
        try:
            while not context.join(timeout=_POLL_S):
                collector.check()
            collector.check()
        finally:
            for process in context.processes:
                if process is not None:
                    process.kill()


@contextlib.contextmanager
def start_simulator(run_dir: Path, workers: int) -> Iterator[Client]:
    """Start a simulator and yield a client of it; both are closed with the context."""
    run_directory = RunDir.open(run_dir) if (run_dir / "run.json").exists() else RunDir.create(run_dir, {})
    arguments = ["serve", str(run_directory.path), "--workers", str(workers)]
    process = subprocess.Popen([sys.executable, "-m", "sim_server.cli", *arguments])
    try:
        with Client(lambda: lookup(run_directory.path, "sim"), "pretrain") as client:
            yield client
    finally:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class _Collector:
    """Collects the held-out views, then the training views, in a thread."""

    def __init__(self, channel: Channel, settings: PretrainSettings, work: Path) -> None:
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(channel, settings, work), daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise the error that stopped the collection, if any."""
        if self._error is not None:
            raise self._error

    def _run(self, channel: Channel, settings: PretrainSettings, work: Path) -> None:
        side = settings.image_px // (PATCH_PX * MERGE)
        try:
            for split, shards in (("val", settings.held_out_shards), ("train", settings.train_shards)):
                collect(channel, settings, split, work / split, (side, side), shards, _progress(split, shards))
        except BaseException as error:  # raised in the main thread by check()
            self._error = error


def _progress(split: str, shards: int) -> Callable[[int], None]:
    def report(done: int) -> None:
        log.info("%s views: %d of %d shards", split, done, shards)

    return report


def _wait_for(path: Path) -> None:
    """Wait until the shard exists. Raises VantageError("timeout") after _STALLED_S."""
    deadline = time.monotonic() + _STALLED_S
    while not path.exists():
        if time.monotonic() > deadline:
            raise VantageError(
                "timeout", f"no new views for {_STALLED_S:.0f} s: see the simulator's log in {path.parents[1]}"
            )
        time.sleep(_POLL_S)


def _train(rank: int, settings_json: str, work: str, out: str, command: str, digest: str) -> None:
    settings = PretrainSettings.model_validate_json(settings_json)
    folder = Path(work)
    if rank == 0:
        logs.setup(folder, "pretrain")
    meeting = folder / "meeting"
    if settings.processes > 1:
        dist.init_process_group("gloo", f"file://{meeting.resolve()}", rank=rank, world_size=settings.processes)
    try:
        pools = Pool(folder / "train", _wait_for), Pool(folder / "val", _wait_for)
        result = pretrain(settings, *pools, Path(out))
        if result is not None:
            write_card(Path(out), settings, command, digest, result)
    finally:
        if settings.processes > 1:
            dist.destroy_process_group()
            if rank == 0:
                meeting.unlink(missing_ok=True)
