"""Trackio: a local project `vantage`, shown by `trackio show --project vantage`."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from launch.trackers.points import Point, Written
from launch.trackers.state import folder_of, identity, read_written, save_written
from protocol.run.directory import RunDir

trackio: Any = import_module("trackio")  # optional
_NAME, _PROJECT = "trackio", "vantage"


class Trackio:
    def __init__(self, run: RunDir) -> None:
        self._run = run
        os.environ.setdefault("TRACKIO_DIR", str(folder_of(run, _NAME)))
        name = f"{run.name}-{identity(run)}"
        trackio.init(project=_PROJECT, name=name, config=run.config, resume="allow", embed=False)

    def written(self) -> Written:
        return read_written(self._run, _NAME)

    def write(self, point: Point) -> None:
        values: dict[str, Any] = dict(point.scalars)
        if point.table is not None:
            import pandas

            rows = pandas.DataFrame(point.table.rows, columns=list(point.table.columns))
            values[f"tables/{point.table.name}"] = trackio.Table(dataframe=rows)
        if point.sample is not None:
            values[f"samples/{point.sample.title}"] = trackio.Image(
                str(point.sample.image), caption=point.sample.text[:1000]
            )
        trackio.log(values, step=point.step)

    def flush(self, written: Written) -> None:
        save_written(self._run, _NAME, written)

    def close(self) -> None:
        trackio.finish()
