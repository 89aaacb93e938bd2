"""Regular files and folders of a run, opened without following symbolic links.

A link, device, pipe or folder in place of a file of the run is reported in one sentence: nothing is written through it,
and nothing waits for the other end of a pipe.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from protocol.errors import VantageError

# Errors of os.open with O_NOFOLLOW and O_NONBLOCK for a link, a folder, and a pipe or device without a peer.
_NOT_REGULAR = frozenset({errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.ENODEV})

_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFDIR: "a folder",
    stat.S_IFREG: "a file",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}


def open_regular(path: Path, flags: int, mode: int = 0o644) -> int:
    """Open a regular file and return its descriptor.

    Raises VantageError("bad_request") if `path` is anything else, and OSError as os.open does.
    """
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, mode)
    except OSError as error:
        if error.errno in _NOT_REGULAR:
            raise _wrong_kind(path, "a regular file") from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _wrong_kind(path, "a regular file")
    return descriptor


def read_regular(path: Path, offset: int = 0) -> bytes:
    """The content of a regular file from byte `offset` on. Raises as `open_regular` does."""
    with open(open_regular(path, os.O_RDONLY), "rb") as file:
        file.seek(offset)
        return file.read()


def make_folder(path: Path, mode: int = 0o777) -> None:
    """Make a folder with its parents unless it exists. Raises VantageError("bad_request") for anything else there."""
    try:
        path.mkdir(mode=mode, parents=True, exist_ok=True)
    except FileExistsError:
        raise _wrong_kind(path, "a folder") from None
    check_folder(path)


def check_folder(path: Path) -> None:
    """Raises VantageError("bad_request") unless `path` is a folder itself, not a link to one."""
    try:
        is_folder = stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        raise VantageError("bad_request", f"{path} is missing; restore it from a copy, or start another run.") from None
    if not is_folder:
        raise _wrong_kind(path, "a folder")


def private_folder(path: Path) -> None:
    """Create `path` with mode 0700, or restrict it to that. Raises VantageError("conflict") if another user owns it."""
    make_folder(path, mode=0o700)
    status = path.lstat()
    if status.st_uid != os.getuid():
        raise VantageError("conflict", f"{path} belongs to another user; remove it or use another run directory.")
    if stat.S_IMODE(status.st_mode) != 0o700:
        path.chmod(0o700)


def _wrong_kind(path: Path, wanted: str) -> VantageError:
    try:
        kind = _KINDS.get(stat.S_IFMT(os.lstat(path).st_mode), "a device")
    except OSError:
        kind = "gone"
    return VantageError("bad_request", f"{path} is {kind}, not {wanted}; move it away and start again.")
