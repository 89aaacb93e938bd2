"""A furniture model: its parts by material slot, and the surfaces that carry small objects."""

from __future__ import annotations

from typing import Callable, NamedTuple, Optional

import numpy as np
from numpy.typing import NDArray

from sim_server.backends.rooms.mesh import Part


class Surface(NamedTuple):
    """A horizontal rectangle in the model's frame that may carry small objects.

    free_m: free height above it; holds: the only category that it carries, such as the pillows of a bed; "": any.
    """

    y_m: float
    x_min_m: float
    x_max_m: float
    z_min_m: float
    z_max_m: float
    free_m: float
    holds: str = ""


class Model:
    """A shape in its own frame: y up from the floor at 0, front towards +z, centred on x and z.

    `kinds` maps each slot ("main", "second", ...) to a material kind of materials.py. The named palette paints "main"
    in the object's colour and "second" in a darker shade of it; other slots keep their kind.
    """

    def __init__(self, **kinds: str) -> None:
        self.kinds = kinds
        self.parts: list[tuple[Part, str]] = []
        self.surfaces: list[Surface] = []
        self._bounds: Optional[tuple[int, NDArray[np.float64], NDArray[np.float64]]] = None

    def bounds(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Low and high corner of the axis-aligned box of all parts, in the model's frame."""
        if self._bounds is None or self._bounds[0] != len(self.parts):
            low = np.min([p.positions.min(0) for p, _ in self.parts], axis=0).astype(np.float64)
            high = np.max([p.positions.max(0) for p, _ in self.parts], axis=0).astype(np.float64)
            self._bounds = (len(self.parts), low, high)
        return self._bounds[1], self._bounds[2]

    def size_m(self) -> tuple[float, float]:
        """Width and depth of the box."""
        low, high = self.bounds()
        return float(high[0] - low[0]), float(high[2] - low[2])

    def scale(self, factor: float) -> None:
        """Scale every part and surface about the origin. Patterns keep their size."""
        grow = np.float32(factor)
        self.parts = [(p._replace(positions=p.positions * grow, uv=p.uv * grow), slot) for p, slot in self.parts]
        self.surfaces = [Surface(*(v * factor for v in s[:6]), holds=s.holds) for s in self.surfaces]
        self._bounds = None

    def add(self, part: Part, slot: str = "main") -> None:
        self.parts.append((part, slot))

    def surface(
        self,
        y_m: float,
        width_m: float,
        depth_m: float,
        free_m: float = 0.6,
        z_m: float = 0.0,
        x_m: float = 0.0,
        holds: str = "",
    ) -> None:
        """Add a surface of `width_m` x `depth_m` around (x_m, z_m), inset slightly from its edges."""
        x, z = width_m / 2 - 0.03, depth_m / 2 - 0.03
        self.surfaces.append(Surface(y_m, x_m - x, x_m + x, z_m - z, z_m + z, free_m, holds))


Shape = Callable[[np.random.Generator], Model]
