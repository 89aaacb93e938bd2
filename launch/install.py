"""Create the environment from the locks in requirements/. Standard library only: it runs before anything is installed.

Each set is one `pip install --no-deps --require-hashes`. A stamp that holds the lock's hash marks a finished set, so a
finished environment costs milliseconds. A killed pip may leave packages incomplete: the next start finds them and then
creates the environment anew from pip's cache.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements"
PIP_VERSION = "26.3"  # an older pip downloads a wheel before it can report what it would install
UV_VERSION = "0.13.9"  # knows where PyTorch's CPU builds are; installed only if pip finds none
LOCK = ".vantage.lock"  # also marks an environment as made by this script
PACKAGE = "vantage"  # this repository, installed in editable mode as the last set

# Run inside the environment: fails if pip or any file of an installed package is missing.
_CHECK_FILES = """
import importlib.metadata, pip, sys
for package in importlib.metadata.distributions():
    files = package.files
    if files is None or not all(file.locate().exists() for file in files if file.suffix != ".pyc"):
        sys.exit(f"{package.metadata['Name']} is incomplete")
"""


class InstallError(Exception):
    """One sentence that says what to do."""


def venv_path() -> Path:
    return Path(os.environ.get("VANTAGE_VENV") or ROOT / ".venv").absolute()


def detect_device() -> str:
    """ "cuda" if nvidia-smi lists a GPU, else "cpu"; VANTAGE_DEVICE overrides."""
    chosen = os.environ.get("VANTAGE_DEVICE", "")
    if chosen:
        if chosen not in ("cpu", "cuda"):
            raise InstallError(f"VANTAGE_DEVICE must be cpu or cuda, not {chosen!r}.")
        return chosen
    smi = shutil.which("nvidia-smi")
    listed = smi and subprocess.run([smi, "-L"], capture_output=True, text=True, check=False)
    return "cuda" if listed and listed.returncode == 0 and "GPU " in listed.stdout else "cpu"


def sets_for(device: str, vllm: bool, dev: bool) -> list[str]:
    """The locked sets to install, in order."""
    names = ["sim", "torch"]
    if device == "cuda":
        names += ["learner-gpu"]  # includes both engines
    else:
        names += ["learner-cpu", *(["learner-cpu-vllm"] if vllm else [])]
    return [*names, *(["dev"] if dev else [])]


def ensure(venv: Path, device: str, vllm: bool = False, dev: bool = False) -> Path:
    """Create or complete the environment and return its Python. Raises InstallError."""
    python = venv / "bin" / "python"
    wanted = {name: REQUIREMENTS / f"{name}.txt" for name in sets_for(device, vllm, dev)}
    wanted[PACKAGE] = ROOT / "pyproject.toml"
    if all(_stamped(venv, name, file) for name, file in wanted.items()):
        return python
    with _one_install_at_a_time(venv):
        if _cut_off(venv).exists() and not _is_complete(python):
            _say("the last install was cut off and left incomplete packages; starting over from pip's cache")
            _empty(venv)
        _cut_off(venv).touch()
        _make_venv(venv)
        for name, file in wanted.items():
            if not _stamped(venv, name, file):
                started = time.monotonic()
                _install(python, name, file, device)
                _stamp_file(venv, name).write_text(_digest(file))
                _say(f"{name} is installed ({time.monotonic() - started:.0f} s)")
        _cut_off(venv).unlink()
    return python


def _install(python: Path, name: str, file: Path, device: str) -> None:
    if name == PACKAGE:
        _pip(python, "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
        return
    _say(f"installing {name} ({sum('==' in line for line in file.read_text().splitlines())} packages)")
    if name == "torch":
        _install_torch(python, file, device)
    else:
        _pip(python, "--no-deps", "--require-hashes", "--requirement", str(file))


# ----------------------------------------------------------------------------- torch


def _install_torch(python: Path, file: Path, device: str) -> None:
    """Ask pip which build of torch it would take before it downloads one for another device.

    PyPI's build for Linux is the CUDA build. On a machine without a GPU, uv then fetches the CPU builds, because it
    knows PyTorch's own index.
    """
    pins = [line for line in file.read_text().splitlines() if "==" in line]
    index = os.environ.get("VANTAGE_TORCH_INDEX", "")
    source = ["--index-url", index] if index else []  # alone: a second index could offer another torch of this version
    command = [python, "-m", "pip", "install", "--dry-run", "--quiet", "--ignore-installed", "--no-deps"]
    asked = subprocess.run([*command, "--report", "-", pins[0], *source], capture_output=True, text=True, check=False)
    if asked.returncode != 0:
        raise InstallError(f"pip finds no {pins[0]}: {_last_line(asked.stderr)}")
    found = json.loads(asked.stdout)["install"][0]["metadata"]
    cuda = is_cuda_build(found["version"], found.get("requires_dist", []))
    if cuda and device == "cpu":
        _pip(python, f"uv=={UV_VERSION}")
        uv = [python, "-m", "uv", "pip", "install", "--python", python, "--torch-backend", "cpu", "--no-deps", *pins]
        if subprocess.run(uv, stdout=sys.stderr, check=False).returncode != 0:
            raise InstallError(
                f"this machine has no GPU, and no CPU build of {pins[0]} could be fetched (see uv's message above); "
                "the build that pip finds is for CUDA and takes gigabytes: put a CPU wheel in a folder named by "
                "PIP_FIND_LINKS, or name an index that has one in VANTAGE_TORCH_INDEX, and start again."
            )
        return
    if not cuda and device == "cuda":
        raise InstallError(
            f"this machine has a GPU, but pip takes the CPU build of {pins[0]} ({found['version']}): unset "
            "PIP_FIND_LINKS, name another index in VANTAGE_TORCH_INDEX, or set VANTAGE_DEVICE=cpu, and start again."
        )
    _pip(python, "--no-deps", *pins, *source)


def is_cuda_build(version: str, requires: list[str]) -> bool:
    """Judge by the local version if there is one (2.13.0+cpu), else by the wheel's dependencies."""
    local = version.partition("+")[2]
    if local:
        return not local.startswith("cpu")
    return any(line.startswith(("nvidia-", "cuda-", "triton")) for line in requires)


# ----------------------------------------------------------------------------- the environment


def _make_venv(venv: Path) -> None:
    python = venv / "bin" / "python"
    if not python.exists():
        _say(f"creating {venv} with Python {sys.version.split()[0]}")
        done = subprocess.run([sys.executable, "-m", "venv", venv], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise InstallError(
                f"Python's venv module cannot create {venv}; on Debian and Ubuntu install it with "
                f"apt-get install python{sys.version_info.major}.{sys.version_info.minor}-venv "
                f"({_last_line(done.stdout + done.stderr)})."
            )
    if not _stamp_file(venv, "pip").exists():
        _pip(python, f"pip=={PIP_VERSION}")
        _stamp_file(venv, "pip").touch()


def _pip(python: Path, *arguments: str) -> None:
    quiet = [] if sys.stderr.isatty() else ["-qq", "--progress-bar", "off"]
    command = [str(python), "-m", "pip", "install", "--no-input", "--disable-pip-version-check", *quiet, *arguments]
    done = subprocess.run(command, stdout=sys.stderr, check=False)
    if done.returncode != 0:
        raise InstallError("pip failed (see its message above); correct the cause and start again.")


def _is_complete(python: Path) -> bool:
    return python.exists() and subprocess.run([python, "-c", _CHECK_FILES], capture_output=True).returncode == 0


def _empty(venv: Path) -> None:
    """Remove everything but the lock and the mark of an unfinished install."""
    for path in set(venv.iterdir()) - {venv / LOCK, _cut_off(venv)}:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _one_install_at_a_time(venv: Path) -> IO[str]:
    """Hold the environment's lock, and refuse a folder that holds something else."""
    try:
        venv.mkdir(parents=True, exist_ok=True)
        if not (venv / LOCK).exists() and any(venv.iterdir()):
            raise InstallError(
                f"{venv} was not created by launch/env.sh; remove it, or name another folder in VANTAGE_VENV."
            )
        file = open(venv / LOCK, "w")  # noqa: SIM115
    except OSError as error:
        raise InstallError(
            f"{venv} cannot be written ({error.strerror}); name another folder in VANTAGE_VENV."
        ) from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        _say("another install is running; waiting for it")
        fcntl.flock(file, fcntl.LOCK_EX)
    return file


def _cut_off(venv: Path) -> Path:
    """Exists while an install runs, and after one that did not finish."""
    return venv / ".vantage-installing"


def _stamp_file(venv: Path, name: str) -> Path:
    return venv / f".vantage-{name}.stamp"


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _stamped(venv: Path, name: str, file: Path) -> bool:
    try:
        return _stamp_file(venv, name).read_text() == _digest(file)
    except FileNotFoundError:
        return False


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no message"


def _say(text: str) -> None:
    print(f"vantage: {text}", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Create or complete the environment and print its Python.")
    parser.add_argument("--vllm", action="store_true", help="add the vLLM engine")
    parser.add_argument("--dev", action="store_true", help="add the tools that check this repository")
    arguments = parser.parse_args()
    try:
        print(ensure(venv_path(), detect_device(), arguments.vllm, arguments.dev))
    except InstallError as error:
        _say(str(error))
        return 1
    except KeyboardInterrupt:
        _say("interrupted; start again to go on.")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
