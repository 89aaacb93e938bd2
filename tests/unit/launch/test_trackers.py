"""Trackers: points of a run, once each whatever happens, and trackers that fail without harm."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from launch.settings import resolve
from launch.trackers.follow import follow, make
from launch.trackers.points import Point, Reader, Written, markdown
from launch.trackers.processes import TrackerProcesses
from protocol.errors import VantageError
from protocol.run.directory import RunDir
from tests.support.synthetic_run import make_run

pytestmark = pytest.mark.timeout(300)

STEPS = 20


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return make_run(tmp_path / "made", STEPS)


class Recorded:
    """Keeps points and how far they were flushed."""

    def __init__(self, before: Written) -> None:
        self._before = before
        self.points: list[Point] = []
        self.flushed = before

    def written(self) -> Written:
        return self._before

    def write(self, point: Point) -> None:
        self.points.append(point)

    def flush(self, written: Written) -> None:
        self.flushed = written

    def close(self) -> None: ...


def stopped() -> threading.Event:
    stop = threading.Event()
    stop.set()
    return stop


def test_points_hold_curves_tables_and_samples(run: RunDir) -> None:
    tracker = Recorded(Written())
    follow(run, tracker, stopped())
    steps = [point for point in tracker.points if "train/reward" in point.scalars]
    assert [point.step for point in steps] == list(range(1, STEPS + 1))
    assert "seconds/rollout" in steps[0].scalars and "left_out/near-duplicate" in steps[0].scalars
    tables = [point.table for point in tracker.points if point.table is not None]
    assert tables and tables[0].columns[0] == "skill" and "| depth_order |" in markdown(tables[0])
    assert any("held_out/mean" in point.scalars for point in tracker.points)
    samples = [point.sample for point in tracker.points if point.sample is not None]
    assert samples and all(sample.image.is_file() and "true answer" in sample.text for sample in samples)
    assert [point.step for point in tracker.points] == sorted(point.step for point in tracker.points)


def test_a_restart_adds_only_what_is_new(run: RunDir) -> None:
    first = Recorded(Written())
    follow(run, first, stopped())
    run.append_metrics("learner", {"event": "step", "step": STEPS, "reward": 0.1})  # a learner repeats a step
    run.append_metrics("learner", {"event": "step", "step": STEPS + 1, "reward": 0.9, "entropy": None})
    second = Recorded(first.flushed)
    follow(run, second, stopped())
    assert [(point.step, point.scalars) for point in second.points] == [(STEPS + 1, {"train/reward": 0.9})]


def test_a_reader_reads_each_line_once(run: RunDir) -> None:
    reader = Reader(run, Written())
    assert reader.read() and not reader.read()
    with open(run.metrics / "learner.jsonl", "ab") as file:
        file.write(b'{"event": "step", "step": 99, "rew')
    assert not reader.read()


def test_a_sample_outside_the_run_is_not_shown(run: RunDir) -> None:
    secret = run.path.parent / "secret.png"
    secret.write_bytes(b"x")
    with open(run.episodes / "episodes.jsonl", "a") as file:
        file.write(json.dumps({"step": 10**6, "images": ["../../secret.png"]}) + "\n")
    assert all(point.step < 10**6 for point in Reader(run, Written()).read())


def test_an_unknown_tracker_is_refused_before_the_start(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text('[run]\ntrackers = ["tensorbord"]\n')
    with pytest.raises(VantageError, match="did you mean.*tensorboard"):
        resolve([config], [])


def test_a_tracker_that_fails_is_given_up_with_one_sentence(run: RunDir) -> None:
    """Here because it is not installed, or because its log cannot be written."""
    blocked = run.logs / "trackers" / "blocked.log"
    blocked.mkdir(parents=True)
    notes: list[str] = []
    trackers = TrackerProcesses(run, ["missing", "blocked"], notes.append)
    with trackers:
        end_s = time.monotonic() + 20
        while len(notes) < 2 and time.monotonic() < end_s:
            trackers.check()
            time.sleep(0.05)
    assert sum("is given up, and the run continues" in note for note in notes) == 2
    assert any("tracker 'missing' is not installed" in note for note in notes)


def test_a_tracker_without_its_package_names_the_extra(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(VantageError, match=r"pip install 'vantage-loop\[trackio\]'"):
        make(run, "trackio")


# ----------------------------------------------------------------------------- the real packages


def follow_twice(run: RunDir, name: str) -> None:
    """In a process of its own, as a run does; the second start follows a kill before the first one's last flush."""
    for _ in range(2):
        command = [sys.executable, "-m", "launch.trackers.follow", str(run.path), name]
        done = subprocess.run(command, capture_output=True, text=True, timeout=140, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_tensorboard_has_every_point_once(run: RunDir) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    from launch.trackers.tensorboard import TensorBoard

    follow(run, TensorBoard(run), threading.Event())
    follow(run, TensorBoard(run), threading.Event())
    seen: Counter[tuple[str, int]] = Counter()
    for path in (run.path / "trackers" / "tensorboard").iterdir():
        for event in EventFileLoader(str(path)).Load():
            seen.update((value.tag, event.step) for value in event.summary.value)
    assert set(seen.values()) == {1}
    assert {step for tag, step in seen if tag == "train/reward"} == set(range(1, STEPS + 1))
    tags = {tag for tag, _ in seen}
    assert "config" in tags or "config/text_summary" in tags
    assert any(tag.startswith("samples/") for tag in tags) and any(tag.startswith("tables/") for tag in tags)


def test_trackio_has_every_point_once(run: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("trackio", reason="trackio is not installed")
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    follow_twice(run, "trackio")
    import sqlite3

    (database,) = (tmp_path / "trackio").glob("*.db")
    with sqlite3.connect(database) as connection:
        rows = connection.execute("SELECT step, metrics FROM metrics").fetchall()
    rewards = [step for step, metrics in rows if "train/reward" in _as_text(metrics)]
    assert sorted(rewards) == list(range(1, STEPS + 1))


def _as_text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def test_wandb_offline_has_every_point_once(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    follow_twice(run, "wandb")
    files = list((run.path / "trackers" / "wandb").rglob("*.wandb"))
    assert files and json.loads((run.path / "trackers" / "wandb" / "written.json").read_text())["step"] == STEPS
