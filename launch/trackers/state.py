"""What a tracker has written, in trackers/<name>.json of the run."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from launch.trackers.points import Written
from protocol.run.directory import RunDir, write_atomic
from protocol.run.files import make_folder, read_regular


def folder_of(run: RunDir, name: str) -> Path:
    """The folder of a tracker's own files in the run."""
    path = run.path / "trackers" / name
    make_folder(path)
    return path


def identity(run: RunDir) -> str:
    """A name for this run that stays the same over restarts and differs between runs of one name."""
    key = f"{run.name}\0{run.path.resolve()}\0{(run.path / 'run.json').stat().st_ctime_ns}"
    state = folder_of(run, "").parent / "trackers" / "identity"
    if not state.exists():
        write_atomic(state, hashlib.blake2b(key.encode(), digest_size=8).hexdigest().encode())
    return state.read_text()


def read_written(run: RunDir, name: str) -> Written:
    try:
        return msgspec.json.decode(read_regular(_path(run, name)), type=Written)
    except (OSError, msgspec.MsgspecError):
        return Written()


def save_written(run: RunDir, name: str, written: Written) -> None:
    write_atomic(_path(run, name), msgspec.json.encode(written))


def _path(run: RunDir, name: str) -> Path:
    return folder_of(run, name) / "written.json"
