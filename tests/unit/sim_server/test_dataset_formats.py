"""Datasets for other readers: the data set card, WebDataset shards, uploads to a stand-in for the hub."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from protocol import hub
from protocol.errors import VantageError
from protocol.tasks.specs import World
from sim_server.cli import app
from sim_server.dataset.generate import generate
from sim_server.dataset.plan import Plan
from sim_server.dataset.rows import decode_row
from sim_server.dataset.store import Folder, read_rows
from sim_server.dataset.verify import verify
from tests.support.hub import Hub

datasets = pytest.importorskip("datasets")
CELLS = (("view_direction", 0), ("depth_order", 0), ("camera_motion", 0))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two shards in every format."""
    path = tmp_path_factory.mktemp("data") / "set"
    world = World(width_px=64, height_px=64, min_objects=6, max_objects=8, specs_per_scene=6).model_dump(mode="json")
    plan = Plan(12, 3, "val", CELLS, world, shard_size=6, quality=100, parquet=True, webdataset=True)
    generate(path, plan, (), 1, lambda _: None)
    return path


def rows_of(path: Path) -> list:
    return [row for shard in Folder(path).done().values() for row in read_rows(shard, path)]


def test_a_webdataset_sample_is_a_row_with_its_images_in_order(made: Path) -> None:
    samples: dict[str, dict[str, bytes]] = {}
    for shard in Folder(made).done().values():
        with tarfile.open(shard / "rows.tar") as tar:
            for member in tar:
                key, _, field = member.name.partition(".")
                file = tar.extractfile(member)
                assert file is not None and (member.mtime, member.uid, member.uname) == (0, 0, "")
                samples.setdefault(key, {})[field] = file.read()
    rows = rows_of(made)
    assert [decode_row(sample["json"]) for sample in samples.values()] == rows
    for row, sample in zip(rows, samples.values()):
        assert list(sample) == ["json", *(f"{view}.webp" for view in range(len(row.images)))]
        own = Folder(made).shard(row.id // 6) / row.images[-1]
        assert list(sample.values())[-1] == own.read_bytes()
    assert {len(row.images) for row in rows} == {1, 2}


def test_the_library_webdataset_reads_the_shards(made: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    shards = [str(shard / "rows.tar") for shard in Folder(made).done().values()]
    samples = list(webdataset.WebDataset(shards, shardshuffle=False).decode("pil"))
    assert [sample["json"]["question"] for sample in samples] == [row.question for row in rows_of(made)]
    assert all(sample["0.webp"].size == (64, 64) for sample in samples)


def test_the_card_names_the_files_for_the_library_datasets(made: Path, tmp_path: Path) -> None:
    loaded = datasets.load_dataset(str(made), cache_dir=str(tmp_path))
    rows = rows_of(made)
    assert list(loaded) == ["val"] and loaded["val"]["question"] == [row.question for row in rows]
    assert loaded["val"][0]["images"][0].size == (64, 64)


def test_the_card_counts_the_rows_of_every_cell(made: Path) -> None:
    card, rows = (made / "README.md").read_text(), rows_of(made)
    for skill, level in CELLS:
        count = sum(row.truth.question.skill == skill for row in rows)
        assert f"| {skill} | {level} | {'pair' if skill == 'camera_motion' else 'single'} | {count} |" in card
    record = json.loads((made / "dataset.json").read_bytes())
    assert f"{record['rows']} questions with images" in card and rows[0].truth.renderer_digest in card


def test_every_format_is_covered_by_the_manifest(made: Path) -> None:
    assert verify(made, None, lambda _: None) == (len(rows_of(made)), [])
    manifest = json.loads((Folder(made).shard(0) / "manifest.json").read_bytes())
    assert {"rows.jsonl", "rows.parquet", "rows.tar"} <= set(manifest["files"])


def order(out: Path, *more: str) -> list[str]:
    arguments = ["generate", "--n", "2", "--skill", "view_direction:0", "--out", str(out), *more]
    return [*arguments, "--set", "curriculum.world.width_px=48", "--set", "curriculum.world.height_px=48"]


def test_push_uploads_the_card_and_the_parquet_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Hub()
    monkeypatch.setenv("HF_TOKEN", "hf_of_nobody")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.url)
    monkeypatch.setattr("huggingface_hub.hf_api.constants.ENDPOINT", server.url)
    result = CliRunner().invoke(app, order(tmp_path / "set", "--push", "someone/questions"))
    server.close()
    assert result.exit_code == 0, result.output
    assert result.output.rstrip().splitlines()[-1].startswith("pushed to http://127.0.0.1")
    assert server.private == {"someone/questions": True} and server.kinds == {"someone/questions": "dataset"}
    files = server.files["someone/questions"]
    assert set(files) == {"README.md", "plan.json", "dataset.json", "shards/shard-000000/rows.parquet"}
    assert files["README.md"] == (tmp_path / "set" / "README.md").read_bytes()


def test_push_without_parquet_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, order(tmp_path / "set", "--no-parquet", "--push", "someone/questions"))
    assert isinstance(result.exception, VantageError) and "omit --no-parquet" in result.exception.message
    assert not (tmp_path / "set").exists()


def test_push_without_the_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(VantageError, match=r"pip install 'vantage-loop\[hub\]'") as refused:
        hub.push("someone/questions", [])
    assert refused.value.code == "unsupported"
