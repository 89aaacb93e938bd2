"""`sim-server verify` on folders made by others: a failure line for each defect, in bounded time and memory."""

from __future__ import annotations

import json
import os
import resource
import shutil
import struct
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any, Callable

import pytest
from PIL import Image

from protocol.errors import VantageError
from protocol.run.sealed import sealed_folder
from protocol.tasks.specs import World
from sim_server.dataset.generate import generate
from sim_server.dataset.plan import Plan
from sim_server.dataset.store import Folder
from sim_server.dataset.verify import verify

pytestmark = pytest.mark.timeout(120)
WORLD = World(width_px=48, height_px=48, min_objects=5, max_objects=6)
PLAN = Plan(
    n=4, seed=3, split="train", cells=(("view_direction", 0), ("depth_order", 0)), shard_size=2, quality=100,
    world=WORLD.model_dump(mode="json"),
)  # fmt: skip
_MEMORY_BYTES = 6 * 2**30  # of address space; the libraries alone map three


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "set"
    generate(path, PLAN, (), 1, lambda _: None)
    return path


def verified(path: Path) -> tuple[int, str]:
    """Exit code and output of the command, which may use a bounded amount of memory."""
    command = [sys.executable, "-m", "sim_server.cli", "verify", str(path)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES)),
    )  # fmt: skip
    output = done.stdout + done.stderr
    assert "Traceback" not in output and "MemoryError" not in output, output
    return done.returncode, output


def edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    value = json.loads(path.read_bytes())
    change(value)
    path.write_text(json.dumps(value))


def reseal(path: Path, change: Callable[[list[dict[str, Any]], Path], None]) -> None:
    """Change the rows and files of the first shard, and sign it again."""
    shard = Folder(path).shard(0)
    facts = json.loads((shard / "manifest.json").read_bytes())
    rows = [json.loads(line) for line in (shard / "rows.jsonl").read_bytes().splitlines()]
    change(rows, shard)
    if rows:
        (shard / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    del facts["files"]
    moved = shard.with_name("before")
    shard.rename(moved)
    with sealed_folder(shard, facts) as staging:
        (moved / "manifest.json").unlink()
        shutil.copytree(moved, staging, dirs_exist_ok=True)
    shutil.rmtree(moved)
    Folder(path).seal(PLAN)


def webp_bomb() -> bytes:
    """A few bytes that declare 16383 x 16383 pixels."""
    file = BytesIO()
    Image.new("RGB", (16, 16)).save(file, "webp", lossless=True)
    data = bytearray(file.getvalue())
    at = data.index(b"VP8L") + 9  # after the signature byte: 14 bits of width - 1, 14 bits of height - 1
    data[at : at + 4] = struct.pack("<I", (16382 | 16382 << 14) | (data[at + 3] & 0xF0) << 24 & 0xF0000000)
    return bytes(data)


def many_poses(rows: list[dict[str, Any]], _: Path) -> None:
    truth = json.loads(rows[0]["truth"])
    truth["poses"] *= 20_000
    rows[0]["truth"] = json.dumps(truth)


def bomb(rows: list[dict[str, Any]], shard: Path) -> None:
    (shard / rows[0]["images"][0]).write_bytes(webp_bomb())


def outside_image(rows: list[dict[str, Any]], _: Path) -> None:
    rows[0]["images"] = ["../../../../../../../../../../etc/hostname"]


def device_image(rows: list[dict[str, Any]], _: Path) -> None:
    rows[0]["images"] = ["/dev/zero"]


def nonsense(rows: list[dict[str, Any]], shard: Path) -> None:
    rows.clear()
    (shard / "rows.jsonl").write_bytes(b"\xff" * 100 + b"\n" + b"[" * 100_000)


def odd_options(rows: list[dict[str, Any]], _: Path) -> None:
    truth = json.loads(rows[0]["truth"])
    truth["question"]["options"] = []
    truth["question"]["mentions"] = [{"object_id": 10**15, "start": -5, "end": 10**9}]
    rows[0]["truth"] = json.dumps(truth)


def endless_program(rows: list[dict[str, Any]], _: Path) -> None:
    truth = json.loads(rows[0]["truth"])
    truth["question"]["program"] = "(" * 100_000
    rows[0]["truth"] = json.dumps(truth)


@pytest.mark.parametrize(
    "change", [many_poses, bomb, outside_image, device_image, nonsense, odd_options, endless_program]
)
def test_a_hostile_shard_gives_failure_lines(made: Path, tmp_path: Path, change: Any) -> None:
    path = Path(shutil.copytree(made, tmp_path / "copy"))
    reseal(path, change)
    code, output = verified(path)
    lines = [line for line in output.splitlines() if line.startswith("shard-000000")]
    assert code == 1 and 1 <= len(lines) <= 4, output
    assert "shard-000001 row" not in output, output


def set_plan(**values: Any) -> Callable[[Path], None]:
    return lambda path: edit(path / "plan.json", lambda plan: plan.update(values))


def set_record(**values: Any) -> Callable[[Path], None]:
    return lambda path: edit(path / "dataset.json", lambda record: record.update(values))


def fifo(name: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        (path / name).unlink()
        os.mkfifo(path / name)

    return change


def link(name: str, target: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        (path / name).unlink()
        (path / name).symlink_to(target)

    return change


def sparse(name: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with (path / name).open("wb") as file:
            file.truncate(2**40)

    return change


SHARD = "shards/shard-000000"


@pytest.mark.parametrize(
    "change",
    [
        fifo("dataset.json"), fifo("plan.json"), fifo(f"{SHARD}/rows.jsonl"), fifo(f"{SHARD}/manifest.json"),
        link("dataset.json", "/dev/zero"), link("plan.json", "/dev/zero"), link(f"{SHARD}/rows.jsonl", "/dev/zero"),
        link(f"{SHARD}/manifest.json", "/etc/hostname"), sparse("dataset.json"), sparse(f"{SHARD}/rows.jsonl"),
        sparse(f"{SHARD}/manifest.json"), set_plan(n=10**12),
    ],
)  # fmt: skip
def test_a_hostile_folder_gives_one_sentence(made: Path, tmp_path: Path, change: Callable[[Path], None]) -> None:
    path = Path(shutil.copytree(made, tmp_path / "copy"))
    change(path)
    code, output = verified(path)
    assert code != 0 and len(output.strip().splitlines()) <= 12, output


@pytest.mark.parametrize(
    "change",
    [
        set_plan(n=-1), set_plan(shard_size=0), set_plan(cells=[]), set_plan(world={"width_px": 10**9}),
        set_plan(world={"rooms": "many"}), set_plan(sim={"backend": 5}), set_plan(sim={"backend": "riddle"}),
        set_plan(sim={"dataset": "/dev/zero"}), set_plan(seed=10**30), set_plan(split="both"),
        set_record(shards=[5]), set_record(shards=[{"name": "../../..", "rows": 1, "sha256": ""}]),
        set_record(shards={}), set_record(rows="x"), set_record(major=10**30), set_record(format=["x"]),
    ],
)  # fmt: skip
def test_invalid_values_give_one_sentence(made: Path, tmp_path: Path, change: Callable[[Path], None]) -> None:
    path = Path(shutil.copytree(made, tmp_path / "copy"))
    change(path)
    with pytest.raises(VantageError) as caught:
        verify(path, None, lambda _: None)
    assert caught.value.message.isprintable() and len(caught.value.message) < 500


def test_cells_of_unknown_skills_fail_row_by_row(made: Path, tmp_path: Path) -> None:
    path = Path(shutil.copytree(made, tmp_path / "copy"))
    set_plan(cells=[["riddle", 99]] * 4)(path)
    rows, failures = verify(path, None, lambda _: None)
    assert rows == len(failures) > 0
