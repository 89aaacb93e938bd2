"""The simulator service and its workers as real processes: kills, stalls, slow scenes, and draining."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from protocol.errors import VantageError
from protocol.wire.messages import DrainWorker
from tests.support.sim import DEADLY_M, SLOW_OPEN_M, SLOW_RENDER_M, alive, children, expected_grey, grey
from tests.support.wire import wait_for

pytestmark = pytest.mark.timeout(120)


def test_a_worker_killed_during_a_render_is_replaced(make_sim):
    sim = make_sim()
    broker = sim.serve()
    future = sim.observe(7, SLOW_RENDER_M)
    wait_for(lambda: sim.status().workers and sim.status().workers[0].in_flight == 1)
    (pid,) = children(broker)
    os.kill(pid, signal.SIGKILL)
    assert grey(future.result(60)) == expected_grey(7)
    status = sim.status()
    assert (status.redispatched, status.served) == (1, 1)


def test_workers_exit_with_a_killed_broker_and_clients_find_its_successor(make_sim):
    sim = make_sim()
    broker = sim.serve()
    (pid,) = children(broker)
    future = sim.observe(7, SLOW_RENDER_M)
    wait_for(lambda: sim.status().workers[0].in_flight == 1)
    broker.kill()
    wait_for(lambda: not alive(pid), within_s=3.0)
    sim.start("serve")
    assert grey(future.result(60)) == expected_grey(7)


def test_a_stalled_worker_is_detected_within_three_seconds(make_sim):
    sim = make_sim()
    sim.environment["TOY_RENDER_S"] = "2.5"  # long enough to be observed on a loaded machine
    broker = sim.serve(workers=2)
    sim.observe(7).result(60)  # open the scene first: workers may be silent for longer while loading
    future = sim.observe(7, SLOW_RENDER_M)
    wait_for(lambda: any(worker.in_flight for worker in sim.status().workers))
    (busy,) = [worker.worker_id for worker in sim.status().workers if worker.in_flight]
    (pid,) = [pid for pid in children(broker) if busy in Path(f"/proc/{pid}/cmdline").read_text().split("\0")]
    os.kill(pid, signal.SIGSTOP)
    start_s = time.monotonic()
    wait_for(lambda: busy not in [worker.worker_id for worker in sim.status().workers])
    assert time.monotonic() - start_s < 3.0
    assert grey(future.result(60)) == expected_grey(7)
    assert not alive(pid)


def test_a_slow_scene_does_not_count_as_a_stall(make_sim):
    sim = make_sim()
    sim.serve()
    assert grey(sim.observe(7, SLOW_OPEN_M).result(60)) == expected_grey(7)
    assert sim.status().redispatched == 0


def test_a_request_that_kills_three_workers_fails_as_poison(make_sim):
    sim = make_sim()
    sim.environment["TOY_DEATHS"] = "100"
    sim.serve()
    deadly, harmless = sim.observe(1, DEADLY_M), sim.observe(2)
    with pytest.raises(VantageError) as caught:
        deadly.result(60)
    assert caught.value.code == "poison"
    assert grey(harmless.result(60)) == expected_grey(2)
    with pytest.raises(VantageError, match="scene '1-.* is refused from now on"):
        sim.observe(1, DEADLY_M, deadline_s=5.0).result(10)
    assert Path(sim.environment["TOY_STATE"]).read_text() == "3"
    assert sim.status().quarantined == 1


def test_a_request_that_kills_one_worker_is_answered_by_another(make_sim):
    sim = make_sim()
    sim.environment["TOY_DEATHS"] = "1"
    sim.serve()
    assert grey(sim.observe(1, DEADLY_M).result(60)) == expected_grey(1)


def test_a_worker_exits_after_the_request_timeout(make_sim):
    sim = make_sim(request_timeout_s=1.0, deaths_to_quarantine=1)
    sim.environment["TOY_RENDER_S"] = "60"
    sim.serve()
    with pytest.raises(VantageError) as caught:
        sim.observe(1, SLOW_RENDER_M).result(60)
    assert caught.value.code == "poison"
    assert grey(sim.observe(2).result(60)) == expected_grey(2)


def test_a_worker_that_hangs_is_replaced_after_what_requests_cost(make_sim):
    """It still sends heartbeats. It ends long before `request_timeout_s`, and so do those that try again."""
    sim = make_sim(request_floor_s=0.5)
    sim.environment["TOY_RENDER_S"] = "600"
    broker = sim.serve()
    assert grey(sim.observe(1).result(60)) == expected_grey(1)
    (hung,) = children(broker)
    with pytest.raises(VantageError) as caught:
        sim.observe(7, SLOW_RENDER_M).result(60)
    assert caught.value.code == "poison" and not alive(hung)
    assert grey(sim.observe(2).result(60)) == expected_grey(2)


def test_a_joined_worker_that_hangs_ends_itself_when_the_broker_tells_it(make_sim):
    sim = make_sim(workers=0, request_floor_s=0.5)
    sim.environment["TOY_RENDER_S"] = "600"
    sim.start("serve")
    worker = sim.start("worker", "--worker-id", "joined")
    sim.await_workers(1)
    assert grey(sim.observe(1).result(60)) == expected_grey(1)
    sim.observe(7, SLOW_RENDER_M)
    assert worker.wait(60) == 70
    assert "took longer than" in worker.communicate()[1]


def test_a_drained_worker_loses_no_request_and_is_not_replaced(make_sim):
    sim = make_sim()
    sim.serve(workers=2)
    futures = {seed: sim.observe(seed) for seed in range(100)}
    drained = sim.status().workers[0].worker_id
    sim.client.request(DrainWorker(drained))
    futures.update({seed: sim.observe(seed) for seed in range(100, 200)})
    assert {seed: grey(future.result(60)) for seed, future in futures.items()} == {
        seed: expected_grey(seed) for seed in range(200)
    }
    wait_for(lambda: drained not in [worker.worker_id for worker in sim.status().workers])
    status = sim.status()
    assert (len(status.workers), status.redispatched, status.served) == (1, 0, 200)


def test_a_worker_is_recycled_without_losing_requests(make_sim):
    sim = make_sim(recycle_after_scenes=2)
    server = sim.serve()
    (pid,) = children(server)
    assert [grey(sim.observe(seed).result()) for seed in range(6)] == [expected_grey(seed) for seed in range(6)]
    assert children(server) == [pid]  # the same process, re-executed
    # The worker still answers a request that arrives while it leaves, so the third start may follow the last answer.
    wait_for(lambda: len(list((sim.path / "logs").glob("sim-toy-0/attempt_*.jsonl"))) >= 3)


def test_two_simulators_serve_one_run_and_either_may_leave(make_sim):
    sim = make_sim(workers=0)
    sim.start("serve")
    joined = {name: sim.start("worker", "--backend", name, "--worker-id", name) for name in ("toy", "other")}
    sim.await_workers(2)
    digests = {sim.observe(seed).result(60).message.renderer_digest for seed in range(8)}
    futures = [sim.observe(seed, SLOW_RENDER_M) for seed in range(100, 102)]
    digests |= {future.result(60).message.renderer_digest for future in futures}
    assert digests == {"toy-1", "other-1"}
    late = sim.observe(200, SLOW_RENDER_M)
    for _ in range(2):  # Slurm signals before it revokes a node, and the job script signals again
        joined["toy"].send_signal(signal.SIGTERM)
    assert joined["toy"].wait(10) == 0
    late.result(60)
    assert sim.status().redispatched == 0
    assert {sim.observe(seed).result(60).message.renderer_digest for seed in range(4)} == {"other-1"}


def test_a_joined_worker_survives_the_broker_and_joins_its_successor(make_sim):
    sim = make_sim(workers=0)
    broker = sim.start("serve")
    sim.start("worker", "--worker-id", "joined")
    sim.await_workers(1)
    broker.kill()
    sim.start("serve")
    assert grey(sim.observe(5).result(60)) == expected_grey(5)


def test_a_worker_of_a_disallowed_simulator_is_rejected(make_sim):
    sim = make_sim(workers=0, allowed_backends=["toy"])
    sim.start("serve")
    process = sim.start("worker", "--backend", "other")
    _, message = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "allowed_backends" in message
