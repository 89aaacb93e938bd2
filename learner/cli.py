"""The learner's commands: `train`, `sft`, `serve`, `evaluate`, `lmms-eval`, `score`, `export`, `pretrain`."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from learner.ranks import processes
from learner.settings import LearnerSettings
from protocol.answers.vsi_bench import BenchmarkResult, read_answers, read_items
from protocol.answers.vsi_bench import evaluate as score_answers
from protocol.errors import VantageError
from protocol.run.config import RunSettings, load, section
from protocol.run.directory import RunDir, write_atomic
from protocol.run.exits import run_command, stop_on_signals
from protocol.run.logs import setup
from protocol.wire.client import Client
from protocol.wire.endpoint import lookup

app = typer.Typer(
    help="Train a vision-language policy in the loop.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="Run directory.")]


@app.command()
def train(run_dir: RunArgument) -> None:
    """Train until the budget of the run is used up; the same command resumes."""
    processes.exit_with_parent()
    run = RunDir.open(run_dir)
    if run.read_done("learner") is not None:
        print(f"run {run.name} is finished")
        return
    settings = section(run.config, "learner", LearnerSettings)
    rank = processes.own_rank(settings.processes)
    if rank:
        _follow(run, rank)
        return
    setup(run.path, "learner")
    stop = stop_on_signals()
    with run.lock("learner"):
        pass  # fail early if another learner holds the lock; train() acquires it again
    command = [sys.executable, "-m", "learner.cli", "train", str(run.path)]
    with (
        processes.start_other_ranks(settings.processes, command) if rank is None else contextlib.nullcontext(),
        Client(lambda: lookup(run.path, "curriculum"), "learner") as curriculum,
        Client(lambda: lookup(run.path, "sim"), "learner") as simulator,
    ):
        processes.select_gpu()
        from learner.train import train as train_run  # imports torch

        train_run(run, curriculum, simulator, stop)


def _follow(run: RunDir, rank: int) -> None:
    """Run a rank other than 0. Only rank 0 handles signals to stop."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    setup(run.path, f"learner-{rank}")
    processes.select_gpu()
    from learner.ranks.follow import follow  # imports torch

    follow(run)


@app.command()
def sft(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="Data set of `sim-server generate`.")],
    out: Annotated[Path, typer.Option("--out", help="Output folder for the adapter.")],
    config: Annotated[Optional[list[Path]], typer.Option(help="TOML files of the run; default: the defaults.")] = None,
    sets: Annotated[Optional[list[str]], typer.Option("--set", help="table.key=value, overrides the configs.")] = None,
) -> None:
    """Fine-tune the policy on a dataset. A run starts from the adapter with learner.policy.adapter = OUT."""
    tree = load(config or [], sets or [])
    settings = section(tree, "learner", LearnerSettings)
    from learner.sft.train import finetune  # imports torch

    facts = finetune(dataset, settings, out, section(tree, "run", RunSettings).seed, print)
    print(f"wrote {out}: {facts['steps']} steps in {facts['seconds']} s, mean loss {facts['loss']}")


@app.command()
def serve(
    config: Annotated[list[Path], typer.Option(help="TOML files of the run.")],
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for learners on other nodes.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
    flags: Annotated[
        Optional[list[str]], typer.Argument(metavar="-- FLAG", help="Additional flags of vllm serve.")
    ] = None,
) -> None:
    """Serve the policy with vLLM for learners with learner.rollout.engine = "vllm-serve", on this or other nodes.

    Anyone who can reach the port can use the server and load adapters: do not expose it outside your own network.
    """
    from learner.rollouts.serve_vllm import serve as serve_policy  # imports torch

    serve_policy(load(config), host, port, flags or [])


@app.command()
def evaluate(
    run: RunArgument,
    n: Annotated[Optional[int], typer.Option(min=1, help="Questions per skill, or the first N of a benchmark.")] = None,
    step: Annotated[
        Optional[int],
        typer.Option(min=0, help="Step of a saved checkpoint, 0 for the base policy; default: the newest."),
    ] = None,
    adapter: Annotated[
        Optional[Path], typer.Option(help="Folder of an adapter to evaluate instead, as `learner sft` writes it.")
    ] = None,
    benchmark: Annotated[
        str, typer.Option(help="Answer a benchmark instead: vsi-bench:FOLDER, or images:FILE for several images.")
    ] = "",
    frames: Annotated[int, typer.Option(min=1, max=256, help="Frames of a video.")] = 16,
    space_aware: Annotated[
        bool, typer.Option("--space-aware", help="Frames that together show the most space, if NAME.npz has geometry.")
    ] = False,
    frame_px: Annotated[
        int, typer.Option(min=32, max=4096, help="Images of a benchmark are shrunk to this size squared.")
    ] = 448,
) -> None:
    """Evaluate the policy of a run on held-out questions. Questions not rendered yet need the simulator of the run."""
    opened = RunDir.open(run)
    if benchmark:
        from learner.benchmark.evaluate import evaluate_benchmark  # imports torch
        from learner.benchmark.questions import FrameSettings, read_benchmark

        asked = read_benchmark(benchmark, FrameSettings(frames, space_aware, frame_px))
        if n is not None:
            asked = asked[:n]
        _print_benchmark(evaluate_benchmark(opened, benchmark, asked, step, str(adapter or ""), print))
        return
    from learner.evaluate.offline import evaluate_run  # imports torch

    with Client(lambda: lookup(opened.path, "sim"), "learner-evaluate") as simulator:
        result = evaluate_run(opened, simulator, n, step, str(adapter or ""))
    title = f"{opened.name}, step {result['step']}: held-out accuracy in per cent"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, show_edge=False)
    for column in ("skill", "asked", "greedy", "sampled", "blind"):
        table.add_column(column, justify="left" if column == "skill" else "right")
    for row in result["rows"]:
        low, high = row["greedy_interval"]
        greedy = f"{100 * row['greedy']:.1f} ({100 * low:.0f}–{100 * high:.0f})"
        shown = (greedy, _per_cent(row["sampled"]), _per_cent(row["blind"]))
        world = f" in {row['world']}" if row["world"] else ""
        table.add_row(f"{row['skill']} L{row['level']}{world}", str(row["asked"]), *shown)
    Console().print(table)


@app.command(name="lmms-eval")
def lmms_eval(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Folder merged/ of `learner export`, or any model.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the task, results and samples of lmms-eval.")],
    tasks: Annotated[str, typer.Option(help="Tasks of lmms-eval, separated by commas, such as vsibench.")] = "",
    dataset: Annotated[Optional[Path], typer.Option(help="Also ask a dataset of `sim-server generate`.")] = None,
    python: Annotated[str, typer.Option(help="Python of the environment with lmms-eval.")] = sys.executable,
    name: Annotated[str, typer.Option("--as", help="lmms-eval's name of the model class; default: by MODEL.")] = "",
    limit: Annotated[Optional[int], typer.Option(min=1, help="Only the first questions of each task.")] = None,
) -> None:
    """Run lmms-eval on an exported model, in an environment of its own."""
    from learner.benchmark import lmms

    asked = [task.strip() for task in tasks.split(",") if task.strip()]
    if dataset is not None:
        lmms.write_task(dataset, out / "task")
        asked.append(lmms.TASK)
    if not asked:
        raise VantageError("bad_request", "name --tasks of lmms-eval, a --dataset, or both.")
    name = name or lmms.model_name(model)
    include = out / "task" if dataset is not None else None
    shown = model.resolve() if model.exists() else model  # or a name on the hub
    results = lmms.run_lmms(python, name, f"pretrained={shown}", asked, out / "results", include, limit)
    print(json.dumps(results, indent=1))


@app.command()
def score(
    questions: Annotated[
        Path, typer.Argument(metavar="QUESTIONS", help="Rows of VSI-Bench (.jsonl, .parquet), or a generated dataset.")
    ],
    answers: Annotated[Path, typer.Option("--answers", help='JSON lines with "id" and "prediction".')],
    out: Annotated[Optional[Path], typer.Option("--out", help="JSON file for the scores.")] = None,
) -> None:
    """Score answers from a file by the rules of VSI-Bench, and by the learner's rewards for two ways of reading."""
    items = read_items(questions)
    result = score_answers(items, read_answers(answers, items))
    _print_benchmark(result)
    if out is not None:
        write_atomic(out, json.dumps(asdict(result), indent=1).encode())


@app.command()
def pretrain(
    out: Annotated[Path, typer.Option(help="Output folder for the policy.")],
    seed: Annotated[Optional[int], typer.Option(min=0, help="Default: learner.pretrain.seed.")] = None,
    steps: Annotated[
        Optional[int],
        typer.Option(
            min=2,
            help="Steps of both stages together, split in the proportion of the config; default: from the config.",
        ),
    ] = None,
    config: Annotated[Optional[list[Path]], typer.Option(help="TOML files with a table learner.pretrain.")] = None,
    work: Annotated[Path, typer.Option(help="Folder for views and logs.")] = Path("runs/pretrain"),
    workers: Annotated[int, typer.Option(min=1, help="Number of simulator workers.")] = 1,
) -> None:
    """Train the embedded policy from scratch on views of a simulator that this command starts and stops."""
    settings = section(load(config or []), "learner", LearnerSettings).pretrain
    if steps is not None:
        settings = settings.with_steps(steps)
    if seed is not None:
        settings = settings.model_copy(update={"seed": seed})
    configs = "".join(f" --config {path.name}" for path in config or ())
    steps = settings.vision_steps + settings.ground_steps
    command = f"learner pretrain{configs} --seed {settings.seed} --steps {steps} --out {out.name}"
    from learner.pretrain.run import run  # imports torch

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that child processes are stopped
    run(settings, out, work, command, workers)
    print(f"wrote {out}")


@app.command()
def export(
    run: RunArgument,
    out: Annotated[Path, typer.Option(help="Output folder for adapter/ and merged/.")],
    step: Annotated[Optional[int], typer.Option(min=0, help="Step of a saved checkpoint; default: the newest.")] = None,
    push: Annotated[str, typer.Option(metavar="REPO", help="Also upload to this repository of the model hub.")] = "",
) -> None:
    """Export the policy of a run as a PEFT adapter and as a merged model, each with a model card."""
    from learner.policy.export import export as export_run  # imports torch

    export_run(RunDir.open(run), out, step)
    print(f"wrote {out / 'adapter'} and {out / 'merged'}")
    if push:
        from learner.policy.push import push as push_export

        print(f"pushed to {push_export(out, push)}")


def main() -> None:
    run_command(partial(app, prog_name="learner"), "learner")


def _print_benchmark(result: BenchmarkResult) -> None:
    title = "VSI-Bench" if result.is_vsi_bench else f"{len(result.tasks)} tasks with equal weights"
    table = Table(title=title, box=SIMPLE_HEAD)
    for column in ("task", "questions", "published", "strict", "lenient"):
        table.add_column(column, justify="left" if column == "task" else "right")
    for line in (*result.tasks, result.overall, result.micro):
        scores = (f"{score:.4f}" for score in (line.published, line.strict, line.lenient))
        table.add_row(line.name, str(line.questions), *scores)
    Console().print(table)
    if result.missing:
        print(f"{result.missing} unanswered questions score 0")


def _per_cent(fraction: Optional[float]) -> str:
    return "–" if fraction is None else f"{100 * fraction:.1f}"


if __name__ == "__main__":
    main()
