"""The simulator service as real processes: answers, rejected requests, and errors at the start."""

from __future__ import annotations

import subprocess
import sys

import pytest
import zmq

from protocol.errors import VantageError
from protocol.tasks.scene import Camera, SceneSpec
from protocol.tasks.task import Episode, QuestionSpec, TaskSpec
from protocol.wire.client import Client
from protocol.wire.codec import MAX_FRAME_BYTES, encode
from protocol.wire.endpoint import lookup
from protocol.wire.messages import Describe, DrainWorker, Goodbye, Hello, Loading, Observe, Ready, RenderTask
from sim_server.service.core import SimCore
from sim_server.settings import SimSettings
from tests.support.sim import POSE, ROOT, SLOW_RENDER_M, Sim, expected_grey, grey
from tests.support.wire import wait_for

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def shared_sim(tmp_path_factory):
    """One service, shared by tests that do not change it."""
    sim = Sim(tmp_path_factory.mktemp("calm"))
    sim.serve()
    yield sim
    sim.close()


def test_draining_an_unknown_worker_lists_the_known_ones(shared_sim):
    with pytest.raises(VantageError, match="toy-0.1"):
        shared_sim.client.request(DrainWorker("nobody"))


def test_a_full_queue_answers_busy_and_the_client_retries(make_sim):
    sim = make_sim(queue_bound=2)
    sim.environment["TOY_RENDER_S"] = "0.1"
    sim.serve()
    futures = {seed: sim.observe(seed, SLOW_RENDER_M) for seed in range(12)}
    assert all(grey(future.result(60)) == expected_grey(seed) for seed, future in futures.items())
    assert sim.client.counters["busy"] > 0
    assert sim.status().served == 12


def test_fifty_clients_do_not_exceed_the_queue_bound(make_sim):
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
    assert 8 <= max(queued) <= 16  # the bound, and as much again for clients with less than their share
    assert sum(client.counters["busy"] for client in clients) > 0
    for client in clients:
        client.close()


def test_an_oversized_frame_ends_only_its_own_connection(shared_sim):
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.linger = 0
        socket.reconnect_ivl = -1
        events = socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        socket.connect(lookup(shared_sim.path, "sim").address)
        socket.send_multipart([*encode(b"", Hello("big", 1, 0))[:3], bytes(MAX_FRAME_BYTES + 1)])
        assert events.poll(10_000), "the connection was not closed"
        socket.disable_monitor()
        events.close()
    assert grey(shared_sim.observe(3).result(60)) == expected_grey(3)


def test_tcp_worker_sockets_reject_unknown_keys(make_sim):
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


def test_invalid_messages_on_either_socket_are_harmless(shared_sim):
    sim = shared_sim
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
            [b"VNTG\x01", b"FAILURE", b"x", b"\x01"],  # an invalid answer of a worker
            encode(b"", Goodbye()),
        ):
            socket.send_multipart(frames)
        socket.poll(500)
        socket.close(linger=0)
    context.destroy(linger=0)
    assert grey(sim.observe(3).result(60)) == expected_grey(3)
    assert len(sim.status().workers) == 1


def test_a_missing_simulator_is_reported_at_the_start(make_sim):
    sim = make_sim(backend="habitat")
    process = sim.start("serve")
    _, message = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "habitat_sim cannot be imported" in message and "Traceback" not in message


def test_a_second_server_of_a_run_is_rejected(shared_sim):
    second = shared_sim.start("serve")
    _, message = second.communicate(timeout=60)
    assert second.returncode == 2
    assert "another sim" in message and "Traceback" not in message


def test_the_broker_imports_no_simulator():
    code = "import sys, sim_server.service.broker; sys.exit(any(m in sys.modules for m in ('numba', 'torch')))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=30).returncode == 0


def test_an_invalid_request_fails_with_a_reason(shared_sim):
    message = Observe(SceneSpec(), Camera(32, 24), POSE, action="jump")
    with pytest.raises(VantageError, match="turn_left"):
        shared_sim.client.request(message)


def test_describe(shared_sim):
    described = shared_sim.client.request(Describe(SceneSpec(seed=4))).message
    assert described.scene.scene_id == "toy-4"


@pytest.mark.timeout(240)
def test_service_and_core_return_the_same_episode(make_sim):
    spec = TaskSpec("s", run_seed=1, seq=2, scene=SceneSpec(seed=1), question=QuestionSpec("object_color"))
    message = RenderTask(spec, sensors=("rgb", "depth", "ids"))
    core = SimCore(SimSettings(backend="rooms"))
    direct, blobs = core.handle(message)
    assert isinstance(direct, Episode)
    sim = make_sim(backend="rooms")
    sim.start("serve")
    served = sim.client.request(message, deadline_s=200.0)  # the first start compiles the kernels
    assert served.message.question == direct.question
    assert served.message.renderer_digest == direct.renderer_digest
    assert [bytes(blob) for blob in served.blobs] == [bytes(blob) for blob in blobs]
    core.close()
