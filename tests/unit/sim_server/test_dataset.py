"""Datasets: rows, resuming after a kill without duplicates, and failures found by verify."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from protocol.answers.letters import letter_prompt
from protocol.errors import VantageError
from protocol.run.sealed import sealed_folder
from protocol.tasks.proposals import read_proposals
from protocol.tasks.scene import HELD_OUT_SEED_BORDER, Camera, SceneSpec
from protocol.tasks.specs import World
from protocol.tasks.task import Proposal, QuestionSpec, TaskSpec
from sim_server.backends.base import BlockedPose
from sim_server.cli import app
from sim_server.dataset import generate as generating
from sim_server.dataset import parquet
from sim_server.dataset.generate import generate
from sim_server.dataset.plan import Plan, Specs, parse_cells, read_specs, specs_digest, write_specs
from sim_server.dataset.rows import NO_OPTIONS, encode_truth, from_webp, make_row, to_webp
from sim_server.dataset.store import Folder, read_rows
from sim_server.dataset.verify import verify
from sim_server.questions.realise import realise

WORLD = World(width_px=64, height_px=64, min_objects=6, max_objects=8, specs_per_scene=6)
CELLS = (("view_direction", 0), ("depth_order", 0), ("camera_object_distance", 1), ("camera_motion", 0))


def plan(**changes) -> Plan:
    fields = {"n": 18, "seed": 3, "split": "train", "cells": CELLS, "shard_size": 6, "quality": 100}
    return Plan(**{**fields, "world": WORLD.model_dump(mode="json"), **changes})


def quiet(_: str) -> None:
    pass


def make(path: Path, listed=(), **changes):
    return generate(path, plan(**changes), listed, 1, quiet)


def rows_of(path: Path):
    return [row for shard in Folder(path).done().values() for row in read_rows(shard, path)]


def files_of(path: Path) -> dict[str, bytes]:
    return {str(item.relative_to(path)): item.read_bytes() for item in path.rglob("*") if item.is_file()}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "set"
    make(path)
    return path


@pytest.fixture
def copy(made, tmp_path):
    return Path(shutil.copytree(made, tmp_path / "copy"))


# ----------------------------------------------------------------------------- rows


def test_every_spec_is_a_row_or_counted_as_infeasible(made):
    record = json.loads((made / "dataset.json").read_bytes())
    ids = [row.id for row in rows_of(made)]
    assert len(ids) == len(set(ids)) == record["rows"]
    assert record["rows"] + sum(record["infeasible"].values()) == record["asked"] == 18
    assert record["rows"] > 9


def _tagged(images: int) -> str:
    """The images of a message with their tags."""
    if images == 1:
        return "<image>"
    return "\n".join(f"Image {number}: <image>" for number in range(1, images + 1)) + "\n"


def test_a_row_has_the_benchmark_fields_and_a_chat(made):
    for row in rows_of(made):
        question = row.truth.question
        user, assistant = row.messages
        parts = [part.text or "<image>" for part in user.content]
        assert "".join(parts) == _tagged(len(row.images)) + letter_prompt(question)
        assert assistant.content[0].text == row.ground_truth
        assert row.question == f"{question.text} {question.rule}" and question.rule
        if row.options != NO_OPTIONS:
            letters = "ABCD"[: len(row.options)]
            assert [option[:3] for option in row.options] == [f"{letter}. " for letter in letters]
            assert row.options[letters.index(row.ground_truth)][3:] == question.answer
            assert all(option in user.content[-1].text for option in row.options)
        else:
            assert row.ground_truth == question.answer and float(row.ground_truth) > 0
        assert row.truth.spec.scene.seed < HELD_OUT_SEED_BORDER
        named = {mention.object_id for mention in question.mentions}
        assert named <= {item.id for item in row.truth.scene.objects}


def test_image_boxes_contain_the_visible_pixels(made):
    for row in rows_of(made):
        assert len(row.truth.seen) == len(row.truth.poses)
        ids = {item.id for item in row.truth.scene.objects}
        for view in row.truth.seen:
            for item in view:
                left, top, right, bottom = item.box_px
                assert item.object_id in ids and 0 < item.pixels <= (right - left) * (bottom - top)
                assert 0 <= left < right <= 64 and 0 <= top < bottom <= 64
        named = {mention.object_id for mention in row.truth.question.mentions}
        assert named <= {item.object_id for item in row.truth.seen[0]}


def test_images_are_next_to_the_rows(made):
    for shard in Folder(made).done().values():
        for row in read_rows(shard, made):
            assert len(row.images) == len(row.truth.poses) == (2 if row.question_type == "camera_motion" else 1)
            assert all(from_webp((shard / name).read_bytes(), 64, 64).shape == (64, 64, 3) for name in row.images)


def test_lossless_images_equal_the_render_and_lossy_ones_are_close():
    rng = np.random.default_rng(0)
    rgb = np.repeat(np.repeat(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8), 8, 0), 8, 1)
    assert (from_webp(to_webp(rgb, 100), 64, 64) == rgb).all()
    assert len(to_webp(rgb, 80)) < len(to_webp(rgb, 99))


def test_held_out_datasets_use_held_out_scenes():
    training, held_out = Specs(plan(n=200)), Specs(plan(n=200, split="val"))
    assert all(training[number].scene.seed < HELD_OUT_SEED_BORDER for number in range(200))
    assert all(held_out[number].scene.seed >= HELD_OUT_SEED_BORDER for number in range(200))
    cells = [(training[number].question.skill, training[number].question.level) for number in range(200)]
    assert {cells.count(cell) for cell in CELLS} == {50}


def test_infeasible_specs_are_counted_with_their_reason_and_not_replaced(tmp_path):
    world = World(width_px=32, height_px=32, min_objects=1, max_objects=1).model_dump(mode="json")
    record = make(tmp_path / "set", n=4, cells=(("depth_order", 0),), world=world)
    assert record.rows == 0 and record.infeasible == {"depth_order L0": 4}
    (shard,) = Folder(tmp_path / "set").done().values()
    facts = json.loads((shard / "manifest.json").read_bytes())
    assert all("2 are needed" in reason for *_, reason in facts["infeasible"])


def test_messages_may_have_an_empty_place_for_reasoning(made):
    for row in rows_of(made):
        reasoned = make_row(row.id, row.truth, reason=True)
        user, assistant = reasoned.messages
        asked = user.content[-1].text
        assert asked.startswith(row.messages[0].content[-1].text) and "<think>" in asked
        assert assistant.content[0].text == f"<think>\n\n</think>\n<answer>{row.ground_truth}</answer>"
        assert msgspec.structs.replace(reasoned, messages=row.messages) == row


@pytest.mark.parametrize("error", [VantageError("bad_request", "the camera is odd."), ZeroDivisionError("by zero")])
def test_a_spec_with_an_error_costs_that_spec_alone(made, tmp_path, monkeypatch, error):
    really = generating.make_episode

    def fails(number, *arguments):
        if number == 2:
            raise error
        return really(number, *arguments)

    monkeypatch.setattr(generating, "make_episode", fails)
    record = make(tmp_path / "set")
    assert sum(record.failed.values()) == 1 and str(error) in record.first_failure
    assert record.rows + sum(record.infeasible.values()) == record.asked - 1
    assert [row.id for row in rows_of(tmp_path / "set")] == [row.id for row in rows_of(made) if row.id != 2]
    assert verify(tmp_path / "set", None, quiet) == (record.rows, [])


def test_running_out_of_memory_ends_the_command(tmp_path, monkeypatch):
    def fails(*_):
        raise MemoryError

    monkeypatch.setattr(generating, "make_episode", fails)
    with pytest.raises(MemoryError):
        make(tmp_path / "set")


@pytest.mark.parametrize(("bad", "exit_code"), [(1, 0), (2, 1)])
def test_failed_specs_are_reported_and_an_empty_dataset_is_an_error(tmp_path, bad, exit_code):
    specs = [Specs(plan())[number] for number in (0, 4)]
    question = QuestionSpec("riddle", 0)
    specs[:bad] = [msgspec.structs.replace(spec, question=question) for spec in specs[:bad]]
    (tmp_path / "specs.jsonl").write_bytes(write_specs(specs))
    order = ["generate", "--specs", str(tmp_path / "specs.jsonl"), "--out", str(tmp_path / "set")]
    result = CliRunner().invoke(app, order)
    assert result.exit_code == exit_code, result.output
    assert f"failed and left out: {bad}; the first, {specs[0].spec_id}: " in result.output and "riddle" in result.output


@pytest.mark.timeout(300)
def test_a_camera_inside_an_object_refuses_only_that_placement():
    scene = SceneSpec(seed=3, split="train", rooms=2, min_objects=12, max_objects=20, clutter=0.7)
    spec = TaskSpec("", 6, 335, scene, QuestionSpec("depth_order", 0), Camera(64, 64))
    opened, refused = plan().make_backend().open(scene), 0

    class Blocked:
        """The scene, with an object around the first two cameras."""

        spec, description = opened.spec, opened.description

        def __getattr__(self, name):
            return getattr(opened, name)

        def render(self, *arguments):
            nonlocal refused
            if refused < 2:
                refused += 1
                raise BlockedPose("the camera is inside object 11 (shelf)")
            return opened.render(*arguments)

    assert realise(Blocked(), spec).attempts > refused == 2


# ----------------------------------------------------------------------------- killed and resumed


@pytest.mark.parametrize("episode", [0, 4, 8, 13])
def test_resuming_after_a_kill_gives_the_same_bytes(made, tmp_path, monkeypatch, episode):
    calls = 0
    really = generating.make_episode

    def dies(*arguments):
        nonlocal calls
        calls += 1
        if calls > episode:
            raise KeyboardInterrupt
        return really(*arguments)

    path = tmp_path / "set"
    monkeypatch.setattr(generating, "make_episode", dies)
    with pytest.raises(KeyboardInterrupt):
        make(path)
    assert len(Folder(path).done()) == episode // 6
    assert not (path / "dataset.json").exists()
    monkeypatch.setattr(generating, "make_episode", really)
    make(path)
    assert files_of(path) == files_of(made)


def test_a_finished_dataset_is_not_changed(copy, monkeypatch):
    monkeypatch.setattr(generating, "make_episode", None)
    before = files_of(copy)
    make(copy)
    assert files_of(copy) == before


def test_incomplete_shards_of_a_killed_writer_are_removed(copy, made):
    shutil.rmtree(copy / "shards" / "shard-000001")
    (copy / "shards" / ".writing-shard-000001" / "images").mkdir(parents=True)
    (copy / "shards" / ".writing-shard-000001" / "rows.jsonl").write_text("{")
    make(copy)
    assert files_of(copy) == files_of(made)


def test_a_folder_accepts_only_one_plan(copy, tmp_path):
    with pytest.raises(VantageError, match="started with a different seed"):
        make(copy, seed=4)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("Once")
    with pytest.raises(VantageError, match="contains other files"):
        make(tmp_path / "thesis")


def test_a_damaged_shard_is_reported_before_anything_is_written(copy):
    rows = copy / "shards" / "shard-000000" / "rows.jsonl"
    rows.write_bytes(rows.read_bytes()[:-9])
    with pytest.raises(VantageError, match=r"rows.jsonl does not match its manifest"):
        make(copy)


def test_one_writer_at_a_time(copy, monkeypatch):
    monkeypatch.setattr("sim_server.dataset.store._LOCK_PATIENCE_S", 0.0)
    with Folder(copy).lock():
        with pytest.raises(VantageError, match="another process is writing"):
            make(copy)


# ----------------------------------------------------------------------------- verification


def test_a_written_dataset_passes_verification(made):
    rows, failures = verify(made, None, quiet)
    assert rows == len(rows_of(made)) and failures == []


def rewrite(path: Path, change) -> None:
    """Change the files of shard 0 and seal the shard and the dataset again, as a forger would."""
    shard = Folder(path).shard(0)
    facts = json.loads((shard / "manifest.json").read_bytes())
    rows = [json.loads(line) for line in (shard / "rows.jsonl").read_bytes().splitlines()]
    rows = [{**row, "truth": json.loads(row["truth"])} for row in rows]
    change(rows, shard)
    lines = [json.dumps({**row, "truth": json.dumps(row["truth"])}) + "\n" for row in rows]
    (shard / "rows.jsonl").write_text("".join(lines))
    facts.pop("files")
    moved = shard.with_name("before")
    shard.rename(moved)
    with sealed_folder(shard, {**facts, "rows": len(rows)}) as staging:
        (moved / "manifest.json").unlink()
        shutil.copytree(moved, staging, dirs_exist_ok=True)
    shutil.rmtree(moved)
    Folder(path).seal(plan())


def another_answer(rows, _):
    for row in rows:
        if row["truth"]["question"]["skill"] == "view_direction":
            question = row["truth"]["question"]
            question["answer"] = next(option for option in question["options"] if option != question["answer"])
            row["ground_truth"] = "AB".replace(row["ground_truth"], "")
            row["messages"][1]["content"][0]["text"] = row["ground_truth"]
            return
    raise AssertionError


def moved_box(rows, _):
    rows[0]["truth"]["scene"]["objects"][0]["box"]["centre_m"][0] += 0.5


def moved_camera(rows, _):
    rows[0]["truth"]["poses"][0]["position_m"][1] += 0.3


def grown_box(rows, _):
    rows[0]["truth"]["seen"][0][0]["box_px"][2] += 1


def swapped_images(rows, shard):
    first, second = (shard / row["images"][0] for row in rows[:2])
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)


def another_truth(rows, _):
    rows[0]["ground_truth"] = "9.9"


def another_version(rows, _):
    rows[0]["truth"]["renderer_digest"] = "rooms-0"
    rows[0]["ground_truth"] = "9.9"


def another_spec(rows, _):
    rows[0]["truth"]["spec"]["seq"] += 1


def doubled(rows, _):
    rows.append(rows[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (another_answer, "the program gives"),
        (moved_box, "has different objects"),
        (moved_camera, "differs from the rendered view"),
        (grown_box, "different pixels of the objects"),
        (swapped_images, "differs from the rendered view"),
        (another_truth, "ground_truth does not match the truth"),
        (another_spec, "does not match the plan"),
        (doubled, "duplicated"),
    ],
)
def test_a_forged_row_is_reported(copy, change, message):
    rewrite(copy, change)
    _, failures = verify(copy, None, quiet)
    assert failures and {failure.shard for failure in failures} == {"shard-000000"}
    assert any(message in failure.reason for failure in failures), failures


def test_a_flipped_bit_is_found(copy):
    image = next((copy / "shards" / "shard-000001" / "images").iterdir())
    content = bytearray(image.read_bytes())
    content[-5] ^= 1
    image.write_bytes(content)
    _, failures = verify(copy, None, quiet)
    assert any("does not match its manifest" in failure.reason for failure in failures)


def test_verify_reports_failures_by_its_exit_code(made, copy):
    assert CliRunner().invoke(app, ["verify", str(made)]).exit_code == 0
    rewrite(copy, another_version)
    result = CliRunner().invoke(app, ["verify", str(copy)])
    assert result.exit_code == 1 and "shard-000000 row" in result.output
    assert "1 of " in result.output and "generate the dataset again" in result.output
    (copy / "dataset.json").unlink()
    with pytest.raises(VantageError, match="no finished dataset"):
        verify(copy, None, quiet)


# ----------------------------------------------------------------------------- arguments


def test_skills_and_levels_are_chosen_by_name():
    assert parse_cells(["depth_order:1"]) == (("depth_order", 1),)
    assert parse_cells(["depth_order:0-2", "depth_order:2"]) == tuple(("depth_order", level) for level in range(3))
    assert len(parse_cells(["camera_motion"])) == 5
    for text in ("riddle", "depth_order:9", "depth_order:2-1", "depth_order:x"):
        with pytest.raises(VantageError):
            parse_cells([text])


def test_a_runs_episodes_become_a_dataset(made, tmp_path):
    episodes = tmp_path / "episodes.jsonl"
    specs = [row.truth.spec for row in rows_of(made)][:3]
    lines = [{"step": 1, "spec": json.loads(write_specs([spec]))["spec"], "answers": []} for spec in specs]
    episodes.write_text("".join(json.dumps(line) + "\n" for line in [*lines, lines[0]]))
    listed = read_specs(episodes, "train")
    assert listed == specs, "each once"
    looked = {"spec": {**lines[0]["spec"], "spec_id": "looked around", "look_around": 2}}
    episodes.write_text(episodes.read_text() + json.dumps(looked) + "\n")
    assert read_specs(episodes, "train") == specs, "looking around is needed to answer the other spec"
    digest = specs_digest(write_specs(listed))
    make(tmp_path / "set", listed, n=3, cells=(), specs_sha256=digest)
    assert [row.truth.question for row in rows_of(tmp_path / "set")] == [
        row.truth.question for row in rows_of(made)[:3]
    ]
    assert verify(tmp_path / "set", None, quiet) == (3, [])
    with pytest.raises(VantageError, match="train split"):
        read_specs(episodes, "val")


def test_only_a_line_feed_ends_a_line_of_specs_and_proposals(tmp_path):
    """A carriage return is white space between tokens, and a string may contain any line separator."""
    spec = Specs(plan(n=1))[0]
    (tmp_path / "specs.jsonl").write_bytes(write_specs([spec]).replace(b'{"spec":', b'{"spec":\r') + b"\n\r\n")
    assert read_specs(tmp_path / "specs.jsonl", "train") == [spec]
    text = "where\u2028is it"
    asked = msgspec.structs.replace(spec, proposal=Proposal(text, "1", "number"))
    line = msgspec.json.encode(asked).replace(b'{"spec_id"', b'{\r"spec_id"')
    (tmp_path / "proposals.jsonl").write_bytes(line + b"\r\n")
    (read,) = read_proposals(tmp_path / "proposals.jsonl")
    assert read.proposal is not None and read.proposal.text == text


def test_parquet_has_the_same_rows(tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    make(tmp_path / "set", n=6, parquet=True)
    (shard,) = Folder(tmp_path / "set").done().values()
    table = pq.read_table(shard / "rows.parquet").to_pylist()
    rows = list(read_rows(shard, tmp_path))
    assert [line["id"] for line in table] == [row.id for row in rows]
    for line, row in zip(table, rows):
        assert line["ground_truth"] == row.ground_truth and tuple(line["options"] or NO_OPTIONS) == row.options
        assert [image["bytes"] for image in line["images"]] == [(shard / name).read_bytes() for name in row.images]
        assert line["truth"] == encode_truth(row.truth)


def test_parquet_without_pyarrow_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setattr(parquet.importlib.util, "find_spec", lambda name: None)
    result = CliRunner().invoke(app, ["generate", "--out", str(tmp_path), "--parquet"])
    assert isinstance(result.exception, VantageError) and "vantage-loop[parquet]" in result.exception.message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--split", "test"], "train or val"), (["--skill", "riddle"], "no skill"), (["--specs", "absent"], "be read")],
)
def test_invalid_arguments_are_reported_and_nothing_is_written(tmp_path, arguments, message):
    result = CliRunner().invoke(app, ["generate", "--out", str(tmp_path / "set"), *arguments])
    assert isinstance(result.exception, VantageError) and message in result.exception.message
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("first", ["camera_object_distance", "view_direction"])
def test_json_lines_have_the_same_column_types_in_every_shard(tmp_path, first):
    """Readers infer types from the first shard: here it has only numbers or only choices, the others both."""
    datasets = pytest.importorskip("datasets")
    make(tmp_path / "first", n=6, cells=((first, 1),), shard_size=6)
    make(tmp_path / "second", n=12, cells=(*CELLS, ("perspective", 0)), shard_size=6)
    files = [str(shard / "rows.jsonl") for name in ("first", "second") for shard in _shards(tmp_path / name)]
    loaded = datasets.load_dataset("json", data_files=files, cache_dir=str(tmp_path / "cache"), split="train")
    rows = rows_of(tmp_path / "first") + rows_of(tmp_path / "second")
    assert loaded["id"][:] == [row.id for row in rows]
    assert [tuple(options) for options in loaded["options"]] == [row.options for row in rows]
    assert loaded.features["truth"].dtype == loaded.features["ground_truth"].dtype == "string"
    assert {len(row.options) for row in rows} >= {1, 2}


def _shards(path: Path) -> list[Path]:
    return list(Folder(path).done().values())
