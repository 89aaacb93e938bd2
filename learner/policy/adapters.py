"""Published adapters of a run: PEFT files in sealed folders, one per version."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Mapping, Optional

from protocol.errors import VantageError
from protocol.run.directory import parse_object
from protocol.run.files import read_regular
from protocol.run.sealed import numbered, sealed_folder, sweep, verify_folder

if TYPE_CHECKING:
    from peft import PeftModel
    from torch import Tensor

PREFIX = "policy-v"


class AdapterStore:
    """One folder policy-v000123 per published version.

    Version 0 is the policy without an adapter. A version number, and thus the name of an adapter, is never reused, not
    even after a kill, because engines cache weights and prefixes by name.
    """

    def __init__(self, folder: Path, keep: int = 4) -> None:
        self._folder = folder
        self._keep = keep
        sweep(folder)

    def latest(self) -> int:
        """Return the highest published version, or 0."""
        return max(numbered(self._folder, PREFIX), default=0)

    def path(self, version: int) -> Path:
        return self._folder / f"{PREFIX}{version:06d}"

    def publish(self, model: PeftModel, step: int) -> int:
        """Publish the adapter of the model as the next version, delete old versions, and return the version.

        Raises VantageError("disk_full").
        """
        version = self.latest() + 1
        with sealed_folder(self.path(version), {"version": version, "step": step}) as staging:
            write_adapter(model, staging)
        for old in list(numbered(self._folder, PREFIX))[: -self._keep]:
            shutil.rmtree(self.path(old), ignore_errors=True)
        return version

    def verify(self, version: int) -> Path:
        """Verify the folder of a version and return it. Raises VantageError("corrupt")."""
        verify_folder(self.path(version))
        return self.path(version)


def adapter_tensors(model: PeftModel) -> dict[str, Tensor]:
    """The complete tensors of the active adapter, on the CPU. Collective if the model is sharded."""
    from peft import get_peft_model_state_dict

    from learner.policy.shards import complete

    return {name: complete(tensor) for name, tensor in get_peft_model_state_dict(model).items()}


def write_adapter(model: PeftModel, folder: Path, tensors: Optional[Mapping[str, Tensor]] = None) -> None:
    """Write the active adapter in PEFT's format (adapter_config.json, adapter_model.safetensors).

    `tensors` are its tensors if they were collected before. Otherwise collective if the model is sharded.
    """
    from safetensors.torch import save

    tensors = adapter_tensors(model) if tensors is None else tensors
    # Written by Python, so that a full disk raises OSError and not an error of the library.
    (folder / "adapter_model.safetensors").write_bytes(save(dict(tensors), metadata={"format": "pt"}))
    assert isinstance(model.active_adapter, str)
    config = model.peft_config[model.active_adapter]
    inference_mode, config.inference_mode = config.inference_mode, True
    try:
        config.save_pretrained(str(folder))
    finally:
        config.inference_mode = inference_mode


def read_adapter(model: PeftModel, folder: Path) -> None:
    """Load an adapter folder into the active adapter of the model.

    Raises VantageError: "corrupt", or "bad_config" if it belongs to another policy or to other LoRA settings.
    """
    import torch
    from peft import get_peft_model_state_dict
    from safetensors.torch import load_file

    from learner.policy.shards import placed

    verify_folder(folder)
    tensors = load_file(folder / "adapter_model.safetensors")
    own = get_peft_model_state_dict(model)
    expected = {name: tensor.shape for name, tensor in own.items()}
    assert isinstance(model.active_adapter, str)
    config: Any = model.peft_config[model.active_adapter]
    saved = parse_object(read_regular(folder / "adapter_config.json"))
    for key, name in (("r", "lora_rank"), ("lora_alpha", "lora_alpha")):
        if saved.get(key) != getattr(config, key):
            raise VantageError(
                "bad_config",
                f"{folder} was saved with learner.grpo.{name} = {saved.get(key)}, but the configuration has "
                f"{getattr(config, key)}: set it back, or start another run.",
            )
    if {name: tensor.shape for name, tensor in tensors.items()} != expected:
        raise VantageError("bad_config", f"{folder} holds an adapter of another policy; start another run.")
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(placed(tensors[name], tensor))
