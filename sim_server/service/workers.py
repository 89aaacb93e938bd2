"""The workers' side of the broker: who joins, what their answers are worth, and who is lost or quarantined.

READY ─▶ join ─▶ jobs ─▶ answer ─▶ fits its request? ─▶ sampled? verified by a second worker ─▶ to the client
                                       └─ no ─▶ quarantine; the job goes to another worker
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import zmq

from protocol import PROTOCOL_MAJOR, PROTOCOL_MINOR
from protocol.errors import VantageError
from protocol.run.stall import Stalls
from protocol.tasks.check import shown
from protocol.wire.codec import Blob, Packet, decode, encode
from protocol.wire.endpoint import Endpoint
from protocol.wire.inbox import MESSAGES_PER_TURN
from protocol.wire.messages import (
    Drain,
    Failure,
    Goodbye,
    Heartbeat,
    Loading,
    Ready,
    RenderTask,
    Welcome,
    failure_of,
)
from protocol.wire.replies import check_ready, check_reply
from protocol.wire.sockets import Listener
from sim_server.service.dispatch import MAX_LOADING_S, Dispatcher
from sim_server.service.fleet import Fleet
from sim_server.service.jobs import Job, WorkerState
from sim_server.service.quarantine import FAULTS, Quarantine, expulsion
from sim_server.service.verify import Answer, Verdict, Verifier, judge, judge_without
from sim_server.settings import SimSettings

log = logging.getLogger(__name__)

WORKER_SERVICE = "sim-workers"  # name in the run directory for workers
TICK_S = 0.05
MAX_SUSPECTS = 1024
MAX_REFUSED = 3  # answers that did not fit a request, until it fails
MAX_ANSWERS = 3  # to one request that is verified
ANSWERS = "answers from a simulator worker"  # what a stall is about
ADVICE = "See `sim-server status` and logs/sim-*; a working one joins with `sim-server worker --join RUN`."
_VERDICTS = frozenset({"infeasible", "bad_request", "unsupported"})  # failures that are about the request


def worker_of(backend: str) -> str:
    """What a stall is about if requests name a backend that no worker has."""
    return f"worker of the backend {backend}"


class Workers:
    """The workers of one broker and the socket that they are connected to."""

    def __init__(
        self,
        run_name: str,
        settings: SimSettings,
        fleet: Fleet,
        dispatcher: Dispatcher,
        endpoint: Endpoint,
        answer: Callable[[Job, Sequence[Any]], None],
        forget: Callable[[Any], None],
    ) -> None:
        """`answer` sends frames to the client of a finished job; `forget` drops the stored reply of a `reply_to`."""
        self._run_name = run_name
        self._settings = settings
        self._fleet = fleet
        self._dispatcher = dispatcher
        self._answer = answer
        self._forget = forget
        self._listener = Listener(endpoint)
        self.endpoint = self._listener.endpoint
        self.quarantine = Quarantine()
        self.stalls = Stalls("sim")
        self.malformed = 0
        self.verified = 0
        self._verifier = Verifier(settings.verify_share)
        self._unverified: set[str] = set()  # renderer digests that the log has named as not verifiable
        self._lost: OrderedDict[bytes, WorkerState] = OrderedDict()  # connections of silent workers, which may recover
        self._suspected: OrderedDict[str, bytes] = OrderedDict()  # silent worker -> its request in progress
        self._next_tick_s = self._next_heartbeat_s = self._next_starved_s = 0.0

    @property
    def items(self) -> tuple[tuple[zmq.Socket, int], ...]:
        """The sockets to poll, each with its events."""
        return self._listener.items

    def close(self) -> None:
        self._listener.close()

    # ------------------------------------------------------------------------- messages

    def handle_messages(self, now_s: float) -> None:
        """Handle the messages that wait, at most MESSAGES_PER_TURN."""
        self._listener.tend()
        for identity, frames in self._messages():
            try:
                self._on_message(identity, frames, now_s)
            except Exception:  # a bad message of one worker must not affect the others
                self.malformed += 1
                log.exception("sim failed on a worker's message")

    def _messages(self) -> Iterator[tuple[bytes, list[Blob]]]:
        for _ in range(MESSAGES_PER_TURN):
            frames = self._listener.receive()
            if frames is None:
                return
            yield bytes(frames[0]), frames[1:]

    def _on_message(self, key: bytes, frames: list[Blob], now_s: float) -> None:
        joined = self._dispatcher.heard(key, now_s)
        worker = self._dispatcher.workers.get(key) or self._lost.get(key)
        try:
            packet = decode(frames)
        except VantageError as error:
            self.malformed += 1
            if worker is not None:
                self._expel(worker, f"it sent a message that cannot be decoded: {error.message}")
            else:
                self._send(key, failure_of(error))
            return
        message = packet.message
        try:
            if isinstance(message, Ready):
                self._join(key, message, now_s)
            elif worker is not None and not isinstance(message, (Heartbeat, Loading, Drain, Goodbye)):
                self._on_answer(worker, packet, frames, now_s)
            if isinstance(message, Ready):
                return
            if not joined:
                raise VantageError("bad_request", "sim does not know this worker; send READY first", True)
            if isinstance(message, Loading):
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
            self._send(key, failure_of(error))

    def _send(self, key: bytes, message: msgspec.Struct) -> bool:
        return self._listener.send(key, encode(b"", message))

    # ------------------------------------------------------------------------- joining and leaving

    def _join(self, key: bytes, ready: Ready, now_s: float) -> None:
        check_ready(ready)
        allowed = self._settings.allowed_backends
        if allowed and ready.backend not in allowed:
            raise VantageError(
                "bad_config",
                f"this run accepts only workers of {', '.join(allowed)}; change sim.allowed_backends to accept others.",
            )
        reason = self.quarantine.reason(ready.worker_id)
        if reason is not None:
            raise expulsion(reason)
        for other in list(self._dispatcher.workers.values()):
            if key != other.key and ready.worker_id == other.worker_id and self._send(other.key, Heartbeat()):
                raise VantageError("conflict", f"another worker {ready.worker_id} is connected; use another id.", True)
            if ready.worker_id == other.worker_id or key == other.key:  # it reconnected, or sent READY again
                self._lose(other.key, "joined again", blame=False)
        self._fleet.trust(ready.worker_id)
        self.stalls.progressed(worker_of(ready.backend))
        self._dispatcher.forgive(self._suspected.pop(ready.worker_id, b""))
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
        self._tell(
            key, Welcome(WORKER_SERVICE, PROTOCOL_MAJOR, PROTOCOL_MINOR, self._run_name, self._settings.heartbeat_s)
        )
        log.info("worker joined", extra={"worker_id": ready.worker_id, "renderer_digest": ready.renderer_digest})

    def drain(self, worker_id: str) -> bool:
        """Let a worker finish its requests and leave; False if no such worker has joined."""
        for worker in self._dispatcher.workers.values():
            if worker.worker_id == worker_id:
                self._start_drain(worker.key)
                return True
        return False

    def _start_drain(self, key: bytes) -> None:
        self._fleet.retire(self._dispatcher.workers[key].worker_id)
        self._dispatcher.drain(key)
        self._tell(key, Drain())

    def assign(self, now_s: float) -> None:
        """Send waiting requests to workers."""
        for worker, job in self._dispatcher.assign(now_s):
            if worker.key not in self._dispatcher.workers:  # lost since the assignment: the job is back in the queue
                continue
            if not self._listener.send(worker.key, [*job.payload[:2], job.job_id, *job.payload[3:]]):
                self._lose(worker.key, "is gone", blame=next(iter(worker.in_flight)) != job.job_id)

    def _tell(self, key: bytes, message: msgspec.Struct) -> None:
        if key in self._dispatcher.workers and not self._send(key, message):
            self._lose(key, "is gone")

    def _lose(self, key: bytes, how: str, blame: bool = True) -> None:
        worker = self._dispatcher.workers[key]
        level = logging.WARNING if blame else logging.INFO
        log.log(level, "worker %s %s", worker.worker_id, how, extra={"worker_id": worker.worker_id})
        if blame:
            self.stalls.failed(ANSWERS, f"worker {worker.worker_id} {how}", ADVICE)
        for job in self._dispatcher.lose(key, blame):
            failure = self.poison(job)
            log.error("%s", failure.message)
            self._verifier.release(job.job_id)
            self._answer(job, encode(b"", failure))

    def poison(self, job: Job) -> Failure:
        """The answer to a request that is not tried (again), because it or its scene ended workers."""
        deaths, scene = self._settings.deaths_to_quarantine, job.scene_name
        if scene in self._dispatcher.deadly:
            text = (
                f"scene {scene!r} ended {deaths} workers before any request about it was answered, and is refused from "
                "now on: see logs/sim-*, and correct its files or remove it from curriculum.world."
            )
        else:
            text = f"this request about scene {scene!r} ended {deaths} workers and is not retried: see logs/sim-*."
        return Failure("poison", text)

    def _expel(self, worker: WorkerState, reason: str) -> None:
        """Quarantine a worker: it gets no more requests, and none of its answers that are still here is used."""
        log.error("worker %s is quarantined: %s", worker.worker_id, reason, extra={"worker_id": worker.worker_id})
        self.quarantine.add(worker.worker_id, reason)
        self._send(worker.key, failure_of(expulsion(reason)))
        self._fleet.condemn(worker.worker_id)
        self._lost.pop(worker.key, None)
        for other in list(self._dispatcher.workers.values()):
            if other.worker_id == worker.worker_id:  # it may have connected again since
                self._lose(other.key, "is quarantined", blame=False)
        self.stalls.failed(ANSWERS, f"worker {worker.worker_id} is quarantined: {reason}", ADVICE)
        for reply_to in worker.replied:
            self._forget(reply_to)
        for job_id in self._verifier.discard(worker.worker_id):
            self._dispatcher.anew(self._dispatcher.jobs[job_id])

    # ------------------------------------------------------------------------- answers

    def _on_answer(self, worker: WorkerState, packet: Packet, frames: list[Blob], now_s: float) -> None:
        job = self._dispatcher.jobs.get(packet.request_id)
        if job is None:  # answered by another worker before
            self._dispatcher.release(worker.key, packet.request_id, now_s)
            return
        if worker.worker_id not in job.given:
            self._expel(worker, "it answered a request that it was not given.")
            return
        try:
            check_reply(job.message, packet, worker.digest)
        except VantageError as error:
            job.refused += 1
            self._expel(worker, error.message)
            if job.refused >= MAX_REFUSED and job.job_id in self._dispatcher.jobs:
                self._fail(
                    job,
                    f"{job.refused} workers gave answers that do not fit this request, the last one because "
                    f"{error.message}",
                )
            return
        self._dispatcher.release(worker.key, job.job_id, now_s)
        answer = Answer(worker, packet, frames)
        if isinstance(packet.message, Failure) and packet.message.code not in _VERDICTS:
            self._on_fault(job, answer, packet.message, now_s)
            return
        self.quarantine.worked(worker.worker_id)
        self.stalls.progressed(ANSWERS)
        if self._verifier.held(job.job_id) or self._is_sampled(job):
            self._verify(job, answer, now_s)
        else:
            self._deliver(job, answer, now_s)

    def _on_fault(self, job: Job, answer: Answer, failure: Failure, now_s: float) -> None:
        """A failure that may be the worker's own: it is reported to the client, but is no verdict on another answer."""
        if self._verifier.held(job.job_id):
            self._dispatcher.again(job, answer.worker)
            self._settle(job, now_s)
        else:
            self._deliver(job, answer, now_s)
        if self.quarantine.failed(answer.worker.worker_id):
            self._expel(
                answer.worker, f"{FAULTS} requests in a row failed, the last one with: {shown(failure.message)}."
            )

    def _deliver(self, job: Job, answer: Answer, now_s: float) -> None:
        infeasible = isinstance(answer.packet.message, Failure) and answer.packet.message.code == "infeasible"
        self._verifier.release(job.job_id)
        self._dispatcher.finish(answer.worker.key, job.job_id, now_s, infeasible)
        answer.worker.replied.append(job.reply_to)
        self._answer(job, answer.frames)

    def _fail(self, job: Job, message: str) -> None:
        log.error("a request failed: %s", message)
        self._verifier.release(job.job_id)
        self._dispatcher.drop(job)
        self._answer(job, encode(b"", Failure("bad_reply", message)))

    # ------------------------------------------------------------------------- verification

    def _is_sampled(self, job: Job) -> bool:
        return isinstance(job.message, RenderTask) and self._verifier.wants(job.message.spec.spec_id)

    def _verify(self, job: Job, answer: Answer, now_s: float) -> None:
        """Compare an answer with those of other workers; the job waits for one if there is none, or if they differ."""
        if job.needs.digest and job.needs.digest != answer.worker.digest:  # late, from another renderer
            self._dispatcher.requeue(job, answer.worker.key)
            return
        answers = self._verifier.hold(job.job_id, answer)
        verdict = judge(answers)
        self._dispatcher.again(job, answer.worker)
        if verdict is not None:
            self.verified += 1
            self._decide(job, verdict, now_s)
        else:
            self._settle(job, now_s)

    def _settle(self, job: Job, now_s: float) -> None:
        """Decide without another answer if no worker can give one."""
        answers = self._verifier.held(job.job_id)
        if len(answers) < MAX_ANSWERS and (job.worker is not None or self._dispatcher.placeable(job)):
            return
        digest = job.needs.digest
        if len(answers) == 1 and digest not in self._unverified:
            self._unverified.add(digest)
            log.info("sim.verify_share has no effect on %s: no second worker has this renderer digest", shown(digest))
        self._decide(job, judge_without(answers, self._fleet.worker_ids), now_s)

    def _decide(self, job: Job, verdict: Verdict, now_s: float) -> None:
        if verdict.answer is not None:
            self._deliver(job, verdict.answer, now_s)
        else:
            names = " and ".join(answer.worker.worker_id for answer in self._verifier.held(job.job_id))
            self._fail(
                job,
                f"the workers {names} have the same renderer but answer this request differently, and no other can "
                "decide; neither answer is used.",
            )
        for liar in verdict.liars:
            spec_id = shown(job.message.spec.spec_id)
            self._expel(liar, f"its answer to {spec_id} differs from that of another worker with the same renderer.")

    # ------------------------------------------------------------------------- silence, deadlines, heartbeats

    def tend(self, now_s: float, start_children: bool) -> None:
        """Replace dead children, drop silent and hanging workers, settle verifications, send heartbeats."""
        if now_s < self._next_tick_s:
            return
        self._next_tick_s = now_s + TICK_S
        if start_children:
            self._tend_children(now_s)
        for key in self._dispatcher.silent(self._settings.worker_silence_s, now_s):
            worker = self._dispatcher.workers[key]
            self._fleet.suspect(worker.worker_id, now_s)
            self._suspected[worker.worker_id] = next(iter(worker.in_flight), b"")
            self._lost[key] = worker
            for remembered in (self._suspected, self._lost):
                if len(remembered) > MAX_SUSPECTS:
                    remembered.popitem(last=False)
            self._lose(key, f"was silent for {self._settings.worker_silence_s:g} s")
        for key, allowed_s in self._dispatcher.overdue(now_s):
            self._on_hang(self._dispatcher.workers[key], f"took longer than {allowed_s:.0f} s for one request")
        for job_id in self._verifier.jobs:
            if job_id in self._dispatcher.jobs:  # not decided together with another one
                self._settle(self._dispatcher.jobs[job_id], now_s)
        self._note_starvation(now_s)
        if now_s >= self._next_heartbeat_s:
            self._next_heartbeat_s = now_s + self._settings.heartbeat_s
            for key in list(self._dispatcher.workers):
                self._tell(key, Heartbeat())

    def _tend_children(self, now_s: float) -> None:
        for worker_id in self._fleet.tick(now_s):
            known = [worker for worker in self._dispatcher.workers.values() if worker.worker_id == worker_id]
            for worker in known:
                self._lose(worker.key, "died")
            if not known and self.quarantine.reason(worker_id) is None:
                self.stalls.failed(ANSWERS, f"worker {worker_id} ended before it joined", ADVICE)

    def _on_hang(self, worker: WorkerState, how: str) -> None:
        self._lose(worker.key, how)
        if self.quarantine.hung(worker.worker_id):
            self._expel(worker, f"it {how}, again and again.")
        else:
            self._fleet.kill(worker.worker_id)
            self._send(worker.key, Failure("timeout", f"this worker {how} and must end.", False))

    def _note_starvation(self, now_s: float) -> None:
        """Count requests that wait although no worker is there as failed attempts."""
        if self._dispatcher.workers or not self._dispatcher.queue:
            self._next_starved_s = now_s + self._settings.unsupported_after_s
        elif now_s >= self._next_starved_s:
            self._next_starved_s = now_s + self._settings.unsupported_after_s
            waiting = len(self._dispatcher.queue)
            reasons = self.quarantine.reasons
            last = f"; the last worker, {reasons[-1][0]}, is quarantined: {reasons[-1][1]}" if reasons else ""
            self.stalls.failed(ANSWERS, f"{waiting} requests wait and no worker has joined{last}", ADVICE)
