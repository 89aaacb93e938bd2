"""Uploads an exported policy to a model hub: the merged model as the repository, the adapter in its folder adapter/."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from protocol import hub


def push(out: Path, repository: str, endpoint: Optional[str] = None) -> str:
    """Upload `out`/merged and `out`/adapter. Returns its address. Raises as protocol.hub.push does."""
    uploads = [
        hub.Upload(out / name, place, f"Export of {name}") for name, place in (("merged", "."), ("adapter", "adapter"))
    ]
    return hub.push(repository, uploads, endpoint=endpoint)
