"""Starts the processes of one learner, one to a GPU. Imports nothing heavy: a rank takes its GPU before torch sees it.

On one machine rank 0, which is `learner train` itself, starts the others. torchrun, accelerate launch or srun may start
all of them instead, on any number of nodes, and are believed by the variables that they set (RANK, WORLD_SIZE,
LOCAL_RANK, MASTER_ADDR, MASTER_PORT). A rank that dies ends all, and the run resumes at its last complete step.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from typing import Iterator, Optional, Sequence

from protocol.errors import VantageError
from protocol.exits import TRY_AGAIN, USER_ERROR

MEETING_FILE = "VANTAGE_RANKS_MEET"  # the variable that names the file by which ranks on one machine find one another

_WATCH_S = 0.5
_LEAVE_S = 20.0
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def own_rank(processes: int) -> Optional[int]:
    """This process's rank where a launcher started all of them, None where it was started alone.

    Raises VantageError("bad_config") for a launcher that started another number than `processes`.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return None
    if size != processes:
        raise VantageError(
            "bad_config",
            f"{size} ranks of the learner were started, but learner.processes is {processes}: make them equal.",
        )
    return int(os.environ["RANK"])


@contextlib.contextmanager
def others_started(processes: int, command: Sequence[str]) -> Iterator[None]:
    """Start ranks 1 and up on this machine, and be rank 0; they end with this process, and this process with them.

    Nothing is done for a learner of one process.
    """
    if processes == 1:
        yield
        return
    folder = tempfile.mkdtemp(prefix="vantage-ranks-")  # mode 0700, where torch's own TCP store listens to everyone
    place = {
        MEETING_FILE: f"{folder}/meeting",
        "GLOO_SOCKET_IFNAME": "lo",
        "WORLD_SIZE": str(processes),
        "LOCAL_WORLD_SIZE": str(processes),
    }
    others = [
        subprocess.Popen(
            command,
            env={**os.environ, **place, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdin=subprocess.DEVNULL,
            preexec_fn=_die_with_parent,
        )
        for rank in range(1, processes)
    ]
    os.environ.update(place, RANK="0", LOCAL_RANK="0")
    over = threading.Event()
    threading.Thread(target=_watch, args=(others, over), daemon=True).start()
    try:
        yield
    except RuntimeError as error:  # so torch says within a collective that another rank is gone
        over.set()
        time.sleep(_WATCH_S)
        if ended := _ended(others):
            raise VantageError("unavailable", ended[1]) from error
        raise
    finally:
        over.set()
        for other in others:
            with contextlib.suppress(subprocess.TimeoutExpired):
                other.wait(_LEAVE_S if sys.exc_info()[0] is None else 0)
            other.kill()
        shutil.rmtree(folder, ignore_errors=True)


def take_one_gpu() -> None:
    """Leave this rank one of the GPUs that it sees, before torch and vLLM look for them."""
    local = os.environ.get("LOCAL_RANK")
    if local is None:
        return
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    listed = visible.split(",") if visible else [local] if visible is None else []
    if listed:
        os.environ["CUDA_VISIBLE_DEVICES"] = listed[int(local) % len(listed)]


def _watch(others: Sequence[subprocess.Popen[bytes]], over: threading.Event) -> None:
    """End this process when another rank ends before its time: it may wait for that rank within a collective."""
    while not over.wait(_WATCH_S):
        if (ended := _ended(others)) and not over.is_set():
            code, sentence = ended
            if code != USER_ERROR:  # with that it said itself what is wrong
                print(f"learner: {sentence}", file=sys.stderr, flush=True)
            os._exit(USER_ERROR if code == USER_ERROR else TRY_AGAIN)


def _ended(others: Sequence[subprocess.Popen[bytes]]) -> Optional[tuple[int, str]]:
    """The exit code of the first rank that has ended before it was told to leave, and a sentence about it."""
    for rank, other in enumerate(others, start=1):
        code = other.poll()
        if code:
            how = f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
            return code, f"rank {rank} ended ({how}); the same command resumes at the last complete step."
    return None


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
