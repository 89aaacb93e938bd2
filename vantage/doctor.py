"""What is installed here, which simulators and rollout engines work, and how to install what is missing."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Callable, Iterator, NamedTuple, Optional, Sequence

from launch.settings import resolve
from learner.rollouts import ENGINES
from sim_server.backends.registry import BACKENDS, make_backend

PROBE_TIMEOUT_S = 180.0  # importing vLLM on a busy machine is slow
_ROOT = Path(__file__).resolve().parent.parent
_LEARNER = ("torch", "torchvision", "transformers", "trl", "peft", "accelerate", "datasets")
_INSTALL_HABITAT = "conda create -n habitat python=3.9 habitat-sim=0.3.3 headless -c conda-forge -c aihabitat"

# Each runs in its own process: these libraries are large, and some print or abort when they are imported.
_PROBES = {
    "transformers": "import learner.train, torch; "
    "print(f'CUDA {torch.version.cuda}' if torch.cuda.is_available() else 'on the CPU')",
    "vllm": "import vllm; print(vllm.__version__)",
    "habitat": "import habitat_sim; print(habitat_sim.__version__)",
}


class Probe(NamedTuple):
    """Whether a part works, with its version or the reason why it does not, and the command that installs it."""

    works: bool
    detail: str
    install: str = ""


def examine(echo: Callable[[str], object]) -> bool:
    """Print the findings line by line; returns whether any simulator works, without which nothing can run."""
    probes = {name: _start(code) for name, code in _PROBES.items()}
    echo(f"vantage-loop {_version('vantage-loop') or 'not installed'}, Python {platform.python_version()}")
    echo(f"  in {sys.prefix}")
    echo(f"GPU: {_gpus() or 'none; everything runs on the CPU'}")
    echo("\nlibraries")
    for title, names in _groups().items():
        echo(f"  {title}: " + ", ".join(f"{name} {_version(name) or 'missing'}" for name in names))
    simulators = _simulators(probes["habitat"])
    engines = _engines(probes)
    for title, results in (("simulators", simulators), ("rollout engines", engines)):
        echo(f"\n{title}")
        for name, result in results.items():
            echo(f"  {name}: {'works' if result.works else 'does not work'} ({result.detail})")
            if not result.works and result.install:
                echo(f"      install: {result.install}")
    missing = [(name, extra) for name, extra in (("pandas", "pandas"), ("pyarrow", "parquet")) if not _version(name)]
    if missing:
        echo("\noptional")
    for name, extra in missing:
        echo(f"  {name} is missing\n      install: pip install 'vantage-loop[{extra}]'")
    if not any(result.works for result in simulators.values()):
        echo("\nno simulator works, so nothing can run; repair it: pip install --force-reinstall vantage-loop")
        return False
    ready = "vantage run" if engines["transformers"].works else "sim-server render --out view.png (no learner)"
    echo(f"\nready: {ready}")
    return True


def memory_plan(configs: Sequence[Path], sets: Sequence[str]) -> Iterator[str]:
    """The memory plan of a run with these configurations, line by line. Raises VantageError("bad_config")."""
    _, tree = resolve(configs, sets)
    from learner.plan.plan import plan_of  # imports torch

    return plan_of(tree).lines()


def _groups() -> dict[str, list[str]]:
    """Title -> distributions: this one's dependencies, and the learner's."""
    required = metadata.requires("vantage-loop") if _version("vantage-loop") else []
    core = [_name(line) for line in required or [] if ";" not in line]
    return {"core": sorted(core), "learner": list(_LEARNER)}


def _simulators(habitat: subprocess.Popen[str]) -> dict[str, Probe]:
    results = {"habitat": _probed(habitat, _INSTALL_HABITAT)}
    for name in sorted(BACKENDS.targets().keys() - results.keys()):
        try:
            backend = make_backend(name)
        except Exception as error:  # a broken package of someone else must not end the command
            results[name] = Probe(False, f"{error}")
        else:
            results[name] = Probe(True, f"renderer {backend.digest}")
            backend.close()
    return results


def _engines(probes: dict[str, subprocess.Popen[str]]) -> dict[str, Probe]:
    results = {"transformers": _probed(probes["transformers"], _install_learner()), "vllm": _vllm(probes["vllm"])}
    for name in sorted(ENGINES.targets().keys() - ENGINES.built_in.keys()):
        try:
            ENGINES.load(name)
        except Exception as error:  # as above
            results[name] = Probe(False, f"{error}")
        else:
            results[name] = Probe(True, ENGINES.check(name))
    return results


def _vllm(probe: subprocess.Popen[str]) -> Probe:
    if _is_checkout():
        return _probed(probe, "launch/env.sh --vllm")
    if _gpus():
        return _probed(probe, "pip install vllm")
    result = _probed(probe, "")
    hint = "" if result.works else "; on a CPU the engine transformers is faster"
    return result._replace(detail=result.detail + hint)


def _install_learner() -> str:
    if _is_checkout():
        return "launch/env.sh"
    first = "" if _gpus() else " (first install CPU builds of torch and torchvision; pip's own choice is for CUDA)"
    return f"pip install 'vantage-loop[learner]'{first}"


def _is_checkout() -> bool:
    return (_ROOT / "launch" / "env.sh").exists() and (_ROOT / "requirements").is_dir()


def _start(code: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True)


def _probed(probe: subprocess.Popen[str], install: str) -> Probe:
    """The probe's last line of output, or of its error."""
    try:
        out, err = probe.communicate(timeout=PROBE_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        probe.kill()
        probe.communicate()
        return Probe(False, f"its import took longer than {PROBE_TIMEOUT_S:.0f} s", install)
    lines = [line.strip() for line in (out if probe.returncode == 0 else err).splitlines() if line.strip()]
    return Probe(probe.returncode == 0, lines[-1] if lines else f"exit code {probe.returncode}", install)


def _gpus() -> str:
    smi = shutil.which("nvidia-smi")
    if not smi:
        return ""
    query = [smi, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    listed = subprocess.run(query, capture_output=True, text=True, check=False)
    return "; ".join(listed.stdout.split("\n")).strip("; ") if listed.returncode == 0 else ""


def _version(name: str) -> Optional[str]:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _name(requirement: str) -> str:
    return requirement.split(";")[0].split(">")[0].split("=")[0].split("<")[0].strip()
