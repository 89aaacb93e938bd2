"""Checks that malformed frames neither end a service nor make it grow, and that kills lose or double no report.

    python -m benchmarks.chaos frames [--count 1000000]   mutated messages to each of the three listening sockets
    python -m benchmarks.chaos kills [--count 100]        kill -9 of broker, worker, curriculum and learner in one run

Both write benchmarks/results/chaos.json; tests/chaos runs short versions. `frames` uses the toy simulator of
tests/support/third_party, so that a mutation that is still a valid request costs nothing.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import typer
import zmq

from benchmarks.machine import describe_machine
from benchmarks.mutations import Mutator
from protocol.errors import VantageError
from protocol.run.directory import RunDir, read_jsonl
from protocol.tasks.scene import Camera, Pose, SceneSpec
from protocol.wire.client import Client
from protocol.wire.codec import decode, encode
from protocol.wire.endpoint import lookup
from protocol.wire.messages import GetCurriculumStatus, GetSimStatus, Hello, LeaseSpecs, Observe

ROOT = Path(__file__).resolve().parents[1]
RESULT = Path(__file__).parent / "results" / "chaos.json"
SOCKETS = {"sim": "sim", "sim-workers": "sim", "curriculum": "curriculum"}  # socket -> the service behind it
BURST = 100
STEADY_S = 40.0  # launch/processes.py gives up a process that dies five times in a row within 30 s of its start
QUICK_DEATHS = 3
STEPS_PER_KILL = 12  # enough steps to go on while processes that died often recently are spared
TARGETS = ("sim", "worker", "curriculum", "learner")

app = typer.Typer(add_completion=False)


# ----------------------------------------------------------------------------- frames


@app.command()
def frames(
    count: int = 1_000_000,
    seed: int = 1,
    sockets: Annotated[str, typer.Option(help="Comma-separated names of sockets.")] = ",".join(SOCKETS),
) -> None:
    """Send `count` mutated messages to each listening socket of a run."""
    rows = {row["socket"]: row for row in _results().get("frames", {}).get("figures", [])}
    for name in sockets.split(","):
        rows[name] = attack(name, count, seed)
        print(json.dumps(rows[name]))
        _save("frames", [rows[name] for name in SOCKETS if name in rows])


def attack(name: str, count: int, seed: int) -> dict[str, Any]:
    """Send `count` mutated messages to the socket `name` while the service must keep answering a well-behaved client.

    Raises AssertionError if the service dies or stops answering.
    """
    with tempfile.TemporaryDirectory(prefix="vantage-chaos-") as folder, _services(Path(folder) / "run") as processes:
        run_dir, service = Path(folder) / "run", SOCKETS[name]
        process = processes[service]
        mutator = Mutator(seed)
        started_s = time.monotonic()
        resident: list[float] = []
        answers = 0
        with Client(lambda: lookup(run_dir, service), "good") as good, zmq.Context() as context:
            _ask(good, service)
            bad = _stranger(context, run_dir, name)
            for sent in range(0, count, BURST):
                for message in mutator.messages(min(BURST, count - sent)):
                    if _orders_work(message):
                        continue
                    bad.send_multipart(message or [b""])
                while bad.poll(0):
                    bad.recv_multipart()
                    answers += 1
                if sent % (50 * BURST) == 0:
                    assert process.poll() is None, f"{service} died"
                    _ask(good, service)
                    resident.append(_resident_mib(process.pid))
                    bad.close(linger=0)
                    bad = _stranger(context, run_dir, name)
            bad.close(linger=0)
            _ask(good, service, last=True)
            assert process.poll() is None, f"{service} died"
            resident.append(_resident_mib(process.pid))
            connections = good.counters["connections"]
    return {
        "socket": name,
        "mutated_messages": count,
        "refusals_and_answers_read": answers,
        "service_alive": True,
        "connections_of_the_good_client": connections,
        "resident_mib_at_the_start": resident[0],
        "resident_mib_after_a_fifth": resident[len(resident) // 5],
        "resident_mib_after_half": resident[len(resident) // 2],
        "resident_mib_at_the_end": resident[-1],
        "seconds": round(time.monotonic() - started_s, 1),
    }


def _ask(good: Client, service: str, last: bool = False) -> None:
    if service == "curriculum":
        good.request(GetCurriculumStatus(), deadline_s=30.0)
        return
    good.request(GetSimStatus(), deadline_s=30.0)
    if last:  # strangers that were accepted as workers are gone by now: expect a real view
        pose = Pose((2.0, 1.5, 2.0), (1.0, 0.0, 0.0, 0.0))
        good.request(Observe(SceneSpec(seed=5), Camera(16, 16), pose), deadline_s=60.0)


def _orders_work(message: list[bytes]) -> bool:
    """Whether the mutated message is still a valid request for specs. The curriculum remembers what it issues, so its
    memory would not reflect refused messages alone."""
    try:
        return isinstance(decode(message).message, LeaseSpecs)
    except VantageError:
        return False


def _stranger(context: zmq.Context, run_dir: Path, name: str) -> zmq.Socket:
    socket = context.socket(zmq.DEALER)
    socket.sndtimeo = 30_000
    socket.connect(lookup(run_dir, name).address)
    assert socket.poll(10_000, zmq.POLLOUT), f"{name} accepts no connection"
    if name != "sim-workers":
        socket.send_multipart(encode(b"", Hello("stranger", 1, 0)))
    return socket


@contextmanager
def _services(run_dir: Path) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """A broker with one toy worker, and a curriculum."""
    RunDir.create(run_dir, {"sim": {"backend": "toy"}})
    paths = (str(ROOT), str(ROOT / "tests" / "support" / "third_party"))
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "TOY_DEATHS": "0",
        "TOY_RENDER_S": "0",
        "TOY_OPEN_S": "0",
        "TOY_STATE": str(run_dir / "deaths"),
    }
    processes = {}
    for name, module in (("sim", "sim_server.cli"), ("curriculum", "curriculum.cli")):
        command = [sys.executable, "-m", module, "serve", str(run_dir)]
        with open(run_dir / f"{name}.stderr", "wb") as stderr:
            processes[name] = subprocess.Popen(command, env=environment, stderr=stderr)
    try:
        with Client(lambda: lookup(run_dir, "sim"), "chaos") as client:
            while not client.request(GetSimStatus(), deadline_s=60.0).message.workers:
                time.sleep(0.05)
        yield processes
    finally:
        for process in processes.values():
            process.terminate()
        for process in processes.values():
            process.wait(30)


def _resident_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return round(next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024, 1)


# ----------------------------------------------------------------------------- kills


@app.command()
def kills(count: int = 100, seed: int = 1) -> None:
    """Train with configs/smoke.toml, kill processes after steps, `count` times in all, and compare the reports."""
    with tempfile.TemporaryDirectory(prefix="vantage-chaos-") as folder:
        row = survive(Path(folder), count, seed)
    print(json.dumps(row))
    _save("kills", row)


def survive(runs: Path, count: int, seed: int) -> dict[str, Any]:
    """Run STEPS_PER_KILL steps per kill and return the figures.

    Raises AssertionError if the run does not end by itself, or if a report is lost or doubled.
    """
    sets = [f"learner.budget.steps={STEPS_PER_KILL * count}", "learner.budget.minutes=600", "learner.grpo.save_every=1"]
    command = [sys.executable, "-m", "vantage", "run", "configs/smoke.toml", "--name", "chaos", "--runs", str(runs)]
    for item in (*sets, "learner.evaluate.every_steps=1000"):
        command += ["--set", item]
    started_s = time.monotonic()
    with open(runs / "supervisor.log", "wb") as output:
        loop = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
    try:
        made, killed = _kill_along(runs / "chaos", loop, count, random.Random(seed))
        loop.wait(3600)
    finally:
        if loop.poll() is None:
            loop.terminate()
            loop.wait(60)
    assert loop.returncode == 0, (runs / "supervisor.log").read_text()[-2000:]
    reported = _reported(runs / "chaos")
    asked = {line["spec_id"] for line in read_jsonl(runs / "chaos" / "episodes" / "episodes.jsonl")[0]}
    doubled = len(reported) - len({report["report_id"] for report in reported})
    lost = made - {report["report_id"] for report in reported}
    assert killed.total() == count, killed
    assert not doubled and not lost and asked <= {report["spec_id"] for report in reported}
    return {
        "kills": dict(killed),
        "steps": STEPS_PER_KILL * count,
        "reports_that_the_learner_made": len(made),
        "reports_in_the_event_log": len(reported),
        "lost": len(lost),
        "doubled": doubled,
        "minutes": round((time.monotonic() - started_s) / 60, 1),
    }


def _kill_along(
    run_path: Path, loop: subprocess.Popen[bytes], count: int, chance: random.Random
) -> tuple[set[str], Counter[str]]:
    """Kill one process after each step. Returns the ids of the reports in the learner's outbox, and kills by target."""
    made: set[str] = set()
    killed: Counter[str] = Counter()
    deaths: dict[str, list[float]] = {}  # times of each process's deaths
    level, due_s = 0, 0.0
    while loop.poll() is None:
        time.sleep(0.1)
        if not (run_path / "run.json").exists():
            continue
        made |= {line["report"]["report_id"] for line in read_jsonl(run_path / "outbox.jsonl")[0] if "report" in line}
        step = max((line["step"] for line in _metrics(run_path) if line.get("event") == "step"), default=0)
        if killed.total() < count and step > level:
            level, due_s = step, time.monotonic() + chance.uniform(0.0, 2.0)
        if due_s and time.monotonic() >= due_s:
            candidates = [name for name in TARGETS if _robust(deaths, name)]
            target = chance.choice(candidates) if candidates else ""
            pid = _pid_of(run_path, target) if target else 0
            if pid:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    killed[target] += 1
                    deaths.setdefault(target, []).append(time.monotonic())
                    due_s = 0.0
    return made, killed


def _robust(deaths: dict[str, list[float]], name: str) -> bool:
    """True if the supervisor would still restart the process after one more death."""
    times = [*deaths.get(name, []), time.monotonic()]
    in_a_row = 0  # deaths in quick succession
    for before, after in zip(times, times[1:]):
        in_a_row = in_a_row + 1 if after - before < STEADY_S else 0
    return name == "worker" or in_a_row < QUICK_DEATHS  # the broker always restarts its workers


def _metrics(run_path: Path) -> list[dict[str, Any]]:
    return read_jsonl(run_path / "metrics" / "learner.jsonl")[0]


def _pid_of(run_path: Path, target: str) -> int:
    with suppress(OSError, ValueError, KeyError, IndexError):
        name = "sim" if target == "worker" else target
        pid = int(json.loads((run_path / "status" / f"{name}.json").read_bytes())["pid"])
        command = Path(f"/proc/{pid}/cmdline").read_text()
        if str(run_path) not in command:  # already dead; its pid belongs to another process
            return 0
        if target == "worker":
            return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
        return pid
    return 0


def _reported(run_path: Path) -> list[dict[str, Any]]:
    database = sqlite3.connect(run_path / "curriculum.sqlite3")
    bodies = [body for (body,) in database.execute("SELECT body FROM events WHERE kind = 'reported'")]
    database.close()
    return [report for body in bodies for report in json.loads(body)["reports"]]


def _results() -> dict[str, Any]:
    return json.loads(RESULT.read_text()) if RESULT.exists() else {}


def _save(part: str, figures: Any) -> None:
    results = _results()
    results[part] = {"machine": describe_machine(), "figures": figures}
    RESULT.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    try:
        app()
    except VantageError as error:
        sys.exit(error.message)
