"""The task for lmms-eval and the command that runs lmms-eval, for real if it is installed."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from learner.benchmark import lmms
from learner.benchmark.lmms import utils
from learner.cli import app
from protocol.answers.vsi_bench import evaluate, read_items, score_published
from protocol.errors import VantageError
from protocol.run.sealed import sealed_folder

# (type, options, truth): choices and numbers, as `sim-server generate` writes them
QUESTIONS = [
    ("depth_order", ["A. lamp", "B. chair"], "B"),
    ("object_count", [""], "3"),
    ("object_distance", [""], "1.25"),
    ("depth_order", ["A. lamp", "B. chair"], "A"),
]
ANSWERS = (
    "B",
    "b.",
    " B",
    "B. chair",
    "A",
    "",
    "3",
    "3.0",
    "3.",
    "1.5",
    "1.2 m",
    "2.5",
    "four",
    "0.625",
    "nan",
    "-3",
    "inf",
)


def rows() -> list[dict[str, Any]]:
    return [
        {
            "id": index,
            "dataset": "vantage",
            "scene_name": "rooms-1",
            "question_type": kind,
            "question": "Which is nearer?",
            "options": options,
            "ground_truth": truth,
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "image", "text": None}, {"type": "text", "text": "Which? A or B"}],
                },
                {"role": "assistant", "content": [{"type": "text", "text": truth}]},
            ],
            "images": [f"images/{index}.png"],
            "truth": "{}",
        }
        for index, (kind, options, truth) in enumerate(QUESTIONS)
    ]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A dataset in the form of `sim-server generate`."""
    datasets = pytest.importorskip("datasets")
    folder = tmp_path / "data"
    with sealed_folder(folder / "shards" / "shard-000000", {"rows": len(QUESTIONS)}) as staging:
        (staging / "images").mkdir()
        for row in rows():
            Image.fromarray(np.full((32, 32, 3), row["id"], np.uint8)).save(staging / row["images"][0])
        (staging / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows()))
        images = [
            {**row, "images": [{"bytes": (staging / name).read_bytes(), "path": name} for name in row["images"]]}
            for row in rows()
        ]
        made = datasets.Dataset.from_list(images)
        made.cast_column("images", datasets.List(datasets.Image())).to_parquet(str(staging / "rows.parquet"))
    (folder / "dataset.json").write_text("{}")
    return folder


def test_scores_equal_those_of_the_benchmarks_own_code(data: Path) -> None:
    items = read_items(data)
    for item, row in zip(items, rows()):
        for answer in ANSWERS:
            expected = score_published(item, answer)
            assert utils.score(answer, row["ground_truth"], bool(row["options"][0])) == pytest.approx(expected), answer
    answers = dict(zip((item.id for item in items), ("B", "3", "1.5", "B")))
    found = [utils.process_results(row, [answers[item.id]]) for row, item in zip(rows(), items)]
    result = evaluate(items, answers)
    assert utils.mean_of_skills([one["overall"] for one in found]) == pytest.approx(result.overall.published)
    assert utils.mean([one["micro"] for one in found]) == pytest.approx(result.micro.published)


def test_the_task_shows_a_question_as_its_row_has_it(data: Path, tmp_path: Path) -> None:
    lmms.write_task(data, tmp_path / "task")
    text = (tmp_path / "task" / "vantage.yaml").read_text()
    assert all(f"- metric: {name}\n" in text for name in ("overall", "micro", "depth_order", "object_count"))
    functions = {line.split("utils.")[1] for line in text.splitlines() if "utils." in line}
    assert all(callable(getattr(utils, name)) for name in functions)
    doc = {**rows()[0], "images": [Image.new("L", (8, 8))]}
    ((turn,), image) = utils.doc_to_messages(doc), utils.doc_to_visual(doc)[0]
    assert turn["content"][0]["url"].mode == image.mode == "RGB"
    assert turn["content"][1] == {"type": "text", "text": utils.doc_to_text(doc)}


def test_bad_input_is_one_sentence_each(tmp_path: Path, data: Path) -> None:
    def failing(*options: str) -> VantageError:
        error = CliRunner().invoke(app, ["lmms-eval", *options, "--out", str(tmp_path / "out")]).exception
        assert isinstance(error, VantageError) and "\n" not in error.message
        return error

    assert "name --tasks" in failing(str(tmp_path)).message
    assert "is not a model" in failing(str(tmp_path), "--tasks", "vsibench").message
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    assert "known for the class llama" in failing(str(tmp_path), "--tasks", "vsibench").message
    (tmp_path / "empty").mkdir()
    assert "no Parquet files" in failing(str(tmp_path), "--dataset", str(tmp_path / "empty")).message
    if importlib.util.find_spec("lmms_eval") is None:
        assert "name the Python of that" in failing(str(tmp_path), "--dataset", str(data), "--as", "dummy").message


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(
    "LMMS_EVAL_PYTHON" not in os.environ and importlib.util.find_spec("lmms_eval") is None,
    reason="lmms-eval is not installed, and LMMS_EVAL_PYTHON does not name a Python that has it",
)
def test_lmms_eval_runs_the_task_and_its_scores_equal_ours(data: Path, tmp_path: Path) -> None:
    python = os.environ.get("LMMS_EVAL_PYTHON", sys.executable)
    lmms.write_task(data, tmp_path / "task")
    found = lmms.run_lmms(python, "dummy", "response=B", [lmms.TASK], tmp_path / "results", tmp_path / "task")[
        lmms.TASK
    ]
    items = read_items(data)
    result = evaluate(items, {item.id: "B" for item in items})
    assert found["overall,none"] == pytest.approx(result.overall.published) and result.overall.published > 0
    assert found["micro,none"] == pytest.approx(result.micro.published)
    assert found["depth_order,none"] == 0.5
