"""The rows of a dataset as prompts and completions of the policy.

A prompt is written from the question in the style of the policy, so that fine-tuning, sampling and evaluation show it
the same text. In the style "reason" the completion is that of the row, whose reasoning somebody has filled in.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any, Iterator, NamedTuple

import msgspec
import numpy as np
from PIL import Image

from learner.rollouts.base import Prompt
from learner.rollouts.encoder import PromptEncoder
from learner.settings import PolicySettings
from protocol.answers.prompt import TAGS, write_answer, write_prompt
from protocol.answers.reasoning import parse, written
from protocol.errors import VantageError
from protocol.run.files import read_regular
from protocol.run.sealed import verify_folder
from protocol.tasks.task import Question


class _Truth(msgspec.Struct):
    question: Question


class _Row(msgspec.Struct):
    id: int
    images: tuple[str, ...]
    messages: list[dict[str, Any]]
    truth: str


class Example(NamedTuple):
    """A question with the files of its images, and the token ids of the completion to learn."""

    id: int
    text: str
    images: tuple[Path, ...]
    completion: tuple[int, ...]

    def prompt(self) -> Prompt:
        """Read the images. Raises VantageError("corrupt")."""
        return Prompt(self.text, tuple(_image(path) for path in self.images))


def read_examples(dataset: Path, encoder: PromptEncoder, policy: PolicySettings) -> list[Example]:
    """Every row of a finished dataset.

    Raises VantageError: "bad_request" if the folder is no dataset, or has no reasoning where the policy reasons;
    "corrupt" if it does not match its manifests.
    """
    if (dataset / "run.json").exists():
        raise VantageError(
            "bad_request",
            f"{dataset} is a run: write its questions as a dataset with `sim-server generate --specs "
            f"{dataset / 'episodes' / 'episodes.jsonl'} --out DATASET`, and name that.",
        )
    shards = sorted(dataset.glob("shards/shard-*"))
    if not (dataset / "dataset.json").is_file() or not shards:
        raise VantageError(
            "bad_request", f"{dataset} is not a finished dataset: write one with `sim-server generate --out DATASET`."
        )
    examples = [_example(shard, row, encoder, policy) for shard in shards for row in _rows(shard)]
    if not examples:
        raise VantageError("bad_request", f"{dataset} has no rows: none of its specs could be realised.")
    return examples


def _rows(shard: Path) -> Iterator[_Row]:
    listed = verify_folder(shard)["files"]
    decoder = msgspec.json.Decoder(_Row)
    for number, line in enumerate(read_regular(shard / "rows.jsonl").splitlines(), start=1):
        try:
            row = decoder.decode(line)
        except msgspec.MsgspecError as error:
            raise VantageError("corrupt", f"line {number} of {shard / 'rows.jsonl'} is damaged: {error}.") from None
        if not set(row.images) <= set(listed):
            raise VantageError("corrupt", f"line {number} of {shard / 'rows.jsonl'} names images that it lacks.")
        yield row


def _example(shard: Path, row: _Row, encoder: PromptEncoder, policy: PolicySettings) -> Example:
    question = msgspec.json.decode(row.truth, type=_Truth).question
    text = encoder.plain(write_prompt(question, policy.style, None, encoder.tags))
    if encoder.reasons:
        completion = written(write_answer(question, "letters"), encoder.tags, _reasoning(shard, row))
    else:
        completion = write_answer(question, policy.style)
    images = tuple(shard / PurePosixPath(name) for name in row.images)
    return Example(row.id, text, images, encoder.answer(completion))


def _reasoning(shard: Path, row: _Row) -> str:
    """The reasoning in the assistant's message of a row."""
    said = "".join(str(part.get("text") or "") for part in row.messages[-1].get("content", ()))
    begin, end = TAGS.thought
    thought = said.partition(begin)[2].partition(end)[0].strip()
    if not thought or not parse(said, TAGS).exact:
        raise VantageError(
            "bad_request",
            f"row {row.id} of {shard} has no reasoning, but learner.policy.style is reason: write the dataset with "
            "--reason and fill in its reasoning, or choose the style letters.",
        )
    return thought


def _image(path: Path) -> np.ndarray:
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except OSError as error:
        raise VantageError("corrupt", f"{path} cannot be read: {error}.") from None
