"""Reads Habitat scene datasets: the assets of a scene, their placements and names, and its rooms.

Only JSON is read and nothing heavy is imported, so that any backend can use this module. Formats: habitat-sim's
attributes (`*.scene_dataset_config.json`, `*.stage_config.json`, `*.object_config.json`, `*.scene_instance.json`,
`*.semantic_config.json`). A single .glb or .gltf file is a dataset of one scene.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any, Optional

from protocol.errors import VantageError
from protocol.tasks.scene import Opening, Room
from sim_server.backends.placements import Placement, SceneFiles, placement, vector, with_known_ids
from sim_server.backends.templates import ASSET_SUFFIXES, SUFFIXES, Template, Templates
from sim_server.backends.untrusted import LIMITS, OBJECTS, is_inside, read_json

CONFIG_SUFFIX = ".scene_dataset_config.json"
_SAME_NAME = "%%CONFIG_NAME_AS_ASSET_FILENAME%%"
_HEAD_BYTES = 65536
_MAX_ROOMS, _MAX_CORNERS, _MAX_COORDINATE_M = 1000, 1000, 1e5
_INVALID = (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError)


class SceneDataset:
    """A dataset on disk: `names` lists its scenes, `scene(name)` reads one. Only files inside its folder are read."""

    def __init__(self, path: Path) -> None:
        """`path`: a `*.scene_dataset_config.json`, or a .glb or .gltf file.

        Raises VantageError("bad_config") if it is neither, VantageError("corrupt") if it cannot be read.
        """
        self.path, self.root = path, path.parent
        self.is_one_file = path.suffix.lower() in ASSET_SUFFIXES
        if self.is_one_file:
            if not path.is_file():
                raise VantageError("bad_config", f"there is no file {path}: set sim.dataset to an existing file.")
            self.names: tuple[str, ...] = (path.stem,)
            return
        if not path.name.endswith(CONFIG_SUFFIX):
            raise VantageError(
                "bad_config",
                f"a dataset must be a file *{CONFIG_SUFFIX}, .glb or .gltf, not {str(path)!r}: correct sim.dataset.",
            )
        config = read_json(path, self.root)
        self._stages, self._objects, self._scenes, self._semantics = (
            Templates(path, config, section) for section in SUFFIXES
        )
        self.names = self._scenes.names() or self._stages.names()  # in datasets of scans, each stage is a scene
        if not self.names:
            raise VantageError(
                "corrupt",
                f"{path} lists no scenes: correct its paths, which match no {SUFFIXES['scene_instances']} and no "
                "stage.",
            )

    def digest(self) -> str:
        """Hash of the names, sizes and first 64 KiB of all files of the dataset."""
        total = hashlib.blake2b(digest_size=8)
        files = [self.path] if self.is_one_file else sorted(self.root.rglob("*"))
        for file in files:
            if file.is_file() and is_inside(file, self.root):
                total.update(f"{file.relative_to(self.root).as_posix()} {file.stat().st_size}\n".encode())
                with file.open("rb") as opened:
                    total.update(opened.read(_HEAD_BYTES))
        return total.hexdigest()

    def scene(self, name: str) -> SceneFiles:
        """Read one scene.

        Raises VantageError("bad_request") for a scene that is not in the dataset, VantageError("corrupt") with the
        file's name for an invalid file.
        """
        if name not in self.names:
            some = ", ".join(self.names[:8]) + (", …" if len(self.names) > 8 else "")
            raise VantageError("bad_request", f"dataset {self.path} has no scene {name!r}: choose among {some}.")
        if self.is_one_file:
            return self._lone(name, placement(0, name, {}, {}, self.path, ""))
        if name not in self._scenes.names():
            stage = self._stages.find(name, self.path)
            return self._lone(name, self._place(self._stages, stage, {"translation_origin": "asset_local"}, 0, {}))
        template = self._scenes.find(name, self.path)
        config = self._scenes.attributes(template)
        try:
            return self._instance(name, template.file, config)
        except VantageError:
            raise
        except _INVALID as error:
            raise _wrong(template.file, f"is not a valid scene ({type(error).__name__}: {error})") from error

    def _lone(self, name: str, stage: Placement) -> SceneFiles:
        return SceneFiles(name, self.root, stage.asset, stage)

    def _instance(self, name: str, file: Path, config: dict[str, Any]) -> SceneFiles:
        words, rooms = self._semantic(name, str(config.get("semantic_scene_instance", "")))
        stage_entry = config.get("stage_instance")
        stage = None
        if stage_entry is not None:
            template = self._stages.find(str(stage_entry["template_name"]), file)
            stage = self._place(self._stages, template, {"translation_origin": "asset_local", **stage_entry}, 0, words)
        entries = config.get("object_instances", [])
        if len(entries) > LIMITS[OBJECTS]:
            raise _wrong(file, f"has more than {LIMITS[OBJECTS]} objects")
        origin = config.get("translation_origin", "COM")
        templates = [self._objects.find(str(entry["template_name"]), file) for entry in entries]
        semantic = [int(self._objects.attributes(t).get("semantic_id", 0)) for t in templates]
        # semantic ids are object ids if all are distinct; if they are classes (HSSD), instances are numbered instead
        own = all(0 < s < 2**31 for s in semantic) and len(set(semantic)) == len(semantic)
        objects = tuple(
            self._place(
                self._objects, template, {"translation_origin": origin, **entry}, semantic[k] if own else k + 1, words
            )
            for k, (template, entry) in enumerate(zip(templates, entries))
        )
        user = dict(config.get("user_defined", {}))
        openings = tuple(
            Opening(str(o["kind"]), tuple(int(i) for i in o["room_ids"]), vector(o["min_m"]), vector(o["max_m"]))
            for o in user.get("openings", [])
        )
        articulated = len(config.get("articulated_object_instances", []))
        objects, area = with_known_ids(objects, rooms), _area(user.get("navigable_area_m2"))
        return SceneFiles(name, self.root, file, stage, objects, rooms, openings, area, articulated, user)

    def _place(
        self, section: Templates, template: Template, entry: dict[str, Any], object_id: int, words: dict[int, str]
    ) -> Placement:
        values, file = section.attributes(template), template.file
        try:
            name = template.name
            given = values.get("render_asset") or values.get("collision_asset")
            asset = template.folder / str(given).replace(_SAME_NAME, name) if given else file
            if asset.suffix.lower() not in ASSET_SUFFIXES:
                raise VantageError(
                    "unsupported",
                    f"{file} uses {asset.name!r}: convert it to .glb or .gltf, no other format is supported.",
                )
            if not is_inside(asset, self.root):
                raise _wrong(file, f"refers to {asset.name}, which does not exist inside {self.root}")
            word = words.get(int(values.get("semantic_id", 0)), "")
            return placement(object_id, name, values, entry, asset, word)
        except VantageError:
            raise
        except _INVALID as error:
            raise _wrong(file, f"is not a valid asset description ({type(error).__name__}: {error})") from error

    def _semantic(self, scene: str, handle: str) -> tuple[dict[int, str], tuple[Room, ...]]:
        """Category by class id, and the rooms, from the semantic description of a scene."""
        template = self._semantics.lookup(handle.replace(_SAME_NAME, scene)) if handle else None
        # scans have .txt and .house files, which only Habitat reads
        if template is None or template.file.suffix != ".json":
            return {}, ()
        config = self._semantics.attributes(template)
        try:
            lexicon = config
            if "classes" not in config and config.get("semantic_descriptor_filename"):
                lexicon = read_json(template.folder / str(config["semantic_descriptor_filename"]), self.root)
            words = {int(c["id"]): str(c["name"]).replace("_", " ") for c in lexicon.get("classes", [])}
            regions = config.get("region_annotations", [])
            if len(regions) > _MAX_ROOMS:
                raise ValueError(f"more than {_MAX_ROOMS} regions")
            rooms = tuple(_room(k + 1, region) for k, region in enumerate(regions))
        except _INVALID as error:
            defect = f"has no valid regions or classes ({type(error).__name__}: {error})"
            raise _wrong(template.file, defect) from error
        return words, rooms


def _room(room_id: int, entry: dict[str, Any]) -> Room:
    floor, height, loop = entry["floor_height"], entry["extrusion_height"], entry["poly_loop"]
    outline = [vector(point) for point in loop]
    (_, low, high) = vector((0, floor, float(floor) + float(height)))
    if not 3 <= len(outline) <= _MAX_CORNERS or not low < high:
        raise ValueError(f"a region has fewer than 3 or more than {_MAX_CORNERS} corners, or no height")
    if any(abs(v) > _MAX_COORDINATE_M for v in (low, high, *(x for point in outline for x in point))):
        raise ValueError(f"a region is farther than {_MAX_COORDINATE_M:.0f} m from the origin")
    return Room(
        id=room_id,
        category=str(entry.get("label") or entry["name"]).replace("_", " "),
        polygon_xz_m=tuple((x, z) for x, _, z in outline),
        floor_y_m=low,
        ceiling_y_m=high,
    )


def _area(value: Any) -> Optional[float]:
    known = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
    return float(value) if known else None


def _wrong(path: Path, defect: str) -> VantageError:
    return VantageError("corrupt", f"{path} {defect}: correct it or restore the file.")
