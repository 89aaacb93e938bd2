"""The response of the camera: exposure, white balance, contrast and noise.

Each home has its own camera. It meters the room in which it stands, so that turning it does not change the exposure.
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
_KEY = 0.2  # luminance of a room after metering
_METERED, _OWN = 0.85, 0.7  # exponents of metering: of a home, and of a room relative to it; 1 would even out light
_DARKEST = 0.006
_EXPOSURE_EV = {"day": 0.0, "overcast": -0.1, "evening": -0.3, "night": -0.5}
_HOME_EV, _STANDPOINT_EV = 0.75, 0.3  # standard deviation between homes; most between standpoints of a home
_MOST_EV = 1.5  # between homes
_WHITE = 0.95  # exponent of automatic white balance: 1 would make the mean light white
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)
_WARMTH, _TINT = 0.15, 0.03  # standard deviations of the log gain of red against blue, and of green
_NOISE = (0.004, 0.028)  # standard deviation at radiance 1; .016 are about two levels of mid-grey
_MOST_NOISE = 0.032


def _tone_curve(contrast: float) -> NDArray[np.uint8]:
    """Linear 0..1 to sRGB bytes, IEC 61966-2-1, with shadows darkened and highlights lifted by a sine of `contrast`."""
    y = np.linspace(0, 1, TONE_STEPS)
    srgb = np.where(y <= 0.0031308, 12.92 * y, 1.055 * np.maximum(y, 1e-9) ** (1 / 2.4) - 0.055)
    srgb = srgb - contrast * np.sin(2 * np.pi * srgb) / 2
    return np.round(np.clip(srgb, 0, 1) * 255).astype(np.uint8)


_TONES = tuple(map(_tone_curve, _CONTRASTS))


class Exposure(NamedTuple):
    """How radiance becomes bytes in one view.

    gains float32 [3]: exposure times white balance; noise: standard deviation at radiance 1, which grows with the root
    of radiance as photon noise does; seed: of the noise; tone uint8 [TONE_STEPS]: bytes of linear values.
    """

    gains: F32
    noise: np.float32
    seed: np.uint32
    tone: NDArray[np.uint8]


NEUTRAL = Exposure(np.ones(3, np.float32), np.float32(0), np.uint32(0), _TONES[0])


class Film(NamedTuple):
    """The camera of a home.

    overall: the exposure of the home as a whole; noise is that of a gain of 1. low, high float32 [S, 2]: bounds of its
    spaces in x and z; gains float32 [S]: of each space, relative to `overall`.
    """

    overall: Exposure
    low: F32
    high: F32
    gains: F32

    def at(self, eye: F32, axes: F32) -> Exposure:
        """The exposure of a view. Equal poses have equal noise, and all views from one standpoint equal gains."""
        if not self.overall.noise:
            return self.overall
        seed, stand = int(self.overall.seed), eye[[0, 2]]
        outside = np.maximum(np.maximum(self.low - stand, stand - self.high), 0).max(1)
        varied = np.random.default_rng([seed, *eye.view(np.uint32).tolist()]).uniform(-1, 1) * _STANDPOINT_EV
        gains = self.overall.gains * (self.gains[outside.argmin()] * np.float32(2**varied))
        noise = min(self.overall.noise * np.sqrt(gains[1]), np.float32(_MOST_NOISE))
        return self.overall._replace(
            gains=gains, noise=np.float32(noise), seed=np.uint32(zlib.crc32(eye.tobytes() + axes.tobytes(), seed))
        )


def film_of(spec: SceneSpec, low: F32, high: F32, luminance: F32, light: F32) -> Film:
    """The film of a home.

    luminance float32 [S]: mean luminance of each space, whose bounds are low, high [S, 2]; light float32 [3]: mean
    light.
    """
    ones = np.ones(len(low), np.float32)
    if spec.palette == "named":
        return Film(NEUTRAL, low, high, ones)
    rng = rng_for(spec.seed, "rooms", "film")
    ev = _EXPOSURE_EV[spec.light] + np.clip(rng.normal(0, _HOME_EV), -_MOST_EV, _MOST_EV)
    warmth, tint = rng.normal(0, _WARMTH), rng.normal(0, _TINT)
    noise = np.exp(rng.uniform(*np.log(_NOISE)))
    tone = _TONES[int(rng.integers(len(_TONES)))]
    wanted = np.log(_KEY / np.maximum(luminance, _DARKEST))
    middle = wanted.mean()
    white = np.log(light @ _LUMINANCE / np.maximum(light, 1e-6)) * _WHITE
    gains = np.exp(middle * _METERED + ev * np.log(2) + white + np.array([warmth / 2, tint, -warmth / 2]))
    overall = Exposure(gains.astype(np.float32), np.float32(noise), np.uint32(rng.integers(2**32)), tone)
    return Film(overall, low, high, np.exp((wanted - middle) * _OWN).astype(np.float32))
