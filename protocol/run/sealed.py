"""Folders that are complete or absent: published adapters, training checkpoints, shards of a dataset.

A folder is written under a temporary name: each file is synced, a manifest with the SHA-256 of each file is written
last, and one rename makes the folder visible. A kill at any instant leaves either the old state or the new one; the
next start removes unfinished folders.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any, Iterator, Mapping

from protocol.errors import VantageError
from protocol.run.directory import disk_guard, fsync_folder, parse_object, write_atomic
from protocol.run.files import check_folder, read_regular

MANIFEST = "manifest.json"
_STAGING = ".writing-"


@contextlib.contextmanager
def sealed_folder(final: Path, facts: Mapping[str, Any]) -> Iterator[Path]:
    """Yield a folder to write files into. When the block ends it becomes `final`, with `facts` in its manifest.

    Raises VantageError("disk_full"), leaving nothing behind. `final` must not exist.
    """
    staging = final.with_name(_STAGING + final.name)
    _remove(staging)
    try:
        with disk_guard(final):
            staging.mkdir(parents=True)
            yield staging
            paths = sorted(path for path in staging.rglob("*") if path.is_file())
            files = {path.relative_to(staging).as_posix(): _describe(path) for path in paths}
            for folder in (path for path in staging.rglob("*") if path.is_dir()):
                fsync_folder(folder)
            write_atomic(staging / MANIFEST, json.dumps({**facts, "files": files}, indent=1).encode())
            os.rename(staging, final)
            fsync_folder(final.parent)
    except BaseException:
        _remove(staging)
        raise


def verify_folder(folder: Path) -> dict[str, Any]:
    """The manifest of a sealed folder, after checking every file against it. Raises VantageError("corrupt")."""
    try:
        check_folder(folder)
        manifest = parse_object(read_regular(folder / MANIFEST))
        files = dict(manifest["files"])
    except (OSError, ValueError, KeyError, TypeError, VantageError):
        raise VantageError(
            "corrupt", f"{folder} has no readable manifest; remove the folder and start again."
        ) from None
    for name, expected in files.items():
        path = folder / name
        inside = folder.resolve() in path.resolve().parents and not path.is_symlink()
        if not inside or not path.is_file() or _describe(path, sync=False) != expected:
            raise VantageError("corrupt", f"{path} does not match its manifest; remove {folder} and start again.")
    return manifest


def sweep(parent: Path) -> None:
    """Remove unfinished folders that a killed process left."""
    for leftover in parent.glob(_STAGING + "*"):
        _remove(leftover)


def numbered(parent: Path, prefix: str) -> dict[int, Path]:
    """The folders `prefix`NNNNNN in `parent` by number, ascending. Raises VantageError("bad_request") without it."""
    check_folder(parent)
    pattern = re.compile(re.escape(prefix) + r"(\d{6,})")
    found = {int(match[1]): path for path in parent.iterdir() if (match := pattern.fullmatch(path.name))}
    return dict(sorted(found.items()))


def _remove(leftover: Path) -> None:
    """Remove a folder, or a file or link in its place, as far as possible."""
    shutil.rmtree(leftover, ignore_errors=True)
    if not leftover.is_dir() or leftover.is_symlink():
        leftover.unlink(missing_ok=True)


def _describe(path: Path, sync: bool = True) -> dict[str, Any]:
    with open(path, "rb") as file:
        digest = hashlib.sha256()
        while block := file.read(2**20):
            digest.update(block)
        size = os.fstat(file.fileno()).st_size
        if sync:
            os.fsync(file.fileno())
    return {"sha256": digest.hexdigest(), "bytes": size}
