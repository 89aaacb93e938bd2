"""Submits a run to Slurm: one job with the learner, the curriculum and the broker, one array of simulator workers.

The learner's ranks share the job's nodes evenly: on one node the learner starts them itself, over several srun does.

    configs ─▶ settings.resolve ─▶ RunDir, CURVE keys ─▶ RUN/slurm/{train,workers}.sbatch ─▶ sbatch

The run directory must lie on a file system that every node sees at the same path. The same command submits the run
again, which resumes it.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Optional

import jinja2
import typer

from launch.install import ROOT
from launch.settings import resolve
from launch.supervise import NameOption, SetsOption, open_or_create
from protocol.errors import VantageError
from protocol.run.exits import run_command

LISTEN = "tcp://0.0.0.0:*"  # every interface, any free port; published under the node's name
NOTICE_S = 180  # before the time limit: the learner finishes its step and the processes drain
WORKER_NOTICE_S = 90

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    configs: Annotated[
        Optional[list[Path]], typer.Argument(metavar="CONFIG.toml", help="TOML files, later ones over earlier ones.")
    ] = None,
    name: NameOption = None,
    sets: SetsOption = None,
    runs: Annotated[Path, typer.Option(help="Where runs lie; every node must see it.")] = ROOT / "runs",
    workers: Annotated[int, typer.Option(min=0, max=1024, help="Simulator workers in the array.")] = 4,
    worker_cpus: Annotated[int, typer.Option(min=1, help="Cores of one worker.")] = 1,
    worker_gpus: Annotated[int, typer.Option(min=0, help="GPUs of one worker, for Habitat.")] = 0,
    worker_python: Annotated[
        Optional[str], typer.Option(help="Python of the workers; default: this one.", show_default=False)
    ] = None,
    backend: Annotated[Optional[str], typer.Option(help="Simulator of the workers; default: sim.backend.")] = None,
    nodes: Annotated[int, typer.Option(min=1, max=128, help="Nodes of the training job.")] = 1,
    cpus: Annotated[int, typer.Option(min=1, help="Cores of the training job, per node.")] = 8,
    gpus: Annotated[int, typer.Option(min=0, help="GPUs of the training job, per node.")] = 1,
    time: Annotated[str, typer.Option("--time", help="Time limit of each job, as Slurm writes it.")] = "12:00:00",
    option: Annotated[
        Optional[list[str]], typer.Option(help="A further #SBATCH option of both jobs, such as --account=lab.")
    ] = None,
    train_option: Annotated[Optional[list[str]], typer.Option(help="The same for the training job alone.")] = None,
    worker_option: Annotated[Optional[list[str]], typer.Option(help="The same for the workers alone.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be submitted; change nothing.")] = False,
) -> None:
    """Submit a run to Slurm, or submit it again to resume it."""
    if not configs:
        raise VantageError("bad_request", "name a configuration, such as configs/qwen3-vl-4b.toml.")
    far = [] if workers == 0 else [f"sim.listen_workers={LISTEN}", "sim.workers=0"]
    given, resolved = resolve(configs, [*far, *(sets or [])], name)
    processes = resolved["learner"]["processes"]
    if processes % nodes or cpus < processes // nodes:
        raise VantageError(
            "bad_config",
            f"learner.processes is {processes}, which {nodes} nodes of {cpus} cores cannot share evenly, with a core "
            "for each: change --nodes, --cpus or learner.processes.",
        )
    run_path = runs.resolve() / resolved["run"]["name"]
    values = {
        "run": resolved["run"],
        "root": shlex.quote(str(ROOT)),
        "runs": shlex.quote(str(runs.resolve())),
        "run_path": shlex.quote(str(run_path)),
        "folder": shlex.quote(str(run_path / "slurm")),
        "python": shlex.quote(sys.executable),
        "worker_python": shlex.quote(worker_python or sys.executable),
        "backend": shlex.quote(backend or resolved["sim"]["backend"]),
        "workers": workers,
        "worker_cpus": worker_cpus,
        "worker_gpus": worker_gpus,
        "launcher": shlex.quote(shlex.quote(str(ROOT / "launch" / "slurm" / "ranks.sh"))),  # a command within a command
        "nodes": nodes,
        "ranks_per_node": processes // nodes,
        "cpus": cpus,
        "gpus": gpus,
        "time": time,
        "notice_s": NOTICE_S,
        "worker_notice_s": WORKER_NOTICE_S,
        "train_options": [*(option or []), *(train_option or [])],
        "worker_options": [*(option or []), *(worker_option or [])],
    }
    scripts = {"train": _render("train", values)}
    if workers:
        scripts["workers"] = _render("workers", values)
    if dry_run:
        for kind, text in scripts.items():
            print(f"# ---- {run_path}/slurm/{kind}.sbatch\n{text}")
        return
    if shutil.which("sbatch") is None:
        raise VantageError("unavailable", "sbatch is not here; run this on a login node, or add --dry-run.", False)
    open_or_create(runs, given, resolved)
    folder = run_path / "slurm"
    folder.mkdir(exist_ok=True)
    for kind, text in scripts.items():
        (folder / f"{kind}.sbatch").write_text(text)
    train = _submit(folder / "train.sbatch")
    print(f"training job {train}")
    if workers:
        # After the training job has begun, so that workers do not wait in vain for a broker that is still queued.
        array = _submit(folder / "workers.sbatch", f"--dependency=after:{train}")
        (folder / "workers.job").write_text(array + "\n")
        print(f"worker array {array}, tasks 1-{workers}")
    print(f"watch it: tail -F {run_path}/slurm/train-{train}.out")


def _render(kind: str, values: dict[str, object]) -> str:
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(loader=loader, undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    return environment.get_template(f"{kind}.sbatch.jinja").render(values)


def _submit(script: Path, *options: str) -> str:
    """The id of the job. Raises VantageError with Slurm's own words where it refuses the script."""
    done = subprocess.run(["sbatch", "--parsable", *options, str(script)], capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise VantageError("bad_request", f"sbatch refused {script}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout.strip().partition(";")[0]


if __name__ == "__main__":
    run_command(partial(app, prog_name="python -m launch.slurm"), "vantage")
