"""Which worker does which request: a pure state machine without sockets, threads or a clock of its own.

Map
    Limits      bounds and patience
    Needs       what a request asks of a worker
    Job         one client request, from arrival to answer
    WorkerState      what is believed about one worker
    Dispatcher  submit -> assign -> finish, with `lose` for a worker that died

Every time is a monotonic clock's seconds, given by the caller. Peers are named by opaque bytes.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Optional

MAX_PASSES = 16  # younger requests may overtake one so often for the sake of a warm scene
LOOK_AHEAD = 64  # requests that a free worker chooses from
QUARANTINE_SIZE = 1024


@dataclass(frozen=True)
class Limits:
    queue_bound: int = 256
    affinity_wait_s: float = 0.25
    unsupported_after_s: float = 10.0
    deaths_to_quarantine: int = 3


@dataclass(frozen=True)
class Needs:
    """What a worker must offer; empty fields ask for nothing."""

    asset: str = ""
    sensors: frozenset[str] = frozenset()
    skill: str = ""


@dataclass
class Job:
    job_id: bytes  # the broker's own, never used twice
    reply_to: Any  # the caller's note of who gets the answer
    content: bytes  # digest of what is asked, the same under every request id
    scene: str  # key of the scene; "" for none
    needs: Needs
    payload: Any  # what the caller sends to the worker
    arrived_s: float
    urgent: bool = False  # someone waits for it, as a policy does that looks around; the others are asked for ahead
    deaths: int = 0
    passes: int = 0
    worker: Optional[bytes] = None  # None while it waits


@dataclass
class WorkerState:
    key: bytes
    worker_id: str
    backend: str
    digest: str
    credit: int
    warm_limit: int
    assets: frozenset[str]
    sensors: frozenset[str]
    skills: frozenset[str]
    heard_s: float
    loading_until_s: float = 0.0
    draining: bool = False
    served: int = 0
    in_flight: OrderedDict[bytes, None] = field(default_factory=OrderedDict)  # in the order a worker does them
    warm: OrderedDict[str, None] = field(default_factory=OrderedDict)  # mirrors the worker's own least-recent list

    @property
    def free(self) -> int:
        return 0 if self.draining else self.credit - len(self.in_flight)

    def touch(self, scene: str) -> None:
        if scene:
            self.warm[scene] = None
            self.warm.move_to_end(scene)
            while len(self.warm) > self.warm_limit:
                self.warm.popitem(last=False)


class Admission(enum.Enum):
    QUEUED = "queued"
    BUSY = "busy"
    POISON = "poison"


@dataclass
class Counters:
    served: int = 0
    infeasible: int = 0
    redispatched: int = 0
    quarantined: int = 0
    busy: int = 0


class Dispatcher:
    """Credit, affinity, a bounded queue, re-dispatch and quarantine."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.workers: dict[bytes, WorkerState] = {}
        self.queue: list[Job] = []  # urgent first, then oldest first; work of a dead worker returns to the front
        self.jobs: dict[bytes, Job] = {}  # by job id: waiting or in flight
        self.quarantine: OrderedDict[bytes, None] = OrderedDict()
        self.counters = Counters()
        self._service_s = 0.1  # running mean of the time between answers, for retry_after_s
        self._answered_s: Optional[float] = None

    # ------------------------------------------------------------------------- workers

    def join(self, worker: WorkerState) -> None:
        assert worker.key not in self.workers, "a worker joins once"
        self.workers[worker.key] = worker

    def heard(self, key: bytes, now_s: float) -> bool:
        """Any traffic counts as a sign of life. False for a worker that is not known (any more)."""
        worker = self.workers.get(key)
        if worker is not None:
            worker.heard_s = now_s
        return worker is not None

    def loading(self, key: bytes, deadline_s: float, now_s: float) -> None:
        """The worker may be silent for `deadline_s` seconds from now."""
        if key in self.workers:
            self.workers[key].loading_until_s = now_s + deadline_s

    def drain(self, key: bytes) -> None:
        """No new work for this worker; what it holds it finishes."""
        self.workers[key].draining = True

    def silent(self, patience_s: float, now_s: float) -> list[bytes]:
        """Workers not heard for longer than `patience_s` that did not announce a slow load."""
        return [
            worker.key
            for worker in self.workers.values()
            if now_s - worker.heard_s > patience_s and now_s > worker.loading_until_s
        ]

    def lose(self, key: bytes, blame: bool = True) -> list[Job]:
        """Forget a worker and put its work back at the front of the queue.

        With `blame` the request that it was computing, which is the first it held, gains a death. Requests that
        reached the limit of deaths are quarantined and returned, for the caller to answer.
        """
        worker = self.workers.pop(key)
        orphans = [
            self.jobs[job_id] for job_id in worker.in_flight if job_id in self.jobs and self.jobs[job_id].worker == key
        ]
        if blame and orphans and next(iter(worker.in_flight)) == orphans[0].job_id:
            orphans[0].deaths += 1
        poisoned = [job for job in orphans if job.deaths >= self.limits.deaths_to_quarantine]
        for job in poisoned:
            del self.jobs[job.job_id]
            self.quarantine[job.content] = None
            self.counters.quarantined += 1
            while len(self.quarantine) > QUARANTINE_SIZE:
                self.quarantine.popitem(last=False)
        survivors = [job for job in orphans if job not in poisoned]
        for job in survivors:
            job.worker = None
        self.queue[:0] = survivors
        self.counters.redispatched += len(survivors)
        return poisoned

    def forgive(self, job_id: bytes) -> None:
        """The worker that this request seemed to have ended came back: take one death off it."""
        if job_id in self.jobs:
            self.jobs[job_id].deaths -= 1

    # ------------------------------------------------------------------------- requests

    def submit(self, job: Job) -> Admission:
        if job.content in self.quarantine:
            return Admission.POISON
        if len(self.queue) >= self.limits.queue_bound:
            self.counters.busy += 1
            return Admission.BUSY
        self.jobs[job.job_id] = job
        first = next((at for at, other in enumerate(self.queue) if job.urgent and not other.urgent), len(self.queue))
        self.queue.insert(first, job)
        return Admission.QUEUED

    def assign(self, now_s: float) -> list[tuple[WorkerState, Job]]:
        """Hand out waiting requests against credit, the least loaded worker first."""
        pairs: list[tuple[WorkerState, Job]] = []
        handed = True
        while self.queue and handed:
            handed = False
            for worker in sorted(self.workers.values(), key=lambda w: len(w.in_flight)):
                job = self._choose(worker, now_s) if worker.free > 0 else None
                if job is not None:
                    self.queue.remove(job)
                    job.worker = worker.key
                    worker.in_flight[job.job_id] = None
                    worker.touch(job.scene)
                    pairs.append((worker, job))
                    handed = True
        return pairs

    def finish(self, key: bytes, job_id: bytes, now_s: float, infeasible: bool = False) -> Optional[Job]:
        """A worker answered. None where the answer was given before (by a worker that seemed dead, or in its stead).

        The first answer counts whoever gives it: the same spec has the same answer everywhere.
        """
        worker = self.workers.get(key)
        if worker is not None:
            worker.in_flight.pop(job_id, None)
            worker.loading_until_s = 0.0
            worker.served += 1
        job = self.jobs.pop(job_id, None)
        if job is None:
            return None
        if job.worker is None:
            self.queue.remove(job)
        self.counters.served += 1
        self.counters.infeasible += infeasible
        if self._answered_s is not None:
            self._service_s += 0.1 * (min(now_s - self._answered_s, 5.0) - self._service_s)
        self._answered_s = now_s
        return job

    def unsupported(self, now_s: float) -> list[Job]:
        """Takes out the requests that no worker could serve for long enough, for the caller to answer."""
        if not self.workers:
            return []
        hopeless = [
            job
            for job in self.queue
            if now_s - job.arrived_s > self.limits.unsupported_after_s
            and not any(self._can_serve(worker, job) for worker in self.workers.values())
        ]
        for job in hopeless:
            self.queue.remove(job)
            del self.jobs[job.job_id]
        return hopeless

    @property
    def retry_after_s(self) -> float:
        """When a client that heard BUSY should ask again: half of the time that the queue takes to empty."""
        return min(5.0, max(0.05, 0.5 * len(self.queue) * self._service_s))

    # ------------------------------------------------------------------------- choosing

    def _choose(self, worker: WorkerState, now_s: float) -> Optional[Job]:
        """The waiting request that this worker should do next, oldest first within a rank, or None.

        Ranks: one that is urgent or was overtaken too often; one whose scene is warm here; one whose scene is warm
        nowhere; and, for a worker with nothing else to do, one that waited long enough for another worker that has its
        scene warm.
        """
        best: Optional[tuple[int, Job]] = None
        cold: list[Job] = []  # what a warm one would overtake
        looked_at = 0
        for job in self.queue:
            if looked_at == LOOK_AHEAD:
                break
            if not self._can_serve(worker, job):
                continue
            looked_at += 1
            if job.urgent or job.passes >= MAX_PASSES:
                rank = 0
            elif job.scene in worker.warm:
                rank = 1
            elif not self._warm_elsewhere(worker, job):
                rank = 2
                cold.append(job)
            elif not worker.in_flight and now_s - job.arrived_s >= self.limits.affinity_wait_s:
                rank = 3
            else:
                continue
            if best is None or rank < best[0]:
                best = (rank, job)
                if rank <= 1:
                    break  # only one that was overtaken too often ranks higher, and those are the oldest
        if best is None:
            return None
        rank, chosen = best
        if rank == 1:
            for job in cold:
                job.passes += 1
        return chosen

    def _warm_elsewhere(self, worker: WorkerState, job: Job) -> bool:
        return any(
            other is not worker and not other.draining and job.scene in other.warm and self._can_serve(other, job)
            for other in self.workers.values()
        )

    def _can_serve(self, worker: WorkerState, job: Job) -> bool:
        needs = job.needs
        if needs.asset and needs.asset not in worker.assets:
            listed_by_one = any(needs.asset in other.assets for other in self.workers.values())
            if listed_by_one or worker.assets:
                return False
        return needs.sensors <= worker.sensors and (
            not needs.skill or not worker.skills or needs.skill in worker.skills
        )
