"""Benchmarks from folders: videos, frames, several images, predictions and their scores."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from learner.benchmark import evaluate as module
from learner.benchmark.evaluate import evaluate_benchmark
from learner.benchmark.questions import FrameSettings, read_benchmark, shrink, split_options
from learner.benchmark.video import cover, evenly, read_frames
from learner.cli import app
from learner.policy import build
from learner.settings import LearnerSettings
from protocol.answers.vsi_bench import evaluate, read_answers, read_items
from protocol.errors import VantageError
from protocol.run.directory import RunDir

pytestmark = pytest.mark.timeout(300)

VSI = [
    {"id": 0, "dataset": "arkitscenes", "scene_name": "a", "question_type": "object_rel_direction_easy",
     "question": "Is the table to the left or right?", "ground_truth": "A", "options": ["A. left", "B. right"]},
    {"id": 1, "dataset": "arkitscenes", "scene_name": "a", "question_type": "object_counting",
     "question": "How many chairs are in the room?", "ground_truth": "4", "options": None},
]  # fmt: skip


def video(path: Path, frames: int = 12) -> None:
    """A video whose frame i has the brightness 20 i."""
    av = pytest.importorskip("av")
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 * index, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def vsi_bench(folder: Path) -> Path:
    video(folder / "arkitscenes" / "a.mp4")
    (folder / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in VSI))
    return folder


def brightness(frames: Any) -> list[int]:
    return [round(float(frame.mean()) / 20) for frame in frames]


# ----------------------------------------------------------------------------- frames


@pytest.mark.parametrize(("total", "count", "found"), [(12, 3, [0, 6, 11]), (3, 8, [0, 1, 2]), (5, 1, [0])])
def test_frames_are_at_equal_distances(total: int, count: int, found: list[int]) -> None:
    assert evenly(total, count) == found


def test_frames_of_a_video_are_read_in_order(tmp_path: Path) -> None:
    video(tmp_path / "a.mp4")
    assert brightness(read_frames(tmp_path / "a.mp4", 3)) == [0, 6, 11]
    assert len(read_frames(tmp_path / "a.mp4", 100)) == 12


def geometry(turns: list[float]) -> dict[str, np.ndarray]:
    """Cameras in one place that turn by these angles, before a wall at 2 m in every direction."""
    poses = np.tile(np.eye(4), (len(turns), 1, 1))
    for pose, angle in zip(poses, np.radians(turns)):
        pose[:3, :3] = [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    intrinsics = np.array([[32.0, 0, 32], [0, 32, 24], [0, 0, 1]])
    return {
        "frames": np.arange(len(turns)), "depth": np.full((len(turns), 48, 64), 2.0, np.float32),
        "poses": poses, "intrinsics": intrinsics,
    }  # fmt: skip


def test_space_aware_frames_show_different_directions() -> None:
    turns = [*map(float, range(9)), 90.0, 180.0, 270.0]
    found = cover(*geometry(turns).values(), 4)
    assert sorted(round(turns[index] / 90) for index in found) == [0, 1, 2, 3]
    assert [round(turns[index] / 90) for index in evenly(12, 4)] != [0, 1, 2, 3]
    assert len(cover(*geometry([0.0] * 6).values(), 4)) == 4  # frames that add nothing fill up


def test_geometry_beside_a_video_chooses_its_frames(tmp_path: Path) -> None:
    video(tmp_path / "a.mp4")
    np.savez(tmp_path / "a.npz", **geometry([0.0] * 5 + [180.0] * 7))
    first, second = brightness(read_frames(tmp_path / "a.mp4", 2, space_aware=True))
    assert first < 5 <= second
    np.savez(tmp_path / "a.npz", frames=np.arange(3))
    with pytest.raises(VantageError, match="needs frames, depth, poses and intrinsics") as caught:
        read_frames(tmp_path / "a.mp4", 2, space_aware=True)
    assert caught.value.code == "corrupt"


def test_a_video_that_is_none_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("av")
    (tmp_path / "a.mp4").write_bytes(b"no video")
    with pytest.raises(VantageError, match="cannot be read") as caught:
        read_frames(tmp_path / "a.mp4", 2)
    assert caught.value.code == "corrupt" and "\n" not in caught.value.message


# ----------------------------------------------------------------------------- several images


def png(value: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((30, 40, 3), value, np.uint8)).save(file, "png")
    return file.getvalue()


# Rows in the forms of three benchmarks, each with the answer B.
FORMS: dict[str, dict[str, Any]] = {
    "options in the question": {
        "question": "Where did the camera go?\nOptions: A: left, B: right, C: up, D: down", "answer": "B",
        "question_type": "Motion (Cam.)", "images": ["1.png", "2.png"],
    },
    "options after periods": {
        "question": "What is behind me? A. A sofa B. The door C. A lamp", "gt_answer": "B",
        "category": ["around", "P-P"], "images": ["1.png", "2.png"],
    },
    "choices as lines": {
        "question": "Where is the bed?", "choices": "A. front\nB. back-left\nC. right", "answer": "B. back-left",
        "question_type": "Person", "image_path": ["1.png"],
    },
    "options by letter": {"question": "Which?", "options": {"A": "one", "B": "two"}, "answer": "B", "image": "1.png"},
    "the text of the option": {"question": "Which?", "options": ["one", "two"], "answer": "two", "image": "1.png"},
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_questions_with_several_images_are_read_in_the_forms_of_their_benchmarks(form: str, tmp_path: Path) -> None:
    for name in ("1.png", "2.png"):
        (tmp_path / name).write_bytes(png(int(name[0])))
    (tmp_path / "test.jsonl").write_text(json.dumps(FORMS[form]) + "\n")
    (asked,) = read_benchmark(f"images:{tmp_path / 'test.jsonl'}", FrameSettings())
    assert asked.item.ground_truth == "B" and len(asked.item.question.options) >= 2
    assert "A." not in asked.item.question.text and "Options" not in asked.item.question.text
    values = [int(image.mean()) for image in asked.images()]
    assert values == [1, 2][: len(values)] and not asked.video


def test_images_in_a_table_are_read(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    row = {"id": 7, "question": "Which?\nOptions: A: one, B: two", "answer": "A", "images": [png(5), png(6)]}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "test.parquet")
    (asked,) = read_benchmark(f"images:{tmp_path / 'test.parquet'}", FrameSettings())
    assert asked.item.id == "7" and [int(image.mean()) for image in asked.images()] == [5, 6]


def test_options_of_a_sentence_that_mentions_letters() -> None:
    text, options = split_options("Is A. nearer? Options: A. a chair, B. the sofa")
    assert (text, options) == ("Is A. nearer?", ["a chair", "the sofa"])
    assert split_options("no options here") == ("no options here", [])


def test_images_are_shrunk_in_their_proportions() -> None:
    assert shrink(np.zeros((600, 1200, 3), np.uint8), 300).shape == (212, 424, 3)
    assert shrink(np.zeros((20, 30, 3), np.uint8), 300).shape == (20, 30, 3)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("mmsi", "is no benchmark: name vsi-bench:FOLDER or images:FILE"),
        ("vsi-bench:none", "there is no folder none"),
        ("vsi-bench:empty", "has neither test.jsonl nor test.parquet"),
        ("vsi-bench:novideo", "needs the video .*, which is missing"),
        ("images:none.jsonl", "there is no file none.jsonl"),
        ("images:bad.jsonl", "row 1 of bad.jsonl is not a question"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(
    name: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "novideo").mkdir()
    (tmp_path / "novideo" / "test.jsonl").write_text(json.dumps(VSI[0]))
    (tmp_path / "bad.jsonl").write_text(json.dumps({"question": "Which?", "answer": "A", "images": ["1.png"]}))
    with pytest.raises(VantageError, match=sentence) as caught:
        read_benchmark(name, FrameSettings())
    assert caught.value.code == "bad_request" and "\n" not in caught.value.message


# ----------------------------------------------------------------------------- answers


@pytest.mark.parametrize("style", ["words", "letters"])
def test_the_policy_of_a_run_answers_videos_and_is_scored_by_the_published_rule(style: str, tmp_path: Path) -> None:
    build.save(*build.build(0), tmp_path / "tiny")
    folder = vsi_bench(tmp_path / "bench")
    run = RunDir.create(tmp_path / "run", {"learner": {"policy": {"model": str(tmp_path / "tiny"), "style": style}}})
    name = f"vsi-bench:{folder}"
    asked = read_benchmark(name, FrameSettings(count=3))
    result = evaluate_benchmark(run, name, asked, None, "", lambda _: None)
    items = read_items(folder / "test.jsonl")
    written = read_answers(tmp_path / "run" / "evaluations" / "benchmark_vsi-bench.jsonl", items)
    assert set(written) == {"0", "1"} and result.missing == 0
    assert evaluate(items, written) == result
    stored = json.loads((tmp_path / "run" / "evaluations" / "benchmark_vsi-bench.json").read_text())
    assert stored["overall"]["published"] == result.overall.published


def test_an_answer_in_words_becomes_the_letter_of_its_option(tmp_path: Path) -> None:
    (tmp_path / "test.jsonl").write_text(json.dumps(VSI[0]))
    (item,) = read_items(tmp_path / "test.jsonl")
    assert module._prediction(item, "right", None, LearnerSettings()) == "B"  # type: ignore[arg-type]
    assert module._prediction(item, "neither", None, LearnerSettings()) == ""  # type: ignore[arg-type]


def test_the_command_names_a_missing_folder(tmp_path: Path) -> None:
    RunDir.create(tmp_path / "run", {})
    result = CliRunner().invoke(app, ["evaluate", str(tmp_path / "run"), "--benchmark", "vsi-bench:none"])
    assert isinstance(result.exception, VantageError) and "there is no folder none" in result.exception.message
