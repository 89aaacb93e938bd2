"""The Numba decorator of all kernels.

Kernels are cached on disk and release the GIL. `fastmath` stays off, so that equal inputs give equal bits.
"""

from __future__ import annotations

from numba import njit

jit = njit(cache=True, nogil=True, error_model="numpy")
