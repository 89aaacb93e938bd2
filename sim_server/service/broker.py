"""The broker of the simulator service, between clients and workers. It runs no simulator itself.

Map
    Inbox (protocol/wire/inbox.py)   ROUTER for clients: HELLO, heartbeats, de-duplication, stored replies
    Dispatcher (dispatch.py)         assigns requests to workers: credit, warm scenes, bounds, re-dispatch, quarantine
    Fleet (fleet.py)                 worker processes started by this one; others may join from anywhere
    Broker (here)                    the sockets and the main loop

    client ──RENDER_TASK──▶ Inbox ─▶ Dispatcher.submit ─▶ .assign ──the same frames──▶ worker
    client ◀──EPISODE────── Inbox ◀─ Dispatcher.finish ◀──────────the same frames──── worker

Frames of requests and replies are forwarded unchanged, except that the request id is replaced by the broker's job id
and back, so that clients cannot collide and late answers to an earlier broker are recognised.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, Optional, Union

import msgspec
import zmq

from protocol import PROTOCOL_MAJOR, PROTOCOL_MINOR
from protocol.errors import VantageError
from protocol.run.directory import RunDir
from protocol.run.telemetry import Telemetry
from protocol.wire.codec import Blob, decode, encode
from protocol.wire.dedup import ReplyCache
from protocol.wire.endpoint import publish, serving_endpoint
from protocol.wire.inbox import MESSAGES_PER_TURN, Inbox, Request
from protocol.wire.messages import (
    KIND_OF,
    Annotate,
    Busy,
    Describe,
    Done,
    Drain,
    DrainWorker,
    Failure,
    GetSimStatus,
    Goodbye,
    Heartbeat,
    Loading,
    Observe,
    Ready,
    RenderTask,
    SimStatus,
    Welcome,
    WorkerStatus,
    failure_of,
)
from protocol.wire.sockets import Listener, receive, send
from sim_server.service.dispatch import Admission, Dispatcher, Job, Limits, Needs, WorkerState
from sim_server.service.fleet import Fleet
from sim_server.service.scenes import scene_key
from sim_server.settings import SimSettings

log = logging.getLogger(__name__)

SERVICE = "sim"  # name in the run directory for clients
WORKER_SERVICE = "sim-workers"  # name in the run directory for workers
TURN_MS = 50  # maximum time between iterations of the main loop
METRICS_EVERY_S = 5.0
DRAIN_S = 10.0
HEARTBEAT_S = 1.0  # of clients
MAX_CREDIT = 64
MAX_LOADING_S = 3600.0
MAX_SUSPECTS = 1024
_WORKER_KINDS = {KIND_OF[cls].encode() for cls in (Ready, Heartbeat, Loading, Drain, Goodbye)}
_FAILURE_KIND = KIND_OF[Failure].encode()


class Broker:
    """Serves one run. Binds and publishes its addresses on construction.

    Raises VantageError: "conflict" if an address is in use, "bad_config" if it cannot be served.
    """

    def __init__(self, run: RunDir, settings: SimSettings, fleet: Fleet) -> None:
        self._run = run
        self._settings = settings
        self._fleet = fleet
        self._dispatcher = Dispatcher(
            Limits(
                queue_bound=settings.queue_bound,
                affinity_wait_s=settings.affinity_wait_s,
                unsupported_after_s=settings.unsupported_after_s,
                deaths_to_quarantine=settings.deaths_to_quarantine,
            )
        )
        self._inbox = Inbox(
            SERVICE,
            run.name,
            serving_endpoint(run.path, SERVICE, settings.listen),
            HEARTBEAT_S,
            ReplyCache(max_bytes=settings.reply_cache_bytes),
        )
        self._backend = Listener(serving_endpoint(run.path, WORKER_SERVICE, settings.listen_workers))
        self._telemetry = Telemetry(SERVICE, settings.metrics_port)
        self._job_ids = itertools.count()
        self._epoch = os.urandom(8)
        self._draining = False
        self._suspected: dict[str, bytes] = {}  # worker lost through silence -> its request in progress
        self._next_tick_s = self._next_heartbeat_s = self._next_status_s = self._next_metrics_s = 0.0
        self._served_before, self._served_at_s, self._per_s = 0, time.monotonic(), 0.0
        self._poller = zmq.Poller()
        self._poller.register(self._inbox.socket, zmq.POLLIN)
        self._poller.register(self._backend.socket, zmq.POLLIN)
        publish(run.path, SERVICE, self._inbox.endpoint)
        publish(run.path, WORKER_SERVICE, self._backend.endpoint)

    # ------------------------------------------------------------------------- the main loop

    def serve(self, stop: threading.Event) -> None:
        """Serve until `stop` is set, then finish accepted requests (for at most DRAIN_S) and return."""
        end_s: Optional[float] = None
        try:
            while end_s is None or (self._dispatcher.jobs and time.monotonic() < end_s):
                self._poller.poll(TURN_MS)
                now_s = time.monotonic()
                for request in self._inbox.requests():
                    self._on_request(request, now_s)
                for identity, frames in self._worker_messages():
                    try:
                        self._on_worker(identity, frames, now_s)
                    except Exception:  # a bad message of one worker must not affect the others
                        self._inbox.counters["malformed"] += 1
                        log.exception("sim failed on a worker's message")
                for job in self._dispatcher.unsupported(now_s):
                    self._fail(job, "unsupported", "no worker can serve this request; see `sim-server status`.")
                for worker, job in self._dispatcher.assign(now_s):
                    self._send_job(worker, job)
                self._tend_workers(now_s)
                self._report(now_s)
                if end_s is None and stop.is_set():
                    self._draining, end_s = True, now_s + DRAIN_S
        finally:
            self._close()

    # ------------------------------------------------------------------------- clients

    def _on_request(self, request: Request, now_s: float) -> None:
        message = request.message
        if isinstance(message, GetSimStatus):
            self._inbox.reply(request, self.status())
        elif isinstance(message, DrainWorker):
            self._inbox.reply(request, self._drain(message.worker_id))
        elif not isinstance(message, (RenderTask, Observe, Describe, Annotate)):
            kind = KIND_OF[type(message)]
            self._inbox.reply(
                request, Failure("unsupported", f"sim does not handle {kind} requests; send it to another service.")
            )
        elif self._draining:
            self._inbox.reply(request, Busy(1.0))
        else:
            self._submit(request, message, now_s)

    def _submit(self, request: Request, message: Union[RenderTask, Observe, Describe, Annotate], now_s: float) -> None:
        kind, header = request.frames[1], request.frames[3]
        scene = message.spec.scene if isinstance(message, RenderTask) else message.scene
        job = Job(
            job_id=self._epoch + next(self._job_ids).to_bytes(8, "big"),
            reply_to=request.key,
            content=hashlib.blake2b(bytes(kind) + bytes(header), digest_size=16).digest(),
            scene=scene_key(scene),
            needs=Needs(
                asset=scene.asset,
                sensors=frozenset(() if isinstance(message, Describe) else message.sensors),
                skill=_needed_skill(message) if isinstance(message, RenderTask) else "",
            ),
            payload=request.frames,
            arrived_s=now_s,
            urgent=isinstance(message, Observe),
        )
        admission = self._dispatcher.submit(job)
        if admission is Admission.BUSY:
            self._inbox.reply(request, Busy(self._dispatcher.retry_after_s))
        elif admission is Admission.POISON:
            self._inbox.reply(request, self._poison())
        else:
            self._inbox.accept(request)

    def _answer(self, job: Job, frames: Sequence[Any]) -> None:
        self._inbox.finish(job.reply_to, [*frames[:2], job.reply_to[1], *frames[3:]])

    def _fail(self, job: Job, code: str, message: str) -> None:
        self._answer(job, encode(b"", Failure(code, message)))

    def _poison(self) -> Failure:
        deaths = self._settings.deaths_to_quarantine
        return Failure("poison", f"this request ended {deaths} workers and is not retried; see their logs.")

    # ------------------------------------------------------------------------- workers

    def _worker_messages(self) -> Iterator[tuple[bytes, list[Blob]]]:
        for _ in range(MESSAGES_PER_TURN):
            frames = receive(self._backend.socket)
            if frames is None:
                return
            yield bytes(frames[0]), frames[1:]

    def _on_worker(self, key: bytes, frames: list[Blob], now_s: float) -> None:
        known = self._dispatcher.heard(key, now_s)
        kind = bytes(frames[1]) if len(frames) >= 4 else b""
        if kind in _WORKER_KINDS or not kind:
            self._on_worker_message(key, frames, known, now_s)
            return
        infeasible = False
        if kind == _FAILURE_KIND:
            with contextlib.suppress(VantageError):  # forward an invalid reply unchanged: the client reports the error
                infeasible = decode(frames).message.code == "infeasible"
        job = self._dispatcher.finish(key, bytes(frames[2]), now_s, infeasible)
        if job is not None:
            self._answer(job, frames)

    def _on_worker_message(self, key: bytes, frames: list[Blob], known: bool, now_s: float) -> None:
        try:
            message = decode(frames).message
            if isinstance(message, Ready):
                self._join(key, message, now_s)
            elif not known:
                raise VantageError("bad_request", "sim does not know this worker; send READY first", True)
            elif isinstance(message, Loading):
                if not 0 <= message.deadline_s <= MAX_LOADING_S:
                    raise VantageError(
                        "bad_request",
                        f"the deadline of a load must be 0..{MAX_LOADING_S:g} s, not {message.deadline_s:g}.",
                    )
                self._dispatcher.loading(key, message.deadline_s, now_s)
            elif isinstance(message, Drain):
                self._start_drain(key)
            elif isinstance(message, Goodbye):
                self._lose(key, "left", blame=False)
        except VantageError as error:
            send(self._backend.socket, [key, *encode(b"", failure_of(error))])

    def _join(self, key: bytes, ready: Ready, now_s: float) -> None:
        allowed = self._settings.allowed_backends
        if allowed and ready.backend not in allowed:
            raise VantageError(
                "bad_config",
                f"this run accepts only workers of {', '.join(allowed)}; change sim.allowed_backends to accept others.",
            )
        if not (1 <= ready.credit <= MAX_CREDIT and ready.warm_scenes >= 1):
            raise VantageError("bad_request", f"a worker needs credit 1..{MAX_CREDIT} and at least one warm scene.")
        self._fleet.trust(ready.worker_id)
        self._dispatcher.forgive(self._suspected.pop(ready.worker_id, b""))
        for other in list(self._dispatcher.workers.values()):
            if ready.worker_id == other.worker_id or key == other.key:  # it reconnected, or sent READY again
                self._lose(other.key, "joined again", blame=False)
        self._dispatcher.join(
            WorkerState(
                key=key,
                worker_id=ready.worker_id,
                backend=ready.backend,
                digest=ready.renderer_digest,
                credit=ready.credit,
                warm_limit=ready.warm_scenes,
                assets=frozenset(ready.assets),
                sensors=frozenset(ready.sensors),
                skills=frozenset(ready.skills),
                heard_s=now_s,
            )
        )
        welcome = Welcome(WORKER_SERVICE, PROTOCOL_MAJOR, PROTOCOL_MINOR, self._run.name, self._settings.heartbeat_s)
        self._send_to_worker(key, encode(b"", welcome))
        log.info("worker joined", extra={"worker_id": ready.worker_id, "renderer_digest": ready.renderer_digest})

    def _drain(self, worker_id: str) -> msgspec.Struct:
        for worker in self._dispatcher.workers.values():
            if worker.worker_id == worker_id:
                self._start_drain(worker.key)
                return Done()
        here = ", ".join(sorted(worker.worker_id for worker in self._dispatcher.workers.values())) or "none"
        return Failure("bad_request", f"there is no worker {worker_id!r}; joined workers: {here}.")

    def _start_drain(self, key: bytes) -> None:
        self._fleet.retire(self._dispatcher.workers[key].worker_id)
        self._dispatcher.drain(key)
        self._send_to_worker(key, encode(b"", Drain()))

    def _send_job(self, worker: WorkerState, job: Job) -> None:
        if worker.key not in self._dispatcher.workers:  # lost since the assignment: the job is back in the queue
            return
        if not send(self._backend.socket, [worker.key, *job.payload[:2], job.job_id, *job.payload[3:]]):
            self._lose(worker.key, "is gone", blame=next(iter(worker.in_flight)) != job.job_id)

    def _send_to_worker(self, key: bytes, frames: Sequence[Any]) -> None:
        if key in self._dispatcher.workers and not send(self._backend.socket, [key, *frames]):
            self._lose(key, "is gone")

    def _lose(self, key: bytes, how: str, blame: bool = True) -> None:
        worker = self._dispatcher.workers[key]
        level = logging.WARNING if blame else logging.INFO
        log.log(level, "worker %s %s", worker.worker_id, how, extra={"worker_id": worker.worker_id})
        for job in self._dispatcher.lose(key, blame):
            log.error("a request ended %d workers; it is not retried", job.deaths)
            self._answer(job, encode(b"", self._poison()))

    def _tend_workers(self, now_s: float) -> None:
        """Replace dead children, drops silent workers, sends heartbeats."""
        if now_s < self._next_tick_s:
            return
        self._next_tick_s = now_s + TURN_MS / 1000
        if not self._draining:
            for worker_id in self._fleet.tick(now_s):
                for worker in list(self._dispatcher.workers.values()):
                    if worker.worker_id == worker_id:
                        self._lose(worker.key, "died")
        for key in self._dispatcher.silent(self._settings.worker_silence_s, now_s):
            worker = self._dispatcher.workers[key]
            self._fleet.suspect(worker.worker_id, now_s)
            self._suspected[worker.worker_id] = next(iter(worker.in_flight), b"")
            if len(self._suspected) > MAX_SUSPECTS:  # drop the oldest of those that never came back
                del self._suspected[next(iter(self._suspected))]
            self._lose(key, f"was silent for {self._settings.worker_silence_s:g} s")
        if now_s >= self._next_heartbeat_s:
            self._next_heartbeat_s = now_s + self._settings.heartbeat_s
            for key in list(self._dispatcher.workers):
                self._send_to_worker(key, encode(b"", Heartbeat()))

    # ------------------------------------------------------------------------- status and metrics

    def status(self) -> SimStatus:
        dispatcher, counters = self._dispatcher, self._dispatcher.counters
        workers = tuple(
            WorkerStatus(
                worker_id=worker.worker_id,
                backend=worker.backend,
                renderer_digest=worker.digest,
                credit=worker.credit,
                in_flight=len(worker.in_flight),
                draining=worker.draining,
                served=worker.served,
                warm_scenes=tuple(worker.warm),
            )
            for worker in dispatcher.workers.values()
        )
        return SimStatus(
            workers,
            len(dispatcher.queue),
            counters.served,
            counters.infeasible,
            counters.redispatched,
            counters.quarantined,
        )

    def _report(self, now_s: float) -> None:
        if now_s < self._next_status_s:
            return
        self._next_status_s = now_s + self._settings.status_every_s
        counters = self._dispatcher.counters
        elapsed_s = now_s - self._served_at_s
        if elapsed_s > 0:
            self._per_s = (counters.served - self._served_before) / elapsed_s
        self._served_before, self._served_at_s = counters.served, now_s
        workers = self._dispatcher.workers.values()
        state = "draining" if self._draining else "serving" if workers else "waiting for workers"
        numbers = {
            "workers": len(workers),
            "queued": len(self._dispatcher.queue),
            "in_flight": sum(len(worker.in_flight) for worker in workers),
            "clients": self._inbox.counters["clients"],
            "served_per_s": round(self._per_s, 3),
            "served_total": counters.served,
            "infeasible_total": counters.infeasible,
            "busy_total": counters.busy,
            "redispatched_total": counters.redispatched,
            "quarantined_total": counters.quarantined,
            "duplicates_total": self._inbox.counters["duplicates"],
            "malformed_total": self._inbox.counters["malformed"],
        }
        names = sorted(worker.worker_id for worker in workers)
        self._run.write_status(SERVICE, {"state": state, **numbers, "worker_ids": names})
        self._telemetry.update(numbers)
        if now_s >= self._next_metrics_s:
            self._next_metrics_s = now_s + METRICS_EVERY_S
            self._run.append_metrics(SERVICE, numbers)

    def _close(self) -> None:
        self._run.write_status(SERVICE, {"state": "stopped", "served_total": self._dispatcher.counters.served})
        self._inbox.close()
        self._fleet.stop()
        self._backend.close()
        self._telemetry.close()


def _needed_skill(message: RenderTask) -> str:
    """The skill that a worker must support; any worker can ask a question given by the spec."""
    return "" if message.spec.proposal else message.spec.question.skill
