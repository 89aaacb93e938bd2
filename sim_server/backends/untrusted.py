"""Reads files of data sets made by others: only regular files inside the data set's folder, within fixed bounds."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, BinaryIO, Iterator

from protocol.errors import VantageError
from protocol.run.files import open_regular

MAX_FILE_BYTES = 2**30
MAX_JSON_BYTES = 2**26
MAX_TOTAL_BYTES = 2**32  # of all files of one scene
# What the assets of one scene may hold together: the number of each.
ELEMENTS, ZEROS, NODES = "vertices and indices", "vertices without data", "nodes"
OBJECTS, TRIANGLES, PIXELS = "objects", "triangles", "pixels in images"
LIMITS = {ELEMENTS: 2**26, ZEROS: 2**20, NODES: 2**16, OBJECTS: 2000, TRIANGLES: 2**23, PIXELS: 2**28}


def read_inside(path: Path, root: Path, most: int = MAX_FILE_BYTES) -> bytes:
    """The contents of a file, see open_inside. Raises VantageError("corrupt") also for more than `most` bytes."""
    with open_inside(path, root) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise _refused(path, f"has more than {most} bytes", "make it smaller")
    return data


def lines_inside(path: Path, root: Path, longest: int) -> Iterator[bytes]:
    """The lines of such a file, one at a time. Raises VantageError("corrupt") for one of more than `longest` bytes."""
    with open_inside(path, root) as file:
        while line := file.readline(longest + 1):
            if len(line) > longest:
                raise _refused(path, f"has a line of more than {longest} bytes", "restore the file")
            yield line


def open_inside(path: Path, root: Path) -> BinaryIO:
    """Open a regular file inside the folder `root`, after all links and ".." are resolved.

    Raises VantageError("corrupt") for any other file.
    """
    try:
        real = path.resolve(strict=True)
        if not _is_inside(real, root.resolve(strict=True)):
            raise _refused(path, f"is not inside {root}", "copy the file into that folder")
        return os.fdopen(open_regular(real, os.O_RDONLY), "rb")
    except VantageError as error:
        if error.code == "corrupt":
            raise
        raise _refused(path, "is not a regular file", "replace it") from None
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
        self._bytes = MAX_TOTAL_BYTES
        self._left = dict(LIMITS)

    def read(self, path: Path) -> bytes:
        """See read_inside."""
        data = read_inside(path, self.root, min(MAX_FILE_BYTES, max(self._bytes, 0)))
        self._bytes -= len(data)
        return data

    def take(self, what: str, count: int, path: Path) -> None:
        """Count what LIMITS names before they are allocated.

        Raises VantageError("unsupported") if the scene has too many; `path`: the asset that they belong to.
        """
        self._left[what] -= count
        if self._left[what] < 0:
            raise VantageError("unsupported", f"the scene has too many {what}, at the latest in {path}: simplify it.")


def _refused(path: Path, defect: str, advice: str) -> VantageError:
    name = str(path) if str(path).isprintable() else ascii(str(path))
    return VantageError("corrupt", f"{name} {defect}: {advice}.")
