"""A live run under attack: started as a user starts it, watched from its files, judged when it has ended."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Mapping, Optional, Sequence

from protocol.errors import VantageError
from protocol.run.directory import RunDir, read_jsonl

ROOT = Path(__file__).resolve().parents[2]
END_S = 900.0  # a run that has not ended by then is taken to hang
ORPHAN_S = 30.0  # for the processes of a run that has ended
# The smoke run without its evaluations, which take longer than its steps, and with a checkpoint per step.
SETS = (
    "learner.evaluate.per_skill=1",
    "learner.evaluate.samples=1",
    "learner.evaluate.blind_per_skill=0",
    "learner.evaluate.every_steps=0",
    "learner.grpo.save_every=1",
    "learner.grpo.groups=4",
    "learner.grpo.samples=4",
    "learner.budget.minutes=600",
)


@dataclass
class LiveRun:
    """One run of configs/smoke.toml; `start` may be called again after it has ended or was killed."""

    runs: Path
    name: str = "chaos"
    sets: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    process: Optional[subprocess.Popen[bytes]] = None
    made: set[str] = field(default_factory=set)  # ids of all reports that were seen in the outbox

    @property
    def path(self) -> Path:
        return self.runs / self.name

    @property
    def output(self) -> str:
        """What the terminal showed since the last start."""
        return (self.runs / f"{self.name}.out").read_text(errors="replace")

    def start(self, preexec: Optional[Callable[[], None]] = None) -> None:
        command = [sys.executable, "-m", "vantage", "run", "configs/smoke.toml", "--name", self.name]
        command += ["--runs", str(self.runs)]
        for item in (*SETS, *self.sets):
            command += ["--set", item]
        environment = {**os.environ, **self.environment}
        with open(self.runs / f"{self.name}.out", "wb") as output:
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, env=environment, preexec_fn=preexec
            )

    # ------------------------------------------------------------------------- watching

    def step(self) -> int:
        """The last step in the metrics."""
        lines = read_jsonl(self.path / "metrics" / "learner.jsonl")[0]
        return max((line["step"] for line in lines if line.get("event") == "step"), default=0)

    def watch(self) -> None:
        """Remember the reports in the outbox, if it can be read."""
        try:
            lines = read_jsonl(self.path / "outbox.jsonl")[0]
        except VantageError:
            return
        self.made |= {line["report"]["report_id"] for line in lines if isinstance(line.get("report"), dict)}

    def wait_until(self, reached: Callable[[], object], timeout_s: float = 300.0) -> None:
        """Watch until `reached`. Raises AssertionError if the run ends before, or after `timeout_s`."""
        end_s = time.monotonic() + timeout_s
        while not reached():
            assert self.process is not None and self.process.poll() is None, self.output[-2000:]
            assert time.monotonic() < end_s, f"the run does not get there: {self.output[-2000:]}"
            self.watch()
            time.sleep(0.05)

    def wait(self, timeout_s: float = END_S) -> int:
        """Watch until the run ends; returns its exit code."""
        assert self.process is not None
        end_s = time.monotonic() + timeout_s
        while self.process.poll() is None:
            assert time.monotonic() < end_s, f"the run hangs: {self.output[-2000:]}"
            self.watch()
            time.sleep(0.1)
        self.watch()
        return self.process.returncode

    def pid_of(self, target: str) -> int:
        """The pid of "sim", "curriculum", "learner", a "worker" or the "supervisor"; 0 if it is not running."""
        if target == "supervisor":
            return self.process.pid if self.process is not None and self.process.poll() is None else 0
        with suppress(OSError, ValueError, KeyError, IndexError, TypeError):
            name = "sim" if target == "worker" else target
            pid = int(json.loads((self.path / "status" / f"{name}.json").read_bytes())["pid"])
            if str(self.path) not in Path(f"/proc/{pid}/cmdline").read_text():  # another process by now
                return 0
            if target == "worker":
                return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
            return pid
        return 0

    # ------------------------------------------------------------------------- judging

    def processes(self) -> list[int]:
        """The processes of this run, found by their arguments."""
        found = []
        for folder in Path("/proc").iterdir():
            with suppress(OSError, ValueError):
                pid = int(folder.name)
                if pid != os.getpid() and str(self.path) in (folder / "cmdline").read_text():
                    found.append(pid)
        return found

    def check_no_orphans(self) -> None:
        end_s = time.monotonic() + ORPHAN_S
        while left := self.processes():
            assert time.monotonic() < end_s, f"processes {left} are left behind"
            time.sleep(0.1)

    def check_reports(self) -> dict[str, int]:
        """Every report that the learner made is counted once. Returns the figures."""
        reported = self.reported()
        ids = [report["report_id"] for report in reported]
        lost, doubled = self.made - set(ids), len(ids) - len(set(ids))
        assert not lost, f"{len(lost)} reports are lost: {sorted(lost)[:3]}"
        assert not doubled, f"{doubled} reports are counted twice"
        return {"reports": len(ids), "lost": len(lost), "doubled": doubled}

    def reported(self) -> list[dict[str, Any]]:
        database = sqlite3.connect(f"file:{self.path / 'curriculum.sqlite3'}?mode=ro", uri=True)
        try:
            bodies = [body for (body,) in database.execute("SELECT body FROM events WHERE kind = 'reported'")]
        finally:
            database.close()
        return [report for body in bodies for report in json.loads(body)["reports"]]

    def verdict(self) -> str:
        """ "done", or the sentence with which the run ended. Raises AssertionError if it ended otherwise."""
        assert self.process is not None and self.process.returncode is not None
        text = self.output
        assert "Traceback" not in text, text[-3000:]
        if self.process.returncode == 0:
            assert RunDir.open(self.path).read_done("learner") is not None, text[-2000:]
            return "done"
        sentences = [line for line in text.splitlines() if line.startswith("vantage: ")]
        assert sentences, f"exit code {self.process.returncode} without a sentence: {text[-2000:]}"
        return sentences[-1].removeprefix("vantage: ")

    def finish(self) -> dict[str, int]:
        """Wait for a good end; returns the figures of `check_reports`."""
        code = self.wait()
        assert (code, self.verdict()) == (0, "done"), self.output[-2000:]
        self.check_no_orphans()
        return self.check_reports()

    def kill_all(self) -> None:
        """kill -9 every process of the run."""
        for pid in (self.pid_of("supervisor"), *self.processes()):
            with suppress(ProcessLookupError):
                if pid:
                    os.kill(pid, signal.SIGKILL)
        if self.process is not None:
            self.process.wait()
        self.check_no_orphans()
