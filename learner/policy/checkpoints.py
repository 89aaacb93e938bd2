"""Training state on disk: one sealed folder step-000123 per saved step, read back without pickle.

adapter_config.json, adapter_model.safetensors   the adapter, in PEFT's format
optimizer.safetensors, optimizer.json            tensors and numbers of the optimizer's state, and of the schedule
trainer_state.json                               the trainer's counters

No generator state: all randomness comes from (run seed, step).
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Callable, Mapping, Optional

import torch
from safetensors.torch import load_file, save

from learner.policy.adapters import write_adapter
from protocol.errors import VantageError
from protocol.run.sealed import numbered, sealed_folder, sweep, verify_folder

PREFIX = "step-"


class CheckpointStore:
    def __init__(self, folder: Path, keep: int = 2) -> None:
        self._folder = folder
        self._keep = keep
        sweep(folder)

    def latest(self) -> Optional[Path]:
        """The newest checkpoint, checked, or None at the start of a run. Raises VantageError("corrupt")."""
        found = numbered(self._folder, PREFIX)
        if not found:
            return None
        path = found[max(found)]
        verify_folder(path)
        return path

    def at(self, step: int) -> Path:
        """The checkpoint of this step, checked. Raises VantageError: "bad_request" if it is not kept, "corrupt"."""
        found = numbered(self._folder, PREFIX)
        if step not in found:
            kept = ", ".join(map(str, found)) or "none"
            raise VantageError("bad_request", f"no checkpoint of step {step} is kept; there are: {kept}.")
        verify_folder(found[step])
        return found[step]

    def save(
        self,
        facts: Mapping[str, Any],
        model: Any,
        optimizer: Any,
        scheduler: Any,
        write_state: Callable[[str], None],
    ) -> None:
        """Save the step facts["step"] and drop old ones; `write_state` writes the trainer's JSON state to a path.

        `facts` goes into the manifest. Raises VantageError("disk_full"), and then the earlier checkpoints stand.
        """
        final = self._folder / f"{PREFIX}{facts['step']:06d}"
        if final.exists():
            return
        with sealed_folder(final, facts) as staging:
            write_adapter(model, staging)
            write_optimizer(optimizer, scheduler, staging)
            write_state(str(staging / "trainer_state.json"))
        for old in list(numbered(self._folder, PREFIX))[: -self._keep]:
            shutil.rmtree(self._folder / f"{PREFIX}{old:06d}", ignore_errors=True)


def write_optimizer(optimizer: Any, scheduler: Any, folder: Path) -> None:
    state = optimizer.state_dict()
    tensors: dict[str, torch.Tensor] = {}
    numbers: dict[str, float] = {}
    for index, values in state["state"].items():
        for name, value in values.items():
            if isinstance(value, torch.Tensor):
                tensors[f"{index}.{name}"] = value.detach().contiguous().cpu()
            else:
                numbers[f"{index}.{name}"] = value
    (folder / "optimizer.safetensors").write_bytes(save(tensors))
    schedule = {key: value for key, value in scheduler.state_dict().items() if isinstance(value, (int, float, list))}
    schedule.pop("lr_lambdas", None)  # functions: made anew from the configuration
    record = {"groups": state["param_groups"], "numbers": numbers, "schedule": schedule}
    (folder / "optimizer.json").write_text(json.dumps(record, default=_number))


def read_optimizer(optimizer: Any, scheduler: Any, folder: Path) -> None:
    """Restore what `write_optimizer` wrote."""
    record = json.loads((folder / "optimizer.json").read_text())
    state: dict[int, dict[str, Any]] = {}
    for name, tensor in load_file(folder / "optimizer.safetensors").items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = tensor
    for name, number in record["numbers"].items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = number
    optimizer.load_state_dict({"state": state, "param_groups": record["groups"]})
    current = scheduler.state_dict()
    scheduler.load_state_dict({**current, **record["schedule"]})


def _number(value: Any) -> Any:
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no place in an optimizer's state")
