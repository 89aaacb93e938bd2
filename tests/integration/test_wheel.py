"""The wheel is the complete product: installed without the checkout, every command works from an empty directory."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("protocol", "sim_server", "curriculum", "proposer", "learner", "launch", "vantage")
SHORT = {
    "learner.budget.steps": 1,
    "learner.stream.in_flight": 4,
    "learner.stream.ahead": 4,
    "learner.grpo.groups": 2,
    "learner.grpo.samples": 2,
    "learner.evaluate.per_skill": 1,
    "learner.evaluate.blind_per_skill": 0,
    "learner.evaluate.every_steps": 100,
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(out), "--target", "sdist"]
    subprocess.run([*command, "--target", "wheel"], cwd=ROOT, check=True, capture_output=True, timeout=120)
    return out


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands of an environment that has the wheel, and this environment's libraries but not the checkout.

    Python reads no .pth files in a folder that itself comes from a .pth file, so the editable install stays invisible.
    """
    environment = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True, timeout=60)
    python = environment / "bin" / "python"
    (wheel,) = built.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-index", "--no-deps"]
    subprocess.run([*pip, str(wheel)], check=True, timeout=120)
    (packages,) = (environment / "lib").glob("python*/site-packages")
    (packages / "libraries.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    _copy_compiled_kernels(packages)
    return environment / "bin"


def _copy_compiled_kernels(packages: Path) -> None:
    """Reuse the checkout's Numba cache, which is keyed by the modification time of the source files."""
    for source in (ROOT / "sim_server").rglob("*.py"):
        copy = packages / source.relative_to(ROOT)
        os.utime(copy, ns=(source.stat().st_atime_ns, source.stat().st_mtime_ns))
    for kernel in (ROOT / "sim_server").rglob("*.nb[ic]"):
        copy = packages / kernel.relative_to(ROOT)
        copy.parent.mkdir(exist_ok=True)
        shutil.copyfile(kernel, copy)


def run(command: Path, *arguments: str, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([command, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_wheel_and_sdist_hold_every_part(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        facts = archive.read(metadata).decode()
    for package in PACKAGES:
        assert f"{package}/py.typed" in names
    tracked = subprocess.run(["git", "ls-files", *PACKAGES], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert set(tracked.stdout.split()) <= names
    assert {f"vantage/configs/{path.name}" for path in (ROOT / "configs").iterdir()} <= names
    assert not [name for name in names if name.startswith(("tests", "benchmarks", "docs"))]
    for line in ("License-Expression: Apache-2.0", "Author: Vantage developers", "License-File: LICENSE"):
        assert f"\n{line}\n" in facts
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    for name in (
        "docs/api.md",
        "configs/demo.toml",
        "tests/integration/test_wheel.py",
        "benchmarks/render.py",
        "LICENSE",
    ):
        assert name in held


def test_the_commands_work_from_an_empty_directory(installed: Path, tmp_path: Path) -> None:
    code = f"import importlib; print([importlib.import_module(name).__file__ for name in {PACKAGES!r}])"
    places = run(installed / "python", "-c", code, cwd=tmp_path)
    assert places.count(str(installed.parent)) == len(PACKAGES)

    settings = [word for key, value in SHORT.items() for word in ("--set", f"{key}={value}")]
    output = run(installed / "vantage", "run", "smoke", "--serial", *settings, cwd=tmp_path)
    report = tmp_path / "runs" / "smoke" / "report.html"
    assert str(report) in output
    report.unlink()
    assert str(report) in run(installed / "vantage", "report", "runs/smoke", cwd=tmp_path)
    assert report.exists()

    run(installed / "sim-server", "render", "--out", "view.png", "--size", "96x96", cwd=tmp_path)
    assert (tmp_path / "view.png").exists()
    assert "rooms: works" in run(installed / "vantage", "doctor", cwd=tmp_path)
    assert "smoke" in run(installed / "vantage", "configs", cwd=tmp_path)
    assert "curriculum" in run(installed / "vantage", "slurm", "smoke", "--dry-run", cwd=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs", "view.png"]
