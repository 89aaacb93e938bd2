"""A data set's folder: what is written when, and how it is read.

    plan.json                  what the data set is to hold; written first
    specs.jsonl                the specs, where the plan was made from a list
    shards/shard-000007/       rows.jsonl, rows.parquet, images/, manifest.json with the SHA-256 of every file
    dataset.json               the SHA-256 of every shard's manifest, and what was infeasible; written last

A shard appears by one rename when it is whole (protocol/run/sealed.py), so a kill at any instant leaves whole shards.
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

_LOCK_PATIENCE_S = 5.0  # workers of a killed process let go of the lock within an episode


class Folder:
    """The paths of a data set."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.shards = path / "shards"

    def shard(self, index: int) -> Path:
        return self.shards / f"{PREFIX}{index:06d}"

    def done(self) -> dict[int, Path]:
        """The shards that are whole, by number."""
        return numbered(self.shards, PREFIX) if self.shards.is_dir() else {}

    def plan(self) -> Optional[Plan]:
        """The plan, None where there is none yet. Raises VantageError("corrupt")."""
        path = self.path / "plan.json"
        if not path.exists():
            return None
        try:
            return msgspec.json.decode(path.read_bytes(), type=Plan)
        except msgspec.MsgspecError:
            raise VantageError("corrupt", f"{path} cannot be read; remove {self.path} and start again.") from None

    def specs(self, plan: Plan) -> Specs:
        """Raises VantageError("corrupt") where specs.jsonl is not the plan's."""
        listed: list[TaskSpec] = []
        if plan.specs_sha256:
            path = self.path / "specs.jsonl"
            if not path.exists() or specs_digest(path.read_bytes()) != plan.specs_sha256:
                raise VantageError("corrupt", f"{path} does not match its plan; remove {self.path} and start again.")
            listed = read_specs(path, plan.split)
        return Specs(plan, listed)

    @contextlib.contextmanager
    def lock(self) -> Iterator[int]:
        """One writer at a time; gives the lock's descriptor, for child processes to hold too.

        Raises VantageError("conflict"), also where the folder holds something else, in which nothing is then made.
        """
        with disk_guard(self.path):
            there = {item.name for item in self.path.iterdir()} if self.path.exists() else set()
            if "plan.json" not in there and there - {".lock", "shards", "specs.jsonl"}:
                raise VantageError("conflict", f"{self.path} holds something else; choose another folder.")
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
                            "conflict", f"another process writes {self.path}; stop it first, or choose another folder."
                        ) from None
                    time.sleep(0.1)
            yield descriptor
        finally:
            os.close(descriptor)

    def seal(self, plan: Plan) -> dict[str, Any]:
        """Write dataset.json over the whole shards, and return it."""
        shards, infeasible, rows = [], {}, 0
        for path in self.done().values():
            manifest = (path / MANIFEST).read_bytes()
            facts = json.loads(manifest)
            rows += facts["rows"]
            for _, family, level, _ in facts["infeasible"]:
                name = f"{family} L{level}"
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
        """dataset.json, None where the data set is not finished. Raises VantageError: "corrupt", "version"."""
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
            raise VantageError("version", f"{path} has format {major}, this version reads {MAJOR}; use that version.")
        return record


def check_shard(path: Path, sha256: str) -> None:
    """Compare a shard with the data set's record and its files with its manifest. Raises VantageError("corrupt")."""
    verify_folder(path)
    if _digest((path / MANIFEST).read_bytes()) != sha256:
        raise VantageError("corrupt", f"{path / MANIFEST} does not match dataset.json; remove {path} and start again.")


def read_rows(path: Path) -> list[Row]:
    """The rows of a shard. Raises VantageError("corrupt") that names the line."""
    rows = []
    for number, line in enumerate((path / "rows.jsonl").read_bytes().splitlines(), start=1):
        try:
            rows.append(msgspec.json.decode(line, type=Row))
        except msgspec.MsgspecError as error:
            raise VantageError("corrupt", f"line {number} of {path / 'rows.jsonl'} is no row: {error}.") from None
    return rows


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
