"""Workers that lie to a live run: each is left out by name, and no answer of theirs is trained on.

One run with an honest worker of its own trains throughout. One liar after the other joins it. It renders what it is
asked for with the real simulator, and alters its answer.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any, Callable, Optional, Sequence

import msgspec
import numpy as np

from benchmarks.chaos.live import LiveRun
from protocol.errors import VantageError
from protocol.run.directory import read_jsonl
from protocol.tasks.task import Episode, TaskSpec
from protocol.wire.client import Client
from protocol.wire.codec import ArraySink, Blob, encode
from protocol.wire.endpoint import lookup
from protocol.wire.messages import Busy, Done, Failure, GetSimStatus, RenderTask
from sim_server.service.core import SimCore
from sim_server.settings import SimSettings
from tests.support.liars import Worker

FOUND_S = 60.0  # for the broker to leave a liar out
Frames = Sequence[Blob]
Lie = Callable[[bytes, Episode, list[Blob]], Optional[Frames]]  # None: no answer


def liars(runs: Path) -> list[dict[str, Any]]:
    """Let every liar join one live run, then derive every episode that it trained on again. Returns a row per lie.

    Raises AssertionError if a liar stays, if an altered episode was trained on, or if a report is lost.
    """
    core = SimCore(SimSettings(backend="rooms"))
    sets = ["sim.verify_share=1.0", "sim.request_floor_s=3", "learner.budget.steps=100000"]
    live = LiveRun(runs, sets=sets)
    live.start()
    rows = []
    try:
        live.wait_until(lambda: live.step() >= 1)
        with Client(lambda: lookup(live.path, "sim"), "chaos") as client:
            for name, lie in LIES.items():
                rows.append({"lie": name, "outcome": _join(live, client, core, name, lie)})
                print(rows[-1], flush=True)
        trained = live.step()
        live.wait_until(lambda: live.step() > trained + 1)
        os.kill(live.pid_of("supervisor"), signal.SIGINT)
        live.wait(120.0)
        live.check_no_orphans()
        figures = live.check_reports()
    finally:
        live.kill_all()
    derived = _derive_again(live.path, core)
    return [*rows, {"lie": "none of them", "outcome": f"{derived} episodes derived again, all equal; {figures}"}]


def _join(live: LiveRun, client: Client, core: SimCore, name: str, lie: Lie) -> str:
    """What the broker says of this liar. Raises AssertionError if it is still at work after FOUND_S."""

    def behaviour(_worker: Worker, job_id: bytes, message: RenderTask) -> Optional[Frames]:
        try:
            episode, blobs = core.handle(message)
        except VantageError as error:
            return encode(job_id, Failure(error.code, error.message))
        assert isinstance(episode, Episode)
        return lie(job_id, episode, blobs)

    worker_id = name.replace(" ", "-")
    worker = Worker(live.path, worker_id, behaviour, core.backend.digest)
    try:
        end_s = time.monotonic() + FOUND_S
        while time.monotonic() < end_s:
            live.watch()
            status = client.request(GetSimStatus(), deadline_s=60.0).message
            reasons = {one.worker_id: one.reason for one in status.quarantined_workers}
            if worker_id in reasons:
                return reasons[worker_id]
            final = [failure.message for failure in worker.failures if not failure.retryable]
            if final:
                return final[0]
            time.sleep(0.05)
        raise AssertionError(f"the liar that answers with {name} is still at work: {status}")
    finally:
        worker.stopped.set()
        worker.join()


def _derive_again(run_path: Path, core: SimCore) -> int:
    """Realise the spec of every episode in the log again and compare. Returns how many there are."""
    lines, _ = read_jsonl(run_path / "episodes" / "episodes.jsonl")
    for line in lines:
        index = line["index"]
        episode, _ = core.handle(RenderTask(msgspec.convert(line["spec"], TaskSpec), questions=index + 1))
        assert isinstance(episode, Episode)
        question = (episode.question, *episode.others)[index]
        wanted = (question.answer, list(question.options), question.program)
        assert (line["truth"], line["options"], line["program"]) == wanted, line
    assert lines, "nothing was trained on"
    return len(lines)


# ----------------------------------------------------------------------------- the lies


def _episode(**changes: Any) -> Lie:
    return lambda job_id, episode, blobs: encode(job_id, msgspec.structs.replace(episode, **changes), blobs)


def _question(**changes: Any) -> Lie:
    def lie(job_id: bytes, episode: Episode, blobs: list[Blob]) -> Frames:
        question = msgspec.structs.replace(episode.question, **changes)
        return encode(job_id, msgspec.structs.replace(episode, question=question), blobs)

    return lie


def _images(alter: Callable[[np.ndarray], np.ndarray]) -> Lie:
    def lie(job_id: bytes, episode: Episode, blobs: list[Blob]) -> Frames:
        sink = ArraySink()
        views = []
        for view in episode.views:
            pixels = np.frombuffer(blobs[view.rgb.index], np.uint8).reshape(view.rgb.shape)
            views.append(msgspec.structs.replace(view, rgb=sink.add(alter(pixels))))
        return encode(job_id, msgspec.structs.replace(episode, views=tuple(views)), sink.blobs)

    return lie


def _wrong_truth(job_id: bytes, episode: Episode, blobs: list[Blob]) -> Frames:
    asked = episode.question
    other = next(option for option in (*asked.options, "left", "right") if option != asked.answer)
    return encode(
        job_id, msgspec.structs.replace(episode, question=msgspec.structs.replace(asked, answer=other)), blobs
    )


def _pose(job_id: bytes, episode: Episode, blobs: list[Blob]) -> Frames:
    pose = msgspec.structs.replace(episode.views[0].pose, position_m=(float("nan"), 0.0, 0.0))
    views = (msgspec.structs.replace(episode.views[0], pose=pose), *episode.views[1:])
    return encode(job_id, msgspec.structs.replace(episode, views=views), blobs)


def _version(job_id: bytes, episode: Episode, blobs: list[Blob]) -> Frames:
    first, *rest = encode(job_id, episode, blobs)
    return [bytes(first)[:-1] + b"\x09", *rest]


def _reply(message: msgspec.Struct) -> Lie:
    return lambda job_id, _episode, _blobs: encode(job_id, message)


LIES: dict[str, Lie] = {
    "noise instead of the image": _images(lambda pixels: np.random.default_rng().integers(0, 256, pixels.shape, "u1")),
    "an image turned upside down": _images(lambda pixels: np.ascontiguousarray(pixels[::-1])),
    "the wrong option as truth": _wrong_truth,
    "an image of another shape": _images(lambda pixels: np.ascontiguousarray(pixels[:-1])),
    "an image of 4096 x 4096": _images(lambda _: np.zeros((4096, 4096, 3), "u1")),
    "an image of floats": _images(lambda pixels: pixels.astype("f4")),
    "the id of another spec": _episode(spec_id="s00000000"),
    "another renderer digest": _episode(renderer_digest="better-1"),
    "no views": lambda job, episode, _: encode(job, msgspec.structs.replace(episode, views=())),
    "escape codes as scene": _episode(scene_id="\x1b[2J"),
    "another skill": _question(skill="object_count"),
    "an unknown skill": _question(skill="bogus"),
    "another level": _question(level=4),
    "an unknown answer type": _question(answer_type="essay"),
    "an answer that is no option": _question(options=("a", "b"), answer="c"),
    "the number 1e999999999": _question(answer_type="number", answer="1e999999999"),
    "an infinite margin": _question(margin=float("inf")),
    "a pose that is not a number": _pose,
    "a megabyte of text": _question(text="a" * 1_000_000),
    "an image token in the text": _question(text="what is <|image_pad|> this ?"),
    "HTML as text": _question(text="<script>alert(1)</script> what is this ?"),
    "another protocol version": _version,
    "noise frames": lambda _job, _episode, _blobs: [b"\x00\xff\x00", b"", b"\x07", b"\x93\x93"],
    "another message": _reply(Done()),
    "BUSY for ever": _reply(Busy(0.1)),
    "a fatal error": _reply(Failure("version", "update everything")),
    "nothing at all": lambda _job, _episode, _blobs: None,
}
