"""Weights & Biases: a run of the project `vantage`, offline if WANDB_MODE=offline or nobody is logged in.

The server drops points of a step before the last one, so that a kill between a point and `flush` duplicates nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from launch.trackers.points import Point, Written
from launch.trackers.state import folder_of, identity, read_written, save_written
from protocol.errors import VantageError
from protocol.run.directory import RunDir

wandb: Any = import_module("wandb")  # optional
_NAME = "wandb"


class WeightsAndBiases:
    def __init__(self, run: RunDir) -> None:
        """Raises VantageError("unavailable") if the service refuses the run."""
        self._run = run
        try:
            self._wandb = wandb.init(
                project="vantage",
                name=run.name,
                id=identity(run),
                dir=str(folder_of(run, _NAME)),
                config=run.config,
                resume="allow",
                settings=wandb.Settings(silent=True),
            )
        except wandb.errors.Error as error:
            reason = str(error).strip().splitlines()[0]
            raise VantageError(
                "unavailable",
                f"Weights & Biases does not accept the run ({reason}): log in with `wandb login`, or set "
                "WANDB_MODE=offline.",
            ) from error

    def written(self) -> Written:
        return read_written(self._run, _NAME)

    def write(self, point: Point) -> None:
        values: dict[str, Any] = dict(point.scalars)
        if point.table is not None:
            values[f"tables/{point.table.name}"] = wandb.Table(
                list(point.table.columns), list(map(list, point.table.rows))
            )
        if point.sample is not None:
            image = wandb.Image(str(point.sample.image), caption=point.sample.text)
            values[f"samples/{point.sample.title}"] = image
        self._wandb.log(values, step=point.step)

    def flush(self, written: Written) -> None:
        save_written(self._run, _NAME, written)

    def close(self) -> None:
        self._wandb.finish()
