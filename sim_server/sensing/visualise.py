"""What a scene's sensors tell, as pictures for people or as arrays in a file."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Dict, List, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from protocol.errors import VantageError
from protocol.run.directory import disk_guard
from protocol.tasks.scene import Camera, Pose
from sim_server.backends.base import Mappable, Scene
from sim_server.sensing.contact_sheet import contact_sheet
from sim_server.sensing.panorama import panorama

VIEW_SENSORS = ("rgb", "depth", "ids", "normals")
SHOWN = (*VIEW_SENSORS, "panorama", "map")
Arrays = Dict[str, NDArray]
Pictures = List[NDArray[np.uint8]]


def show(scene: Scene, sensor: str, poses: Sequence[Pose], camera: Camera, out: Path) -> None:
    """Writes what `sensor` sees from the poses into a picture file, or, with an ending of .npz, as arrays.

    A panorama is as wide as the camera's picture and half as high, a map as wide. Raises VantageError("bad_request")
    for a sensor that is none and a file that cannot be written, VantageError("unsupported") for one that is lacking.
    """
    if sensor not in SHOWN:
        raise VantageError("bad_request", f"there is no sensor {sensor!r}: choose among {', '.join(SHOWN)}.")
    try:
        if sensor == "map":
            arrays, pictures = _map(scene, camera.width_px)
        elif sensor == "panorama":
            arrays, pictures = _panoramas(scene, poses, camera.width_px)
        else:
            arrays, pictures = _views(scene, sensor, poses, camera)
    except ValueError as error:
        raise VantageError("bad_request", f"{error}.") from None
    if out.suffix == ".npz":
        with disk_guard(out):
            _write_arrays(out, arrays)
    else:
        save_picture(contact_sheet(pictures), out)


def save_picture(picture: Image.Image, out: Path) -> None:
    """Write a picture file. Raises VantageError("bad_request") where it cannot be written."""
    try:
        with disk_guard(out):
            picture.save(out)
    except ValueError as error:  # an ending that is none of a picture
        raise VantageError("bad_request", f"{out} cannot be written: {error}.") from None


def _views(scene: Scene, sensor: str, poses: Sequence[Pose], camera: Camera) -> tuple[Arrays, Pictures]:
    values = getattr(scene.render(poses, camera, (sensor,)), sensor)
    if values is None:
        raise VantageError("unsupported", f"{scene.description.backend} has no sensor {sensor}: use another simulator.")
    paint = {"rgb": np.asarray, "depth": _grey, "ids": _colours, "normals": _hues}[sensor]
    return {sensor: values}, [paint(view) for view in values]


def _panoramas(scene: Scene, poses: Sequence[Pose], width_px: int) -> tuple[Arrays, Pictures]:
    seen = [panorama(scene, pose, width_px) for pose in poses]
    arrays = {name: np.stack([getattr(one, name) for one in seen]) for name in ("rgb", "depth", "ids")}
    return arrays, list(arrays["rgb"])


def _map(scene: Scene, width_px: int) -> tuple[Arrays, Pictures]:
    if not isinstance(scene, Mappable):
        raise VantageError("unsupported", f"{scene.description.backend} draws no maps: use another simulator.")
    drawn = scene.top_down(width_px)
    place = np.array([drawn.x_min_m, drawn.z_min_m, drawn.m_per_px])
    return {"rgb": drawn.rgb, "ids": drawn.ids, "x_min_z_min_m_per_px": place}, [drawn.rgb]


def _grey(depth: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Near is bright; what is farthest in the view, and nothing, is black."""
    share = np.where(depth > 0, 1 - depth / max(float(depth.max()), 1e-6), 0)
    return np.repeat(np.round(share * 255).astype(np.uint8)[..., None], 3, -1)


def _colours(ids: NDArray[np.int32]) -> NDArray[np.uint8]:
    """A colour for every object, the same in every view; what is none is black."""
    hue = (ids * 0.618034) % 1 * 6  # steps of the golden ratio keep neighbours apart
    shade = np.where(ids % 3 == 0, 1.0, np.where(ids % 3 == 1, 0.75, 0.55))
    rgb = np.clip(np.stack([np.abs(hue - 3) - 1, 2 - np.abs(hue - 2), 2 - np.abs(hue - 4)], -1), 0, 1)
    return np.round(np.where(ids > 0, shade, 0)[..., None] * (0.2 + 0.8 * rgb) * 255).astype(np.uint8)


def _hues(normals: NDArray[np.float32]) -> NDArray[np.uint8]:
    """-1..1 as 0..255, the usual colours of normal maps; black where there is nothing."""
    there = (normals != 0).any(-1, keepdims=True)
    return np.round(np.where(there, normals * 0.5 + 0.5, 0) * 255).astype(np.uint8)


def _write_arrays(out: Path, arrays: Arrays) -> None:
    """An .npz file of plain arrays, which numpy.load reads without pickle."""
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, values in arrays.items():
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, np.ascontiguousarray(values), allow_pickle=False)
