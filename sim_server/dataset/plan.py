"""The plan of a dataset, fixed before the first shard: equal plans give equal specs.

Specs are assigned to scenes as in the curriculum. A training set takes its scenes from the training half of the seeds
(or the training assets), a held-out set from the other half, so that the two never share a scene.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Annotated, Any, Optional, Sequence

import msgspec
from msgspec import Meta

from protocol.errors import VantageError
from protocol.run.config import did_you_mean
from protocol.skills import CATALOGUE
from protocol.tasks.specs import World, deal, held_out_scene, task_spec, training_scene
from protocol.tasks.task import TaskSpec
from sim_server.backends.base import Backend
from sim_server.backends.registry import make_backend
from sim_server.dataset.limits import MAX_SHARD_ROWS, MAX_SPECS
from sim_server.settings import SimSettings

SPLITS = ("train", "val")
SIM_KEYS = {"backend", "dataset", "gpu", "software_rendering"}  # keys of [sim] that can change an image
# The default scenes: fuller and with larger images than those of the demo.
DEFAULT_WORLD = {"min_objects": 6, "max_objects": 14, "clutter": 0.3, "width_px": 256, "height_px": 256,
                 "specs_per_scene": 8}  # fmt: skip


class Plan(msgspec.Struct, frozen=True):
    """`specs_sha256` identifies the list of specs in specs.jsonl; "" if specs are sampled from the other fields."""

    n: Annotated[int, Meta(ge=1, le=MAX_SPECS)]
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1)]
    split: Annotated[str, Meta(pattern="^(train|val)$")]
    cells: Annotated[tuple[tuple[str, int], ...], Meta(max_length=10_000)]
    world: dict[str, Any]
    sim: dict[str, Any] = {}  # from [sim]: the backend and its dataset
    shard_size: Annotated[int, Meta(ge=1, le=MAX_SHARD_ROWS)] = 500
    quality: Annotated[int, Meta(ge=1, le=100)] = 90  # of WebP; 100 is lossless
    parquet: bool = False
    specs_sha256: str = ""
    reason: bool = False  # messages with a place for reasoning

    def make_backend(self, name: Optional[str] = None) -> Backend:
        """The plan's simulator, or the simulator `name` with the same scenes. Raises
        VantageError("backend_missing"), and VantageError("corrupt") for invalid settings."""
        try:
            settings = SimSettings(**{**self.sim, **({"backend": name} if name else {})})
        except ValueError as error:
            raise VantageError("corrupt", f"plan.json has invalid settings in `sim` ({_first(error)}).") from None
        return make_backend(settings.backend, settings)

    @property
    def shards(self) -> int:
        return math.ceil(self.n / self.shard_size)


class Specs:
    """The specs of a plan by number, created on access."""

    def __init__(self, plan: Plan, listed: Sequence[TaskSpec] = ()) -> None:
        """`listed`: the specs of specs.jsonl, for a plan created from a list.

        Raises VantageError("corrupt") if the plan has an invalid world, no cells or another number of specs.
        """
        self._plan = plan
        self._listed = listed
        try:
            self._world = World.model_validate_json(msgspec.json.encode(plan.world))
        except ValueError as error:
            raise VantageError("corrupt", f"plan.json has an invalid world ({_first(error)}).") from None
        if not (len(listed) == plan.n if plan.specs_sha256 else plan.cells):
            raise VantageError("corrupt", "plan.json does not match its list of specs; generate the dataset again.")
        if not plan.specs_sha256:
            cells = [plan.cells[number % len(plan.cells)] for number in range(plan.n)]
            self._dealt = deal(self._world, cells, lambda cell: cell, lambda cell: cell[0])

    def of_shard(self, shard: int) -> list[tuple[int, TaskSpec]]:
        """(number, spec) of every spec of a shard."""
        first = shard * self._plan.shard_size
        return [(number, self[number]) for number in range(first, min(first + self._plan.shard_size, self._plan.n))]

    def __getitem__(self, number: int) -> TaskSpec:
        if self._listed:
            return self._listed[number]
        plan = self._plan
        index, (skill, level) = self._dealt[number]
        scene = training_scene if plan.split == "train" else held_out_scene
        return task_spec(
            self._world,
            plan.seed,
            scene(self._world, plan.seed, index),
            spec_id=f"{plan.split}-{plan.seed}-{number:07d}",
            seq=number,
            skill=skill,
            level=level,
        )


def parse_cells(texts: Sequence[str]) -> tuple[tuple[str, int], ...]:
    """Parse cells such as "depth_order" (all feasible levels), "depth_order:2" and "depth_order:0-2".

    Raises VantageError("bad_request") for an unknown skill or level.
    """
    cells: list[tuple[str, int]] = []
    for text in texts:
        name, _, levels = text.partition(":")
        if name not in CATALOGUE:
            close = did_you_mean(name, CATALOGUE)
            raise VantageError(
                "bad_request", f"there is no skill {name!r}{close}; choose among {', '.join(CATALOGUE)}."
            )
        feasible = CATALOGUE[name].feasible_levels
        low, _, high = levels.partition("-")
        try:
            wanted = range(int(low), int(high or low) + 1) if levels else feasible
        except ValueError:
            raise VantageError("bad_request", f"write levels as {name}:2 or {name}:0-2, not {text!r}.") from None
        if not wanted or not set(wanted) <= set(feasible):
            raise VantageError("bad_request", f"{name} has levels {feasible[0]} to {feasible[-1]}, not {levels}.")
        cells += [(name, level) for level in wanted]
    return tuple(dict.fromkeys(cells))


def read_specs(path: Path, split: str) -> list[TaskSpec]:
    """The distinct specs of a JSON lines file with one object with key "spec" per line, such as a run's episodes.jsonl.

    Specs with looking around are skipped, since their single image does not show what they ask about. Raises
    VantageError("bad_request") if the file has no specs, or one of the other split.
    """
    found: dict[str, TaskSpec] = {}
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise VantageError("bad_request", f"{path} cannot be read: {error.strerror}.") from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            spec = msgspec.json.decode(line, type=_Line).spec
        except msgspec.MsgspecError as error:
            raise VantageError("bad_request", f"line {number} of {path} has no valid spec: {error}.") from None
        if spec.scene.split != split:
            raise VantageError(
                "bad_request",
                f"line {number} of {path} has a scene of the {spec.scene.split} split, but a dataset has one split: "
                f"use --split {spec.scene.split}, or remove such lines.",
            )
        if not spec.look_around:
            found.setdefault(spec.spec_id, spec)
    if not found:
        raise VantageError("bad_request", f"{path} has no specs; wait until the run has asked questions.")
    return list(found.values())


def _first(error: ValueError) -> str:
    """The first fault of a pydantic error, on one line."""
    return " ".join(str(error).split()[:40])


def write_specs(specs: Sequence[TaskSpec]) -> bytes:
    """The content of specs.jsonl."""
    return b"".join(msgspec.json.encode({"spec": spec}) + b"\n" for spec in specs)


def specs_digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class _Line(msgspec.Struct):
    spec: TaskSpec
