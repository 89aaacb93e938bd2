"""A pool of questions for a trainer outside of Vantage: simulator workers are started or joined.

    ask()       curriculum ─▶ leases ─▶ simulator ─▶ OpenQuestion ─▶ the trainer's policy
                curriculum ◀─ reports ◀─ answer files of the trainer's processes (vantage/envs/answers.py)
    split()     specs of a configuration ─▶ simulator ─▶ OpenQuestion, scored and not reported

A thread leases and renders ahead, collects answers and reports them, so that the trainer never waits for the services.
A lease whose question is never answered expires in the curriculum, which asks the question again.
"""

from __future__ import annotations

import atexit
import os
import queue
import shutil
import tempfile
import threading
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Iterator, NamedTuple, Optional, Sequence, Union

from launch.settings import resolve
from launch.supervise import open_or_create
from learner.settings import StreamSettings
from learner.stream.episodes import Task, TaskStream, stop_requested
from learner.stream.outbox import Outbox, ReportSender
from protocol.errors import VantageError
from protocol.run.directory import RunDir
from protocol.run.stall import Stalls
from protocol.wire.client import Client
from protocol.wire.endpoint import lookup
from protocol.wire.messages import ConfidenceReport, CurriculumStatus, GetCurriculumStatus
from vantage.config_files import DEFAULT, config_path
from vantage.envs.answers import FOLDER, Answers, left_behind, report_of
from vantage.envs.questions import OpenQuestion, open_question
from vantage.envs.services import Services
from vantage.envs.split import Split
from vantage.question import Config

_MEMBER = "VANTAGE_POOL"  # in the environment of a trainer's processes: the run whose pool the trainer has
_NEVER = 2**31  # steps: a lease ends by time, not by training steps
_POLL_S = 0.2
_CLOSE_S = 20.0  # to report the last answers
_MARGIN = 0.9  # fraction of a lease after which its question is reported with the answers that it has


class _Open(NamedTuple):
    """A question that was handed out, and the time (monotonic) at which it is closed."""

    task: Task
    until: float


class Pool:
    """The questions of one run. Thread-safe; use it as a context manager, or call `close`."""

    def __init__(
        self, run: RunDir, services: Services, samples: int, ahead: int, lease_s: float, temporary: Optional[Path]
    ) -> None:
        """Use `open_pool`. The pool closes `services` and deletes the folder `temporary`."""
        self.run = run
        self.path = run.path
        self.step = 0  # training step: set it, so that the curriculum knows how old its evidence is
        self._services = services
        self._samples = samples
        self._ahead = ahead
        self._lease_s = lease_s
        self._temporary = temporary
        self._stop = threading.Event()
        self._guard = threading.RLock()
        self._pid = os.getpid()
        self._closing = ExitStack()
        self._simulator = self._closing.enter_context(Client(partial(lookup, self.path, "sim"), "trainer"))
        self._curriculum: Optional[Client] = None
        self._thread: Optional[threading.Thread] = None
        self._ready: queue.Queue[Task] = queue.Queue(maxsize=ahead)
        self._open: dict[str, _Open] = {}  # by lease id
        self._failure: Optional[BaseException] = None
        self._stalls = Stalls("trainer")
        self._name = f"{os.getpid()}-{os.urandom(4).hex()}"
        self._folder = self.path / FOLDER / self._name
        atexit.register(self.close)

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------------------- questions

    def ask(self, timeout_s: float = 300.0) -> OpenQuestion:
        """The next question of the curriculum, for `samples` answers.

        Raises VantageError: "conflict" if another trainer works on this run, "busy" if very many questions wait for
        answers, "timeout" if none is rendered within `timeout_s`, and errors of the services that a retry cannot fix.
        """
        self._check_process()
        self._start()
        most = 8 * self._ahead
        if len(self._open) >= most:
            raise VantageError(
                "busy",
                f"{len(self._open)} questions of run {self.run.name} wait for answers; answer them before asking for "
                "more, and turn off shuffling in the trainer, which collects questions before it asks the first one.",
            )
        end = time.monotonic() + timeout_s
        while True:
            self._raise_failure()
            try:
                task = self._ready.get(timeout=_POLL_S)
                break
            except queue.Empty:
                if time.monotonic() > end:
                    reasons = [stall.sentence for stall in self._stalls.current] or [f"see {self.run.logs}."]
                    raise VantageError(
                        "timeout", f"run {self.run.name} has no question after {timeout_s:g} s: {reasons[0]}"
                    ) from None
        assert task.leased is not None
        with self._guard:
            self._open[task.leased.lease_id] = _Open(task, time.monotonic() + _MARGIN * self._lease_s)
        return open_question(self.path, task, self._name)

    def questions(self) -> Iterator[OpenQuestion]:
        """The questions of the curriculum, without end."""
        while True:
            yield self.ask()

    def split(self, split: str = "held-out", n: Optional[int] = None, seed: int = 0) -> Iterator[OpenQuestion]:
        """The first `n` questions of a split, "train" or "held-out", or all without end; they are not reported.

        The two splits never share a scene. Equal arguments give equal questions; infeasible specs are left out.
        Raises VantageError as `open_split` does, and errors of the simulator.
        """
        return self.open_split(split, seed).questions(n)

    def open_split(self, split: str = "held-out", seed: int = 0) -> Split:
        """A split, whose questions have numbers. Raises VantageError("bad_request") for an unknown split."""
        self._check_process()
        return Split(self.run, self._simulator, split, seed, self._ahead)

    def status(self) -> CurriculumStatus:
        """What the curriculum asked, what it knows, and what it asks next."""
        self._start()
        assert self._curriculum is not None
        return self._curriculum.request(GetCurriculumStatus()).message

    @property
    def waiting(self) -> int:
        """The number of questions that were asked and are not reported."""
        return len(self._open)

    def close(self) -> None:
        """Report the answers that there are, end what was started, and free the run; idempotent."""
        atexit.unregister(self.close)
        if os.getpid() != self._pid:
            return
        self._stop.set()
        if self._thread is not None:
            self._thread.join(_CLOSE_S)
            self._thread = None
        self._closing.close()
        self._services.close()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary = None

    # ------------------------------------------------------------------------- the thread

    def _start(self) -> None:
        """Become the trainer of the run, once."""
        with self._guard:
            if self._stop.is_set():
                raise VantageError("bad_request", "this pool is closed; open another one.")
            if self._thread is not None:
                return
            earlier = {}
            if os.environ.get(_MEMBER) != str(self.path):  # else another process of this trainer has the lock
                self._closing.enter_context(self.run.lock("learner"))
                os.environ[_MEMBER] = str(self.path)
                self._closing.callback(os.environ.pop, _MEMBER, None)
                earlier = left_behind(self.path)
            self._curriculum = self._closing.enter_context(Client(partial(lookup, self.path, "curriculum"), "trainer"))
            self._outbox = Outbox(self._folder / "outbox")
            self._closing.callback(self._outbox.close)
            for folder, reports in earlier.items():
                self._outbox.add(reports)
                shutil.rmtree(folder, ignore_errors=True)
            self._sender = ReportSender(self._outbox, self._curriculum, self._stalls)
            self._answers = Answers(self._folder)
            self._stream = TaskStream(
                self._curriculum,
                self._simulator,
                StreamSettings(
                    ahead=self._ahead, in_flight=self._ahead, lease_s=self._lease_s, max_staleness_steps=_NEVER
                ),
                f"trainer-{self._name}",
                self._report_failure,
                self._stop,
                self._stalls,
                self._waiting,
            )
            self._thread = threading.Thread(target=self._work, name="vantage-pool", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        try:
            while not self._stop.is_set():
                self._report()
                if self._ready.full():
                    self._stream.pump(self.step)
                    self._stop.wait(_POLL_S)
                else:
                    self._ready.put(self._stream.take(1, self.step)[0])
        except BaseException as error:
            if not (self._stop.is_set() and isinstance(error, VantageError) and error.code == stop_requested().code):
                self._failure = error
        if self._failure is None:
            self._finish()

    def _waiting(self, _: str) -> None:
        """Called while the stream waits."""
        self._services.check()
        self._report()

    def _report(self, all_open: bool = False) -> None:
        """Report every question that has all its answers, or whose lease ends soon; with `all_open`, all of them."""
        changed = self._answers.read()
        now = time.monotonic()
        with self._guard:
            late = [lease for lease, one in self._open.items() if all_open or one.until < now]
            full = [lease for lease in changed if len(self._answers.groups[lease]) >= self._samples]
            closing = [lease for lease in dict.fromkeys(full + late) if self._open.pop(lease, None) is not None]
        reports = [report_of(answers) for lease in closing if (answers := self._answers.take(lease))]
        for lease in [lease for lease in changed if lease not in self._open]:
            self._answers.take(lease)  # answers after the report
        if reports:
            self._outbox.add(reports)
        self._sender.pump()

    def _finish(self) -> None:
        """Report all open questions that have answers; what the curriculum does not count in time stays on disk."""
        try:
            self._report(all_open=True)
            end = time.monotonic() + _CLOSE_S / 2
            while len(self._outbox) and time.monotonic() < end:
                self._sender.pump()
                time.sleep(_POLL_S / 4)
            if not len(self._outbox):
                shutil.rmtree(self._folder, ignore_errors=True)
        except VantageError as error:
            self._failure = error

    def _report_failure(self, report: ConfidenceReport) -> None:
        self._outbox.add([report])

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._stop.is_set():
            raise VantageError("bad_request", "this pool is closed; open another one.")

    def _check_process(self) -> None:
        if os.getpid() != self._pid:
            raise VantageError(
                "bad_request", "a pool does not survive a fork; open one in the process that asks the questions."
            )


def open_pool(
    config: Union[Config, Sequence[Config], None] = None,
    run: Union[str, os.PathLike[str], None] = None,
    *,
    sets: Sequence[str] = (),
    samples: int = 1,
    ahead: int = 64,
    lease_s: float = 1800.0,
    wait_s: float = 180.0,
) -> Pool:
    """Open the questions of a run, which is created from `config` if it does not exist.

    `config`: the name of a shipped configuration or a path, or several, of which later ones override earlier ones;
    default: the run's own, or "demo". `run`: the run directory; without it, a temporary one that `close` deletes.
    `sets`: settings such as "curriculum.world.width_px=256". If no process serves the run, its simulator and
    curriculum are started, and ended by `close`.

    `samples`: answers to each question that make one report. `ahead`: questions leased or rendered ahead. `lease_s`:
    time in which a question must be answered, after which the curriculum asks it again. `wait_s`: time for the first
    simulator worker to join.

    Raises VantageError: "bad_config" for a wrong configuration or one that differs from the run's, "unavailable" if no
    worker serves the run, and as RunDir does.
    """
    if samples < 1:
        raise VantageError("bad_request", f"a question needs at least one answer: samples is {samples}.")
    temporary = Path(tempfile.mkdtemp(prefix="vantage-")) if run is None else None
    path = (temporary / "run") if run is None and temporary is not None else Path(run or "").absolute()
    services = None
    try:
        opened = _open_run(config, path, sets)
        services = Services(opened)
        services.wait(wait_s)
        return Pool(opened, services, samples, ahead, lease_s, temporary)
    except BaseException:
        if services is not None:
            services.close()
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
        raise


def _open_run(config: Union[Config, Sequence[Config], None], path: Path, sets: Sequence[str]) -> RunDir:
    if config is None and (path / "run.json").exists():
        if sets:
            raise VantageError("bad_config", f"run {path.name} has a configuration already; leave out sets.")
        return RunDir.open(path)
    chosen = [DEFAULT] if config is None else [config] if isinstance(config, (str, os.PathLike)) else list(config)
    given, resolved = resolve([config_path(one) for one in chosen], list(sets), path.name)
    return open_or_create(path.parent, given, resolved)[0]
