"""The simulator service as real processes: what a run survives, and what it says when it cannot go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable

import pytest
import zmq

from protocol.client import Client
from protocol.codec import MAX_FRAME_BYTES, encode
from protocol.endpoint import lookup
from protocol.errors import VantageError
from protocol.messages import (
    Describe,
    DrainWorker,
    GetSimStatus,
    Goodbye,
    Hello,
    Loading,
    Observe,
    Ready,
    RenderTask,
    SimStatus,
)
from protocol.rundir import RunDir
from protocol.scene import Camera, Pose, SceneSpec
from protocol.tasks import QuestionSpec, TaskSpec
from sim_server.core import SimCore
from sim_server.settings import SimSettings

pytestmark = pytest.mark.timeout(120)

ROOT = Path(__file__).parents[2]
POSE = Pose((2.0, 1.5, 2.0), (1.0, 0.0, 0.0, 0.0))
DEADLY_M, SLOW_RENDER_M, SLOW_OPEN_M = 2.5, 3.0, 3.5  # what tests/support/vantage_toy.py does at these ceilings
QUICK = {"backend": "toy", "restart_backoff_s": 0.05, "status_every_s": 0.1}


class Sim:
    """A run with the toy simulator, and the processes that serve it."""

    def __init__(self, path: Path, **settings: Any) -> None:
        self.path = path / "run"
        RunDir.create(self.path, {"sim": {**QUICK, **settings}})
        self.environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests" / "support"))),
            "TOY_RENDER_S": "1.0",
            "TOY_OPEN_S": "4",
            "TOY_DEATHS": "0",
            "TOY_STATE": str(path / "deaths"),
        }
        self.processes: list[subprocess.Popen[str]] = []
        self.client = Client(lambda: lookup(self.path, "sim"), "test")

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "sim_server.cli", *arguments, str(self.path)]
        process = subprocess.Popen(command, env=self.environment, stderr=subprocess.PIPE, text=True)
        self.processes.append(process)
        return process

    def serve(self, workers: int = 1) -> subprocess.Popen[str]:
        process = self.start("serve", "--workers", str(workers))
        self.await_workers(workers)
        return process

    def status(self) -> SimStatus:
        return self.client.request(GetSimStatus(), deadline_s=60.0).message

    def await_workers(self, count: int) -> None:
        wait_for(lambda: len(self.status().workers) == count, timeout_s=60.0)

    def observe(self, seed: int, ceiling_m: float = 2.6, deadline_s: float = 60.0):
        """A future of the view of an own scene."""
        message = Observe(SceneSpec(seed=seed, ceiling_m=ceiling_m), Camera(32, 24), POSE)
        return self.client.submit(message, deadline_s=deadline_s)

    def close(self) -> None:
        self.client.close()
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            process.communicate(timeout=60)


@pytest.fixture
def make_sim(tmp_path):
    made: list[Sim] = []

    def make(**settings: Any) -> Sim:
        made.append(Sim(tmp_path, **settings))
        return made[-1]

    yield make
    for sim in made:
        sim.close()


@pytest.fixture(scope="module")
def calm_sim(tmp_path_factory):
    """One service for the tests that leave it as they find it."""
    sim = Sim(tmp_path_factory.mktemp("calm"))
    sim.serve()
    yield sim
    sim.close()


def wait_for(condition: Callable[[], Any], timeout_s: float = 20.0) -> None:
    end_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end_s, "it did not happen in time"
        time.sleep(0.05)


def children(process: subprocess.Popen[str]) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def grey(packet) -> int:
    array = packet.array(packet.message.view.rgb)
    assert array.shape == (24, 32, 3) and array.min() == array.max()
    return int(array[0, 0, 0])


def expected_grey(seed: int) -> int:
    return int(seed + 50 * sum(POSE.position_m)) % 256


def test_a_worker_killed_in_the_middle_of_a_render_is_replaced_and_the_client_gets_its_answer(make_sim):
    sim = make_sim()
    broker = sim.serve()
    future = sim.observe(7, SLOW_RENDER_M)
    wait_for(lambda: sim.status().workers and sim.status().workers[0].in_flight == 1)
    (pid,) = children(broker)
    os.kill(pid, signal.SIGKILL)
    assert grey(future.result(60)) == expected_grey(7)
    status = sim.status()
    assert (status.redispatched, status.served) == (1, 1)


def test_a_broker_killed_takes_its_workers_along_and_clients_find_the_next_one(make_sim):
    sim = make_sim()
    broker = sim.serve()
    (pid,) = children(broker)
    future = sim.observe(7, SLOW_RENDER_M)
    wait_for(lambda: sim.status().workers[0].in_flight == 1)
    broker.kill()
    wait_for(lambda: not alive(pid), timeout_s=3.0)
    sim.start("serve")
    assert grey(future.result(60)) == expected_grey(7)


def test_a_stalled_worker_is_noticed_within_three_seconds(make_sim):
    sim = make_sim()
    broker = sim.serve(workers=2)
    sim.observe(7).result(60)  # the scene is open: a worker that is loading one may be silent for longer
    future = sim.observe(7, SLOW_RENDER_M)
    wait_for(lambda: any(worker.in_flight for worker in sim.status().workers))
    (busy,) = [worker.worker_id for worker in sim.status().workers if worker.in_flight]
    (pid,) = [pid for pid in children(broker) if busy in Path(f"/proc/{pid}/cmdline").read_text().split("\0")]
    os.kill(pid, signal.SIGSTOP)
    stopped_s = time.monotonic()
    wait_for(lambda: busy not in [worker.worker_id for worker in sim.status().workers])
    assert time.monotonic() - stopped_s < 3.0
    assert grey(future.result(60)) == expected_grey(7)
    assert not alive(pid)


def test_a_slow_load_that_silences_its_worker_is_waited_for(make_sim):
    sim = make_sim()
    sim.serve()
    assert grey(sim.observe(7, SLOW_OPEN_M).result(60)) == expected_grey(7)
    assert sim.status().redispatched == 0


def test_a_request_that_kills_three_workers_fails_as_poison_and_others_go_on(make_sim):
    sim = make_sim()
    sim.environment["TOY_DEATHS"] = "100"
    sim.serve()
    deadly, good = sim.observe(1, DEADLY_M), sim.observe(2)
    with pytest.raises(VantageError) as caught:
        deadly.result(60)
    assert caught.value.code == "poison"
    assert grey(good.result(60)) == expected_grey(2)
    with pytest.raises(VantageError, match="not tried again"):
        sim.observe(1, DEADLY_M, deadline_s=5.0).result(10)
    assert Path(sim.environment["TOY_STATE"]).read_text() == "3"
    assert sim.status().quarantined == 1


def test_a_request_that_kills_one_worker_is_answered_by_the_next(make_sim):
    sim = make_sim()
    sim.environment["TOY_DEATHS"] = "1"
    sim.serve()
    assert grey(sim.observe(1, DEADLY_M).result(60)) == expected_grey(1)


def test_a_worker_that_computes_for_too_long_ends_itself(make_sim):
    sim = make_sim(request_timeout_s=1.0, deaths_to_quarantine=1)
    sim.environment["TOY_RENDER_S"] = "60"
    sim.serve()
    with pytest.raises(VantageError) as caught:
        sim.observe(1, SLOW_RENDER_M).result(60)
    assert caught.value.code == "poison"
    assert grey(sim.observe(2).result(60)) == expected_grey(2)


def test_a_worker_is_drained_while_requests_flow_and_is_not_replaced(make_sim):
    sim = make_sim()
    sim.serve(workers=2)
    futures = {seed: sim.observe(seed) for seed in range(100)}
    leaving = sim.status().workers[0].worker_id
    sim.client.request(DrainWorker(leaving))
    futures.update({seed: sim.observe(seed) for seed in range(100, 200)})
    assert {seed: grey(future.result(60)) for seed, future in futures.items()} == {
        seed: expected_grey(seed) for seed in range(200)
    }
    wait_for(lambda: leaving not in [worker.worker_id for worker in sim.status().workers])
    status = sim.status()
    assert (len(status.workers), status.redispatched, status.served) == (1, 0, 200)


def test_a_worker_is_recycled_after_so_many_scenes_and_no_request_is_lost(make_sim):
    sim = make_sim(recycle_after_scenes=2)
    server = sim.serve()
    (pid,) = children(server)
    assert [grey(sim.observe(seed).result()) for seed in range(6)] == [
        seed + int(50 * sum(POSE.position_m)) % 256 for seed in range(6)
    ]
    assert children(server) == [pid]  # the same process in place, its memory fresh
    starts = list((sim.path / "logs").glob("sim-toy-0/attempt_*.jsonl"))
    assert len(starts) >= 3


def test_draining_an_unknown_worker_names_the_known_ones(calm_sim):
    with pytest.raises(VantageError, match="toy-0.1"):
        calm_sim.client.request(DrainWorker("nobody"))


def test_two_simulators_serve_one_run_at_once_and_either_may_leave(make_sim):
    sim = make_sim(workers=0)
    sim.start("serve")
    joined = {name: sim.start("worker", "--backend", name, "--worker-id", name) for name in ("toy", "other")}
    sim.await_workers(2)
    digests = {sim.observe(seed).result(60).message.renderer_digest for seed in range(8)}
    futures = [sim.observe(seed, SLOW_RENDER_M) for seed in range(100, 102)]
    digests |= {future.result(60).message.renderer_digest for future in futures}
    assert digests == {"toy-1", "other-1"}
    late = sim.observe(200, SLOW_RENDER_M)
    for _ in range(2):  # as Slurm does before it takes a node away, and the job's script after it
        joined["toy"].send_signal(signal.SIGTERM)
    assert joined["toy"].wait(10) == 0
    late.result(60)
    assert sim.status().redispatched == 0
    assert {sim.observe(seed).result(60).message.renderer_digest for seed in range(4)} == {"other-1"}


def test_a_joined_worker_outlives_the_broker_and_joins_the_next(make_sim):
    sim = make_sim(workers=0)
    broker = sim.start("serve")
    sim.start("worker", "--worker-id", "joined")
    sim.await_workers(1)
    broker.kill()
    sim.start("serve")
    assert grey(sim.observe(5).result(60)) == expected_grey(5)


def test_a_worker_of_a_simulator_that_the_run_does_not_allow_is_turned_away(make_sim):
    sim = make_sim(workers=0, allowed_backends=["toy"])
    sim.start("serve")
    process = sim.start("worker", "--backend", "other")
    _, message = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "allowed_backends" in message


def test_a_full_queue_answers_busy_and_the_client_asks_again(make_sim):
    sim = make_sim(queue_bound=2)
    sim.environment["TOY_RENDER_S"] = "0.1"
    sim.serve()
    futures = {seed: sim.observe(seed, SLOW_RENDER_M) for seed in range(12)}
    assert all(grey(future.result(60)) == expected_grey(seed) for seed, future in futures.items())
    assert sim.client.counters["busy"] > 0
    assert sim.status().served == 12


def test_fifty_clients_at_once_never_exceed_the_queue_bound(make_sim):
    sim = make_sim(queue_bound=8)
    sim.environment["TOY_RENDER_S"] = "0.01"
    sim.serve()
    clients = [Client(lambda: lookup(sim.path, "sim"), "one-of-50") for _ in range(50)]
    message = Observe(SceneSpec(seed=7, ceiling_m=SLOW_RENDER_M), Camera(32, 24), POSE)
    futures = [client.submit(message, deadline_s=90.0) for client in clients for _ in range(2)]
    queued = []
    while not all(future.done() for future in futures):
        queued.append(sim.status().queued)
    assert all(grey(future.result()) == expected_grey(7) for future in futures)
    assert max(queued) == 8
    assert sum(client.counters["busy"] for client in clients) > 0
    for client in clients:
        client.close()


def test_a_frame_above_the_limit_ends_its_own_connection_only(calm_sim):
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.linger = 0
        socket.reconnect_ivl = -1
        events = socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        socket.connect(lookup(calm_sim.path, "sim").address)
        socket.send_multipart([*encode(b"", Hello("big", 1, 0))[:3], bytes(MAX_FRAME_BYTES + 1)])
        assert events.poll(10_000), "the connection was kept"
        socket.disable_monitor()
        events.close()
    assert grey(calm_sim.observe(3).result(60)) == expected_grey(3)


def test_strangers_get_nothing_from_a_worker_socket_on_tcp(make_sim):
    sim = make_sim(workers=0, listen_workers="tcp://127.0.0.1:*")
    sim.start("serve")
    wait_for(lambda: (sim.path / "endpoints" / "sim-workers.json").exists())
    endpoint = lookup(sim.path, "sim-workers")
    stranger = zmq.curve_keypair()
    for keys in (None, stranger):
        with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
            socket.linger = 0
            if keys:
                socket.curve_publickey, socket.curve_secretkey = keys
                socket.curve_serverkey = endpoint.server_public_key.encode()
            socket.connect(endpoint.address)
            socket.send_multipart(encode(b"", Ready("stranger", "toy", "toy-1")))
            assert not socket.poll(1000)
    assert sim.status().workers == ()
    sim.start("worker", "--worker-id", "ours")
    sim.await_workers(1)


def test_nonsense_on_either_socket_harms_nobody(calm_sim):
    sim = calm_sim
    context = zmq.Context()
    for service in ("sim", "sim-workers"):
        socket = context.socket(zmq.DEALER)
        socket.connect(lookup(sim.path, service).address)
        assert socket.poll(5000, zmq.POLLOUT)
        for frames in (
            [b""],
            [b"a", b"b"],
            [b"VNTG\x01", b"READY", b"", b"\xc1"],
            [b"VNTG\x01", b"EPISODE", b"x", b""],
            encode(b"", Ready("stranger", "toy", "x", credit=1)),
            encode(b"", Ready("stranger", "toy", "x", credit=1)),  # again on the same connection
            encode(b"", Ready("stranger", "toy", "x", credit=1, warm_scenes=-1)),
            encode(b"", Ready("stranger", "toy", "x", credit=2**40)),
            encode(b"x", Loading(float("nan"))),
            [b"VNTG\x01", b"FAILURE", b"x", b"\x01"],  # a worker's answer that is none
            encode(b"", Goodbye()),
        ):
            socket.send_multipart(frames)
        socket.poll(500)
        socket.close(linger=0)
    context.destroy(linger=0)
    assert grey(sim.observe(3).result(60)) == expected_grey(3)
    assert len(sim.status().workers) == 1


def test_a_simulator_that_is_not_installed_is_said_so_at_once(make_sim):
    sim = make_sim(backend="habitat")
    process = sim.start("serve")
    _, message = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "habitat_sim cannot be imported" in message and "Traceback" not in message


def test_a_second_server_on_a_run_is_refused(calm_sim):
    second = calm_sim.start("serve")
    _, message = second.communicate(timeout=60)
    assert second.returncode == 2
    assert "another sim" in message and "Traceback" not in message


def test_the_broker_imports_no_simulator():
    code = "import sys, sim_server.cli, sim_server.broker; sys.exit(any(m in sys.modules for m in ('numba', 'torch')))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=30).returncode == 0


def test_a_wrong_request_fails_with_its_reason(calm_sim):
    message = Observe(SceneSpec(), Camera(32, 24), POSE, action="jump")
    with pytest.raises(VantageError, match="turn_left"):
        calm_sim.client.request(message)


def test_a_scene_is_described(calm_sim):
    described = calm_sim.client.request(Describe(SceneSpec(seed=4))).message
    assert described.scene.scene_id == "toy-4"


@pytest.mark.timeout(240)
def test_an_episode_through_the_service_is_the_one_that_the_core_makes(make_sim):
    spec = TaskSpec("s", run_seed=1, seq=2, scene=SceneSpec(seed=1), question=QuestionSpec("object_color"))
    message = RenderTask(spec, sensors=("rgb", "depth", "ids"))
    core = SimCore(SimSettings(backend="rooms"))
    here, blobs = core.handle(message)
    sim = make_sim(backend="rooms")
    sim.start("serve")
    there = sim.client.request(message, deadline_s=200.0)  # a first start compiles the kernels
    assert there.message.episode.question == here.episode.question
    assert there.message.episode.renderer_digest == here.episode.renderer_digest
    assert [bytes(blob) for blob in there.blobs] == [bytes(blob) for blob in blobs]
    core.close()
