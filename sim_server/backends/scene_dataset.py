"""Reads Habitat scene datasets: the assets of a scene, their placements and names, and its rooms.

Only JSON is read and nothing heavy is imported, so that any backend can use this module. Formats: habitat-sim's
attributes (`*.scene_dataset_config.json`, `*.stage_config.json`, `*.object_config.json`, `*.scene_instance.json`,
`*.semantic_config.json`). A single .glb or .gltf file is a dataset of one scene.
"""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any, Optional

from protocol.errors import VantageError
from protocol.tasks.scene import Opening, Room
from sim_server.backends.placements import Placement, SceneFiles, placement, vector, with_known_ids

CONFIG_SUFFIX = ".scene_dataset_config.json"
ASSET_SUFFIXES = (".glb", ".gltf")
_STAGE, _OBJECT, _SCENE = ".stage_config.json", ".object_config.json", ".scene_instance.json"
_SEMANTIC = ".semantic_config.json"
_SAME_NAME = "%%CONFIG_NAME_AS_ASSET_FILENAME%%"
_HEAD_BYTES = 65536


class SceneDataset:
    """A dataset on disk: `names` lists its scenes, `scene(name)` reads one."""

    def __init__(self, path: Path) -> None:
        """`path`: a `*.scene_dataset_config.json`, or a .glb or .gltf file.

        Raises VantageError("bad_config") if it is neither, VantageError("corrupt") if it cannot be read.
        """
        self.path = path
        self._templates: dict[str, dict[str, Path]] = {}
        self._defaults: dict[str, dict[str, Any]] = {}
        self._semantics: dict[str, Path] = {}
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
        config = _read(path)
        self._templates["stages"] = self._listed(config, "stages", _STAGE)
        self._templates["objects"] = self._listed(config, "objects", _OBJECT)
        self._templates["scene_instances"] = self._listed(config, "scene_instances", _SCENE)
        self._semantics = self._listed(config, "semantic_scene_descriptor_instances", _SEMANTIC)
        self.names = tuple(sorted(Path(key).name for key in self._templates["scene_instances"]))
        if not self.names:  # datasets of scans: each stage is a scene
            self.names = tuple(sorted(Path(key).name for key in self._templates["stages"]))
        if not self.names:
            raise VantageError(
                "corrupt", f"{path} lists no scenes: correct its paths, which match no {_SCENE} and no stage."
            )

    def digest(self) -> str:
        """Hash of the names, sizes and first 64 KiB of all files of the dataset."""
        total = hashlib.blake2b(digest_size=8)
        root = self.path.parent
        files = [self.path] if self.is_one_file else sorted(root.rglob("*"))
        for file in files:
            if file.is_file():
                total.update(f"{file.relative_to(root).as_posix()} {file.stat().st_size}\n".encode())
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
            return _lone(name, placement(0, name, {}, {}, self.path, ""))
        scenes = self._templates["scene_instances"]
        key = next((k for k in scenes if Path(k).name == name), None)
        if key is None:
            stage = self._find("stages", name, self.path)
            return _lone(name, self._place("stages", stage, {"translation_origin": "asset_local"}, 0, {}))
        file = scenes[key]
        config = {**self._defaults["scene_instances"], **_read(file)}
        try:
            return self._instance(name, file, config)
        except VantageError:
            raise
        except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise _wrong(file, f"is not a valid scene ({type(error).__name__}: {error})") from error

    def _instance(self, name: str, file: Path, config: dict[str, Any]) -> SceneFiles:
        words, rooms = self._semantic(name, str(config.get("semantic_scene_instance", "")))
        stage_entry = config.get("stage_instance")
        stage = None
        if stage_entry is not None:
            template = self._find("stages", str(stage_entry["template_name"]), file)
            stage = self._place("stages", template, {"translation_origin": "asset_local", **stage_entry}, 0, words)
        entries = config.get("object_instances", [])
        origin = config.get("translation_origin", "COM")
        templates = [self._find("objects", str(entry["template_name"]), file) for entry in entries]
        semantic = [int(self._template("objects", t).get("semantic_id", 0)) for t in templates]
        # semantic ids are object ids if all are distinct; if they are classes (HSSD), instances are numbered instead
        own = all(s > 0 for s in semantic) and len(set(semantic)) == len(semantic)
        objects = tuple(
            self._place(
                "objects", template, {"translation_origin": origin, **entry}, semantic[k] if own else k + 1, words
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
        return SceneFiles(name, file, stage, objects, rooms, openings, area, articulated, user)

    # ------------------------------------------------------------------ templates

    def _listed(self, config: dict[str, Any], section: str, suffix: str) -> dict[str, Path]:
        """The section's files by name, which is the path in the dataset without the suffix."""
        root, out = self.path.parent, {}
        try:
            entry = config.get(section, {})
            self._defaults[section] = dict(entry.get("default_attributes", {}))
            for extension, patterns in entry.get("paths", {}).items():
                for pattern in patterns:
                    folder = root / pattern
                    matches = [folder] if folder.exists() else sorted(root.glob(pattern.lstrip("/")))
                    for match in matches:
                        wanted = suffix if extension == ".json" else extension
                        for file in sorted(match.glob(f"*{wanted}")) if match.is_dir() else [match]:
                            if file.name.endswith(wanted):
                                out[file.as_posix()[: -len(wanted)]] = file
            if section == "semantic_scene_descriptor_instances":
                named = {k: v for k, v in entry.items() if k not in ("paths", "default_attributes")}
                out.update({handle: root / place for handle, place in named.items()})
        except (TypeError, ValueError, AttributeError, NotImplementedError, OSError) as error:
            raise _wrong(self.path, f"has an invalid section {section!r} ({error})") from None
        return out

    def _find(self, section: str, name: str, used_by: Path) -> Path:
        """Find a template by the end of its path, else by a part of it, as Habitat does."""
        templates = self._templates[section]
        for suffix in (_STAGE, _OBJECT, *ASSET_SUFFIXES):
            name = name[: -len(suffix)] if name.endswith(suffix) else name
        for key, file in templates.items():
            if key == name or key.endswith("/" + name):
                return file
        for key, file in templates.items():
            if name in key:
                return file
        raise _wrong(used_by, f"refers to the template {name!r}, which is not among the {section} of {self.path.name}")

    def _template(self, section: str, file: Path) -> dict[str, Any]:
        own = {} if file.suffix.lower() in ASSET_SUFFIXES else _read(file)
        return {**self._defaults[section], **own}

    def _place(
        self, section: str, file: Path, entry: dict[str, Any], object_id: int, words: dict[int, str]
    ) -> Placement:
        template = self._template(section, file)
        try:
            if file.suffix.lower() in ASSET_SUFFIXES:
                asset, name = file, file.stem
            else:
                name = file.name[: -len(_STAGE if section == "stages" else _OBJECT)]
                asset = file.parent / str(template["render_asset"]).replace(_SAME_NAME, name)
            if asset.suffix.lower() not in ASSET_SUFFIXES:
                raise VantageError(
                    "unsupported",
                    f"{file} uses {asset.name!r}: convert it to .glb or .gltf, no other format is supported.",
                )
            if not asset.is_file():
                raise _wrong(file, f"refers to {asset.name}, which does not exist")
            word = words.get(int(template.get("semantic_id", 0)), "")
            return placement(object_id, name, template, entry, asset, word)
        except VantageError:
            raise
        except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise _wrong(file, f"is not a valid asset description ({type(error).__name__}: {error})") from error

    # ------------------------------------------------------------------ words and rooms

    def _semantic(self, scene: str, handle: str) -> tuple[dict[int, str], tuple[Room, ...]]:
        """Category by class id, and the rooms, from the semantic description of a scene."""
        handle = handle.replace(_SAME_NAME, scene)
        if not handle:
            return {}, ()
        stem = handle[: -len(_SEMANTIC)] if handle.endswith(_SEMANTIC) else handle
        file = next((f for k, f in self._semantics.items() if k == handle or Path(k).name == Path(stem).name), None)
        if file is None or file.suffix != ".json":  # scans have .txt and .house files, which only Habitat reads
            return {}, ()
        default = self._defaults["semantic_scene_descriptor_instances"]
        config = {**default, **_read(file)}
        try:
            lexicon = config
            if "classes" not in config and config.get("semantic_descriptor_filename"):
                lexicon = _read(file.parent / str(config["semantic_descriptor_filename"]))
            words = {int(c["id"]): str(c["name"]).replace("_", " ") for c in lexicon.get("classes", [])}
            rooms = tuple(_room(k + 1, r) for k, r in enumerate(config.get("region_annotations", [])))
        except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise _wrong(file, f"has no valid regions or classes ({type(error).__name__}: {error})") from error
        return words, rooms


def _lone(name: str, stage: Placement) -> SceneFiles:
    return SceneFiles(name, stage.asset, stage)


def _room(room_id: int, entry: dict[str, Any]) -> Room:
    floor = float(entry["floor_height"])
    return Room(
        id=room_id,
        category=str(entry.get("label") or entry["name"]).replace("_", " "),
        polygon_xz_m=tuple((float(p[0]), float(p[2])) for p in entry["poly_loop"]),
        floor_y_m=floor,
        ceiling_y_m=floor + float(entry["extrusion_height"]),
    )


def _area(value: Any) -> Optional[float]:
    known = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
    return float(value) if known else None


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise VantageError("corrupt", f"{path} cannot be read ({error.strerror or error}): restore the file.") from None
    except (ValueError, RecursionError) as error:
        raise _wrong(path, f"contains invalid JSON ({error})") from None
    if not isinstance(value, dict):
        raise _wrong(path, "contains no JSON object")
    return value


def _wrong(path: Path, defect: str) -> VantageError:
    return VantageError("corrupt", f"{path} {defect}: correct it or restore the file.")
