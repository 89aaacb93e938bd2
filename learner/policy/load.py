"""Loads a policy: any AutoModelForImageTextToText with its processor; by default the packaged `vantage-tiny`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers
from safetensors import SafetensorError

from protocol.errors import VantageError

TINY = "vantage-tiny"
MODELS = Path(__file__).resolve().parent.parent / "models"


class Policy(NamedTuple):
    model: Any  # a transformers model for image-text-to-text
    processor: Any
    source: str  # folder or hub name


def resolve(name: str) -> str:
    """Return the packaged folder for `vantage-tiny`, and any other folder or hub name unchanged."""
    if name != TINY:
        return name
    folder = MODELS / TINY
    if not (folder / "config.json").is_file():
        raise VantageError(
            "corrupt", f"the packaged model {TINY} is missing: create it with `learner pretrain --out {folder}`"
        )
    return str(folder)


def load(name: str = TINY, dtype: torch.dtype = torch.float32, device: str = "cpu") -> Policy:
    """Load a policy for inference (eval mode) from a folder or the hub.

    Raises VantageError: "bad_config" if there is no such model or it is not an image-text model, "corrupt" if its
    files cannot be read.
    """
    source = resolve(name)
    local = Path(source).is_dir()
    if local and not (Path(source) / "config.json").is_file():
        raise VantageError("bad_config", f"{source} has no config.json: name a folder written by save_pretrained")
    if not local and (source.startswith((".", "/", "~")) or source.count("/") != 1):
        raise VantageError("bad_config", f"there is no model folder {source}: check learner.policy.model")
    level = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity(logging.ERROR)
    transformers.logging.disable_progress_bar()
    try:
        processor = transformers.AutoProcessor.from_pretrained(source, local_files_only=local)
        auto: Any = transformers.AutoModelForImageTextToText
        model = auto.from_pretrained(source, dtype=dtype, local_files_only=local)
    except (SafetensorError, RuntimeError) as error:
        raise VantageError("corrupt", f"the model in {source} cannot be read: {_first_line(error)}") from error
    except (OSError, ValueError, KeyError) as error:
        raise VantageError("bad_config", f"{source} is not a usable image-text model: {_first_line(error)}") from error
    finally:
        transformers.logging.set_verbosity(level)
        transformers.logging.enable_progress_bar()
    return Policy(model.to(device).eval(), processor, source)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
