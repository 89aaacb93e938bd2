"""Fresh questions as an IterableDataset: the rows of generated datasets, divided among readers, nothing on disk."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

import vantage
from protocol.errors import VantageError
from protocol.tasks.specs import World
from vantage.numbered import NumberedSpecs

datasets = pytest.importorskip("datasets")
SETS = (
    "curriculum.world.width_px=48",
    "curriculum.world.height_px=48",
    'curriculum.skills=[{name="view_direction", levels=[0]}, {name="camera_motion", levels=[0]}]',
)


def test_rows_are_rendered_when_read_and_equal_every_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    stream = vantage.iterable_dataset("smoke", "held-out", sets=SETS, quality=100)
    rows, again = list(stream.take(4)), list(stream.take(4))
    assert [row["question"] for row in rows] == [row["question"] for row in again]
    for row in rows:
        assert {image.size for image in row["images"]} == {(48, 48)}
        assert row["messages"][1]["content"][0]["text"] == row["ground_truth"]
    assert list(rows[0]["images"][0].getdata()) == list(again[0]["images"][0].getdata())
    assert not list(tmp_path.iterdir())


def test_parts_are_disjoint_and_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vantage.stream._BLOCK", 2)
    whole = {row["id"] for row in vantage.iterable_dataset("smoke", n=8, sets=SETS)}
    stream = vantage.iterable_dataset("smoke", n=8, sets=SETS, parts=2)
    assert stream.num_shards == 2
    halves = [{row["id"] for row in stream.shard(2, index)} for index in range(2)]
    assert halves[0] | halves[1] == whole and not halves[0] & halves[1]
    assert halves[0] <= {0, 1, 4, 5}


def test_specs_have_no_end_and_travel_to_other_processes() -> None:
    specs = NumberedSpecs("train", (("view_direction", 0),), World().model_dump(mode="json"), seed=3)
    far = specs[50_000]
    copy = pickle.loads(pickle.dumps(specs))
    assert copy[50_000] == far != specs[0] and copy[0] == specs[0]


@pytest.mark.parametrize(
    ("arguments", "sentence"), [({"split": "test"}, "a split is train or held-out"), ({"parts": 0}, "parts is 0")]
)
def test_wrong_arguments_are_one_sentence(arguments: dict, sentence: str) -> None:
    with pytest.raises(VantageError, match=sentence) as refused:
        vantage.iterable_dataset("smoke", **arguments)
    assert refused.value.code == "bad_request"


def test_without_the_library_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(VantageError, match="pip install datasets"):
        vantage.iterable_dataset("smoke")
