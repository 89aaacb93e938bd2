"""The folder of a dataset:

    plan.json                  the plan; written first
    specs.jsonl                the specs, if the plan was created from a list
    shards/shard-000007/       rows.jsonl, rows.parquet, images/, manifest.json with the SHA-256 of every file
    dataset.json               the SHA-256 of every shard's manifest, and infeasible specs; written last

A complete shard appears by one rename (protocol/run/sealed.py), so that a kill at any time leaves only complete shards.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any, Iterator, Optional

import msgspec

from protocol.errors import VantageError
from protocol.run.directory import disk_guard, write_atomic
from protocol.run.sealed import MANIFEST, numbered, verify_folder
from protocol.tasks.task import TaskSpec
from sim_server.dataset.plan import Plan, Specs, read_specs, specs_digest
from sim_server.dataset.rows import Row

FORMAT = "vantage-dataset"
MAJOR, MINOR = 1, 0
PREFIX = "shard-"

_LOCK_PATIENCE_S = 5.0  # workers of a killed process release the lock after at most one episode


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
        try:
            return msgspec.json.decode(path.read_bytes(), type=Plan)
        except msgspec.MsgspecError:
            raise VantageError("corrupt", f"{path} cannot be read; remove {self.path} and start again.") from None

    def specs(self, plan: Plan) -> Specs:
        """The specs of the plan. Raises VantageError("corrupt") if specs.jsonl does not match it."""
        listed: list[TaskSpec] = []
        if plan.specs_sha256:
            path = self.path / "specs.jsonl"
            if not path.exists() or specs_digest(path.read_bytes()) != plan.specs_sha256:
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

    def seal(self, plan: Plan) -> dict[str, Any]:
        """Write dataset.json for the complete shards, and return it."""
        shards, infeasible, rows = [], {}, 0
        for path in self.done().values():
            manifest = (path / MANIFEST).read_bytes()
            facts = json.loads(manifest)
            rows += facts["rows"]
            for _, skill, level, _ in facts["infeasible"]:
                name = f"{skill} L{level}"
                infeasible[name] = infeasible.get(name, 0) + 1
            shards.append({"name": path.name, "rows": facts["rows"], "sha256": _digest(manifest)})
        record = {
            "format": FORMAT,
            "major": MAJOR,
            "minor": MINOR,
            "plan": msgspec.to_builtins(plan),
            "asked": plan.n,
            "rows": rows,
            "infeasible": dict(sorted(infeasible.items())),
            "shards": shards,
        }
        write_atomic(self.path / "dataset.json", json.dumps(record, indent=1).encode())
        return record

    def sealed(self) -> Optional[dict[str, Any]]:
        """dataset.json; None if the dataset is not finished. Raises VantageError: "corrupt", "version"."""
        path = self.path / "dataset.json"
        if not path.exists():
            return None
        try:
            record = json.loads(path.read_bytes())
            if record["format"] != FORMAT:
                raise KeyError("format")
            major, _ = int(record["major"]), list(record["shards"])
        except (ValueError, KeyError, TypeError):
            raise VantageError("corrupt", f"{path} cannot be read; remove it and generate again.") from None
        if major != MAJOR:
            raise VantageError(
                "version", f"{path} has format {major}, but this version reads {MAJOR}; use the version that wrote it."
            )
        return record


def check_shard(path: Path, sha256: str) -> None:
    """Compare a shard with dataset.json, and its files with its manifest. Raises VantageError("corrupt")."""
    verify_folder(path)
    if _digest((path / MANIFEST).read_bytes()) != sha256:
        raise VantageError("corrupt", f"{path / MANIFEST} does not match dataset.json; remove {path} and start again.")


def read_rows(path: Path) -> list[Row]:
    """The rows of a shard. Raises VantageError("corrupt"), with the line number."""
    rows = []
    for number, line in enumerate((path / "rows.jsonl").read_bytes().splitlines(), start=1):
        try:
            rows.append(msgspec.json.decode(line, type=Row))
        except msgspec.MsgspecError as error:
            raise VantageError(
                "corrupt", f"line {number} of {path / 'rows.jsonl'} is not a valid row: {error}."
            ) from None
    return rows


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
