"""Child processes that each process a part of a dataset's shards."""

from __future__ import annotations

import os
import subprocess
from typing import Optional, Sequence

from protocol.errors import VantageError


def stay_with(parent: Optional[int]) -> None:
    """Raises VantageError("draining") in a child whose parent process, with this id, has ended."""
    if parent is not None and os.getppid() != parent:
        raise VantageError("draining", "the process that started this worker has ended.")


def wait_for_parts(children: Sequence[subprocess.Popen[bytes]], undone: str) -> None:
    """Wait for every child and leave none running. Raises VantageError("unavailable") with `undone` if one failed."""
    try:
        codes = [child.wait() for child in children]
    finally:
        for child in children:
            if child.poll() is None:
                child.terminate()
                child.wait()
    if any(codes):
        raise VantageError("unavailable", f"a worker ended before its shards were {undone}")
