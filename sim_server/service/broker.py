"""The broker of the simulator service, between clients and workers. It runs no simulator itself.

Map
    Inbox (protocol/wire/inbox.py)   ROUTER for clients: HELLO, heartbeats, de-duplication, stored replies
    Dispatcher (dispatch.py)         assigns requests to workers: credit, warm scenes, bounds, re-dispatch, deadlines
    Fleet (fleet.py)                 worker processes started by this one; others may join from anywhere
    Workers (workers.py)             the socket of the workers: joining, the check of answers, quarantine
    Broker (here)                    the clients, the main loop, status and metrics

    client ──RENDER_TASK──▶ Inbox ─▶ Dispatcher.submit ─▶ .assign ──the same frames──▶ worker
    client ◀──EPISODE────── Inbox ◀─ check, sample verified ◀─────────the same frames──── worker

Frames of requests and replies are forwarded unchanged, except that the request id is replaced by the broker's job id
and back, so that clients cannot collide and late answers to an earlier broker are recognised. A reply is forwarded only
if it fits its request.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import logging
import os
import threading
import time
from collections.abc import Sequence
from typing import Any, Optional

import zmq

from protocol.errors import VantageError
from protocol.run.directory import RunDir
from protocol.run.telemetry import Telemetry
from protocol.tasks.check import shown
from protocol.wire.codec import encode
from protocol.wire.dedup import ReplyCache
from protocol.wire.endpoint import publish, serving_endpoint
from protocol.wire.inbox import PAUSE_S, Inbox, Request
from protocol.wire.messages import (
    KIND_OF,
    Annotate,
    Describe,
    Done,
    DrainWorker,
    Failure,
    GetSimStatus,
    Observe,
    QuarantinedWorker,
    RenderTask,
    SimStatus,
    WorkerStatus,
)
from protocol.wire.replies import SimRequest
from sim_server.service.dispatch import Dispatcher
from sim_server.service.fleet import Fleet
from sim_server.service.jobs import Job, Limits, Needs
from sim_server.service.scenes import scene_key
from sim_server.service.workers import WORKER_SERVICE, Workers, worker_of
from sim_server.settings import SimSettings

log = logging.getLogger(__name__)

SERVICE = "sim"  # name in the run directory for clients
TURN_MS = 50  # maximum time between iterations of the main loop
LONG_TURN_S = 1.0  # an iteration that takes longer was a pause of this process
METRICS_EVERY_S = 5.0
DRAIN_S = 10.0
DRAIN_RETRY_S = 1.0  # until a client asks the next broker
HEARTBEAT_S = 1.0  # of clients


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
                request_floor_s=settings.request_floor_s,
                request_timeout_s=settings.request_timeout_s,
            )
        )
        self._inbox = Inbox(
            SERVICE,
            run.name,
            serving_endpoint(run.path, SERVICE, settings.listen),
            HEARTBEAT_S,
            ReplyCache(max_bytes=settings.reply_cache_bytes),
            (RenderTask, Observe, Describe, Annotate),
            self._room,
        )
        self._workers = Workers(
            run.name,
            settings,
            fleet,
            self._dispatcher,
            serving_endpoint(run.path, WORKER_SERVICE, settings.listen_workers),
            self._answer,
            self._inbox.forget,
        )
        self._telemetry = Telemetry(SERVICE, settings.metrics_port)
        self._job_ids = itertools.count()
        self._epoch = os.urandom(8)
        self._draining = False
        self._next_status_s = self._next_metrics_s = 0.0
        self._trouble = ""  # why the status could not be written
        self._served_before, self._served_at_s, self._per_s = 0, time.monotonic(), 0.0
        publish(run.path, SERVICE, self._inbox.endpoint)
        publish(run.path, WORKER_SERVICE, self._workers.endpoint)

    # ------------------------------------------------------------------------- the main loop

    def serve(self, stop: threading.Event) -> None:
        """Serve until `stop` is set, then finish accepted requests (for at most DRAIN_S) and return."""
        end_s: Optional[float] = None
        before_s = time.monotonic()
        try:
            while end_s is None or (self._dispatcher.jobs and time.monotonic() < end_s):
                if self._inbox.flooded:  # leave the processor to the workers
                    zmq.zmq_poll(list(self._workers.items), int(1000 * PAUSE_S))
                else:
                    zmq.zmq_poll([*self._inbox.items, *self._workers.items], TURN_MS)
                now_s = time.monotonic()
                if now_s - before_s > LONG_TURN_S:
                    self._dispatcher.pause(now_s - before_s)
                before_s = now_s
                for request in self._inbox.requests():
                    self._on_request(request, now_s)
                self._workers.handle_messages(now_s)
                for job in self._dispatcher.unsupported(now_s):
                    self._unserved(job)
                self._workers.assign(now_s)
                self._workers.tend(now_s, start_children=not self._draining)
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
            self._inbox.reply(request, Done() if self._workers.drain(message.worker_id) else self._unknown(message))
        elif not isinstance(message, (RenderTask, Observe, Describe, Annotate)):
            kind = KIND_OF[type(message)]
            self._inbox.reply(
                request, Failure("unsupported", f"sim does not handle {kind} requests; send it to another service.")
            )
        else:
            self._submit(request, message, now_s)

    def _room(self, client: str) -> Optional[float]:
        """None if the client may have one more request, else the seconds until it may try again."""
        if self._draining:
            return DRAIN_RETRY_S
        if self._dispatcher.has_room(client):
            return None
        self._dispatcher.counters.busy += 1
        return self._dispatcher.retry_after_s

    def _unknown(self, message: DrainWorker) -> Failure:
        here = ", ".join(sorted(worker.worker_id for worker in self._dispatcher.workers.values())) or "none"
        return Failure("bad_request", f"there is no worker {shown(message.worker_id)}; joined workers: {here}.")

    def _submit(self, request: Request, message: SimRequest, now_s: float) -> None:
        kind, header = request.frames[1], request.frames[3]
        scene = message.spec.scene if isinstance(message, RenderTask) else message.scene
        job = Job(
            job_id=self._epoch + next(self._job_ids).to_bytes(8, "big"),
            reply_to=request.key,
            content=hashlib.blake2b(bytes(kind) + bytes(header), digest_size=16).digest(),
            scene=scene_key(scene),
            needs=Needs(
                backend=scene.backend,
                asset=scene.asset,
                sensors=frozenset(() if isinstance(message, Describe) else message.sensors),
                skill=_needed_skill(message) if isinstance(message, RenderTask) else "",
            ),
            payload=request.frames,
            arrived_s=now_s,
            urgent=isinstance(message, Observe),
            client=request.client,
            kind=_cost_kind(message),
            megapixels=_megapixels(message),
            message=message,
        )
        if self._dispatcher.submit(job):
            self._inbox.accept(request)
        else:
            self._inbox.reply(request, self._workers.poison(job))

    def _answer(self, job: Job, frames: Sequence[Any]) -> None:
        self._inbox.finish(job.reply_to, [*frames[:2], job.reply_to[1], *frames[3:]])

    def _unserved(self, job: Job) -> None:
        """Answer a job that no worker can serve. One whose backend is missing can be sent again once it has joined."""
        backend = job.needs.backend
        missing = bool(backend) and not self._dispatcher.has_backend(backend)
        text = "no worker can serve this request; see `sim-server status`."
        if missing:
            start = f"sim-server worker --join {self._run.path} --backend {backend}"
            text = f"no {worker_of(backend)} has joined; start one with `{start}`."
            self._workers.stalls.failed(worker_of(backend), "", f"Start one with `{start}`.")
        self._answer(job, encode(b"", Failure("unsupported", text, retryable=missing)))

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
            tuple(QuarantinedWorker(*item) for item in self._workers.quarantine.reasons),
            tuple(stall.sentence for stall in self._workers.stalls.current),
            self._workers.verified,
        )

    def _report(self, now_s: float) -> None:
        if now_s < self._next_status_s:
            return
        self._next_status_s = now_s + self._settings.status_every_s
        try:
            self._write_report(now_s)
            self._trouble = ""
        except (OSError, VantageError) as error:  # a full disk, no free descriptor: the service does not need the files
            if not self._trouble:
                log.warning("the status cannot be written and is retried: %s", error)
            self._trouble = str(error)

    def _write_report(self, now_s: float) -> None:
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
            "quarantined_workers": len(self._workers.quarantine),
            "verified_total": self._workers.verified,
            "duplicates_total": self._inbox.counters["duplicates"],
            "malformed_total": self._inbox.counters["malformed"] + self._workers.malformed,
        }
        stalls = self._workers.stalls.reports()
        names = sorted(worker.worker_id for worker in workers)
        self._run.write_status(SERVICE, {"state": state, **numbers, "worker_ids": names, "stalls": stalls})
        self._telemetry.update(numbers, stalls)
        if now_s >= self._next_metrics_s:
            self._next_metrics_s = now_s + METRICS_EVERY_S
            self._run.append_metrics(SERVICE, numbers)

    def _close(self) -> None:
        with contextlib.suppress(OSError, VantageError):
            self._run.write_status(SERVICE, {"state": "stopped", "served_total": self._dispatcher.counters.served})
        self._inbox.close()
        self._fleet.stop()
        self._workers.close()
        self._telemetry.close()


def _needed_skill(message: RenderTask) -> str:
    """The skill that a worker must support; any worker can ask a question given by the spec."""
    return "" if message.spec.proposal else message.spec.question.skill


def _cost_kind(message: SimRequest) -> str:
    """Requests of one kind cost about the same per pixel."""
    kind = KIND_OF[type(message)]
    if isinstance(message, RenderTask):
        kind += " proposal" if message.spec.proposal is not None else ""
        kind += " examine" if message.examine else ""
        return kind + (" degraded" if message.spec.degradations else "")
    return kind + (" degraded" if isinstance(message, Observe) and message.degradations else "")


def _megapixels(message: SimRequest) -> float:
    if isinstance(message, Describe):
        return 0.0
    camera = message.spec.camera if isinstance(message, RenderTask) else message.camera
    views = message.spec.max_views if isinstance(message, RenderTask) else getattr(message, "views", 1)
    return max(1, views) * camera.width_px * camera.height_px / 1e6
