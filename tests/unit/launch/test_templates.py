"""Dockerfiles and the templates for Kubernetes, SkyPilot and pixi name files, options and runs that exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import tomllib
from typer.testing import CliRunner

from sim_server.cli import app as sim_server
from vantage.cli import app as vantage
from vantage.config_files import config_names

yaml = pytest.importorskip("yaml")
ROOT = Path(__file__).resolve().parents[3]
LAUNCH = ROOT / "launch"


def read(name: str) -> Any:
    return yaml.safe_load((LAUNCH / name).read_text())


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_dockerfile_runs_what_is_in_the_checkout(device: str) -> None:
    lines = (LAUNCH / "docker" / f"{device}.Dockerfile").read_text().replace("\\\n", " ").splitlines()
    steps = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    assert steps[0][0] == "FROM" and ":" in steps[0][1] and "latest" not in steps[0][1]
    (install,) = [text for step, text in steps if step == "RUN" and "launch/" in text]
    assert (ROOT / install.split()[0]).exists()
    assert ["ENV", f"VANTAGE_VENV=/opt/venv VANTAGE_DEVICE={device}"] in steps
    (command,) = [text for step, text in steps if step == "CMD"]
    assert re.findall(r'"([^"]+)"', command)[1] in config_names()
    assert ["ENTRYPOINT", '["vantage"]'] in steps and ["USER", "10001"] in steps
    excluded = (ROOT / ".dockerignore").read_text().split()
    assert {".git", ".venv", "runs"} <= set(excluded) and not {"requirements", "launch", "configs"} & set(excluded)


def test_the_pods_of_a_jobset_serve_and_join_one_run() -> None:
    jobset = read("kubernetes/jobset.yaml")
    pods = {job["name"]: job["template"]["spec"]["template"]["spec"] for job in jobset["spec"]["replicatedJobs"]}
    (train,), (sim,) = (pods[name]["containers"] for name in ("train", "sim"))
    result = CliRunner().invoke(vantage, [*train["args"], "--dry-run"])
    assert result.exit_code == 0, result.output
    resolved = tomllib.loads(result.output)
    assert resolved["sim"]["workers"] == 0 and resolved["sim"]["listen_workers"].startswith("tcp://0.0.0.0")
    command, verb, option, run = sim["command"]
    assert (command, verb, option) == ("sim-server", "worker", "--join")
    assert run == f"/runs/{resolved['run']['name']}"
    volume = read("kubernetes/volume.yaml")
    for pod in pods.values():
        claims = [one["persistentVolumeClaim"]["claimName"] for one in pod["volumes"] if "persistentVolumeClaim" in one]
        assert claims == [volume["metadata"]["name"]]
        assert {"name": "runs", "mountPath": "/runs"} in pod["containers"][0]["volumeMounts"]
    (search,) = pods["sim"]["dnsConfig"]["searches"]
    assert search.startswith(f"{jobset['spec']['network']['subdomain']}.")
    assert jobset["spec"]["successPolicy"]["targetReplicatedJobs"] == ["train"]


def test_the_task_of_skypilot_runs_a_shipped_configuration() -> None:
    task = read("skypilot/run.yaml")
    assert task["envs"]["CONFIG"] in config_names()
    for name in ("setup", "run"):
        assert "launch/env.sh --vllm" in task[name]
        assert subprocess.run(["bash", "-n"], input=task[name], text=True, timeout=20).returncode == 0
    options = re.findall(r" (--[a-z]+)", task["run"].partition("-m vantage run")[2])
    assert options == ["--name", "--runs"]


def test_the_environment_of_habitat_has_the_python_of_its_lock() -> None:
    pixi = tomllib.loads((LAUNCH / "habitat" / "pixi.toml").read_text())
    install, worker = (pixi["tasks"][name] for name in ("install", "worker"))
    folder = LAUNCH / "habitat" / install["cwd"]
    (lock,) = re.findall(r"-r (\S+)", install["cmd"])
    assert (folder / lock).exists() and "py39" in lock and pixi["dependencies"]["python"].startswith("3.9")
    help_text = CliRunner().invoke(sim_server, ["worker", "--help"], terminal_width=200).output
    assert all(option in help_text for option in re.findall(r"(--[a-z]+)", worker["cmd"]))


def slurm(tmp_path: Path, *arguments: str) -> str:
    asked = ["slurm", "smoke", "--runs", str(tmp_path), "--workers", "2", "--worker-cpus", "3", "--dry-run"]
    result = CliRunner().invoke(vantage, [*asked, *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def test_with_pyxis_only_our_commands_run_in_the_container(tmp_path: Path) -> None:
    text = slurm(tmp_path, "--container", "lab#vantage:cuda")
    commands = [line for line in text.splitlines() if line.startswith("srun ")]
    assert [re.findall(r"--cpus-per-task=(\d+)", line) for line in commands] == [["8"], ["3"]]
    for line, module in zip(commands, ("vantage run", "sim_server.cli worker")):
        assert "--container-image='lab#vantage:cuda' " in line and f"{tmp_path}:{tmp_path}" in line
        assert f" python -m {module}" in line
    assert "PYTHONPATH" not in text  # of the checkout, which the container lacks
    assert "scontrol requeue" in text
    for script in text.split("# ----")[1:]:
        assert subprocess.run(["bash", "-n"], input=script.partition("\n")[2], text=True, timeout=20).returncode == 0


def test_a_container_on_several_nodes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="--container works on one node"):
        slurm(tmp_path, "--container", "vantage:cuda", "--nodes", "2", "--set", "learner.processes=2")
