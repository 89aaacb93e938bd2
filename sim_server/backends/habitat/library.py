"""habitat_sim itself: importing it, choosing its device, and reporting what it fails on."""

from __future__ import annotations

import ctypes
import os
from importlib import import_module
from pathlib import Path
from typing import Any

from protocol.errors import VantageError

_SOFTWARE = ("llvmpipe", "softpipe", "swrast", "swiftshader", "software")
_GL_LIBRARIES, _GL_RENDERER = ("libOpenGL.so.0", "libGL.so.1"), 0x1F01
_LONGEST_REASON = 300  # characters


def load_library() -> Any:
    """Import habitat_sim with logging off. Raises VantageError("backend_missing") if it is not installed."""
    os.environ.setdefault("MAGNUM_LOG", "quiet")
    os.environ.setdefault("HABITAT_SIM_LOG", "quiet")
    os.environ.setdefault("LP_NUM_THREADS", "0")  # keeps a software renderer on one core
    try:
        return import_module("habitat_sim")
    except ImportError as error:
        raise VantageError(
            "backend_missing",
            f"habitat_sim cannot be imported in this Python ({error}): create an environment that has it "
            "(docs/guides/habitat.md) and start `sim-server worker --backend habitat` there.",
        ) from None


def has_gpu() -> bool:
    return Path("/dev/nvidiactl").exists()


def check_gpu(gpu: int, software: bool) -> int:
    """The gpu_device_id for habitat-sim: a CUDA ordinal, or -1 for the CPU.

    habitat-sim ends the process for an ordinal without a device, so that it is checked first. Raises
    VantageError("unsupported") for such an ordinal, and if there is no GPU and software rendering is not allowed.
    """
    if gpu >= 0 and not has_gpu():
        if not software:
            raise VantageError(
                "unsupported",
                "habitat-sim finds no NVIDIA GPU, and the CPU renders about ten times slower: set "
                "sim.software_rendering = true to allow it.",
            )
        return -1
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and gpu >= (count := len([number for number in visible.split(",") if number.strip()])):
        raise VantageError(
            "unsupported",
            f"sim.gpu is {gpu} (counted from 0), but CUDA_VISIBLE_DEVICES={visible!r} gives this process {count} GPUs: "
            "correct one of them.",
        )
    return gpu


def renderer_name() -> str:
    """The name of the OpenGL renderer of this thread's context; "unknown" if there is none.

    magnum's Python module cannot tell: it is linked statically, and knows only contexts of its own.
    """
    for library in _GL_LIBRARIES:
        try:
            get_string = ctypes.CDLL(library).glGetString
        except (OSError, AttributeError):
            continue
        get_string.restype = ctypes.c_char_p
        name = get_string(_GL_RENDERER)
        if name:
            return str(name.decode("utf-8", "replace"))
    return "unknown"


def renders_in_software(renderer: str) -> bool:
    return any(word in renderer.lower() for word in _SOFTWARE)


def reason_of(error: Exception) -> str:
    """The first line of a message of habitat-sim without its prefix; the library raises AssertionError for bad data."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    return text.replace("ESP_CHECK failed:", "").strip().rstrip(".")[:_LONGEST_REASON]
