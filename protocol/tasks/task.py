"""Task specs, questions and episodes: what the curriculum requests and the simulator produces."""

from __future__ import annotations

from typing import Optional, Sequence

import msgspec

from protocol.tasks.scene import Camera, Change, Pose, SceneSpec
from protocol.wire.arrays import ArrayRef

PROPOSED = "proposed"  # the skill name of questions from outside the catalogue


class QuestionSpec(msgspec.Struct, frozen=True):
    """Which question to ask: a skill of the catalogue at a difficulty level 0..4, or PROPOSED."""

    skill: str = PROPOSED
    level: int = 0
    paraphrase: int = -1  # -1: drawn from the task's seed


# Degradations of a rendered image; sim_server/sensing/degradations.py defines each severity.
DEGRADATIONS = (
    *("fog", "defocus", "lens_distortion", "dirt", "motion_blur"),
    *("over_exposure", "low_light", "noise", "compression"),
)
SEVERITIES = 5
# These change where objects appear in the image, or how much of them is visible.
HIDING = frozenset({"fog", "lens_distortion", "dirt"})


class Degradation(msgspec.Struct, frozen=True):
    """A degradation of an image. Severity 0 is the weakest, 4 the strongest; an undegraded image has none."""

    name: str
    severity: int

    def __post_init__(self) -> None:
        if self.name not in DEGRADATIONS:
            raise ValueError(f"there is no degradation {self.name!r}; choose among {', '.join(DEGRADATIONS)}")
        if not 0 <= self.severity < SEVERITIES:
            raise ValueError(f"the severity of {self.name} lies in 0..{SEVERITIES - 1}, not {self.severity}")

    @classmethod
    def parse(cls, text: str) -> Degradation:
        """From "fog:3". Raises ValueError with a sentence about the fault."""
        name, colon, severity = text.partition(":")
        if not (colon and severity.isascii() and severity.isdigit()):
            raise ValueError(f"a degradation is written like fog:3, a name and a severity, not {text!r}")
        return cls(name, int(severity))

    def __str__(self) -> str:
        return f"{self.name}:{self.severity}"


def degradation_label(degradations: Sequence[Degradation]) -> str:
    """ "fog:3", joined by "+" if there are several; "" for undegraded images."""
    return "+".join(map(str, degradations))


# Actions of Observe: 0.25 m forward, 30 degrees about the up axis, 15 degrees about the x axis of the camera.
ACTIONS = ("forward", "turn_left", "turn_right", "look_up", "look_down")


class Proposal(msgspec.Struct, frozen=True):
    """A question from a person or another model. Scene, camera, number of views and seeds are those of its TaskSpec.

    Without `poses` the simulator chooses up to `max_views` views that show what the question is about. `options` are
    those of a choice; a program that answers yes or no needs none. `kind` is the name of a kind of questions
    (protocol/tasks/kinds.py), "" for a question of no kind.
    """

    text: str
    program: str
    answer_type: str  # as in Question: "choice" | "number" | "sequence" | "map"
    options: tuple[str, ...] = ()
    unit: str = ""
    poses: tuple[Pose, ...] = ()
    kind: str = ""
    rule: str = ""  # as in Question


class TaskSpec(msgspec.Struct, frozen=True):
    """A complete, deterministic order for one episode.

    The same spec and the same renderer digest give the same pixels and the same answer: every choice made
    while realising it is drawn from (run_seed, seq).
    """

    spec_id: str = ""
    run_seed: int = 0
    seq: int = 0
    scene: SceneSpec = SceneSpec()
    question: QuestionSpec = QuestionSpec()
    camera: Camera = Camera()
    max_views: int = 1
    degradations: tuple[Degradation, ...] = ()
    look_around: int = 0  # number of Observe actions that a policy may take before it answers
    proposal: Optional[Proposal] = None  # the question to ask if `question.skill` is PROPOSED
    world: str = ""  # name of the world of the scene; "" if the run has one world


class Mention(msgspec.Struct, frozen=True):
    """A phrase text[start:end] (characters) of the question that names one object."""

    object_id: int
    start: int
    end: int


class Question(msgspec.Struct, frozen=True):
    """A question with the program that derives its answer from the scene.

    `text` is an English sentence or two, and `rule` states the convention under which it is answered, such as how
    distances are measured. `answer` is canonical text: a choice is one of `options`, a number a decimal in `unit`, a
    sequence is its items joined by ", ", a map is JSON. Option letters and answer instructions are added by
    protocol/answers.
    """

    skill: str
    level: int
    text: str
    answer: str
    answer_type: str  # "choice" | "number" | "sequence" | "map"
    program: str  # expression language of sim_server/questions, see docs
    options: tuple[str, ...] = ()
    show_options: bool = True  # False: the answer is from a known vocabulary that the prompt does not list
    unit: str = ""
    frame: str = "camera"  # "camera" | "object" | "agent"
    mentions: tuple[Mention, ...] = ()
    margin: float = 0.0  # distance of the evidence from the nearest threshold of a rule, in the measure of the skill
    option_objects: tuple[int, ...] = ()  # id of the object that each option names, if options name objects
    rule: str = ""


class View(msgspec.Struct, frozen=True):
    """One rendered view; the arrays travel as frames of their own."""

    pose: Pose
    camera: Camera
    rgb: ArrayRef  # uint8 [H, W, 3] sRGB
    depth: Optional[ArrayRef] = None  # float32 [H, W] metres along the optical axis, 0 = nothing hit
    ids: Optional[ArrayRef] = None  # int32 [H, W], 0 = no object
    changes: tuple[Change, ...] = ()  # changes of the scene for this view only


class Episode(msgspec.Struct, frozen=True):
    """A realised spec. `others` are further questions about its views, of the same skill, level and class of answer."""

    spec_id: str
    views: tuple[View, ...]
    question: Question
    scene_id: str
    renderer_digest: str
    attempts: int = 1  # camera placements tried until the rules of the skill held
    render_s: float = 0.0  # worker time spent on this episode
    others: tuple[Question, ...] = ()


class ObjectTruth(msgspec.Struct, frozen=True):
    """Ground truth about one object in one view (pixels from the id image)."""

    object_id: int
    category: str
    color: str
    pixels: int
    u: float  # centroid of its visible pixels, 0..1 from the left
    v: float  # 0..1 from the top
    depth_m: float  # median z-depth of its visible pixels
    visible_fraction: float  # visible pixels / pixels in the frame if nothing occluded it


class AnnotatedView(msgspec.Struct, frozen=True):
    """A view with dense truth and several questions, for supervised pre-training."""

    view: View
    objects: tuple[ObjectTruth, ...]
    questions: tuple[Question, ...]
