"""Annotated views for pre-training: requested from a simulator, stored as shards, read as a pool.

Every request is drawn from (seed, split, number), so the same settings give the same views. Existing shards are reused,
so an interrupted collection resumes. Held-out views have scene seeds of the val split.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from learner.pretrain.truth import cell_owners
from learner.settings import PretrainSettings
from learner.stream.reports import Channel
from protocol.errors import VantageError
from protocol.seeds import rng_for
from protocol.tasks.scene import HELD_OUT_SEED_BORDER, SEED_END, Camera, SceneSpec
from protocol.tasks.task import ObjectTruth, Question
from protocol.wire.messages import Annotate, Annotated

IN_FLIGHT = 8
_DEADLINE_S = 120.0


class ViewTruth(msgspec.Struct, frozen=True):
    objects: tuple[ObjectTruth, ...]
    questions: tuple[Question, ...]


class Shard(NamedTuple):
    """N views: rgb uint8 [N, H, W, 3], owners int8 [N, n] (object index per image token, -1 for none), and truths."""

    rgb: NDArray[np.uint8]
    owners: NDArray[np.int8]
    truths: list[ViewTruth]


def request(settings: PretrainSettings, split: str, number: int) -> Annotate:
    """Return the request for scene `number` of a split."""
    rng = rng_for(settings.seed, "pretrain", split, number)
    low, high = (0, HELD_OUT_SEED_BORDER) if split == "train" else (HELD_OUT_SEED_BORDER, SEED_END)
    seed, categories = int(rng.integers(low, high)), settings.categories
    if rng.random() < 0.5:
        few = rng.choice(len(categories), min(settings.few_categories, len(categories)), replace=False)
        categories = tuple(categories[index] for index in sorted(few.tolist()))
    scene = SceneSpec(
        seed=seed,
        split=split,
        min_objects=settings.min_objects,
        max_objects=settings.max_objects,
        categories=categories,
    )
    return Annotate(
        scene=scene,
        camera=Camera(settings.image_px, settings.image_px),
        views=settings.views_per_scene,
        questions_per_view=settings.questions_per_view,
        skills=tuple((name, level, weight) for name, weight in settings.asked.items() for level in settings.levels),
        run_seed=settings.seed,
        seq=number,
        sensors=("rgb", "ids"),
    )


def collect(
    channel: Channel,
    settings: PretrainSettings,
    split: str,
    folder: Path,
    grid: tuple[int, int],
    shards: int,
    report: Callable[[int], None] = lambda _: None,
) -> None:
    """Fill `folder` with `shards` shards of settings.scenes_per_shard scenes; `report` receives the number written.

    Infeasible scenes are skipped. Raises VantageError if the simulator fails otherwise.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [index for index in range(shards) if not shard_path(folder, index).exists()]
    numbers = (
        (index, index * settings.scenes_per_shard + scene)
        for index in missing
        for scene in range(settings.scenes_per_shard)
    )
    done = shards - len(missing)
    replies = _in_order(channel, ((index, request(settings, split, number)) for index, number in numbers))
    parts: list[Shard] = []
    for count, (index, packet) in enumerate(replies, 1):
        if packet is not None:
            parts.append(_unpack(packet, grid))
        if count % settings.scenes_per_shard == 0:
            write_shard(shard_path(folder, index), parts)
            parts, done = [], done + 1
            report(done)


def _in_order(channel: Channel, requests: Iterator[tuple[int, Annotate]]) -> Iterator[tuple[int, Any]]:
    """Yield replies in the order of the requests, with several in flight; None if infeasible."""
    waiting: deque[tuple[int, Future[Any]]] = deque()
    for index, message in requests:
        waiting.append((index, channel.submit(message, deadline_s=_DEADLINE_S)))
        if len(waiting) >= IN_FLIGHT:
            yield _reply(*waiting.popleft())
    while waiting:
        yield _reply(*waiting.popleft())


def _reply(index: int, future: Future[Any]) -> tuple[int, Any]:
    try:
        return index, future.result()
    except VantageError as error:
        if error.code != "infeasible":
            raise
        return index, None


def _unpack(packet: Any, grid: tuple[int, int]) -> Shard:
    annotated: Annotated = packet.message
    images, owners, truths = [], [], []
    for item in annotated.views:
        if item.view.ids is None:
            raise VantageError("internal", "the simulator sent a view without an id image")
        object_ids = [truth.object_id for truth in item.objects]
        images.append(np.array(packet.array(item.view.rgb)))
        owners.append(cell_owners(packet.array(item.view.ids), object_ids, *grid))
        truths.append(ViewTruth(item.objects, item.questions))
    return Shard(np.array(images), np.array(owners), truths)


def shard_path(folder: Path, index: int) -> Path:
    return folder / f"shard_{index:05d}.npz"


def write_shard(path: Path, parts: list[Shard]) -> None:
    parts = [part for part in parts if part.truths]
    if not parts:
        raise VantageError(
            "infeasible", "every scene of a shard is infeasible: relax the scene settings in learner.pretrain"
        )
    rgb, owners = np.concatenate([part.rgb for part in parts]), np.concatenate([part.owners for part in parts])
    truths = msgspec.msgpack.encode([truth for part in parts for truth in part.truths])
    partial = path.with_suffix(".tmp.npz")
    np.savez(partial, rgb=rgb, owners=owners, truths=np.frombuffer(truths, np.uint8))
    os.replace(partial, path)


def read_shard(path: Path) -> Shard:
    with np.load(path, allow_pickle=False) as arrays:
        truths = msgspec.msgpack.decode(arrays["truths"].tobytes(), type=list[ViewTruth])
        return Shard(arrays["rgb"], arrays["owners"], truths)


class Pool:
    """Views of the first shards of a folder; `grow` waits for further shards and reads them."""

    def __init__(self, folder: Path, wait: Callable[[Path], None]) -> None:
        """`wait(path)` blocks until the shard exists, or raises the error that prevents it."""
        self.folder, self._wait = folder, wait
        self._shards: list[Shard] = []
        self._starts: list[int] = [0]

    def grow(self, shards: int) -> None:
        while len(self._shards) < shards:
            path = shard_path(self.folder, len(self._shards))
            self._wait(path)
            self._shards.append(read_shard(path))
            self._starts.append(self._starts[-1] + len(self._shards[-1].truths))

    def __len__(self) -> int:
        return self._starts[-1]

    def take(self, indices: NDArray[np.int64]) -> Shard:
        """Return the views at these indices as one shard."""
        places = []
        for index in indices:
            shard = int(np.searchsorted(self._starts, index, side="right")) - 1
            places.append((self._shards[shard], int(index) - self._starts[shard]))
        return Shard(
            np.stack([shard.rgb[at] for shard, at in places]),
            np.stack([shard.owners[at] for shard, at in places]),
            [shard.truths[at] for shard, at in places],
        )
