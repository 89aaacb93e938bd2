"""TensorBoard: event files in trackers/tensorboard of the run, for `tensorboard --logdir RUN/trackers/tensorboard`.

A start writes all points of the run again into a new file, after it removed those of earlier starts: whenever it was
killed, no point is missing or written twice.
"""

from __future__ import annotations

import json
import time
from importlib import import_module
from typing import Any

from PIL import Image

from launch.trackers.points import Point, Written, markdown
from launch.trackers.state import folder_of
from protocol.run.directory import RunDir

# Optional libraries: without them, type checkers know nothing of them.
Event: Any = import_module("tensorboard.compat.proto.event_pb2").Event
Summary: Any = import_module("tensorboard.compat.proto.summary_pb2").Summary
text_pb: Any = import_module("tensorboard.plugins.text.summary_v2").text_pb
EventFileWriter: Any = import_module("tensorboard.summary.writer.event_file_writer").EventFileWriter


class TensorBoard:
    def __init__(self, run: RunDir) -> None:
        folder = folder_of(run, "tensorboard")
        for path in folder.glob("events.out.tfevents.*"):
            path.unlink()
        self._writer = EventFileWriter(str(folder))
        config = json.dumps(run.config, indent=1)
        self._add(0, text_pb("config", f"```\n{config}\n```"))

    def written(self) -> Written:
        return Written()

    def write(self, point: Point) -> None:
        values = [Summary.Value(tag=name, simple_value=value) for name, value in point.scalars.items()]
        if values:
            self._add(point.step, Summary(value=values))
        if point.table is not None:
            self._add(point.step, text_pb(f"tables/{point.table.name}", markdown(point.table)))
        if point.sample is not None:
            title = point.sample.title
            with Image.open(point.sample.image, formats=["png"]) as image:
                width, height = image.size
            content = point.sample.image.read_bytes()
            shown = Summary.Image(width=width, height=height, colorspace=3, encoded_image_string=content)
            self._add(point.step, Summary(value=[Summary.Value(tag=f"samples/{title}", image=shown)]))
            self._add(point.step, text_pb(f"sample_texts/{title}", point.sample.text))

    def flush(self, written: Written) -> None:  # noqa: ARG002 - every start writes all points
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()

    def _add(self, step: int, summary: Any) -> None:
        self._writer.add_event(Event(wall_time=time.time(), step=step, summary=summary))
