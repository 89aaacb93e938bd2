"""Writes requirements/<set>.txt: the exact versions that are installed here, for everything that <set>.in needs.

    python -m launch.lock              sets sim, learner-cpu, learner-cpu-vllm and dev, from this environment
    python -m launch.lock sim-py39     the simulator's set for Python 3.9, when run by a Python 3.9 with it installed

A lock is read off an environment in which the tests pass, so it names what was tested and nothing has to be resolved
again. Locks are installed with `pip install --no-deps`: what is left out here (EXCLUDED) stays out. learner-gpu.txt is
the exception: it needs a resolver (docs/01-start.md has the command).
"""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path
from typing import Iterator, Optional

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

FOLDER = Path(__file__).resolve().parent.parent / "requirements"
SETS = ("sim", "learner-cpu", "learner-cpu-vllm", "dev")
ADDS_TO = {"learner-cpu-vllm": "learner-cpu"}  # a set that lists only what it adds to another
EXCLUDED = frozenset({"torchaudio", "torchcodec", "triton"})


def requirements_in(path: Path) -> Iterator[Requirement]:
    """The requirements of a .in file, with those of the files it names by -r."""
    for line in path.read_text().splitlines():
        text = line.split("#")[0].strip()
        if text.startswith("-r "):
            yield from requirements_in(path.with_name(text[3:].strip()))
        elif text:
            yield Requirement(text)


def closure(roots: Iterator[Requirement]) -> dict[str, str]:
    """Canonical name -> installed version of everything that the roots need on this machine.

    Exits with a sentence where something is missing or of a version that a .in file does not allow.
    """
    versions: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    pending = [(requirement, "", True) for requirement in roots]
    while pending:
        requirement, parent_extra, is_root = pending.pop()
        name = canonicalize_name(requirement.name)
        if name in EXCLUDED or not _applies(requirement, parent_extra):
            continue
        version = _installed(name)
        if version is None or (is_root and not requirement.specifier.contains(version, prereleases=True)):
            raise SystemExit(f"{requirement} is not what is installed here ({version}); install it, then lock again.")
        versions[name] = version.partition("+")[0]  # a local build such as +cpu is the machine's choice
        for extra in ("", *sorted(requirement.extras)):
            if (name, extra) not in seen:
                seen.add((name, extra))
                pending += [(Requirement(text), extra, False) for text in metadata.requires(name) or []]
    return versions


def _applies(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def _installed(name: str) -> Optional[str]:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def write_lock(name: str, source: str) -> None:
    versions = closure(requirements_in(FOLDER / f"{source}.in"))
    if name in ADDS_TO:
        base = closure(requirements_in(FOLDER / f"{ADDS_TO[name]}.in"))
        versions = {package: version for package, version in versions.items() if package not in base}
    nvidia = [package for package in versions if package.startswith("nvidia-")]
    if nvidia:
        raise SystemExit(
            f"{', '.join(nvidia)} would be locked into {name}: this environment holds a CUDA build of torch."
        )
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    lines = [f"# Made by launch/lock.py from {source}.in on Python {python}; installed with pip install --no-deps."]
    lines += [f"{package}=={version}" for package, version in sorted(versions.items())]
    (FOLDER / f"{name}.txt").write_text("\n".join(lines) + "\n")
    print(f"{name}.txt: {len(versions)} packages")


if __name__ == "__main__":
    known = (*SETS, "sim-py39")
    if unknown := sorted(set(sys.argv[1:]) - set(known)):
        raise SystemExit(
            f"usage: python -m launch.lock [SET …]; there is no set {unknown[0]}: name {', '.join(known)}."
        )
    for chosen in sys.argv[1:] or SETS:
        write_lock(chosen, "sim" if chosen == "sim-py39" else chosen)
