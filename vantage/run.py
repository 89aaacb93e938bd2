"""Read the records of a run, as dataclasses or as pandas data frames."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Union

from launch.report.records import (
    EpisodeRecord,
    Evaluation,
    Lease,
    Records,
    ReportBatch,
    SkillChange,
    StepRecord,
    read_episodes,
    split_cell,
)
from protocol.errors import VantageError
from protocol.run.directory import RunDir

if TYPE_CHECKING:
    import pandas


class Run:
    """A run directory, finished or not. Reading it never disturbs the processes that write it.

    Records are read when the run is opened; `refresh` adds the ones written since.
    """

    def __init__(self, run: RunDir) -> None:
        """Use `open_run`."""
        self._run = run
        self._records = Records(run)
        self.refresh()

    def refresh(self) -> Run:
        self._records.update()
        return self

    @property
    def name(self) -> str:
        return self._run.name

    @property
    def path(self) -> Path:
        return self._run.path

    @property
    def seed(self) -> int:
        return self._run.seed

    @property
    def config(self) -> dict[str, Any]:
        """The resolved configuration, with every default filled in."""
        return self._run.config

    @property
    def is_finished(self) -> bool:
        return self._run.read_done("learner") is not None

    @property
    def steps(self) -> list[StepRecord]:
        """Training steps, oldest first."""
        return self._records.steps

    @property
    def evaluations(self) -> list[Evaluation]:
        """Held-out evaluations, oldest first."""
        return self._records.evaluations

    @property
    def changes(self) -> list[SkillChange]:
        """Accuracy per skill before and after, with 95 % intervals; empty until the run has both evaluations."""
        return self._records.changes()

    @property
    def leases(self) -> list[Lease]:
        """Batches of specs that the curriculum issued, with its reasons, oldest first."""
        return self._records.leases

    @property
    def reports(self) -> list[ReportBatch]:
        """Batches of confidence reports that the curriculum counted, oldest first."""
        return self._records.reports

    @property
    def episodes(self) -> list[EpisodeRecord]:
        """Training questions with the policy's answers, oldest first; read from disk at every access."""
        return read_episodes(self._run)

    def frame(self, table: str) -> pandas.DataFrame:
        """A table of records as a data frame.

        "steps", "reports", "episodes" and "changes" have a row per record, "evaluations" a row per skill and level, and
        "leases" a row per cell. Raises VantageError("bad_request") for another table, and VantageError("unsupported")
        if pandas is not installed.
        """
        if table not in _ROWS:
            raise VantageError("bad_request", f"there is no table {table!r}; choose among {', '.join(_ROWS)}.")
        try:
            import pandas
        except ImportError:
            raise VantageError(
                "unsupported", "data frames need pandas: install it with pip install 'vantage-loop[pandas]'."
            ) from None
        return pandas.DataFrame(_ROWS[table](self))


def open_run(path: Union[str, os.PathLike[str]]) -> Run:
    """Open a run directory, such as "runs/demo".

    Raises VantageError: "bad_request" if there is no run, "version" for a run of another major version, "corrupt" for a
    damaged one.
    """
    return Run(RunDir.open(Path(path)))


Rows = list[dict[str, Any]]


def _step_rows(run: Run) -> Rows:
    rows = []
    for step in run.steps:
        row = asdict(step)
        row.update({f"seconds.{part}": seconds for part, seconds in row.pop("seconds").items()})
        rows.append(row)
    return rows


def _evaluation_rows(run: Run) -> Rows:
    return [
        {"step": one.step, "time_s": one.time_s, "label": one.label, **asdict(score)}
        for one in run.evaluations
        for score in one.scores
    ]


def _lease_rows(run: Run) -> Rows:
    rows = []
    for batch, lease in enumerate(run.leases, start=1):
        for cell, specs in lease.cells.items():
            skill, level = split_cell(cell)
            row = {"batch": batch, "time_s": lease.time_s, "cell": cell, "skill": skill, "level": level}
            rows.append({**row, "specs": specs, "success": lease.success.get(cell)})
    return rows


_ROWS: dict[str, Callable[[Run], Rows]] = {
    "steps": _step_rows,
    "evaluations": _evaluation_rows,
    "changes": lambda run: [asdict(change) for change in run.changes],
    "leases": _lease_rows,
    "reports": lambda run: [asdict(batch) for batch in run.reports],
    "episodes": lambda run: [asdict(episode) for episode in run.episodes],
}
