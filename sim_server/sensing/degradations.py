"""Image degradations as an axis of difficulty: fog, blur, noise, a dirty or distorting lens, and others.

`DegradedScene` wraps a scene and degrades its images in physical order: air, lens, dirt on the lens, camera shake,
exposure, sensor, file. The tables below define the severities. The truth remains consistent with the images:

- lens distortion moves objects in the image, so that ids and depth are distorted alike and `Frames.lens` is set;
- pixels hidden by fog or dirt count as occluded: amodal counts are raised so that the visible fraction of an object is
  that of its plain pixels, and questions about objects that are hidden too much are rejected.

Ids still include every object, so that an object in the fog still makes a name or a count ambiguous.
"""

from __future__ import annotations

import functools
import math
from typing import Any, Optional, Sequence, Union

import numpy as np
from numpy.typing import NDArray

from protocol.errors import VantageError
from protocol.seeds import rng_for
from protocol.tasks.scene import Camera, Pose
from protocol.tasks.task import DEGRADATIONS, HIDING, Degradation, TaskSpec
from protocol.wire.messages import Observe
from sim_server.backends.base import Backend, Frames, Scene, SceneWrapper
from sim_server.numba_cache import set_cache_dir
from sim_server.sensing.lens import sources

VERSION = 1  # increase it when a degradation gives different pixels

# By severity 0..4. Lengths are fractions of the image width, so that they look alike at every size.
FOG_PER_M = (0.06, 0.12, 0.21, 0.33, 0.50)  # optical depth per metre; transmission over 3 m is 84 … 22 %
FOG_COLOR = (0.58, 0.61, 0.64)  # linear
DEFOCUS_RADIUS = (0.004, 0.008, 0.013, 0.019, 0.027)  # circle of confusion at infinity
DEFOCUS_MIN_PX = 0.8  # added, so that small images are blurred too
FOCUS_M = 0.5  # the camera is focused too near
LENS_K = (0.06, 0.12, 0.20, 0.30, 0.45)
DIRT_SPOTS = (3, 6, 11, 18, 28)
DIRT_RADIUS = (0.012, 0.07)
MOTION_LENGTH = (0.014, 0.024, 0.038, 0.056, 0.080)
OVER_GAIN = (1.5, 2.1, 3.0, 4.4, 6.5)
LOW_GAIN = (0.42, 0.25, 0.15, 0.085, 0.05)
LOW_NOISE = (2.0, 3.0, 4.0, 5.0, 6.0)  # standard deviation, levels of 255
NOISE = (6.0, 12.0, 20.0, 32.0, 48.0)
JPEG_QUALITY = (40, 24, 14, 8, 5)

PLAIN_TRANSMISSION = 0.15  # a pixel is plain if at least this fraction of its object's light is transmitted
_DIRT_RGB = np.array([86.0, 78.0, 66.0], np.float32)
_DISC_TAPS = 28

Rgb = NDArray[np.uint8]


class DegradedScene(SceneWrapper):
    """A scene seen through a degraded camera.

    Random choices (direction of shake, dirt, noise) depend on (run_seed, seq) and, except for dirt, on the view's
    index: dirt stays on the lens from view to view.
    """

    def __init__(
        self, scene: Scene, degradations: Sequence[Degradation], run_seed: int, seq: int, first_index: int = 0
    ) -> None:
        """`first_index`: the index of the first view that is rendered.

        Raises VantageError("bad_request") if a degradation is repeated.
        """
        severities = {item.name: item.severity for item in degradations}
        if len(severities) < len(degradations):
            raise VantageError("bad_request", "a degradation is repeated; name each one only once.")
        super().__init__(scene)
        self._severities = severities
        self._seed = (run_seed, "degrade", seq)
        self._first_index = first_index

    def render(self, poses: Sequence[Pose], camera: Camera, sensors: Sequence[str]) -> Frames:
        wanted, has = set(sensors), self._severities
        needed = set(wanted)
        if "rgb" in wanted and ("fog" in has or "defocus" in has):
            needed.add("depth")
        if "amodal" in wanted and has.keys() & HIDING:
            needed |= {"depth", "ids"}
        frames = self.scene.render(poses, camera, tuple(sorted(needed)))
        k = LENS_K[has["lens_distortion"]] if "lens_distortion" in has else 0.0
        for index in range(len(frames.poses)):
            self._degrade_view(frames, index, k)
        return Frames(
            poses=frames.poses,
            camera=camera,
            rgb=frames.rgb,
            depth=frames.depth if "depth" in wanted else None,
            ids=frames.ids if "ids" in wanted else None,
            amodal=frames.amodal,
            normals=frames.normals,
            lens=k,
        )

    def _degrade_view(self, frames: Frames, index: int, k: float) -> None:
        depth = None if frames.depth is None else frames.depth[index]
        camera = frames.camera
        plain: Optional[NDArray[np.bool_]] = None
        if depth is not None and "fog" in self._severities and frames.amodal is not None:
            plain = _fog_is_thin(depth, camera, FOG_PER_M[self._severities["fog"]])
        if frames.rgb is not None:
            frames.rgb[index] = self._degrade_colour(frames.rgb[index], depth, camera, index)
        ids = None if frames.ids is None else frames.ids[index]
        before = None if frames.amodal is None or ids is None else np.bincount(ids.ravel())
        if k:
            _, nearest = sources(camera.height_px, camera.width_px, k)
            for field in (frames.depth, frames.ids):
                if field is not None:
                    field[index] = field[index].ravel()[nearest]
            if frames.normals is not None:
                frames.normals[index] = frames.normals[index].reshape(-1, 3)[nearest]
            plain = None if plain is None else plain.ravel()[nearest]
        if "dirt" in self._severities and frames.amodal is not None:
            clean = self._dirt(camera) < 0.5
            plain = clean if plain is None else plain & clean
        if frames.amodal is not None and ids is not None and before is not None and (k or plain is not None):
            frames.amodal[index] = _with_hidden(frames.amodal[index], before, ids, plain)

    def _degrade_colour(self, rgb: Rgb, depth: Optional[NDArray[np.float32]], camera: Camera, index: int) -> Rgb:
        """Apply every degradation to rgb uint8 [H, W, 3] in the order of DEGRADATIONS."""
        for name in DEGRADATIONS:
            if name in self._severities:
                rng = rng_for(*self._seed, name, self._first_index + index)
                rgb = self._apply(name, self._severities[name], rgb, depth, camera, rng)
        return rgb

    def _apply(
        self,
        name: str,
        severity: int,
        rgb: Rgb,
        depth: Optional[NDArray[np.float32]],
        camera: Camera,
        rng: np.random.Generator,
    ) -> Rgb:
        kernels = _kernels()
        width_px = camera.width_px
        tables = (kernels.LINEAR, kernels.LEVEL)
        out = np.empty_like(rgb)
        if name == "fog":
            assert depth is not None
            focal_px = np.float32(width_px / 2 / math.tan(camera.hfov_rad / 2))
            air = np.array(FOG_COLOR, np.float32)
            through = np.empty(depth.shape, np.float32)
            density = np.float32(FOG_PER_M[severity])
            kernels.fog(rgb, depth, focal_px, density, air, *tables, kernels.TRANSMISSION, out, through)
        elif name == "defocus":
            assert depth is not None
            radius_px = np.float32(DEFOCUS_MIN_PX + DEFOCUS_RADIUS[severity] * width_px)
            kernels.defocus(rgb, depth, np.float32(FOCUS_M), radius_px, _disc(), *tables, out)
        elif name == "lens_distortion":
            kernels.resample(rgb, sources(camera.height_px, width_px, LENS_K[severity])[0], out)
        elif name == "dirt":
            cover = self._dirt(camera)[..., None]
            out[:] = rgb * (1 - cover) + _DIRT_RGB * cover + np.float32(0.5)
        elif name == "motion_blur":
            out = _shake(rgb, MOTION_LENGTH[severity] * width_px, float(rng.uniform(0, math.pi)), *tables)
        elif name == "compression":
            kernels.compress(rgb, *_jpeg_tables(JPEG_QUALITY[severity]), _cosines(), out)
        else:
            gain = {"over_exposure": OVER_GAIN, "low_light": LOW_GAIN}.get(name, (1.0,) * 5)[severity]
            deviation = {"noise": NOISE, "low_light": LOW_NOISE}.get(name, (0.0,) * 5)[severity]
            seed = np.uint32(rng.integers(2**32))
            kernels.sensor(rgb, np.float32(gain), np.float32(deviation), seed, *tables, out)
        return out

    def _dirt(self, camera: Camera) -> NDArray[np.float32]:
        """Opacity of the dirt, 0..1, float32 [H, W]; a higher severity includes the spots of lower ones."""
        rng = rng_for(*self._seed, "dirt")
        height, width = camera.height_px, camera.width_px
        clear = np.ones((height, width), np.float32)
        least, most = (fraction * max(width, height) for fraction in DIRT_RADIUS)
        for _ in range(DIRT_SPOTS[self._severities["dirt"]]):
            radius = least + (most - least) * rng.uniform() ** 2
            row, column = rng.uniform(0, height), rng.uniform(0, width)
            stretch, strength = rng.uniform(0.6, 1.6), rng.uniform(0.75, 0.97)
            reach = int(radius * 2.6) + 1
            rows = np.arange(max(0, int(row) - reach), min(height, int(row) + reach))[:, None]
            columns = np.arange(max(0, int(column) - reach), min(width, int(column) + reach))[None]
            squared = ((rows + 0.5 - row) ** 2 * stretch + (columns + 0.5 - column) ** 2 / stretch) / radius**2
            soft = np.clip((2.0 - squared) / 1.4, 0, 1)  # 1 within 0.8 of the radius, 0 beyond 1.4
            clear[rows, columns] *= (1 - strength * soft).astype(np.float32)
        return 1 - clear


def degraded(scene: Scene, request: Union[TaskSpec, Observe]) -> Scene:
    """The scene with the degradations of a spec or request; the scene itself if there are none."""
    if not request.degradations:
        return scene
    index = request.index if isinstance(request, Observe) else 0
    return DegradedScene(scene, request.degradations, request.run_seed, request.seq, index)


def digest_for(backend: Backend, request: Union[TaskSpec, Observe]) -> str:
    """The renderer digest of views: that of the backend, plus this module's version if there are degradations."""
    return f"{backend.digest}+degraded-{VERSION}" if request.degradations else backend.digest


@functools.lru_cache(maxsize=1)
def _kernels() -> Any:
    """The kernels, imported on first use, so that a process without degradations does not import Numba."""
    set_cache_dir()
    from sim_server.sensing import degradation_kernels as degrade_kernels

    return degrade_kernels


def _fog_is_thin(depth: NDArray[np.float32], camera: Camera, density: float) -> NDArray[np.bool_]:
    focal_px = camera.width_px / 2 / math.tan(camera.hfov_rad / 2)
    x = (np.arange(camera.width_px) + 0.5 - camera.width_px / 2) / focal_px
    y = (np.arange(camera.height_px) + 0.5 - camera.height_px / 2) / focal_px
    distance_m = depth * np.sqrt(1 + x**2 + (y**2)[:, None])
    return (depth > 0) & (distance_m * density < -math.log(PLAIN_TRANSMISSION))


def _with_hidden(
    amodal: dict[int, int], before: NDArray[np.int64], ids: NDArray[np.int32], plain: Optional[NDArray[np.bool_]]
) -> dict[int, int]:
    """Amodal counts for which visible / amodal is the old visible fraction times the fraction of plain pixels.

    before: pixels per id as rendered; ids: those of the image, distortion included. Distortion is assumed to change
    amodal and visible pixels of an object by the same factor.
    """
    now = np.bincount(ids.ravel(), minlength=len(before))
    clear = now if plain is None else np.bincount(ids[plain], minlength=len(before))
    result: dict[int, int] = {}
    for key, count in amodal.items():
        if key >= len(before) or not before[key] or not now[key]:
            result[key] = count
        else:
            fraction = clear[key] / now[key] * before[key] / count
            result[key] = max(int(now[key]), round(now[key] / max(fraction, 1e-6)))
    return result


def _shake(rgb: Rgb, length_px: float, angle_rad: float, linear: NDArray[np.float32], level: NDArray[np.uint8]) -> Rgb:
    """The mean of the image shifted along a straight line of this length, in linear light.

    Takes whole pixel steps along the longer axis, weighted by their coverage, and interpolates along the other axis.
    """
    height, width = rgb.shape[:2]
    down, right = math.sin(angle_rad), math.cos(angle_rad)
    steep = abs(down) > abs(right)
    slope = right / down if steep else down / right
    half = (length_px * max(abs(down), abs(right)) + 1) / 2  # plus the extent of the pixel itself
    reach = math.ceil(half) + 1
    light = np.pad(linear[rgb], ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    total = np.zeros(rgb.shape, np.float32)
    for step in range(1 - reach, reach):
        covered = min(step + 0.5, half) - max(step - 0.5, -half)
        aside = math.floor(step * slope)
        beyond = step * slope - aside
        for offset, fraction in ((aside, 1 - beyond), (aside + 1, beyond)):
            if covered * fraction > 1e-6:
                row, column = (reach + step, reach + offset) if steep else (reach + offset, reach + step)
                total += light[row : row + height, column : column + width] * np.float32(covered * fraction)
    steps = np.float32((len(level) - 1) / (2 * half))
    return level[(total * steps + np.float32(0.5)).astype(np.int32)]


@functools.lru_cache(maxsize=1)
def _disc() -> NDArray[np.float32]:
    """Evenly spread points of the unit disc (Vogel's spiral), float32 [T, 2]."""
    turn = np.arange(_DISC_TAPS) * math.pi * (3 - math.sqrt(5))
    radius = np.sqrt((np.arange(_DISC_TAPS) + 0.5) / _DISC_TAPS)
    return np.stack([radius * np.sin(turn), radius * np.cos(turn)], -1).astype(np.float32)


@functools.lru_cache(maxsize=1)
def _cosines() -> NDArray[np.float32]:
    """The orthonormal discrete cosine transform of 8 values, float32 [frequency, position]."""
    frequency, place = np.mgrid[0:8, 0:8]
    matrix = np.cos((2 * place + 1) * frequency * math.pi / 16) / 2
    matrix[0] /= math.sqrt(2)
    return matrix.astype(np.float32)


# The example tables of ITU-T T.81, annex K.
_LUMA = (
    *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22),
    *(29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87),
    *(103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMA_CORNER = ((17, 18, 24, 47), (18, 21, 26, 66), (24, 26, 56, 99), (47, 66, 99, 99))


@functools.lru_cache(maxsize=8)
def _jpeg_tables(quality: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Quantisation tables of luma and chroma, float32 [8, 8], scaled to a quality as in the IJG library."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    luma = np.array(_LUMA, np.float64).reshape(8, 8)
    chroma = np.full((8, 8), 99.0)
    chroma[:4, :4] = _CHROMA_CORNER
    first, second = (np.clip((table * scale + 50) // 100, 1, 255).astype(np.float32) for table in (luma, chroma))
    return first, second
