"""The folder of a dataset:

    plan.json                  the plan; written first
    specs.jsonl                the specs, if the plan was created from a list
    shards/shard-000007/       rows.jsonl, rows.parquet, rows.tar, images/, manifest.json with the SHA-256 of every file
    dataset.json               the SHA-256 of every shard's manifest, and infeasible specs; written last
    README.md                  the data set card

A complete shard appears by one rename (protocol/run/sealed.py), so that a kill at any time leaves only complete shards.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import time
from collections import Counter
from pathlib import Path
from typing import Annotated, Iterator, Optional, TypeVar

import msgspec
from msgspec import Meta

from protocol.errors import VantageError
from protocol.run.directory import disk_guard, write_atomic
from protocol.run.sealed import MANIFEST, numbered, verify_folder
from protocol.tasks.task import TaskSpec
from sim_server.backends.untrusted import MAX_JSON_BYTES, lines_inside, read_inside
from sim_server.dataset.limits import MAX_ROW_BYTES, MAX_SHARD_BYTES, MAX_SHARD_ROWS
from sim_server.dataset.plan import Plan, Specs, read_specs, specs_digest
from sim_server.dataset.rows import Row, decode_row

FORMAT = "vantage-dataset"
MAJOR, MINOR = 2, 1
PREFIX = "shard-"
_Kind = TypeVar("_Kind")

_LOCK_PATIENCE_S = 5.0  # workers of a killed process release the lock after at most one episode


class ShardRecord(msgspec.Struct, frozen=True):
    """A shard as dataset.json lists it. sha256: of its manifest."""

    name: Annotated[str, Meta(pattern=r"^shard-[0-9]{6,12}$")]
    rows: Annotated[int, Meta(ge=0, le=MAX_SHARD_ROWS)]
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """dataset.json."""

    format: str = FORMAT
    major: int = MAJOR
    minor: int = MINOR
    plan: Plan
    asked: int
    rows: int
    infeasible: dict[str, int]  # number of specs by cell, like "depth_order L0"
    failed: dict[str, int] = {}  # specs with any other error, by cell
    first_failure: str = ""
    shards: tuple[ShardRecord, ...]


class _Version(msgspec.Struct):
    format: str
    major: int


class Folder:
    """Reads and writes the files of a dataset."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.shards = path / "shards"

    def shard(self, index: int) -> Path:
        return self.shards / f"{PREFIX}{index:06d}"

    def done(self) -> dict[int, Path]:
        """The complete shards by number."""
        return numbered(self.shards, PREFIX) if self.shards.is_dir() else {}

    def plan(self) -> Optional[Plan]:
        """The plan; None if there is none yet. Raises VantageError("corrupt")."""
        path = self.path / "plan.json"
        if not path.exists():
            return None
        return _decoded(read_inside(path, self.path, MAX_JSON_BYTES), Plan, path, self.path)

    def specs(self, plan: Plan) -> Specs:
        """The specs of the plan. Raises VantageError("corrupt") if specs.jsonl does not match it."""
        listed: list[TaskSpec] = []
        if plan.specs_sha256:
            path = self.path / "specs.jsonl"
            if not path.exists() or specs_digest(read_inside(path, self.path)) != plan.specs_sha256:
                raise VantageError("corrupt", f"{path} does not match its plan; remove {self.path} and start again.")
            listed = read_specs(path, plan.split)
        return Specs(plan, listed)

    @contextlib.contextmanager
    def lock(self) -> Iterator[int]:
        """Lock the folder for one writer; yield the lock's file descriptor, which child processes inherit.

        Raises VantageError("conflict") if another process holds the lock, or, without changing anything, if the folder
        contains other files.
        """
        with disk_guard(self.path):
            there = {item.name for item in self.path.iterdir()} if self.path.exists() else set()
            if "plan.json" not in there and there - {".lock", "shards", "specs.jsonl"}:
                raise VantageError("conflict", f"{self.path} contains other files; choose another folder.")
            self.shards.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            deadline_s = time.monotonic() + _LOCK_PATIENCE_S
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline_s:
                        raise VantageError(
                            "conflict",
                            f"another process is writing {self.path}; stop it first, or choose another folder.",
                        ) from None
                    time.sleep(0.1)
            yield descriptor
        finally:
            os.close(descriptor)

    def seal(self, plan: Plan) -> Record:
        """Write dataset.json for the complete shards, and return it."""
        shards, rows = [], 0
        infeasible: Counter[str] = Counter()
        failed: Counter[str] = Counter()
        first_failure = ""
        for path in self.done().values():
            manifest = (path / MANIFEST).read_bytes()
            facts = json.loads(manifest)
            rows += facts["rows"]
            infeasible.update(f"{skill} L{level}" for _, skill, level, _ in facts["infeasible"])
            for spec_id, skill, level, reason in facts.get("failed", ()):  # missing in shards of format 2.0
                failed[f"{skill} L{level}"] += 1
                first_failure = first_failure or f"{spec_id}: {reason}"
            shards.append(ShardRecord(path.name, facts["rows"], _digest(manifest)))
        record = Record(
            plan=plan,
            asked=plan.n,
            rows=rows,
            infeasible=dict(sorted(infeasible.items())),
            failed=dict(sorted(failed.items())),
            first_failure=first_failure,
            shards=tuple(shards),
        )
        write_atomic(self.path / "dataset.json", msgspec.json.format(msgspec.json.encode(record), indent=1))
        return record

    def sealed(self) -> Optional[Record]:
        """dataset.json; None if the dataset is not finished. Raises VantageError: "corrupt", "version"."""
        path = self.path / "dataset.json"
        if not path.exists():
            return None
        content = read_inside(path, self.path, MAX_JSON_BYTES)
        version = _decoded(content, _Version, path, path)
        if version.format != FORMAT:
            raise VantageError("corrupt", f"{path} has the format {version.format[:40]!r}, not {FORMAT!r}.")
        if version.major != MAJOR:
            raise VantageError(
                "version",
                f"{path} has format {version.major}, but this version reads {MAJOR}; use the version that wrote it.",
            )
        return _decoded(content, Record, path, path)


def _decoded(content: bytes, kind: type[_Kind], path: Path, remove: Path) -> _Kind:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise VantageError("corrupt", f"{path} is invalid ({error}); remove {remove} and generate again.") from None


def check_shard(path: Path, root: Path, sha256: str) -> None:
    """Compare a shard with dataset.json, and its files with its manifest. Raises VantageError("corrupt").

    root: the dataset's folder.
    """
    if _digest(read_inside(path / MANIFEST, root, MAX_JSON_BYTES)) != sha256:
        raise VantageError("corrupt", f"{path / MANIFEST} does not match dataset.json; remove {path} and start again.")
    size = sum(file.lstat().st_size for file in path.rglob("*"))
    if size > MAX_SHARD_BYTES:
        raise VantageError("corrupt", f"{path} has more than {MAX_SHARD_BYTES} bytes; generate smaller shards.")
    verify_folder(path)


def read_rows(path: Path, root: Path) -> Iterator[Row]:
    """The rows of a shard, one at a time. Raises VantageError("corrupt"), with the line number.

    root: the dataset's folder.
    """
    file = path / "rows.jsonl"
    for number, line in enumerate(lines_inside(file, root, MAX_ROW_BYTES), start=1):
        if number > MAX_SHARD_ROWS:
            raise VantageError("corrupt", f"{file} has more than {MAX_SHARD_ROWS} lines; generate smaller shards.")
        try:
            yield decode_row(line)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            raise VantageError("corrupt", f"line {number} of {file} is not a valid row: {error}.") from None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
