"""Every message of the wire as a typed struct, with its kind.

A kind is the short ASCII name in the second frame. Fields are only ever appended, with defaults. NumPy arrays are
separate frames after the header (`protocol.wire.arrays.ArrayRef`).
"""

from __future__ import annotations

import msgspec

from protocol.errors import VantageError
from protocol.tasks.scene import Camera, Pose, SceneDescription, SceneSpec
from protocol.tasks.task import AnnotatedView, Degradation, Episode, TaskSpec, View
from protocol.wire.proposals import (
    AddProposals,
    CellStatus,
    GetProposalRequest,
    KindStatus,
    ProposalRequest,
    ProposalsKept,
)

# ----------------------------------------------------------------------------- every service


class Hello(msgspec.Struct, frozen=True):
    """First message of a client. Answered by Welcome, or by Failure(code="version")."""

    client: str
    protocol_major: int
    protocol_minor: int


class Welcome(msgspec.Struct, frozen=True):
    service: str
    protocol_major: int
    protocol_minor: int
    run: str
    heartbeat_s: float = 1.0


class Heartbeat(msgspec.Struct, frozen=True):
    """Sent if no other message was; a service answers the heartbeat of a client with its own."""


class Busy(msgspec.Struct, frozen=True):
    """The queue is full: send the request again, with the same id, after this time."""

    retry_after_s: float


class Failure(msgspec.Struct, frozen=True):
    """A typed error: a code of protocol.errors, a sentence that says what to do, and whether retrying can help."""

    code: str
    message: str
    retryable: bool = False


def failure_of(error: VantageError) -> Failure:
    return Failure(error.code, error.message, error.retryable)


# ----------------------------------------------------------------------------- simulator


MOST_QUESTIONS = 64  # of one RenderTask


class RenderTask(msgspec.Struct, frozen=True):
    """Realise a spec. Answered by Episode or Failure(code="infeasible").

    With `examine` the spec carries a proposal that is new: the simulator also tests whether its answer can be guessed
    without looking, and answers Rejected with every reason if it fails a test (docs/reference/language.md).

    `questions` is an upper bound of the questions about the views: that of the spec, and `Episode.others`. The question
    of the spec does not depend on it, and a smaller bound gives the first of the others.
    """

    spec: TaskSpec
    sensors: tuple[str, ...] = ("rgb",)  # of "rgb", "depth", "ids"
    image_codec: str = "raw"
    examine: bool = False
    questions: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.questions <= MOST_QUESTIONS:
            raise ValueError(f"a task has 1 to {MOST_QUESTIONS} questions, not {self.questions}")


class Observe(msgspec.Struct, frozen=True):
    """One more view of a scene: a free pose in navigable space, or an action from a pose.

    With `degradations` the image is degraded like view `index` (from 0) of the episode of (run_seed, seq).
    """

    scene: SceneSpec
    camera: Camera
    pose: Pose
    action: str = ""  # "" or one of protocol.tasks.task.ACTIONS
    sensors: tuple[str, ...] = ("rgb",)
    image_codec: str = "raw"
    degradations: tuple[Degradation, ...] = ()
    run_seed: int = 0
    seq: int = 0
    index: int = 0


class Observation(msgspec.Struct, frozen=True):
    view: View
    collided: bool = False
    renderer_digest: str = ""


class Describe(msgspec.Struct, frozen=True):
    scene: SceneSpec


class Description(msgspec.Struct, frozen=True):
    scene: SceneDescription
    renderer_digest: str


class Annotate(msgspec.Struct, frozen=True):
    """Views of one scene with dense truth and questions of these skills, for pre-training.

    `skills` are (skill, level, weight); each view has up to `questions_per_view` questions.
    """

    scene: SceneSpec
    camera: Camera
    views: int
    questions_per_view: int
    skills: tuple[tuple[str, int, float], ...]
    run_seed: int = 0
    seq: int = 0
    sensors: tuple[str, ...] = ("rgb", "depth", "ids")


class Annotated(msgspec.Struct, frozen=True):
    views: tuple[AnnotatedView, ...]
    renderer_digest: str


class Rejection(msgspec.Struct, frozen=True):
    """One reason why a proposal is rejected. `code` is one of those in docs/reference/language.md.

    `at` is the position (characters, from 0) of the fault in the proposal's field `part` ("program", "text"), or -1.
    """

    code: str
    message: str
    part: str = ""
    at: int = -1


class Rejected(msgspec.Struct, frozen=True):
    """Every reason against a proposal."""

    spec_id: str
    rejections: tuple[Rejection, ...]


class GetSimStatus(msgspec.Struct, frozen=True):
    pass


class WorkerStatus(msgspec.Struct, frozen=True):
    worker_id: str
    backend: str
    renderer_digest: str
    credit: int
    in_flight: int
    draining: bool
    served: int
    warm_scenes: tuple[str, ...] = ()


class QuarantinedWorker(msgspec.Struct, frozen=True):
    """A worker that the broker does not use any more, and one sentence about why."""

    worker_id: str
    reason: str


class SimStatus(msgspec.Struct, frozen=True):
    workers: tuple[WorkerStatus, ...]
    queued: int
    served: int
    infeasible: int
    redispatched: int
    quarantined: int  # requests
    quarantined_workers: tuple[QuarantinedWorker, ...] = ()
    stalls: tuple[str, ...] = ()  # sentences: what is missing, since when, the last error, what to do
    verified: int = 0  # answers that a second worker confirmed


class DrainWorker(msgspec.Struct, frozen=True):
    worker_id: str


class Done(msgspec.Struct, frozen=True):
    """The request took effect."""


# ----------------------------------------------------------------------------- simulator workers


class Ready(msgspec.Struct, frozen=True):
    """A worker offers itself: its credit (requests it accepts at once) and capabilities."""

    worker_id: str
    backend: str
    renderer_digest: str
    credit: int = 1
    sensors: tuple[str, ...] = ("rgb", "depth", "ids")
    skills: tuple[str, ...] = ()
    protocol_major: int = 1
    warm_scenes: int = 4  # number of scenes it keeps open; the least recently used is closed first
    assets: tuple[str, ...] = ()  # scenes that SceneSpec.asset may name


class Loading(msgspec.Struct, frozen=True):
    """The worker is loading a scene for the request with this id; do not count it as dead before the deadline."""

    deadline_s: float


class Drain(msgspec.Struct, frozen=True):
    """Broker to worker: finish your requests and leave."""


class Goodbye(msgspec.Struct, frozen=True):
    """Worker to broker: this worker leaves now."""


# ----------------------------------------------------------------------------- curriculum


MOST_LEASED = 4096  # specs of one LeaseSpecs


class LeaseSpecs(msgspec.Struct, frozen=True):
    """Request up to `count` specs (1 to MOST_LEASED), leased for `lease_s` seconds."""

    learner: str
    count: int
    policy_version: int
    lease_s: float = 600.0


class Leased(msgspec.Struct, frozen=True):
    spec: TaskSpec
    lease_id: str
    blind: bool = False  # ask without images: a question that can be answered blind is a shortcut
    purpose: str = (
        "frontier"  # why it was chosen: "frontier" | "coverage" | "retest" | "blind" | another word of the selector
    )


class SpecBatch(msgspec.Struct, frozen=True):
    specs: tuple[Leased, ...]
    reason: str = ""  # one line for the terminal: what is asked and why


EVIDENCE = ("answered", "screened")  # outcomes that tell what the policy can do
OUTCOMES = (*EVIDENCE, "infeasible", "broken", "returned")


class ConfidenceReport(msgspec.Struct, frozen=True):
    """Confidence and success of the policy on one spec.

    `outcome`: "answered", "screened" (the policy's confidence was measured, then other questions were chosen),
    "infeasible" (the simulator could not realise the spec), "broken" (a fault of the system) or "returned" (no
    simulator can make its world now: it is issued again later); the last three never count as wrong answers. For a
    screened spec `success_rate` is the expected accuracy.

    If several questions about the views of the spec were candidates, `candidates` holds the expected accuracy of each,
    chosen or not, and `candidate_variance` the mean variance of their accuracies. The other fields are about the chosen
    question, or means over all candidates if none was chosen.
    """

    report_id: str
    spec_id: str
    lease_id: str
    policy_version: int
    outcome: str
    skill: str
    level: int
    frame: str = "camera"
    blind: bool = False
    rewards: tuple[float, ...] = ()
    success_rate: float = 0.0  # mean reward within the group
    truth_likelihood: float = 0.0  # exp(mean log p) of the true answer's tokens given the prompt
    answer_entropy: float = 0.0  # entropy of the group's distinct answers, nats
    had_gradient: bool = False  # the group's rewards had spread
    reason: str = ""  # why infeasible or broken, or why others were chosen
    renderer_digest: str = ""
    degradation: str = ""  # of the images, as degradation_label of protocol.tasks.task; "" if undegraded
    truth_probability: float = 0.0  # of the whole true answer given the prompt
    candidates: tuple[float, ...] = ()
    candidate_variance: float = 0.0
    world: str = ""  # of the spec


class SendReports(msgspec.Struct, frozen=True):
    reports: tuple[ConfidenceReport, ...]


class ReportsCounted(msgspec.Struct, frozen=True):
    """Sent after the commit. A report that was counted before is listed as a duplicate and changes nothing."""

    counted: tuple[str, ...]
    duplicates: tuple[str, ...] = ()


class GetCurriculumStatus(msgspec.Struct, frozen=True):
    pass


class WorldStatus(msgspec.Struct, frozen=True):
    """A world of a run that lists worlds; figures are means over its cells."""

    name: str
    parent: str = ""  # of a derived world
    change: str = ""  # from the parent, like "rooms 1 to 2"
    added: str = ""  # why it was derived
    at: int = 0  # number of specs issued before it was added
    asked: int = 0
    success_rate: float = 0.0
    signal: float = 0.0
    share: float = 0.0
    retired: str = ""  # why it was retired; "" while it is asked
    retired_at: int = -1
    waiting: str = ""  # why its specs fail, if many in a row have
    settings: str = ""  # of a derived world: the World as JSON


class CurriculumStatus(msgspec.Struct, frozen=True):
    selector: str
    issued: int
    leased: int
    counted: int
    infeasible: int
    broken: int
    cells: tuple[CellStatus, ...]
    reason: str = ""
    proposals: int = 0  # proposals that were added
    proposals_waiting: int = 0  # leases of proposals still to come
    screened: int = 0  # specs whose confidence was measured, but that were not asked
    cells_left_out: int = 0  # cells without a row: those with the smallest shares, if there are very many
    learners: dict[str, int] = {}  # learner -> specs that it has on lease
    kinds: tuple[KindStatus, ...] = ()  # of composed questions, retired ones included; the newest MOST_KINDS
    worlds: tuple[WorldStatus, ...] = ()  # in the order in which they were added; empty if the run lists none


KINDS: dict[str, type[msgspec.Struct]] = {
    "HELLO": Hello,
    "WELCOME": Welcome,
    "HEARTBEAT": Heartbeat,
    "BUSY": Busy,
    "FAILURE": Failure,
    "DONE": Done,
    "RENDER_TASK": RenderTask,
    "EPISODE": Episode,
    "OBSERVE": Observe,
    "OBSERVATION": Observation,
    "DESCRIBE": Describe,
    "DESCRIPTION": Description,
    "ANNOTATE": Annotate,
    "ANNOTATED": Annotated,
    "REJECTED": Rejected,
    "SIM_STATUS?": GetSimStatus,
    "SIM_STATUS": SimStatus,
    "DRAIN_WORKER": DrainWorker,
    "READY": Ready,
    "LOADING": Loading,
    "DRAIN": Drain,
    "GOODBYE": Goodbye,
    "LEASE": LeaseSpecs,
    "SPECS": SpecBatch,
    "REPORTS": SendReports,
    "COUNTED": ReportsCounted,
    "ADD_PROPOSALS": AddProposals,
    "PROPOSALS_KEPT": ProposalsKept,
    "PROPOSAL_REQUEST?": GetProposalRequest,
    "PROPOSAL_REQUEST": ProposalRequest,
    "CURRICULUM_STATUS?": GetCurriculumStatus,
    "CURRICULUM_STATUS": CurriculumStatus,
}
KIND_OF: dict[type[msgspec.Struct], str] = {cls: kind for kind, cls in KINDS.items()}
