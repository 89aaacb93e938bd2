"""sim-server: serve a run's simulator, manage its workers, render scenes, and measure.

Commands: serve · worker · drain · status · render · export · generate · verify · propose · audit · bench. Settings are
in the [sim] table of the run's config.
"""

# No postponed annotations here: on Python 3.9 Typer would lose the metadata of Annotated.

import json
import math
import os
import re
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Optional

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from protocol.errors import VantageError
from protocol.run import logs
from protocol.run.config import section
from protocol.run.directory import RunDir, write_atomic
from protocol.run.exits import run_command, stop_on_signals
from protocol.tasks.check import as_name, check_name
from protocol.tasks.scene import HELD_OUT_SEED_BORDER, Camera, SceneSpec
from protocol.tasks.task import Degradation
from protocol.wire.client import Client
from protocol.wire.endpoint import Endpoint, lookup
from protocol.wire.messages import DrainWorker, GetSimStatus, SimStatus
from sim_server.backends.registry import BACKENDS, make_backend
from sim_server.dataset import commands
from sim_server.questions.audit.commands import audit
from sim_server.questions.propose.commands import propose
from sim_server.service.broker import SERVICE, Broker
from sim_server.service.fleet import Fleet
from sim_server.service.workers import WORKER_SERVICE
from sim_server.settings import SimSettings

app = typer.Typer(
    help="Serve a run's simulator, manage its workers, render scenes, and measure.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

app.command()(commands.generate)
app.command()(commands.verify)
app.command()(propose)
app.command()(audit)

REQUEST_TIMEOUT_S = 5.0  # short timeout for interactive use

DIGEST_CHARS = 18  # shown of a renderer digest

RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="The run's directory.")]


@app.command()
def serve(
    run_dir: RunArgument,
    workers: Annotated[
        Optional[int],
        typer.Option("--workers", min=0, help="Number of child workers; default: sim.workers of the run."),
    ] = None,
) -> None:
    """Serve a run's simulator until SIGTERM or Ctrl-C; creates a run with the default config if there is none."""
    run = RunDir.open(run_dir) if (run_dir / "run.json").exists() else RunDir.create(run_dir, {})
    settings = section(run.config, "sim", SimSettings)
    count = settings.workers if workers is None else workers
    if count:
        BACKENDS.check(settings.backend)
    with run.lock(SERVICE):
        logs.setup(run.path, SERVICE)
        command = [sys.executable, "-m", "sim_server.cli", "worker", "--join", str(run.path), "--leash", "--worker-id"]
        fleet = Fleet(
            count,
            settings.backend,
            lambda worker_id: [*command, worker_id],
            settings.restart_backoff_s,
            settings.restart_backoff_max_s,
        )
        stop = stop_on_signals()
        Broker(run, settings, fleet).serve(stop)


@app.command()
def worker(
    run_dir: Annotated[Optional[Path], typer.Option("--join", metavar="RUN", help="The run's directory.")] = None,
    connect: Annotated[
        str,
        typer.Option("--connect", help="Join the broker at this address, if the run's directory is not accessible."),
    ] = "",
    server_key: Annotated[
        str, typer.Option("--server-key", help="The broker's public key, for tcp to another machine.")
    ] = "",
    keys: Annotated[
        str, typer.Option("--keys", help="Folder with the run's client.json, for tcp to another machine.")
    ] = "",
    backend: Annotated[
        Optional[str], typer.Option("--backend", help="Simulator; default: sim.backend of the run.")
    ] = None,
    worker_id: Annotated[
        str, typer.Option("--worker-id", help="Name in the status; default: backend, host and process.")
    ] = "",
    leash: Annotated[bool, typer.Option("--leash", hidden=True, help="End when standard input ends.")] = False,
) -> None:
    """Join a run as an additional simulator process; on SIGTERM or Ctrl-C, finish accepted requests and leave."""
    if (run_dir is None) == (not connect):
        raise VantageError("bad_request", "give exactly one of --join RUN and --connect ADDRESS.")
    config = {} if run_dir is None else RunDir.open(run_dir).config
    settings = section(config, "sim", SimSettings)
    if backend is not None:
        settings = settings.model_copy(update={"backend": backend})
    if worker_id:
        check_name(worker_id, "--worker-id")
    name = worker_id or as_name(f"{settings.backend}-{socket.gethostname()}-{os.getpid()}")
    if run_dir is not None:
        logs.setup(run_dir, f"sim-{name.rpartition('.')[0] if leash else settings.backend}")
    endpoint = Endpoint(connect, server_key, keys)

    from sim_server.service.worker import Worker  # the broker's process must not import a simulator's libraries

    if not leash:  # a user waits; a simulator can take half a minute to start
        typer.echo(f"{name} starts its simulator, then joins the run.", err=True)
    process = Worker(lambda: lookup(run_dir, WORKER_SERVICE) if run_dir else endpoint, settings, name, leash)
    if leash:  # the parent receives Ctrl-C too, and closes the leash when it is done
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        process.leave_on(signal.SIGTERM)
    else:
        process.leave_on(signal.SIGTERM, signal.SIGINT)
    process.run()
    if process.recycled:  # the same worker in a fresh process: same id, same leash
        os.execv(sys.executable, [sys.executable, "-m", "sim_server.cli", *sys.argv[1:]])


@app.command()
def drain(
    run_dir: RunArgument,
    worker_id: Annotated[str, typer.Argument(metavar="WORKER", help="Id of the worker, as shown by `status`.")],
) -> None:
    """Let a worker finish its requests and leave; it is not replaced."""
    with _client(run_dir) as client:
        client.request(DrainWorker(worker_id), deadline_s=REQUEST_TIMEOUT_S)
    typer.echo(f"{worker_id} finishes its requests and leaves.")


@app.command()
def status(run_dir: RunArgument) -> None:
    """Show the workers of a running service."""
    with _client(run_dir) as client:
        answer = client.request(GetSimStatus(), deadline_s=REQUEST_TIMEOUT_S).message
    assert isinstance(answer, SimStatus)
    table = Table(box=SIMPLE_HEAD, show_edge=False)
    for column in ("worker", "state", "in flight", "served", "scenes", "renderer"):
        table.add_column(
            column, no_wrap=True, justify="right" if column in ("in flight", "served", "scenes") else "left"
        )
    for one in answer.workers:
        load = f"{one.in_flight} of {one.credit}"
        state = "draining" if one.draining else "serving"
        cells = (one.worker_id, state, load, str(one.served), str(len(one.warm_scenes)))
        table.add_row(*map(escape, cells), escape(one.renderer_digest[:DIGEST_CHARS]))
    Console().print(table)
    typer.echo(
        f"queued {answer.queued}, served {answer.served}, infeasible {answer.infeasible}, "
        f"re-dispatched {answer.redispatched}, quarantined {answer.quarantined}, verified {answer.verified}"
    )
    for bad in answer.quarantined_workers:
        typer.echo(f"worker {bad.worker_id} is quarantined: {bad.reason}")
    for sentence in answer.stalls:
        typer.echo(f"no progress: {sentence}")


RoomsOption = Annotated[int, typer.Option("--rooms", min=1, max=12, help="Number of rooms.")]
ObjectsOption = Annotated[str, typer.Option("--objects", help="Minimum-maximum number of objects.")]
ClutterOption = Annotated[float, typer.Option("--clutter", min=0, max=1, help="Amount of small objects on surfaces.")]
PaletteOption = Annotated[str, typer.Option("--palette", help="Colours: natural | named.")]


@app.command()
def render(
    out: Annotated[Path, typer.Option("--out", help="Image file in the format of its suffix, or .npz for arrays.")],
    scene_seed: Annotated[int, typer.Option("--scene-seed", min=0, help="Seed of the generated scene.")] = 3,
    asset: Annotated[str, typer.Option("--asset", help="Scene of the dataset, instead of a generated one.")] = "",
    size: Annotated[str, typer.Option("--size", help="Width x height of a view in pixels.")] = "640x480",
    hfov_deg: Annotated[
        float, typer.Option("--hfov-deg", min=6, max=160, help="Horizontal field of view in degrees.")
    ] = 70.0,
    views: Annotated[
        int, typer.Option("--views", min=1, max=36, help="Number of views; more than one give a contact sheet.")
    ] = 1,
    rooms: RoomsOption = 1,
    objects: ObjectsOption = "6-12",
    clutter: ClutterOption = 0.3,
    palette: PaletteOption = "natural",
    light: Annotated[str, typer.Option("--light", help="Light: day | overcast | evening | night.")] = "day",
    sensor: Annotated[
        str, typer.Option("--sensor", help="Output: rgb | depth | ids | normals | panorama | map (from above).")
    ] = "rgb",
    degrade: Annotated[
        Optional[list[str]],
        typer.Option("--degrade", help="Degradation such as fog:3; repeatable; 'all': all of them at all severities."),
    ] = None,
    backend: Annotated[str, typer.Option("--backend", help="Simulator.")] = "rooms",
    dataset: Annotated[
        str, typer.Option("--dataset", help="With --asset: a *.scene_dataset_config.json, .glb or .gltf.")
    ] = "",
) -> None:
    """Render a scene without a service: one image, or a contact sheet of several views."""
    from sim_server.sensing.contact_sheet import degradation_sheet, overview_poses
    from sim_server.sensing.degradations import DegradedScene
    from sim_server.sensing.visualise import save_image, show

    with _bad_request():
        camera = Camera(*_pair(size, "x", "--size", "640x480"), math.radians(hfov_deg))
        knobs = {"rooms": rooms, "clutter": clutter, "palette": palette}
        spec = _scene_spec(scene_seed, objects, asset=asset, light=light, **knobs)
        degradations = [Degradation.parse(text) for text in degrade or () if degrade != ["all"]]
    scene = make_backend(backend, SimSettings(backend=backend, dataset=dataset)).open(spec)
    poses = overview_poses(scene, camera, views)
    if degrade == ["all"]:
        save_image(degradation_sheet(scene, poses[0], camera), out)
    elif degradations:
        show(DegradedScene(scene, degradations, scene_seed, 0), sensor, poses, camera, out)
    else:
        show(scene, sensor, poses, camera, out)
    typer.echo(f"{out}: {scene.description.scene_id}, {len(scene.description.objects)} objects")


@app.command()
def export(
    out: Annotated[Path, typer.Option("--out", help="Folder of the dataset; scenes are added to an earlier export.")],
    seed: Annotated[
        Optional[list[int]],
        typer.Option(
            "--scene-seed", min=0, help="Seed of a generated scene; repeatable; default: 3.", show_default=False
        ),
    ] = None,
    rooms: RoomsOption = 1,
    objects: ObjectsOption = "6-12",
    clutter: ClutterOption = 0.3,
    palette: PaletteOption = "natural",
    ceiling: Annotated[float, typer.Option("--ceiling", help="Height of the ceiling in metres.")] = 2.6,
) -> None:
    """Write homes of the rooms simulator as a Habitat scene dataset, with descriptions in *.scene.json."""
    with _bad_request():
        knobs = {"rooms": rooms, "clutter": clutter, "palette": palette, "ceiling_m": ceiling}
        specs = [_scene_spec(number, objects, **knobs) for number in seed or (3,)]
    backend = make_backend("rooms")
    from sim_server.backends.rooms.files.export import CONFIG_NAME, export_scenes

    names = export_scenes((backend.open(spec) for spec in specs), out, backend.digest)
    typer.echo(f"{out / CONFIG_NAME}: {', '.join(names)}")


@app.command()
def bench(
    size: Annotated[str, typer.Option("--size", help="Width x height of a view in pixels.")] = "256x256",
    scene_seed: Annotated[
        int, typer.Option("--scene-seed", min=0, max=HELD_OUT_SEED_BORDER - 1, help="Seed of the scene.")
    ] = 3,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Number of rounds; results are medians.")] = 5,
    frames: Annotated[int, typer.Option("--frames", min=16, help="Frames per round and side.")] = 200,
    backend: Annotated[str, typer.Option("--backend", help="Simulator.")] = "rooms",
    out: Annotated[Optional[Path], typer.Option("--out", help="JSON file for the results.")] = None,
) -> None:
    """Measure frames per second and latency of the raw backend and the service."""
    from sim_server.bench import run_bench

    with _bad_request():
        camera = Camera(*_pair(size, "x", "--size", "256x256"))
    if out is not None and not out.parent.is_dir():
        raise VantageError("bad_request", f"there is no folder {out.parent} for {out.name}; create it first.")
    spec = SceneSpec(seed=scene_seed, min_objects=8, max_objects=12, clutter=0.3)
    figures = run_bench(SimSettings(backend=backend), spec, camera, rounds, frames)
    table = Table("figure", "value", box=SIMPLE_HEAD, show_edge=False)
    for name, value in figures.items():
        table.add_row(name, str(value))
    Console().print(table)
    if out is not None:
        write_atomic(out, (json.dumps(figures, indent=1) + "\n").encode())


def main() -> None:
    run_command(partial(app, prog_name="sim-server"), "sim-server")


def _client(run_dir: Path) -> Client:
    run = RunDir.open(run_dir)
    return Client(partial(lookup, run.path, SERVICE), "sim-server")


@contextmanager
def _bad_request() -> Iterator[None]:
    """Convert a ValueError of a wire struct to VantageError("bad_request"): options are the source of its values."""
    try:
        yield
    except ValueError as error:
        raise VantageError("bad_request", f"{error}.") from None


def _scene_spec(seed: int, objects: str, **knobs: Any) -> SceneSpec:
    fewest, most = _pair(objects, "-", "--objects", "6-12")
    split = "val" if seed >= HELD_OUT_SEED_BORDER else "train"
    return SceneSpec(seed=seed, split=split, min_objects=fewest, max_objects=most, **knobs)


def _pair(text: str, separator: str, option: str, example: str) -> tuple[int, int]:
    match = re.fullmatch(rf"(\d+){separator}(\d+)", text)
    if match is None:
        raise VantageError("bad_request", f"write {option} as {example}, not {text!r}.")
    return int(match[1]), int(match[2])


if __name__ == "__main__":
    main()
