"""The procedural patterns of walls, floors, woods and textiles: grey values in 0..1 that tile.

Columns run along u, rows along v, which is up on walls and pictures. A pattern has no colour: a material blends two
colours by it. Relief is drawn as if lit from above.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sim_server.backends.rooms.draw.noise import Grey, noise

SIZE = 512
Indices = NDArray[np.int64]


def tiled(seed: int, octaves: int = 5, base: int = 4, stretch: int = 1, fading: float = 0.5) -> Grey:
    """Noise in 0..1; `stretch` > 1 elongates it along u."""
    return noise((SIZE, SIZE), seed, (base, max(3, base // stretch)), octaves, fading)


def grid() -> tuple[Indices, Indices]:
    """Row and column of every texel."""
    v, u = np.mgrid[0:SIZE, 0:SIZE]
    return v, u


def scaled(values: NDArray[np.floating], deviation: float, mean: float = 0.5) -> Grey:
    """The values shifted and scaled to this mean and standard deviation, and clipped to 0..1."""
    values = values.astype(np.float32)
    return np.clip((values - values.mean()) / max(float(values.std()), 1e-6) * deviation + mean, 0, 1)


def relief(height: NDArray[np.floating], deviation: float) -> Grey:
    """A height field lit from above and a little from the left."""
    return scaled(height - np.roll(height, -1, 0) + 0.5 * (height - np.roll(height, 1, 1)), deviation)


# ---------------------------------------------------------------------- walls and ceilings


def paint() -> Grey:
    """Smooth paint, for small objects."""
    return 0.5 + 0.3 * (tiled(4, 8, 4) - 0.5)


def plaster() -> Grey:
    """The stipple of a paint roller on plaster that is not quite even."""
    return np.clip(scaled(tiled(61, 3, 3), 0.10) + relief(tiled(62, 3, 64), 0.14) - 0.5, 0, 1)


def rough_plaster() -> Grey:
    """Coarse plaster: bumps of one to three centimetres."""
    bumps = np.maximum(tiled(63, 3, 48, 1, 0.6), 0.45)
    return np.clip(relief(bumps, 0.17) + scaled(tiled(64, 3, 3), 0.06) - 0.5, 0, 1)


def brushed() -> Grey:
    """Limewash: clouds of brush strokes in all directions."""
    strokes = tiled(65, 5, 24, 6) + tiled(66, 5, 24, 6).T
    return np.clip(scaled(strokes, 0.12) + scaled(tiled(67, 4, 3), 0.13) - 0.5, 0, 1)


def brick() -> Grey:
    """A stretcher bond of 8 x 24 bricks with sunken joints."""
    v, u = grid()
    tall, wide, rng = SIZE // 24, SIZE // 8, np.random.default_rng(68)
    row = np.minimum(v // tall, 23)
    shifted = (u + (row % 2) * (wide // 2)) % SIZE
    shade = rng.uniform(0.4, 0.75, (24, 8))[row, shifted // wide]
    joint = (v % tall < 3) | (shifted % wide < 3)
    return np.clip(np.where(joint, 0.12, shade) + 0.3 * (tiled(69, 6, 16) - 0.5), 0, 1)


def concrete() -> Grey:
    """Boarded concrete with pores."""
    v, _ = grid()
    pores = np.where(tiled(70, 2, 64) > 0.86, -0.3, 0.0)
    seams = np.where(v % (SIZE // 4) < 2, -0.18, 0.0)
    return np.clip(scaled(tiled(71, 7, 3, 1, 0.6), 0.13, 0.55) + pores + seams, 0, 1)


def panelling() -> Grey:
    """Upright boards with grooves."""
    _, u = grid()
    wide = SIZE // 16
    shade = np.random.default_rng(72).uniform(0.4, 0.65, 16)[u // wide]
    groove = np.where(u % wide < 2, -0.4, np.where(u % wide == 2, 0.15, 0.0))
    return np.clip(shade + groove + 0.4 * (grain(73).T - 0.6), 0, 1)


def slats() -> Grey:
    """The slats of a blind: bright above, dark where one overlaps the next."""
    v, _ = grid()
    at = v % (SIZE // 16) / (SIZE / 16)
    return np.where(at < 0.14, 0.05, 0.45 + 0.5 * at).astype(np.float32)


def stripes() -> Grey:
    """Upright stripes of two widths, as on wallpaper."""
    _, u = grid()
    at = u % (SIZE // 8)
    wide = SIZE // 8
    return np.clip(np.where((at < wide * 0.5) | ((at > wide * 0.66) & (at < wide * 0.72)), 0.2, 0.8) + _paper(74), 0, 1)


def damask() -> Grey:
    """Ornaments in a half-drop repeat."""
    v, u = grid()
    cell = SIZE // 4
    shift = (u // cell % 2) * (cell // 2)
    x, y = (u % cell) / cell - 0.5, ((v + shift) % cell) / cell - 0.5
    radius, angle = np.hypot(x * 1.35, y), np.arctan2(y, np.abs(x))
    leaf = np.cos(5 * angle) * 0.09 + np.cos(2 * angle) * 0.07
    shape = (radius < 0.27 + leaf) & ~(np.abs(radius - 0.17 - leaf * 0.6) < 0.025)
    frame = np.abs(np.abs(x) + np.abs(y) - 0.46) < 0.022
    return np.clip(np.where(shape | frame, 0.85, 0.2) + _paper(75), 0, 1)


def trellis() -> Grey:
    """Rows of interlaced curves."""
    v, u = grid()
    a = 2 * math.pi / SIZE
    wave = np.abs(np.sin(u * a * 4) - np.sin(v * a * 4)) < 0.22
    other = np.abs(np.sin(u * a * 4 + math.pi) - np.sin(v * a * 4)) < 0.22
    return np.clip(np.where(wave | other, 0.88, 0.22) + _paper(76), 0, 1)


def foliage() -> Grey:
    """Leaves scattered at random, in two tones."""
    rng = np.random.default_rng(77)
    out = np.full((SIZE, SIZE), 0.12, np.float32)
    for k in range(150):
        _leaf(out, rng.uniform(0, SIZE, 2), rng.uniform(0, math.pi), rng.uniform(16, 30), 0.45 + 0.5 * (k % 3) / 2)
    return np.clip(out + _paper(78), 0, 1)


def _leaf(out: Grey, at: NDArray[np.float64], turn: float, length: float, tone: float) -> None:
    reach = int(length) + 1
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    along = (columns * math.cos(turn) + rows * math.sin(turn)) / length
    across = (rows * math.cos(turn) - columns * math.sin(turn)) / length
    inside = (np.abs(across) < 0.36 * (1 - along**2)) & (np.abs(along) < 1)
    vein = np.abs(across) < 0.03
    row, column = (rows + int(at[0])) % SIZE, (columns + int(at[1])) % SIZE
    out[row[inside], column[inside]] = tone
    out[row[inside & vein], column[inside & vein]] = tone - 0.2


def _paper(seed: int) -> Grey:
    """The texture of printed paper, around 0."""
    return scaled(tiled(seed, 3, 64), 0.035, 0.0 + 0.5) - 0.5


# ---------------------------------------------------------------------- floors and stone


def grain(seed: int) -> Grey:
    """Growth rings, fading on one side and sharp on the other, with fibres along u."""
    v = np.arange(SIZE)[:, None] / SIZE
    phase = (v * 9.0 + tiled(seed, 3, 2, 2) * 0.9 + tiled(seed + 2, 5, 8, 8) * 0.2) % 1.0
    ring = np.where(phase < 0.85, (phase / 0.85) ** 2, (1 - phase) / 0.15)
    fibres = tiled(seed + 1, 6, 16, 32)
    return np.clip(0.74 - 0.24 * ring + 0.55 * (fibres - 0.5) + 0.25 * (tiled(seed + 3, 3, 2) - 0.5), 0, 1)


def planks(rows: int, seed: int) -> Grey:
    """Boards along u with staggered ends and open joints, each from another part of the grain, and worn a little."""
    rng = np.random.default_rng(seed)
    wood, height, out = grain(seed), SIZE // rows, np.empty((SIZE, SIZE), np.float32)
    for row in range(rows):
        band = np.roll(wood[row * height : (row + 1) * height], int(rng.integers(SIZE)), 1)
        cut = int(rng.integers(SIZE))
        first = (np.arange(SIZE) - cut) % SIZE < SIZE // 2
        shade = np.where(first, rng.uniform(0.25, 0.75), rng.uniform(0.25, 0.75))
        band = 0.5 * band + 0.7 * shade - 0.08
        band[:1] *= 0.2
        band[1:2] += 0.06
        for end in (cut, (cut + SIZE // 2) % SIZE):
            band[:, end] *= 0.3
        out[row * height : (row + 1) * height] = band
    return np.clip(out + 0.2 * (tiled(seed + 5, 4, 3) - 0.5), 0, 1)


def tiles(count: int, joint: int, seed: int, spread: float = 0.09) -> Grey:
    """Square tiles; `joint` and the width of a bevel are in texels, `spread` is the range of their tones."""
    rng = np.random.default_rng(seed)
    cell = SIZE // count
    shade = rng.uniform(0.7 - spread, 0.7 + spread, (count, count))
    out = np.kron(shade, np.ones((cell, cell))) + 0.2 * (tiled(seed, 6) - 0.5)
    v, u = grid()
    at_v, at_u = v % cell, u % cell
    out = np.where((at_v >= cell - 2) | (at_u >= cell - 2), out + 0.12, out)
    stained = 0.12 + 0.2 * (tiled(seed + 1, 4, 4) - 0.5)
    return np.clip(np.where((at_v < joint) | (at_u < joint), stained, out), 0, 1).astype(np.float32)


def hexagons(seed: int) -> Grey:
    """Hexagonal tiles of varied tones, eight across and eight rows."""
    across, up = SIZE // 8, SIZE // 8
    y, x = np.mgrid[-up : up + 1, -across : across + 1].astype(np.float32)
    # a hexagon with corners up: distance 1 at its edges, rows three quarters of its height apart
    edge = np.maximum(np.abs(x) * 2 / across, np.abs(x) / across + np.abs(y) * 1.5 / up)
    best, tone = np.full((SIZE, SIZE), np.inf, np.float32), np.zeros((SIZE, SIZE), np.float32)
    rng = np.random.default_rng(seed)
    for row in range(8):
        for column in range(8):
            shade = rng.uniform(0.5, 0.85)
            rows = (y.astype(np.int64) + row * up) % SIZE
            columns = (x.astype(np.int64) + column * across + (row % 2) * across // 2) % SIZE
            nearer = edge < best[rows, columns]
            best[rows[nearer], columns[nearer]] = edge[nearer]
            tone[rows[nearer], columns[nearer]] = np.where(edge < 0.94, shade, 0.15)[nearer]
    return np.clip(tone + 0.15 * (tiled(seed, 5) - 0.5), 0, 1)


def checker(seed: int) -> Grey:
    """Tiles that alternate between light and dark."""
    v, u = grid()
    cell = SIZE // 4
    dark = (v // cell + u // cell) % 2
    joint = (v % cell < 2) | (u % cell < 2)
    return np.clip(np.where(joint, 0.4, 0.12 + 0.76 * dark) + 0.22 * (tiled(seed, 6) - 0.5), 0, 1).astype(np.float32)


def cement_tiles(seed: int) -> Grey:
    """Tiles printed with a star in a ring."""
    v, u = grid()
    cell = SIZE // 4
    x, y = (u % cell) / cell - 0.5, (v % cell) / cell - 0.5
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    star = radius < 0.24 + 0.1 * np.cos(8 * angle)
    ring = np.abs(radius - 0.42) < 0.035
    corner = np.hypot(np.abs(x) - 0.5, np.abs(y) - 0.5) < 0.2
    joint = (v % cell < 2) | (u % cell < 2)
    tone = np.where(star, 0.8, np.where(ring, 0.65, np.where(corner, 0.9, 0.15)))
    return np.clip(np.where(joint, 0.45, tone) + 0.16 * (tiled(seed, 6) - 0.5), 0, 1).astype(np.float32)


def herringbone(seed: int) -> Grey:
    """Short boards at right angles in a stepped pattern."""
    rng = np.random.default_rng(seed)
    cell, ratio = SIZE // 16, 4
    v, u = grid()
    iv, iu = v // cell, u // cell
    phase = (iu - iv) % (2 * ratio)
    across = phase < ratio
    key = np.where(across, (iv * 37 + (iu - phase) * 11) % 97, (iu * 53 + (iv + phase) * 29) % 97 + 97)
    shade = rng.uniform(0.3, 0.75, 194)[key]
    line = np.where(
        across, (v % cell < 2) | ((phase == 0) & (u % cell < 2)), (u % cell < 2) | ((phase == 7) & (v % cell < 2))
    )
    fine = np.where(across, tiled(seed, 6, 32, 16), tiled(seed, 6, 32, 16).T)
    return np.clip(np.where(line, 0.12, shade + 0.35 * (fine - 0.5)), 0, 1).astype(np.float32)


def terrazzo(seed: int) -> Grey:
    """Chips of stone in cement."""
    chips = tiled(seed, 2, 40) - tiled(seed + 1, 2, 56)
    tone = np.where(chips > 0.22, 0.95, np.where(chips < -0.24, 0.08, 0.52))
    return np.clip(tone + scaled(tiled(seed + 2), 0.04) - 0.5, 0, 1)


def marble() -> Grey:
    """Veined stone."""
    veins = np.abs(tiled(53, 7, 2) - 0.5) ** 0.5 * 1.4
    return np.clip(veins + 0.12 * (tiled(54, 3, 64) - 0.5), 0, 1)


def speckle() -> Grey:
    """Granite: light and dark grains of a few millimetres."""
    return np.clip(scaled(tiled(55, 2, 128), 0.2) + scaled(tiled(56, 4, 4), 0.06) - 0.5, 0, 1)


# ---------------------------------------------------------------------- textiles


def carpet() -> Grey:
    """Tufts with patches where it has been walked on."""
    return np.clip(0.5 + 0.9 * (tiled(29, 4, 64) - 0.5) + 0.3 * (tiled(31, 4, 2) - 0.5), 0, 1)


def weave(period: int, seed: int) -> Grey:
    """A plain weave with creases."""
    v, u = np.mgrid[0:SIZE, 0:SIZE] * (2 * math.pi / period)
    return np.clip(0.5 + 0.18 * np.sin(u) * np.sin(v) + 0.6 * (tiled(seed, 7, 6) - 0.5), 0, 1).astype(np.float32)


def linen() -> Grey:
    """A fine cloth with folds."""
    threads = tiled(42, 2, 128, 8) + tiled(43, 2, 128, 8).T
    return np.clip(0.5 + 0.5 * (tiled(41, 7, 3) - 0.5) + 0.1 * (threads - 1), 0, 1)


def check(seed: int) -> Grey:
    """A tartan: bands of three tones that cross."""
    _, u = grid()
    at = u % (SIZE // 4) / (SIZE / 4)
    band = np.where(at < 0.4, 0.15, np.where(at < 0.5, 0.75, np.where(at < 0.9, 0.45, 0.95)))
    return np.clip((band + band.T) / 2 + scaled(weave(8, seed), 0.05) - 0.5, 0, 1).astype(np.float32)


def cloth_stripes(seed: int) -> Grey:
    """Stripes of a woven cloth, along u."""
    v, _ = grid()
    at = v % (SIZE // 8) / (SIZE / 8)
    band = np.where(at < 0.42, 0.12, np.where(at < 0.5, 0.5, np.where(at < 0.92, 0.85, 0.5)))
    return np.clip(band + scaled(weave(8, seed), 0.05) - 0.5, 0, 1).astype(np.float32)


def floral(seed: int) -> Grey:
    """Printed flowers with five petals."""
    rng = np.random.default_rng(seed)
    out = np.full((SIZE, SIZE), 0.12, np.float32)
    rows, columns = np.mgrid[-30:31, -30:31]
    radius, angle = np.hypot(rows, columns), np.arctan2(rows, columns)
    for _ in range(46):
        row, column = (rows + int(rng.integers(SIZE))) % SIZE, (columns + int(rng.integers(SIZE))) % SIZE
        petals = rng.uniform(17, 30) * (0.72 + 0.28 * np.cos(5 * angle + rng.uniform(0, 6)))
        inside = radius < petals
        out[row[inside], column[inside]] = rng.uniform(0.65, 0.95)
        heart = radius < petals * 0.3
        out[row[heart], column[heart]] = 0.4
    return np.clip(out + scaled(weave(8, seed + 1), 0.04) - 0.5, 0, 1)


def kelim(seed: int) -> Grey:
    """Stepped diamonds in bands."""
    v, u = grid()
    cell, step = SIZE // 4, SIZE // 64
    x, y = np.abs(u % cell - cell // 2) // step * step, np.abs(v % cell - cell // 2) // step * step
    ring = (x + y) / cell * 6
    tone = np.choose(ring.astype(np.int64) % 4, (0.9, 0.25, 0.6, 0.1))
    band = (v // (cell // 4)) % 8 == 7
    tone = np.where(band, 0.8 * (u // step % 2), tone)
    return np.clip(tone + 0.35 * (tiled(seed, 3, 64) - 0.5), 0, 1).astype(np.float32)


def medallion(seed: int) -> Grey:
    """Ornaments of a knotted carpet, dense and symmetric."""
    v, u = grid()
    cell = SIZE // 2
    x, y = np.abs(u % cell - cell / 2) / cell * 2, np.abs(v % cell - cell / 2) / cell * 2
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    flower = np.sin(radius * 22 + 1.2 * np.cos(angle * 8)) * np.cos(angle * 8 + radius * 9)
    vines = np.sin(x * 29 + 2 * np.sin(y * 13)) * np.sin(y * 29 + 2 * np.sin(x * 13))
    tone = np.where(radius < 0.55, 0.5 + 0.42 * np.sign(flower), 0.3 + 0.35 * (vines > 0.3))
    tone = np.where(np.abs(radius - 0.56) < 0.03, 0.95, tone)
    return np.clip(tone + 0.3 * (tiled(seed, 3, 64) - 0.5), 0, 1).astype(np.float32)


def wicker(seed: int) -> Grey:
    """Strands woven over and under."""
    v, u = grid()
    width = SIZE // 16
    band = (v // width) % 2
    strand = np.abs(np.sin((u + band * width) * math.pi / (2 * width))) * np.abs(np.sin(v * math.pi / width))
    return np.clip(0.15 + 0.8 * strand + 0.15 * (tiled(seed, 6, 16) - 0.5), 0, 1).astype(np.float32)
