"""Questions of benchmarks with their images, from folders as their authors publish them.

vsi-bench:FOLDER   test.jsonl or test.parquet, and videos DATASET/SCENE_NAME.mp4 (VSI-Bench, arXiv 2412.14171)
images:FILE        JSON, JSON lines or Parquet, one row per question with several images and lettered options, in the
                   forms of MMSI-Bench (arXiv 2505.23764), MindCube (arXiv 2506.21458) and ViewSpatial-Bench (arXiv
                   2505.21500). Images are paths relative to the file, or {"bytes": …, "path": …}
"""

from __future__ import annotations

import io
import json
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping, Sequence

import numpy as np
from PIL import Image

from learner.benchmark.video import RgbImage, read_frames
from protocol.answers.letters import LETTERS
from protocol.answers.vsi_bench import Item, item_of, json_lines, read_items
from protocol.errors import VantageError

KINDS = ("vsi-bench", "images")
_VIDEOS = (".mp4", ".mkv", ".webm", ".avi")

# Names of a field in the files of different benchmarks.
_QUESTION = ("question",)
_ANSWER = ("answer", "gt_answer", "ground_truth")
_IMAGES = ("images", "image_path", "image_paths", "image")
_OPTIONS = ("options", "choices")
_TYPE = ("question_type", "type", "category")
_MARK = re.compile(r"(?:^|(?<=[\s,(]))([A-Z])[.:)]\s*")


@dataclass(frozen=True)
class Asked:
    """A question, how to read its images, and whether they are frames of a video."""

    item: Item
    images: Callable[[], list[RgbImage]]
    video: bool


@dataclass(frozen=True)
class FrameSettings:
    """Frames of a video, and the largest area of an image: `side_px` squared."""

    count: int = 16
    space_aware: bool = False
    side_px: int = 448


def read_benchmark(name: str, frames: FrameSettings) -> list[Asked]:
    """The questions of "vsi-bench:FOLDER" or "images:FILE".

    Raises VantageError("bad_request") for another kind, a missing folder or video, or a row that is no question.
    """
    kind, colon, place = name.partition(":")
    if kind not in KINDS or not colon or not place:
        raise VantageError("bad_request", f"{name!r} is no benchmark: name vsi-bench:FOLDER or images:FILE.")
    path = Path(place)
    return _vsi_bench(path, frames) if kind == "vsi-bench" else _multi_image(path, frames)


def _vsi_bench(folder: Path, frames: FrameSettings) -> list[Asked]:
    if not folder.is_dir():
        raise VantageError("bad_request", f"there is no folder {folder}: name the folder that holds test.jsonl.")
    tables = [path for path in (folder / "test.jsonl", folder / "test.parquet") if path.exists()]
    if not tables:
        raise VantageError("bad_request", f"{folder} has neither test.jsonl nor test.parquet.")
    rows = {str(row.get("id")): row for row in _rows(tables[0])}
    asked = []
    for item in read_items(tables[0]):
        row = rows[item.id]
        stem = folder / str(row.get("dataset", "")) / str(row.get("scene_name", ""))
        video = next((path for end in _VIDEOS if (path := stem.with_name(stem.name + end)).is_file()), None)
        if video is None:
            raise VantageError(
                "bad_request", f"question {item.id} of {tables[0]} needs the video {stem}.mp4, which is missing."
            )
        asked.append(Asked(item, partial(_video, video, frames), True))
    return asked


def _multi_image(path: Path, frames: FrameSettings) -> list[Asked]:
    if not path.is_file():
        raise VantageError("bad_request", f"there is no file {path}: name a .jsonl, .json or .parquet file.")
    asked, known = [], set()
    for number, row in enumerate(_rows(path), start=1):
        try:
            item = item_of({**_as_row(row), "id": row.get("id", number)})
            images = _first(row, _IMAGES)
            images = list(images) if isinstance(images, (list, tuple)) else [images]
            if not images:
                raise ValueError("no images")
        except (KeyError, TypeError, ValueError) as error:
            raise VantageError(
                "bad_request",
                f"row {number} of {path} is not a question: it needs question, images, lettered options and answer "
                f"({error}).",
            ) from None
        if item.id in known:
            raise VantageError("bad_request", f"row {number} of {path} repeats the id {item.id}.")
        known.add(item.id)
        asked.append(Asked(item, partial(_read_all, images, path.parent, frames), False))
    if not asked:
        raise VantageError("bad_request", f"{path} holds no questions.")
    return asked


def _as_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of VSI-Bench from those of a benchmark with several images."""
    text = str(_first(row, _QUESTION))
    listed = next((row[name] for name in _OPTIONS if row.get(name) not in (None, "", [])), None)
    if listed is None:
        text, options = split_options(text)
    elif isinstance(listed, str):
        options = split_options(listed)[1]
    elif isinstance(listed, Mapping):
        options = [str(listed[letter]) for letter in sorted(listed)]
    else:
        options = [_MARK.sub("", str(option), count=1) for option in listed]
    if len(options) < 2:
        raise ValueError("no lettered options")
    answer = str(_first(row, _ANSWER)).strip()
    letter = answer[:1].upper() if re.match(r"[A-Za-z](?:$|[.:) ])", answer) else LETTERS[options.index(answer)]
    kind = next((row[name] for name in _TYPE if row.get(name)), "questions")
    return {
        "question": text,
        "options": [f"{letter}. {option}" for letter, option in zip(LETTERS, options)],
        "ground_truth": letter,
        "question_type": ", ".join(map(str, kind)) if isinstance(kind, (list, tuple)) else str(kind),
    }


def split_options(text: str) -> tuple[str, list[str]]:
    """A text, split into the question and the options "A. …", "B: …" or "C) …" at its end."""
    marks = list(_MARK.finditer(text))
    for start in reversed([index for index, mark in enumerate(marks) if mark[1] == "A"]):
        own = [marks[start]]
        for mark in marks[start + 1 :]:
            if mark[1] == LETTERS[len(own)]:
                own.append(mark)
        if len(own) > 1:
            ends = [mark.start() for mark in own[1:]] + [len(text)]
            options = [text[mark.end() : end].strip().rstrip(",;").strip() for mark, end in zip(own, ends)]
            question = re.sub(r"\s*(?:options|choices)\s*:?\s*$", "", text[: own[0].start()], flags=re.IGNORECASE)
            return question.strip(), options
    return text, []


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        try:
            yield from pq.read_table(path).to_pylist()
        except (OSError, ValueError) as error:
            raise VantageError("bad_request", f"{path} cannot be read: {error}.") from None
        return
    content = path.read_bytes()
    if path.suffix != ".json":
        yield from json_lines(path, content)
        return
    try:
        rows = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise VantageError("bad_request", f"{path} is not JSON: {error}.") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise VantageError("bad_request", f"{path} is not a list of questions.")
    yield from rows


def _first(row: Mapping[str, Any], names: Sequence[str]) -> Any:
    for name in names:
        if row.get(name) is not None:
            return row[name]
    raise KeyError(names[0])


# ----------------------------------------------------------------------------- images


def _video(path: Path, frames: FrameSettings) -> list[RgbImage]:
    return [shrink(frame, frames.side_px) for frame in read_frames(path, frames.count, frames.space_aware)]


def _read_all(images: Sequence[Any], folder: Path, frames: FrameSettings) -> list[RgbImage]:
    return [shrink(_read(image, folder), frames.side_px) for image in images]


def _read(image: Any, folder: Path) -> RgbImage:
    """An image from bytes or a path. Raises VantageError("bad_request") if it cannot be read."""
    content = image.get("bytes") if isinstance(image, Mapping) else image if isinstance(image, bytes) else None
    name = "in a row" if content else str(image.get("path") if isinstance(image, Mapping) else image)
    try:
        with Image.open(io.BytesIO(content) if content else folder / name) as file:
            return np.asarray(file.convert("RGB"))
    except (OSError, ValueError) as error:
        raise VantageError("bad_request", f"an image of {folder} cannot be read ({name}): {error}.") from None


def shrink(image: RgbImage, side_px: int) -> RgbImage:
    """The image with at most `side_px` squared pixels, in the same proportions."""
    height, width = image.shape[:2]
    scale = side_px / (height * width) ** 0.5
    if scale >= 1:
        return image
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
