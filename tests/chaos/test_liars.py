"""Workers that lie: none of their answers reaches a client, they are left out by name, and the run goes on."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import numpy as np
import pytest

from protocol.errors import VantageError
from protocol.run.stall import stalls_in
from protocol.tasks.task import View
from protocol.wire.codec import encode
from protocol.wire.messages import Busy, Done, Failure, Loading, SpecBatch
from tests.support.liars import (
    OPTIONS,
    POSE,
    Worker,
    altered,
    altered_question,
    honest,
    honest_episode,
    is_honest,
    liars,
    replying,
    shaped,
)
from tests.support.wire import wait_for

pytestmark = pytest.mark.timeout(60)


def _version(worker: Worker, job_id: bytes, message: Any) -> list[Any]:
    frames = list(honest(worker, job_id, message))
    return [b"VNTG\x02", *frames[1:]]


def _noise(_worker: Worker, _job_id: bytes, _message: Any) -> list[Any]:
    return [b"\x00\xff" * 3, b"", b"\x07", b"\x93\x93"]


def _nan_pose(_worker: Worker, job_id: bytes, message: Any) -> list[Any]:
    episode, sink = honest_episode(message.spec)
    pose = msgspec.structs.replace(POSE, position_m=(float("nan"), 0.0, 0.0))
    view = msgspec.structs.replace(episode.views[0], pose=pose)
    return encode(job_id, msgspec.structs.replace(episode, views=(view,)), sink.blobs)


def _unknown_kind(worker: Worker, job_id: bytes, message: Any) -> list[Any]:
    frames = list(honest(worker, job_id, message))
    return [frames[0], b"ESSAY", *frames[2:]]


def _false_file(_worker: Worker, job_id: bytes, message: Any) -> list[Any]:
    episode, sink = honest_episode(message.spec)
    ref = msgspec.structs.replace(episode.views[0].rgb, codec="png")
    view = View(POSE, message.spec.camera, ref)
    return encode(job_id, msgspec.structs.replace(episode, views=(view,)), sink.blobs)


LIARS = {
    "another spec": altered(spec_id="s99"),
    "another digest": altered(renderer_digest="better-1"),
    "no views": altered(views=()),
    "escape codes": altered(scene_id="\x1b]0;owned\x07"),
    "another skill": altered_question(skill="view_direction"),
    "an unknown skill": altered_question(skill="bogus"),
    "another level": altered_question(level=3),
    "an unknown answer type": altered_question(answer_type="essay"),
    "an answer that is no option": altered_question(answer="bed"),
    "a number without end": altered_question(answer_type="number", answer="1e999999999"),
    "a megabyte of text": altered_question(text="a" * 1_000_000),
    "an image token": altered_question(text="<|image_pad|> which is nearer ?"),
    "an infinite margin": altered_question(margin=float("inf")),
    "a pose that is not a number": _nan_pose,
    "an image of another shape": shaped(8, 8, 3),
    "a huge image": shaped(4096, 4096, 3),
    "an image of floats": shaped(12, 16, 3, dtype=np.float32),
    "a file that is no image": _false_file,
    "another version": _version,
    "noise": _noise,
    "an unknown kind": _unknown_kind,
    "another answer": replying(Done()),
    "specs": replying(SpecBatch(())),
    "BUSY": replying(Busy(0.1)),
    "a fatal error": replying(Failure("version", "update everything")),
    "a missing backend": replying(Failure("backend_missing", "install it")),
}


@pytest.mark.parametrize("kind", sorted(LIARS))
def test_a_liar_is_quarantined_and_its_job_done_by_another(kind, tmp_path):
    with liars(tmp_path / "run") as run:
        liar = run.join("liar", LIARS[kind])
        future = run.ask(3)
        wait_for(lambda: run.quarantined(), within_s=10)
        assert not future.done()
        run.join("honest")
        assert is_honest(future.result(10), 3)
        wait_for(lambda: liar.failures)
        (reason,) = run.quarantined().values()
        assert reason.isprintable() and len(reason) < 500
        assert not liar.failures[0].retryable and "join under another id" in liar.failures[0].message
        assert [worker.worker_id for worker in run.status().workers] == ["honest"]
        again = Worker(run.run.path, "liar", honest)  # it may not come back under its name
        run.workers.append(again)
        wait_for(lambda: again.failures)
        assert not again.joined.is_set()


def test_answers_to_the_jobs_of_another_worker_are_not_accepted(tmp_path):
    with liars(tmp_path / "run") as run:
        honest_worker = run.join("honest", lambda worker, job_id, message: None, credit=1)  # takes its time
        futures = [run.ask(1), run.ask(2)]
        wait_for(lambda: len(honest_worker.jobs) == 1)

        def foreign(_worker: Worker, job_id: bytes, message: Any):
            episode, sink = honest_episode(message.spec)
            return encode(honest_worker.jobs[0], episode, sink.blobs)

        run.join("thief", foreign, credit=1)
        wait_for(lambda: "thief" in run.quarantined())
        assert "not given" in run.quarantined()["thief"]
        assert not any(future.done() for future in futures)


def test_a_request_that_no_worker_answers_properly_fails_by_name(tmp_path):
    with liars(tmp_path / "run") as run:
        for name in ("a", "b", "c", "d"):
            run.join(name, LIARS["no views"])
        with pytest.raises(VantageError, match="do not fit this request") as caught:
            run.ask(1).result(20)
        assert caught.value.code == "bad_reply"


def test_a_worker_that_only_fails_is_left_out(tmp_path):
    with liars(tmp_path / "run") as run:
        run.join("broken", replying(Failure("internal", "oh no")))
        for number in range(8):
            with pytest.raises(VantageError, match="oh no"):
                run.ask(number).result(10)
        wait_for(lambda: "broken" in run.quarantined())
        assert "8 requests in a row" in run.quarantined()["broken"]


def test_a_run_without_a_usable_worker_says_so(tmp_path):
    with liars(tmp_path / "run") as run:
        for name in ("a", "b", "c"):
            run.join(name, LIARS["no views"])
            run.ask(ord(name))
            wait_for(lambda name=name: name in run.quarantined())
        (sentence,) = run.status().stalls
        assert "no answers from a simulator worker since" in sentence and "quarantined" in sentence
        assert "sim-server status" in sentence
        wait_for(lambda: (run.run.read_status("sim") or {}).get("stalls"))
        assert [stall.sentence for stall in stalls_in(run.run.read_status("sim"))] == [sentence]
        run.join("honest")
        wait_for(lambda: not run.status().stalls)


class TestHangs:
    def test_a_request_that_hangs_is_given_to_another_worker_after_what_such_requests_cost(self, tmp_path):
        with liars(tmp_path / "run", request_floor_s=0.3) as run:
            run.join("honest")
            run.ask(1).result(10)  # measured
            run.workers[0].stopped.set()
            wait_for(lambda: not run.status().workers)
            hung = run.join("hung", lambda *_: None)
            start_s = time.monotonic()
            future = run.ask(2)
            wait_for(lambda: hung.jobs)
            wait_for(lambda: hung.failures)
            assert time.monotonic() - start_s < 10
            assert "took longer" in hung.failures[0].message and not hung.failures[0].retryable
            run.join("other")
            assert is_honest(future.result(10), 2)

    def test_a_load_that_was_announced_does_not_count(self, tmp_path):
        def slow(worker: Worker, job_id: bytes, message: Any):
            return encode(job_id, Loading(30.0)) if len(worker.jobs) == 1 else honest(worker, job_id, message)

        with liars(tmp_path / "run", request_floor_s=0.1) as run:
            loading = run.join("loading", slow)
            run.ask(1)
            time.sleep(1.5)
            assert [worker.worker_id for worker in run.status().workers] == ["loading"] and not loading.failures

    def test_a_worker_that_hangs_again_and_again_is_quarantined(self, tmp_path):
        with liars(tmp_path / "run", request_floor_s=0.05, deaths_to_quarantine=9) as run:
            run.ask(1)
            for _ in range(3):
                hung = run.join("hung", lambda *_: None)
                wait_for(lambda hung=hung: hung.failures)
                hung.stopped.set()
                hung.join()
            wait_for(lambda: "hung" in run.quarantined())


class TestVerification:
    def wrong(self, _worker: Worker, job_id: bytes, message: Any):
        episode, sink = honest_episode(message.spec)
        question = msgspec.structs.replace(episode.question, answer=OPTIONS[1 - message.spec.seq % 2])
        return encode(job_id, msgspec.structs.replace(episode, question=question), sink.blobs)

    def noise_image(self, _worker: Worker, job_id: bytes, message: Any):
        episode, sink = honest_episode(message.spec)
        noise = np.random.default_rng().integers(0, 256, len(sink.blobs[0]), np.uint8)
        return encode(job_id, episode, [noise.tobytes()])

    def rounded(self, _worker: Worker, job_id: bytes, message: Any):
        """Another processor: a few values differ by one level."""
        episode, sink = honest_episode(message.spec)
        pixels = np.frombuffer(sink.blobs[0], np.uint8).copy()
        pixels[::7] ^= 1
        return encode(job_id, episode, [pixels.tobytes()])

    @pytest.mark.parametrize("lie", ["wrong", "noise_image"])
    def test_a_third_worker_decides(self, lie, tmp_path):
        with liars(tmp_path / "run", verify_share=1.0) as run:
            run.join("liar", getattr(self, lie), credit=1)
            run.join("honest-1", credit=1)
            run.join("honest-2", credit=1)
            for number in range(6):
                assert is_honest(run.ask(number).result(20), number)
            assert set(run.quarantined()) == {"liar"}
            assert "differs from that of another worker" in run.quarantined()["liar"]
            assert run.status().verified == 6

    def test_honest_workers_agree_and_each_answer_is_computed_twice(self, tmp_path):
        with liars(tmp_path / "run", verify_share=1.0) as run:
            pair = [run.join("one"), run.join("two", self.rounded)]
            for number in range(5):
                run.ask(number).result(20)
            assert [len(worker.jobs) for worker in pair] == [5, 5]
            assert not run.quarantined() and run.status().verified == 5

    def test_without_a_judge_neither_answer_is_used(self, tmp_path, caplog):
        with liars(tmp_path / "run", verify_share=1.0) as run:
            run.join("liar", self.wrong)
            run.join("honest")
            with pytest.raises(VantageError, match="neither answer is used"):
                run.ask(1).result(20)
            assert not run.quarantined()
        assert "neither answer is used" in caplog.text

    def test_the_brokers_own_worker_decides_between_two(self, tmp_path, monkeypatch):
        with liars(tmp_path / "run", verify_share=1.0) as run:
            monkeypatch.setattr(type(run.fleet), "worker_ids", property(lambda _: ["own"]))
            run.join("liar", self.wrong)
            run.join("own")
            assert is_honest(run.ask(1).result(20), 1)
            assert set(run.quarantined()) == {"liar"}

    def test_one_worker_alone_is_not_verified_and_the_log_says_so_once(self, tmp_path, caplog):
        caplog.set_level("INFO")
        with liars(tmp_path / "run", verify_share=1.0) as run:
            run.join("alone")
            run.join("different", digest="other-1").stopped.set()
            assert all(run.ask(number).result(20) for number in range(3))
        assert caplog.text.count("no second worker has this renderer digest") == 1

    def test_held_answers_of_a_quarantined_worker_are_not_used(self, tmp_path):
        def first_good_then_bad(worker: Worker, job_id: bytes, message: Any):
            behaviour = self.wrong if len(worker.jobs) == 1 else LIARS["no views"]
            return behaviour(worker, job_id, message)

        with liars(tmp_path / "run", verify_share=1.0) as run:
            slow = run.join("slow", lambda *_: None, credit=1)
            wait_for(lambda: len(run.status().workers) == 1)
            occupied = run.ask(0)
            wait_for(lambda: slow.jobs)
            run.join("liar", first_good_then_bad, credit=1)
            held = run.ask(1)  # answered by the liar, held until the slow worker is free
            other = run.ask(2)
            wait_for(lambda: "liar" in run.quarantined())
            run.join("honest", credit=1)
            run.join("honest-2", credit=1)
            assert is_honest(held.result(20), 1) and is_honest(other.result(20), 2)
            assert not occupied.done()


def test_a_name_in_use_is_not_taken_over(tmp_path):
    with liars(tmp_path / "run") as run:
        first = run.join("toy-0.1")
        second = Worker(run.run.path, "toy-0.1", honest)
        run.workers.append(second)
        wait_for(lambda: second.failures)
        assert "another worker toy-0.1 is connected" in second.failures[0].message and second.failures[0].retryable
        assert is_honest(run.ask(1).result(10), 1)
        assert len(first.jobs) == 1 and not second.jobs


@pytest.mark.parametrize("name", ["w[/bold]x", "\x1b[31mred", "a b", ""])
def test_a_worker_id_that_is_no_name_is_refused(name, tmp_path):
    with liars(tmp_path / "run") as run:
        worker = Worker(run.run.path, name, honest)
        run.workers.append(worker)
        wait_for(lambda: worker.failures)
        assert worker.failures[0].code == "bad_request" and worker.failures[0].message.isprintable()


def test_a_liar_that_connected_again_is_left_out_too(tmp_path):
    """It is found out by an answer that it gave over an earlier connection."""
    with liars(tmp_path / "run", verify_share=1.0) as run:
        liar = run.join("liar", TestVerification().wrong, credit=1)
        slow = run.join("slow", lambda *_: None, credit=1)
        future = run.ask(1)
        wait_for(lambda: liar.jobs)
        liar.stopped.set()
        liar.join()
        again = run.join("liar", honest, credit=1)
        run.join("honest-1", credit=1)
        run.join("honest-2", credit=1)
        slow.stopped.set()
        assert is_honest(future.result(30), 1)
        wait_for(lambda: "liar" in run.quarantined())
        wait_for(lambda: "liar" not in [worker.worker_id for worker in run.status().workers])
        assert again.joined.is_set()


def test_a_held_answer_is_used_if_its_verifier_leaves_late(tmp_path):
    with liars(tmp_path / "run", verify_share=1.0, unsupported_after_s=0.2) as run:
        other = run.join("other", lambda *_: None, credit=1)
        busy = run.ask(1)
        wait_for(lambda: other.jobs)
        run.join("first", credit=1)
        held = run.ask(2)
        time.sleep(1.0)
        assert not held.done()
        other.stopped.set()
        assert is_honest(held.result(20), 2) and is_honest(busy.result(20), 1)
