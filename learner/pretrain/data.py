"""Annotated views for pre-training: ordered from a simulator, kept as shards on disk, read back as a pool.

Every order is drawn from (seed, split, number), so the same settings give the same views; shards that exist are kept,
so an interrupted collection goes on where it stopped. Held-out views have seeds of the val split.
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
    """N views: rgb uint8 [N, H, W, 3], per image token the index of the object it shows int8 [N, n], and the truth."""

    rgb: NDArray[np.uint8]
    owners: NDArray[np.int8]
    truths: list[ViewTruth]


def order(settings: PretrainSettings, split: str, number: int) -> Annotate:
    """The order for scene `number` of a split."""
    rng = rng_for(settings.seed, "pretrain", split, number)
    low, high = (0, HELD_OUT_SEED_BORDER) if split == "train" else (HELD_OUT_SEED_BORDER, SEED_END)
    scene = SceneSpec(
        seed=int(rng.integers(low, high)),
        split=split,
        min_objects=settings.min_objects,
        max_objects=settings.max_objects,
        categories=settings.categories,
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
    """Fill `folder` with `shards` shards of settings.scenes_per_shard scenes; `report` gets the number that are there.

    A scene that the simulator finds infeasible is left out. Raises VantageError if the simulator fails otherwise.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [index for index in range(shards) if not shard_path(folder, index).exists()]
    numbers = (
        (index, index * settings.scenes_per_shard + scene)
        for index in missing
        for scene in range(settings.scenes_per_shard)
    )
    done = shards - len(missing)
    replies = _in_order(channel, ((index, order(settings, split, number)) for index, number in numbers))
    parts: list[Shard] = []
    for count, (index, packet) in enumerate(replies, 1):
        if packet is not None:
            parts.append(_unpack(packet, grid))
        if count % settings.scenes_per_shard == 0:
            write_shard(shard_path(folder, index), parts)
            parts, done = [], done + 1
            report(done)


def _in_order(channel: Channel, orders: Iterator[tuple[int, Annotate]]) -> Iterator[tuple[int, Any]]:
    """Replies in the order of the requests, several in flight; None for an infeasible one."""
    waiting: deque[tuple[int, Future[Any]]] = deque()
    for index, message in orders:
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
            raise VantageError("internal", "the simulator sent a view without its id image")
        object_ids = [truth.object_id for truth in item.objects]
        images.append(np.array(packet.array(item.view.rgb)))
        owners.append(cell_owners(packet.array(item.view.ids), object_ids, *grid))
        truths.append(ViewTruth(item.objects, item.questions))
    return Shard(np.array(images), np.array(owners), truths)


def shard_path(folder: Path, index: int) -> Path:
    return folder / f"shard_{index:05d}.npz"


def write_shard(path: Path, parts: list[Shard]) -> None:
    kept = [part for part in parts if part.truths]
    if not kept:
        raise VantageError(
            "infeasible", "no scene of a whole shard could be made: loosen the pre-training scenes' settings"
        )
    rgb, owners = np.concatenate([part.rgb for part in kept]), np.concatenate([part.owners for part in kept])
    truths = msgspec.msgpack.encode([truth for part in kept for truth in part.truths])
    partial = path.with_suffix(".tmp.npz")
    np.savez(partial, rgb=rgb, owners=owners, truths=np.frombuffer(truths, np.uint8))
    os.replace(partial, path)


def read_shard(path: Path) -> Shard:
    with np.load(path, allow_pickle=False) as arrays:
        truths = msgspec.msgpack.decode(arrays["truths"].tobytes(), type=list[ViewTruth])
        return Shard(arrays["rgb"], arrays["owners"], truths)


class Pool:
    """Views of the first shards of a folder; `grow` reads further ones, waiting for them to be made."""

    def __init__(self, folder: Path, wait: Callable[[Path], None]) -> None:
        """`wait(path)` returns when the shard is there, or raises what stopped its making."""
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
        """The views at these indices, as one shard."""
        places = []
        for index in indices:
            shard = int(np.searchsorted(self._starts, index, side="right")) - 1
            places.append((self._shards[shard], int(index) - self._starts[shard]))
        return Shard(
            np.stack([shard.rgb[at] for shard, at in places]),
            np.stack([shard.owners[at] for shard, at in places]),
            [shard.truths[at] for shard, at in places],
        )
