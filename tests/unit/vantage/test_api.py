"""The public Python API: what it imports, its errors, and that it agrees with the commands."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import vantage
from protocol.run.directory import read_jsonl
from protocol.tasks.scene import HELD_OUT_SEED_BORDER
from tests.support.synthetic_run import make_run

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def scene():
    with vantage.open_scene(seed=3) as opened:
        yield opened


def test_the_import_is_fast_and_brings_no_heavy_library() -> None:
    code = (
        "import sys, time; started = time.perf_counter(); import vantage; took = time.perf_counter() - started; "
        "assert not {'torch', 'numba', 'numpy', 'pydantic'} & set(sys.modules); assert took < 1.0, took; "
        "vantage.open_run; vantage.questions; vantage.open_scene; assert not {'torch', 'numba'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_every_public_name_loads_and_is_listed() -> None:
    assert dir(vantage) == sorted(vantage.__all__) == sorted(vantage._MODULES)
    for name in vantage.__all__:
        assert getattr(vantage, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = vantage.no_such_name  # type: ignore[attr-defined]


def test_views_are_the_same_at_every_call(scene: vantage.Scene) -> None:
    first, second = scene.render(count=2), scene.render(count=2)
    assert len(first) == 2 and first.rgb is not None and first.depth is not None and first.ids is not None
    assert first.rgb.shape == (2, 96, 96, 3) and first.depth.dtype == np.float32 and first.ids.dtype == np.int32
    assert np.array_equal(first.rgb, second.rgb)
    assert set(np.unique(first.ids)) <= {0, *(one.id for one in scene.objects)}
    assert scene.render(sensors=["depth"]).rgb is None


def test_a_question_is_reproducible_and_scores_its_own_answer(scene: vantage.Scene) -> None:
    first, again = scene.ask("view_direction", 1, seed=4), scene.ask("view_direction", 1, seed=4)
    assert first.text == again.text and np.array_equal(first.images[0], again.images[0])
    for style in ("letters", "words"):
        assert first.score(first.completion(style), style) == vantage.Reward(1.0, True)
    wrong = next(letter for letter in "AB" if letter != first.completion())
    assert first.score(wrong) == vantage.Reward(0.0, True)
    assert not first.score("left or right").readable


def test_splits_share_no_scene_and_agree_with_the_generated_data_set(tmp_path: Path) -> None:
    def seeds(split: str) -> set[int]:
        return {question.spec.scene.seed for question in vantage.questions("smoke", split, 4)}

    assert max(seeds("train")) < HELD_OUT_SEED_BORDER <= min(seeds("held-out"))
    generate = ["generate", "--config", str(vantage.config_path("smoke")), "--n", "4", "--split", "val", "--no-parquet"]
    command = [sys.executable, "-m", "sim_server.cli", *generate, "--out", str(tmp_path / "set")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    rows = read_jsonl(next((tmp_path / "set").rglob("rows.jsonl")))[0]
    truths = [json.loads(row["truth"]) for row in rows]
    asked = list(vantage.questions("smoke", "held-out", 4))
    assert [question.program for question in asked] == [truth["question"]["program"] for truth in truths]
    assert [question.spec.spec_id for question in asked] == [truth["spec"]["spec_id"] for truth in truths]


def test_a_run_that_grows_is_read_again(tmp_path: Path) -> None:
    written = make_run(tmp_path / "r", steps=3, finished=False)
    run = vantage.open_run(written.path)
    assert [step.step for step in run.steps] == [1, 2, 3] and not run.is_finished
    written.append_metrics("learner", {"event": "step", "step": 4, "reward": 0.5})
    assert run.refresh().steps[-1].step == 4
    assert run.leases[0].purposes["blind"] == 1 and run.episodes[0].images[0].exists()


def test_every_table_is_a_data_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = vantage.open_run(make_run(tmp_path / "r").path)
    assert list(run.frame("steps")["step"]) == list(range(1, 101))
    assert run.frame("steps")["seconds.rollout"].between(1, 2).all()
    assert set(run.frame("evaluations")["label"]) == {"before", "during", "after"}
    assert run.frame("leases")["specs"].sum() == sum(sum(lease.cells.values()) for lease in run.leases)
    for table in ("changes", "reports", "episodes"):
        assert len(run.frame(table)) == len(getattr(run, table))
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(vantage.VantageError, match=r"pip install 'vantage-loop\[pandas\]'"):
        run.frame("steps")


@pytest.mark.parametrize(
    ("call", "code", "message"),
    [
        (lambda scene: vantage.open_scene(), "bad_request", "either a seed or a file"),
        (lambda scene: vantage.open_scene(seed=-1), "bad_request", "scene seed"),
        (lambda scene: vantage.open_scene(file="no.glb"), "bad_config", "no.glb"),
        (lambda scene: vantage.open_scene(seed=1, backend="nope"), "backend_missing", "nope"),
        (
            lambda scene: vantage.open_scene(seed=1, palette="named", wishes=[vantage.Wish("loose")]),
            "bad_request",
            "natural",
        ),
        (lambda scene: scene.render(sensors=["sonar"]), "bad_request", "sonar"),
        (lambda scene: scene.ask("depth_ordr"), "bad_request", "did you mean depth_order"),
        (lambda scene: scene.ask("depth_order", 9), "bad_request", "level"),
        (lambda scene: scene.ask("depth_order", degradations=["fog"]), "bad_request", "fog:3"),
        (lambda scene: vantage.questions("demoo"), "bad_config", "did you mean demo"),
        (lambda scene: vantage.questions("demo", "test"), "bad_request", "held-out"),
        (lambda scene: vantage.open_run("nowhere"), "bad_request", "not a run directory"),
        (lambda scene: vantage.config_path("nope"), "bad_config", "smoke"),
    ],
)
def test_a_mistake_is_a_typed_error(call, code: str, message: str, scene: vantage.Scene) -> None:
    with pytest.raises(vantage.VantageError, match=message) as caught:
        call(scene)
    assert caught.value.code == code
