from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from launch.settings import MODELS, check_same, resolve
from learner.settings import LearnerSettings
from protocol.errors import VantageError
from protocol.run.config import load, section, to_toml
from vantage.cli import app

CONFIGS = sorted((Path(__file__).resolve().parents[3] / "configs").glob("**/*.toml"))


def test_the_main_configs_are_shipped() -> None:
    assert {"demo", "smoke", "qwen3-vl-4b"} <= {path.stem for path in CONFIGS}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_config_parses_and_its_resolved_form_reads_back(path: Path, tmp_path: Path) -> None:
    _, resolved = resolve([path], [])
    assert resolved["run"]["name"] == path.stem
    again = tmp_path / "again.toml"
    again.write_text(to_toml(resolved))
    assert load([again]) == resolved
    for table, model in MODELS.items():
        assert section(resolved, table, model) == section(load([path]), table, model) or table == "run"


def test_a_world_needs_an_allowed_backend(tmp_path: Path) -> None:
    path = tmp_path / "two.toml"
    path.write_text('[[curriculum.worlds]]\nname = "scans"\nbackend = "habitat"\n')
    resolve([path], ['sim.allowed_backends=["rooms", "habitat"]'])
    with pytest.raises(VantageError, match="can make world scans: add its backend habitat to sim.allowed_backends"):
        resolve([path], ['sim.allowed_backends=["rooms"]'])


@pytest.mark.parametrize(
    ("overlays", "ranks", "slurm"),
    [
        ([], 1, []),
        (["gpus-4"], 4, ["--gpus", "4", "--cpus", "32"]),
        (["gpus-8"], 8, ["--gpus", "8", "--cpus", "64"]),
        (["nodes-2"], 16, ["--nodes", "2", "--gpus", "8", "--cpus", "64"]),
        (["gpus-8", "rollout-node"], 8, ["--gpus", "8", "--cpus", "64"]),
    ],
)
def test_the_model_config_fits_every_number_of_gpus_and_slurm_renders_it(
    overlays: list[str], ranks: int, slurm: list[str], tmp_path: Path
) -> None:
    by_name = {path.stem: path for path in CONFIGS}
    paths = [by_name[name] for name in ("qwen3-vl-4b", *overlays)]
    learner = section(resolve(paths, [])[1], "learner", LearnerSettings)
    assert learner.processes == ranks
    assert learner.passes * learner.grpo.micro_batch_groups == learner.grpo.groups
    made = CliRunner().invoke(app, ["slurm", *map(str, paths), "--runs", str(tmp_path), *slurm, "--dry-run"])
    assert made.exit_code == 0, made.output
    nodes = 2 if "--nodes" in slurm else 1
    assert f"#SBATCH --nodes={nodes}\n" in made.output
    # Over several nodes srun starts every rank; on one node the learner starts the other ranks itself.
    assert f"#SBATCH --ntasks-per-node={ranks // nodes if nodes > 1 else 1}\n" in made.output
    assert ("launch/slurm/ranks.sh" in made.output) == (nodes > 1)
    assert subprocess.run(["bash", "-n"], input=made.output, text=True, timeout=20).returncode == 0


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [("learner.grpo.groups=100", "a multiple of processes"), ("learner.rollout.vllm_tensor_parallel=2", "one GPU")],
)
def test_processes_that_cannot_share_are_refused_in_one_sentence(setting: str, sentence: str) -> None:
    paths = [path for path in CONFIGS if path.stem == "gpus-8"]
    with pytest.raises(VantageError, match=sentence) as caught:
        resolve(paths, [setting])
    assert caught.value.code == "bad_config"


def test_an_unknown_key_of_any_table_is_refused() -> None:
    for table in MODELS:
        with pytest.raises(VantageError, match=f"unknown key {table}.no_such_key") as caught:
            resolve([CONFIGS[0]], [f"{table}.no_such_key=1"])
        assert caught.value.code == "bad_config"


def test_a_resumed_run_keeps_its_configuration() -> None:
    demo = next(path for path in CONFIGS if path.stem == "demo")
    given, resolved = resolve([demo], [])
    check_same(given, resolved, "demo")
    changed, _ = resolve([demo], ["learner.grpo.learning_rate=0.5"])
    with pytest.raises(VantageError, match=r"learner\.grpo\.learning_rate = 0\.001, not 0\.5.*--name"):
        check_same(changed, resolved, "demo")
    fewer, _ = resolve([demo], ['curriculum.skills=[{name="depth_order", levels=[0]}]'])
    with pytest.raises(VantageError, match=r"curriculum\.skills"):
        check_same(fewer, resolved, "demo")


def test_the_name_comes_from_the_option_then_the_table_then_the_last_file() -> None:
    demo = next(path for path in CONFIGS if path.stem == "demo")
    assert resolve([demo], [])[1]["run"]["name"] == "demo"
    assert resolve([demo], ["run.name=mine"])[1]["run"]["name"] == "mine"
    assert resolve([demo], ["run.name=mine"], "other")[1]["run"]["name"] == "other"
    with pytest.raises(VantageError):
        resolve([demo], [], "../elsewhere")
