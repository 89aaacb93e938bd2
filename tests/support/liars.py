"""A broker in this process, and workers that answer as a test wants: honestly, wrongly, or not at all."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Iterator, Optional, Sequence
from unittest.mock import patch

import msgspec
import numpy as np
import zmq

from protocol.run.directory import RunDir
from protocol.tasks.scene import Camera, Pose
from protocol.tasks.task import Episode, Question, QuestionSpec, TaskSpec, View
from protocol.wire.client import Client
from protocol.wire.codec import ArraySink, Packet, decode, encode
from protocol.wire.endpoint import lookup
from protocol.wire.messages import Failure, GetSimStatus, Heartbeat, Ready, RenderTask, SimStatus, Welcome
from sim_server.service.broker import Broker
from sim_server.service.fleet import Fleet
from sim_server.service.workers import WORKER_SERVICE
from sim_server.settings import SimSettings

DIGEST = "toy-1"
CAMERA = Camera(16, 12)
POSE = Pose((1.0, 1.5, 2.0), (1.0, 0.0, 0.0, 0.0))
OPTIONS = ("chair", "table")

Frames = Sequence[Any]
Behaviour = Callable[["Worker", bytes, RenderTask], Optional[Frames]]  # None: no answer


def spec(number: int) -> TaskSpec:
    return TaskSpec(spec_id=f"s{number}", seq=number, question=QuestionSpec("depth_order", 0), camera=CAMERA)


def honest_episode(asked: TaskSpec) -> tuple[Episode, ArraySink]:
    """What every honest worker answers: a function of the spec."""
    sink = ArraySink()
    image = np.random.default_rng(asked.seq).integers(0, 256, (CAMERA.height_px, CAMERA.width_px, 3), np.uint8)
    view = View(POSE, asked.camera, sink.add(image))
    question = Question(
        skill=asked.question.skill,
        level=asked.question.level,
        text="which is nearer , the chair or the table ?",
        answer=OPTIONS[asked.seq % 2],
        answer_type="choice",
        program="name(object(1))",
        options=OPTIONS,
    )
    return Episode(asked.spec_id, (view,), question, "toy-3", DIGEST, render_s=time.monotonic()), sink


def honest(_worker: Worker, job_id: bytes, message: RenderTask) -> Frames:
    episode, sink = honest_episode(message.spec)
    return encode(job_id, episode, sink.blobs)


def altered(**changes: Any) -> Behaviour:
    """A worker whose episodes have these fields."""

    def answer(_worker: Worker, job_id: bytes, message: RenderTask) -> Frames:
        episode, sink = honest_episode(message.spec)
        episode = msgspec.structs.replace(episode, **changes)
        return encode(job_id, episode, sink.blobs if episode.views else ())

    return answer


def altered_question(**changes: Any) -> Behaviour:
    """A worker whose questions have these fields."""

    def answer(_worker: Worker, job_id: bytes, message: RenderTask) -> Frames:
        episode, sink = honest_episode(message.spec)
        question = msgspec.structs.replace(episode.question, **changes)
        return encode(job_id, msgspec.structs.replace(episode, question=question), sink.blobs)

    return answer


def shaped(*shape: int, dtype: Any = np.uint8) -> Behaviour:
    """A worker whose images have this shape."""

    def answer(_worker: Worker, job_id: bytes, message: RenderTask) -> Frames:
        sink = ArraySink()
        view = View(POSE, message.spec.camera, sink.add(np.zeros(shape, dtype)))
        episode, _ = honest_episode(message.spec)
        return encode(job_id, msgspec.structs.replace(episode, views=(view,)), sink.blobs)

    return answer


def replying(message: msgspec.Struct) -> Behaviour:
    """A worker that answers every request with this message."""
    return lambda _worker, job_id, _request: encode(job_id, message)


class Worker(threading.Thread):
    """A raw worker that joins a run under `name` and answers RENDER_TASK as `behaviour` says."""

    def __init__(self, run: Path, name: str, behaviour: Behaviour, digest: str = DIGEST, credit: int = 2) -> None:
        super().__init__(daemon=True)
        self.run_dir, self.worker_id, self.behaviour = run, name, behaviour
        self.ready = Ready(name, "toy", digest, credit)
        self.failures: list[Failure] = []
        self.jobs: list[bytes] = []
        self.joined = threading.Event()
        self.stopped = threading.Event()
        self.start()

    def run(self) -> None:
        with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
            socket.linger = 0
            socket.connect(lookup(self.run_dir, WORKER_SERVICE).address)
            socket.send_multipart(encode(b"", self.ready))
            while not self.stopped.is_set():
                if not socket.poll(50):
                    socket.send_multipart(encode(b"", Heartbeat()))
                    continue
                packet: Packet = decode(socket.recv_multipart())
                if isinstance(packet.message, Welcome):
                    self.joined.set()
                elif isinstance(packet.message, Failure):
                    self.failures.append(packet.message)
                elif isinstance(packet.message, RenderTask):
                    self.jobs.append(packet.request_id)
                    answer = self.behaviour(self, packet.request_id, packet.message)
                    if answer is not None:
                        socket.send_multipart(answer)


class Liars:
    """A run whose broker is served by a thread of this process."""

    def __init__(self, path: Path, **settings: Any) -> None:
        defaults = {"backend": "toy", "status_every_s": 0.05, "unsupported_after_s": 0.3}
        self.run = RunDir.create(path, {})
        self.fleet = Fleet(0, "toy", lambda _: [])
        self.broker = Broker(self.run, SimSettings(**{**defaults, **settings}), self.fleet)
        self.client = Client(lambda: lookup(path, "sim"), "test")
        self.workers: list[Worker] = []

    def join(self, name: str, behaviour: Behaviour = honest, **ready: Any) -> Worker:
        worker = Worker(self.run.path, name, behaviour, **ready)
        self.workers.append(worker)
        assert worker.joined.wait(10)
        return worker

    def ask(self, number: int, deadline_s: float = 20.0) -> Any:
        """A future of the answer to this spec."""
        return self.client.submit(RenderTask(spec(number)), deadline_s=deadline_s)

    def status(self) -> SimStatus:
        return self.client.request(GetSimStatus()).message

    def quarantined(self) -> dict[str, str]:
        return {one.worker_id: one.reason for one in self.status().quarantined_workers}


@contextmanager
def liars(path: Path, **settings: Any) -> Iterator[Liars]:
    made = Liars(path, **settings)
    stop = threading.Event()

    def serve() -> None:
        with patch("sim_server.service.broker.DRAIN_S", 0.2):
            made.broker.serve(stop)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield made
    finally:
        for worker in made.workers:
            worker.stopped.set()
        made.client.close()
        stop.set()
        thread.join()


def is_honest(packet: Packet, number: int) -> bool:
    """Whether this is the honest answer to the spec."""
    episode, sink = honest_episode(spec(number))
    found = packet.message
    same = msgspec.structs.replace(found, render_s=0.0) == msgspec.structs.replace(episode, render_s=0.0)
    return same and bytes(packet.blobs[0]) == bytes(sink.blobs[0])
