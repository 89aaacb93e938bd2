"""Makes the environment from the locks in requirements/. Standard library only: it runs before anything is installed.

Each set is one `pip install --no-deps -r <lock>`; a stamp with the lock's hash says that it is complete, so that a
finished environment costs milliseconds. A failed or interrupted install resumes: what is whole stays, a package that
was cut off is put right, downloads lie in pip's cache. Which torch pip would take is asked before it is downloaded.
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
PIP_VERSION = "26.3"  # an older pip downloads a wheel to say what it would install
UV_VERSION = "0.13.9"  # knows where PyTorch's CPU builds lie; installed only where pip reaches none

# Run inside the environment: names of packages with files missing, one per line.
_FIND_BROKEN = """
import importlib.metadata as metadata
for package in metadata.distributions():
    files = package.files
    if files is None or not all(file.locate().exists() for file in files if file.suffix != ".pyc"):
        print(package.metadata["Name"] or "")
"""


class InstallError(Exception):
    """One sentence that says what to do."""


def venv_path() -> Path:
    return Path(os.environ.get("VANTAGE_VENV") or ROOT / ".venv").absolute()


def detect_device() -> str:
    """ "cuda" where an NVIDIA GPU answers, else "cpu"; VANTAGE_DEVICE overrules."""
    chosen = os.environ.get("VANTAGE_DEVICE", "")
    if chosen:
        if chosen not in ("cpu", "cuda"):
            raise InstallError(f"VANTAGE_DEVICE is cpu or cuda, not {chosen!r}.")
        return chosen
    smi = shutil.which("nvidia-smi")
    listed = smi and subprocess.run([smi, "-L"], capture_output=True, text=True, check=False)
    return "cuda" if listed and listed.returncode == 0 and "GPU " in listed.stdout else "cpu"


def locks_for(device: str, vllm: bool, dev: bool) -> list[Path]:
    """The locks to install, in order."""
    names = ["sim"]
    if device == "cuda":
        names += ["learner-gpu"]  # holds both engines
    else:
        names += ["learner-cpu", *(["learner-cpu-vllm"] if vllm else [])]
    names += ["dev"] if dev else []
    return [REQUIREMENTS / f"{name}.txt" for name in names]


def ensure(venv: Path, device: str, vllm: bool = False, dev: bool = False) -> Path:
    """Make or complete the environment; returns its Python. Raises InstallError."""
    python = venv / "bin" / "python"
    wanted = [(lock.stem, lock) for lock in locks_for(device, vllm, dev)] + [("vantage", ROOT / "pyproject.toml")]
    if all(_stamped(venv, name, file) for name, file in wanted):
        return python
    with _one_install_at_a_time(venv):
        _make_venv(venv)
        for name, file in wanted:
            if _stamped(venv, name, file):
                continue
            started = time.monotonic()
            if name == "vantage":
                _pip(python, "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
            else:
                if torch := [
                    line for line in file.read_text().splitlines() if line.startswith(("torch==", "torchvision=="))
                ]:
                    _settle_torch(python, torch, device)
                _say(f"installing {name} ({sum('==' in line for line in file.read_text().splitlines())} packages)")
                _pip(python, "--no-deps", "--requirement", str(file), *_extra_index(name))
                _mend(python, file, name)
            _stamp(venv, name, file)
            _say(f"{name} is installed ({time.monotonic() - started:.0f} s)")
    return python


# ----------------------------------------------------------------------------- torch


def _settle_torch(python: Path, pins: list[str], device: str) -> None:
    """Ask pip which torch it would take, before it downloads a build for another device.

    PyPI's build for Linux is the CUDA one: on a machine without a GPU uv then fetches the CPU builds, for it knows
    where PyTorch keeps them.
    """
    pin = pins[0]
    command = [python, "-m", "pip", "install", "--dry-run", "--quiet", "--ignore-installed", "--no-deps"]
    asked = subprocess.run(
        [*command, "--report", "-", pin, *_extra_index("learner")], capture_output=True, text=True, check=False
    )
    if asked.returncode != 0:
        raise InstallError(f"pip finds no {pin}: {_last_line(asked.stderr)}")
    found = json.loads(asked.stdout)["install"][0]["metadata"]
    cuda = is_cuda_build(found["version"], found.get("requires_dist", []))
    if cuda and device == "cpu":
        _say(f"installing {' and '.join(pins)} for the CPU")
        _pip(python, f"uv=={UV_VERSION}")
        uv = [python, "-m", "uv", "pip", "install", "--python", python, "--torch-backend", "cpu"]
        uv += ["--reinstall", "--no-deps", *pins]  # what an interrupted install left half is made whole
        if subprocess.run(uv, stdout=sys.stderr, check=False).returncode != 0:
            raise InstallError(
                f"this machine has no GPU and no CPU build of {pin} could be fetched (uv's own words stand above); the "
                "one that pip reaches is for CUDA and takes gigabytes: put a CPU wheel in a folder named by "
                "PIP_FIND_LINKS, or name an index that has one in VANTAGE_TORCH_INDEX, and start again."
            )
    if not cuda and device == "cuda":
        raise InstallError(
            f"this machine has a GPU but pip takes the CPU build of {pin} ({found['version']}): unset PIP_FIND_LINKS "
            "or name another index in VANTAGE_TORCH_INDEX, or set VANTAGE_DEVICE=cpu, and start again."
        )


def is_cuda_build(version: str, requires: list[str]) -> bool:
    """Judged by the local version where there is one (2.13.0+cpu), else by what the wheel depends on."""
    local = version.partition("+")[2]
    if local:
        return not local.startswith("cpu")
    return any(line.startswith(("nvidia-", "cuda-", "triton")) for line in requires)


def _extra_index(name: str) -> list[str]:
    index = os.environ.get("VANTAGE_TORCH_INDEX", "")
    return ["--extra-index-url", index] if index and name.startswith("learner") else []


# ----------------------------------------------------------------------------- the environment


def _make_venv(venv: Path) -> None:
    python = venv / "bin" / "python"
    made = venv / "pyvenv.cfg"
    if not made.exists() or subprocess.run([python, "-m", "pip", "--version"], capture_output=True).returncode != 0:
        _say(f"making {venv} with Python {sys.version.split()[0]}")
        done = subprocess.run([sys.executable, "-m", "venv", venv], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise InstallError(
                f"Python's venv module cannot make {venv}; on Debian and Ubuntu install it with "
                f"apt-get install python{sys.version_info.major}.{sys.version_info.minor}-venv "
                f"({_last_line(done.stdout + done.stderr)})."
            )
    if not _stamp_file(venv, "pip").exists():
        _pip(python, f"pip=={PIP_VERSION}")
        _stamp_file(venv, "pip").touch()


def _mend(python: Path, lock: Path, name: str) -> None:
    """Reinstall packages of this lock whose files an interrupted install left incomplete."""
    pins = {line.partition("==")[0]: line for line in lock.read_text().splitlines() if "==" in line}
    found = subprocess.run([python, "-c", _FIND_BROKEN], capture_output=True, text=True, check=True).stdout
    broken = [
        pins[key] for line in found.splitlines() if (key := line.lower().replace("_", "-").replace(".", "-")) in pins
    ]
    if broken:
        _say(f"putting right {', '.join(broken)}, cut off by an earlier install")
        _pip(python, "--no-deps", "--force-reinstall", *broken, *_extra_index(name))


def _pip(python: Path, *arguments: str) -> None:
    quiet = [] if sys.stderr.isatty() else ["-qq", "--progress-bar", "off"]
    command = [str(python), "-m", "pip", "install", "--no-input", "--disable-pip-version-check", *quiet, *arguments]
    done = subprocess.run(command, stdout=sys.stderr, check=False)
    if done.returncode != 0:
        raise InstallError(
            "pip could not install this (its own words stand above); start again and it goes on from here."
        )


def _one_install_at_a_time(venv: Path) -> IO[str]:
    try:
        venv.mkdir(parents=True, exist_ok=True)
        file = open(venv / ".vantage.lock", "w")  # noqa: SIM115
    except OSError as error:
        raise InstallError(
            f"{venv} cannot be written ({error.strerror}); name another place in VANTAGE_VENV."
        ) from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        _say("another install is under way; waiting for it")
        fcntl.flock(file, fcntl.LOCK_EX)
    return file


# ----------------------------------------------------------------------------- stamps


def _stamp_file(venv: Path, name: str) -> Path:
    return venv / f".vantage-{name}.stamp"


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _stamped(venv: Path, name: str, file: Path) -> bool:
    try:
        return _stamp_file(venv, name).read_text() == _digest(file)
    except FileNotFoundError:
        return False


def _stamp(venv: Path, name: str, file: Path) -> None:
    _stamp_file(venv, name).write_text(_digest(file))


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"


def _say(text: str) -> None:
    print(f"vantage: {text}", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Make or complete the environment and print its Python.")
    parser.add_argument("--vllm", action="store_true", help="the vLLM engine too")
    parser.add_argument("--dev", action="store_true", help="the tools that check this repository too")
    arguments = parser.parse_args()
    try:
        print(ensure(venv_path(), detect_device(), arguments.vllm, arguments.dev))
    except InstallError as error:
        _say(str(error))
        return 1
    except KeyboardInterrupt:
        _say("interrupted; start again and it goes on from here.")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
