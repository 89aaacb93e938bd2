"""The loop in one process and one thread, without sockets, for debuggers and profilers.

The services run the same code, but a channel here answers a message by a function call. A breakpoint therefore shows
the complete stack from the training step to the rasteriser.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Callable, Iterator, Sequence

import msgspec

from curriculum.core import CurriculumCore
from curriculum.settings import CurriculumSettings
from launch.report.live import LiveView
from protocol.errors import VantageError
from protocol.run import logs
from protocol.run.config import section
from protocol.run.directory import RunDir
from protocol.wire.codec import Blob, Packet
from sim_server.service.core import SimCore
from sim_server.settings import SimSettings

REFRESH_S = 1.0

Answer = tuple[msgspec.Struct, Sequence[Blob]]


class LocalChannel:
    """A service in this process with the interface of protocol.wire.client.Client."""

    def __init__(self, handle: Callable[[msgspec.Struct, bytes], Answer]) -> None:
        """`handle` takes a message and its request id and returns the reply with its blobs."""
        self._handle = handle

    def request(self, message: msgspec.Struct, deadline_s: float = 30.0) -> Packet:
        return self.submit(message, deadline_s).result()

    def submit(
        self,
        message: msgspec.Struct,
        deadline_s: float = 30.0,  # noqa: ARG002 - a function call has no deadline
    ) -> Future[Packet]:
        """Call the service; the returned future is done."""
        request_id = os.urandom(16)  # unique across starts: the curriculum remembers earlier ids
        future: Future[Packet] = Future()
        try:
            reply, arrays = self._handle(message, request_id)
            future.set_result(Packet(request_id, reply, [memoryview(array) for array in arrays]))
        except VantageError as error:
            future.set_exception(error)
        return future


@contextmanager
def local_services(run: RunDir) -> Iterator[tuple[LocalChannel, LocalChannel]]:
    """The curriculum and the simulator of a run, in this process. Raises VantageError as they do when they start."""
    simulator = SimCore(section(run.config, "sim", SimSettings))
    with CurriculumCore(run, section(run.config, "curriculum", CurriculumSettings)) as curriculum:
        yield (
            LocalChannel(lambda message, request_id: (curriculum.handle(message, request_id), ())),  # type: ignore[arg-type]
            LocalChannel(lambda message, _: simulator.handle(message)),
        )


def run_serial(run: RunDir, view: LiveView, stop: threading.Event) -> None:
    """Train `run` to its end or until `stop` is set. Raises VantageError as the services do."""
    from learner.train import train  # brings torch

    logs.setup(run, "learner")
    with local_services(run) as (curriculum, simulator):
        finished = threading.Event()
        watcher = threading.Thread(target=_watch, args=(view, finished), daemon=True)
        watcher.start()
        try:
            train(run, curriculum, simulator, stop)
        finally:
            finished.set()
            watcher.join()


def _watch(view: LiveView, finished: threading.Event) -> None:
    while not finished.wait(REFRESH_S):
        view.refresh({})
