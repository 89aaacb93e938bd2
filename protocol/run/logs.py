"""Logs: one JSON object per line in logs/<process>/attempt_N.jsonl, with a new N for each start of the process.

Pass ids with `extra`: `log.info("realised", extra={"spec_id": spec_id})`. Warnings and errors also go to stderr.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from pathlib import Path
from typing import IO, Union

from protocol.run.directory import disk_guard
from protocol.run.files import make_folder

_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_INSTALLED = "_vantage_log_handler"


def setup(run_dir: Union[str, os.PathLike[str]], process: str) -> Path:
    """Send the logging of this process to a new file in the run; returns the file. A second call replaces the first.

    Raises VantageError as writing to a run does, "bad_request" also if the folder of the logs is a file or a link.
    """
    folder = Path(run_dir) / "logs" / process
    with disk_guard(folder):
        make_folder(folder)
        file = _next_attempt(folder)
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if hasattr(handler, _INSTALLED)]:
        root.removeHandler(handler)
        handler.close()
    to_file = DroppingHandler(file)
    to_file.setFormatter(_JsonFormatter(Path(run_dir).name, process))
    to_stderr = logging.StreamHandler(sys.stderr)
    to_stderr.setLevel(logging.WARNING)
    to_stderr.setFormatter(logging.Formatter("%(asctime)s " + process + " %(levelname)s %(message)s", "%H:%M:%S"))
    for handler in (to_file, to_stderr):
        setattr(handler, _INSTALLED, True)
        root.addHandler(handler)
    root.setLevel(logging.INFO)
    return Path(file.name)


def _next_attempt(folder: Path) -> IO[str]:
    found = [re.fullmatch(r"attempt_([0-9]{1,9})\.jsonl", path.name) for path in folder.iterdir()]
    attempt = max((int(match[1]) for match in found if match), default=0) + 1
    while True:
        try:
            return open(folder / f"attempt_{attempt}.jsonl", "x", encoding="utf-8", buffering=1)
        except FileExistsError:  # another process of this kind started at the same moment
            attempt += 1


class DroppingHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """Drops lines that cannot be written: a full disk must neither end the process nor flood its stderr."""

    def handleError(self, record: logging.LogRecord) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)

    def close(self) -> None:
        super().close()
        self.stream.close()


class _JsonFormatter(logging.Formatter):
    def __init__(self, run: str, process: str) -> None:
        super().__init__()
        self._context = {"run": run, "process": process, "pid": os.getpid()}

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time_s": record.created,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **self._context,
            **{key: value for key, value in vars(record).items() if key not in _PLAIN},
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)
