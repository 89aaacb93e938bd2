"""The response of the camera: exposure, white balance, contrast and noise, drawn per scene and varied per standpoint.

The named palette has a neutral response without noise, so that its colours are always the same.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from protocol.seeds import rng_for
from protocol.tasks.scene import SceneSpec

F32 = NDArray[np.float32]

TONE_STEPS = 4096
_CONTRASTS = (0.0, 0.06, 0.12, 0.18)  # of the tone curves
_EXPOSURE_EV = {"day": (-1.7, 0.1), "overcast": (-1.7, 0.1), "evening": (-1.5, 0.3), "night": (-1.5, 0.3)}
_STANDPOINT_EV = 0.25  # how much exposure varies between standpoints of one scene, at most
_WARMTH, _TINT = 0.16, 0.03  # standard deviations of the log gain of red against blue, and of green
_NOISE = (0.004, 0.03)  # standard deviation at radiance 1; .016 are about two levels of mid-grey
_DARK_NOISE = 1.5  # factor on noise when lamps are the main light


def _tone_curve(contrast: float) -> NDArray[np.uint8]:
    """Linear 0..1 to sRGB bytes, IEC 61966-2-1, with shadows darkened and highlights lifted by a sine of `contrast`."""
    y = np.linspace(0, 1, TONE_STEPS)
    srgb = np.where(y <= 0.0031308, 12.92 * y, 1.055 * np.maximum(y, 1e-9) ** (1 / 2.4) - 0.055)
    srgb = srgb - contrast * np.sin(2 * np.pi * srgb) / 2
    return np.round(np.clip(srgb, 0, 1) * 255).astype(np.uint8)


_TONES = tuple(map(_tone_curve, _CONTRASTS))


class Film(NamedTuple):
    """How radiance becomes bytes in one view.

    gains float32 [3]: exposure times white balance; noise: standard deviation at radiance 1, which grows with the root of
    radiance as photon noise does; seed: of the noise; tone uint8 [TONE_STEPS]: bytes of linear values.
    """

    gains: F32
    noise: np.float32
    seed: np.uint32
    tone: NDArray[np.uint8]

    def at(self, eye: F32, axes: F32) -> Film:
        """The film of a view. Equal poses have equal noise, and all views from one standpoint the same exposure."""
        if not self.noise:
            return self
        stand = np.random.default_rng([int(self.seed), *eye.view(np.uint32).tolist()]).uniform(-1, 1)
        view = zlib.crc32(eye.tobytes() + axes.tobytes(), int(self.seed))
        return self._replace(gains=self.gains * np.float32(2 ** (stand * _STANDPOINT_EV)), seed=np.uint32(view))


NEUTRAL = Film(np.ones(3, np.float32), np.float32(0), np.uint32(0), _TONES[0])


def film_of(spec: SceneSpec) -> Film:
    """The film of a scene."""
    if spec.palette == "named":
        return NEUTRAL
    rng = rng_for(spec.seed, "rooms", "film")
    exposure = 2 ** rng.uniform(*_EXPOSURE_EV[spec.light])
    warmth, tint = rng.normal(0, _WARMTH), rng.normal(0, _TINT)
    gains = exposure * np.exp([warmth / 2, tint, -warmth / 2])
    low, high = np.log(_NOISE)
    noise = np.exp(rng.uniform(low, high)) * (1.0 if spec.light in ("day", "overcast") else _DARK_NOISE)
    tone = _TONES[int(rng.integers(len(_TONES)))]
    return Film(gains.astype(np.float32), np.float32(noise), np.uint32(rng.integers(2**32)), tone)
