"""Writes sensor output as image files for people, or as arrays."""

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
Images = List[NDArray[np.uint8]]


def show(scene: Scene, sensor: str, poses: Sequence[Pose], camera: Camera, out: Path) -> None:
    """Write a sensor's view from each pose to an image file, or as arrays if `out` ends with .npz.

    Panoramas and maps have the camera's width. Raises VantageError("bad_request") for an unknown sensor and a file that
    cannot be written, VantageError("unsupported") if the backend lacks the sensor.
    """
    if sensor not in SHOWN:
        raise VantageError("bad_request", f"unknown sensor {sensor!r}: choose among {', '.join(SHOWN)}.")
    try:
        if sensor == "map":
            arrays, images = _map(scene, camera.width_px)
        elif sensor == "panorama":
            arrays, images = _panoramas(scene, poses, camera.width_px)
        else:
            arrays, images = _views(scene, sensor, poses, camera)
    except ValueError as error:
        raise VantageError("bad_request", f"{error}.") from None
    if out.suffix == ".npz":
        with disk_guard(out):
            _write_arrays(out, arrays)
    else:
        save_image(contact_sheet(images), out)


def save_image(image: Image.Image, out: Path) -> None:
    """Write an image file. Raises VantageError("bad_request") if it cannot be written."""
    try:
        with disk_guard(out):
            image.save(out)
    except ValueError as error:  # the suffix is not an image format
        raise VantageError("bad_request", f"{out} cannot be written: {error}.") from None


def _views(scene: Scene, sensor: str, poses: Sequence[Pose], camera: Camera) -> tuple[Arrays, Images]:
    values = getattr(scene.render(poses, camera, (sensor,)), sensor)
    if values is None:
        raise VantageError("unsupported", f"{scene.description.backend} has no sensor {sensor}: use another simulator.")
    paint = {"rgb": np.asarray, "depth": grey, "ids": colours, "normals": _hues}[sensor]
    return {sensor: values}, [paint(view) for view in values]


def _panoramas(scene: Scene, poses: Sequence[Pose], width_px: int) -> tuple[Arrays, Images]:
    seen = [panorama(scene, pose, width_px) for pose in poses]
    arrays = {name: np.stack([getattr(one, name) for one in seen]) for name in ("rgb", "depth", "ids")}
    return arrays, list(arrays["rgb"])


def _map(scene: Scene, width_px: int) -> tuple[Arrays, Images]:
    if not isinstance(scene, Mappable):
        raise VantageError("unsupported", f"{scene.description.backend} cannot render maps: use another simulator.")
    drawn = scene.top_down(width_px)
    place = np.array([drawn.x_min_m, drawn.z_min_m, drawn.m_per_px])
    return {"rgb": drawn.rgb, "ids": drawn.ids, "x_min_z_min_m_per_px": place}, [drawn.rgb]


def grey(depth: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Depth as grey: near is bright; the farthest pixel and the background are black."""
    brightness = np.where(depth > 0, 1 - depth / max(float(depth.max()), 1e-6), 0)
    return np.repeat(np.round(brightness * 255).astype(np.uint8)[..., None], 3, -1)


def colours(ids: NDArray[np.int32]) -> NDArray[np.uint8]:
    """A colour per object id, the same in every view; 0 is black."""
    hue = (ids * 0.618034) % 1 * 6  # golden-ratio steps give neighbouring ids distinct hues
    shade = np.where(ids % 3 == 0, 1.0, np.where(ids % 3 == 1, 0.75, 0.55))
    rgb = np.clip(np.stack([np.abs(hue - 3) - 1, 2 - np.abs(hue - 2), 2 - np.abs(hue - 4)], -1), 0, 1)
    return np.round(np.where(ids > 0, shade, 0)[..., None] * (0.2 + 0.8 * rgb) * 255).astype(np.uint8)


def _hues(normals: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Normals as colours (-1..1 to 0..255), black where there are none."""
    there = (normals != 0).any(-1, keepdims=True)
    return np.round(np.where(there, normals * 0.5 + 0.5, 0) * 255).astype(np.uint8)


def _write_arrays(out: Path, arrays: Arrays) -> None:
    """Write an .npz file of plain arrays, which numpy.load reads without pickle."""
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, values in arrays.items():
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, np.ascontiguousarray(values), allow_pickle=False)
