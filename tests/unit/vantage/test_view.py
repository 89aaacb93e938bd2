"""Recordings of episodes for rerun; without rerun, what is said instead."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from protocol.errors import VantageError
from protocol.run.directory import RunDir
from protocol.tasks.task import Question
from vantage.cli import app
from vantage.view import _document, from_run, from_seed, write_recording


def a_run(folder: Path) -> Path:
    """A run with two recorded episodes."""
    run = RunDir.create(folder / "run", {})
    run.episodes.mkdir(exist_ok=True)
    for number, skill in enumerate(("view_direction", "depth_order")):
        spec = {
            "spec_id": f"s{number}",
            "run_seed": 1,
            "seq": number,
            "scene": {"seed": 5, "min_objects": 5},
            "question": {"skill": skill},
            "camera": {"width_px": 48, "height_px": 32},
        }
        line = {"spec_id": f"s{number}", "spec": spec, "index": 0, "answers": ["left", "right"]}
        with open(run.episodes / "episodes.jsonl", "a") as file:
            file.write(json.dumps(line) + "\n")
    return run.path


def test_the_newest_episode_of_a_run_or_the_named_one(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    assert from_run(run).spec.spec_id == "s1"
    named = from_run(run, "s0")
    assert (named.spec.question.skill, named.answers) == ("view_direction", ("left", "right"))
    with pytest.raises(VantageError, match="has no episode s7"):
        from_run(run, "s7")


@pytest.mark.parametrize(
    ("skill", "level", "seed", "sentence"),
    [("depth_ordr", 0, 1, "no 'depth_ordr' at level 0"), ("depth_order", 0, 2**32, "scene seed must lie in")],
)
def test_wrong_arguments_are_one_sentence(skill: str, level: int, seed: int, sentence: str) -> None:
    with pytest.raises(VantageError, match=sentence) as refused:
        from_seed(seed, skill, level, 0, 1, 64)
    assert refused.value.code == "bad_request"


def test_the_document_has_the_question_the_truth_and_the_answers(tmp_path: Path) -> None:
    asked = Question("depth_order", 0, "Which is nearer?", "lamp", "choice", "p(1)", ("lamp", "bed"), rule="By depth.")
    episode = from_run(a_run(tmp_path))
    text = _document(episode._replace(answers=("A", "B")), asked)
    for part in (
        "Which is nearer?",
        "By depth.",
        "- A. lamp",
        "**Answer:** lamp",
        "`p(1)`",
        "A · B",
        "spec s1, scene 5",
    ):
        assert part in text


def test_without_rerun_the_error_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "rerun", None)
    with pytest.raises(VantageError, match=r"pip install 'vantage-loop\[rerun\]'"):
        write_recording(from_seed(3, "depth_order", 0, 0, 1, 64), tmp_path / "episode.rrd")


def test_a_recording_holds_cameras_images_depth_boxes_and_the_question(tmp_path: Path) -> None:
    chunks = pytest.importorskip("rerun.chunk")
    out = tmp_path / "episode.rrd"
    result = CliRunner().invoke(app, ["view", "7", "--skill", "camera_motion", "--size", "64", "--out", str(out)])
    assert result.exit_code == 0 and "open it with: rerun" in result.output
    columns = {
        f"{chunk.entity_path} {name.partition(':')[0]}"
        for chunk in chunks.RrdReader(out).stream()
        for name in chunk.to_record_batch().schema.names
    }
    view = "/scene/view_1"
    assert {"/question TextDocument", "/scene/objects Boxes3D", "/scene/path LineStrips3D"} <= columns
    assert {f"{view} Transform3D", f"{view}/points Points3D", f"{view}/image Pinhole"} <= columns
    parts = ("rgb Image", "depth DepthImage", "seen Boxes2D")
    assert {f"{view}/image/{part}" for part in parts} <= columns
