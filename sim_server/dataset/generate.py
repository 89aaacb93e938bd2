"""Writes a dataset shard by shard; the same command resumes after a kill.

    plan ─▶ specs of a shard ─▶ scene ─▶ realise ─▶ row + WebP ─▶ sealed shard      … ─▶ dataset.json

The result of a spec depends only on the spec, so that a shard written again, or by another process, has the same bytes.
A spec that cannot be realised is counted with its reason in the shard's manifest and never replaced; so is a spec that
fails with any other error, apart from the infeasible ones.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Optional, Sequence, Tuple

import msgspec

from protocol.errors import Infeasible, VantageError, one_line
from protocol.run.directory import write_atomic
from protocol.run.sealed import MANIFEST, sealed_folder, sweep, verify_folder
from protocol.tasks.task import TaskSpec
from sim_server.backends.base import Backend
from sim_server.dataset.card import write_card
from sim_server.dataset.parquet import write_parquet
from sim_server.dataset.parts import stay_with, wait_for_parts
from sim_server.dataset.plan import Plan, specs_digest, write_specs
from sim_server.dataset.rows import Row, Truth, encode_row, make_row, seen_in, to_webp
from sim_server.dataset.store import Folder, Record
from sim_server.dataset.webdataset import write_tar
from sim_server.questions.realise import realise
from sim_server.sensing.degradations import digest_for
from sim_server.service.scenes import WarmScenes

WARM_SCENES = 2  # a shard uses one scene after the other

Progress = Callable[[str], None]
LeftOut = Tuple[str, str, int, str]  # spec_id, skill, level, reason


def generate(path: Path, plan: Plan, listed: Sequence[TaskSpec], workers: int, progress: Progress) -> Record:
    """Write the missing shards of the dataset, its dataset.json and its card; return the content of dataset.json.

    Raises VantageError: "conflict" if the folder contains another dataset or another process writes it, "corrupt" if a
    finished shard is damaged, "disk_full".
    """
    folder = Folder(path)
    with folder.lock() as descriptor:
        begin(folder, plan, listed)
        for shard in folder.done().values():
            verify_folder(shard)
        missing = sorted(set(range(plan.shards)) - folder.done().keys())
        if missing and folder.done():
            progress(f"resuming: {len(folder.done())} of {plan.shards} shards are finished")
        if len(missing) and min(workers, len(missing)) > 1:
            _spread(path, min(workers, len(missing)), descriptor)
        elif missing:
            write_shards(path, 0, 1, progress)
        record = folder.seal(plan)
        digest = json.loads((folder.shard(0) / MANIFEST).read_bytes())["renderer_digest"]
        write_atomic(folder.path / "README.md", write_card(record, listed, digest).encode())
        return record


def begin(folder: Folder, plan: Plan, listed: Sequence[TaskSpec]) -> None:
    """Store the plan, or checks that the folder has the same one. Raises VantageError("conflict") if it differs."""
    there = folder.plan()
    if there is not None and there != plan:
        differing = [name for name in plan.__struct_fields__ if getattr(there, name) != getattr(plan, name)]
        raise VantageError(
            "conflict",
            f"{folder.path} was started with a different {' and '.join(differing)}; give the same arguments to resume, "
            "or choose another folder.",
        )
    if there is None:
        if plan.specs_sha256:
            content = write_specs(listed)
            assert specs_digest(content) == plan.specs_sha256
            write_atomic(folder.path / "specs.jsonl", content)
        write_atomic(folder.path / "plan.json", msgspec.json.format(msgspec.json.encode(plan), indent=1))
    sweep(folder.shards)


def write_shards(path: Path, part: int, parts: int, progress: Progress, parent: Optional[int] = None) -> None:
    """Write every missing shard whose number modulo `parts` is `part`, in this process.

    With `parent`, the work ends when that process ends.
    """
    folder = Folder(path)
    plan = folder.plan()
    assert plan is not None
    specs = folder.specs(plan)
    backend = plan.make_backend()
    scenes = WarmScenes(backend, WARM_SCENES)
    done = folder.done()
    for shard in range(part, plan.shards, parts):
        if shard in done:
            continue
        started_s = time.perf_counter()
        wanted = specs.of_shard(shard)
        facts = _write_shard(folder, plan, shard, wanted, scenes, backend, parent)
        rate = len(wanted) / (time.perf_counter() - started_s)
        left_out = f"{len(facts['infeasible'])} infeasible"
        if facts["failed"]:
            left_out += f", {len(facts['failed'])} failed"
        progress(f"shard {shard + 1} of {plan.shards}: {facts['rows']} rows, {left_out}, {rate:.0f} specs/s")
    scenes.close()
    backend.close()


def _write_shard(
    folder: Folder,
    plan: Plan,
    shard: int,
    specs: Sequence[tuple[int, TaskSpec]],
    scenes: WarmScenes,
    backend: Backend,
    parent: Optional[int],
) -> dict[str, Any]:
    """Write one shard; return the facts of its manifest."""
    rows: list[Row] = []
    images: list[list[bytes]] = []
    infeasible: list[LeftOut] = []
    failed: list[LeftOut] = []
    facts: dict[str, Any] = {"shard": shard, "renderer_digest": backend.digest}
    with sealed_folder(folder.shard(shard), facts) as staging:
        (staging / "images").mkdir()
        for number, spec in specs:
            stay_with(parent)
            try:
                row, own = make_episode(number, spec, scenes, backend, plan.quality, plan.reason)
            except Infeasible as error:
                infeasible.append(_left_out(spec, error.message))
                continue
            except MemoryError:
                raise  # not the fault of this spec
            except Exception as error:  # a fault of one spec, or of the code that realises it, costs that spec alone
                failed.append(_left_out(spec, error.message if isinstance(error, VantageError) else one_line(error)))
                continue
            rows.append(row)
            images.append(own)
            for name, content in zip(row.images, own):
                (staging / name).write_bytes(content)
        (staging / "rows.jsonl").write_bytes(b"".join(encode_row(row) + b"\n" for row in rows))
        if plan.parquet:
            write_parquet(staging / "rows.parquet", rows, images)
        if plan.webdataset:
            write_tar(staging / "rows.tar", rows, images)
        facts |= {"rows": len(rows), "infeasible": infeasible, "failed": failed}
    return facts


def _left_out(spec: TaskSpec, reason: str) -> LeftOut:
    return spec.spec_id, spec.question.skill, spec.question.level, reason


def make_episode(
    number: int, spec: TaskSpec, scenes: WarmScenes, backend: Backend, quality: int, reason: bool = False
) -> tuple[Row, list[bytes]]:
    """The row of a spec and its encoded images. Raises Infeasible."""
    scene = scenes.get(spec.scene)
    realised = realise(scene, spec)
    assert realised.frames.rgb is not None
    digest = digest_for(backend, spec)
    seen = tuple(map(seen_in, realised.evidence.views))
    truth = Truth(spec, realised.question, realised.frames.poses, seen, scene.description, digest, realised.attempts)
    return make_row(number, truth, reason), [to_webp(rgb, quality) for rgb in realised.frames.rgb]


def _spread(path: Path, workers: int, descriptor: int) -> None:
    """Write the missing shards in child processes, which also hold the folder's lock."""
    command = [sys.executable, "-m", "sim_server.cli", "generate", "--out", str(path), "--part"]
    children = [subprocess.Popen([*command, f"{part}/{workers}"], pass_fds=(descriptor,)) for part in range(workers)]
    wait_for_parts(children, "done; see its message above. Run the command again to resume.")
