"""One row of a data set: a question with its pictures, in three readings at once.

id, dataset, scene_name, question_type, question, options, ground_truth   the fields of VSI-Bench's rows
messages, images                                                          a chat, for supervised fine-tuning
truth                                                                     all that derives the row anew
"""

from __future__ import annotations

from io import BytesIO
from typing import Optional

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from protocol.answers.letters import letter_answer, letter_prompt, lettered_options, plain_text
from protocol.tasks.scene import Pose, SceneDescription
from protocol.tasks.task import Question, TaskSpec
from sim_server.questions.evidence import ViewEvidence

LOSSLESS = 100


class Part(msgspec.Struct, frozen=True, omit_defaults=True):
    """A part of a chat message: {"type": "image"}, the next picture, or {"type": "text", "text": …}."""

    type: str
    text: Optional[str] = None


class Message(msgspec.Struct, frozen=True):
    role: str
    content: tuple[Part, ...]


class Seen(msgspec.Struct, frozen=True):
    """What a view shows of one object. box_px: left, top, right and bottom of its visible pixels, ends excluded."""

    object_id: int
    box_px: tuple[int, int, int, int]
    pixels: int
    visible_fraction: float
    depth_m: float


class Truth(msgspec.Struct, frozen=True):
    """The order, the question with its program and mentions, where the cameras stood, what each view shows, and the
    scene with every object's id and box."""

    spec: TaskSpec
    question: Question
    poses: tuple[Pose, ...]
    seen: tuple[tuple[Seen, ...], ...]
    scene: SceneDescription
    renderer_digest: str
    attempts: int = 1


class Row(msgspec.Struct, frozen=True):
    """`options` are lettered and `ground_truth` is a letter where options are listed, else the canonical answer;
    `answer_type` is the question's. `images` are paths beside the rows' file."""

    id: int
    dataset: str
    scene_name: str
    question_type: str
    question: str
    options: Optional[tuple[str, ...]]
    ground_truth: str
    answer_type: str
    images: tuple[str, ...]
    messages: tuple[Message, ...]
    truth: Truth


def make_row(number: int, truth: Truth) -> Row:
    """The row that follows from its truth."""
    question = truth.question
    user = (*(Part("image") for _ in truth.poses), Part("text", letter_prompt(question)))
    return Row(
        id=number,
        dataset=f"vantage-{truth.scene.backend}",
        scene_name=truth.scene.scene_id,
        question_type=question.skill,
        question=plain_text(question.text),
        options=lettered_options(question) or None,
        ground_truth=letter_answer(question),
        answer_type=question.answer_type,
        images=tuple(f"images/{number:07d}-{view}.webp" for view in range(len(truth.poses))),
        messages=(Message("user", user), Message("assistant", (Part("text", letter_answer(question)),))),
        truth=truth,
    )


def seen_in(view: ViewEvidence) -> tuple[Seen, ...]:
    """Every object that owns a pixel of the view."""
    found = []
    for key, truth in view.seen.items():
        own = view.ids == key
        rows, columns = np.flatnonzero(own.any(1)), np.flatnonzero(own.any(0))
        box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
        found.append(Seen(key, box, truth.pixels, round(truth.visible_fraction, 4), round(truth.depth_m, 4)))
    return tuple(found)


def to_webp(rgb: NDArray[np.uint8], quality: int) -> bytes:
    """uint8 [H, W, 3] as a WebP file; lossless from quality 100 on. Other methods save a tenth."""
    file = BytesIO()
    options = {"lossless": True, "quality": 0} if quality >= LOSSLESS else {"quality": quality}
    Image.fromarray(rgb).save(file, "webp", method=0, **options)
    return file.getvalue()


def from_webp(content: bytes) -> NDArray[np.uint8]:
    """Raises OSError for what is no such file."""
    with Image.open(BytesIO(content), formats=["webp"]) as image:
        return np.asarray(image.convert("RGB"))
