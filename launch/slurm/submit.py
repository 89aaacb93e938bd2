"""Submit a run to Slurm: one job with the learner, the curriculum and the broker, and an array of simulator workers.

The learner's ranks are spread evenly over the job's nodes: on one node the learner starts them itself, over several
nodes srun does.

    configs ─▶ settings.resolve ─▶ RunDir, CURVE keys ─▶ RUN/slurm/{train,workers}.sbatch ─▶ sbatch

Every node must see the run directory at the same path. Submitting the same run again resumes it.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import jinja2

from launch.settings import resolve
from launch.supervise import open_or_create
from protocol.errors import VantageError

LISTEN = "tcp://0.0.0.0:*"  # every interface, any free port; published under the node's host name
NOTICE_S = 180  # before the time limit: the learner finishes its step and the processes drain
WORKER_NOTICE_S = 90
_HERE = Path(__file__).resolve().parent
_ROOT = _HERE.parent.parent


@dataclass(frozen=True)
class Jobs:
    """The resources of both jobs; `cpus` and `gpus` are per node."""

    workers: int = 4
    worker_cpus: int = 1
    worker_gpus: int = 0
    worker_python: str = ""  # empty: this Python
    backend: str = ""  # empty: sim.backend of the run
    nodes: int = 1
    cpus: int = 8
    gpus: int = 1
    time: str = "12:00:00"
    container: str = ""  # an image that pyxis starts; empty: this installation
    options: list[str] = field(default_factory=list)
    train_options: list[str] = field(default_factory=list)
    worker_options: list[str] = field(default_factory=list)


def submit(configs: list[Path], sets: list[str], name: str | None, runs: Path, jobs: Jobs, dry_run: bool) -> None:
    """Submit a run, or print its batch files if `dry_run`.

    Raises VantageError: "bad_config", "bad_request" if sbatch rejects a job or a value does not fit on one line of a
    batch file, "unavailable" without sbatch.
    """
    _check_lines(jobs, runs)
    remote = [f"sim.listen_workers={LISTEN}", "sim.workers=0"] if jobs.workers else []
    given, resolved = resolve(configs, [*remote, *sets], name)
    processes = resolved["learner"]["processes"]
    if processes % jobs.nodes or jobs.cpus < processes // jobs.nodes:
        raise VantageError(
            "bad_config",
            f"learner.processes is {processes}, which {jobs.nodes} nodes of {jobs.cpus} cores cannot share evenly with "
            "a core for each: change --nodes, --cpus or learner.processes.",
        )
    if jobs.container and jobs.nodes > 1:
        raise VantageError(
            "bad_request",
            "--container works on one node: ranks on several nodes are started by srun, which a container lacks.",
        )
    folder = runs.resolve() / resolved["run"]["name"] / "slurm"
    scripts = render(resolved, runs.resolve(), jobs)
    if dry_run:
        for kind, text in scripts.items():
            print(f"# ---- {folder}/{kind}.sbatch\n{text}")
        return
    if shutil.which("sbatch") is None:
        raise VantageError("unavailable", "there is no sbatch; run this on a login node, or add --dry-run.", False)
    open_or_create(runs, given, resolved)
    folder.mkdir(exist_ok=True)
    for kind, text in scripts.items():
        (folder / f"{kind}.sbatch").write_text(text)
    train = _sbatch(folder / "train.sbatch")
    print(f"training job {train}")
    if jobs.workers:
        # Started after the training job, so that workers do not wait in vain for a broker that is still queued.
        array = _sbatch(folder / "workers.sbatch", f"--dependency=after:{train}")
        (folder / "workers.job").write_text(array + "\n")
        print(f"worker array {array}, tasks 1-{jobs.workers}")
    print(f"follow it: tail -F {folder}/train-{train}.out")


def render(resolved: dict, runs: Path, jobs: Jobs) -> dict[str, str]:
    """The batch files by name: "train", and "workers" if there are any."""
    run_path = runs / resolved["run"]["name"]
    processes = resolved["learner"]["processes"]
    values = {
        "run": resolved["run"],
        "directory": shlex.quote(str(Path.cwd())),
        "checkout": shlex.quote(str(_ROOT)) if (_ROOT / "pyproject.toml").exists() and not jobs.container else "",
        "runs": shlex.quote(str(runs)),
        "run_path": shlex.quote(str(run_path)),
        "folder": shlex.quote(str(run_path / "slurm")),
        "python": "python" if jobs.container else shlex.quote(sys.executable),
        "worker_python": shlex.quote(jobs.worker_python or ("python" if jobs.container else sys.executable)),
        "train_step": _step(jobs.container, runs, jobs.cpus),
        "worker_step": _step(jobs.container, runs, jobs.worker_cpus),
        "backend": shlex.quote(jobs.backend or resolved["sim"]["backend"]),
        "workers": jobs.workers,
        "worker_cpus": jobs.worker_cpus,
        "worker_gpus": jobs.worker_gpus,
        "launcher": shlex.quote(f"sh {shlex.quote(str(_HERE / 'ranks.sh'))}"),
        "nodes": jobs.nodes,
        "ranks_per_node": processes // jobs.nodes,
        "cpus": jobs.cpus,
        "gpus": jobs.gpus,
        "time": jobs.time,
        "notice_s": NOTICE_S,
        "worker_notice_s": WORKER_NOTICE_S,
        "train_options": [*jobs.options, *jobs.train_options],
        "worker_options": [*jobs.options, *jobs.worker_options],
    }
    loader = jinja2.FileSystemLoader(_HERE)
    environment = jinja2.Environment(loader=loader, undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    kinds = ("train", "workers") if jobs.workers else ("train",)
    return {kind: environment.get_template(f"{kind}.sbatch.jinja").render(values) for kind in kinds}


def _step(container: str, runs: Path, cpus: int) -> str:
    """srun with the options of pyxis, which runs the rest of the line in a container; "" without one.

    The batch script itself stays outside, since it needs scontrol and scancel.
    """
    if not container:
        return ""
    mounts = dict.fromkeys((str(runs), str(Path.cwd())))
    options = {
        "container-image": container,
        "container-mounts": ",".join(f"{path}:{path}" for path in mounts),
        "container-workdir": str(Path.cwd()),
    }
    given = " ".join(f"--{name}={shlex.quote(value)}" for name, value in options.items())
    return f"srun --ntasks=1 --cpus-per-task={cpus} --no-container-entrypoint {given} "


def _check_lines(jobs: Jobs, runs: Path) -> None:
    """Raises VantageError("bad_request") for a value with a line break, which would add a line of shell code."""
    named = {
        "--time": [jobs.time],
        "--option": jobs.options,
        "--train-option": jobs.train_options,
        "--worker-option": jobs.worker_options,
        "--backend": [jobs.backend],
        "--container": [jobs.container],
        "--worker-python": [jobs.worker_python],
        "--runs": [str(runs.resolve())],
    }
    for option, values in named.items():
        for value in values:
            if not value.isprintable():
                raise VantageError("bad_request", f"{option} {value!r} holds a control character; remove it.")


def _sbatch(script: Path, *options: str) -> str:
    """The id of the submitted job. Raises VantageError("bad_request") with Slurm's message if it rejects the script."""
    done = subprocess.run(["sbatch", "--parsable", *options, str(script)], capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise VantageError("bad_request", f"sbatch rejected {script}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout.strip().partition(";")[0]
