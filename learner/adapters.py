"""Folders on disk that are whole or absent: published adapters and training checkpoints.

A folder is written under a temporary name, every file is synced, a manifest with each file's SHA-256 comes last, and
one rename makes it visible. A kill at any instant leaves either the old state or the new one; what was begun and not
finished is swept away at the next start.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterator, Mapping, Optional

from protocol.errors import VantageError
from protocol.rundir import disk_guard, fsync_folder, write_atomic

if TYPE_CHECKING:
    from peft import PeftModel

MANIFEST = "manifest.json"
_STAGING = ".writing-"


# ----------------------------------------------------------------------------- sealed folders


@contextlib.contextmanager
def sealed_folder(final: Path, facts: Mapping[str, Any]) -> Iterator[Path]:
    """Write files into the folder that this yields; when the block ends it is `final`, with `facts` in its manifest.

    Raises VantageError("disk_full"), and then leaves nothing behind. `final` must not exist.
    """
    staging = final.with_name(_STAGING + final.name)
    shutil.rmtree(staging, ignore_errors=True)
    try:
        with disk_guard(final):
            staging.mkdir(parents=True)
            yield staging
            files = {path.name: _describe(path) for path in sorted(staging.iterdir())}
            write_atomic(staging / MANIFEST, json.dumps({**facts, "files": files}, indent=1).encode())
            os.rename(staging, final)
            fsync_folder(final.parent)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise


def verify_folder(folder: Path) -> dict[str, Any]:
    """The manifest of a sealed folder whose files all agree with it. Raises VantageError("corrupt")."""
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        files = dict(manifest["files"])
    except (OSError, ValueError, KeyError, TypeError):
        raise VantageError(
            "corrupt", f"{folder} has no readable manifest; remove the folder and start again."
        ) from None
    for name, expected in files.items():
        path = folder / name
        if not path.is_file() or _describe(path, sync=False) != expected:
            raise VantageError("corrupt", f"{path} does not match its manifest; remove {folder} and start again.")
    return manifest


def sweep(parent: Path) -> None:
    """Remove what a killed process began to write and never finished."""
    for leftover in parent.glob(_STAGING + "*"):
        shutil.rmtree(leftover, ignore_errors=True)


def numbered(parent: Path, prefix: str) -> dict[int, Path]:
    """The folders `prefix`NNNNNN below `parent`, by number, ascending."""
    pattern = re.compile(re.escape(prefix) + r"(\d{6,})")
    found = {int(match[1]): path for path in parent.iterdir() if (match := pattern.fullmatch(path.name))}
    return dict(sorted(found.items()))


def _describe(path: Path, sync: bool = True) -> dict[str, Any]:
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = os.fstat(file.fileno()).st_size
        if sync:
            os.fsync(file.fileno())
    return {"sha256": digest, "bytes": size}


# ----------------------------------------------------------------------------- published adapters

PREFIX = "policy-v"


class AdapterStore:
    """The adapters of a run: one folder policy-v000123 per published version.

    Version 0 is the policy without an adapter. A version number, and with it the adapter's name, is never used twice,
    not even after a kill: engines cache weights and prefixes by name.
    """

    def __init__(self, folder: Path, keep: int = 4) -> None:
        self._folder = folder
        self._keep = keep
        sweep(folder)

    def latest(self) -> int:
        """The highest version published, 0 where there is none."""
        return max(numbered(self._folder, PREFIX), default=0)

    def path(self, version: int) -> Path:
        return self._folder / f"{PREFIX}{version:06d}"

    def publish(self, model: PeftModel, step: int) -> int:
        """Publish the model's adapter as the next version, drop old ones, and return the version.

        Raises VantageError("disk_full").
        """
        version = self.latest() + 1
        with sealed_folder(self.path(version), {"version": version, "step": step}) as staging:
            write_adapter(model, staging)
        for old in list(numbered(self._folder, PREFIX))[: -self._keep]:
            shutil.rmtree(self.path(old), ignore_errors=True)
        return version

    def verify(self, version: int) -> Path:
        """The folder of a version, checked. Raises VantageError("corrupt")."""
        verify_folder(self.path(version))
        return self.path(version)


def write_adapter(model: PeftModel, folder: Path) -> None:
    """Write the active adapter in PEFT's own format (adapter_config.json, adapter_model.safetensors)."""
    from peft import get_peft_model_state_dict
    from safetensors.torch import save

    tensors = {name: tensor.detach().contiguous().cpu() for name, tensor in get_peft_model_state_dict(model).items()}
    # Written by Python, so that a full disk is an OSError and not the library's own.
    (folder / "adapter_model.safetensors").write_bytes(save(tensors, metadata={"format": "pt"}))
    assert isinstance(model.active_adapter, str)
    config = model.peft_config[model.active_adapter]
    inference_mode, config.inference_mode = config.inference_mode, True
    try:
        config.save_pretrained(str(folder))
    finally:
        config.inference_mode = inference_mode


def read_adapter(model: PeftModel, folder: Path) -> None:
    """Put the tensors of an adapter folder into the model's active adapter. Raises VantageError("corrupt")."""
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    verify_folder(folder)
    result: Optional[Any] = set_peft_model_state_dict(model, load_file(folder / "adapter_model.safetensors"))
    if result is not None and result.unexpected_keys:
        raise VantageError("corrupt", f"{folder} holds an adapter of another policy; start another run.")
