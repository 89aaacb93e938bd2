"""What the dispatcher knows about requests and workers.

    Limits       bounds and timeouts
    Needs        requirements of a request on its worker
    Job          one client request, from arrival to answer
    WorkerState  the known state of one worker

Times are seconds of a monotonic clock.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Any, Optional


@dataclass(frozen=True)
class Limits:
    queue_bound: int = 256
    affinity_wait_s: float = 0.25
    unsupported_after_s: float = 10.0
    deaths_to_quarantine: int = 3
    request_floor_s: float = 30.0
    request_timeout_s: float = 300.0


@dataclass(frozen=True)
class Needs:
    """Requirements on a worker; empty fields require nothing."""

    backend: str = ""
    asset: str = ""
    sensors: frozenset[str] = frozenset()
    skill: str = ""
    digest: str = ""  # renderer digest, of a request that another worker has answered


@dataclass
class Job:
    job_id: bytes  # assigned by the broker, never reused
    reply_to: Any  # opaque to the dispatcher: identifies the receiver of the answer
    content: bytes  # digest of the request's content, independent of its request id
    scene: str  # key of the scene; "" for none
    needs: Needs
    payload: Any  # opaque to the dispatcher: frames for the worker
    arrived_s: float
    servable_s: float = 0.0  # last time at which a worker could serve it, or its arrival
    client: str = ""
    kind: str = ""  # requests of one kind cost about the same per pixel
    megapixels: float = 0.0
    message: Any = None  # opaque to the dispatcher: the decoded request
    given: set[str] = field(default_factory=set)  # ids of workers that received it
    answered: set[str] = field(default_factory=set)  # ids of workers that must not receive it again
    refused: int = 0  # answers that did not fit it
    urgent: bool = False  # someone waits for the answer, such as a policy that looks around; others are prefetched
    deaths: int = 0
    passes: int = 0
    worker: Optional[bytes] = None  # None while waiting

    def __post_init__(self) -> None:
        self.servable_s = max(self.servable_s, self.arrived_s)

    @property
    def scene_name(self) -> str:
        """The scene's name in a dataset, else its key."""
        return self.needs.asset or self.scene


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
    loading_from_s: Optional[float] = None  # begin of the load in progress
    loading_until_s: float = 0.0
    loaded_s: float = 0.0  # time that the request in progress has spent on loads
    head_since_s: float = 0.0  # when the request in progress began
    draining: bool = False
    served: int = 0
    in_flight: OrderedDict[bytes, None] = field(
        default_factory=OrderedDict
    )  # in the order in which the worker processes them
    replied: deque[Any] = field(default_factory=lambda: deque(maxlen=256))  # `reply_to` of its last answers
    warm: OrderedDict[str, None] = field(default_factory=OrderedDict)  # mirrors the worker's least-recently-used list

    @property
    def free(self) -> int:
        return 0 if self.draining else self.credit - len(self.in_flight)

    def loading_s(self, now_s: float) -> float:
        """Time that the request in progress was allowed to spend on loads."""
        if self.loading_from_s is None:
            return self.loaded_s
        return self.loaded_s + min(now_s, self.loading_until_s) - self.loading_from_s

    def next_head(self, now_s: float) -> None:
        """The worker begins its next request."""
        self.head_since_s = now_s
        self.loading_from_s, self.loading_until_s, self.loaded_s = None, 0.0, 0.0

    def touch(self, scene: str) -> None:
        if scene:
            self.warm[scene] = None
            self.warm.move_to_end(scene)
            while len(self.warm) > self.warm_limit:
                self.warm.popitem(last=False)


@dataclass
class Counters:
    served: int = 0
    infeasible: int = 0
    redispatched: int = 0
    quarantined: int = 0
    busy: int = 0
