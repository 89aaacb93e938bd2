"""A worker process: one simulator in the main thread, and one thread that talks to the broker.

Simulators are created and used only in the main thread, since some are bound to the thread that created them.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import msgspec

from protocol.errors import VantageError
from protocol.tasks.check import as_text
from protocol.wire.codec import Blob, encode
from protocol.wire.endpoint import Endpoint
from protocol.wire.messages import Failure, Ready, failure_of
from protocol.wire.replies import MAX_MESSAGE
from sim_server.backends.base import Warmable
from sim_server.service.core import WIRE_SENSORS, SimCore
from sim_server.service.link import Link
from sim_server.settings import SimSettings

log = logging.getLogger(__name__)


class Worker:
    """Serves one broker until it is drained, or until it has loaded `recycle_after_scenes` scenes.

    Recycling is for simulators whose memory grows with every scene; the caller then starts a new process. Raises
    VantageError("backend_missing") if the simulator is not installed.
    """

    def __init__(
        self, endpoint: Callable[[], Endpoint], settings: SimSettings, worker_id: str, leash: bool = False
    ) -> None:
        """`endpoint` is called for each connection. With `leash`, the process ends when standard input ends."""
        self._settings = settings
        self._job_id = b""
        self._core = SimCore(settings, loading=self._loading)
        backend = self._core.backend
        if isinstance(backend, Warmable):
            backend.warm()
        ready = Ready(
            worker_id=worker_id,
            backend=backend.name,
            renderer_digest=backend.digest,
            credit=settings.credit,
            sensors=tuple(sensor for sensor in WIRE_SENSORS if sensor in backend.capabilities.sensors),
            warm_scenes=settings.warm_scenes,
            assets=backend.capabilities.assets,
        )
        self._link = Link(endpoint, ready, settings.worker_silence_s, settings.request_timeout_s, leash)

    def run(self) -> None:
        try:
            for packet in self._link.tasks():
                self._job_id = packet.request_id
                self._link.answer(self._answer(packet.request_id, packet.message))
                if self.recycled:
                    self._link.leave()
        finally:
            self._core.close()

    @property
    def recycled(self) -> bool:
        """Whether it has loaded `recycle_after_scenes` scenes."""
        return 0 < self._settings.recycle_after_scenes <= self._core.scenes.loads

    def leave_on(self, *signals: signal.Signals) -> None:
        """Finish the current work and leave on these signals; a second Ctrl-C ends the process at once.

        A second SIGTERM does not: Slurm sends it to every process of a job, and the job's script forwards it.
        """
        for number in signals:
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, _frame: object) -> None:
        if number == signal.SIGINT:
            signal.signal(number, signal.SIG_DFL)
        self._link.leave()

    def _answer(self, request_id: bytes, message: msgspec.Struct) -> Sequence[Blob]:
        try:
            reply, blobs = self._core.handle(message)
            return encode(request_id, reply, blobs)
        except VantageError as error:
            failure = msgspec.structs.replace(failure_of(error), message=as_text(error.message, MAX_MESSAGE))
            return encode(request_id, failure)
        except Exception as error:  # an error in one request must not end the worker
            log.exception("a request failed")
            name = type(error).__name__
            return encode(
                request_id, Failure("internal", f"the simulator failed on this request ({name}); see the worker's log.")
            )

    @contextmanager
    def _loading(self) -> Iterator[None]:
        self._link.announce_load(self._job_id, self._settings.loading_s)
        try:
            yield
        finally:
            self._link.announce_load(self._job_id, 0.0)
