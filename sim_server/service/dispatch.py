"""Assigns requests to workers: a pure state machine without sockets, threads or clock.

Map
    Limits       bounds and timeouts
    Needs        requirements of a request on its worker
    Job          one client request, from arrival to answer
    WorkerState  the known state of one worker
    Dispatcher   submit -> assign -> finish, and `lose` for a worker that died

Times are seconds of a monotonic clock, passed by the caller. Peers are identified by opaque bytes.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Optional

MAX_PASSES = 16  # how often younger requests with a warm scene may overtake a request
LOOK_AHEAD = 64  # how many requests a free worker chooses from
QUARANTINE_SIZE = 1024


@dataclass(frozen=True)
class Limits:
    queue_bound: int = 256
    affinity_wait_s: float = 0.25
    unsupported_after_s: float = 10.0
    deaths_to_quarantine: int = 3


@dataclass(frozen=True)
class Needs:
    """Requirements on a worker; empty fields require nothing."""

    asset: str = ""
    sensors: frozenset[str] = frozenset()
    skill: str = ""


@dataclass
class Job:
    job_id: bytes  # assigned by the broker, never reused
    reply_to: Any  # opaque to the dispatcher: identifies the receiver of the answer
    content: bytes  # digest of the request's content, independent of its request id
    scene: str  # key of the scene; "" for none
    needs: Needs
    payload: Any  # opaque to the dispatcher: frames for the worker
    arrived_s: float
    urgent: bool = False  # someone waits for the answer, such as a policy that looks around; others are prefetched
    deaths: int = 0
    passes: int = 0
    worker: Optional[bytes] = None  # None while waiting


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
    in_flight: OrderedDict[bytes, None] = field(
        default_factory=OrderedDict
    )  # in the order in which the worker processes them
    warm: OrderedDict[str, None] = field(default_factory=OrderedDict)  # mirrors the worker's least-recently-used list

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
        self.queue: list[Job] = []  # urgent first, then oldest first; jobs of a dead worker return to the front
        self.jobs: dict[bytes, Job] = {}  # by job id: waiting or in flight
        self.quarantine: OrderedDict[bytes, None] = OrderedDict()
        self.counters = Counters()
        self._service_s = 0.1  # running mean of the time between answers, for retry_after_s
        self._answered_s: Optional[float] = None

    # ------------------------------------------------------------------------- workers

    def join(self, worker: WorkerState) -> None:
        assert worker.key not in self.workers, "a worker joins only once"
        self.workers[worker.key] = worker

    def heard(self, key: bytes, now_s: float) -> bool:
        """Record a sign of life; any traffic counts. False for an unknown worker."""
        worker = self.workers.get(key)
        if worker is not None:
            worker.heard_s = now_s
        return worker is not None

    def loading(self, key: bytes, deadline_s: float, now_s: float) -> None:
        """Allow the worker to be silent for `deadline_s` seconds from now."""
        if key in self.workers:
            self.workers[key].loading_until_s = now_s + deadline_s

    def drain(self, key: bytes) -> None:
        """Assign no new jobs to this worker; it finishes those that it has."""
        self.workers[key].draining = True

    def silent(self, patience_s: float, now_s: float) -> list[bytes]:
        """Workers that were silent for longer than `patience_s` and did not announce a slow load."""
        return [
            worker.key
            for worker in self.workers.values()
            if now_s - worker.heard_s > patience_s and now_s > worker.loading_until_s
        ]

    def lose(self, key: bytes, blame: bool = True) -> list[Job]:
        """Remove a worker and return its jobs to the front of the queue.

        With `blame`, the job in progress (the first that it held) is charged with a death. Jobs that reach the limit of
        deaths are quarantined and returned, for the caller to answer.
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
        """Remove one death from a job whose worker turned out to be alive."""
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
        """Assign waiting jobs to workers with credit, the least loaded worker first."""
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
        """Record a worker's answer and return its job; None if the job was answered before.

        A job may have two workers if one seemed dead. The first answer counts, since every worker gives the same one.
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
        """Remove and return jobs that no worker could serve for too long, for the caller to answer."""
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
        """How long a client that received BUSY should wait: half of the time that the queue takes to empty."""
        return min(5.0, max(0.05, 0.5 * len(self.queue) * self._service_s))

    # ------------------------------------------------------------------------- choosing

    def _choose(self, worker: WorkerState, now_s: float) -> Optional[Job]:
        """The next job for this worker, oldest first within a rank, or None.

        Ranks: urgent, or overtaken too often; scene warm at this worker; scene warm nowhere; and, for an idle worker,
        jobs that have waited long enough for another worker that has their scene warm.
        """
        best: Optional[tuple[int, Job]] = None
        cold: list[Job] = []  # jobs that a warm one would overtake
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
                    break  # only jobs that were overtaken too often rank higher, and those are the oldest
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
