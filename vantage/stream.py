"""Fresh questions as an IterableDataset of the library datasets: rendered when they are read, nothing on disk."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING, Any, Iterator, Mapping, Optional, Sequence, Union

from protocol.errors import Infeasible, VantageError
from protocol.run.config import load, section
from protocol.tasks.specs import cells_of, world_of
from sim_server.backends.registry import make_backend
from sim_server.dataset.parquet import features, record_of
from sim_server.service.scenes import WarmScenes
from sim_server.settings import SimSettings
from vantage.config_files import DEFAULT, config_path
from vantage.numbered import NumberedSpecs
from vantage.question import Config

if TYPE_CHECKING:
    from datasets import IterableDataset

_WARM_SCENES = 2
_BLOCK = 64  # consecutive numbers that one part reads, so that it opens few scenes


def iterable_dataset(
    config: Union[Config, Sequence[Config]] = DEFAULT,
    split: str = "train",
    n: Optional[int] = None,
    *,
    seed: int = 0,
    sets: Sequence[str] = (),
    parts: int = 1,
    quality: int = 90,
    reason: bool = False,
) -> IterableDataset:
    """Stream the questions with the numbers below `n`, or without end, of a configuration's skills in its world.

    The columns are those of the Parquet files of `sim-server generate`; images are decoded by datasets. Infeasible
    specs are skipped. `split`: "train" or "held-out", which never share a scene. `parts`: into how many parts the
    stream can be divided, among the workers of a DataLoader or by `split_dataset_by_node`. `quality`: of the WebP
    images; 100 is lossless. `reason`: messages ask for reasoning before the answer.

    Raises VantageError: "unsupported" without the library datasets, "bad_config", or "bad_request" for another split.
    """
    try:
        from datasets import DatasetInfo, Features, IterableDataset
        from datasets.iterable_dataset import ExamplesIterable
    except ImportError:
        raise VantageError("unsupported", "a stream needs the library datasets: pip install datasets.") from None
    if parts < 1:
        raise VantageError("bad_request", f"a stream has at least one part: parts is {parts}.")
    given = [config] if isinstance(config, (str, os.PathLike)) else list(config)
    tree = load([config_path(one) for one in given], sets)
    world = world_of(tree).model_copy(update={"look_around": 0})  # the images must suffice
    specs = NumberedSpecs(split, tuple(cells_of(tree)), world.model_dump(mode="json"), seed)
    arguments = {
        "specs": specs,
        "settings": section(tree, "sim", SimSettings),
        "n": n,
        "form": {"quality": quality, "reason": reason},
        "of": parts,
        "parts": list(range(parts)),  # datasets divides lists among its readers
    }
    return IterableDataset(
        ExamplesIterable(_examples, arguments), info=DatasetInfo(features=Features.from_dict(features()))
    )


def _examples(
    specs: NumberedSpecs,
    settings: SimSettings,
    n: Optional[int],
    form: Mapping[str, Any],
    of: int,
    parts: Sequence[int],
) -> Iterator[tuple[str, dict[str, Any]]]:
    from sim_server.dataset.generate import make_episode  # brings numba

    backend = make_backend(settings.backend, settings)
    scenes = WarmScenes(backend, _WARM_SCENES)
    try:
        for number in itertools.count() if n is None else range(n):
            if number // _BLOCK % of not in parts:
                continue
            try:
                row, images = make_episode(number, specs[number], scenes, backend, **form)
            except Infeasible:
                continue
            yield str(number), record_of(row, images)
    finally:
        scenes.close()
        backend.close()
