"""The command `vantage`: run the loop, write a report, submit to Slurm, check the installation, list configurations."""

# No postponed annotations: on Python 3.9 Typer would not see the metadata in Annotated.

import glob
import threading
from functools import partial
from pathlib import Path
from typing import Annotated, Optional

import typer

from protocol.run.exits import run_command

app = typer.Typer(
    help="Train a vision-language model to reason about space, with a simulator in the loop.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _complete_config(incomplete: str) -> list[str]:
    from vantage.config_files import config_names

    paths = [Path(found) for found in glob.glob(f"{glob.escape(incomplete)}*")]
    files = [f"{path}/" if path.is_dir() else str(path) for path in paths if path.is_dir() or path.suffix == ".toml"]
    return [name for name in config_names() if name.startswith(incomplete)] + sorted(files)


ConfigsArgument = Annotated[
    Optional[list[str]],
    typer.Argument(
        metavar="[CONFIG]...",
        help="Names of shipped configurations or TOML files; later ones override earlier ones.",
        autocompletion=_complete_config,
    ),
]
NameOption = Annotated[
    Optional[str], typer.Option("--name", help="Name of the run; default: run.name, or the name of the last config.")
]
SetsOption = Annotated[
    Optional[list[str]], typer.Option("--set", help="table.key=value, overrides the configs; may be repeated.")
]
RunsOption = Annotated[Path, typer.Option("--runs", help="Folder of the runs.")]


@app.command()
def run(
    configs: ConfigsArgument = None,
    name: NameOption = None,
    sets: SetsOption = None,
    runs: RunsOption = Path("runs"),
    launcher: Annotated[
        str,
        typer.Option(
            "--launcher", help="Command that starts all learner.processes ranks, such as srun; default: the learner."
        ),
    ] = "",
    serial: Annotated[
        bool, typer.Option("--serial", help="Run everything in one process without sockets, for debugging.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the resolved configuration and exit.")] = False,
) -> None:
    """Run the loop to its end, or resume it.

    The default configuration is demo. Ctrl-C drains: every process finishes its current work, and the same command
    resumes. A second Ctrl-C does not wait.
    """
    from launch.settings import resolve
    from protocol.run.config import to_toml
    from vantage.config_files import DEFAULT, config_path

    given, resolved = resolve([config_path(one) for one in configs or [DEFAULT]], sets or [], name)
    if dry_run:
        typer.echo(to_toml(resolved), nl=False)
        return
    from launch.supervise import run_loop

    raise typer.Exit(run_loop(runs, given, resolved, launcher, serial))


@app.command()
def serve(
    configs: ConfigsArgument = None,
    name: NameOption = None,
    sets: SetsOption = None,
    runs: RunsOption = Path("runs"),
) -> None:
    """Serve a run's simulator and curriculum, without a learner, for a trainer that uses vantage.envs.

    Ctrl-C drains; the same command resumes.
    """
    from launch.serve import serve as serve_run
    from launch.settings import resolve
    from launch.supervise import open_or_create
    from protocol.run.exits import stop_on_signals
    from vantage.config_files import DEFAULT, config_path

    given, resolved = resolve([config_path(one) for one in configs or [DEFAULT]], sets or [], name)
    opened, _ = open_or_create(runs, given, resolved)
    typer.echo(f"serving {opened.path}; a trainer joins with vantage.envs.open_pool(run={str(opened.path)!r})")
    serve_run(opened, stop_on_signals(), typer.echo)


@app.command()
def report(run: Annotated[Path, typer.Argument(metavar="RUN", help="The run's directory.")]) -> None:
    """Print the results of a run and write its report.html again."""
    from launch.report.live import print_results
    from launch.report.page import write_report
    from protocol.run.directory import RunDir

    opened = RunDir.open(run)
    print_results(opened, write_report(opened))


@app.command()
def slurm(
    configs: ConfigsArgument = None,
    name: NameOption = None,
    sets: SetsOption = None,
    runs: Annotated[
        Path, typer.Option("--runs", help="Folder of the runs; every node must see it at the same path.")
    ] = Path("runs"),
    workers: Annotated[int, typer.Option(min=0, max=1024, help="Simulator workers in the array.")] = 4,
    worker_cpus: Annotated[int, typer.Option(min=1, help="Cores of one worker.")] = 1,
    worker_gpus: Annotated[int, typer.Option(min=0, help="GPUs of one worker, for Habitat.")] = 0,
    worker_python: Annotated[
        str, typer.Option(help="Python of the workers; default: this one.", show_default=False)
    ] = "",
    backend: Annotated[
        str, typer.Option(help="Simulator of the workers; default: sim.backend.", show_default=False)
    ] = "",
    nodes: Annotated[int, typer.Option(min=1, max=128, help="Nodes of the training job.")] = 1,
    cpus: Annotated[int, typer.Option(min=1, help="Cores of the training job, per node.")] = 8,
    gpus: Annotated[int, typer.Option(min=0, help="GPUs of the training job, per node.")] = 1,
    time: Annotated[str, typer.Option("--time", help="Time limit of each job, in Slurm's notation.")] = "12:00:00",
    container: Annotated[
        str, typer.Option(help="Image in which pyxis runs both jobs, such as registry#vantage:cuda or a .sqsh file.")
    ] = "",
    option: Annotated[
        Optional[list[str]],
        typer.Option(help="An #SBATCH option of both jobs, such as --account=lab; may be repeated."),
    ] = None,
    train_option: Annotated[
        Optional[list[str]], typer.Option(help="The same for the training job only; may be repeated.")
    ] = None,
    worker_option: Annotated[
        Optional[list[str]], typer.Option(help="The same for the workers only; may be repeated.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the batch files and change nothing.")] = False,
) -> None:
    """Submit a run to Slurm, or submit it again to resume it."""
    from launch.slurm.submit import Jobs, submit
    from protocol.errors import VantageError
    from vantage.config_files import config_path

    if not configs:
        raise VantageError("bad_request", "name a configuration, such as qwen3-vl-4b; vantage configs lists them.")
    jobs = Jobs(
        workers=workers,
        worker_cpus=worker_cpus,
        worker_gpus=worker_gpus,
        worker_python=worker_python,
        backend=backend,
        nodes=nodes,
        cpus=cpus,
        gpus=gpus,
        time=time,
        container=container,
        options=option or [],
        train_options=train_option or [],
        worker_options=worker_option or [],
    )
    submit([config_path(one) for one in configs], sets or [], name, runs, jobs, dry_run)


@app.command()
def studio(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on this machine; 0: any free one.")] = 8765,
    size: Annotated[int, typer.Option(min=64, max=1024, help="Width of a view in pixels.")] = 384,
    backend: Annotated[str, typer.Option("--backend", help="Simulator.")] = "rooms",
    dataset: Annotated[str, typer.Option("--dataset", help="A *.scene_dataset_config.json, .glb or .gltf.")] = "",
    record: Annotated[
        Optional[Path], typer.Option("--record", help="File that collects the answers, for `vantage study`.")
    ] = None,
    person: Annotated[str, typer.Option("--person", help="Name in the recorded answers.")] = "person",
) -> None:
    """Open a local web page to walk through scenes, ask and answer questions, and write programs."""
    from protocol.run.exits import stop_on_signals
    from sim_server.settings import SimSettings
    from vantage.studio.server import StudioServer
    from vantage.studio.session import Studio
    from vantage.studio.study import Study

    settings = SimSettings(backend=backend, dataset=dataset)
    study = Study(record, person) if record is not None else None
    with StudioServer(port, lambda: Studio(settings, size), study) as server:
        stop = stop_on_signals()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        typer.echo(f"the studio is at {server.url} until Ctrl-C")
        stop.wait()
        server.shutdown()


@app.command()
def study(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Answers from `vantage studio --record`.")],
) -> None:
    """Print the accuracy of people per skill, with 95 % intervals."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from vantage.studio.study import scores

    table = Table("skill", box=SIMPLE_HEAD, show_edge=False)
    for column in ("answers", "right, %", "95 % interval", "chance, %"):
        table.add_column(column, justify="right")
    for score in scores(file):
        right, low, high, chance = (f"{100 * value:.0f}" for value in score[2:])
        table.add_row(score.skill, str(score.answers), right, f"{low}–{high}", chance)
    Console().print(table)


@app.command()
def view(
    what: Annotated[
        str, typer.Argument(metavar="RUN|SEED", help="A run's directory, or the seed of a generated scene.")
    ],
    out: Annotated[Path, typer.Option("--out", help="The recording.")] = Path("episode.rrd"),
    episode: Annotated[str, typer.Option(help="Of a run: the spec id of the episode; default: the newest.")] = "",
    skill: Annotated[str, typer.Option(help="Of a scene: what is asked.")] = "depth_order",
    level: Annotated[int, typer.Option(min=0, max=4, help="Of a scene: the level of the question.")] = 0,
    question: Annotated[int, typer.Option(min=0, help="Of a scene: the seed of the question.")] = 0,
    rooms: Annotated[int, typer.Option(min=1, max=12, help="Of a scene: the number of rooms.")] = 1,
    size: Annotated[int, typer.Option(min=64, max=1024, help="Of a scene: the width of a view in pixels.")] = 384,
) -> None:
    """Write an episode for the viewer of rerun: cameras, images, depth, boxes, path, question and answers."""
    from vantage.view import from_run, from_seed, write_recording

    is_seed = what.isdigit() and not Path(what).exists()
    shown = from_seed(int(what), skill, level, question, rooms, size) if is_seed else from_run(Path(what), episode)
    asked = write_recording(shown, out)
    typer.echo(f"{asked.text}\nanswer: {asked.answer}\nwrote {out}; open it with: rerun {out}")


@app.command()
def doctor(configs: ConfigsArgument = None, sets: SetsOption = None) -> None:
    """Show what is installed, which simulators and engines work here, and how to install what is missing.

    With CONFIG, print the GPU memory that a run of it needs, from the model's config.json alone; no GPU is used.
    The exit code is 1 only if no simulator works.
    """
    from vantage.doctor import examine, memory_plan

    if configs:
        from vantage.config_files import config_path

        for line in memory_plan([config_path(one) for one in configs], sets or []):
            typer.echo(line)
        return
    if not examine(typer.echo):
        raise typer.Exit(1)


@app.command()
def configs() -> None:
    """List the shipped configurations that `vantage run` and `vantage slurm` take by name."""
    from vantage.config_files import config_folder, config_names

    width = max(map(len, config_names()))
    for name in config_names():
        first = (config_folder() / f"{name}.toml").read_text().partition("\n")[0]
        typer.echo(f"{name:{width}}  {first.lstrip('# ')}")
    typer.echo(f"\nfiles: {config_folder()}")


def main() -> None:
    run_command(partial(app, prog_name="vantage"), "vantage")
