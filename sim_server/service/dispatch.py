"""Assigns requests to workers: a pure state machine without sockets, threads or clock.

    submit ─▶ assign ─▶ finish; `again` for a second answer, `lose` for a worker that is gone

Clients are served in turn, so that one with many requests does not delay the others. Within the requests of a client
urgent ones come first, then those whose scene a worker has open.

Times are seconds of a monotonic clock, passed by the caller. Peers are identified by opaque bytes.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from typing import Optional

from protocol.wire.fair import admits
from sim_server.service.costs import Costs
from sim_server.service.deadly import DeadlyScenes
from sim_server.service.jobs import Counters, Job, Limits, WorkerState

MAX_PASSES = 16  # how often younger requests with a warm scene may overtake a request
LOOK_AHEAD = 64  # how many requests a free worker chooses from
QUARANTINE_SIZE = 1024
_LONGEST_LOOK_S = 0.5  # between two looks for jobs that no worker can serve
MAX_LOADING_S = 3600.0  # of one request together


class Dispatcher:
    """Credit, affinity, a bounded queue, re-dispatch and quarantine."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.workers: dict[bytes, WorkerState] = {}
        self.queue: list[Job] = []  # urgent first, then oldest first; jobs of a dead worker return to the front
        self.jobs: dict[bytes, Job] = {}  # by job id: waiting or in flight
        self.quarantine: OrderedDict[bytes, None] = OrderedDict()
        self.deadly = DeadlyScenes()
        self.counters = Counters()
        self.costs = Costs(limits.request_floor_s, limits.request_timeout_s)
        self._turns: dict[str, int] = {}  # client -> requests assigned since it was last without any
        self._held: dict[str, int] = {}  # client -> its unanswered requests
        self._next_look_s = 0.0
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
        """Allow the worker to be silent for `deadline_s` seconds from now, but not for much longer than loads take.

        0 ends the load.
        """
        worker = self.workers[key]
        loaded_s = worker.loading_s(now_s)
        if worker.loading_from_s is not None:
            self.costs.loaded(worker.digest, now_s - worker.loading_from_s)
        worker.loaded_s, worker.loading_from_s, worker.loading_until_s = loaded_s, None, 0.0
        if deadline_s > 0:
            allowed_s = min(self.costs.load_deadline_s(worker.digest, deadline_s), MAX_LOADING_S - loaded_s)
            worker.loading_from_s, worker.loading_until_s = now_s, now_s + max(0.0, allowed_s)

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

    def overdue(self, now_s: float) -> list[tuple[bytes, float]]:
        """Workers whose request in progress takes far longer than such requests do, and the time it was allowed.

        A load that was announced does not count.
        """
        late = []
        for worker in self.workers.values():
            head = self.jobs.get(next(iter(worker.in_flight), b""))
            if head is None:
                continue
            allowed_s = self.costs.deadline_s(worker.digest, head.kind, head.megapixels)
            if now_s - worker.head_since_s - worker.loading_s(now_s) > allowed_s:
                late.append((worker.key, allowed_s))
        return late

    def pause(self, seconds: float) -> None:
        """Report that this process did not run for this time, which must not count against the workers."""
        for worker in self.workers.values():
            worker.heard_s += seconds
            worker.head_since_s += seconds
            worker.loading_until_s += seconds
            if worker.loading_from_s is not None:
                worker.loading_from_s += seconds

    def lose(self, key: bytes, blame: bool = True) -> list[Job]:
        """Remove a worker and return its jobs to the front of the queue.

        With `blame`, the job in progress (the first that it held) is charged with a death. Jobs that reach the limit of
        deaths are quarantined and returned, for the caller to answer, with all others about a scene that is now deadly.
        """
        worker = self.workers.pop(key)
        orphans = [
            self.jobs[job_id] for job_id in worker.in_flight if job_id in self.jobs and self.jobs[job_id].worker == key
        ]
        if blame and orphans and next(iter(worker.in_flight)) == orphans[0].job_id:
            orphans[0].deaths += 1
        poisoned = [job for job in orphans if job.deaths >= self.limits.deaths_to_quarantine]
        for job in poisoned:
            self._forget(job)
            self.deadly.quarantined(job.scene_name)
            self.quarantine[job.content] = None
            self.counters.quarantined += 1
            while len(self.quarantine) > QUARANTINE_SIZE:
                self.quarantine.popitem(last=False)
        survivors = [job for job in orphans if job not in poisoned]
        for job in survivors:
            job.worker = None
            job.servable_s = math.inf  # until now
        self.queue[:0] = survivors
        self.counters.redispatched += len(survivors)
        return poisoned + self._about_deadly_scenes()

    def _about_deadly_scenes(self) -> list[Job]:
        """Remove and return the waiting jobs about deadly scenes."""
        doomed = [job for job in self.queue if job.scene_name in self.deadly]
        for job in doomed:
            self.queue.remove(job)
            self._forget(job)
        return doomed

    def forgive(self, job_id: bytes) -> None:
        """Remove one death from a job whose worker turned out to be alive."""
        if job_id in self.jobs:
            self.jobs[job_id].deaths -= 1

    # ------------------------------------------------------------------------- requests

    def has_room(self, client: str) -> bool:
        """Whether the client may have one more request; above the bound of the queue only less than its share."""
        mine = self._held.get(client, 0)
        return admits(mine, len(self.queue), len(self._held) + (mine == 0), self.limits.queue_bound)

    def submit(self, job: Job) -> bool:
        """Queue a request; False if requests of this content, or its scene, ended too many workers."""
        if job.content in self.quarantine or job.scene_name in self.deadly:
            return False
        others = [turns for client, turns in self._turns.items() if client != job.client]
        self.jobs[job.job_id] = job
        self._held[job.client] = self._held.get(job.client, 0) + 1
        self._turns.setdefault(job.client, min(others, default=0))
        first = next((at for at, other in enumerate(self.queue) if job.urgent and not other.urgent), len(self.queue))
        self.queue.insert(first, job)
        return True

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
                    job.given.add(worker.worker_id)
                    self._turns[job.client] += 1
                    if not worker.in_flight:
                        worker.next_head(now_s)
                    worker.in_flight[job.job_id] = None
                    worker.touch(job.scene)
                    pairs.append((worker, job))
                    handed = True
        return pairs

    def release(self, key: bytes, job_id: bytes, now_s: float) -> None:
        """Record that a worker has answered this job, and what it cost."""
        worker = self.workers.get(key)
        if worker is None or job_id not in worker.in_flight:
            return
        job = self.jobs.get(job_id)
        if job is not None:
            self.deadly.answered(job.scene_name)
        if next(iter(worker.in_flight)) == job_id:
            if job is not None:
                spent_s = now_s - worker.head_since_s - worker.loading_s(now_s)
                self.costs.took(worker.digest, job.kind, job.megapixels, spent_s)
            worker.next_head(now_s)
        del worker.in_flight[job_id]
        worker.served += 1

    def again(self, job: Job, worker: WorkerState) -> None:
        """Queue a job that this worker has answered for another worker with the same renderer."""
        job.answered.add(worker.worker_id)
        job.needs = replace(job.needs, digest=job.needs.digest or worker.digest)
        self.requeue(job, worker.key)

    def requeue(self, job: Job, key: bytes) -> None:
        """Queue a job again if this worker has it; otherwise it waits or is in progress already."""
        if job.worker == key:
            job.worker = None
            self.queue.insert(0, job)

    def anew(self, job: Job) -> None:
        """Let any worker that has not answered the job do it: the answers so far are not used."""
        job.needs = replace(job.needs, digest="")

    def placeable(self, job: Job) -> bool:
        """Whether a worker that takes requests can serve the job."""
        return any(not worker.draining and self._can_serve(worker, job) for worker in self.workers.values())

    def finish(self, key: bytes, job_id: bytes, now_s: float, infeasible: bool = False) -> Optional[Job]:
        """Record the answer to a job and return it; None if it was answered before.

        A job may have two workers if one seemed dead. The first answer counts, since every worker gives the same one.
        """
        self.release(key, job_id, now_s)
        job = self.jobs.get(job_id)
        if job is None:
            return None
        self.drop(job)
        self.counters.served += 1
        self.counters.infeasible += infeasible
        if self._answered_s is not None:
            self._service_s += 0.1 * (min(now_s - self._answered_s, 5.0) - self._service_s)
        self._answered_s = now_s
        return job

    def drop(self, job: Job) -> None:
        """Remove a job that the caller answers."""
        if job.worker is None:
            self.queue.remove(job)
        self._forget(job)

    def _forget(self, job: Job) -> None:
        del self.jobs[job.job_id]
        self._held[job.client] -= 1
        if not self._held[job.client]:
            del self._held[job.client], self._turns[job.client]

    def unsupported(self, now_s: float) -> list[Job]:
        """Remove and return jobs that no worker could serve for too long, for the caller to answer.

        Jobs wait if there is no worker at all, and from the moment at which the last one that could serve them left.
        """
        after_s = self.limits.unsupported_after_s
        if not self.workers or now_s < self._next_look_s:
            return []
        self._next_look_s = now_s + min(after_s / 8, _LONGEST_LOOK_S)
        hopeless = []
        for job in self.queue:
            if any(self._can_serve(worker, job) for worker in self.workers.values()):
                job.servable_s = now_s
                continue
            job.servable_s = min(job.servable_s, now_s)
            if now_s - job.servable_s > after_s and not job.answered:
                hopeless.append(job)
        for job in hopeless:
            self.drop(job)
        return hopeless

    def has_backend(self, backend: str) -> bool:
        return any(worker.backend == backend for worker in self.workers.values())

    @property
    def retry_after_s(self) -> float:
        """How long a client that received BUSY should wait: half of the time that the queue takes to empty."""
        return min(5.0, max(0.05, 0.5 * len(self.queue) * self._service_s))

    # ------------------------------------------------------------------------- choosing

    def _choose(self, worker: WorkerState, now_s: float) -> Optional[Job]:
        """The next job for this worker, of the client that has had the fewest turns, or None."""
        clients = {job.client for job in self.queue}
        if len(clients) == 1:
            return self._choose_among(self.queue, worker, now_s)
        for client in sorted(clients, key=lambda client: self._turns[client]):
            job = self._choose_among([job for job in self.queue if job.client == client], worker, now_s)
            if job is not None:
                return job
        return None

    def _choose_among(self, queue: Sequence[Job], worker: WorkerState, now_s: float) -> Optional[Job]:
        """The next job for this worker, oldest first within a rank, or None.

        Ranks: urgent, or overtaken too often; scene warm at this worker; scene warm nowhere; and, for an idle worker,
        jobs that have waited long enough for another worker that has their scene warm.
        """
        best: Optional[tuple[int, Job]] = None
        cold: list[Job] = []  # jobs that a warm one would overtake
        looked_at = 0
        for job in queue:
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
        if worker.worker_id in job.answered or (needs.digest and needs.digest != worker.digest):
            return False
        if needs.backend and needs.backend != worker.backend:
            return False
        if needs.asset and needs.asset not in worker.assets:
            listed_by_one = any(
                needs.asset in other.assets and needs.backend in ("", other.backend) for other in self.workers.values()
            )
            if listed_by_one or worker.assets:
                return False
        return needs.sensors <= worker.sensors and (
            not needs.skill or not worker.skills or needs.skill in worker.skills
        )
