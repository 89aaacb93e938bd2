"""The loop of the proposer.

    ask the curriculum what is wanted ─▶ look at its scenes ─▶ write questions ─▶ let the simulator test them
                     ▲                                                                   │
                     └──────────── add what it accepted, and the refusals ◀──────────────┘

The curriculum repeats a request until it is answered, and takes one answer. A proposer that is killed at any moment
therefore loses no accepted question and adds none twice.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from concurrent.futures import Future
from typing import Callable, Optional, Protocol, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from proposer.composer.looks import Look
from proposer.composer.source import Composer
from proposer.llm.source import LanguageModel
from proposer.settings import ProposerSettings
from proposer.source import Draft, Source
from protocol.errors import VantageError
from protocol.run.config import section
from protocol.run.directory import RunDir
from protocol.run.stall import Stalls
from protocol.seeds import rng_for
from protocol.tasks.kinds import Kind
from protocol.tasks.scene import SceneSpec
from protocol.tasks.task import PROPOSED, Episode, QuestionSpec, TaskSpec
from protocol.wire.client import Client
from protocol.wire.codec import ArraySink, Packet
from protocol.wire.endpoint import lookup
from protocol.wire.messages import Annotate, Annotated, Describe, Description, Rejected, RenderTask
from protocol.wire.proposals import AddProposals, GetProposalRequest, ProposalRequest, ProposalsKept, Refusal

log = logging.getLogger(__name__)

NAME = "proposer"
IDLE_S = 1.0  # between two requests if nothing is wanted
RETRY_S = 2.0  # after a failure
TEST_DEADLINE_S = 300.0  # the first examination opens other scenes for comparison
_AT_ONCE = 8  # questions that the simulator examines at a time: the learner's requests go first
_FIRST_SEQ = 2**41  # proposals draw from sequence numbers that no other spec reaches
_PER_REQUEST = 1024  # sequence numbers of one request
_ANSWERED = "answers to proposal requests"


class Channel(Protocol):
    """A service: a client, or the logic of the service in the same process."""

    def request(self, message: msgspec.Struct, deadline_s: float = 30.0) -> Packet: ...

    def submit(self, message: msgspec.Struct, deadline_s: float = 30.0) -> Future[Packet]: ...


def serve(run: RunDir, stop: threading.Event) -> None:
    """Propose questions to the run's curriculum until `stop` is set.

    Raises VantageError: "bad_config" if the run has no source, "conflict" if another proposer works on the run.
    """
    settings = section(run.config, NAME, ProposerSettings)
    with run.lock(NAME):
        source = make_source(settings, stop.wait)
        with (
            Client(lambda: lookup(run.path, "sim"), NAME) as simulator,
            Client(lambda: lookup(run.path, "curriculum"), NAME) as curriculum,
        ):
            Proposer(run, settings, source, simulator, curriculum).run_until(stop)


def make_source(settings: ProposerSettings, wait: Callable[[float], bool]) -> Source:
    """The configured source; `wait(seconds)` sleeps and returns whether the process is to stop.

    Raises VantageError("bad_config") if there is none.
    """
    if settings.source == "composer":
        return Composer(settings.depth, settings.views)
    if settings.source == "llm":
        return LanguageModel(settings.llm, wait)
    raise VantageError("bad_config", 'proposer.source is "none"; set it to "composer" or "llm", or start no proposer.')


class Proposer:
    """Answers proposal requests, one after the other."""

    def __init__(
        self, run: RunDir, settings: ProposerSettings, source: Source, simulator: Channel, curriculum: Channel
    ) -> None:
        self._run, self._settings, self._source = run, settings, source
        self._simulator, self._curriculum = simulator, curriculum
        self._counts: Counter[str] = Counter()
        self._rejected: Counter[str] = Counter()
        self._stalls = Stalls(NAME)
        self._free_at = 0.0  # monotonic time from which the rate allows another question

    def run_until(self, stop: threading.Event) -> None:
        self._write_status("waiting for the curriculum")
        while not stop.is_set():
            try:
                answered = self.answer_one(stop)
            except VantageError as error:
                if not error.retryable and error.code not in ("timeout", "bad_reply"):
                    raise
                self._stalls.failed(_ANSWERED, error.message, "The request is repeated; see the logs of the services.")
                self._write_status("waiting for the services")
                stop.wait(RETRY_S)
                continue
            if not answered:
                self._write_status("nothing is wanted")
                stop.wait(IDLE_S)

    def answer_one(self, stop: threading.Event) -> bool:
        """Answer the current request; False if nothing is wanted. Raises VantageError as the services do."""
        request = self._curriculum.request(GetProposalRequest(NAME), deadline_s=60.0).message
        assert isinstance(request, ProposalRequest), request
        if not request.scenes:
            return False
        self._write_status("looking at scenes")
        looks = [look for number, scene in enumerate(request.scenes) for look in self._looks(request, scene, number)]
        self._write_status("writing questions")
        drafts = self._source.write(request, looks, rng_for(request.run_seed, "proposer", request.number))
        drafts = drafts[:_PER_REQUEST]
        specs = [_spec(request, number, draft) for number, draft in enumerate(drafts)]
        self._write_status("having questions examined")
        accepted, refusals = self._examined(specs, drafts, stop)
        if stop.is_set():
            return True
        self._add(request, drafts, accepted, refusals)
        return bool(drafts)

    # ------------------------------------------------------------------------- the simulator

    def _looks(self, request: ProposalRequest, scene: SceneSpec, number: int) -> list[Look]:
        """Views of a scene, alone and, if wanted, in pairs; none if the scene cannot be looked at."""
        seq = _FIRST_SEQ + request.number * _PER_REQUEST + number
        try:
            described = self._simulator.request(Describe(scene), deadline_s=TEST_DEADLINE_S).message
            annotate = Annotate(scene, request.camera, self._settings.looks, 0, (), request.run_seed, seq, ("rgb",))
            packet = self._simulator.request(annotate, deadline_s=TEST_DEADLINE_S)
        except VantageError as error:
            if error.code in ("infeasible", "unsupported"):
                return []
            raise
        annotated = packet.message
        assert isinstance(described, Description) and isinstance(annotated, Annotated)
        shows = self._settings.source == "llm" and self._settings.llm.image
        images = [png(packet.array(one.view.rgb)) if shows else b"" for one in annotated.views]
        views = [(one.view.pose, one.objects) for one in annotated.views]
        found = [Look.of(scene, request.camera, described.scene, [one], png) for one, png in zip(views, images)]
        if self._settings.views > 1:
            found += [Look.of(scene, request.camera, described.scene, list(pair)) for pair in zip(views, views[1:])]
        return found

    def _examined(
        self, specs: Sequence[TaskSpec], drafts: Sequence[Draft], stop: threading.Event
    ) -> tuple[list[TaskSpec], list[Refusal]]:
        """The specs that the simulator accepts, and the refusals of the others."""
        accepted: list[TaskSpec] = []
        refusals: list[Refusal] = []
        for first in range(0, len(specs), _AT_ONCE):
            portion = specs[first : first + _AT_ONCE]
            if self._wait_for_rate(len(portion), stop):
                break
            futures = [self._simulator.submit(RenderTask(one, examine=True), TEST_DEADLINE_S) for one in portion]
            for spec, draft, future in zip(portion, drafts[first:], futures):
                refusal = _refusal(draft, future)
                self._counts["examined"] += 1
                if refusal is None:
                    accepted.append(spec)
                else:
                    refusals.append(refusal)
                    self._rejected[refusal.code] += 1
        return accepted, refusals

    def _wait_for_rate(self, count: int, stop: threading.Event) -> bool:
        """Wait until the configured rate allows further questions; whether `stop` was set meanwhile."""
        now = time.monotonic()
        stopped = stop.wait(max(0.0, self._free_at - now))
        self._free_at = max(now, self._free_at) + count * 60.0 / self._settings.per_minute
        return stopped

    # ------------------------------------------------------------------------- the curriculum

    def _add(
        self, request: ProposalRequest, drafts: Sequence[Draft], accepted: Sequence[TaskSpec], refusals: list[Refusal]
    ) -> None:
        known = {status.kind.name for status in request.kinds}
        kinds: dict[str, Kind] = {draft.kind.name: draft.kind for draft in drafts if draft.kind.name not in known}
        message = AddProposals(tuple(accepted), request.number, tuple(kinds.values()), tuple(refusals))
        kept = self._curriculum.request(message, deadline_s=60.0).message
        assert isinstance(kept, ProposalsKept), kept
        self._stalls.progressed(_ANSWERED)
        self._counts.update(answered=1, accepted=len(kept.kept), new_kinds=len(kinds))
        log.info(
            "request %d: %d questions examined, %d accepted, %d new kinds",
            *(request.number, len(drafts), len(kept.kept), len(kinds)),
        )

    def _write_status(self, state: str) -> None:
        status = {
            "state": state,
            "source": self._settings.source,
            **self._counts,
            "rejected": dict(self._rejected),
            **self._source.figures,
            "stalls": self._stalls.reports(),
        }
        try:
            self._run.write_status(NAME, status)
        except VantageError as error:
            log.warning("%s", error.message)


def png(rgb: NDArray[np.uint8]) -> bytes:
    """An image uint8 [H, W, 3] as a PNG file."""
    sink = ArraySink()
    sink.add(rgb, "png")
    return bytes(sink.blobs[0])


def _spec(request: ProposalRequest, number: int, draft: Draft) -> TaskSpec:
    return TaskSpec(
        spec_id=f"p{request.number}-{number}",
        run_seed=request.run_seed,
        seq=_FIRST_SEQ + request.number * _PER_REQUEST + number,
        scene=draft.look.spec,
        question=QuestionSpec(PROPOSED),
        camera=draft.look.camera,
        max_views=max(1, len(draft.proposal.poses)),
        proposal=draft.proposal,
    )


def _refusal(draft: Draft, future: Future[Packet]) -> Optional[Refusal]:
    """Why the simulator does not accept a question; None if it does. Raises a failure of the service."""
    try:
        reply = future.result().message
    except VantageError as error:
        if error.code not in ("infeasible", "unsupported", "bad_request", "poison"):
            raise
        return Refusal(draft.kind.name, error.code, draft.proposal.text[:400], error.message[:400])
    if isinstance(reply, Rejected):
        first = reply.rejections[0]
        return Refusal(draft.kind.name, first.code, draft.proposal.text[:400], first.message[:400])
    assert isinstance(reply, Episode), reply
    return None
