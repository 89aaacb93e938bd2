"""Measures how images of the training world are distributed, beside photographs.

    python -m benchmarks.image_statistics [--views 500] [--label LABEL] [--photos FOLDER] [--out FILE]

The images are those of training questions: all cells of a config (default: configs/qwen3-vl-4b.toml), as its world
draws scenes and cameras. They are compared with the photographs that scikit-image ships, if it is installed, and with
the images of `--photos`. Rows of other labels in the result file stay, so that two versions can be compared.

Luminance is 0.299 R + 0.587 G + 0.114 B of the bytes. Its spread is the difference between the 10 % and the 90 %
quantile, of all pixels of all images, and of the means of the images. A pixel is coloured if its largest and smallest
channel differ by more than 16; hue entropy, in bits, is that of 36 bins of the coloured pixels' hues. A block of 8 x 8
pixels is flat if the standard deviation of its luminance is below 1.5. A pixel is on an edge if the central difference
of luminance exceeds 12 in x or y. Coverage is the fraction of the image that shows objects, an object is seen if it has
at least 0.1 % of the pixels, and size spread is the standard deviation of log2 of the objects' fractions of the image.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
from pathlib import Path
from typing import Any, Iterator, Optional, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import describe_machine
from protocol.errors import Infeasible
from protocol.run.config import load
from protocol.tasks.specs import cells_of, deal, task_spec, training_scene, world_of
from sim_server.backends.rooms import RoomsBackend
from sim_server.questions.realise import realise
from sim_server.service.scenes import WarmScenes

ROOT = Path(__file__).parents[1]
OUT = Path(__file__).parent / "results" / "image_statistics.json"
_BLOCK, _FLAT_STD, _EDGE, _COLOURED = 8, 1.5, 12.0, 16
_HUE_BINS = 36
_WARM_DEG = (15.0, 60.0)
_SEEN = 0.001
_LONGEST_PX = 640  # photographs are reduced to this, about the size of our images
# Photographs of scikit-image that show a room or a table in one. Each is a single scene: a hint, not a distribution.
_PACKAGED = ("motorcycle_left.png", "motorcycle_right.png", "coffee.png")

Image = NDArray[np.uint8]


def luminance(rgb: Image) -> NDArray[np.float32]:
    return (rgb.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)).astype(np.float32)


def hues_deg(rgb: Image) -> NDArray[np.float64]:
    """Hues of the coloured pixels, 0..360."""
    flat = rgb.reshape(-1, 3).astype(np.float64)
    high, low = flat.max(1), flat.min(1)
    flat, high, low = (values[high - low > _COLOURED] for values in (flat, high, low))
    red, green, blue = flat.T
    span = high - low
    sixth = np.where(
        high == red, (green - blue) / span, np.where(high == green, 2 + (blue - red) / span, 4 + (red - green) / span)
    )
    return (sixth * 60) % 360


def flat_fraction(light: NDArray[np.float32]) -> float:
    rows, columns = (side // _BLOCK for side in light.shape)
    blocks = light[: rows * _BLOCK, : columns * _BLOCK].reshape(rows, _BLOCK, columns, _BLOCK)
    return float((blocks.std((1, 3)) < _FLAT_STD).mean())


def edge_fraction(light: NDArray[np.float32]) -> float:
    across = np.abs(light[1:-1, 2:] - light[1:-1, :-2]) / 2
    down = np.abs(light[2:, 1:-1] - light[:-2, 1:-1]) / 2
    return float((np.maximum(across, down) > _EDGE).mean())


class Statistics:
    """Sums over images, and over the id images that belong to them."""

    def __init__(self) -> None:
        self._levels, self._hues = np.zeros(256, np.int64), np.zeros(360, np.int64)
        self._means: list[float] = []
        self._flat: list[float] = []
        self._edges: list[float] = []
        self._coloured: list[float] = []
        self._objects: list[int] = []
        self._covered: list[float] = []
        self._sizes: list[float] = []

    def add(self, rgb: Image, ids: Optional[NDArray[np.int32]] = None) -> None:
        light, hues = luminance(rgb), hues_deg(rgb)
        self._levels += np.bincount(np.round(light).astype(np.int64).ravel(), minlength=256)
        self._hues += np.bincount(hues.astype(np.int64) % 360, minlength=360)
        self._means.append(float(light.mean()))
        self._flat.append(flat_fraction(light))
        self._edges.append(edge_fraction(light))
        self._coloured.append(len(hues) / light.size)
        if ids is not None:
            parts = np.unique(ids[ids > 0], return_counts=True)[1] / ids.size
            parts = parts[parts >= _SEEN]
            self._objects.append(len(parts))
            self._covered.append(float((ids > 0).mean()))
            self._sizes += np.log2(parts).tolist()

    def __len__(self) -> int:
        return len(self._means)

    def row(self) -> dict[str, Any]:
        within = np.cumsum(self._levels) / self._levels.sum()
        low, high = (int(np.searchsorted(within, q)) for q in (0.1, 0.9))
        mean_low, mean_high = np.quantile(self._means, (0.1, 0.9))
        hues = self._hues.reshape(_HUE_BINS, -1).sum(1) / max(1, self._hues.sum())
        seen = hues[hues > 0]
        warm = self._hues[int(_WARM_DEG[0]) : int(_WARM_DEG[1])].sum() / max(1, self._hues.sum())
        row: dict[str, Any] = {
            "images": len(self),
            "luminance_mean": round(float(np.mean(self._means)), 1),
            "pixels_10_90": [low, high],
            "image_means_10_90": [round(float(mean_low), 1), round(float(mean_high), 1)],
            "hue_entropy_bits": round(float(-(seen * np.log2(seen)).sum()), 2),
            "coloured": round(float(np.mean(self._coloured)), 3),
            "hue_15_60": round(float(warm), 3),
            "flat_blocks": round(float(np.mean(self._flat)), 3),
            "edges": round(float(np.mean(self._edges)), 3),
        }
        if self._objects:
            row["objects"] = round(float(np.mean(self._objects)), 1)
            row["coverage"] = round(float(np.mean(self._covered)), 3)
            row["size_spread_log2"] = round(float(np.std(self._sizes)), 2)
        return row


def training_views(config: Path, count: int) -> Iterator[tuple[Image, NDArray[np.int32]]]:
    """The undegraded images of training questions, with their id images."""
    tree = load([config])
    world, cells = world_of(tree), cells_of(tree)
    backend = RoomsBackend()
    backend.warm()
    scenes = WarmScenes(backend, 2)
    dealt = deal(world, [cells[k % len(cells)] for k in range(count)], lambda cell: cell, lambda cell: cell[0])
    for number, (index, (skill, level)) in enumerate(dealt):
        scene_spec = training_scene(world, 1, index)
        name = f"s{number:06d}"
        spec = task_spec(world, 1, scene_spec, spec_id=name, seq=number, skill=skill, level=level, degradation="")
        try:
            frames = realise(scenes.get(spec.scene), spec, ("rgb", "ids")).frames
        except Infeasible:
            continue
        assert frames.rgb is not None and frames.ids is not None
        yield from zip(frames.rgb, frames.ids)
    scenes.close()


def photographs(paths: Sequence[Path]) -> Iterator[Image]:
    from PIL import Image as Files

    for path in paths:
        with Files.open(path) as opened:
            image = opened.convert("RGB")
            image.thumbnail((_LONGEST_PX, _LONGEST_PX))
            yield np.asarray(image)


def packaged() -> list[Path]:
    found = importlib.util.find_spec("skimage")
    if found is None or found.origin is None:
        print("scikit-image is not installed: its photographs are left out")
        return []
    folder = Path(found.origin).parent / "data"
    return [folder / name for name in _PACKAGED if (folder / name).exists()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--views", type=int, default=500)
    parser.add_argument("--config", type=Path, default=ROOT / "configs" / "qwen3-vl-4b.toml")
    parser.add_argument("--label", default="rooms")
    parser.add_argument("--photos", type=Path, help="a folder of photographs")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    rows: dict[str, Any] = json.loads(options.out.read_text())["rows"] if options.out.exists() else {}
    ours = Statistics()
    for rgb, ids in training_views(options.config, options.views):
        ours.add(rgb, ids)
        if len(ours) >= options.views:
            break
    rows[options.label] = {**ours.row(), "renderer_digest": RoomsBackend().digest}
    others = {"photographs of scikit-image": packaged()}
    if options.photos:
        others[f"photographs of {options.photos.name}"] = sorted(options.photos.iterdir())
    for label, paths in others.items():
        found = Statistics()
        for rgb in photographs(paths):
            found.add(rgb)
        if len(found):
            rows[label] = {**found.row(), "files": [path.name for path in paths]}
    for label, row in rows.items():
        print(label, json.dumps(row))
    options.out.write_text(json.dumps({"machine": describe_machine(), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
