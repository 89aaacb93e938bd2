"""Starts the processes of one learner, one per GPU. Does not import torch: a rank selects its GPU before that.

On one machine, rank 0 (`learner train` itself) starts the other ranks. torchrun, accelerate launch or srun may start
all ranks instead, on any number of nodes; they set RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT. If a rank
or the process that started it dies, even by SIGKILL, all ranks exit and free their GPUs; the run resumes at its last
complete step.
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

STORE_FILE = "VANTAGE_RANKS_MEET"  # environment variable with the file store of the ranks on one machine

_PARENT = "VANTAGE_RANKS_STARTER"  # environment variable with the pid of rank 0, if it started the others
_WATCH_S = 0.5
_LEAVE_S = 20.0
_PR_SET_CHILD_SUBREAPER = 36


def own_rank(processes: int) -> Optional[int]:
    """Return the rank of this process, or None if no launcher started it.

    Raises VantageError("bad_config") if the launcher did not start `processes` ranks.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return None
    if size != processes:
        raise VantageError(
            "bad_config",
            f"the launcher started {size} ranks, but learner.processes is {processes}: make them equal.",
        )
    return int(os.environ["RANK"])


def exit_with_parent() -> None:
    """In a rank started by another process: watch the parent and exit soon after it dies.

    torchrun and accelerate start ranks in separate sessions, so a launcher killed by SIGKILL leaves them running. This
    polls the parent's pid, because PR_SET_PDEATHSIG signals the end of the thread that forked, and a launcher may fork
    in a thread that ends. Ranks started by rank 0 know its pid. If a launcher died before this call, the new parent is
    watched instead, and the rank exits because `join` times out.
    """
    if "RANK" not in os.environ:
        return
    parent = int(os.environ.get(_PARENT) or os.getppid())
    threading.Thread(target=_watch_parent, args=(parent,), daemon=True).start()


@contextlib.contextmanager
def start_other_ranks(processes: int, command: Sequence[str]) -> Iterator[None]:
    """Make this process rank 0 and start the others on this machine. If one of them dies, all exit.

    Does nothing for a learner of one process.
    """
    if processes == 1:
        yield
        return
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)  # this process adopts orphans of a killed rank
    # A file store in memory: only this user's processes can open it (torch's TCP store accepts anyone), and it is gone
    # with this process. The descriptor stays open, because torch writes to the store once more at exit.
    store = os.memfd_create("vantage-ranks")
    variables = {
        STORE_FILE: f"/proc/{os.getpid()}/fd/{store}",
        "GLOO_SOCKET_IFNAME": "lo",
        "WORLD_SIZE": str(processes),
        "LOCAL_WORLD_SIZE": str(processes),
    }
    others = [
        subprocess.Popen(
            command,
            env={**os.environ, **variables, _PARENT: str(os.getpid()), "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdin=subprocess.DEVNULL,
        )
        for rank in range(1, processes)
    ]
    os.environ.update(variables, RANK="0", LOCAL_RANK="0")
    finished = threading.Event()
    threading.Thread(target=_watch, args=(others, finished), daemon=True).start()
    try:
        yield
    except RuntimeError as error:  # raised by torch's collectives if another rank is gone
        finished.set()
        time.sleep(_WATCH_S)
        if ended := _ended(others):
            raise VantageError("unavailable", ended[1]) from error
        raise
    finally:
        finished.set()
        for other in others:
            try:
                other.wait(_LEAVE_S if sys.exc_info()[0] is None else 0)
            except subprocess.TimeoutExpired:
                _kill(_descendants(other.pid))
                other.kill()


def select_gpu() -> None:
    """Restrict this rank to one of its visible GPUs. Call before importing torch and vLLM."""
    local = os.environ.get("LOCAL_RANK")
    if local is None:
        return
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    listed = visible.split(",") if visible else [local] if visible is None else []
    if listed:
        os.environ["CUDA_VISIBLE_DEVICES"] = listed[int(local) % len(listed)]


def _watch(others: Sequence[subprocess.Popen[bytes]], finished: threading.Event) -> None:
    """Exit when another rank exits early: this process may be waiting for it in a collective."""
    while not finished.wait(_WATCH_S):
        if (ended := _ended(others)) and not finished.is_set():
            code, message = ended
            if code != USER_ERROR:  # then the rank has printed the error itself
                print(f"learner: {message}", file=sys.stderr, flush=True)
            _exit(USER_ERROR if code == USER_ERROR else TRY_AGAIN)


def _ended(others: Sequence[subprocess.Popen[bytes]]) -> Optional[tuple[int, str]]:
    """Return the exit code of the first rank that failed, and a message about it."""
    for rank, other in enumerate(others, start=1):
        code = other.poll()
        if code:
            how = f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
            return code, f"rank {rank} exited early ({how}); the same command resumes at the last complete step."
    return None


def _watch_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_WATCH_S)
    with contextlib.suppress(OSError):  # the reader of the pipe may be gone too
        os.write(2, f"learner: the parent of rank {os.environ['RANK']} has exited; this rank exits too.\n".encode())
    _exit(TRY_AGAIN)


def _exit(code: int) -> NoReturn:
    """Exit and kill all descendants: an engine process of vLLM would stay on the GPU."""
    _kill(_descendants(os.getpid()))
    os._exit(code)


def _descendants(pid: int) -> set[int]:
    """Return the pids of the children of a process, their children, and so on."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # the process has just exited
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found: set[int] = set()
    while more := {child for child, parent in parents.items() if parent in found | {pid}} - found:
        found |= more
    return found


def _kill(pids: set[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
