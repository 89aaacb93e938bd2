"""A distribution of another author: modules and entry points in a folder that goes on sys.path or PYTHONPATH."""

from __future__ import annotations

from pathlib import Path
from typing import Mapping


def write_distribution(
    folder: Path, name: str, modules: Mapping[str, str], entry_points: Mapping[str, Mapping[str, str]]
) -> Path:
    """Write `modules` (name -> source) and the metadata of version 1.0; returns the folder.

    `entry_points` maps each group to names and their "module:attribute" targets.
    """
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = []
    for group, targets in entry_points.items():
        lines += [f"[{group}]", *(f"{point} = {target}" for point, target in targets.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    for module, source in modules.items():
        (folder / f"{module}.py").write_text(source)
    return folder
