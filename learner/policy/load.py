"""Loads a policy: any AutoModelForImageTextToText with its processor; by default the packaged `vantage-tiny`."""

from __future__ import annotations

import contextlib
import json
import logging
from pathlib import Path
from typing import Any, Iterator, NamedTuple

import huggingface_hub
import torch
import transformers
from huggingface_hub.errors import HfHubHTTPError
from safetensors import SafetensorError

from protocol.errors import VantageError

log = logging.getLogger(__name__)

_HUB_S = 10.0  # for the hub to answer

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


def load(name: str = TINY, dtype: torch.dtype = torch.float32, device: str = "cpu", revision: str = "") -> Policy:
    """Load a policy for inference (eval mode) from a folder or the hub, where `revision` names a commit, tag or branch.

    Raises VantageError: "bad_config" if there is no such model, it is not an image-text model, or the hub does not
    answer and has not been asked for it before; "corrupt" if its files cannot be read.
    """
    source, options, unreachable = _locate(name, revision, warn=True)
    with _quietly(source, unreachable):
        processor = transformers.AutoProcessor.from_pretrained(source, **options)
        auto: Any = transformers.AutoModelForImageTextToText
        model = auto.from_pretrained(source, dtype=dtype, **options)
    if not (hasattr(processor, "tokenizer") and hasattr(processor, "image_processor")):
        raise VantageError("bad_config", f"{source} has no processor for images and text: add its processor files.")
    return Policy(model.to(device).eval(), processor, source)


def load_config(name: str = TINY, revision: str = "") -> Any:
    """The configuration of a policy. Of a hub model only config.json is downloaded.

    Raises VantageError("bad_config") as `load`.
    """
    source, options, unreachable = _locate(name, revision, warn=False)
    with _quietly(source, unreachable):
        return transformers.AutoConfig.from_pretrained(source, **options)


def skeleton(config: Any) -> Any:
    """The model of a configuration on the meta device: modules and shapes without weights.

    Raises VantageError("bad_config") if the configuration is not that of an image-text model.
    """
    auto: Any = transformers.AutoModelForImageTextToText
    with _quietly(str(config.name_or_path), ""), torch.device("meta"):
        return auto.from_config(config)


def _locate(name: str, revision: str, warn: bool) -> tuple[str, dict[str, Any], str]:
    """The folder or hub name of a model, options to load it with, and why the hub cannot be asked, or ""."""
    source = resolve(name)
    local = Path(source).is_dir()
    if local and not (Path(source) / "config.json").is_file():
        raise VantageError("bad_config", f"{source} has no config.json: name a folder written by save_pretrained")
    if not local and (source.startswith((".", "/", "~")) or source.count("/") != 1):
        raise VantageError("bad_config", f"there is no model folder {source}: check learner.policy.model")
    if local and revision:
        raise VantageError(
            "bad_config", f"learner.policy.revision applies to hub models only, and {name} is a folder: remove it."
        )
    unreachable = "" if local else _ask_hub(source, revision, warn)
    return source, {"local_files_only": local or bool(unreachable), "revision": revision or None}, unreachable


@contextlib.contextmanager
def _quietly(source: str, unreachable: str) -> Iterator[None]:
    """Silence transformers, and turn its errors into one sentence each."""
    level = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity(logging.ERROR)
    transformers.logging.disable_progress_bar()
    try:
        yield
    except (SafetensorError, RuntimeError) as error:
        raise VantageError("corrupt", f"the model in {source} cannot be read: {_first_line(error)}") from error
    except ImportError as error:
        raise VantageError(
            "bad_config", f"{source} needs a library that is not installed: {_first_line(error).rstrip('.')}."
        ) from error
    except (OSError, ValueError, KeyError) as error:
        if unreachable:
            raise VantageError(
                "bad_config",
                f"the model hub does not answer ({unreachable}), and {source} was not downloaded before: check the "
                "network and HF_ENDPOINT, or set learner.policy.model to a folder.",
            ) from error
        raise VantageError("bad_config", f"{source} is not a usable image-text model: {_first_line(error)}") from error
    finally:
        transformers.logging.set_verbosity(level)
        transformers.logging.enable_progress_bar()


def _ask_hub(source: str, revision: str, warn: bool) -> str:
    """Look the model up on the hub. Return "" if the hub answered, else the reason why it did not.

    One request with a short time-out: without it, every file of the model would wait for its own retries. With `warn`,
    warns if no revision is set, naming the current commit.
    """
    if huggingface_hub.constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    try:
        commit = huggingface_hub.HfApi().model_info(source, revision=revision or None, timeout=_HUB_S).sha
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        return f"HTTP {status}" if status >= 500 or status == 429 else ""
    except Exception as error:  # of the HTTP library, which the hub's client does not wrap
        return _first_line(error)
    if warn and not revision:
        log.warning(
            "%s may change on the hub: set learner.policy.revision = %s to use the same weights after a restart",
            source,
            json.dumps(commit),
        )
    return ""


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
