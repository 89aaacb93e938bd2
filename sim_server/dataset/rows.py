"""Rows of a dataset: a question with its images, in three forms.

id, dataset, scene_name, question_type, question, options, ground_truth   the fields of VSI-Bench
messages, images                                                          a chat, for supervised fine-tuning
truth                                                                     everything needed to derive the row again

In files, `truth` is JSON text and `options` is never empty: readers that infer types from the first lines of a file,
like the JSON reader of datasets, then infer the same type for a column in every shard.
"""

from __future__ import annotations

from io import BytesIO
from typing import Optional

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from protocol.answers.letters import letter_answer, lettered_options, message_parts, stated
from protocol.answers.prompt import write_answer, write_prompt
from protocol.tasks.scene import Pose, SceneDescription
from protocol.tasks.task import Question, TaskSpec
from sim_server.questions.evidence import ViewEvidence

LOSSLESS = 100
NO_OPTIONS = ("",)  # the options of a question without letters


class MessagePart(msgspec.Struct, frozen=True, omit_defaults=True):
    """A part of a chat message: {"type": "image"} for the next image, or {"type": "text", "text": …}."""

    type: str
    text: Optional[str] = None


class Message(msgspec.Struct, frozen=True):
    role: str
    content: tuple[MessagePart, ...]


class Seen(msgspec.Struct, frozen=True):
    """One object in a view. box_px: left, top, right and bottom of its visible pixels; right and bottom exclusive."""

    object_id: int
    box_px: tuple[int, int, int, int]
    pixels: int
    visible_fraction: float
    depth_m: float


class Truth(msgspec.Struct, frozen=True):
    """The spec, the question with its program and mentions, the camera poses, the objects in each view, and the scene
    with the id and box of every object."""

    spec: TaskSpec
    question: Question
    poses: tuple[Pose, ...]
    seen: tuple[tuple[Seen, ...], ...]
    scene: SceneDescription
    renderer_digest: str
    attempts: int = 1


class Row(msgspec.Struct, frozen=True):
    """A row. If the question has options, they are lettered and `ground_truth` is a letter; otherwise options are
    NO_OPTIONS and it is the canonical answer. `images` are paths relative to the folder of the rows file."""

    id: int
    dataset: str
    scene_name: str
    question_type: str
    question: str
    options: tuple[str, ...]
    ground_truth: str
    answer_type: str
    images: tuple[str, ...]
    messages: tuple[Message, ...]
    truth: Truth


def make_row(number: int, truth: Truth, reason: bool = False) -> Row:
    """Derive a row from its truth. With `reason`, the messages ask for reasoning, and its place is empty."""
    question, style = truth.question, "reason" if reason else "letters"
    parts = message_parts(write_prompt(question, style), len(truth.poses))
    user = tuple(MessagePart(part["type"], part.get("text")) for part in parts)
    return Row(
        id=number,
        dataset=f"vantage-{truth.scene.backend}",
        scene_name=truth.scene.scene_id,
        question_type=question.skill,
        question=stated(question),
        options=lettered_options(question) or NO_OPTIONS,
        ground_truth=letter_answer(question),
        answer_type=question.answer_type,
        images=tuple(f"images/{number:07d}-{view}.webp" for view in range(len(truth.poses))),
        messages=(Message("user", user), Message("assistant", (MessagePart("text", write_answer(question, style)),))),
        truth=truth,
    )


class _Line(msgspec.Struct):
    """A row in a file."""

    id: int
    dataset: str
    scene_name: str
    question_type: str
    question: str
    options: tuple[str, ...]
    ground_truth: str
    answer_type: str
    images: tuple[str, ...]
    messages: tuple[Message, ...]
    truth: str


def encode_row(row: Row) -> bytes:
    """A row as a line of JSON, without the line break."""
    values = {name: getattr(row, name) for name in _Line.__struct_fields__}
    return msgspec.json.encode(_Line(**{**values, "truth": encode_truth(row.truth)}))


def decode_row(line: bytes) -> Row:
    """The row in a line of JSON. Raises msgspec.MsgspecError for an invalid one."""
    stored = msgspec.json.decode(line, type=_Line)
    values = {name: getattr(stored, name) for name in _Line.__struct_fields__}
    return Row(**{**values, "truth": msgspec.json.decode(stored.truth, type=Truth)})


def encode_truth(truth: Truth) -> str:
    return msgspec.json.encode(truth).decode()


def seen_in(view: ViewEvidence) -> tuple[Seen, ...]:
    """Every object with a visible pixel in the view."""
    found = []
    for key, truth in view.seen.items():
        own = view.ids == key
        rows, columns = np.flatnonzero(own.any(1)), np.flatnonzero(own.any(0))
        box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
        found.append(Seen(key, box, truth.pixels, round(truth.visible_fraction, 4), round(truth.depth_m, 4)))
    return tuple(found)


def to_webp(rgb: NDArray[np.uint8], quality: int) -> bytes:
    """Encode uint8 [H, W, 3] as WebP; quality 100 is lossless. Slower methods would save only a tenth."""
    file = BytesIO()
    options = {"lossless": True, "quality": 0} if quality >= LOSSLESS else {"quality": quality}
    Image.fromarray(rgb).save(file, "webp", method=0, **options)
    return file.getvalue()


def from_webp(content: bytes, width_px: int, height_px: int) -> NDArray[np.uint8]:
    """Decode an image of this size to uint8 [H, W, 3]. Raises OSError for any other content."""
    try:
        with Image.open(BytesIO(content), formats=["webp"]) as image:
            if image.size != (width_px, height_px) or getattr(image, "n_frames", 1) != 1:
                raise OSError(f"it is not one image of {width_px} x {height_px} pixels")
            return np.asarray(image.convert("RGB"))
    except OSError:
        raise
    except Exception as error:  # Pillow's decoders raise many types
        raise OSError(f"it is not a WebP image ({error})") from error
