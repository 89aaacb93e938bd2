"""The run directory: it holds everything that a run produces. Dashboards read it, never live processes.

    run.json               format, major and minor version, name, seed; written last: its presence means "complete"
    config.toml            the resolved configuration
    status/<process>.json  what a process is doing; replaced atomically
    status/<process>.done  exists once the process finished its work; holds a summary
    metrics/<process>.jsonl, logs/<process>/attempt_N.jsonl, endpoints/, locks/, adapters/, checkpoints/, episodes/

Durable files are written tmp -> fsync -> rename -> fsync of the folder; a reader never sees a partial file.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import threading
import time
from pathlib import Path
from typing import Any, Iterator, Mapping, Optional, Union

from protocol.errors import VantageError
from protocol.run.config import RunSettings, Tree, load, section, to_toml
from protocol.run.files import check_folder, make_folder, open_regular, read_regular

FORMAT = "vantage-run"
MAJOR = 1
MINOR = 0

# Errors that a person can fix, unlike a fault of the disk or of this program.
_NOT_WRITABLE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT})
_IN_THE_WAY = frozenset({errno.ENOTDIR, errno.EISDIR, errno.EEXIST})

_FOLDERS = ("status", "metrics", "logs", "locks", "adapters", "checkpoints", "episodes")


class RunDir:
    """An open run directory. `adapters`, `checkpoints`, `episodes`, `logs` and `metrics` are existing folders."""

    def __init__(self, path: Path, config: Tree) -> None:
        """Use `create` or `open`, which check the files on disk."""
        run = section(config, "run", RunSettings)
        self.path = path
        self.config = config
        self.name = path.name
        self.seed = run.seed
        self._appenders: dict[str, int] = {}
        self._guard = threading.Lock()

    @classmethod
    def create(cls, path: Path, config_tree: Tree) -> RunDir:
        """Create a run directory; of several processes that try at once, one succeeds.

        Raises VantageError("conflict") if it already holds a run.
        """
        path = Path(path).absolute()
        run = section(config_tree, "run", RunSettings)
        with disk_guard(path), _creating(path):
            for folder in _FOLDERS:
                make_folder(path / folder)
            make_folder(path / "endpoints", mode=0o700)
            write_atomic(path / "config.toml", to_toml(config_tree).encode())
            identity = {
                "format": FORMAT,
                "major": MAJOR,
                "minor": MINOR,
                "name": path.name,
                "seed": run.seed,
                "created_s": time.time(),
            }
            write_atomic(path / "run.json", json.dumps(identity, indent=1).encode())
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> RunDir:
        """Open a run that this or an earlier minor version created; changes nothing.

        Raises VantageError: "bad_request" if there is no run, "version" for another major version, "corrupt" where
        run.json cannot be read.
        """
        path = Path(path).absolute()
        try:
            identity = json.loads(read_regular(path / "run.json"))
            major = identity["major"]
            if identity["format"] != FORMAT or not isinstance(major, int):
                raise KeyError("format")
        except (FileNotFoundError, NotADirectoryError):
            raise VantageError("bad_request", f"{path} is not a run directory: it has no run.json.") from None
        except (ValueError, KeyError, TypeError, RecursionError):
            raise VantageError("corrupt", f"{path / 'run.json'} is damaged; restore it or start another run.") from None
        if major != MAJOR:
            older = "an older" if major < MAJOR else "a newer"
            raise VantageError(
                "version",
                f"{path} was made by {older} version (format {major}, this one reads {MAJOR}); "
                "use that version, or choose another name for a new run.",
            )
        with contextlib.suppress(FileNotFoundError):  # which `load` reports
            os.close(open_regular(path / "config.toml", os.O_RDONLY))
        return cls(path, load([path / "config.toml"]))

    def __fspath__(self) -> str:
        return str(self.path)

    @property
    def adapters(self) -> Path:
        return self.path / "adapters"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def episodes(self) -> Path:
        return self.path / "episodes"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics"

    # ------------------------------------------------------------------------- one owner at a time

    @contextlib.contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold the lock of this name; the kernel frees it when the process exits for any reason.

        Raises VantageError: "conflict" immediately if another process holds it, "bad_request" if a folder of the run
        is missing or a symbolic link.
        """
        for folder in _FOLDERS:
            check_folder(self.path / folder)
        path = self.path / "locks" / f"{name}.lock"
        with disk_guard(path):
            descriptor = open_regular(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
                raise VantageError(
                    "conflict",
                    f"another {name} (pid {holder or 'unknown'}) works on run {self.path}; "
                    "stop it first, or choose another run.",
                ) from None
            os.ftruncate(descriptor, 0)
            with disk_guard(path):
                os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            yield
        finally:
            os.close(descriptor)

    # ------------------------------------------------------------------------- what dashboards read

    def write_status(self, process: str, status: Mapping[str, Any]) -> None:
        """Replace the status of `process`; adds `time_s` (epoch seconds) and `pid`."""
        record = {"time_s": time.time(), "pid": os.getpid(), **status}
        write_atomic(self.path / "status" / f"{process}.json", _dumps(record), durable=False)

    def read_status(self, process: str) -> Optional[dict[str, Any]]:
        """The last status, or None."""
        return _read_json(self.path / "status" / f"{process}.json")

    def mark_done(self, process: str, summary: Mapping[str, Any]) -> None:
        """Record durably that `process` finished the run's work; the supervisor ends a run whose learner did."""
        write_atomic(self.path / "status" / f"{process}.done", _dumps({"time_s": time.time(), **summary}))

    def read_done(self, process: str) -> Optional[dict[str, Any]]:
        """The summary of a process that has finished, else None."""
        return _read_json(self.path / "status" / f"{process}.done")

    def append_metrics(self, process: str, values: Mapping[str, Any]) -> None:
        """Append one line to metrics/<process>.jsonl; adds `time_s` (epoch seconds). Thread-safe."""
        line = _dumps({"time_s": time.time(), **values}) + b"\n"
        path = self.metrics / f"{process}.jsonl"
        with self._guard, disk_guard(path):
            if process not in self._appenders:
                self._appenders[process] = open_to_append(path)
            write_all(self._appenders[process], line)


@contextlib.contextmanager
def _creating(path: Path) -> Iterator[None]:
    """Wait for another process that creates this run. Raises VantageError("conflict") if there is a run."""
    make_folder(path / "locks")
    descriptor = open_regular(path / "locks" / "create.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if (path / "run.json").exists():
            raise VantageError("conflict", f"{path} already holds a run; open it to resume, or choose another name.")
        yield
    finally:
        os.close(descriptor)


# ----------------------------------------------------------------------------- files


@contextlib.contextmanager
def disk_guard(path: Union[str, os.PathLike[str]]) -> Iterator[None]:
    """Convert OSError: "no space left" to VantageError("disk_full"), permission errors to "bad_request"."""
    try:
        yield
    except OSError as error:
        where = os.fspath(path)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise VantageError("disk_full", f"the disk is full at {where}; free some space and start again.") from error
        if error.errno in _NOT_WRITABLE:
            raise VantageError(
                "bad_request", f"{where} cannot be written ({error.strerror}); make it writable, or name another place."
            ) from error
        if error.errno in _IN_THE_WAY:
            raise VantageError(
                "bad_request", f"{where} cannot be written ({error.strerror}); move away what is in its place."
            ) from error
        raise


def write_atomic(path: Path, data: bytes, durable: bool = True) -> None:
    """Replace `path` by `data` atomically. With `durable` the data survives a power failure once this returns.

    Raises VantageError: "disk_full", or "bad_request" if it may not be written; the old file then remains unchanged.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    with disk_guard(path):
        try:
            temporary.unlink(missing_ok=True)  # left by a killed process with the same ids
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            try:
                write_all(descriptor, data)
                if durable:
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        if durable:
            fsync_folder(path.parent)


def fsync_folder(path: Path) -> None:
    """Make renames inside a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_jsonl(path: Path, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
    """The complete lines from byte `offset` on, and the offset for the next call; changes nothing.

    A line that is not a JSON object is skipped: it was cut off by a kill, or is refused by `protocol.run.lines`.
    """
    lines, end = complete_lines(path, offset)
    records = []
    for line in lines:
        with contextlib.suppress(ValueError):
            records.append(parse_object(line))
    return records, end


def complete_lines(path: Path, offset: int) -> tuple[list[bytes], int]:
    """The lines of a file from byte `offset` on that end with a newline, without it, and the offset after the last.

    A last line without a newline is still being written. A missing file has no lines.
    """
    try:
        data = read_regular(path, offset)
    except FileNotFoundError:
        return [], offset
    end = data.rfind(b"\n") + 1
    return data[:end].split(b"\n")[:-1], offset + end


def parse_object(data: bytes) -> dict[str, Any]:
    """A JSON object. Raises ValueError for anything else."""
    try:
        value = json.loads(data)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def open_to_append(path: Path) -> int:
    """Open a file of lines; a last line that an earlier process did not finish is ended."""
    descriptor = open_regular(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        os.write(descriptor, b"\n")
    return descriptor


def write_all(descriptor: int, data: bytes) -> None:
    """Write all bytes; a single os.write may write only some of them."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _read_json(path: Path) -> Optional[dict[str, Any]]:
    try:
        return parse_object(read_regular(path))
    except (OSError, ValueError, VantageError):
        return None


def _dumps(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"), default=_plain).encode()


def _plain(value: Any) -> Any:
    """Convert NumPy scalars and arrays to numbers and lists, paths to text."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{type(value).__name__} cannot be stored in a status or metrics file")
