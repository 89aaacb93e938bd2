"""Starts the processes of one learner, one to a GPU. Imports nothing heavy: a rank takes its GPU before torch sees it.

On one machine rank 0, which is `learner train` itself, starts the others. torchrun, accelerate launch or srun may start
all of them instead, on any number of nodes, and are believed by the variables that they set (RANK, WORLD_SIZE,
LOCAL_RANK, MASTER_ADDR, MASTER_PORT). A rank that dies ends all, and the run resumes at its last complete step; so does
a starter that dies, however it was killed, and nothing stays on a GPU.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Iterator, NoReturn, Optional, Sequence

from protocol.errors import VantageError
from protocol.run.exits import TRY_AGAIN, USER_ERROR

MEETING_FILE = "VANTAGE_RANKS_MEET"  # the variable that names the file by which ranks on one machine find one another

_STARTER = "VANTAGE_RANKS_STARTER"  # the variable with the pid of rank 0, where that started the others
_WATCH_S = 0.5
_LEAVE_S = 20.0
_PR_SET_CHILD_SUBREAPER = 36


def own_rank(processes: int) -> Optional[int]:
    """This process's rank where a launcher started all of them, None if it was started alone.

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


def end_with_starter() -> None:
    """Where this process is a rank that somebody started: end it soon after that process is gone.

    torchrun and accelerate start ranks in sessions of their own, so that kill -9 leaves them behind with their GPUs.
    Watched is the number of the parent, since PR_SET_PDEATHSIG asks for the end of the thread that forked, and a
    launcher may fork in a thread that ends. A rank of rank 0 knows whom to expect; one of a launcher that died before
    this call takes the heir for its parent, and ends by `join`, which finds nobody to meet.
    """
    if "RANK" not in os.environ:
        return
    starter = int(os.environ.get(_STARTER) or os.getppid())
    threading.Thread(target=_watch_starter, args=(starter,), daemon=True).start()


@contextlib.contextmanager
def others_started(processes: int, command: Sequence[str]) -> Iterator[None]:
    """Start ranks 1 and up on this machine, and be rank 0; they end with this process, and this process with them.

    Nothing is done for a learner of one process.
    """
    if processes == 1:
        yield
        return
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)  # what a killed rank leaves behind becomes this process's child
    # Open to this user's processes alone, where torch's own TCP store listens to everyone, and gone with this process.
    # It stays open until then: torch writes to it once more at its end, and the number must not be another file's.
    meeting = os.memfd_create("vantage-ranks")
    place = {
        MEETING_FILE: f"/proc/{os.getpid()}/fd/{meeting}",
        "GLOO_SOCKET_IFNAME": "lo",
        "WORLD_SIZE": str(processes),
        "LOCAL_WORLD_SIZE": str(processes),
    }
    others = [
        subprocess.Popen(
            command,
            env={**os.environ, **place, _STARTER: str(os.getpid()), "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdin=subprocess.DEVNULL,
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
            try:
                other.wait(_LEAVE_S if sys.exc_info()[0] is None else 0)
            except subprocess.TimeoutExpired:
                _kill(_offspring(other.pid))
                other.kill()


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
            _end(USER_ERROR if code == USER_ERROR else TRY_AGAIN)


def _ended(others: Sequence[subprocess.Popen[bytes]]) -> Optional[tuple[int, str]]:
    """The exit code of the first rank that has ended before it was told to leave, and a sentence about it."""
    for rank, other in enumerate(others, start=1):
        code = other.poll()
        if code:
            how = f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
            return code, f"rank {rank} ended ({how}); the same command resumes at the last complete step."
    return None


def _watch_starter(starter: int) -> None:
    while os.getppid() == starter:
        time.sleep(_WATCH_S)
    with contextlib.suppress(OSError):  # whoever read it may be gone too
        os.write(2, f"learner: the process that started rank {os.environ['RANK']} is gone; it ends.\n".encode())
    _end(TRY_AGAIN)


def _end(code: int) -> NoReturn:
    """End this process and all that it started: an engine of vLLM would outlive it and keep the GPU."""
    _kill(_offspring(os.getpid()))
    os._exit(code)


def _offspring(pid: int) -> set[int]:
    """The processes that this one started, and those that they did."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has just ended
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found: set[int] = set()
    while more := {child for child, parent in parents.items() if parent in found | {pid}} - found:
        found |= more
    return found


def _kill(pids: set[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
