"""Reads files of data sets made by others: only regular files inside the data set's folder, within fixed bounds."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

from protocol.errors import VantageError

MAX_FILE_BYTES = 2**30
MAX_JSON_BYTES = 2**26
MAX_TOTAL_BYTES = 2**32  # of all files of one scene
MAX_ELEMENTS = 2**26  # vertices and indices of one scene
MAX_PIXELS = 2**28  # of all images of one scene


def read_inside(path: Path, root: Path, most: int = MAX_FILE_BYTES) -> bytes:
    """The contents of a regular file inside the folder `root`, after all links and ".." are resolved.

    Raises VantageError("corrupt") for any other file, and for one of more than `most` bytes.
    """
    try:
        real = path.resolve(strict=True)
        if not _is_inside(real, root.resolve(strict=True)):
            raise _refused(path, f"is not inside {root}", "copy the file into the data set's folder")
        # the file may be replaced after the check: neither follow a link nor wait for a FIFO
        handle = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise _refused(path, "is not a regular file", "replace it")
            data = file.read(most + 1) if status.st_size <= most else b""
            if status.st_size > most or len(data) > most:
                raise _refused(path, f"has more than {most} bytes", "make it smaller")
            return data
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: a cycle of links in Python before 3.13
        reason = getattr(error, "strerror", None) or error
        raise _refused(path, f"cannot be read ({reason})", "restore the file") from None


def read_json(path: Path, root: Path) -> dict[str, Any]:
    """A JSON object from a file, see read_inside. Raises VantageError("corrupt") for anything else."""
    try:
        value = json.loads(read_inside(path, root, MAX_JSON_BYTES))
    except (ValueError, RecursionError) as error:
        raise _refused(path, f"contains invalid JSON ({error})", "correct it or restore the file") from None
    if not isinstance(value, dict):
        raise _refused(path, "contains no JSON object", "correct it or restore the file")
    return value


def is_inside(path: Path, root: Path) -> bool:
    """Whether the path exists inside the folder after all links and ".." are resolved."""
    try:
        return _is_inside(path.resolve(strict=True), root.resolve(strict=True))
    except (OSError, RuntimeError, ValueError):
        return False


def _is_inside(real: Path, root: Path) -> bool:
    return root == real or root in real.parents


class Reader:
    """Reads the assets of one scene; counts what they take, so that small files cannot fill the memory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._bytes, self._elements, self._pixels = MAX_TOTAL_BYTES, MAX_ELEMENTS, MAX_PIXELS

    def read(self, path: Path) -> bytes:
        """See read_inside."""
        data = read_inside(path, self.root, min(MAX_FILE_BYTES, max(self._bytes, 0)))
        self._bytes -= len(data)
        return data

    def take_elements(self, count: int, path: Path) -> None:
        """Count vertices or indices before they are allocated. Raises VantageError("unsupported") if too many."""
        self._elements -= count
        if self._elements < 0:
            raise _too_large(path, f"{MAX_ELEMENTS} vertices and indices")

    def take_pixels(self, count: int, path: Path) -> None:
        """Count pixels before an image is decoded. Raises VantageError("unsupported") if too many."""
        self._pixels -= count
        if self._pixels < 0:
            raise _too_large(path, f"{MAX_PIXELS} pixels")


def _refused(path: Path, defect: str, advice: str) -> VantageError:
    return VantageError("corrupt", f"{path} {defect}: {advice}.")


def _too_large(path: Path, bound: str) -> VantageError:
    return VantageError("unsupported", f"a scene has more than {bound} (reached in {path}): simplify its assets.")
