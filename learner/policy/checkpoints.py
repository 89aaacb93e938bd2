"""Checkpoints: one sealed folder step-000123 per saved step, without pickle.

adapter_config.json, adapter_model.safetensors   adapter, in PEFT's format
optimizer.safetensors, optimizer.json            state of the optimizer (tensors, numbers) and of the schedule
trainer_state.json                               counters of the trainer

Generator states are not saved: all randomness derives from (run seed, step).
"""

from __future__ import annotations

import json
import logging
import math
import os
import shutil
from pathlib import Path
from typing import Any, Callable, Mapping, Optional

import msgspec
import torch
from safetensors.torch import load_file, save

from learner.policy.adapters import adapter_tensors, write_adapter
from learner.policy.shards import complete, placed
from protocol.errors import VantageError
from protocol.run.directory import disk_guard
from protocol.run.sealed import numbered, sealed_folder, sweep, verify_folder
from protocol.tasks.task import TaskSpec

log = logging.getLogger(__name__)

PREFIX = "step-"
_DAMAGED = "damaged-"  # prefix of the new name of a damaged checkpoint
_FILES = (
    *("adapter_config.json", "adapter_model.safetensors"),
    *("optimizer.safetensors", "optimizer.json", "trainer_state.json"),
)


class ReplayFacts(msgspec.Struct, frozen=True):
    """A question to replay: how often it was trained on, and the step and mean accuracy of the last time.

    `index` is the number of the question about the views of the spec.
    """

    spec: TaskSpec
    uses: int
    step: int
    success: float
    index: int = 0


class Facts(msgspec.Struct, frozen=True):
    """What the manifest of a checkpoint states about the run."""

    step: int
    loop_s: float
    counted: int = 0  # reports that the curriculum had counted
    replay: tuple[ReplayFacts, ...] = ()


def verify(checkpoint: Path) -> Facts:
    """The facts of a checkpoint, after checking that it is complete and intact. Raises VantageError("corrupt")."""
    manifest = verify_folder(checkpoint)
    missing = [name for name in _FILES if name not in manifest["files"]]
    if missing:
        raise VantageError("corrupt", f"the manifest of {checkpoint} does not list {', '.join(missing)}.")
    try:
        facts = msgspec.convert(manifest, Facts)
    except msgspec.ValidationError as error:
        raise VantageError("corrupt", f"the manifest of {checkpoint} is damaged: {error}.") from None
    if facts.step != int(checkpoint.name.removeprefix(PREFIX)) or not 0 <= facts.loop_s < math.inf:
        raise VantageError("corrupt", f"the manifest of {checkpoint} names another step.")
    return facts


class CheckpointStore:
    def __init__(self, folder: Path, keep: int = 2) -> None:
        self._folder = folder
        self._keep = keep
        sweep(folder)

    def latest(self) -> Optional[Path]:
        """Return the newest intact checkpoint, with a warning about newer ones, or None if none was saved.

        Raises VantageError("corrupt") if all are damaged.
        """
        return self._newest()[0]

    def recover(self) -> Optional[Path]:
        """Like `latest`; newer damaged checkpoints get another name, so that their steps can be saved again."""
        newest, damaged = self._newest()
        for path in damaged:
            aside = path.with_name(_DAMAGED + path.name)
            while os.path.lexists(aside):
                aside = aside.with_name(aside.name + "+")
            with disk_guard(path):
                os.rename(path, aside)
            log.warning("the damaged checkpoint %s is renamed to %s", path, aside.name)
        return newest

    def _newest(self) -> tuple[Optional[Path], list[Path]]:
        """The newest intact checkpoint, and the damaged ones that are newer."""
        damaged: list[Path] = []
        reason = ""
        for path in reversed(numbered(self._folder, PREFIX).values()):
            try:
                verify(path)
            except VantageError as error:
                fault = error.message.partition(";")[0].rstrip(".")  # without its advice to remove the folder
                log.warning("checkpoint %s is damaged, so the one before is used: %s", path.name, fault)
                reason = reason or fault
                damaged.append(path)
            else:
                return path, damaged
        if damaged:
            raise VantageError(
                "corrupt",
                f"no checkpoint in {self._folder} is intact; restore one, or start another run ({reason}).",
            )
        return None, []

    def at(self, step: int) -> Path:
        """Verify and return the checkpoint of a step. Raises VantageError: "bad_request" if not saved, "corrupt"."""
        found = numbered(self._folder, PREFIX)
        if step not in found:
            saved = ", ".join(map(str, found)) or "none"
            raise VantageError("bad_request", f"there is no checkpoint of step {step}; saved steps: {saved}.")
        verify(found[step])
        return found[step]

    def save(
        self,
        facts: Mapping[str, Any],
        model: Any,
        optimizer: Any,
        scheduler: Any,
        write_state: Callable[[str], None],
    ) -> None:
        """Save a checkpoint of step facts["step"] and delete old ones. Collective if the model is sharded.

        `facts` goes into the manifest; `write_state` writes the JSON state of the trainer to a path. Raises
        VantageError("disk_full") and leaves earlier checkpoints intact.
        """
        adapter, state = gather(model, optimizer)
        final = self._folder / f"{PREFIX}{facts['step']:06d}"
        if final.exists():
            return
        with sealed_folder(final, facts) as staging:
            write_adapter(model, staging, adapter)
            write_optimizer(state, scheduler, staging)
            write_state(str(staging / "trainer_state.json"))
        for old in list(numbered(self._folder, PREFIX))[: -self._keep]:
            shutil.rmtree(self._folder / f"{PREFIX}{old:06d}", ignore_errors=True)


def gather(model: Any, optimizer: Any) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The complete adapter and state of the optimizer. Collective if the model is sharded."""
    state = optimizer.state_dict()
    values = {
        index: {name: complete(value) if isinstance(value, torch.Tensor) else value for name, value in own.items()}
        for index, own in state["state"].items()
    }
    return adapter_tensors(model), {**state, "state": values}


def write_optimizer(state: Mapping[str, Any], scheduler: Any, folder: Path) -> None:
    """Write the state of an optimizer, from `gather`, and of its schedule."""
    tensors: dict[str, torch.Tensor] = {}
    numbers: dict[str, float] = {}
    for index, values in state["state"].items():
        for name, value in values.items():
            if isinstance(value, torch.Tensor):
                tensors[f"{index}.{name}"] = value
            else:
                numbers[f"{index}.{name}"] = value
    (folder / "optimizer.safetensors").write_bytes(save(tensors))
    schedule = {key: value for key, value in scheduler.state_dict().items() if isinstance(value, (int, float, list))}
    schedule.pop("lr_lambdas", None)  # functions: created from the configuration
    record = {"groups": state["param_groups"], "numbers": numbers, "schedule": schedule}
    (folder / "optimizer.json").write_text(json.dumps(record, default=_number))


def read_optimizer(optimizer: Any, scheduler: Any, folder: Path) -> None:
    """Restore the state that `write_optimizer` wrote."""
    record = json.loads((folder / "optimizer.json").read_text())
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Any]] = {}
    for name, tensor in load_file(folder / "optimizer.safetensors").items():
        index, key = name.split(".", 1)
        own = parameters[int(index)]
        state.setdefault(int(index), {})[key] = placed(tensor, own) if tensor.shape == own.shape else tensor
    for name, number in record["numbers"].items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = number
    optimizer.load_state_dict({"state": state, "param_groups": record["groups"]})
    current = scheduler.state_dict()
    scheduler.load_state_dict({**current, **record["schedule"]})


def _number(value: Any) -> Any:
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"cannot save a {type(value).__name__} of the optimizer's state")
