"""A dataset with one good scene and many bad ones, each with one defect, and what a backend does with it."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path
from typing import Any, Callable, NamedTuple

import numpy as np

from protocol.errors import VantageError
from protocol.tasks.scene import Camera, Pose, SceneSpec
from sim_server.backends.base import Backend

_VIEW, _CAMERA = Pose((0.0, 1.4, 0.0), (1.0, 0.0, 0.0, 0.0)), Camera(64, 48)


class Outcome(NamedTuple):
    """What a bad scene led to. good: the good scene looks as before afterwards."""

    defect: str
    code: str
    sentence: str
    good: bool


def _glb(path: Path, change: Callable[[dict[str, Any]], None]) -> bytes:
    """The .glb with its JSON changed."""
    data = path.read_bytes()
    (length,) = struct.unpack_from("<I", data, 12)
    document = json.loads(data[20 : 20 + length])
    change(document)
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    rest = data[20 + length :]
    return struct.pack("<4sIIII", b"glTF", 2, 20 + len(text) + len(rest), len(text), 0x4E4F534A) + text + rest


def _longer_accessor(document: dict[str, Any]) -> None:
    document["accessors"][0]["count"] *= 1000


def _unknown_view(document: dict[str, Any]) -> None:
    document["accessors"][0]["bufferView"] = 999


def _cycle(document: dict[str, Any]) -> None:
    document["nodes"][0]["children"] = [0]


def _indices_beyond_vertices(document: dict[str, Any]) -> None:
    """Positions with a single vertex, which the indices exceed."""
    for mesh in document["meshes"]:
        for primitive in mesh["primitives"]:
            for accessor in primitive["attributes"].values():
                document["accessors"][accessor]["count"] = 1


def _no_meshes(document: dict[str, Any]) -> None:
    del document["meshes"]


# An object's asset that replaces a good one: its bytes, None for no file.
_ASSETS: dict[str, Callable[[Path], Any]] = {
    "object_missing": lambda good: None,
    "object_empty": lambda good: b"",
    "object_garbage": lambda good: b"not a mesh " * 100,
    "object_truncated": lambda good: good.read_bytes()[: good.stat().st_size // 2],
    "object_other_version": lambda good: good.read_bytes()[:4] + b"\x07" + good.read_bytes()[5:],
    "object_bad_json": lambda good: good.read_bytes().replace(b'"asset"', b'"asset,'),
    "object_long_accessor": lambda good: _glb(good, _longer_accessor),
    "object_unknown_view": lambda good: _glb(good, _unknown_view),
    "object_cycle": lambda good: _glb(good, _cycle),
    "object_indices": lambda good: _glb(good, _indices_beyond_vertices),
    "object_no_meshes": lambda good: _glb(good, _no_meshes),
}
# A change of the scene instance.
_INSTANCES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "template_unknown": lambda scene: scene["object_instances"][0].update(template_name="nothing like it"),
    "stage_unknown": lambda scene: scene["stage_instance"].update(template_name="nothing like it"),
    "rotation_zero": lambda scene: scene["object_instances"][0].update(rotation=[0, 0, 0, 0]),
    "translation_text": lambda scene: scene["object_instances"][0].update(translation="there"),
    "translation_nan": lambda scene: scene["object_instances"][0].update(translation=[float("nan"), 0, 0]),
    "objects_text": lambda scene: scene.update(object_instances="all"),
}
_TEXTS = {"instance_not_json": '{"stage_instance": ', "instance_empty": ""}


def make_dataset(home: Path, good: str, folder: Path) -> tuple[Path, list[str]]:
    """A copy in `folder` of the dataset `home`, whose scene `good` is copied once per defect; returns the defects."""
    config = Path(shutil.copytree(home.parent, folder)) / home.name
    scenes, objects = folder / "scenes", folder / "objects"
    text = (scenes / f"{good}.scene_instance.json").read_text()
    template = str(json.loads(text)["object_instances"][0]["template_name"]).rpartition("/")[2]
    settings = json.loads((objects / f"{template}.object_config.json").read_text())
    settings.get("user_defined", {}).pop("unlit_asset", None)
    for defect, content in _ASSETS.items():
        made = content(objects / settings["render_asset"])
        if made is not None:
            (objects / f"{defect}.glb").write_bytes(made)
        asset = {"render_asset": f"{defect}.glb", "collision_asset": f"{defect}.glb"}
        _write(objects / f"{defect}.object_config.json", {**settings, **asset})
        _instance(
            scenes, defect, text, lambda scene, name=defect: scene["object_instances"][0].update(template_name=name)
        )
    for defect, change in _INSTANCES.items():
        _instance(scenes, defect, text, change)
    for defect, content in _TEXTS.items():
        (scenes / f"{defect}.scene_instance.json").write_text(content)
    (objects / "template_not_json.object_config.json").write_text("{")
    _instance(
        scenes,
        "template_not_json",
        text,
        lambda scene: scene["object_instances"][0].update(template_name="template_not_json"),
    )
    for defect, content in (("stage_missing", None), ("stage_garbage", b"not a mesh")):
        if content is not None:
            (folder / "stages" / f"{defect}.glb").write_bytes(content)
        _write(folder / "stages" / f"{defect}.stage_config.json", {"render_asset": f"{defect}.glb"})
        _instance(
            scenes,
            defect,
            text,
            lambda scene, name=defect: scene["stage_instance"].update(template_name=f"stages/{name}"),
        )
    return config, sorted({path.name.partition(".")[0] for path in scenes.glob("*.json")} - _good_scenes(home))


def _good_scenes(home: Path) -> set[str]:
    return {path.name.partition(".")[0] for path in (home.parent / "scenes").glob("*.json")}


def _instance(scenes: Path, defect: str, text: str, change: Callable[[dict[str, Any]], Any]) -> None:
    scene = json.loads(text)
    change(scene)
    _write(scenes / f"{defect}.scene_instance.json", scene)


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value))


def open_each(backend: Backend, good: str, defects: list[str]) -> list[Outcome]:
    """Open every bad scene, and look at the good one after each."""
    before = _look(backend, good)
    outcomes = []
    for defect in defects:
        code, sentence = "opened", ""
        try:
            _look(backend, defect)
        except VantageError as error:
            code, sentence = error.code, error.message
        except Exception as error:
            code, sentence = type(error).__name__, str(error)
        outcomes.append(Outcome(defect, code, sentence, bool((_look(backend, good) == before).all())))
    return outcomes


def _look(backend: Backend, name: str) -> np.ndarray:
    scene = backend.open(SceneSpec(asset=name))
    rgb = scene.render([_VIEW], _CAMERA, ("rgb",)).rgb
    assert rgb is not None
    return rgb
