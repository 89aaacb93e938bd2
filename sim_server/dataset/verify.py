"""Verifies a dataset: opens each scene, renders each view, runs each program, and reports the rows that differ."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Callable, Iterator, NamedTuple, Optional

import msgspec
import numpy as np
from numpy.typing import NDArray

from protocol.errors import Infeasible, VantageError, one_line
from sim_server.backends.base import Backend, Scene
from sim_server.backends.untrusted import read_inside
from sim_server.dataset.limits import MAX_IMAGE_BYTES, MAX_ROW_PIXELS, MAX_VIEWS
from sim_server.dataset.parts import stay_with, wait_for_parts
from sim_server.dataset.plan import Plan, Specs
from sim_server.dataset.rows import Row, Truth, from_webp, make_row, seen_in, to_webp
from sim_server.dataset.store import Folder, ShardRecord, check_shard, read_rows
from sim_server.questions.evidence import EVIDENCE_SENSORS, Evidence
from sim_server.questions.language.evaluator import run
from sim_server.questions.realise import realise
from sim_server.sensing.degradations import degraded, digest_for
from sim_server.service.scenes import WarmScenes

# Mean absolute difference in levels between a stored image and the same render encoded and decoded here. It is 0 with
# the same encoder; other versions of the encoder may differ slightly.
IMAGE_TOLERANCE = 1.0

Progress = Callable[[str], None]


class RowFailure(NamedTuple):
    """`row`: the row's id, or None for the complete shard; `other_version`: another renderer version made the row."""

    shard: str
    row: Optional[int]
    reason: str
    other_version: bool = False


class Checked(msgspec.Struct):
    """The result for one shard."""

    shard: str
    ids: list[int]
    failures: list[RowFailure]


def verify(path: Path, backend: Optional[str], progress: Progress, workers: int = 1) -> tuple[int, list[RowFailure]]:
    """The number of rows checked, and all failures. `workers` processes share the shards.

    Raises VantageError("bad_request") if the folder has no finished dataset, "unavailable" if a worker process failed.
    """
    record = Folder(path).sealed()
    if record is None:
        raise VantageError("bad_request", f"{path} has no finished dataset; run sim-server generate until it ends.")
    workers = min(workers, len(record.shards))
    found = _spread(path, backend, workers) if workers > 1 else list(verify_shards(path, backend, progress))
    failures: list[RowFailure] = []
    seen: set[int] = set()
    for shard in sorted(found, key=lambda one: one.shard):
        failures += shard.failures
        for row in shard.ids:
            if row in seen:
                failures.append(RowFailure(shard.shard, row, "the row is duplicated"))
            seen.add(row)
    return len(seen), failures


def verify_shards(
    path: Path,
    backend_name: Optional[str],
    progress: Progress,
    part: int = 0,
    parts: int = 1,
    parent: Optional[int] = None,
) -> Iterator[Checked]:
    """Check every shard whose index in dataset.json modulo `parts` is `part`, in this process.

    With `parent`, the work ends when that process ends. Raises what `verify` raises.
    """
    folder = Folder(path)
    record, plan = folder.sealed(), folder.plan()
    if record is None or plan is None:
        raise VantageError("bad_request", f"{path} has no finished dataset; run sim-server generate until it ends.")
    specs = folder.specs(plan)
    backend = plan.make_backend(backend_name)
    scenes = WarmScenes(backend, 2)
    for number in range(part, len(record.shards), parts):
        shard = record.shards[number]
        checked = Checked(shard.name, [], [])
        try:
            _check_shard(checked, shard, folder, plan, specs, scenes, backend, parent)
        except VantageError as error:
            if error.code == "draining":
                raise
            checked.failures.append(RowFailure(shard.name, None, error.message))
        except Exception as error:  # files made by others may be invalid in any way
            checked.failures.append(RowFailure(shard.name, None, f"the shard cannot be read ({one_line(error)})"))
        counted = f"{len(checked.ids)} rows, {len(checked.failures)} failures"
        progress(f"shard {number + 1} of {len(record.shards)}: {counted}")
        yield checked
    scenes.close()
    backend.close()


def _check_shard(
    checked: Checked, shard: ShardRecord, folder: Folder, plan: Plan, specs: Specs, scenes: WarmScenes,
    backend: Backend, parent: Optional[int],
) -> None:  # fmt: skip
    """Add the ids and failures of a shard to `checked`. Raises VantageError if the rest of it cannot be read."""
    here = folder.shards / shard.name
    try:
        check_shard(here, folder.path, shard.sha256)
    except VantageError as error:
        checked.failures.append(RowFailure(shard.name, None, error.message))
    for row in read_rows(here, folder.path):
        stay_with(parent)
        checked.ids.append(row.id)
        other = row.truth.renderer_digest != digest_for(backend, row.truth.spec)
        try:
            reasons = list(_row_failures(row, here, plan, specs, scenes))
        except Exception as error:  # rows made by others may be invalid in any way
            reasons = [f"the row cannot be checked ({one_line(error)})"]
        checked.failures += [RowFailure(shard.name, row.id, reason, other) for reason in reasons]
    if len(checked.ids) != shard.rows:
        reason = f"the shard has {len(checked.ids)} rows, but dataset.json lists {shard.rows}"
        checked.failures.append(RowFailure(shard.name, None, reason))


def _spread(path: Path, backend: Optional[str], workers: int) -> list[Checked]:
    """Check all shards in child processes, which print their results as JSON lines."""
    command = [
        sys.executable,
        "-m",
        "sim_server.cli",
        "verify",
        str(path),
        *(["--backend", backend] if backend else []),
    ]
    with contextlib.ExitStack() as files:
        outputs = [files.enter_context(tempfile.TemporaryFile()) for _ in range(workers)]
        children = [
            subprocess.Popen([*command, "--part", f"{part}/{workers}"], stdout=output)
            for part, output in enumerate(outputs)
        ]
        wait_for_parts(children, "checked; see its message above.")
        found: list[Checked] = []
        for output in outputs:
            output.seek(0)
            found += [msgspec.json.decode(line, type=Checked) for line in output]
    return found


def _row_failures(row: Row, shard: Path, plan: Plan, specs: Specs, scenes: WarmScenes) -> Iterator[str]:
    truth, question = row.truth, row.truth.question
    if not 0 <= row.id < plan.n or truth.spec != specs[row.id]:
        yield "the spec does not match the plan"
        return
    camera, shown = truth.spec.camera, len(truth.poses)
    if not 1 <= shown <= truth.spec.max_views <= MAX_VIEWS or len(row.images) != shown:
        yield f"the row has {shown} poses and {len(row.images)} images, and at most {truth.spec.max_views} views"
        return
    if truth.spec.max_views * camera.width_px * camera.height_px > MAX_ROW_PIXELS:
        yield f"the row's views have more than {MAX_ROW_PIXELS} pixels"
        return
    if truth.spec.scene.split != plan.split:
        yield f"the scene is in the {truth.spec.scene.split} split, but the dataset in {plan.split}"
    expected = make_row(row.id, truth, plan.reason)
    for name in row.__struct_fields__:
        if getattr(row, name) != getattr(expected, name):
            yield f"{name} does not match the truth"
    try:
        scene = scenes.get(truth.spec.scene)
        if scene.description != truth.scene:
            yield "the scene has different objects"
            return
        rgb_views, world, answer = _derive(scene, truth)
    except VantageError as error:
        yield f"the row cannot be derived: {error.message}"
        return
    if answer != question.answer:
        yield f"the answer is {question.answer!r}, but the program gives {answer!r}"
    if truth.seen != tuple(map(seen_in, world.views[: len(truth.poses)])):
        yield "the views show different pixels of the objects"
    if question.options and question.options.count(question.answer) != 1:
        yield "the answer is not among the options"
    for name, rgb in zip(row.images, rgb_views):
        try:
            content = read_inside(shard / name, shard, MAX_IMAGE_BYTES)
            stored = from_webp(content, camera.width_px, camera.height_px).astype(np.int16)
        except (OSError, VantageError) as error:
            yield f"{name} cannot be read: {error}"
            continue
        drawn = from_webp(to_webp(rgb, plan.quality), camera.width_px, camera.height_px)
        if np.abs(stored - drawn).mean() > IMAGE_TOLERANCE:
            yield f"{name} differs from the rendered view"


def _derive(scene: Scene, truth: Truth) -> tuple[NDArray[np.uint8], Evidence, str]:
    """Render the views again: uint8 [N, H, W, 3], their evidence, and the program's answer.

    Realises the spec again. If this version asks a different question, the stored program is run on the evidence of the
    stored poses.
    """
    with contextlib.suppress(Infeasible):
        again = realise(scene, truth.spec)
        if (again.question, again.frames.poses) == (truth.question, truth.poses):
            assert again.frames.rgb is not None
            return again.frames.rgb, again.evidence, again.question.answer
    sensors = ("rgb", *EVIDENCE_SENSORS)
    frames = degraded(scene, truth.spec).render(truth.poses, truth.spec.camera, sensors)
    assert frames.rgb is not None
    world = Evidence.of(scene.description, frames)
    return frames.rgb, world, run(truth.question.program, world)
